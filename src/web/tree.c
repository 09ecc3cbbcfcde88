/* tree.c — folders: folders first, then files, each with the commit that last changed it. */
#include "web/tree.h"
#include "base/clock.h"
#include "hub/hub.h"
#include "hub/last_commit.h"
#include "web/templates.h"
#include "web/web.h"
#include <stdlib.h>

#define PAGE_ROWS 1000

/* --- filling --- */

static str name_of(const struct entry *e)
{
    ptrdiff_t slash = str_rfind(e->path, '/');

    return slash < 0 ? e->path : str_from(e->path, (size_t)slash + 1);
}

static str key_of(struct arena *a, const struct entry *e)
{
    return arena_cat(a, e->path, ENTRY_IS_DIR(e) ? STR("/") : STR(""));
}

static err fill_row(struct req *r, const struct tree_view *v, struct commit_titles *titles,
                    const struct entry *e, struct tree_row *row)
{
    const struct commit_title *c = NULL;
    bool is_dir = ENTRY_IS_DIR(e);

    *row = (struct tree_row){
        .entry = e,
        .name = is_dir ? arena_cat(r->a, name_of(e), STR("/")) : name_of(e),
        .href = arena_cat(r->a, v->head.path, is_dir ? STR("/tree/") : STR("/blob/"),
                          url_encode(r->a, v->head.rev), STR("/"), url_encode_path(r->a, e->path)),
        .size = is_dir ? STR("") : view_bytes(r->a, e->size),
        .is_dir = is_dir,
    };
    if (!e->has_last_commit)
        return OK;
    TRY(commit_title(titles, e->last_commit, &c));
    row->commit_title = c->title;
    row->commit_href =
        arena_cat(r->a, v->head.path, STR("/commit/"), sha1_hex(r->a, e->last_commit));
    row->age = view_ago(r->a, c->at_ms);
    row->age_iso = clock_iso(r->a, c->at_ms);
    return OK;
}

/* Folders first; inside each group the order of the list, which is git's. */
static err fill_rows(struct req *r, struct tree_view *v, const struct entry_list *list)
{
    struct commit_titles titles = commit_titles(r, r->repo);

    v->rows = arena_many(r->a, struct tree_row, list->count + 1);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < list->count; i++)
            if (ENTRY_IS_DIR(&list->items[i]) == (pass == 0))
                TRY(fill_row(r, v, &titles, &list->items[i], &v->rows[v->count++]));
    return OK;
}

static str command(struct req *r, const struct tree_view *v)
{
    const struct repo *repo = r->repo;

    return arena_cat(r->a, STR("hf download "), repo->full_name,
                     repo->kind == REPO_MODEL     ? STR("")
                     : repo->kind == REPO_DATASET ? STR(" --repo-type dataset")
                                                  : STR(" --repo-type space"),
                     str_eq(v->head.rev, STR("main")) ? STR("") : STR(" --revision "),
                     str_eq(v->head.rev, STR("main")) ? STR("") : v->head.rev);
}

static err fill(struct req *r, struct tree_view *v)
{
    struct entry_query q = {.path = req_param(r, "path"), .limit = PAGE_ROWS, .last_commit = true};
    str cursor = req_query(r, "cursor"), after;
    struct entry_list list;
    struct revision rev;

    *v = (struct tree_view){0};
    if (!q.path.ptr)
        q.path = STR("");
    while (str_drop(&q.path, STR("/"))) {
    }
    if (cursor.len && base64_decode(r->a, cursor, &after))
        q.after = after;
    TRY(hub_revision(r, &rev));
    TRY(repo_head_fill(r, "files", req_param(r, "rev"), &v->head));
    TRY(repo_ref_names(r, &v->refs));
    TRY(entry_list(r->store, r->a, r->repo, &rev, &q, &list));
    TRY(last_commit_find(r, r->repo, rev.commit, list.items, list.count));
    v->folder = q.path;
    v->commit = sha1_hex(r->a, rev.commit);
    v->crumbs = repo_crumbs(r->a, &v->head, q.path);
    v->command = command(r, v);
    if (list.more) {
        str key = key_of(r->a, &list.items[list.count - 1]);

        v->next =
            arena_cat(r->a, r->path, STR("?cursor="), base64url_encode(r->a, key.ptr, key.len));
    }
    return fill_rows(r, v, &list);
}

/* --- renderings --- */

static void html(struct buf *out, const void *view)
{
    tree_page(out, view);
}

static void markdown(struct md *m, const void *view)
{
    const struct tree_view *v = view;

    repo_head_markdown(m, &v->head);
    md_fact(m, "commit", v->commit);
    md_fact(m, "folder", v->folder);
    md_heading(m, 2, STR("Files"));
    for (size_t i = 0; i < v->count; i++) {
        const struct tree_row *row = &v->rows[i];

        buf_add(m->out, STR("- "));
        buf_addc(m->out, '[');
        md_text(m, row->name);
        buf_add(m->out, STR("]("));
        buf_add(m->out, m->base);
        buf_add(m->out, row->href);
        buf_addc(m->out, ')');
        if (row->size.len)
            buf_printf(m->out, ", %.*s", STR_FMT(row->size));
        if (row->age.len) {
            buf_printf(m->out, ", %.*s: ", STR_FMT(row->age));
            md_text(m, row->commit_title);
        }
        buf_addc(m->out, '\n');
    }
    if (v->count == 0)
        md_line(m, "This folder is empty.");
    if (v->next.ptr)
        buf_printf(m->out, "\nnext: %.*s%.*s\n", STR_FMT(m->base), STR_FMT(v->next));
    md_heading(m, 2, STR("Next"));
    md_command(m, v->command);
}

static void json(struct json_out *j, const void *view)
{
    const struct tree_view *v = view;

    json_obj(j);
    repo_head_json(j, &v->head);
    json_kv_str(j, "commit", v->commit);
    json_kv_str(j, "folder", v->folder);
    json_key(j, "data");
    json_arr(j);
    for (size_t i = 0; i < v->count; i++) {
        const struct tree_row *row = &v->rows[i];

        json_obj(j);
        json_kv_str(j, "type", row->is_dir ? STR("directory") : STR("file"));
        json_kv_str(j, "path", row->entry->path);
        json_kv_str(j, "url", row->href);
        json_kv_i64(j, "size", (int64_t)row->entry->size);
        if (row->age.len) {
            json_kv_str(j, "lastCommit", row->commit_title);
            json_kv_str(j, "date", row->age_iso);
        }
        json_obj_end(j);
    }
    json_arr_end(j);
    if (v->next.ptr)
        json_kv_str(j, "next", v->next);
    else
        json_kv_null(j, "next");
    json_obj_end(j);
}

err web_tree(struct req *r)
{
    struct page p = {.address = r->path, .html = html, .markdown = markdown, .json = json};
    struct tree_view v;

    TRY(fill(r, &v));
    p.title = arena_cat(r->a, r->repo->full_name, v.folder.len ? STR("/") : STR(""), v.folder);
    p.nav = v.head.nav;
    return page_reply(r, &p, &v);
}
