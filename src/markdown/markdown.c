/* markdown.c — see markdown.h: blocks of a card, and the way from its bytes to the result.
 *
 *   source ─▶ front matter off ─▶ clean UTF-8 ─▶ tables ─▶ footnotes out ─▶ guard ─▶ md4c ─▶ events
 *   events ─▶ start tags written here, stack and end tags in sanitize.c ─▶ html
 */
#include "markdown/markdown.h"

#include "markdown/out.h"
#include "markdown/prepare.h"
#include "markdown/render.h"

#include <assert.h>
#include <stdlib.h>

/* One event may write this much beyond the limit of the output. */
#define OUTPUT_ROOM ((size_t)MARKDOWN_MAX_OUTPUT + (size_t)MARKDOWN_MAX_BYTES * 12)

/* --- headings --- */

static struct mark enter_heading(struct render *r)
{
    struct mark m = sanitize_enter(&r->s, EL_h1, STR_NONE);

    r->in_heading = true;
    r->heading.len = 0;
    r->heading.gap = r->heading.full = false;
    r->heading_at = r->out.len;
    return m;
}

static void list_heading(struct render *r, struct markdown_heading h)
{
    size_t n = r->ret->heading_count;

    if (n == MARKDOWN_MAX_HEADINGS)
        return;
    if (n % 16 == 0 && (n & (n - 1)) == 0) { /* 0, 16, 32, 64, … */
        struct markdown_heading *more = arena_many(r->s.a, struct markdown_heading, n ? n * 2 : 16);

        if (n)
            memcpy(more, r->headings, n * sizeof *more);
        r->headings = more;
    }
    r->headings[r->ret->heading_count++] = h;
}

/* Only now its id is known: the start tag goes in front of what has been written. */
static void leave_heading(struct render *r, const MD_BLOCK_H_DETAIL *d, struct mark m)
{
    unsigned level = d->level + r->o->heading_shift;
    struct markdown_heading h = {.text = plain_take(r->s.a, &r->heading)};
    size_t len;

    r->in_heading = false;
    if (!sanitize_leave(&r->s, m))
        return;
    h.level = level < 6 ? level : 6;
    h.id = slug_of(&r->s.slugs, h.text);
    buf_clear(&r->scratch);
    OUT(&r->scratch, "<h");
    buf_addc(&r->scratch, (char)('0' + h.level));
    if (h.id.len) {
        OUT(&r->scratch, " id=\"");
        out_text(&r->scratch, h.id);
        OUT(&r->scratch, "\"");
    }
    OUT(&r->scratch, ">");
    len = r->scratch.len;
    if (!buf_room(&r->out, len))
        return;
    memmove(r->out.ptr + r->heading_at + len, r->out.ptr + r->heading_at,
            r->out.len - r->heading_at);
    memcpy(r->out.ptr + r->heading_at, r->scratch.ptr, len);
    r->out.len += len;
    if (h.id.len)
        list_heading(r, h);
    if (h.id.len && r->s.links == 0) {
        OUT(&r->out, "<a class=\"anchor\"");
        (void)sanitize_href(&r->s, arena_cat(r->s.a, STR("#"), h.id));
        OUT(&r->out, " aria-label=\"Permalink: ");
        out_text(&r->out, h.text);
        OUT(&r->out, "\"></a>");
    }
    OUT(&r->out, "</h");
    buf_addc(&r->out, (char)('0' + h.level));
    OUT(&r->out, ">\n");
}

/* --- blocks --- */

static struct mark enter_block(struct render *r, enum element element, str start, str closer)
{
    struct mark m = sanitize_enter(&r->s, element, closer);

    if (m.serial)
        out_add(&r->out, start);
    return m;
}

static struct mark enter_quote(struct render *r)
{
    struct mark m = sanitize_enter(&r->s, EL_blockquote, STR("</blockquote>\n"));

    r->alert = (struct alert){.state = ALERT_QUOTE, .quote = m, .quote_at = r->out.len};
    OUT(&r->out, "<blockquote>\n");
    r->alert.end = r->out.len;
    return m;
}

static struct mark enter_paragraph(struct render *r)
{
    struct mark m = enter_block(r, EL_p, STR("<p>"), STR("</p>\n"));

    r->is_excerpt = r->depth == 0 && !r->in_notes;
    if (r->alert.state == ALERT_QUOTE) {
        r->alert.state = ALERT_PARAGRAPH;
        r->alert.paragraph = m;
        r->alert.end = r->out.len;
    }
    return m;
}

static void leave_paragraph(struct render *r, struct mark m)
{
    if (r->is_excerpt)
        plain_add(&r->excerpt, STR(" "));
    r->is_excerpt = false;
    if (alert_begin(r)) /* nothing stands in it but the mark */
        sanitize_set_closer(&r->s, m, STR_NONE);
    sanitize_leave(&r->s, m);
}

/* The language as a class; what is no word of a few letters, digits and +-#._ is left out. */
static str language_of(struct render *r, const MD_BLOCK_CODE_DETAIL *d)
{
    str lang = attribute_text(&r->scratch, &d->lang);

    for (size_t i = 0; i < lang.len; i++) {
        char c = lang.ptr[i], low = (char)(c | 0x20);

        if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && !strchr("+-#._", c))
            return STR_NONE;
    }
    return lang.len <= 32 ? lang : STR_NONE;
}

static struct mark enter_code(struct render *r, const MD_BLOCK_CODE_DETAIL *d)
{
    struct mark m = enter_block(r, EL_pre, STR("<div class=\"cp\">"), STR("</code></pre></div>\n"));
    str lang = language_of(r, d);

    if (!m.serial)
        return m;
    if (str_ieq(lang, STR("mermaid")))
        OUT(&r->out, "<p class=\"cp-label\">Diagram source</p>");
    OUT(&r->out, "<pre tabindex=\"0\"><code");
    if (lang.len) {
        OUT(&r->out, " class=\"language-");
        out_text(&r->out, lang);
        OUT(&r->out, "\"");
    }
    OUT(&r->out, ">");
    return m;
}

static struct mark enter_ol(struct render *r, const MD_BLOCK_OL_DETAIL *d)
{
    struct mark m = sanitize_enter(&r->s, EL_ol, STR("</ol>\n"));

    if (d->start == 1)
        OUT(&r->out, "<ol>\n");
    else
        buf_printf(&r->out, "<ol start=\"%u\">\n", d->start);
    return m;
}

static struct mark enter_li(struct render *r, const MD_BLOCK_LI_DETAIL *d)
{
    str start = STR("<li>");

    if (d->is_task && d->task_mark == ' ')
        start =
            STR("<li class=\"task\"><input type=\"checkbox\" disabled aria-label=\"Not done\"> ");
    else if (d->is_task)
        start = STR(
            "<li class=\"task\"><input type=\"checkbox\" disabled aria-label=\"Done\" checked> ");
    return enter_block(r, EL_li, start, STR("</li>\n"));
}

static struct mark enter_table(struct render *r)
{
    struct mark m = sanitize_enter(&r->s, EL_table, STR(SANITIZE_TABLE_END));

    sanitize_table(&r->s);
    OUT(&r->out, "<table>\n");
    return m;
}

static struct mark enter_cell(struct render *r, bool is_head, const MD_BLOCK_TD_DETAIL *d)
{
    static const str classes[] = {
        [MD_ALIGN_DEFAULT] = STR_INIT(">"),
        [MD_ALIGN_LEFT] = STR_INIT(" class=\"align-left\">"),
        [MD_ALIGN_CENTER] = STR_INIT(" class=\"align-center\">"),
        [MD_ALIGN_RIGHT] = STR_INIT(" class=\"align-right\">"),
    };
    struct mark m = is_head ? enter_block(r, EL_th, STR("<th"), STR("</th>"))
                            : enter_block(r, EL_td, STR("<td"), STR("</td>"));

    if (m.serial)
        out_add(&r->out, classes[d->align]);
    r->cell_at = r->out.len;
    return m;
}

/* A header without words is no header. */
static void leave_head_cell(struct render *r, const MD_BLOCK_TD_DETAIL *d, struct mark m)
{
    static const size_t class_len[] = {
        [MD_ALIGN_DEFAULT] = 0,
        [MD_ALIGN_LEFT] = sizeof " class=\"align-left\"" - 1,
        [MD_ALIGN_CENTER] = sizeof " class=\"align-center\"" - 1,
        [MD_ALIGN_RIGHT] = sizeof " class=\"align-right\"" - 1,
    };

    if (m.serial && r->out.len == r->cell_at) {
        r->out.ptr[r->cell_at - class_len[d->align] - 2] = 'd'; /* the h of "<th" */
        sanitize_set_closer(&r->s, m, STR("</td>"));
    }
    sanitize_leave(&r->s, m);
}

static struct mark enter(struct render *r, MD_BLOCKTYPE type, const void *detail)
{
    switch (type) {
    case MD_BLOCK_QUOTE:
        return enter_quote(r);
    case MD_BLOCK_UL:
        return enter_block(r, EL_ul, STR("<ul>\n"), STR("</ul>\n"));
    case MD_BLOCK_OL:
        return enter_ol(r, detail);
    case MD_BLOCK_LI:
        return enter_li(r, detail);
    case MD_BLOCK_HR:
        return enter_block(r, EL_div, STR("<hr>\n"), STR_NONE); /* as a block, to end a paragraph */
    case MD_BLOCK_H:
        return enter_heading(r);
    case MD_BLOCK_CODE:
        return enter_code(r, detail);
    case MD_BLOCK_P:
        return enter_paragraph(r);
    case MD_BLOCK_TABLE:
        return enter_table(r);
    case MD_BLOCK_THEAD:
        return enter_block(r, EL_thead, STR("<thead>\n"), STR("</thead>\n"));
    case MD_BLOCK_TBODY:
        return enter_block(r, EL_tbody, STR("<tbody>\n"), STR("</tbody>\n"));
    case MD_BLOCK_TR:
        return enter_block(r, EL_tr, STR("<tr>"), STR("</tr>\n"));
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
        return enter_cell(r, type == MD_BLOCK_TH, detail);
    default: /* the document, HTML */
        return (struct mark){0, 0};
    }
}

static int on_enter_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct render *r = ctx;
    struct mark m;

    if (render_has_ended(r))
        return 1;
    render_flush_raw(r);
    if (type == MD_BLOCK_DOC)
        return 0;
    if (type != MD_BLOCK_P)
        r->alert.state = ALERT_NONE;
    render_end_spans(r);
    if (r->over || r->depth == MARKDOWN_MAX_DEPTH) {
        r->over++;
        return render_is_cut(r);
    }
    /* its level is taken when it is open: until then depth counts those around it */
    m = enter(r, type, detail);
    r->levels[r->depth++] = (struct level){.is_block = true, .mark = m};
    return render_is_cut(r);
}

static int on_leave_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct render *r = ctx;
    struct mark m;

    if (render_has_ended(r))
        return 1;
    render_flush_raw(r);
    if (type == MD_BLOCK_DOC)
        return 0;
    render_end_spans(r);
    if (r->over) {
        r->over--;
        OUT(&r->out, "\n");
        return render_is_cut(r);
    }
    assert(r->depth > 0);
    m = r->levels[--r->depth].mark;
    if (type == MD_BLOCK_H)
        leave_heading(r, detail, m);
    else if (type == MD_BLOCK_P)
        leave_paragraph(r, m);
    else if (type == MD_BLOCK_TH)
        leave_head_cell(r, detail, m);
    else
        sanitize_leave(&r->s, m);
    r->alert.state = ALERT_NONE;
    return render_is_cut(r);
}

/* --- the document --- */

static void parse(struct render *r, str text)
{
    const MD_PARSER parser = {
        .flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
                 MD_FLAG_LATEXMATHSPANS | (r->o->raw_html ? 0 : MD_FLAG_NOHTML),
        .enter_block = on_enter_block,
        .leave_block = on_leave_block,
        .enter_span = render_enter_span,
        .leave_span = render_leave_span,
        .text = render_text,
    };

    if (r->ret->is_cut || text.len == 0)
        return;
    assert(text.ptr[text.len - 1] == '\n');
    r->text = text;
    if (md_parse(text.ptr, (MD_SIZE)text.len, &parser, r) != 0)
        r->ret->is_cut = true;
    render_flush_raw(r);
    render_end_spans(r); /* of a block that was cut */
    r->over = r->depth = 0;
    r->in_heading = r->is_excerpt = false;
    r->alert.state = ALERT_NONE;
}

/* Rendering a note may refer to more of them. */
static void write_footnotes(struct render *r, struct guard *g)
{
    struct mark section, list, item;

    if (r->notes.used == 0)
        return;
    r->in_notes = true;
    sanitize_close(&r->s, (struct mark){0, 0});
    section = enter_block(r, EL_div, STR("<div class=\"footnotes\">"), STR("</div>\n"));
    list = enter_block(r, EL_ol, STR("<ol>\n"), STR("</ol>"));
    for (unsigned i = 0; i < r->notes.used && !r->ret->is_cut; i++) {
        const struct footnote *f = r->notes.order[i];

        item = enter_block(r, EL_li, STR("<li id=\""), STR("</li>\n"));
        out_text(&r->out, f->id);
        OUT(&r->out, "\">");
        parse(r, guard_text(r->s.a, f->text, g));
        sanitize_close(&r->s, item);
        OUT(&r->out, "<a class=\"footnote-back\" href=\"#");
        out_text(&r->out, f->ref_id);
        OUT(&r->out, "\" aria-label=\"Back to the text\">\xe2\x86\xa9</a>");
        sanitize_leave(&r->s, item);
    }
    sanitize_leave(&r->s, list);
    sanitize_leave(&r->s, section);
}

/* The bytes of a buf, which live as long as the arena from now on. */
static str keep(struct arena *a, struct buf *b)
{
    if (b->len == 0) {
        buf_free(b);
        return STR("");
    }
    arena_defer(a, free, b->ptr);
    return buf_str(b);
}

static void render_plain(struct arena *a, str text, struct markdown_result *ret)
{
    struct buf out = BUF((size_t)MARKDOWN_MAX_BYTES * 6 + 256);

    ret->is_plain = true;
    ret->is_cut = text.len > MARKDOWN_MAX_BYTES;
    OUT(&out, "<pre class=\"plain\" tabindex=\"0\">");
    out_text(&out, text_clean(a, str_first(text, MARKDOWN_MAX_BYTES)));
    OUT(&out, "</pre>\n");
    assert(!out.full);
    ret->html = keep(a, &out);
}

void markdown_render(struct arena *a, str source, const struct markdown_options *o,
                     struct markdown_result *ret)
{
    struct render *r = arena_one(a, struct render);
    struct guard g = {0};
    str text;

    *ret = (struct markdown_result){0};
    ret->yaml = front_matter_of(source, &ret->body_at);
    text = str_from(source, ret->body_at);
    if (text.len <= MARKDOWN_MAX_BYTES)
        text = text_clean(a, text);
    if (text.len > MARKDOWN_MAX_BYTES + 1) {
        render_plain(a, text, ret);
        return;
    }
    r->o = o;
    r->ret = ret;
    r->out = BUF(OUTPUT_ROOM);
    r->raw = r->scratch = BUF(SCRATCH_MAX);
    sanitize_init(&r->s, a, &r->out, o);
    text = footnotes_take(a, text_tables(a, text), &r->notes);
    (void)buf_room(&r->out, text.len + text.len / 2 + 1024);
    parse(r, guard_text(a, text, &g));
    write_footnotes(r, &g);
    sanitize_end(&r->s);
    if (r->out.full) { /* no end tag is certain to be there */
        ret->heading_count = 0;
        render_plain(a, text, ret);
        buf_free(&r->out);
    } else {
        ret->html = keep(a, &r->out);
        ret->excerpt = plain_take(a, &r->excerpt);
        ret->headings = r->headings;
    }
    buf_free(&r->raw);
    buf_free(&r->scratch);
}

str markdown_sanitize(struct arena *a, str html, const struct markdown_options *o)
{
    struct buf out = BUF(OUTPUT_ROOM);
    struct sanitizer s;

    sanitize_init(&s, a, &out, o);
    if (html.len > MARKDOWN_MAX_BYTES)
        out_text(&out, text_clean(a, str_first(html, MARKDOWN_MAX_BYTES)));
    else
        sanitize_html(&s, text_drop_added(html, text_clean(a, html)));
    sanitize_end(&s);
    if (out.full) /* no end tag is certain to be there */
        buf_clear(&out);
    return keep(a, &out);
}
