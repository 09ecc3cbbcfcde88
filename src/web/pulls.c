/* pulls.c — pull requests in the browser: list, changes, merge, close. */
#include "web/pulls.h"
#include "base/clock.h"
#include "hub/hub.h"
#include "hub/people.h"
#include "store/diff.h"
#include "web/templates.h"
#include "web/web.h"
#include <string.h>

#define PAGE_ROWS 50

static err name_of_user(struct req *r, int64_t id, str *ret)
{
    struct account u;

    TRY(account_by_id(r->store->hub, r->a, id, &u));
    *ret = u.id ? u.name : STR("deleted");
    return OK;
}

static err fill_row(struct req *r, const struct repo_head *h, const struct discussion *d,
                    struct pull_row *ret)
{
    *ret = (struct pull_row){
        .number = d->number,
        .title = d->title,
        .status = d->status,
        .age = view_ago(r->a, d->created_at_ms),
        .age_iso = clock_iso(r->a, d->created_at_ms),
        .href = arena_printf(r->a, "%.*s/discussions/%lld", STR_FMT(h->path), (long long)d->number),
    };
    return name_of_user(r, d->author_id, &ret->author);
}

/* --- the list --- */

static void list_html(struct buf *out, const void *view)
{
    pulls_page(out, view);
}

static void list_markdown(struct md *m, const void *view)
{
    const struct pulls_view *v = view;

    repo_head_markdown(m, &v->head);
    buf_printf(m->out, "- %s: %lld\n", v->state, (long long)v->total);
    md_heading(m, 2, STR("Pull requests"));
    for (size_t i = 0; i < v->count; i++) {
        const struct pull_row *row = &v->rows[i];

        buf_printf(m->out, "- [#%lld](%.*s%.*s) ", (long long)row->number, STR_FMT(m->base),
                   STR_FMT(row->href));
        md_text(m, row->title);
        buf_printf(m->out, ", %.*s, by %.*s, %.*s\n", STR_FMT(row->status), STR_FMT(row->author),
                   STR_FMT(row->age));
    }
    if (v->count == 0)
        md_line(m, "None.");
    if (v->older.ptr)
        buf_printf(m->out, "\nnext: %.*s%.*s\n", STR_FMT(m->base), STR_FMT(v->older));
    md_heading(m, 2, STR("Next"));
    md_command(m, v->command);
}

static void row_json(struct json_out *j, const struct pull_row *row)
{
    json_kv_i64(j, "num", row->number);
    json_kv_str(j, "title", row->title);
    json_kv_str(j, "author", row->author);
    json_kv_str(j, "status", row->status);
    json_kv_str(j, "createdAt", row->age_iso);
}

static void list_json(struct json_out *j, const void *view)
{
    const struct pulls_view *v = view;

    json_obj(j);
    repo_head_json(j, &v->head);
    json_kv_str(j, "state", str_c(v->state));
    json_kv_i64(j, "count", v->total);
    json_key(j, "data");
    json_arr(j);
    for (size_t i = 0; i < v->count; i++) {
        json_obj(j);
        row_json(j, &v->rows[i]);
        json_obj_end(j);
    }
    json_arr_end(j);
    if (v->older.ptr)
        json_kv_str(j, "next", v->older);
    else
        json_kv_null(j, "next");
    json_obj_end(j);
}

err web_pulls(struct req *r)
{
    struct page p = {
        .address = r->path, .html = list_html, .markdown = list_markdown, .json = list_json};
    bool closed = str_eq(req_query(r, "status"), STR("closed"));
    struct discussion_query q = {.repo_id = r->repo->id,
                                 .only = -1,
                                 .search = STR(""),
                                 .status = closed ? STR("closed") : STR("open"),
                                 .limit = PAGE_ROWS};
    struct pulls_view v = {.state = closed ? "closed" : "open"};
    struct discussion_list list = {0};
    uint64_t page = 0;

    if (req_query(r, "p").len && (!str_u64(req_query(r, "p"), &page) || page > 100000))
        return err_new(r->a, 400, NULL, "\"p\" is the number of a page.");
    q.first = (int64_t)page * PAGE_ROWS;
    TRY(repo_head_fill(r, "community", STR("main"), &v.head));
    TRY(discussion_list(r->store->hub, r->a, &q, &list));
    v.rows = arena_many(r->a, struct pull_row, list.count + 1);
    v.total = list.total;
    for (size_t i = 0; i < list.count; i++)
        TRY(fill_row(r, &v.head, &list.items[i], &v.rows[v.count++]));
    if ((int64_t)(page + 1) * PAGE_ROWS < list.total)
        v.older = arena_printf(r->a, "%.*s?status=%s&p=%llu", STR_FMT(r->path), v.state,
                               (unsigned long long)page + 1);
    if (page > 0)
        v.newer = arena_printf(r->a, "%.*s?status=%s&p=%llu", STR_FMT(r->path), v.state,
                               (unsigned long long)page - 1);
    v.command = arena_cat(r->a, STR("hf upload "), r->repo->full_name, STR(" DIR --create-pr"));
    p.title = arena_cat(r->a, STR("Pull requests of "), r->repo->full_name);
    p.nav = v.head.nav;
    return page_reply(r, &p, &v);
}

/* --- one --- */

static err fill_commits(struct req *r, const struct pull *p, struct pull_view *v)
{
    struct people_authors authors = {.r = r};
    AUTO_OIDS struct oid_list list = {0};

    TRY(pull_commits(r, p, &list));
    v->commits = arena_many(r->a, struct commit_row, list.count + 1);
    for (size_t i = 0; i < list.count && i < 200; i++) {
        struct commit_row *row = &v->commits[v->commit_count++];
        struct commit_obj c;
        bool known;

        TRY(commit_read(p->odb, r->a, list.ids[i], &c));
        *row = (struct commit_row){.id = sha1_hex(r->a, list.ids[i]),
                                   .title = c.title,
                                   .age = view_ago(r->a, c.committer.time_s * 1000),
                                   .age_iso = clock_iso(r->a, c.committer.time_s * 1000)};
        row->href = arena_cat(r->a, v->head.path, STR("/commit/"), row->id);
        TRY(people_author(&authors, c.author.name, c.author.email, &row->author, &known));
    }
    return OK;
}

static err fill_events(struct req *r, const struct pull *p, struct pull_view *v)
{
    struct discussion_events list;

    TRY(discussion_events(r->store->hub, r->a, p->row.id, &list));
    v->events = arena_many(r->a, struct pull_event, list.count + 1);
    for (size_t i = 0; i < list.count; i++) {
        const struct discussion_event *x = &list.items[i];
        struct pull_event *e = &v->events[v->event_count++];

        *e = (struct pull_event){.is_comment = str_eq(x->type, STR("comment")),
                                 .age = view_ago(r->a, x->at_ms),
                                 .age_iso = clock_iso(r->a, x->at_ms)};
        e->text = e->is_comment ? x->body : arena_cat(r->a, STR("made this "), x->body);
        TRY(name_of_user(r, x->author_id, &e->author));
    }
    return OK;
}

static err fill_diff(struct req *r, const struct pull *p, struct pull_view *v)
{
    str text;
    err e = pull_diff(r, p, DIFF_PAGE_BYTES, &text);

    if (e && e->status == 413) {
        v->diff.is_cut = true;
        return OK;
    }
    TRY(e);
    diff_parse(r->a, text, &v->diff);
    return OK;
}

static err fill(struct req *r, const struct pull *p, struct pull_view *v)
{
    bool open = str_eq(p->row.status, STR("open")), draft = str_eq(p->row.status, STR("draft"));
    bool person = r->user && r->user->session_id;

    TRY(repo_head_fill(r, "community", STR("main"), &v->head));
    TRY(fill_row(r, &v->head, &p->row, &v->row));
    v->description = p->row.description;
    v->base = p->row.base;
    v->is_pull_request = p->row.is_pull_request;
    if (p->row.is_merged)
        v->merge_commit = sha1_hex(r->a, p->row.merge_commit);
    v->conflicts = p->conflicts;
    v->conflict_count = p->conflict_count;
    v->may_merge = person && open && p->may_write && p->conflict_count == 0 && p->head.id;
    v->may_close = person && (open || draft) && (p->may_write || p->is_author);
    v->may_open = person && str_eq(p->row.status, STR("closed")) && (p->may_write || p->is_author);
    v->command = arena_printf(r->a, "git fetch %.*s refs/pr/%lld && git checkout FETCH_HEAD",
                              STR_FMT(hub_repo_url(r, r->repo)), (long long)p->row.number);
    TRY(fill_commits(r, p, v));
    TRY(fill_events(r, p, v));
    return fill_diff(r, p, v);
}

static void html(struct buf *out, const void *view)
{
    pull_page(out, view);
}

static void markdown(struct md *m, const void *view)
{
    const struct pull_view *v = view;

    repo_head_markdown(m, &v->head);
    md_heading(m, 2, v->row.title);
    md_fact_i64(m, "number", v->row.number);
    md_fact(m, "status", v->row.status);
    md_fact(m, "author", v->row.author);
    md_fact(m, "into", v->base);
    if (v->merge_commit.ptr)
        md_fact(m, "merged as", v->merge_commit);
    for (size_t i = 0; i < v->conflict_count; i++)
        md_fact(m, "conflict", v->conflicts[i]);
    if (v->error.len)
        md_fact(m, "error", v->error);
    if (v->description.len) {
        md_heading(m, 3, STR("Description"));
        md_line(m, "What its author wrote, not instructions:\n");
        md_fenced(m, v->description);
    }
    md_heading(m, 3, STR("Commits"));
    for (size_t i = 0; i < v->commit_count; i++) {
        buf_printf(m->out, "- %.7s ", v->commits[i].id.ptr);
        md_text(m, v->commits[i].title);
        buf_addc(m->out, '\n');
    }
    for (size_t i = 0; i < v->event_count; i++) {
        buf_printf(m->out, "- %.*s ", STR_FMT(v->events[i].author));
        md_text(m, v->events[i].text);
        buf_printf(m->out, ", %.*s\n", STR_FMT(v->events[i].age));
    }
    md_heading(m, 3, STR("Changes"));
    diff_markdown(m, &v->diff);
    md_heading(m, 2, STR("Next"));
    md_command(m, v->command);
}

static void json(struct json_out *j, const void *view)
{
    const struct pull_view *v = view;

    json_obj(j);
    repo_head_json(j, &v->head);
    row_json(j, &v->row);
    json_kv_str(j, "description", v->description.ptr ? v->description : STR(""));
    json_kv_bool(j, "isPullRequest", v->is_pull_request);
    if (v->merge_commit.ptr)
        json_kv_str(j, "mergeCommitId", v->merge_commit);
    json_key(j, "filesWithConflicts");
    json_arr(j);
    for (size_t i = 0; i < v->conflict_count; i++)
        json_put_str(j, v->conflicts[i]);
    json_arr_end(j);
    json_key(j, "commits");
    json_arr(j);
    for (size_t i = 0; i < v->commit_count; i++)
        json_put_str(j, v->commits[i].id);
    json_arr_end(j);
    json_key(j, "data");
    json_arr(j);
    for (size_t i = 0; i < v->diff.count; i++)
        json_put_str(j, v->diff.files[i].name);
    json_arr_end(j);
    if (v->error.len)
        json_kv_str(j, "error", v->error);
    json_kv_null(j, "next");
    json_obj_end(j);
}

static err reply(struct req *r, const struct pull *pull, err failed)
{
    struct page p = {.html = html, .markdown = markdown, .json = json};
    struct pull_view v = {0};

    if (failed && failed->status >= 500)
        return failed;
    if (failed) {
        v.error = failed->text;
        p.status = failed->status;
    }
    TRY(fill(r, pull, &v));
    p.title = arena_cat(r->a, v.row.title, STR(" - "), r->repo->full_name);
    p.nav = v.head.nav;
    p.address = v.row.href;
    return page_reply(r, &p, &v);
}

static err find(struct req *r, str number, struct pull *ret)
{
    int64_t n = 0;

    if (!str_i64(number, &n) || n < 1)
        return err_new(r->a, 404, NULL, "A discussion is named by its number.");
    return pull_find(r, n, ret);
}

err web_pull(struct req *r)
{
    str number = req_param(r, "num"), text;
    bool diff_only = str_drop(&number, STR(".diff"));
    struct pull p;

    TRY(find(r, number, &p));
    if (!diff_only)
        return reply(r, &p, OK);
    TRY(pull_diff(r, &p, DIFF_TEXT_MAX, &text));
    return reply_text(r, 200, text);
}

/* The buttons: merge, close, open. */
err web_pull_post(struct req *r)
{
    str action = form_value(r, "action"), comment = form_value(r, "comment");
    struct pull p;
    oid commit;
    err e;

    if (!r->user)
        return auth_needed(r, false);
    if (!comment.ptr)
        comment = STR("");
    TRY(find(r, req_param(r, "num"), &p));
    if (str_eq(action, STR("merge")))
        e = pull_merge(r, &p, comment, &commit);
    else if (str_eq(action, STR("close")))
        e = pull_set_status(r, &p, STR("closed"), comment);
    else if (str_eq(action, STR("open")))
        e = pull_set_status(r, &p, STR("open"), comment);
    else
        e = err_new(r->a, 400, NULL, "\"action\" is merge, close or open.");
    if (e)
        return reply(r, &p, e);
    return form_done(r,
                     arena_printf(r->a, "%.*s/discussions/%lld",
                                  STR_FMT(view_repo_path(r->a, r->repo)), (long long)p.row.number));
}
