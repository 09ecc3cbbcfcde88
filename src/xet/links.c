/* links.c — what the hub says about files that live in xorbs (see xet.h). */
#include "xet/xet.h"

#define FILEINFO "application/vnd.xet-fileinfo+json"

str xet_token_url(struct req *r, const struct repo *repo, bool may_write, str rev)
{
    str url =
        arena_cat(r->a, r->base, STR("/api/"), repo_kind_plural(repo->kind), STR("/"),
                  repo->full_name, may_write ? STR("/xet-write-token") : STR("/xet-read-token"));

    return repo->kind == REPO_BUCKET ? url : arena_cat(r->a, url, STR("/"), url_encode(r->a, rev));
}

static str reconstruction_url(struct req *r, file_hash h)
{
    return arena_cat(r->a, xet_cas_url(r), STR("/v1/reconstructions/"), file_hash_text(r->a, h));
}

void xet_file_headers(struct req *r, const struct repo *repo, str rev, file_hash h)
{
    str token = xet_token_url(r, repo, false, rev);

    reply_header(r, "X-Xet-Hash", file_hash_text(r->a, h));
    reply_header(r, "X-Xet-Refresh-Route", token);
    reply_header(r, "Link",
                 arena_cat(r->a, STR("<"), token, STR(">; rel=\"xet-auth\", <"),
                           reconstruction_url(r, h), STR(">; rel=\"xet-reconstruction-info\"")));
}

bool xet_wants_fileinfo(const struct req *r)
{
    return str_has(req_header(r, "Accept"), STR(FILEINFO));
}

err xet_fileinfo_reply(struct req *r, const struct repo *repo, str rev, file_hash h, str etag,
                       uint64_t size, const char *content_type)
{
    struct json_out *j = json_out_new(r->a);

    json_obj(j);
    json_kv_str(j, "hash", file_hash_text(r->a, h));
    json_kv_str(j, "refreshUrl", xet_token_url(r, repo, false, rev));
    json_kv_str(j, "reconstructionUrl", reconstruction_url(r, h));
    json_kv_str(j, "etag", etag);
    json_kv_i64(j, "size", (int64_t)size);
    if (content_type)
        json_kv_str(j, "contentType", str_c(content_type));
    json_obj_end(j);
    return reply_bytes(r, 200, FILEINFO, json_out_str(j));
}
