/* profile.c — /NAME: a person or an organization. */
#include "web/profile.h"
#include "base/clock.h"
#include "base/settings.h"
#include "web/templates.h"
#include "web/web.h"
#include <string.h>

#define PAGE_ROWS 30
#define PEOPLE_SHOWN 100

static err fill_people(struct req *r, struct profile_view *v)
{
    struct membership_list list = {0};

    if (v->is_org)
        TRY(member_list(r->store->hub, r->a, v->account.id, STR(""), PEOPLE_SHOWN, &list));
    else
        TRY(member_orgs(r->store->hub, r->a, v->account.id, &list));
    v->people = list.items;
    v->people_count = list.count < PEOPLE_SHOWN ? list.count : PEOPLE_SHOWN;
    return OK;
}

static err fill_tabs(struct req *r, struct profile_view *v, enum repo_kind kind)
{
    static const char *const labels[] = {"Models", "Datasets", "Spaces", "Buckets"};
    int64_t counts[REPO_KINDS];

    TRY(repo_count_of(r->store->hub, v->account.id, auth_account(r), auth_sees_all(r), counts));
    for (int k = 0; k < REPO_KINDS; k++) {
        str word = repo_kind_plural((enum repo_kind)k);

        v->tabs[k] = (struct profile_tab){labels[k], str_z(r->a, word),
                                          arena_cat(r->a, v->path, STR("?tab="), word), counts[k],
                                          k == (int)kind};
    }
    return OK;
}

static err fill(struct req *r, const struct account *account, struct profile_view *v)
{
    struct repo_query q = {.author = account->name,
                           .sort = SORT_UPDATED,
                           .limit = PAGE_ROWS,
                           .viewer = auth_account(r),
                           .sees_all = auth_sees_all(r),
                           .cursor = req_query(r, "cursor"),
                           .without_card = true,
                           .without_meta = true};
    struct repo_list list = {0};

    *v = (struct profile_view){.account = *account,
                               .is_org = account->kind == ACCOUNT_ORG,
                               .path = arena_cat(r->a, STR("/"), account->name),
                               .since = str_first(clock_iso(r->a, account->created_at_ms), 10)};
    if (!repo_kind_parse(req_query(r, "tab"), &q.kind))
        q.kind = REPO_MODEL;
    TRY(fill_tabs(r, v, q.kind));
    TRY(repo_list(r->store, r->a, &q, &list));
    view_rows(r->a, v->tabs[q.kind].label, &list, &v->rows);
    if (list.cursor.ptr)
        v->next =
            arena_cat(r->a, v->tabs[q.kind].href, STR("&cursor="), url_encode(r->a, list.cursor));
    return fill_people(r, v);
}

/* --- renderings --- */

static void html(struct buf *out, const void *view)
{
    profile_page(out, view);
}

static void markdown(struct md *m, const void *view)
{
    const struct profile_view *v = view;

    md_heading(m, 1, v->account.name);
    md_fact(m, "type", v->is_org ? STR("organization") : STR("user"));
    md_fact(m, "full name", v->account.full_name);
    md_fact(m, "since", v->since);
    for (int k = 0; k < REPO_KINDS; k++)
        md_fact_i64(m, v->tabs[k].word, v->tabs[k].count);
    for (size_t i = 0; i < v->people_count; i++)
        md_fact(m, v->is_org ? "member" : "organization", v->people[i].account.name);
    md_heading(m, 2, str_c(v->rows.what));
    view_rows_markdown(m, &v->rows);
    if (v->rows.count == 0)
        md_line(m, "None that you may see.");
    if (v->next.ptr)
        buf_printf(m->out, "\nnext: %.*s%.*s\n", STR_FMT(m->base), STR_FMT(v->next));
}

static void json(struct json_out *j, const void *view)
{
    const struct profile_view *v = view;

    json_obj(j);
    json_kv_str(j, "type", v->is_org ? STR("org") : STR("user"));
    json_kv_str(j, "name", v->account.name);
    json_kv_str(j, "fullname", v->account.full_name);
    json_kv_str(j, "since", v->since);
    json_key(j, "counts");
    json_obj(j);
    for (int k = 0; k < REPO_KINDS; k++)
        json_kv_i64(j, v->tabs[k].word, v->tabs[k].count);
    json_obj_end(j);
    json_key(j, v->is_org ? "members" : "organizations");
    json_arr(j);
    for (size_t i = 0; i < v->people_count; i++)
        json_put_str(j, v->people[i].account.name);
    json_arr_end(j);
    json_key(j, "data");
    view_rows_json(j, &v->rows);
    if (v->next.ptr)
        json_kv_str(j, "next", v->next);
    else
        json_kv_null(j, "next");
    json_obj_end(j);
}

/* Names of imported accounts may end in ".md" themselves. */
static err find(struct req *r, struct account *ret)
{
    str name = req_param(r, "user");

    *ret = (struct account){0};
    if (r->twin.len) {
        TRY(account_find(r->store->hub, r->a, arena_cat(r->a, name, STR("."), r->twin), ret));
        if (ret->id)
            r->twin = STR("");
    }
    if (!ret->id && account_name_reserved(name))
        return web_nothing(r);
    if (!ret->id)
        TRY(account_find(r->store->hub, r->a, name, ret));
    return ret->id ? OK : err_new(r->a, 404, NULL, "There is nobody of this name here.");
}

err web_user(struct req *r)
{
    struct page p = {.html = html, .markdown = markdown, .json = json};
    struct account account;
    struct profile_view v;

    if (settings.require_login && !r->user)
        return auth_needed(r, false);
    TRY(find(r, &account));
    TRY(fill(r, &account, &v));
    p.title = account.name;
    p.address = v.path;
    return page_reply(r, &p, &v);
}
