/* chunks.c — "do you have this chunk?" (xet.md 7.8), asked by uploads for a few of their chunks. */
#include "base/settings.h"
#include "store/dedup.h"
#include "xet/xet.h"

static const struct err_info unknown = {
    404, NULL, STR_INIT("No chunk of this hash is known here; send it."), NULL, {0}};
static const struct err_info no_chunk_hashes = {
    404,
    NULL,
    STR_INIT("This hub does not tell the chunks of a file; download it and upload it changed."),
    NULL,
    {0}};

/* A failure is a miss: clients repeat what answers 5xx, and all a miss costs is sending bytes. */
static err as_miss(struct req *r, err e)
{
    struct err_info *miss;

    if (!e || e->status < 500)
        return e;
    miss = arena_one(r->a, struct err_info);
    *miss = unknown;
    miss->at = e->at;
    miss->detail = e->detail.len ? e->detail : e->text;
    return miss;
}

err xet_chunk(struct req *r)
{
    struct dedup_query q = {.all = str_eq(str_c(settings.dedup_scope), STR("all"))};
    struct xet_token token;
    str space = req_param(r, "space"), shard;

    TRY(as_miss(r, xet_token_check(r, false, &token)));
    if (!chunk_hash_parse(req_param(r, "hash"), &q.chunk))
        return err_new(r->a, 400, NULL, "A chunk is named by the 64 hex digits of its hash.");
    if (!str_eq(space, STR("default")) && !str_eq(space, STR("default-merkledb")))
        return &unknown;
    q.user = auth_account(r);
    TRY(as_miss(r, dedup_answer(r->store, r->a, &q, &shard)));
    if (!shard.ptr)
        return &unknown;
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_no_gzip(r);
    return reply_bytes(r, 200, "application/octet-stream", shard);
}

/* For clients that change ranges of a stored file without having it.  They go on without. */
err xet_file_chunk_hashes(struct req *r)
{
    struct xet_token token;

    TRY(xet_token_check(r, false, &token));
    return &no_chunk_hashes;
}
