/* list.c — /models, /datasets, /spaces, /buckets: any combination of conditions is one address,
 * with the parameters of the API. */
#include "web/list.h"
#include "hub/hub.h"
#include "web/templates.h"
#include "web/web.h"
#include <string.h>

#define PAGE_ROWS 30
#define GROUP_ROWS 12 /* facets shown of a group */

static const struct {
    const char *kinds, *label, *param, *prefix, *tags;
} groups[] = {
#define GROUP(kinds, label, param, prefix, tags) {kinds, label, param, prefix, tags},
#include "web/facet_groups.def"
#undef GROUP
};

/* --- addresses --- */

/* This page's address with one pair added or (exactly this value) taken out; never with a cursor.
 */
static str address(struct req *r, const char *name, str value, bool with)
{
    str url = arena_cat(r->a, r->path, STR("?"));
    bool skipped = false;

    for (size_t i = 0; i < r->query.count; i++) {
        const struct url_pair *p = &r->query.pairs[i];

        if (str_eq(p->name, STR("cursor")) || str_eq(p->name, STR("format")) || !p->value.len)
            continue;
        if (!with && !skipped && str_eq(p->name, str_c(name)) && str_ieq(p->value, value)) {
            skipped = true;
            continue;
        }
        url = arena_cat(r->a, url, url_encode(r->a, p->name), STR("="), url_encode(r->a, p->value),
                        STR("&"));
    }
    if (with)
        url = arena_cat(r->a, url, str_c(name), STR("="), url_encode(r->a, value));
    while (str_drop(&url, STR("&")) || str_drop(&url, STR("?"))) {
    }
    return url;
}

static bool is_active(const struct req *r, const char *name, str value)
{
    for (size_t i = 0; i < r->query.count; i++)
        if (str_eq(r->query.pairs[i].name, str_c(name)) && str_ieq(r->query.pairs[i].value, value))
            return true;
    return false;
}

/* --- facets --- */

/* Is this tag one of the blank-separated words?  */
static bool is_word(const char *words, str tag)
{
    for (str rest = str_c(words); rest.ptr;)
        if (str_eq(str_cut(&rest, ' '), tag))
            return true;
    return false;
}

/* The group's value in this tag; ptr NULL when it does not belong there. */
static str value_in_group(size_t g, str tag)
{
    if (groups[g].tags[0])
        return is_word(groups[g].tags, tag) ? tag : STR_NONE;
    return str_skip(&tag, str_c(groups[g].prefix)) && tag.len ? tag : STR_NONE;
}

static bool is_of_kind(size_t g, enum repo_kind kind)
{
    return kind < REPO_GIT_KINDS && strchr(groups[g].kinds, "mds"[kind]);
}

static void fill_group(struct req *r, size_t g, const struct facet_list *list,
                       struct facet_group *ret)
{
    bool whole_tag = strcmp(groups[g].param, "other") == 0;

    *ret = (struct facet_group){.label = groups[g].label,
                                .items = arena_many(r->a, struct facet_link, GROUP_ROWS)};
    for (size_t i = 0; i < list->count && ret->count < GROUP_ROWS; i++) {
        str label = value_in_group(g, list->items[i].tag), value;
        struct facet_link *f;

        if (!label.ptr)
            continue;
        value = whole_tag ? list->items[i].tag : label;
        f = &ret->items[ret->count++];
        *f = (struct facet_link){.label = label,
                                 .repos = list->items[i].repos,
                                 .is_active = is_active(r, groups[g].param, value)};
        f->href = address(r, groups[g].param, value, !f->is_active);
        ret->is_open |= f->is_active;
    }
    ret->is_open |= g == 0;
}

static err fill_facets(struct req *r, const struct repo_query *q, struct list_view *v)
{
    struct facet_list list;

    v->total = -1;
    TRY(facets_count(r->store, r->a, q, &list));
    if (list.is_partial)
        return OK;
    v->total = list.total;
    v->total_text = view_number(r->a, list.total);
    for (size_t g = 0; g < sizeof groups / sizeof *groups && v->group_count < FACET_GROUPS_MAX; g++)
        if (is_of_kind(g, q->kind)) {
            fill_group(r, g, &list, &v->groups[v->group_count]);
            v->group_count += v->groups[v->group_count].count > 0;
        }
    return OK;
}

/* Everything in the query string but order and page. */
static void fill_active(struct req *r, struct list_view *v)
{
    static const char *const others[] = {"sort", "direction", "cursor", "limit", "format"};

    v->active = arena_many(r->a, struct facet_link, r->query.count + 1);
    v->hidden = arena_many(r->a, struct form_hidden, r->query.count + 1);
    for (size_t i = 0; i < r->query.count; i++) {
        const struct url_pair *p = &r->query.pairs[i];
        bool is_other = !p->value.len;

        for (size_t k = 0; k < sizeof others / sizeof *others; k++)
            is_other |= str_eq(p->name, str_c(others[k]));
        if (is_other)
            continue;
        v->active[v->active_count++] =
            (struct facet_link){.label = arena_cat(r->a, p->name, STR(": "), p->value),
                                .href = address(r, str_z(r->a, p->name), p->value, false),
                                .is_active = true};
        if (!str_eq(p->name, STR("search")))
            v->hidden[v->hidden_count++] = (struct form_hidden){p->name, p->value};
    }
}

/* --- filling --- */

static const char *const titles[] = {"Models", "Datasets", "Spaces", "Buckets"};

static err fill(struct req *r, enum repo_kind kind, struct list_view *v)
{
    static const char *const create[] = {
        "hf upload OWNER/NAME DIR", "hf upload OWNER/NAME DIR --repo-type dataset",
        "hf upload OWNER/NAME DIR --repo-type space", "hf buckets create NAME"};
    struct repo_query q = {.kind = kind};
    struct repo_list list = {0};
    bool nothing = false;

    *v = (struct list_view){.title = str_c(titles[kind]),
                            .path = arena_cat(r->a, STR("/"), repo_kind_plural(kind)),
                            .sort = req_query(r, "sort"),
                            .search = req_query(r, "search"),
                            .create = str_c(create[kind])};
    v->nav = str_z(r->a, repo_kind_plural(kind));
    TRY(hub_list_query(r, &q, &nothing));
    q.limit = PAGE_ROWS;
    q.without_card = q.without_meta = true;
    if (!nothing)
        TRY(repo_list(r->store, r->a, &q, &list));
    view_rows(r->a, titles[kind], &list, &v->rows);
    fill_active(r, v);
    if (list.cursor.ptr)
        v->next = address(r, "cursor", list.cursor, true);
    return nothing ? OK : fill_facets(r, &q, v);
}

/* --- renderings --- */

static void html(struct buf *out, const void *view)
{
    list_page(out, view);
}

static void markdown(struct md *m, const void *view)
{
    const struct list_view *v = view;

    md_heading(m, 1, v->title);
    if (v->total >= 0)
        md_fact_i64(m, "count", v->total);
    for (size_t i = 0; i < v->active_count; i++)
        md_fact(m, "only", v->active[i].label);
    md_fact(m, "sort", v->sort);
    md_heading(m, 2, STR("Repositories"));
    view_rows_markdown(m, &v->rows);
    if (v->rows.count == 0)
        md_line(m, "Nothing matches.");
    if (v->next.ptr)
        buf_printf(m->out, "\nnext: %.*s%.*s\n", STR_FMT(m->base), STR_FMT(v->next));
    if (v->group_count)
        md_heading(m, 2, STR("Filters"));
    for (size_t g = 0; g < v->group_count; g++) {
        buf_printf(m->out, "- %s:", v->groups[g].label);
        for (size_t i = 0; i < v->groups[g].count; i++) {
            buf_add(m->out, i ? STR(", [") : STR(" ["));
            md_text(m, v->groups[g].items[i].label);
            buf_printf(m->out, "](%.*s%.*s) (%lld%s)", STR_FMT(m->base),
                       STR_FMT(v->groups[g].items[i].href), (long long)v->groups[g].items[i].repos,
                       v->groups[g].items[i].is_active ? ", active" : "");
        }
        buf_addc(m->out, '\n');
    }
    md_heading(m, 2, STR("Next"));
    md_command(m, v->create);
}

static void json(struct json_out *j, const void *view)
{
    const struct list_view *v = view;

    json_obj(j);
    json_kv_str(j, "type", STR("list"));
    json_kv_str(j, "url", v->path);
    if (v->total >= 0)
        json_kv_i64(j, "total", v->total);
    json_key(j, "data");
    view_rows_json(j, &v->rows);
    json_key(j, "facets");
    json_arr(j);
    for (size_t g = 0; g < v->group_count; g++) {
        json_obj(j);
        json_kv_str(j, "label", str_c(v->groups[g].label));
        json_key(j, "values");
        json_arr(j);
        for (size_t i = 0; i < v->groups[g].count; i++) {
            const struct facet_link *f = &v->groups[g].items[i];

            json_obj(j);
            json_kv_str(j, "label", f->label);
            json_kv_i64(j, "count", f->repos);
            json_kv_bool(j, "active", f->is_active);
            json_kv_str(j, "url", f->href);
            json_obj_end(j);
        }
        json_arr_end(j);
        json_obj_end(j);
    }
    json_arr_end(j);
    if (v->next.ptr)
        json_kv_str(j, "next", v->next);
    else
        json_kv_null(j, "next");
    json_obj_end(j);
}

static err list(struct req *r, enum repo_kind kind)
{
    struct page p = {.html = html, .markdown = markdown, .json = json};
    struct list_view v;

    if (settings.require_login && !r->user)
        return auth_needed(r, false);
    TRY(fill(r, kind, &v));
    p.title = v.title;
    p.nav = v.nav;
    p.address = address(r, "", STR(""), false);
    return page_reply(r, &p, &v);
}

err web_models(struct req *r)
{
    return list(r, REPO_MODEL);
}

err web_datasets(struct req *r)
{
    return list(r, REPO_DATASET);
}

err web_spaces(struct req *r)
{
    return list(r, REPO_SPACE);
}

err web_buckets(struct req *r)
{
    return list(r, REPO_BUCKET);
}
