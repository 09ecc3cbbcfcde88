/* home.c — the first page: what this is, how to connect, what is here. */
#include "web/home.h"
#include "base/settings.h"
#include "web/templates.h"
#include "web/web.h"

#define TRENDING_ROWS 5
#define MINE_ROWS 10

static err rows(struct req *r, const char *what, struct repo_query q, struct repo_rows *ret)
{
    struct repo_list list = {0};

    q.viewer = auth_account(r);
    q.sees_all = auth_sees_all(r);
    q.without_card = q.without_meta = true;
    TRY(repo_list(r->store, r->a, &q, &list));
    view_rows(r->a, what, &list, ret);
    return OK;
}

static err trending(struct req *r, const char *what, enum repo_kind kind, struct repo_rows *ret)
{
    return rows(r, what,
                (struct repo_query){.kind = kind, .sort = SORT_TRENDING, .limit = TRENDING_ROWS},
                ret);
}

static err fill(struct req *r, struct home *v)
{
    *v = (struct home){.base = r->base, .user = r->user ? r->user->account.name : STR_NONE};
    if (settings.require_login && !r->user) {
        v->is_closed = true;
        return OK;
    }
    if (r->user)
        TRY(rows(
            r, "Your models",
            (struct repo_query){
                .kind = REPO_MODEL, .author = v->user, .sort = SORT_UPDATED, .limit = MINE_ROWS},
            &v->mine));
    TRY(trending(r, "Trending models", REPO_MODEL, &v->models));
    TRY(trending(r, "Trending datasets", REPO_DATASET, &v->datasets));
    TRY(trending(r, "Trending Spaces", REPO_SPACE, &v->spaces));
    v->is_empty = !v->models.count && !v->datasets.count && !v->spaces.count;
    return OK;
}

static void html(struct buf *out, const void *view)
{
    home_page(out, view);
}

static void list_markdown(struct md *m, const struct repo_rows *v)
{
    if (v->count == 0)
        return;
    md_heading(m, 2, str_c(v->what));
    view_rows_markdown(m, v);
}

static void markdown(struct md *m, const void *view)
{
    const struct home *v = view;

    md_heading(m, 1, STR("hearth"));
    md_line(m, "A model hub that people own. Every Hugging Face client works with it.");
    list_markdown(m, &v->mine);
    list_markdown(m, &v->models);
    list_markdown(m, &v->datasets);
    list_markdown(m, &v->spaces);
    if (v->is_closed)
        md_line(m, "\nIts people log in to see what is here.");
    if (v->is_empty)
        md_line(m, "\nNothing is here yet that you may see.");
    md_heading(m, 2, STR("Next"));
    buf_printf(m->out,
               "```sh\nexport HF_ENDPOINT=%.*s\nhf auth login\nhf upload OWNER/NAME DIR\n"
               "hf download OWNER/NAME\n```\n\n",
               STR_FMT(v->base));
    md_link(m, STR("Models"), STR("/models.md"));
    buf_addc(m->out, '\n');
    md_link(m, STR("Datasets"), STR("/datasets.md"));
    buf_addc(m->out, '\n');
    md_link(m, STR("For agents"), STR("/llms.txt"));
    buf_addc(m->out, '\n');
}

static void list_json(struct json_out *j, const char *key, const struct repo_rows *v)
{
    json_key(j, key);
    view_rows_json(j, v);
}

static void json(struct json_out *j, const void *view)
{
    const struct home *v = view;

    json_obj(j);
    json_kv_str(j, "type", STR("home"));
    json_kv_str(j, "url", v->base);
    if (v->user.ptr)
        json_kv_str(j, "user", v->user);
    json_key(j, "data");
    json_obj(j);
    list_json(j, "mine", &v->mine);
    list_json(j, "models", &v->models);
    list_json(j, "datasets", &v->datasets);
    list_json(j, "spaces", &v->spaces);
    json_obj_end(j);
    json_kv_null(j, "next");
    json_obj_end(j);
}

err web_home(struct req *r)
{
    struct page p = {.title = STR("Models, datasets and apps"),
                     .address = STR("/"),
                     .html = html,
                     .markdown = markdown,
                     .json = json};
    struct home v;

    TRY(fill(r, &v));
    return page_reply(r, &p, &v);
}
