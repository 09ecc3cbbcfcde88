/* item.c — files of buckets as listings show them (docs/protocol/buckets.md). */
#include "bucket/bucket.h"

void bucket_put_file(struct json_out *j, const struct bucket_file *f)
{
    char hash[HASH_TEXT];

    file_hash_write(hash, f->hash);
    json_obj(j);
    json_kv_str(j, "type", STR("file"));
    json_kv_str(j, "path", f->path);
    json_kv_i64(j, "size", (int64_t)f->size);
    json_kv_str(j, "xetHash", (str){hash, HASH_TEXT});
    json_kv_time(j, "mtime", f->mtime_ms);
    if (f->mtime_ns >= 0)
        json_kv_i64(j, "mtimeNanos", f->mtime_ns);
    json_kv_time(j, "uploadedAt", f->uploaded_at_ms);
    if (f->content_type.len)
        json_kv_str(j, "contentType", f->content_type);
    json_obj_end(j);
}

err bucket_no_entry(struct req *r)
{
    return err_new(r->a, 404, "EntryNotFound", "Entry not found");
}
