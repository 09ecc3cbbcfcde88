/* lfs.c — git-lfs: which objects to send and where (batch), verify, and downloads by link
 * (hub-api.md 11.3, 11.4, 14.4).
 *
 * Presence is a question to this repository alone: an object that only others have gets an upload
 * action, and its bytes are received and hashed in full.
 */
#include "hub/lfs.h"
#include "base/clock.h"
#include "http/range.h"
#include "hub/lfs_batch.h"
#include "store/upload.h"
#include "xet/xet.h"

#define PARTS_MAX 50000 /* links in one answer; about 15 MiB of text */

/* --- batch --- */

struct wanted { /* an object of the request, and what is known of it */
    const struct lfs_object *object;
    struct content content;
    bool found;
    bool sends; /* an upload action is due */
    const char *bad;
    int bad_code;
};

struct batch {
    struct lfs_batch request;
    struct wanted *wanted;
    uint64_t upload_bytes;
    unsigned parts;
    bool multipart, has_empty; /* some upload is above the limit for one piece, has no bytes */
    struct xet_token_answer token;
    enum { BASIC, MULTIPART, XET } transfer;
};

/* Whoever may propose may claim that bytes have this SHA-256.  Until that is proved, it keeps
 * nobody else from sending the bytes that really have it. */
static bool is_foreign_claim(const struct req *r, const struct content *c)
{
    return !c->is_verified && c->pusher_id != r->user->account.id;
}

static err look(struct req *r, const struct lfs_batch *q, struct wanted *w)
{
    const struct lfs_object *o = w->object;
    bool damaged = false;

    if (o->bad) {
        w->bad = o->bad;
        w->bad_code = 422;
        return OK;
    }
    TRY(repo_file_find(r->store->hub, r->repo->id, o->sha256, &w->content, &w->found));
    if (w->found && q->upload && is_foreign_claim(r, &w->content))
        w->found = false;
    if (w->found && w->content.size != o->size) {
        w->bad = "This object is here with another size; correct the pointer file.";
        w->bad_code = 422;
        return OK;
    }
    if (!q->upload) {
        if (!w->found) {
            w->bad = "This object was never uploaded to this repository.";
            w->bad_code = 404;
        }
        return OK;
    }
    if (w->found)
        TRY(content_is_damaged(r->store->hub, &w->content, &damaged));
    w->sends = !w->found || damaged;
    return OK;
}

/* The bytes a namespace may hold, and the disk. */
static err check_room(struct req *r, uint64_t bytes)
{
    if (bytes == 0)
        return OK;
    TRY(store_disk_check(r->store, r->a, bytes));
    return repo_quota_check(r->store->hub, r->a, r->repo, bytes);
}

static err look_at_all(struct req *r, struct batch *b)
{
    b->wanted = arena_many(r->a, struct wanted, b->request.count + 1);
    for (size_t i = 0; i < b->request.count; i++) {
        struct wanted *w = &b->wanted[i];

        w->object = &b->request.objects[i];
        TRY(look(r, &b->request, w));
        if (!w->sends)
            continue;
        if (__builtin_add_overflow(b->upload_bytes, w->object->size, &b->upload_bytes))
            b->upload_bytes = UINT64_MAX / 4;
        b->multipart |= w->object->size > (uint64_t)settings.lfs_multipart_above;
        b->has_empty |= w->object->size == 0;
    }
    return check_room(r, b->upload_bytes);
}

/* Who is told that an object is there need not send it: gc leaves it alone for long enough. */
static err promise_all(struct req *r, const struct batch *b)
{
    sha256 *files = arena_many(r->a, sha256, b->request.count + 1);
    size_t count = 0, missing;

    for (size_t i = 0; b->request.upload && i < b->request.count; i++)
        if (b->wanted[i].found && !b->wanted[i].sends)
            files[count++] = b->wanted[i].object->sha256;
    TRY(repo_file_use(r->store->hub, r->repo->id, files, count, &missing));
    return missing ? err_new(r->a, 503, NULL, "Stored objects were just cleared away; try again.")
                   : OK;
}

/* One transfer for the whole answer: git-lfs hands all its objects to one agent.  What the client
 * lists decides, never its name; the empty file has no place in xorbs. */
static err pick_transfer(struct req *r, struct batch *b)
{
    if (!b->request.upload)
        b->transfer = BASIC;
    else if (b->request.may_xet && !b->has_empty)
        b->transfer = XET;
    else if (b->request.may_multipart && b->multipart)
        b->transfer = MULTIPART;
    return b->transfer == XET ? xet_token_headers(r, r->repo, true, &b->token) : OK;
}

static void put_expiry(struct json_out *j)
{
    json_kv_i64(j, "expires_in", lfs_link_seconds());
    json_kv_time(j, "expires_at", clock_ms() + lfs_link_seconds() * 1000);
}

static err put_basic(struct req *r, struct json_out *j, const struct lfs_object *o)
{
    struct lfs_link link = {.action = STR("put"), .oid = o->sha256, .size = o->size};
    str href;

    TRY(lfs_link_make(r, &link, arena_cat(r->a, STR("/objects/"), sha256_hex(r->a, o->sha256)),
                      &href));
    json_kv_str(j, "href", href);
    json_key(j, "header");
    json_obj(j);
    json_obj_end(j);
    put_expiry(j);
    return OK;
}

/* The parts are numbered without gaps; href is where the parts are joined. */
static err put_multipart(struct req *r, struct json_out *j, const struct lfs_object *o,
                         const struct upload *u)
{
    struct lfs_link link = {
        .action = STR("complete"), .oid = o->sha256, .size = o->size, .upload = u->id};
    str tail = arena_printf(r->a, "/objects/%.*s/%.*s", STR_FMT(sha256_hex(r->a, o->sha256)),
                            STR_FMT(u->id));
    str href, part, query;

    TRY(lfs_link_make(r, &link, tail, &href));
    link.action = STR("part");
    TRY(lfs_link_make(r, &link, tail, &part)); /* one signature for all parts */
    query = str_from(part, (size_t)str_find(part, '?'));
    part = lfs_url(r, tail);
    json_kv_str(j, "href", href);
    json_key(j, "header");
    json_obj(j);
    json_kv_str(j, "chunk_size", arena_printf(r->a, "%llu", (unsigned long long)u->part_bytes));
    for (unsigned i = 1; i <= u->part_count; i++) {
        struct arena_mark m = arena_mark(r->a);

        json_kv_str(j, arena_printf(r->a, "%05u", i).ptr,
                    arena_printf(r->a, "%.*s/%u%.*s", STR_FMT(part), i, STR_FMT(query)));
        arena_rewind(r->a, m);
    }
    json_obj_end(j);
    put_expiry(j);
    return OK;
}

/* href is where the token is renewed.  Nothing is verified afterwards: the commit looks. */
static void put_xet(struct req *r, struct json_out *j, const struct batch *b)
{
    json_key(j, "actions");
    json_obj(j);
    json_key(j, "upload");
    json_obj(j);
    json_kv_str(j, "href", xet_token_url(r, r->repo, true, b->request.rev));
    json_key(j, "header");
    json_obj(j);
    json_kv_str(j, "X-Xet-Cas-Url", b->token.cas_url);
    json_kv_str(j, "X-Xet-Access-Token", b->token.token);
    json_kv_str(j, "X-Xet-Token-Expiration", b->token.expires);
    json_obj_end(j);
    json_obj_end(j);
    json_obj_end(j);
}

static err put_upload(struct req *r, struct json_out *j, struct batch *b, const struct wanted *w)
{
    const struct lfs_object *o = w->object;
    struct upload u = {0};

    if (b->transfer == MULTIPART && o->size > 0) {
        TRY(upload_begin(r->store, r->a, r->repo->id, r->user->account.id, o->sha256, o->size, &u));
        b->parts += u.part_count;
        if (b->parts > PARTS_MAX)
            return err_new(r->a, 413, NULL,
                           "These files have more than %d parts together; send fewer at once.",
                           PARTS_MAX);
    }
    json_key(j, "actions");
    json_obj(j);
    json_key(j, "upload");
    json_obj(j);
    TRY(u.id.ptr ? put_multipart(r, j, o, &u) : put_basic(r, j, o));
    json_obj_end(j);
    json_key(j, "verify");
    json_obj(j);
    json_kv_str(j, "href", lfs_url(r, STR("/verify")));
    json_key(j, "header");
    json_obj(j);
    json_obj_end(j);
    json_obj_end(j);
    json_obj_end(j);
    return OK;
}

static err put_download(struct req *r, struct json_out *j, const struct lfs_object *o)
{
    struct lfs_link link = {.action = STR("get"), .oid = o->sha256, .size = o->size};
    str href;

    TRY(lfs_link_make(r, &link, arena_cat(r->a, STR("/objects/"), sha256_hex(r->a, o->sha256)),
                      &href));
    json_key(j, "actions");
    json_obj(j);
    json_key(j, "download");
    json_obj(j);
    json_kv_str(j, "href", href);
    json_key(j, "header");
    json_obj(j);
    json_obj_end(j);
    put_expiry(j);
    json_obj_end(j);
    json_obj_end(j);
    return OK;
}

static void put_error(struct json_out *j, const struct wanted *w)
{
    json_key(j, "error");
    json_obj(j);
    json_kv_i64(j, "code", w->bad_code);
    json_kv_str(j, "message", str_c(w->bad));
    json_obj_end(j);
}

static err put_object(struct req *r, struct json_out *j, struct batch *b, const struct wanted *w)
{
    json_obj(j);
    json_kv_str(j, "oid", w->object->oid.ptr ? w->object->oid : STR(""));
    json_kv_i64(j, "size", (int64_t)w->object->size);
    if (w->bad)
        put_error(j, w);
    else if (w->sends && b->transfer == XET)
        put_xet(r, j, b);
    else if (w->sends)
        TRY(put_upload(r, j, b, w));
    else if (!b->request.upload)
        TRY(put_download(r, j, w->object));
    json_obj_end(j);
    return OK;
}

err hub_lfs_batch(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct batch b = {0};

    TRY(lfs_repo(r, ACCESS_READ));
    TRY(lfs_batch_parse(r->a, r->json, &b.request));
    if (b.request.upload)
        TRY(lfs_repo(r, ACCESS_CONTRIBUTE));
    TRY(look_at_all(r, &b));
    TRY(promise_all(r, &b));
    TRY(pick_transfer(r, &b));
    json_obj(j);
    json_kv_str(j, "transfer",
                b.transfer == XET         ? STR("xet")
                : b.transfer == MULTIPART ? STR("multipart")
                                          : STR("basic"));
    json_kv_str(j, "hash_algo", STR("sha256"));
    json_key(j, "objects");
    json_arr(j);
    for (size_t i = 0; i < b.request.count; i++)
        TRY(put_object(r, j, &b, &b.wanted[i]));
    json_arr_end(j);
    json_obj_end(j);
    return lfs_reply(r, 200, j);
}

/* --- verify --- */

err hub_lfs_verify(struct req *r)
{
    struct content c;
    int64_t size = -1;
    bool found;
    sha256 h;

    TRY(lfs_repo(r, ACCESS_CONTRIBUTE));
    if (!sha256_from_hex(json_get_str(r->json, "oid"), &h) ||
        !json_i64(json_get(r->json, "size"), &size))
        return err_new(r->a, 422, NULL, "Verify needs the oid and the size of an object.");
    TRY(repo_file_find(r->store->hub, r->repo->id, h, &c, &found));
    if (!found)
        return err_new(r->a, 404, NULL, "This object was never uploaded to this repository.");
    if (size < 0 || c.size != (uint64_t)size)
        return err_new(r->a, 422, NULL, "This object has %llu bytes here, not %lld.",
                       (unsigned long long)c.size, (long long)size);
    return reply_bytes(r, 200, "application/vnd.git-lfs+json", STR("{}"));
}

/* --- download --- */

static err send_content(struct req *r, const struct content *c)
{
    str etag = arena_cat(r->a, STR("\""), sha256_hex(r->a, c->sha256), STR("\""));
    str if_range = req_header(r, "If-Range"), range = req_header(r, "Range");
    struct http_range part = {0};
    struct source *s;
    err e;

    reply_header(r, "ETag", etag);
    reply_header(r, "Accept-Ranges", STR("bytes"));
    reply_header(r, "X-Content-Type-Options", STR("nosniff"));
    reply_header(r, "Content-Security-Policy", STR("default-src 'none'; sandbox"));
    reply_no_gzip(r);
    if (req_header(r, "If-None-Match").len &&
        http_etag_matches(req_header(r, "If-None-Match"), etag))
        return reply_empty(r, 304);
    if (req_is_head(r) || (if_range.len && !str_eq(if_range, etag)))
        range = STR("");
    e = http_range_parse(range, c->size, &part);
    if (e && e->status == 416)
        reply_header(r, "Content-Range",
                     arena_printf(r->a, "bytes */%llu", (unsigned long long)c->size));
    TRY(e);
    if (part.partial)
        reply_header(r, "Content-Range",
                     arena_printf(r->a, "bytes %llu-%llu/%llu", (unsigned long long)part.first,
                                  (unsigned long long)(part.first + part.count - 1),
                                  (unsigned long long)c->size));
    if (req_is_head(r)) /* the length, without opening anything */
        return reply_source(r, 200, "application/octet-stream", source_bytes(r->a, STR("")),
                            c->size);
    TRY(content_source(r->store, r->a, c, part.first, part.count, &s));
    return reply_source(r, part.partial ? 206 : 200, "application/octet-stream", s, part.count);
}

/* By a link of the batch answer, or with credentials. */
err hub_lfs_get(struct req *r)
{
    struct lfs_link link = {.action = STR("get")};
    struct content c;
    bool found;

    TRY(lfs_oid_param(r, &link.oid));
    if (req_query(r, "signature").ptr)
        TRY(lfs_link_check(r, &link));
    else
        TRY(lfs_repo(r, ACCESS_READ));
    TRY(repo_file_find(r->store->hub, r->repo->id, link.oid, &c, &found));
    if (!found)
        return err_new(r->a, 404, "EntryNotFound",
                       "This object was never uploaded to this repository.");
    return send_content(r, &c);
}
