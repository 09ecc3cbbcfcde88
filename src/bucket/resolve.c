/* resolve.c — files of buckets out: HEAD and GET with ranges and conditions, no redirects. */
#include "bucket/bucket.h"
#include "http/file_reply.h"
#include "store/stat.h"

static err find_file(struct req *r, struct bucket_file *ret)
{
    str path = req_param(r, "path");
    bool found;

    if (path.len == 0)
        return err_new(r->a, 400, NULL, "Name a file behind /resolve/.");
    TRY(bucket_file_find(r->store->hub, r->a, r->repo->id, path, ret, &found));
    if (!found)
        return bucket_no_entry(r);
    if (ret->file_id != 0 && file_hash_is_zero(ret->hash))
        return err_new(r->a, 500, "DataCorrupt",
                       "The content of this file is not in the store any more; upload it again.");
    return OK;
}

static struct file_reply describe(struct req *r, const struct bucket_file *f)
{
    str hash = file_hash_text(r->a, f->hash);

    return (struct file_reply){
        .path = f->path,
        .etag = arena_cat(r->a, STR("\""), hash, STR("\"")),
        .size = f->size,
        .type = f->content_type.len ? file_type_safe(r->a, f->content_type)
                                    : "application/octet-stream",
        .modified_ms = f->uploaded_at_ms,
        .cache_control = STR("private, no-cache"),
    };
}

static err send_bytes(struct req *r, const struct bucket_file *f, const struct file_reply *d)
{
    struct content c = {.file_id = f->file_id, .hash = f->hash, .size = f->size};
    struct source *s = NULL;
    struct http_range range;
    bool answered;

    TRY(file_reply_begin(r, d, &range, &answered));
    if (answered)
        return OK;
    stat_file(r->store, r->repo, f->path, r->client, req_is_head(r) ? 0 : range.count);
    if (file_reply_needs_bytes(r, &range))
        TRY(content_source(r->store, r->a, &c, range.first, range.count, &s));
    return file_reply_send(r, d, &range, s);
}

err bucket_resolve(struct req *r)
{
    struct bucket_file f = {0};
    struct file_reply d;

    TRY(find_file(r, &f));
    d = describe(r, &f);
    xet_file_headers(r, r->repo, STR(""), f.hash);
    reply_header(r, "X-Linked-ETag", d.etag);
    reply_header(r, "X-Linked-Size", arena_printf(r->a, "%llu", (unsigned long long)f.size));
    if (req_is_head(r) || !xet_wants_fileinfo(r))
        return send_bytes(r, &f, &d);
    reply_header(r, "ETag", d.etag);
    return xet_fileinfo_reply(r, r->repo, STR(""), f.hash, d.etag, f.size,
                              f.content_type.len ? str_z(r->a, f.content_type) : NULL);
}
