/* tree.c — browsing a revision: folders, single paths, sizes.
 *
 * The cursor of a page is base64url of "k:" and the key of its last entry.  Other clients make up
 * cursors of their own; one that we did not write answers an empty page.
 */
#include "hub/hub.h"
#include "hub/last_commit.h"

#define TREE_PAGE 1000
#define TREE_PAGE_EXPANDED 50
#define PATHS_MAX 2000

/* --- one entry --- */

static void put_lfs(struct req *r, struct json_out *j, const struct entry *e)
{
    json_key(j, "lfs");
    json_obj(j);
    json_kv_str(j, "oid", sha256_hex(r->a, e->lfs));
    json_kv_i64(j, "size", (int64_t)e->size);
    json_kv_i64(j, "pointerSize", (int64_t)e->pointer_size);
    json_obj_end(j);
}

static err put_last_commit(struct req *r, struct json_out *j, struct commit_titles *t,
                           const struct entry *e)
{
    const struct commit_title *c;

    TRY(commit_title(t, e->last_commit, &c));
    json_key(j, "lastCommit");
    json_obj(j);
    json_kv_str(j, "id", sha1_hex(r->a, c->id));
    json_kv_str(j, "title", c->title);
    json_kv_time(j, "date", c->at_ms);
    json_obj_end(j);
    return OK;
}

/* `titles` NULL: not expanded. */
static err put_entry(struct req *r, struct json_out *j, const struct entry *e, file_hash hash,
                     struct commit_titles *titles)
{
    bool is_dir = ENTRY_IS_DIR(e), is_module = (e->mode & 0170000) == 0160000;

    json_obj(j);
    json_kv_str(j, "type", is_dir ? STR("directory") : is_module ? STR("unknown") : STR("file"));
    json_kv_str(j, "oid", sha1_hex(r->a, e->oid));
    json_kv_i64(j, "size", (int64_t)e->size);
    json_kv_str(j, "path", e->path);
    if (e->is_lfs)
        put_lfs(r, j, e);
    if (!file_hash_is_zero(hash))
        json_kv_str(j, "xetHash", file_hash_text(r->a, hash));
    if (titles && e->has_last_commit)
        TRY(put_last_commit(r, j, titles, e));
    if (titles && !is_dir && !is_module) /* nothing scans files */
        json_kv_raw(j, "securityFileStatus",
                    STR("{\"status\":\"unscanned\",\"avScan\":{\"status\":\"unscanned\"},"
                        "\"pickleImportScan\":{\"status\":\"unscanned\",\"pickleImports\":[]}}"));
    json_obj_end(j);
    return OK;
}

static err put_entries(struct req *r, struct json_out *j, const struct revision *rev,
                       struct entry *entries, size_t count, bool expand)
{
    struct commit_titles titles = commit_titles(r, r->repo);
    file_hash *hashes;

    TRY(hub_file_hashes(r, r->repo, entries, count, &hashes));
    if (expand)
        TRY(last_commit_find(r, r->repo, rev->commit, entries, count));
    json_arr(j);
    for (size_t i = 0; i < count; i++)
        TRY(put_entry(r, j, &entries[i], hashes[i], expand ? &titles : NULL));
    json_arr_end(j);
    return OK;
}

/* A path as clients write it: no slash at either end. */
static str clean_path(str path)
{
    while (str_skip(&path, STR("/"))) {
    }
    while (str_drop(&path, STR("/"))) {
    }
    return path.ptr ? path : STR("");
}

/* --- a folder --- */

static bool read_cursor(struct req *r, str cursor, str *ret_key)
{
    str text;

    if (!base64_decode(r->a, cursor, &text) || !str_skip(&text, STR("k:")) || text.len == 0)
        return false;
    *ret_key = text;
    return true;
}

static void next_page(struct req *r, const struct entry *last)
{
    str text = arena_cat(r->a, STR("k:"), last->path, ENTRY_IS_DIR(last) ? STR("/") : STR(""));

    reply_next_link(r, base64url_encode(r->a, text.ptr, text.len));
}

static err read_limit(struct req *r, bool expand, size_t *ret)
{
    size_t max = expand ? TREE_PAGE_EXPANDED : TREE_PAGE;
    str text = req_query(r, "limit");
    uint64_t limit = max;

    if (text.len && !str_u64(text, &limit))
        return err_new(r->a, 400, NULL, "\"limit\" must be a number from 1 to %d", TREE_PAGE);
    *ret = limit < 1 ? 1 : limit > max ? max : (size_t)limit;
    return OK;
}

static bool is_no_entry(err e)
{
    return e && e->code && str_eq(str_c(e->code), STR("EntryNotFound"));
}

err hub_tree(struct req *r)
{
    bool expand = req_query_bool(r, "expand");
    str cursor = req_query(r, "cursor");
    struct json_out *j = json_out_new(r->a);
    struct entry_query q = {
        .path = clean_path(req_param(r, "path")),
        .recursive = req_query_bool(r, "recursive"),
        .last_commit = expand,
    };
    struct entry_list list = {0};
    struct revision rev;
    err e;

    TRY(read_limit(r, expand, &q.limit));
    TRY(hub_revision(r, &rev));
    if (cursor.len && !read_cursor(r, cursor, &q.after))
        return reply_bytes(r, 200, "application/json; charset=utf-8", STR("[]"));
    e = entry_list(r->store, r->a, r->repo, &rev, &q, &list);
    if (is_no_entry(e))
        return hub_no_entry(r, q.path);
    TRY(e);
    TRY(put_entries(r, j, &rev, list.items, list.count, expand));
    if (list.more && list.count)
        next_page(r, &list.items[list.count - 1]);
    return reply_json(r, 200, j);
}

/* --- single paths --- */

struct paths {
    str *items;
    size_t count;
};

static const struct err_info too_many = {
    413, NULL, STR_INIT("At most 2000 paths can be asked for at once."), NULL, {0}};

static void paths_add(struct paths *p, str path)
{
    path = clean_path(path);
    for (size_t i = 0; i < p->count; i++)
        if (str_eq(p->items[i], path))
            return;
    if (path.len)
        p->items[p->count++] = path;
}

static err json_paths(struct req *r, struct paths *p)
{
    const struct json *paths = json_get(r->json, "paths");

    if (json_type(paths) == JSON_STR) {
        paths_add(p, json_str(paths));
        return OK;
    }
    if (paths && json_type(paths) != JSON_ARR && json_type(paths) != JSON_NULL)
        return err_new(r->a, 400, NULL, "\"paths\" must be a list of paths.");
    if (json_len(paths) > PATHS_MAX)
        return &too_many;
    for (size_t i = 0; i < json_len(paths); i++) {
        if (json_type(json_at(paths, i)) != JSON_STR)
            return err_new(r->a, 400, NULL, "\"paths\" must be a list of paths.");
        paths_add(p, json_str(json_at(paths, i)));
    }
    return OK;
}

static err form_paths(struct req *r, struct paths *p)
{
    size_t asked = 0;

    for (size_t i = 0; i < r->form.count; i++) {
        if (!str_eq(r->form.pairs[i].name, STR("paths")))
            continue;
        if (++asked > PATHS_MAX)
            return &too_many;
        paths_add(p, r->form.pairs[i].value);
    }
    return OK;
}

static bool wants_expand(struct req *r)
{
    const struct json *flag = json_get(r->json, "expand");

    if (r->json)
        return json_true(flag) || str_ieq(json_str(flag), STR("true"));
    return url_query_bool(&r->form, STR("expand"));
}

/* The entries of the paths that exist; the arena keeps them and nothing of the search. */
static err find_paths(struct req *r, const struct revision *rev, const struct paths *p,
                      struct entry *entries, size_t *ret_count)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++) {
        struct arena_mark m = arena_mark(r->a);
        struct entry e;
        bool found;

        TRY(entry_find(r->store, r->a, r->repo, rev, p->items[i], &e, &found));
        e.path = p->items[i];
        if (found)
            entries[count++] = e;
        arena_rewind(r->a, m);
    }
    *ret_count = count;
    return OK;
}

err hub_paths_info(struct req *r)
{
    struct paths p = {arena_many(r->a, str, PATHS_MAX), 0};
    struct entry *entries = arena_many(r->a, struct entry, PATHS_MAX);
    struct json_out *j = json_out_new(r->a);
    struct revision rev;
    size_t count;

    TRY(hub_revision(r, &rev));
    TRY(r->json ? json_paths(r, &p) : form_paths(r, &p));
    TRY(find_paths(r, &rev, &p, entries, &count));
    TRY(put_entries(r, j, &rev, entries, count, wants_expand(r)));
    return reply_json(r, 200, j);
}

/* --- sizes --- */

err hub_treesize(struct req *r)
{
    str path = clean_path(req_param(r, "path"));
    struct json_out *j = json_out_new(r->a);
    struct revision rev;
    uint64_t bytes = 0;
    err e;

    TRY(hub_revision(r, &rev));
    e = entry_size(r->store, r->a, r->repo, &rev, path, &bytes);
    if (is_no_entry(e))
        return hub_no_entry(r, path);
    TRY(e);
    json_obj(j);
    json_kv_str(j, "path", arena_cat(r->a, STR("/"), path));
    json_kv_i64(j, "size", (int64_t)bytes);
    json_obj_end(j);
    return reply_json(r, 200, j);
}
