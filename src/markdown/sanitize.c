/* sanitize.c — see sanitize.h. */
#include "markdown/sanitize.h"

#include "markdown/link.h"
#include "markdown/out.h"
#include "markdown/tag.h"

#include <assert.h>

enum kind { TEXT, VOID, BLOCK, PART, SOURCE, DROPPED, VOID_PART, VOID_BLOCK, VOID_DROPPED };

static const struct {
    str name, closer;
    enum kind kind;
    uint32_t attrs;
} elements[EL_COUNT] = {
#define ELEMENT(name, kind, attrs)                                                                 \
    [EL_##name] = {STR_INIT(#name), STR_INIT("</" #name ">"), kind, attrs},
#include "markdown/elements.def"
#undef ELEMENT
};

void sanitize_init(struct sanitizer *s, struct arena *a, struct buf *out,
                   const struct markdown_options *o)
{
    memset(s, 0, offsetof(struct sanitizer, stack));
    s->depth = s->raw_depth = s->links = s->tables = 0;
    s->serial = 0;
    s->is_between_cells = false;
    s->a = s->slugs.a = a;
    s->out = out;
    s->o = o;
    s->url = s->value = BUF(SCRATCH_MAX);
}

/* --- the stack --- */

static enum kind kind_of(const struct open_element *e)
{
    return elements[e->element].kind;
}

/* Parts of a table that hold no words, only parts. */
static bool holds_parts(const struct open_element *e)
{
    return !e->ours &&
           (e->element == EL_table || (kind_of(e) == PART && e->element != EL_td &&
                                       e->element != EL_th && e->element != EL_caption));
}

static struct open_element *push(struct sanitizer *s, enum element element, bool ours, str closer)
{
    struct open_element *e = &s->stack[s->depth++];

    assert(s->depth <= sizeof s->stack / sizeof *s->stack);
    *e = (struct open_element){element, ours, ours ? ++s->serial : 0, closer};
    s->raw_depth += !ours;
    s->links += element == EL_a;
    s->is_between_cells = holds_parts(e);
    return e;
}

/* Closes elements until `depth` of them are left. */
static void pop_to(struct sanitizer *s, unsigned depth)
{
    while (s->depth > depth) {
        const struct open_element *e = &s->stack[--s->depth];

        out_add(s->out, e->closer);
        s->raw_depth -= !e->ours;
        s->links -= e->element == EL_a;
    }
    s->is_between_cells = s->depth > 0 && holds_parts(&s->stack[s->depth - 1]);
}

/* At most two elements above SANITIZE_MAX_RAW: no table begins there. */
void sanitize_open_cell(struct sanitizer *s)
{
    if (s->stack[s->depth - 1].element == EL_colgroup)
        pop_to(s, s->depth - 1);
    if (s->stack[s->depth - 1].element != EL_tr) {
        OUT(s->out, "<tr>");
        push(s, EL_tr, false, elements[EL_tr].closer);
    }
    OUT(s->out, "<td>");
    push(s, EL_td, false, elements[EL_td].closer);
}

void sanitize_end(struct sanitizer *s)
{
    pop_to(s, 0);
    buf_free(&s->url);
    buf_free(&s->value);
}

/* A block ends the paragraph that it stands in; between the two can only be elements of a line. */
static void end_paragraph(struct sanitizer *s)
{
    for (unsigned i = s->depth; i-- > 0;) {
        if (s->stack[i].element == EL_p) {
            pop_to(s, i);
            return;
        }
        if (kind_of(&s->stack[i]) != TEXT)
            return;
    }
}

static bool is_heading(enum element e)
{
    return e >= EL_h1 && e <= EL_h6;
}

/* Headings do not nest: the new one ends the open one.  False when that one is ours. */
static bool end_heading(struct sanitizer *s)
{
    const struct open_element *top = s->depth ? &s->stack[s->depth - 1] : NULL;

    if (!top || !is_heading(top->element))
        return true;
    if (top->ours)
        return false;
    pop_to(s, s->depth - 1);
    return true;
}

struct mark sanitize_enter(struct sanitizer *s, enum element element, str closer)
{
    if (s->depth - s->raw_depth >= SANITIZE_MAX_OURS)
        return (struct mark){0, 0};
    if (elements[element].kind == BLOCK) {
        sanitize_make_place(s);
        end_paragraph(s);
        if (is_heading(element))
            end_heading(s);
    }
    return (struct mark){s->depth, push(s, element, true, closer)->serial};
}

static bool is_open(const struct sanitizer *s, struct mark m)
{
    return m.serial && m.index < s->depth && s->stack[m.index].serial == m.serial;
}

bool sanitize_leave(struct sanitizer *s, struct mark m)
{
    if (!is_open(s, m))
        return false;
    pop_to(s, m.index);
    return true;
}

void sanitize_close(struct sanitizer *s, struct mark m)
{
    if (!m.serial || is_open(s, m))
        pop_to(s, m.serial ? m.index + 1 : 0);
}

void sanitize_set_closer(struct sanitizer *s, struct mark m, str closer)
{
    if (is_open(s, m))
        s->stack[m.index].closer = closer;
}

/* HTML may end what HTML opened, and the paragraphs of ours in between.  It does not reach out of a
 * table cell, or out of any other element of ours. */
static bool end_element(struct sanitizer *s, enum element element)
{
    bool part = elements[element].kind == PART || element == EL_table;

    for (unsigned i = s->depth; i-- > 0;) {
        const struct open_element *e = &s->stack[i];

        if (!e->ours && e->element == element) {
            pop_to(s, i);
            return true;
        }
        if ((e->ours && e->element != EL_p) || e->element == EL_table ||
            (!part && kind_of(e) == PART))
            return false;
    }
    return false;
}

/* How deep within a table: its sections 1, rows 2, cells and captions 3, anything else 4. */
static int table_level(enum element e)
{
    switch (e) {
    case EL_tbody:
    case EL_thead:
    case EL_tfoot:
        return 1;
    case EL_tr:
        return 2;
    case EL_td:
    case EL_th:
    case EL_caption:
    case EL_colgroup:
        return 3;
    default:
        return 4;
    }
}

/* Before a part of a table begins, what cannot be around it ends, and what must be begins.  False
 * outside of a table. */
static bool make_room_in_table(struct sanitizer *s, enum element element)
{
    bool is_column = element == EL_caption || element == EL_colgroup || element == EL_col;
    int level = is_column ? 1 : table_level(element);
    unsigned i = s->depth;

    if (element == EL_col && i > 0 && s->stack[i - 1].element == EL_colgroup)
        return true;
    while (i > 0 && s->stack[i - 1].element != EL_table) {
        i--;
        if (s->stack[i].ours && s->stack[i].element != EL_p)
            return false;
    }
    if (i == 0 || s->stack[i - 1].ours)
        return false;
    while (i < s->depth && table_level(s->stack[i].element) < level)
        i++;
    pop_to(s, i);
    if ((element == EL_td || element == EL_th) && s->stack[s->depth - 1].element != EL_tr) {
        OUT(s->out, "<tr>");
        push(s, EL_tr, false, elements[EL_tr].closer);
    }
    return true;
}

/* <li> ends an open <li> of the same list; dd and dt each other.  False when that one is ours. */
static bool end_item(struct sanitizer *s, enum element element)
{
    for (unsigned i = s->depth; i-- > 0;) {
        enum element e = s->stack[i].element;

        if (element == EL_li ? e == EL_li : e == EL_dd || e == EL_dt) {
            if (s->stack[i].ours)
                return false;
            pop_to(s, i);
            return true;
        }
        if (kind_of(&s->stack[i]) != TEXT && e != EL_div && e != EL_p)
            return true;
    }
    return true;
}

/* <rt> and <rp> stand in a <ruby> alone, and end each other. */
static bool end_ruby_part(struct sanitizer *s)
{
    const struct open_element *top = s->depth ? &s->stack[s->depth - 1] : NULL;

    if (top && !top->ours && (top->element == EL_rt || top->element == EL_rp))
        pop_to(s, s->depth - 1);
    return s->depth && s->stack[s->depth - 1].element == EL_ruby;
}

/* Ends what a start tag ends by itself.  False when the tag cannot stand here. */
static bool make_room(struct sanitizer *s, enum element element)
{
    enum kind kind = elements[element].kind;

    if (kind == PART || kind == VOID_PART)
        return make_room_in_table(s, element);
    sanitize_make_place(s);
    if (element == EL_rt || element == EL_rp)
        return end_ruby_part(s);
    if ((element == EL_li || element == EL_dd || element == EL_dt) && !end_item(s, element))
        return false;
    if (kind == BLOCK || kind == VOID_BLOCK)
        end_paragraph(s);
    return !is_heading(element) || end_heading(s);
}

/* --- attributes --- */

static void attr(struct sanitizer *s, str name, str value)
{
    buf_addc(s->out, ' ');
    out_add(s->out, name);
    OUT(s->out, "=\"");
    out_text(s->out, value);
    buf_addc(s->out, '"');
}

bool sanitize_href(struct sanitizer *s, str url)
{
    bool foreign;

    buf_clear(&s->url);
    if (!link_resolve(&s->url, s->o, LINK_PAGE, url, &foreign))
        return false;
    attr(s, STR("href"), buf_str(&s->url));
    if (foreign)
        OUT(s->out, " rel=\"nofollow ugc noopener\"");
    return true;
}

bool sanitize_img(struct sanitizer *s, str url)
{
    bool foreign;

    buf_clear(&s->url);
    if (!link_resolve(&s->url, s->o, LINK_IMAGE, url, &foreign))
        return false;
    OUT(s->out, "<img");
    attr(s, STR("src"), buf_str(&s->url));
    OUT(s->out, " loading=\"lazy\" decoding=\"async\" referrerpolicy=\"no-referrer\"");
    return true;
}

void sanitize_table(struct sanitizer *s)
{
    buf_printf(s->out,
               "<div class=\"table\" role=\"region\" aria-label=\"Table %u\" tabindex=\"0\">",
               ++s->tables);
}

/* The value with its entities decoded, in s->value if need be. */
static str decoded(struct sanitizer *s, str value)
{
    if (str_find(value, '&') < 0)
        return value;
    buf_clear(&s->value);
    entity_decode(&s->value, value);
    return buf_str(&s->value);
}

/* At most SANITIZE_MAX_TEXT bytes, whole characters. */
static str shorten(str s)
{
    if (s.len <= SANITIZE_MAX_TEXT)
        return s;
    s.len = SANITIZE_MAX_TEXT;
    while (s.len && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80)
        s.len--;
    return s;
}

static void write_attr(struct sanitizer *s, enum attr which, str raw)
{
    enum link_use use = which == ATTR_POSTER ? LINK_IMAGE : LINK_MEDIA;
    str value = decoded(s, raw), name = attr_name(which);
    bool foreign;

    buf_clear(&s->url);
    switch (which) {
    case ATTR_HREF:
        sanitize_href(s, value);
        return;
    case ATTR_SRC:
    case ATTR_POSTER:
        if (link_resolve(&s->url, s->o, use, value, &foreign))
            attr(s, name, buf_str(&s->url));
        return;
    case ATTR_SRCSET:
        if (link_srcset(&s->url, s->o, value))
            attr(s, name, buf_str(&s->url));
        return;
    case ATTR_ID:
    case ATTR_NAME:
        value = slug_claim(&s->slugs, value);
        if (value.len)
            attr(s, STR("id"), value);
        return;
    case ATTR_TITLE:
        attr(s, name, shorten(value));
        return;
    default:
        if (!attr_allows(which, value))
            return;
        if (attr_is_bool(which)) {
            buf_addc(s->out, ' ');
            out_add(s->out, name);
        } else {
            attr(s, name, value);
        }
    }
}

static void write_attrs(struct sanitizer *s, const struct tag *t, uint32_t allowed)
{
    allowed &= t->present;
    if (t->present & NAME && t->present & ID)
        allowed &= ~(uint32_t)NAME;
    while (allowed) {
        enum attr which = (enum attr)__builtin_ctz(allowed);

        allowed &= allowed - 1;
        write_attr(s, which, t->value[which]);
    }
}

/* --- elements that are special --- */

/* An image that may not be shown leaves its text. */
static void write_img(struct sanitizer *s, const struct tag *t)
{
    str src = decoded(s, t->value[ATTR_SRC]), alt;

    if (sanitize_img(s, src)) {
        alt = t->present & ALT ? STR_NONE : link_file_name(src);
        if (t->present & ALT)
            alt = decoded(s, t->value[ATTR_ALT]);
        attr(s, STR("alt"), shorten(alt));
        write_attrs(s, t, (elements[EL_img].attrs & ~(uint32_t)(SRC | ALT)) | GLOBAL_ATTRS);
        OUT(s->out, ">");
        return;
    }
    out_text(s->out, shorten(decoded(s, t->value[ATTR_ALT])));
}

static void write_checkbox(struct sanitizer *s, const struct tag *t)
{
    if (!str_ieq(t->value[ATTR_TYPE], STR("checkbox")))
        return;
    if (t->present & CHECKED)
        OUT(s->out, "<input type=\"checkbox\" disabled aria-label=\"Done\" checked>");
    else
        OUT(s->out, "<input type=\"checkbox\" disabled aria-label=\"Not done\">");
}

static void write_start(struct sanitizer *s, enum element element, const struct tag *t)
{
    uint32_t allowed = elements[element].attrs | GLOBAL_ATTRS | NAME;

    if (element == EL_table)
        sanitize_table(s);
    buf_addc(s->out, '<');
    out_add(s->out, elements[element].name);
    write_attrs(s, t, allowed);
    if (element == EL_video || element == EL_audio)
        OUT(s->out, " controls preload=\"none\"");
    buf_addc(s->out, '>');
}

/* Links do not nest: a new one ends the open one.  One that leads nowhere is a place to link to;
 * those are often left open, so it ends at once. */
static void start_link(struct sanitizer *s, const struct tag *t)
{
    str href = decoded(s, t->value[ATTR_HREF]);
    bool foreign;

    buf_clear(&s->url);
    if (!link_resolve(&s->url, s->o, LINK_PAGE, href, &foreign)) {
        if (t->present & (ID | NAME)) {
            write_start(s, EL_span, t);
            OUT(s->out, "</span>");
        }
        return;
    }
    if (s->links)
        end_element(s, EL_a);
    if (s->links)
        return;
    write_start(s, EL_a, t);
    push(s, EL_a, false, elements[EL_a].closer);
}

static bool is_in_media(const struct sanitizer *s)
{
    enum element e = s->depth ? s->stack[s->depth - 1].element : EL_p;

    return e == EL_picture || e == EL_video || e == EL_audio;
}

static void start_element(struct sanitizer *s, enum element element, const struct tag *t)
{
    enum kind kind = elements[element].kind;

    if (kind == DROPPED || kind == VOID_DROPPED || (kind == SOURCE && !is_in_media(s)))
        return;
    if (kind != VOID && kind != SOURCE && kind != VOID_PART && kind != VOID_BLOCK &&
        s->raw_depth >= SANITIZE_MAX_RAW)
        return;
    if (!make_room(s, element))
        return;
    if (element == EL_img) {
        write_img(s, t);
    } else if (element == EL_input) {
        write_checkbox(s, t);
    } else if (element == EL_a) {
        start_link(s, t);
    } else {
        write_start(s, element, t);
        if (kind == TEXT || kind == BLOCK || kind == PART)
            push(s, element, false,
                 element == EL_table ? STR(SANITIZE_TABLE_END) : elements[element].closer);
    }
}

/* --- HTML --- */

static bool find_element(str name, enum element *ret)
{
    size_t low = 0, high = EL_COUNT;

    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = str_cmp(name, elements[mid].name);

        if (c == 0) {
            *ret = (enum element)mid;
            return true;
        }
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

/* What a stretch of HTML has taught so far: elements of which no end tag follows any more, so that
 * nobody makes us look for each of ten thousand. */
struct stretch {
    bool endless[EL_COUNT];
};

/* After the start tag of an element that is dropped with its content: bytes up to behind its end
 * tag, 0 when there is none; then only the tag goes. */
static size_t content_len(struct stretch *known, enum element element, str html)
{
    str end = elements[element].closer; /* "</name>" */
    size_t at = 0;
    ptrdiff_t next;

    end.len--;
    while (!known->endless[element] && (next = str_find(str_from(html, at), '<')) >= 0) {
        str here = str_from(html, at += (size_t)next);

        if (str_iskip(&here, end) && (here.len == 0 || tag_name_ends(here.ptr[0]))) {
            next = str_find(here, '>');
            return next < 0 ? html.len : (size_t)(here.ptr - html.ptr) + (size_t)next + 1;
        }
        at++;
    }
    known->endless[element] = true;
    return 0;
}

/* Handles what begins with the '<' at the front of html; returns its length. */
static size_t markup(struct sanitizer *s, struct stretch *known, str html)
{
    enum element element;
    struct tag t;
    size_t len = tag_read(html, &t);

    if (len == 0) {
        sanitize_make_place(s);
        OUT(s->out, "&lt;");
        return 1;
    }
    if (t.kind == TAG_OTHER || !find_element((str){t.name, t.name_len}, &element))
        return len;
    if (t.kind == TAG_END)
        end_element(s, element);
    else if (elements[element].kind == DROPPED)
        return len + content_len(known, element, str_from(html, len));
    else
        start_element(s, element, &t);
    return len;
}

/* Text between tags.  White space between the cells of a table stays there. */
static void write_text(struct sanitizer *s, str text)
{
    if (s->is_between_cells && str_trim(text).len > 0)
        sanitize_open_cell(s);
    out_html_text(s->out, text);
}

void sanitize_html(struct sanitizer *s, str html)
{
    struct stretch known = {{false}};

    while (html.len) {
        ptrdiff_t at = str_find(html, '<');

        if (at < 0)
            at = (ptrdiff_t)html.len;
        write_text(s, str_first(html, (size_t)at));
        html = str_from(html, (size_t)at);
        if (html.len)
            html = str_from(html, markup(s, &known, html));
    }
}
