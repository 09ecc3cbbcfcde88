/* error.c — errors as pages, for people with a browser: no query, no database. */
#include "web/error.h"
#include "web/templates.h"
#include "web/web.h"
#include <string.h>

static void html(struct buf *out, const void *view)
{
    error_page(out, view);
}

static void markdown(struct md *m, const void *view)
{
    const struct error_view *v = view;

    buf_printf(m->out, "# %d\n\n", v->status);
    md_text(m, v->text);
    buf_printf(m->out, "\n\nRequest %.*s\n", STR_FMT(v->request_id));
}

static void json(struct json_out *j, const void *view)
{
    const struct error_view *v = view;

    json_obj(j);
    json_kv_str(j, "error", v->text);
    json_kv_str(j, "requestId", v->request_id);
    json_obj_end(j);
}

err web_nothing(struct req *r)
{
    return err_new(r->a, 404, NULL, "There is nothing at this address.");
}

bool web_wants_error_page(const struct req *r)
{
    if (r->route ? !web_has_twin(r->route) : str_starts(r->path, STR("/api/")))
        return false;
    return r->twin.len || str_has(req_header(r, "Accept"), STR("text/html")) ||
           str_has(req_header(r, "Accept"), STR("text/markdown"));
}

err web_error_page(struct req *r, err e)
{
    /* missing and hidden are one answer; people are not asked for a token but shown where to log in
     */
    bool is_hidden = e->code && strcmp(e->code, "RepoNotFound") == 0;
    int status = is_hidden ? 404 : e->status;
    str text = is_hidden ? STR("There is no such repository, or you may not see it.") : e->text;
    struct error_view v = {status, text, r->request_id};
    struct page p = {.title = arena_printf(r->a, "%d", status),
                     .address = STR("/"),
                     .html = html,
                     .markdown = markdown,
                     .json = json,
                     .status = status};

    return page_reply(r, &p, &v);
}
