/* tree.c — what is in a bucket: listings and single paths.
 *
 * The cursor of a page is base64url of "v1|ORDER|TIME|KEY": the order is p or t (by path, by time)
 * or l (the listing fell back to the plain prefix).
 */
#include "bucket/bucket.h"

#define PAGE_DEFAULT 1000
#define PATHS_MAX 2000

/* --- listing --- */

static err read_flag(struct req *r, const char *name, bool *ret)
{
    str v = req_query(r, name);

    if (!v.len)
        return OK;
    if (str_ieq(v, STR("true")) || str_eq(v, STR("1")))
        *ret = true;
    else if (str_ieq(v, STR("false")) || str_eq(v, STR("0")))
        *ret = false;
    else
        return err_new(r->a, 400, NULL, "\"%s\" must be true or false.", name);
    return OK;
}

static err read_order(struct req *r, struct bucket_query *q)
{
    str sort = req_query(r, "sort"), direction = req_query(r, "direction");

    if (sort.len && !str_eq(sort, STR("path")) && !str_eq(sort, STR("uploadedAt")))
        return err_new(r->a, 400, NULL, "\"sort\" must be one of [path, uploadedAt]");
    q->by_time = str_eq(sort, STR("uploadedAt"));
    q->descending = q->by_time;
    if (str_eq(direction, STR("asc")))
        q->descending = false;
    else if (str_eq(direction, STR("desc")))
        q->descending = true;
    else if (direction.len)
        return err_new(r->a, 400, NULL, "\"direction\" must be one of [asc, desc]");
    return OK;
}

static err read_cursor(struct req *r, struct bucket_query *q)
{
    str text = req_query(r, "cursor"), order, time;
    struct bucket_cursor *c = &q->after;

    if (!text.len)
        return OK;
    c->is_set = base64_decode(r->a, text, &text) && str_skip(&text, STR("v1|"));
    order = str_cut(&text, '|');
    time = str_cut(&text, '|');
    c->is_lexical = str_eq(order, STR("l"));
    c->key = text;
    if (!c->is_set || !text.ptr || !text.len || text.len > BUCKET_PATH_MAX + 1 ||
        !str_i64(time, &c->uploaded_at_ms) || str_eq(order, STR("t")) != q->by_time ||
        (c->is_lexical && !q->recursive))
        return err_new(r->a, 400, NULL,
                       "This cursor is not one of this listing; begin without it, and follow the "
                       "Link header.");
    return OK;
}

static err read_query(struct req *r, struct bucket_query *q)
{
    str limit = req_query(r, "limit");
    uint64_t n = PAGE_DEFAULT;

    if (limit.len && (!str_u64(limit, &n) || n < 1 || n > BUCKET_PAGE_MAX))
        return err_new(r->a, 400, NULL, "\"limit\" must be a number from 1 to %d", BUCKET_PAGE_MAX);
    q->limit = (size_t)n;
    TRY(read_flag(r, "recursive", &q->recursive));
    TRY(read_order(r, q));
    return read_cursor(r, q);
}

static void next_page(struct req *r, const struct bucket_query *q, const struct bucket_cursor *c)
{
    str text = arena_printf(r->a, "v1|%s|%lld|",
                            q->by_time      ? "t"
                            : c->is_lexical ? "l"
                                            : "p",
                            (long long)c->uploaded_at_ms);

    text = arena_cat(r->a, text, c->key);
    reply_next_link(r, base64url_encode(r->a, text.ptr, text.len));
}

static void put_dir(struct json_out *j, const struct bucket_file *dir)
{
    json_obj(j);
    json_kv_str(j, "type", STR("directory"));
    json_kv_str(j, "path", dir->path);
    json_kv_time(j, "uploadedAt", dir->uploaded_at_ms);
    json_obj_end(j);
}

err bucket_tree(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct bucket_page page = {0};
    struct bucket_query q = {
        .repo_id = r->repo->id, .path = req_param(r, "path"), .recursive = true};

    TRY(read_query(r, &q));
    if (q.path.len <= BUCKET_PATH_MAX && utf8_valid(q.path)) /* else it is no path of any file */
        TRY(bucket_list(r->store->hub, r->a, &q, &page));
    json_arr(j);
    for (size_t i = 0; i < page.count; i++)
        if (page.items[i].is_dir)
            put_dir(j, &page.items[i].file);
        else
            bucket_put_file(j, &page.items[i].file);
    json_arr_end(j);
    if (page.more)
        next_page(r, &q, &page.next);
    return reply_json(r, 200, j);
}

/* --- single paths --- */

static err put_path(struct req *r, struct json_out *j, str path)
{
    struct arena_mark m = arena_mark(r->a);
    struct bucket_file f;
    bool found;

    TRY(bucket_file_find(r->store->hub, r->a, r->repo->id, path, &f, &found));
    if (found)
        bucket_put_file(j, &f);
    arena_rewind(r->a, m);
    return OK;
}

static const struct err_info too_many = {
    413, NULL, STR_INIT("At most 2000 paths can be asked for at once."), NULL, {0}};

static err put_json_paths(struct req *r, struct json_out *j)
{
    const struct json *paths = json_get(r->json, "paths");

    if (json_type(paths) == JSON_STR)
        return put_path(r, j, json_str(paths));
    if (json_type(paths) != JSON_ARR)
        return err_new(r->a, 400, NULL, "\"paths\" must be a list of paths.");
    if (json_len(paths) > PATHS_MAX)
        return &too_many;
    for (size_t i = 0; i < json_len(paths); i++) {
        if (json_type(json_at(paths, i)) != JSON_STR)
            return err_new(r->a, 400, NULL, "\"paths\" must be a list of paths.");
        TRY(put_path(r, j, json_str(json_at(paths, i))));
    }
    return OK;
}

static err put_form_paths(struct req *r, struct json_out *j)
{
    size_t asked = 0;

    for (size_t i = 0; i < r->form.count; i++) {
        if (!str_eq(r->form.pairs[i].name, STR("paths")))
            continue;
        if (++asked > PATHS_MAX)
            return &too_many;
        TRY(put_path(r, j, r->form.pairs[i].value));
    }
    return OK;
}

/* Files only: clients take every entry for one. */
err bucket_paths_info(struct req *r)
{
    struct json_out *j = json_out_new(r->a);

    json_arr(j);
    TRY(r->form.count ? put_form_paths(r, j) : put_json_paths(r, j));
    json_arr_end(j);
    return reply_json(r, 200, j);
}
