/* render_text.c — text of a card: escaping, bare links, references to footnotes, alert marks, and
 * plain copies for headings and the excerpt. */
#include "base/text.h"
#include "markdown/autolink.h"
#include "markdown/out.h"
#include "markdown/render.h"

bool render_is_cut(struct render *r)
{
    if (++r->events > MARKDOWN_MAX_EVENTS || r->out.len > MARKDOWN_MAX_OUTPUT || r->out.full)
        r->ret->is_cut = true;
    return r->ret->is_cut;
}

void render_flush_raw(struct render *r)
{
    if (r->raw.len == 0)
        return;
    sanitize_html(&r->s, buf_str(&r->raw));
    buf_clear(&r->raw);
}

/* --- plain text --- */

void plain_add(struct plain *p, str s)
{
    for (size_t i = 0; i < s.len && !p->full; i++) {
        char c = s.ptr[i];

        if ((unsigned char)c <= ' ') {
            p->gap = p->len > 0;
            continue;
        }
        if (p->len + p->gap >= MARKDOWN_MAX_EXCERPT) {
            p->full = true;
            return;
        }
        if (p->gap)
            p->bytes[p->len++] = ' ';
        p->gap = false;
        p->bytes[p->len++] = c;
    }
}

str plain_take(struct arena *a, const struct plain *p)
{
    str s = {p->bytes, p->len};
    ptrdiff_t space = str_rfind(s, ' ');

    if (!p->full)
        return arena_str(a, s);
    if (space > MARKDOWN_MAX_EXCERPT / 2)
        s.len = (size_t)space;
    while (!utf8_valid(s))
        s.len--;
    return arena_cat(a, s, STR("\xe2\x80\xa6"));
}

static void copy_plain(struct render *r, str s)
{
    if (r->images)
        return;
    if (r->in_heading)
        plain_add(&r->heading, s);
    else if (r->is_excerpt && !r->excerpt.full)
        plain_add(&r->excerpt, s);
}

/* --- alerts --- */

struct alert_kind {
    str mark, start; /* the tags that begin the note */
};

#define ALERT(mark, class, title)                                                                  \
    {                                                                                              \
        STR_INIT("[!" mark "]"),                                                                   \
            STR_INIT("<div class=\"note " class "\" role=\"note\">"                                \
                                                "<p class=\"note-title\">" title "</p>\n")         \
    }
static const struct alert_kind alert_kinds[] = {
    ALERT("NOTE", "info", "Note"),           ALERT("TIP", "ok", "Tip"),
    ALERT("IMPORTANT", "info", "Important"), ALERT("WARNING", "warn", "Warning"),
    ALERT("CAUTION", "err", "Caution"),
};

/* The first text of a quote: when it is a mark, the line behind it must end now. */
static void see_alert(struct render *r, str s)
{
    struct alert *a = &r->alert;

    if (a->state != ALERT_PARAGRAPH || a->end != r->out.len) {
        a->state = ALERT_NONE;
        return;
    }
    a->state = ALERT_NONE;
    for (size_t i = 0; i < sizeof alert_kinds / sizeof *alert_kinds; i++)
        if (str_ieq(str_trim(s), alert_kinds[i].mark)) {
            a->kind = &alert_kinds[i];
            a->state = ALERT_MARK;
        }
}

bool alert_begin(struct render *r)
{
    struct alert *a = &r->alert;

    if (a->state != ALERT_MARK || a->end != r->out.len)
        return false;
    a->state = ALERT_NONE;
    r->out.len = a->quote_at;
    out_add(&r->out, a->kind->start);
    sanitize_set_closer(&r->s, a->quote, STR("</div>\n"));
    return true;
}

/* --- references to footnotes --- */

static struct footnote *find_ref(const struct render *r, str s, size_t *ret_len)
{
    if (r->notes.count == 0 || r->notes.refs >= FOOTNOTE_MAX_REFS)
        return NULL;
    return footnote_ref(&r->notes, s, ret_len);
}

static void write_ref(struct render *r, struct footnote *f)
{
    str id = STR_NONE;

    r->notes.refs++;
    if (!f->number) {
        f->number = ++r->notes.used;
        r->notes.order[f->number - 1] = f;
        f->id = slug_of(&r->s.slugs, arena_printf(r->s.a, "fn-%u", f->number));
        id = f->ref_id = slug_of(&r->s.slugs, arena_printf(r->s.a, "fnref-%u", f->number));
    }
    OUT(&r->out, "<sup class=\"footnote\"><a href=\"#");
    out_text(&r->out, f->id);
    if (id.len) {
        OUT(&r->out, "\" id=\"");
        out_text(&r->out, id);
    }
    buf_printf(&r->out, "\" aria-label=\"Footnote %u\">%u</a></sup>", f->number, f->number);
}

/* --- text --- */

static void plain_text(struct render *r, str s)
{
    copy_plain(r, s);
    out_text(&r->out, s);
}

/* Bytes at which something may begin: 1 an address, 2 a footnote. */
static const unsigned char begins[256] = {[':'] = 1, ['@'] = 1, ['w'] = 1, ['['] = 2};

static void write_link(struct render *r, str text, const struct autolink *l)
{
    str shown = {text.ptr + l->start, l->end - l->start};
    size_t at = r->out.len;

    copy_plain(r, shown);
    buf_clear(&r->scratch);
    out_add(&r->scratch, l->prefix);
    out_add(&r->scratch, shown);
    OUT(&r->out, "<a");
    if (!sanitize_href(&r->s, buf_str(&r->scratch))) {
        r->out.len = at;
        out_text(&r->out, shown);
        return;
    }
    OUT(&r->out, ">");
    out_text(&r->out, shown);
    OUT(&r->out, "</a>");
}

static void normal_text(struct render *r, str s)
{
    size_t from = 0, len;
    struct footnote *f;
    struct autolink l;

    if (r->images || r->s.links) {
        plain_text(r, s);
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned char kind = begins[(unsigned char)s.ptr[i]];

        if (!kind)
            continue;
        if (kind == 1 && autolink_at(s, from, i, &l)) {
            plain_text(r, (str){s.ptr + from, l.start - from});
            write_link(r, s, &l);
            from = l.end;
            i = from - 1;
        } else if (kind == 2 && (f = find_ref(r, str_from(s, i), &len))) {
            plain_text(r, (str){s.ptr + from, i - from});
            write_ref(r, f);
            from = i + len;
            i = from - 1;
        }
    }
    plain_text(r, str_from(s, from));
}

static void line_break(struct render *r, bool is_hard)
{
    copy_plain(r, STR(" "));
    if (r->images)
        OUT(&r->out, " ");
    else if (alert_begin(r))
        OUT(&r->out, "<p>");
    else
        out_add(&r->out, is_hard ? STR("<br>\n") : STR("\n"));
}

static void entity(struct render *r, str s)
{
    out_html_text(&r->out, s);
    if (r->in_heading || r->is_excerpt) {
        buf_clear(&r->scratch);
        entity_decode(&r->scratch, s);
        copy_plain(r, buf_str(&r->scratch));
    }
}

int render_text(MD_TEXTTYPE type, const MD_CHAR *p, MD_SIZE len, void *ctx)
{
    struct render *r = ctx;
    str s = {p, len};

    if (render_has_ended(r))
        return 1;
    if (type == MD_TEXT_HTML) {
        if (!r->images)
            out_add(&r->raw, s);
        return render_is_cut(r);
    }
    render_flush_raw(r);
    if (type != MD_TEXT_BR && type != MD_TEXT_SOFTBR && !r->images)
        sanitize_make_place(&r->s);
    switch (type) {
    case MD_TEXT_BR:
    case MD_TEXT_SOFTBR:
        line_break(r, type == MD_TEXT_BR);
        break;
    case MD_TEXT_NULLCHAR:
        OUT(&r->out, "\xef\xbf\xbd");
        break;
    case MD_TEXT_ENTITY:
        entity(r, s);
        break;
    case MD_TEXT_NORMAL:
        if (r->alert.state)
            see_alert(r, s);
        normal_text(r, s);
        r->alert.end = r->out.len;
        break;
    case MD_TEXT_LATEXMATH:
        r->math_end = p + len;
        plain_text(r, s);
        break;
    default: /* code */
        plain_text(r, s);
    }
    return render_is_cut(r);
}
