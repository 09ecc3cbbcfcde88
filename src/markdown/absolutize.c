/* absolutize.c — markdown_absolutize: a card for programs, in which every target is absolute.
 *
 * The parser says what is a link; where its target stands in the source follows from the pointers
 * that it hands out.  A target with escapes is handed out as a copy: then it is looked for behind
 * the text of the link, and taken only when it reads the same.  Targets in HTML are found by
 * tag_read. */
#include "markdown/link.h"
#include "markdown/out.h"
#include "markdown/prepare.h"
#include "markdown/render.h"
#include "markdown/tag.h"

#include <stdlib.h>

struct edit {
    size_t at, len; /* in the text */
    enum link_use use;
    str url; /* decoded */
};

struct walk {
    struct arena *a;
    str text;
    const char *last;   /* end of the last piece of text that stands in the source */
    str html;           /* the stretch of the source that the last pieces of HTML span */
    struct edit *edits; /* in any order, some more than once */
    size_t count, room;
    unsigned events;
    struct buf scratch, raw;
};

static bool is_inside(const struct walk *w, str s)
{
    return s.ptr >= w->text.ptr && s.ptr + s.len <= w->text.ptr + w->text.len;
}

static void add_edit(struct walk *w, str place, enum link_use use, str url)
{
    if (w->count == w->room) {
        struct edit *more = arena_many(w->a, struct edit, w->room = w->room ? w->room * 2 : 64);

        if (w->count)
            memcpy(more, w->edits, w->count * sizeof *more);
        w->edits = more;
    }
    w->edits[w->count++] = (struct edit){(size_t)(place.ptr - w->text.ptr), place.len, use, url};
}

/* The text as the parser reads it: entities decoded, backslashes before punctuation gone. */
static str unescape(struct walk *w, str s)
{
    struct buf *b = &w->raw;

    buf_clear(b);
    while (s.len) {
        ptrdiff_t at = str_find(s, '\\');

        if (at < 0 || (size_t)at + 1 == s.len)
            break;
        entity_decode(b, str_first(s, (size_t)at));
        s = str_from(s, (size_t)at);
        if ((s.ptr[1] >= '!' && s.ptr[1] <= '/') || (s.ptr[1] >= ':' && s.ptr[1] <= '@') ||
            (s.ptr[1] >= '[' && s.ptr[1] <= '`') || (s.ptr[1] >= '{' && s.ptr[1] <= '~'))
            s = str_from(s, 1);
        buf_addc(b, s.ptr[0]);
        s = str_from(s, 1);
    }
    entity_decode(b, s);
    return buf_str(b);
}

#define LABEL_BYTES 160 /* of a definition, at most */
#define SEARCH_BYTES 80 /* from the text of a link to its "](" */

/* Bytes of the target at the front of s. */
static size_t target_len(str s, bool angle)
{
    size_t n = 0, open = 0;

    for (; n < s.len; n++) {
        char c = s.ptr[n];

        if (c == '\n' || (angle ? c == '>' : c == ' ' || (c == ')' && open == 0)))
            break;
        if (c == '\\' && n + 1 < s.len && s.ptr[n + 1] != '\n')
            n++;
        else if (c == '(' || c == ')')
            open += c == '(' ? 1 : open ? (size_t)-1 : 0;
    }
    return n < s.len ? n : s.len;
}

/* Looks for a target with escapes behind the text of its link. */
static void find_escaped(struct walk *w, enum link_use use, str url)
{
    str behind = str_from(w->text, w->last ? (size_t)(w->last - w->text.ptr) : 0);
    str near = str_first(behind, SEARCH_BYTES), target;
    const char *open = near.len ? memmem(near.ptr, near.len, "](", 2) : NULL;
    bool angle;

    if (!open)
        return;
    behind = str_from(behind, (size_t)(open - behind.ptr) + 2);
    while (str_skip(&behind, STR(" ")) || str_skip(&behind, STR("\n")))
        continue;
    angle = str_skip(&behind, STR("<"));
    target = str_first(behind, target_len(behind, angle));
    if (str_eq(unescape(w, target), url))
        add_edit(w, target, use, arena_str(w->a, url));
}

/* "[^note]: word" is a definition for the parser; it is a footnote for us. */
static bool is_footnote(const struct walk *w, const char *target)
{
    const char *p = target, *begin = w->text.ptr;

    while (p > begin && (p[-1] == ' ' || p[-1] == '<' || p[-1] == '\t'))
        p--;
    if (p - begin < 4 || p[-1] != ':' || p[-2] != ']')
        return false;
    p -= 2;
    while (p > begin && target - p < LABEL_BYTES && p[-1] != '[' && p[-1] != '\n')
        p--;
    return p > begin && p[-1] == '[' && *p == '^';
}

static void on_target(struct walk *w, const MD_ATTRIBUTE *a, enum link_use use)
{
    str url = attribute_text(&w->scratch, a);

    if (url.len == 0)
        return;
    if (!is_inside(w, url))
        find_escaped(w, use, url);
    else if (!is_footnote(w, url.ptr))
        add_edit(w, url, use, url);
}

static void on_tag(struct walk *w, const struct tag *t)
{
    static const struct {
        enum attr attr;
        enum link_use use;
    } targets[] = {{ATTR_HREF, LINK_PAGE}, {ATTR_SRC, LINK_IMAGE}, {ATTR_POSTER, LINK_IMAGE}};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        str raw = t->value[targets[i].attr];

        if (!(t->present & 1u << targets[i].attr) || raw.len == 0)
            continue;
        buf_clear(&w->scratch);
        entity_decode(&w->scratch, raw);
        add_edit(w, raw, targets[i].use, arena_str(w->a, buf_str(&w->scratch)));
    }
}

/* HTML arrives in pieces; those that follow each other are read as one. */
static void flush_html(struct walk *w)
{
    str html = w->html;

    w->html = STR_NONE;
    for (ptrdiff_t at; (at = str_find(html, '<')) >= 0;) {
        struct tag t;
        size_t len;

        html = str_from(html, (size_t)at);
        len = tag_read(html, &t);
        if (len && t.kind == TAG_START)
            on_tag(w, &t);
        html = str_from(html, len ? len : 1);
    }
}

/* --- the parser's events --- */

static int next_event(struct walk *w)
{
    if (w->html.len)
        flush_html(w);
    return ++w->events > MARKDOWN_MAX_EVENTS;
}

static int on_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    (void)type;
    (void)detail;
    return next_event(ctx);
}

static int on_enter_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    (void)type;
    (void)detail;
    return next_event(ctx);
}

static int on_leave_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    struct walk *w = ctx;

    if (type == MD_SPAN_A)
        on_target(w, &((MD_SPAN_A_DETAIL *)detail)->href, LINK_PAGE);
    else if (type == MD_SPAN_IMG)
        on_target(w, &((MD_SPAN_IMG_DETAIL *)detail)->src, LINK_IMAGE);
    return next_event(w);
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *p, MD_SIZE len, void *ctx)
{
    struct walk *w = ctx;
    str s = {p, len};

    if (is_inside(w, s))
        w->last = p + len;
    if (type != MD_TEXT_HTML)
        return next_event(w);
    if (!is_inside(w, s)) /* a line end of the parser's own */
        return 0;
    w->html = w->html.len ? (str){w->html.ptr, (size_t)(p + len - w->html.ptr)} : s;
    return ++w->events > MARKDOWN_MAX_EVENTS;
}

/* --- the new text --- */

static int by_place(const void *a, const void *b)
{
    const struct edit *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/* An address as it may stand both within (…) and within quotes. */
static void add_address(struct buf *b, str url)
{
    for (size_t i = 0; i < url.len; i++) {
        char c = url.ptr[i];

        if (c == '(' || c == ')' || c == '\'')
            out_add(b, c == '(' ? STR("%28") : c == ')' ? STR("%29") : STR("%27"));
        else
            buf_addc(b, c);
        if (c == '&' && entity_len(str_from(url, i)))
            OUT(b, "amp;");
    }
}

/* The source with its edits; those whose address is absolute already change nothing. */
static str apply(struct walk *w, str source, str front, const struct markdown_options *o)
{
    struct buf b = BUF(front.len + MARKDOWN_MAX_OUTPUT);
    size_t done = 0;
    bool foreign;
    str ret;

    buf_add(&b, front);
    if (w->count)
        qsort(w->edits, w->count, sizeof *w->edits, by_place);
    for (size_t i = 0; i < w->count; i++) {
        const struct edit *e = &w->edits[i];

        buf_clear(&w->scratch);
        if (e->at < done || !link_resolve(&w->scratch, o, e->use, e->url, &foreign) || foreign ||
            w->scratch.ptr[0] != '/')
            continue;
        buf_add(&b, (str){w->text.ptr + done, e->at - done});
        add_address(&b, o->origin);
        add_address(&b, buf_str(&w->scratch));
        done = e->at + e->len;
    }
    buf_add(&b, str_from(w->text, done));
    ret = b.full ? source : text_drop_added(source, arena_str(w->a, buf_str(&b)));
    buf_free(&b);
    return ret;
}

str markdown_absolutize(struct arena *a, str source, const struct markdown_options *o)
{
    const MD_PARSER parser = {
        .flags =
            MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS | MD_FLAG_LATEXMATHSPANS,
        .enter_block = on_block,
        .leave_block = on_block,
        .enter_span = on_enter_span,
        .leave_span = on_leave_span,
        .text = on_text,
    };
    struct walk w = {.a = a};
    struct guard g = {0};
    size_t body_at;
    str ret = source;

    (void)front_matter_of(source, &body_at);
    if (source.len - body_at > MARKDOWN_MAX_BYTES)
        return source;
    w.text = text_clean(a, str_from(source, body_at));
    w.scratch = w.raw = BUF(SCRATCH_MAX);
    if (w.text.len && w.text.len <= MARKDOWN_MAX_BYTES + 1 &&
        guard_text(a, w.text, &g).ptr == w.text.ptr && /* what is hostile stays as it is */
        md_parse(w.text.ptr, (MD_SIZE)w.text.len, &parser, &w) == 0) {
        flush_html(&w);
        ret = apply(&w, source, str_first(source, body_at), o);
    }
    buf_free(&w.scratch);
    buf_free(&w.raw);
    return ret;
}
