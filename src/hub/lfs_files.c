/* lfs_files.c — the large files of a repository: list, delete, give to another repository without
 * sending them again (hub-api.md 12.4, 12.5). */
#include "cas/hash.h"
#include "git/lfs_pointer.h"
#include "git/object.h"
#include "git/tree_diff.h"
#include "hub/lfs.h"
#include "hub/people.h"
#include "store/rewrite.h"
#include "store/xet.h"

#define PAGE_MAX 1000          /* files in one page, one deletion, one duplication */
#define PROPOSAL_MAX 100       /* pull requests and converted refs that are looked into */
#define PLACES_MAX 10000       /* files that are only there */
#define PROVE_MAX (2ull << 30) /* bytes that one duplication hashes before it is answered */

/* --- where is it? --- */

/* Files that stand on no branch, but on refs/pr/N or refs/convert/NAME: what differs from main. */
struct place {
    sha256 sha256;
    str ref, path;
};
struct places {
    struct req *r;
    struct odb *odb;
    struct arena *scratch;
    str ref; /* being looked into */
    struct place *items;
    size_t count;
    bool is_loaded;
};

static err note_place(void *arg, const struct tree_change *c)
{
    struct places *p = arg;
    struct lfs_pointer pointer;
    enum obj_type type;
    uint64_t size;
    bool found;
    str data;

    if (!mode_is_blob(c->new_mode) || p->count == PLACES_MAX)
        return OK;
    arena_reset(p->scratch);
    TRY(odb_header(p->odb, p->scratch, c->new_id, &type, &size, &found));
    if (!found || size > LFS_POINTER_MAX)
        return OK;
    TRY(odb_read(p->odb, p->scratch, c->new_id, OBJ_BLOB, &data));
    if (lfs_pointer_parse(data, &pointer))
        p->items[p->count++] = (struct place){pointer.oid, p->ref, arena_str(p->r->a, c->path)};
    return OK;
}

static err look_into(struct places *p, struct arena *diff, oid main_tree, const struct ref *ref)
{
    struct commit_obj head;

    arena_reset(diff);
    TRY(commit_read(p->odb, diff, ref->peeled, &head));
    p->ref = ref->name;
    return tree_diff(p->odb, diff, main_tree, head.tree, note_place, p);
}

static err load_places(struct places *p, struct arena *diff)
{
    struct req *r = p->r;
    struct ref_list refs;
    struct commit_obj head;
    oid main_tree = OID_ZERO;
    size_t looked = 0;

    TRY(ref_list(r->store->hub, r->a, r->repo->id, &refs));
    p->odb = object_odb(r->store, r->a, r->repo->id);
    p->items = arena_many(r->a, struct place, PLACES_MAX);
    for (size_t i = 0; i < refs.count; i++)
        if (str_eq(refs.items[i].name, STR("refs/heads/main"))) {
            TRY(commit_read(p->odb, diff, refs.items[i].peeled, &head));
            main_tree = head.tree;
        }
    for (size_t i = refs.count; i-- > 0 && looked < PROPOSAL_MAX;)
        if (str_starts(refs.items[i].name, STR("refs/pr/")) ||
            str_starts(refs.items[i].name, STR("refs/convert/"))) {
            TRY(look_into(p, diff, main_tree, &refs.items[i]));
            looked++;
        }
    return OK;
}

static err place_find(struct places *p, sha256 h, str *ret_ref, str *ret_path)
{
    if (!p->is_loaded) {
        struct arena *diff = arena_new(0);
        err e;

        p->is_loaded = true;
        p->scratch = arena_new(0);
        e = err_copy(p->r->a, load_places(p, diff));
        arena_free(p->scratch);
        arena_free(diff);
        TRY(e);
    }
    for (size_t i = 0; i < p->count; i++)
        if (sha256_eq(p->items[i].sha256, h)) {
            *ret_ref = p->items[i].ref;
            *ret_path = p->items[i].path;
            break;
        }
    return OK;
}

/* --- list --- */

static err put_pusher(struct req *r, struct json_out *j, int64_t user_id)
{
    struct account user;

    if (user_id == 0)
        return OK;
    TRY(account_by_id(r->store->hub, r->a, user_id, &user));
    if (user.id == 0)
        return OK;
    json_key(j, "pusher");
    people_put(r, j, &user);
    return OK;
}

static err put_file(struct req *r, struct json_out *j, struct places *places,
                    const struct repo_file *f)
{
    str id = sha256_hex(r->a, f->sha256), ref, path;

    TRY(repo_file_place(r->store->hub, r->a, r->repo->id, f->sha256, &ref, &path));
    if (!ref.ptr)
        TRY(place_find(places, f->sha256, &ref, &path));
    if (!path.ptr)
        path = f->path.len ? f->path : id; /* in the history only, or never committed */
    json_obj(j);
    json_kv_str(j, "fileOid", id);
    json_kv_str(j, "oid", id);
    json_kv_str(j, "filename", path);
    json_kv_i64(j, "size", (int64_t)f->size);
    json_kv_time(j, "pushedAt", f->pushed_at_ms);
    if (ref.ptr)
        json_kv_str(j, "ref", ref);
    TRY(put_pusher(r, j, f->pusher_id));
    json_obj_end(j);
    return OK;
}

err hub_lfs_files(struct req *r)
{
    str text = req_query(r, "limit"), cursor = req_query(r, "cursor"), last;
    struct json_out *j = json_out_new(r->a);
    struct places places = {.r = r};
    struct repo_file_list list, more;
    uint64_t limit = PAGE_MAX;

    if (text.len && (!str_u64(text, &limit) || limit < 1))
        return err_new(r->a, 400, NULL, "\"limit\" must be a number from 1 to %d", PAGE_MAX);
    limit = limit > PAGE_MAX ? PAGE_MAX : limit;
    TRY(repo_file_list(r->store->hub, r->a, r->repo->id, cursor, (int64_t)limit, &list));
    json_arr(j);
    for (size_t i = 0; i < list.count; i++)
        TRY(put_file(r, j, &places, &list.items[i]));
    json_arr_end(j);
    if (list.count == limit) {
        last = sha256_hex(r->a, list.items[list.count - 1].sha256);
        TRY(repo_file_list(r->store->hub, r->a, r->repo->id, last, 1, &more));
        if (more.count > 0)
            reply_next_link(r, last);
    }
    return reply_json(r, 200, j);
}

/* --- delete --- */

static err delete_files(struct req *r, const sha256 *files, size_t count, bool rewrites)
{
    if (rewrites)
        TRY(rewrite_without(r->store, r->a, r->repo, files, count));
    else
        TRY(repo_file_forget(r->store->hub, r->repo->id, files, count));
    return reply_bytes(r, 200, "application/json; charset=utf-8", STR("{}"));
}

err hub_lfs_files_delete_batch(struct req *r)
{
    const struct json *deletions = json_get(r->json, "deletions"),
                      *list = json_get(deletions, "sha");
    const struct json *flag = json_get(deletions, "rewriteHistory");
    size_t count = json_len(list);
    bool rewrites = true;
    sha256 *files;

    if (json_type(list) != JSON_ARR || count < 1 || count > PAGE_MAX)
        return err_new(r->a, 400, NULL,
                       "\"deletions.sha\" is a list of 1 to %d values of \"fileOid\".", PAGE_MAX);
    if (flag && !json_bool(flag, &rewrites))
        return err_new(r->a, 400, NULL, "\"deletions.rewriteHistory\" is true or false.");
    files = arena_many(r->a, sha256, count);
    for (size_t i = 0; i < count; i++)
        if (!sha256_from_hex(json_str(json_at(list, i)), &files[i]))
            return err_new(r->a, 400, NULL, "Each of \"deletions.sha\" has 64 hex digits.");
    return delete_files(r, files, count, rewrites);
}

err hub_lfs_files_delete(struct req *r)
{
    bool rewrites = !req_query(r, "rewriteHistory").ptr || req_query_bool(r, "rewriteHistory");
    struct content c;
    bool found;
    sha256 h;

    if (!sha256_from_hex(req_param(r, "oid"), &h))
        return err_new(r->a, 400, NULL, "A \"fileOid\" has 64 hex digits.");
    TRY(repo_file_find(r->store->hub, r->repo->id, h, &c, &found));
    if (!found)
        return err_new(r->a, 404, "EntryNotFound", "This repository has no large file of this id.");
    return delete_files(r, &h, 1, rewrites);
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
    uint64_t proved; /* bytes that this request has hashed */
    struct wish *wishes;
    size_t count, failed;
};

/* A SHA-256 that only a client vouches for is nobody else's: it is proved before it spreads, as far
 * as one request may take; a job proves the rest. */
static err prove(struct duplication *d, struct wish *w)
{
    bool is_true = sha256_eq(w->content.sha256, sha256_of("", 0));

    if (w->content.is_verified)
        return OK;
    if (w->content.size > PROVE_MAX - d->proved) {
        w->bad = "The content of this file is still being checked; try again in a minute.";
        return OK;
    }
    d->proved += w->content.size;
    if (w->content.file_id != 0)
        TRY(claim_prove(d->r->store, d->r->a, &w->content, &is_true));
    w->content.is_verified = is_true;
    if (!is_true)
        w->bad = "The bytes of this file do not have this SHA-256; upload it again.";
    return OK;
}

static err look(struct duplication *d, struct wish *w)
{
    struct db *db = d->r->store->hub;
    struct content there;
    file_hash hash;
    sha256 h;
    bool found;

    if (!sha256_from_hex(w->sha256_text, &h)) {
        w->bad = "\"sha256\" has 64 hex digits.";
        return OK;
    }
    TRY(repo_file_find(db, d->r->repo->id, h, &w->content, &found));
    if (!found)
        w->bad = "The source repository has no such file.";
    else if (w->xet_text.ptr &&
             (!file_hash_parse(w->xet_text, &hash) || !file_hash_eq(hash, w->content.hash)))
        w->bad = "\"xetHash\" is not the hash of this file.";
    if (!w->bad)
        TRY(prove(d, w));
    if (w->bad)
        return OK;
    TRY(repo_file_find(db, d->target->id, h, &there, &found));
    w->is_new = !found || !there.is_verified;
    return OK;
}

static err read_wishes(struct duplication *d)
{
    struct req *r = d->r;
    const struct json *files = json_get(r->json, "files");
    uint64_t bytes = 0;

    d->count = json_len(files);
    if (json_type(files) != JSON_ARR || d->count < 1 || d->count > PAGE_MAX)
        return err_new(r->a, 400, NULL, "\"files\" is a list of 1 to %d files.", PAGE_MAX);
    d->wishes = arena_many(r->a, struct wish, d->count);
    for (size_t i = 0; i < d->count; i++) {
        struct wish *w = &d->wishes[i];

        w->sha256_text = json_get_str(json_at(files, i), "sha256");
        w->xet_text = json_get_str(json_at(files, i), "xetHash");
        w->path = json_get_str(json_at(files, i), "filename");
        TRY(look(d, w));
        d->failed += w->bad != NULL;
        if (w->is_new && __builtin_add_overflow(bytes, w->content.size, &bytes))
            bytes = UINT64_MAX / 4;
    }
    return repo_quota_check(r->store->hub, r->a, d->target, bytes);
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

/* The route lets those in who may read the source; the target asks for more. */
err hub_lfs_files_duplicate(struct req *r)
{
    const struct json *target = json_get(r->json, "target");
    str type = json_get_str(target, "type"), name = json_get_str(target, "name");
    struct duplication d = {.r = r};
    enum repo_kind kind;

    if (!repo_kind_parse(type, &kind) || !name.len)
        return err_new(r->a, 400, NULL,
                       "\"target\" needs \"type\" (model, dataset or space) and \"name\".");
    if (kind == REPO_BUCKET)
        return err_new(r->a, 400, NULL,
                       "Files are copied into a bucket with \"copyFile\" lines of its batch.");
    if (!r->user)
        return auth_needed(r, false);
    TRY(auth_repo(r, kind, name, ACCESS_WRITE, &d.target));
    TRY(read_wishes(&d));
    TRY(db_write(r->store->hub, register_all, &d));
    return reply_duplication(&d);
}
