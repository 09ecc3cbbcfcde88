/* lfs_upload.c — receiving LFS objects by signed links: whole (PUT), in parts, and joining them.
 *
 * The links carry no Authorization; each was made for one user, object and size (lfs.h).  Size and
 * SHA-256 are checked while the bytes stream; what does not match leaves nothing behind.
 */
#include "hub/lfs.h"
#include "store/upload.h"
#include <stdlib.h>

#define READ_BYTES (128u << 10)

typedef err (*take_fn)(void *to, struct arena *a, const void *p, size_t len);

/* Passes the body on, piece by piece; 400 as soon as it is longer than `size`. */
static err stream_body(struct req *r, uint64_t size, take_fn take, void *to)
{
    char *buffer = malloc(READ_BYTES);
    uint64_t done = 0;
    size_t n = 1;
    err e = OK;

    if (!buffer)
        abort();
    while (!e && n > 0) {
        struct arena_mark m = arena_mark(r->a);

        e = http_body_read(r, buffer, READ_BYTES, &n);
        done += e ? 0 : n;
        if (!e && done > size)
            e = err_new(r->a, 400, "SizeMismatch", "More than the announced %llu bytes arrived.",
                        (unsigned long long)size);
        if (!e && n > 0)
            e = take(to, r->a, buffer, n);
        if (!e)
            arena_rewind(r->a, m);
    }
    free(buffer);
    return e;
}

/* Before a byte is read: does the announced length fit, and the disk? */
static err check_length(struct req *r, uint64_t size)
{
    if (r->content_length != UINT64_MAX && r->content_length != size)
        return err_new(r->a, 400, "SizeMismatch",
                       "This link takes exactly %llu bytes, not %llu; upload the file again.",
                       (unsigned long long)size, (unsigned long long)r->content_length);
    return store_disk_check(r->store, r->a, size);
}

/* --- whole objects --- */

static err take_intake(void *to, struct arena *a, const void *p, size_t len)
{
    return intake_feed(to, a, p, len);
}

err hub_lfs_put(struct req *r)
{
    struct lfs_link link = {.action = STR("put")};
    struct intake *in;
    struct content c;
    err e;

    TRY(lfs_oid_param(r, &link.oid));
    TRY(lfs_link_check(r, &link));
    TRY(check_length(r, link.size));
    TRY(intake_new(r->store, r->a, &in));
    e = stream_body(r, link.size, take_intake, in);
    if (e) {
        intake_drop(in);
        return e;
    }
    TRY(intake_end(in, r->a, link.oid, link.size, &c));
    TRY(repo_file_add(r->store->hub, r->repo->id, &c, r->user->account.id));
    reply_header(r, "ETag", arena_cat(r->a, STR("\""), sha256_hex(r->a, link.oid), STR("\"")));
    return reply_empty(r, 200);
}

/* --- parts --- */

/* The upload of the path, if it is the one that the link was made for. */
static err link_upload(struct req *r, str action, struct upload *ret)
{
    struct lfs_link link = {.action = action, .upload = req_param(r, "upload")};

    TRY(lfs_oid_param(r, &link.oid));
    TRY(lfs_link_check(r, &link));
    TRY(upload_find(r->store, r->a, link.upload, ret));
    if (!ret->id.ptr || ret->repo_id != r->repo->id || ret->user_id != r->user->account.id ||
        ret->size != link.size || !sha256_eq(ret->sha256, link.oid))
        return err_new(r->a, 404, "UploadNotFound",
                       "This upload does not exist or has expired; start again with a new LFS "
                       "batch request.");
    return OK;
}

static err take_part(void *to, struct arena *a, const void *p, size_t len)
{
    return upload_part_write(to, a, p, len);
}

err hub_lfs_put_part(struct req *r)
{
    struct upload_part *part;
    struct upload u;
    uint64_t number = 0, size;
    str etag;
    err e;

    TRY(link_upload(r, STR("part"), &u));
    if (!str_u64(req_param(r, "part"), &number) || number < 1 || number > u.part_count)
        return err_new(r->a, 400, NULL, "This upload has parts 1 to %u.", u.part_count);
    size = number < u.part_count ? u.part_bytes : u.size - (u.part_count - 1) * u.part_bytes;
    TRY(check_length(r, size));
    TRY(upload_part_new(r->store, r->a, &u, (unsigned)number, &part));
    e = stream_body(r, size, take_part, part);
    if (e) {
        upload_part_drop(part);
        return e;
    }
    TRY(upload_part_end(part, r->a, &etag));
    reply_header(r, "ETag", etag);
    return reply_empty(r, 200);
}

/* What the client believes it sent; nothing of it is needed, but a contradiction is told. */
static err check_claims(struct req *r, const struct upload *u)
{
    const struct json *parts = json_get(r->json, "parts");
    str named = json_get_str(r->json, "oid");
    sha256 h;

    if (named.ptr && (!sha256_from_hex(named, &h) || !sha256_eq(h, u->sha256)))
        return err_new(r->a, 400, NULL, "This link completes another object than \"oid\" names.");
    if (json_type(parts) == JSON_ARR && json_len(parts) != u->part_count)
        return err_new(r->a, 400, NULL, "This upload has %u parts, not %zu.", u->part_count,
                       json_len(parts));
    return OK;
}

err hub_lfs_complete(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct upload u;
    struct content c;

    TRY(link_upload(r, STR("complete"), &u));
    TRY(check_claims(r, &u));
    TRY(upload_complete(r->store, r->a, u.id, &c));
    json_obj(j);
    json_kv_str(j, "oid", sha256_hex(r->a, c.sha256));
    json_kv_i64(j, "size", (int64_t)c.size);
    json_obj_end(j);
    return lfs_reply(r, 200, j);
}
