/* commits.c — history, one commit, two revisions compared, references. */
#include "web/commits.h"
#include "base/clock.h"
#include "git/walk.h"
#include "hub/hub.h"
#include "hub/people.h"
#include "store/diff.h"
#include "store/object.h"
#include "web/form.h"
#include "web/templates.h"
#include "web/web.h"

#define PAGE_ROWS 50

/* --- a commit as a row --- */

struct reading {
    struct req *r;
    struct odb *odb;
    struct people_authors authors;
};

static err fill_row(struct reading *x, const struct repo_head *h, oid id,
                    const struct commit_obj *c, struct commit_row *ret)
{
    struct arena *a = x->r->a;
    bool known;
    str user;

    TRY(people_author(&x->authors, c->author.name, c->author.email, &user, &known));
    *ret = (struct commit_row){
        .id = sha1_hex(a, id),
        .title = arena_str(a, c->title),
        .body = arena_str(a, c->body),
        .author = user,
        .author_href = known ? arena_cat(a, STR("/"), user) : STR_NONE,
        .age = view_ago(a, c->committer.time_s * 1000),
        .age_iso = clock_iso(a, c->committer.time_s * 1000),
    };
    ret->href = arena_cat(a, h->path, STR("/commit/"), ret->id);
    return OK;
}

static err read_row(struct reading *x, struct arena *scratch, const struct repo_head *h, oid id,
                    struct commit_row *ret)
{
    struct commit_obj c;

    arena_reset(scratch);
    TRY(commit_read(x->odb, scratch, id, &c));
    return fill_row(x, h, id, &c, ret);
}

static err read_rows(struct reading *x, struct commits_view *v, const struct oid_list *list)
{
    struct arena *scratch = arena_new(0);
    err e = OK;

    v->rows = arena_many(x->r->a, struct commit_row, list->count + 1);
    for (size_t i = 0; i < list->count && !e; i++)
        e = read_row(x, scratch, &v->head, list->ids[i], &v->rows[v->count++]);
    e = err_copy(x->r->a, e);
    arena_free(scratch);
    return e;
}

/* --- history --- */

static void row_markdown(struct md *m, const struct commit_row *c)
{
    buf_printf(m->out, "- [%.*s](%.*s%.*s) ", 7, c->id.ptr, STR_FMT(m->base), STR_FMT(c->href));
    md_text(m, c->title);
    buf_add(m->out, STR(", "));
    md_text(m, c->author);
    buf_printf(m->out, ", %.*s\n", STR_FMT(c->age));
}

static void row_json(struct json_out *j, const struct commit_row *c)
{
    json_obj(j);
    json_kv_str(j, "id", c->id);
    json_kv_str(j, "title", c->title);
    json_kv_str(j, "message", c->body);
    json_kv_str(j, "author", c->author);
    json_kv_str(j, "date", c->age_iso);
    json_obj_end(j);
}

static void commits_html(struct buf *out, const void *view)
{
    commits_page(out, view);
}

static void commits_markdown(struct md *m, const void *view)
{
    const struct commits_view *v = view;

    repo_head_markdown(m, &v->head);
    md_fact_i64(m, "commits", (int64_t)v->total);
    md_heading(m, 2, STR("Commits"));
    for (size_t i = 0; i < v->count; i++)
        row_markdown(m, &v->rows[i]);
    if (v->older.ptr)
        buf_printf(m->out, "\nnext: %.*s%.*s\n", STR_FMT(m->base), STR_FMT(v->older));
    md_heading(m, 2, STR("Next"));
    md_command(m, v->command);
}

static void commits_json(struct json_out *j, const void *view)
{
    const struct commits_view *v = view;

    json_obj(j);
    repo_head_json(j, &v->head);
    json_kv_i64(j, "total", (int64_t)v->total);
    json_key(j, "data");
    json_arr(j);
    for (size_t i = 0; i < v->count; i++)
        row_json(j, &v->rows[i]);
    json_arr_end(j);
    if (v->older.ptr)
        json_kv_str(j, "next", v->older);
    else
        json_kv_null(j, "next");
    json_obj_end(j);
}

static str clone_command(struct req *r)
{
    return arena_cat(r->a, STR("git clone "), hub_repo_url(r, r->repo));
}

static err history(struct req *r, struct odb *o, oid tip, size_t skip, struct oid_list *list,
                   size_t *ret_total)
{
    struct arena *scratch = arena_new(0);
    err e = err_copy(r->a, history_page(o, scratch, tip, skip, PAGE_ROWS, list, ret_total));

    arena_free(scratch);
    return e;
}

err web_commits(struct req *r)
{
    struct page p = {.address = r->path,
                     .html = commits_html,
                     .markdown = commits_markdown,
                     .json = commits_json};
    struct reading x = {.r = r, .authors = {.r = r}};
    AUTO_OIDS struct oid_list list = {0};
    struct commits_view v = {0};
    struct revision rev;
    uint64_t page = 0;

    if (req_query(r, "p").len && (!str_u64(req_query(r, "p"), &page) || page > 1000000))
        return err_new(r->a, 400, NULL, "\"p\" is the number of a page.");
    TRY(hub_revision(r, &rev));
    TRY(repo_head_fill(r, "commits", req_param(r, "rev"), &v.head));
    TRY(repo_ref_names(r, &v.refs));
    x.odb = object_odb(r->store, r->a, r->repo->id);
    TRY(history(r, x.odb, rev.commit, (size_t)page * PAGE_ROWS, &list, &v.total));
    TRY(read_rows(&x, &v, &list));
    v.command = clone_command(r);
    if ((page + 1) * PAGE_ROWS < v.total)
        v.older = arena_printf(r->a, "%.*s?p=%llu", STR_FMT(r->path), (unsigned long long)page + 1);
    if (page > 0)
        v.newer = arena_printf(r->a, "%.*s?p=%llu", STR_FMT(r->path), (unsigned long long)page - 1);
    p.title = arena_cat(r->a, STR("Commits of "), r->repo->full_name);
    p.nav = v.head.nav;
    return page_reply(r, &p, &v);
}

/* --- one commit, or two revisions --- */

static void commit_html(struct buf *out, const void *view)
{
    commit_page(out, view);
}

static void commit_markdown(struct md *m, const void *view)
{
    const struct commit_view *v = view;

    repo_head_markdown(m, &v->head);
    if (v->from.ptr) {
        md_fact(m, "from", v->from);
        md_fact(m, "to", v->to);
    } else {
        md_fact(m, "commit", v->commit.id);
        md_fact(m, "author", v->commit.author);
        buf_printf(m->out, "- date: %.*s, %.*s\n", STR_FMT(v->commit.age_iso),
                   STR_FMT(v->commit.age));
        for (size_t i = 0; i < v->parent_count; i++)
            md_fact(m, "parent", v->parents[i]);
        md_heading(m, 2, v->commit.title);
        md_text(m, v->commit.body);
        buf_addc(m->out, '\n');
    }
    md_heading(m, 2, STR("Changes"));
    diff_markdown(m, &v->diff);
    md_heading(m, 2, STR("Next"));
    md_command(m, v->command);
}

static void commit_json(struct json_out *j, const void *view)
{
    const struct commit_view *v = view;

    json_obj(j);
    repo_head_json(j, &v->head);
    if (v->from.ptr) {
        json_kv_str(j, "from", v->from);
        json_kv_str(j, "to", v->to);
    } else {
        json_key(j, "commit");
        row_json(j, &v->commit);
        json_key(j, "parents");
        json_arr(j);
        for (size_t i = 0; i < v->parent_count; i++)
            json_put_str(j, v->parents[i]);
        json_arr_end(j);
    }
    json_key(j, "data");
    json_arr(j);
    for (size_t i = 0; i < v->diff.count; i++) {
        json_obj(j);
        json_kv_str(j, "path", v->diff.files[i].name);
        json_kv_i64(j, "added", (int64_t)v->diff.files[i].added);
        json_kv_i64(j, "removed", (int64_t)v->diff.files[i].removed);
        json_obj_end(j);
    }
    json_arr_end(j);
    json_kv_bool(j, "cut", v->diff.is_cut);
    json_kv_null(j, "next");
    json_obj_end(j);
}

/* Too much to show is not an error of the page: it says so and names the command. */
static err fill_diff(struct req *r, struct odb *o, oid old, oid new, struct diff_view *ret)
{
    str text;
    err e = diff_text(o, r->a, old, new, DIFF_PAGE_BYTES, &text);

    if (e && e->status == 413) {
        *ret = (struct diff_view){.is_cut = true};
        return OK;
    }
    TRY(e);
    diff_parse(r->a, text, ret);
    return OK;
}

static err commit_reply(struct req *r, struct commit_view *v)
{
    struct page p = {.title = v->title,
                     .nav = v->head.nav,
                     .address = r->path,
                     .html = commit_html,
                     .markdown = commit_markdown,
                     .json = commit_json};

    return page_reply(r, &p, v);
}

err web_commit(struct req *r)
{
    struct odb *o = object_odb(r->store, r->a, r->repo->id);
    struct reading x = {.r = r, .odb = o, .authors = {.r = r}};
    str asked = req_param(r, "rev");
    bool diff_only = str_drop(&asked, STR(".diff"));
    struct commit_view v = {0};
    struct commit_obj c;
    struct revision rev;
    oid parent;

    TRY(revision_find(r->store, r->a, r->repo, asked, &rev));
    TRY(commit_read(o, r->a, rev.commit, &c));
    parent = c.parent_count ? c.parents[0] : OID_ZERO;
    if (diff_only) {
        str text;

        TRY(diff_text(o, r->a, parent, rev.commit, DIFF_TEXT_MAX, &text));
        return reply_text(r, 200, text);
    }
    TRY(repo_head_fill(r, "commits", STR("main"), &v.head));
    TRY(fill_row(&x, &v.head, rev.commit, &c, &v.commit));
    v.parents = arena_many(r->a, str, c.parent_count + 1);
    for (size_t i = 0; i < c.parent_count; i++)
        v.parents[v.parent_count++] = sha1_hex(r->a, c.parents[i]);
    TRY(fill_diff(r, o, parent, rev.commit, &v.diff));
    v.title = arena_cat(r->a, v.commit.title, STR(" - "), r->repo->full_name);
    v.command = arena_cat(r->a, STR("curl "), r->base, v.commit.href, STR(".diff"));
    return commit_reply(r, &v);
}

static bool split_range(str range, str *ret_old, str *ret_new, bool *ret_from_base)
{
    for (size_t i = 0; i + 1 < range.len; i++)
        if (range.ptr[i] == '.' && range.ptr[i + 1] == '.') {
            *ret_from_base = i + 2 < range.len && range.ptr[i + 2] == '.';
            *ret_old = str_first(range, i);
            *ret_new = str_from(range, i + (*ret_from_base ? 3 : 2));
            return ret_old->len > 0 && ret_new->len > 0;
        }
    return false;
}

err web_compare(struct req *r)
{
    struct odb *o = object_odb(r->store, r->a, r->repo->id);
    struct commit_view v = {0};
    struct revision old, new;
    bool from_base, found;

    if (!split_range(req_param(r, "range"), &v.from, &v.to, &from_base))
        return err_new(r->a, 400, NULL,
                       "Write two revisions with two dots between them, as in main..refs/pr/1.");
    TRY(revision_find(r->store, r->a, r->repo, v.from, &old));
    TRY(revision_find(r->store, r->a, r->repo, v.to, &new));
    if (from_base) {
        struct arena *scratch = arena_new(0);
        oid base = OID_ZERO;
        err e = err_copy(r->a, history_base(o, scratch, old.commit, new.commit, &base, &found));

        arena_free(scratch);
        TRY(e);
        old.commit = base;
    }
    TRY(repo_head_fill(r, "commits", v.to, &v.head));
    TRY(fill_diff(r, o, old.commit, new.commit, &v.diff));
    v.title = arena_cat(r->a, v.from, STR(" and "), v.to, STR(" - "), r->repo->full_name);
    v.command = arena_cat(r->a, STR("curl '"), r->base, STR("/api/"),
                          repo_kind_plural(r->repo->kind), STR("/"), r->repo->full_name,
                          STR("/compare/"), req_param(r, "range"), STR("?raw=true'"));
    return commit_reply(r, &v);
}

/* --- references --- */

struct refs_view {
    struct repo_head head;
    struct ref_list list;
    str command;
};

void refs_rows(struct buf *out, const struct refs_view *v)
{
    for (size_t i = 0; i < v->list.count; i++) {
        str name = v->list.items[i].name, rev = name;
        char hex[41] = "";

        if (!str_skip(&rev, STR("refs/heads/")))
            (void)str_skip(&rev, STR("refs/tags/"));
        hex_write(hex, v->list.items[i].peeled.b, 20);
        ref_line(out, &v->head, name, rev, str_c(hex));
    }
}

static void refs_html(struct buf *out, const void *view)
{
    const struct refs_view *v = view;

    refs_page(out, &v->head, v);
}

static void refs_markdown(struct md *m, const void *view)
{
    const struct refs_view *v = view;

    repo_head_markdown(m, &v->head);
    md_heading(m, 2, STR("Branches and tags"));
    for (size_t i = 0; i < v->list.count; i++) {
        char hex[41] = "";

        hex_write(hex, v->list.items[i].peeled.b, 20);
        buf_add(m->out, STR("- "));
        md_text(m, v->list.items[i].name);
        buf_printf(m->out, " %s\n", hex);
    }
    md_heading(m, 2, STR("Next"));
    md_command(m, v->command);
}

static void refs_json(struct json_out *j, const void *view)
{
    const struct refs_view *v = view;

    json_obj(j);
    repo_head_json(j, &v->head);
    json_key(j, "data");
    json_arr(j);
    for (size_t i = 0; i < v->list.count; i++) {
        char hex[41] = "";

        hex_write(hex, v->list.items[i].peeled.b, 20);
        json_obj(j);
        json_kv_str(j, "ref", v->list.items[i].name);
        json_kv_str(j, "targetCommit", str_c(hex));
        json_obj_end(j);
    }
    json_arr_end(j);
    json_kv_null(j, "next");
    json_obj_end(j);
}

/* With ?go=REV&page=tree: on to that page, which is what the revision picker does. */
err web_refs(struct req *r)
{
    struct page p = {
        .address = r->path, .html = refs_html, .markdown = refs_markdown, .json = refs_json};
    str go = req_query(r, "go");
    struct refs_view v = {0};

    if (go.len)
        return form_done(r,
                         arena_cat(r->a, view_repo_path(r->a, r->repo),
                                   str_eq(req_query(r, "page"), STR("commits")) ? STR("/commits/")
                                                                                : STR("/tree/"),
                                   url_encode(r->a, go)));
    TRY(repo_head_fill(r, "files", STR("main"), &v.head));
    TRY(ref_list(r->store->hub, r->a, r->repo->id, &v.list));
    v.command = arena_cat(r->a, STR("git ls-remote "), hub_repo_url(r, r->repo));
    p.title = arena_cat(r->a, STR("Branches and tags of "), r->repo->full_name);
    p.nav = v.head.nav;
    return page_reply(r, &p, &v);
}
