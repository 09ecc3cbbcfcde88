/* xet.c — a bucket's tokens for the CAS, and giving its contents to a repository
 * (lfs-files/duplicate).
 *
 * A repository knows contents by SHA-256, a bucket does not: what the request says is proved by
 * reading the content, unless somebody proved it before.  A content too large to be read while the
 * client waits is registered as claimed, as a shard would do it; a background job proves it.
 */
#include "bucket/bucket.h"

#define FILES_MAX 1000
#define NAME_MAX_BYTES 1000
#define PROVE_MAX (1ull << 30) /* bytes read for one request */

err bucket_read_token(struct req *r)
{
    return xet_token_reply(r, r->repo, false);
}

err bucket_write_token(struct req *r)
{
    return xet_token_reply(r, r->repo, true);
}

/* --- duplicate --- */

struct wish { /* a file of the request */
    str sha256_text, xet_text, path;
    struct content content;
    const char *bad;
    bool is_new; /* the target has not got it yet */
};

struct duplication {
    struct req *r;
    struct repo *target;
    struct wish *wishes;
    size_t count, failed;
    uint64_t proved; /* bytes */
};

/* Is the content's SHA-256 what the request says? */
static err prove(struct duplication *d, struct wish *w)
{
    bool is_true = true;

    TRY(bucket_sum_known(d->r->store->hub, &w->content, &w->content.is_verified));
    if (w->content.is_verified)
        return OK;
    if (w->content.size > PROVE_MAX - d->proved)
        return OK; /* stays a claim */
    d->proved += w->content.size;
    TRY(claim_prove(d->r->store, d->r->a, &w->content, &is_true));
    w->content.is_verified = is_true;
    if (!is_true)
        w->bad = "\"sha256\" is not the hash of this content.";
    return OK;
}

static err look(struct duplication *d, struct wish *w)
{
    struct db *db = d->r->store->hub;
    struct content there;
    file_hash h;
    sha256 sum;
    bool found;
    str path;

    if (!sha256_from_hex(w->sha256_text, &sum))
        w->bad = "\"sha256\" has 64 hex digits.";
    else if (!file_hash_parse(w->xet_text, &h))
        w->bad = "\"xetHash\" has 64 hex digits.";
    else if (w->path.len > NAME_MAX_BYTES)
        w->bad = "\"filename\" has at most 1000 bytes.";
    if (w->bad)
        return OK;
    TRY(xet_file_find(db, d->r->a, d->r->repo->id, h, &w->content, &path, &found));
    if (!found) {
        w->bad = "The bucket has no content of this hash.";
        return OK;
    }
    w->content.sha256 = sum;
    TRY(repo_file_find(db, d->target->id, sum, &there, &found));
    w->is_new = !found || !file_hash_eq(there.hash, h);
    return w->is_new ? prove(d, w) : OK;
}

static err read_wishes(struct duplication *d, uint64_t *ret_bytes)
{
    struct req *r = d->r;
    const struct json *files = json_get(r->json, "files");

    d->count = json_len(files);
    if (json_type(files) != JSON_ARR || d->count < 1 || d->count > FILES_MAX)
        return err_new(r->a, 400, NULL, "\"files\" is a list of 1 to %d files.", FILES_MAX);
    d->wishes = arena_many(r->a, struct wish, d->count);
    for (size_t i = 0; i < d->count; i++) {
        struct wish *w = &d->wishes[i];

        w->sha256_text = json_get_str(json_at(files, i), "sha256");
        w->xet_text = json_get_str(json_at(files, i), "xetHash");
        w->path = json_get_str(json_at(files, i), "filename");
        TRY(look(d, w));
        d->failed += w->bad != NULL;
        if (w->is_new && !w->bad && __builtin_add_overflow(*ret_bytes, w->content.size, ret_bytes))
            *ret_bytes = UINT64_MAX / 4;
    }
    return OK;
}

static err register_all(struct db *tx, void *arg)
{
    const struct duplication *d = arg;

    for (size_t i = 0; i < d->count; i++) {
        const struct wish *w = &d->wishes[i];

        if (w->bad || !w->is_new)
            continue;
        TRY(repo_file_add(tx, d->target->id, &w->content, d->r->user->account.id));
        if (w->path.len)
            TRY(repo_file_set_path(tx, d->target->id, w->content.sha256, w->path));
    }
    return repo_set_storage(tx, d->target->id);
}

static err reply_duplication(const struct duplication *d)
{
    struct json_out *j = json_out_new(d->r->a);

    json_obj(j);
    json_kv_bool(j, "success", d->failed == 0);
    json_kv_i64(j, "processed", (int64_t)d->count);
    json_kv_i64(j, "succeeded", (int64_t)(d->count - d->failed));
    json_key(j, "failed");
    json_arr(j);
    for (size_t i = 0; i < d->count; i++) {
        const struct wish *w = &d->wishes[i];

        if (!w->bad)
            continue;
        json_obj(j);
        json_kv_str(j, "xetHash", w->xet_text);
        json_kv_str(j, "sha256", w->sha256_text);
        json_kv_str(j, "error", str_c(w->bad));
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
    return reply_json(d->r, d->failed ? 207 : 200, j);
}

/* The route lets those in who may read the bucket; the target asks for more. */
err bucket_duplicate(struct req *r)
{
    const struct json *target = json_get(r->json, "target");
    str name = json_get_str(target, "name");
    struct duplication d = {.r = r};
    enum repo_kind kind;
    uint64_t bytes = 0;

    if (!repo_kind_parse(json_get_str(target, "type"), &kind) || kind == REPO_BUCKET || !name.len)
        return err_new(r->a, 400, NULL,
                       "\"target\" needs \"type\" (model, dataset or space) and \"name\".");
    if (!r->user)
        return auth_needed(r, false);
    TRY(auth_repo(r, kind, name, ACCESS_WRITE, &d.target));
    TRY(read_wishes(&d, &bytes));
    if (bytes > 0)
        TRY(bucket_quota_check(r->store->hub, r->a, d.target, bytes, 413));
    TRY(db_write(r->store->hub, register_all, &d));
    return reply_duplication(&d);
}
