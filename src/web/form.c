/* form.c — see form.h. */
#include "web/form.h"
#include "web/templates.h"
#include <assert.h>
#include <string.h>

struct form_field *form_add(struct form *f, enum field_type type, const char *name,
                            const char *label, str value)
{
    struct form_field *x;

    assert(f->count < FORM_FIELDS_MAX);
    x = &f->fields[f->count++];
    *x = (struct form_field){.type = type, .name = name, .label = label, .value = value};
    return x;
}

str form_value(const struct req *r, const char *name)
{
    str v = url_query_get(&r->form, str_c(name));

    return v.ptr ? v : json_get_str(r->json, name);
}

void form_fail(struct form *f, const char *field, str why)
{
    f->is_failed = true;
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->fields[i].name, field) == 0 && f->fields[i].type != FIELD_HIDDEN) {
            f->fields[i].bad = why;
            return;
        }
    f->error = why;
}

/* --- the twins: what a program is told about a form --- */

static const char *type_word(enum field_type t)
{
    static const char *const words[] = {"text",   "email",    "password", "text",
                                        "choice", "checkbox", "hidden",   "files"};

    return words[t];
}

void form_markdown(struct md *m, const struct form *f)
{
    md_heading(m, 1, f->title);
    if (f->note.len) {
        md_text(m, f->note);
        buf_add(m->out, STR("\n\n"));
    }
    if (f->error.len) {
        md_text(m, f->error);
        buf_add(m->out, STR("\n\n"));
    }
    if (f->intro.len) {
        md_text(m, f->intro);
        buf_add(m->out, STR("\n\n"));
    }
    for (size_t i = 0; i < f->count; i++) {
        const struct form_field *x = &f->fields[i];

        if (x->type == FIELD_HIDDEN)
            continue;
        buf_printf(m->out, "- %s (%s%s)", x->label, type_word(x->type),
                   x->required ? ", required" : "");
        if (x->bad.len) {
            buf_add(m->out, STR(": "));
            md_text(m, x->bad);
        } else if (x->help.len) {
            buf_add(m->out, STR(": "));
            md_text(m, x->help);
        }
        buf_addc(m->out, '\n');
    }
    if (f->program.len) {
        md_heading(m, 2, STR("Next"));
        md_command(m, f->program);
    }
}

static void field_json(struct json_out *j, const struct form_field *x)
{
    json_obj(j);
    json_kv_str(j, "name", str_c(x->name));
    json_kv_str(j, "label", str_c(x->label));
    json_kv_str(j, "type", str_c(type_word(x->type)));
    json_kv_bool(j, "required", x->required);
    if (x->help.len)
        json_kv_str(j, "help", x->help);
    if (x->bad.len)
        json_kv_str(j, "error", x->bad);
    if (x->option_count) {
        json_key(j, "options");
        json_arr(j);
        for (size_t i = 0; i < x->option_count; i++)
            json_put_str(j, x->options[i].value);
        json_arr_end(j);
    }
    json_obj_end(j);
}

void form_json(struct json_out *j, const struct form *f)
{
    json_obj(j);
    json_kv_str(j, "type", STR("form"));
    json_kv_str(j, "title", f->title);
    json_kv_str(j, "text", f->intro.ptr ? f->intro : STR(""));
    json_kv_str(j, "action", f->action);
    if (f->error.len)
        json_kv_str(j, "error", f->error);
    if (f->note.len)
        json_kv_str(j, "note", f->note);
    if (f->program.len)
        json_kv_str(j, "program", f->program);
    json_key(j, "fields");
    json_arr(j);
    for (size_t i = 0; i < f->count; i++)
        if (f->fields[i].type != FIELD_HIDDEN)
            field_json(j, &f->fields[i]);
    json_arr_end(j);
    json_obj_end(j);
}

/* --- the page --- */

/* What every control carries; written inside its tag by the template. */
void form_marks(struct buf *out, const struct form_field *x)
{
    buf_add(out, STR("autocomplete=\""));
    html_put_text(out, str_c(x->autocomplete ? x->autocomplete : "off"));
    buf_addc(out, '"');
    if (x->required)
        buf_add(out, STR(" required"));
    if (x->bad.len)
        buf_printf(out, " aria-invalid=\"true\" aria-describedby=\"e-%s\"", x->name);
    else if (x->help.len)
        buf_printf(out, " aria-describedby=\"h-%s\"", x->name);
}

static void html(struct buf *out, const void *view)
{
    form_page(out, view);
}

static void markdown(struct md *m, const void *view)
{
    form_markdown(m, view);
}

static void json(struct json_out *j, const void *view)
{
    form_json(j, view);
}

err form_reply(struct req *r, struct form *f, str address)
{
    struct page p = {.title = f->title,
                     .address = address,
                     .html = html,
                     .markdown = markdown,
                     .json = json,
                     .status = f->is_failed ? 422 : 200};

    f->form_token = r->user ? r->user->form_token : STR_NONE;
    for (size_t i = 0; i < f->count; i++)
        if (f->fields[i].type == FIELD_PASSWORD)
            f->fields[i].value = STR("");
    reply_header(r, "Cache-Control", STR("no-store"));
    return page_reply(r, &p, f);
}

err form_done(struct req *r, str path)
{
    reply_header(r, "Cache-Control", STR("no-store"));
    return reply_redirect(r, 303, arena_cat(r->a, r->base, path));
}

str form_next(str next)
{
    if (next.len == 0 || next.ptr[0] != '/' || str_starts(next, STR("//")) ||
        str_has(next, STR("\\")))
        return STR("/");
    for (size_t i = 0; i < next.len; i++)
        if (next.ptr[i] < ' ' || next.ptr[i] > '~')
            return STR("/");
    return next;
}
