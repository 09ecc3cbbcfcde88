/* html_check.h — is this HTML what a card may become?  Knows nothing of src/markdown/: its own
 * lists, its own reading, and stricter than any browser: one way to write each thing, all others
 * fail.
 *
 *   text     no '<', no '>', '&' only at an entity
 *   tags     <name a="value" b> and </name>, names in lower case, no attribute twice, no comments
 *   order    every element is closed, innermost first, and none stands where a browser would end
 *            another one for it or move it elsewhere: so the browser's tree is the one written here
 *   values   addresses with a scheme of the list and URL characters only; ids with their prefix
 */
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HTML_CHECK_DEPTH 200

struct html_check {
    const char *p, *end;
    char problem[160];
    struct {
        const char *name;
        size_t len;
    } open[HTML_CHECK_DEPTH];
    size_t depth;
    unsigned links;
};

static const char *const html_tags[] = {
    "a",     "abbr",  "audio",      "b",      "blockquote", "br",      "caption", "center",  "cite",
    "code",  "col",   "colgroup",   "dd",     "del",        "details", "dfn",     "div",     "dl",
    "dt",    "em",    "figcaption", "figure", "h1",         "h2",      "h3",      "h4",      "h5",
    "h6",    "hr",    "i",          "img",    "input",      "ins",     "kbd",     "li",      "mark",
    "ol",    "p",     "picture",    "pre",    "q",          "rp",      "rt",      "ruby",    "s",
    "samp",  "small", "source",     "span",   "strike",     "strong",  "sub",     "summary", "sup",
    "table", "tbody", "td",         "tfoot",  "th",         "thead",   "tr",      "tt",      "u",
    "ul",    "var",   "video",      NULL};
static const char *const html_void_tags[] = {"br", "col", "hr", "img", "input", "source", NULL};
static const char *const html_attrs[] = {
    "href",     "src",     "srcset",     "media",    "alt",      "title",    "width",
    "height",   "align",   "colspan",    "rowspan",  "span",     "start",    "type",
    "open",     "checked", "loop",       "muted",    "poster",   "datetime", "lang",
    "dir",      "id",      "class",      "rel",      "loading",  "decoding", "referrerpolicy",
    "tabindex", "role",    "aria-label", "disabled", "controls", "preload",  NULL};
static const char *const html_classes[] = {
    "anchor",        "cp",           "cp-label",    "table",
    "task",          "plain",        "footnote",    "footnotes",
    "footnote-back", "note info",    "note ok",     "note warn",
    "note err",      "note-title",   "math",        "math math-display",
    "align-left",    "align-center", "align-right", NULL};

static inline bool html_in(const char *const *list, const char *p, size_t len)
{
    for (; *list; list++)
        if (strlen(*list) == len && memcmp(*list, p, len) == 0)
            return true;
    return false;
}

static inline bool html_fail(struct html_check *c, const char *what)
{
    snprintf(c->problem, sizeof c->problem, "%s before: %.*s", what,
             (int)(c->end - c->p < 60 ? c->end - c->p : 60), c->p);
    return false;
}

static inline bool html_low(char c)
{
    return c >= 'a' && c <= 'z';
}

static inline bool html_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the entity at p, or 0. */
static inline size_t html_entity(const char *p, const char *end)
{
    const char *q = p + 1;

    if (q < end && *q == '#') {
        q++;
        if (q < end && (*q == 'x' || *q == 'X'))
            q++;
    }
    while (q < end && q - p < 60 && (html_low(*q) || html_low((char)(*q | 0x20)) || html_digit(*q)))
        q++;
    return q < end && *q == ';' && q - p > 1 ? (size_t)(q - p) + 1 : 0;
}

/* Control characters, the noncharacters of UTF-8, overlong forms: none of them. */
static inline bool html_bytes_ok(struct html_check *c)
{
    const unsigned char *p = (const unsigned char *)c->p, *end = (const unsigned char *)c->end;

    while (p < end) {
        unsigned n = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : 3;

        c->p = (const char *)p;
        if ((*p < ' ' && *p != '\t' && *p != '\n') || *p == 127)
            return html_fail(c, "control character");
        if ((*p >= 0x80 && *p < 0xc2) || *p > 0xf4 || end - p < (int)n + 1)
            return html_fail(c, "bad UTF-8");
        for (unsigned i = 1; i <= n; i++)
            if ((p[i] & 0xc0) != 0x80)
                return html_fail(c, "bad UTF-8");
        if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
            (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
            return html_fail(c, "bad UTF-8");
        p += n + 1;
    }
    return true;
}

/* --- values --- */

/* "&amp;" is the only entity that an address may hold. */
static inline bool html_url_ok(const char *p, size_t len, bool is_image)
{
    static const char data[] = "data:image/", allowed[] = "-._~!$&'()*+,;=:@/?#%[]";
    size_t scheme = 0;

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!html_low((char)(p[i] | 0x20)) && !html_digit(p[i]) &&
            (p[i] == '\0' || !strchr(allowed, p[i])))
            return false;
    for (size_t i = 0; i < len; i++)
        if (p[i] == '&' && (len - i < 5 || memcmp(p + i, "&amp;", 5) != 0))
            return false;
    while (scheme < len && p[scheme] != ':' && p[scheme] != '/' && p[scheme] != '?' &&
           p[scheme] != '#')
        scheme++;
    if (scheme == len || p[scheme] != ':')
        return true;
    if (is_image && len > sizeof data && memcmp(p, data, sizeof data - 1) == 0)
        return true;
    return (scheme == 4 && memcmp(p, "http", 4) == 0) ||
           (scheme == 5 && memcmp(p, "https", 5) == 0) ||
           (!is_image && scheme == 6 && memcmp(p, "mailto", 6) == 0);
}

static inline bool html_srcset_ok(const char *p, size_t len)
{
    const char *end = p + len;

    while (p < end) {
        const char *q = p;

        while (q < end && *q != ' ' && *q != ',')
            q++;
        if (!html_url_ok(p, (size_t)(q - p), true))
            return false;
        if (q < end && *q == ' ')
            for (q++; q < end && (html_digit(*q) || *q == '.' || *q == 'x' || *q == 'w'); q++)
                continue;
        if (q < end && (*q++ != ',' || q == end || *q++ != ' '))
            return false;
        p = q;
    }
    return true;
}

static inline bool html_is(const char *name, size_t n, const char *z)
{
    return strlen(z) == n && memcmp(name, z, n) == 0;
}

static inline bool html_value_ok(const char *name, size_t n, const char *p, size_t len)
{
    static const char prefix[] = "user-content-", lang[] = "language-";

    if (html_is(name, n, "href"))
        return (len == 1 && *p == '#') || html_url_ok(p, len, false);
    if (html_is(name, n, "src") || html_is(name, n, "poster"))
        return html_url_ok(p, len, true);
    if (html_is(name, n, "srcset"))
        return html_srcset_ok(p, len);
    if (html_is(name, n, "id"))
        return len > sizeof prefix - 1 && memcmp(p, prefix, sizeof prefix - 1) == 0 &&
               !memchr(p, ' ', len) && !memchr(p, '\n', len);
    if (html_is(name, n, "class") && len > sizeof lang - 1 &&
        memcmp(p, lang, sizeof lang - 1) == 0) {
        for (size_t i = 0; i < len; i++)
            if (p[i] == '&' || p[i] == ' ')
                return false;
        return len < 50;
    }
    if (html_is(name, n, "class"))
        return html_in(html_classes, p, len);
    if (html_is(name, n, "type"))
        return html_is(p, len, "checkbox") || (len == 1 && strchr("1aAiI", *p));
    if (html_is(name, n, "role"))
        return html_is(p, len, "note") || html_is(p, len, "region");
    if (html_is(name, n, "rel"))
        return html_is(p, len, "nofollow ugc noopener");
    return true;
}

/* --- tags --- */

static inline bool html_attrs_ok(struct html_check *c)
{
    const char *const *seen[16];
    size_t count = 0;

    while (c->p < c->end && *c->p == ' ') {
        const char *name = ++c->p, *value;
        size_t n;

        while (c->p < c->end && (html_low(*c->p) || *c->p == '-'))
            c->p++;
        n = (size_t)(c->p - name);
        if (!html_in(html_attrs, name, n))
            return html_fail(c, "attribute not on the list");
        for (const char *const *a = html_attrs; *a; a++) {
            if (!html_is(name, n, *a))
                continue;
            for (size_t i = 0; i < count; i++)
                if (seen[i] == a)
                    return html_fail(c, "attribute twice");
            if (count == 16)
                return html_fail(c, "too many attributes");
            seen[count++] = a;
        }
        if (c->p == c->end || *c->p != '=')
            continue;
        if (++c->p == c->end || *c->p != '"')
            return html_fail(c, "value without quotes");
        value = ++c->p;
        for (; c->p < c->end && *c->p != '"'; c->p++)
            if (*c->p == '<' || *c->p == '>' || (*c->p == '&' && !html_entity(c->p, c->end)))
                return html_fail(c, "bare < > & in a value");
        if (c->p == c->end || !html_value_ok(name, n, value, (size_t)(c->p - value)))
            return html_fail(c, "value not allowed");
        c->p++;
    }
    return true;
}

static const char *const html_line_tags[] = {
    "a", "abbr", "audio", "b",    "cite",    "code",   "del",    "dfn", "em",
    "i", "ins",  "kbd",   "mark", "picture", "q",      "rp",     "rt",  "ruby",
    "s", "samp", "small", "span", "strike",  "strong", "sub",    "sup", "tt",
    "u", "var",  "video", "img",  "input",   "br",     "source", NULL};
static const char *const html_headings[] = {"h1", "h2", "h3", "h4", "h5", "h6", NULL};
static const char *const html_rows[] = {"tbody", "thead", "tfoot", NULL};
static const char *const html_cells[] = {"td", "th", NULL};
static const char *const html_items[] = {"li", "dd", "dt", NULL};
static const char *const html_in_table[] = {"caption", "colgroup", "col", "tbody",
                                            "thead",   "tfoot",    "tr",  NULL};

static inline bool html_open(const struct html_check *c, size_t i, const char *const *list)
{
    return i < c->depth && html_in(list, c->open[i].name, c->open[i].len);
}

static inline bool html_open_is(const struct html_check *c, size_t i, const char *z)
{
    return i < c->depth && html_is(c->open[i].name, c->open[i].len, z);
}

/* Whether an element may stand in the one that is open. */
static inline bool html_place_ok(const struct html_check *c, const char *name, size_t n)
{
    size_t top = c->depth - 1; /* of nothing: too large, so nothing matches */
    bool line = html_in(html_line_tags, name, n);

    if (html_open_is(c, top, "table"))
        return html_in(html_in_table, name, n);
    if (html_open(c, top, html_rows))
        return html_is(name, n, "tr");
    if (html_open_is(c, top, "tr"))
        return html_in(html_cells, name, n);
    if (html_open_is(c, top, "colgroup"))
        return html_is(name, n, "col");
    if (html_in(html_in_table, name, n) || html_in(html_cells, name, n))
        return false;
    if (html_is(name, n, "rt") || html_is(name, n, "rp"))
        return html_open_is(c, top, "ruby");
    if (html_in(html_headings, name, n) && html_open(c, top, html_headings))
        return false;
    for (size_t i = c->depth; !line && i-- > 0;) { /* a block ends a paragraph */
        if (html_open_is(c, i, "p"))
            return false;
        if (!html_open(c, i, html_line_tags))
            break;
    }
    for (size_t i = c->depth; html_in(html_items, name, n) && i-- > 0;) {
        if (html_open(c, i, html_items) && html_is(name, n, "li") == html_open_is(c, i, "li"))
            return false;
        if (!html_open(c, i, html_line_tags) && !html_open_is(c, i, "div") &&
            !html_open_is(c, i, "p"))
            break;
    }
    return true;
}

/* Words between the cells of a table would be moved out of it. */
static inline bool html_text_ok(const struct html_check *c)
{
    size_t top = c->depth - 1;

    return *c->p == ' ' || *c->p == '\n' || *c->p == '\t' ||
           !(html_open_is(c, top, "table") || html_open(c, top, html_rows) ||
             html_open_is(c, top, "tr") || html_open_is(c, top, "colgroup"));
}

static inline bool html_tag_ok(struct html_check *c)
{
    bool is_end = c->end - c->p > 1 && c->p[1] == '/';
    const char *name = c->p += 1 + is_end;
    size_t n;

    while (c->p < c->end && (html_low(*c->p) || html_digit(*c->p)))
        c->p++;
    n = (size_t)(c->p - name);
    if (!html_in(html_tags, name, n))
        return html_fail(c, "element not on the list");
    if (is_end) {
        if (c->depth == 0 || c->open[c->depth - 1].len != n ||
            memcmp(c->open[c->depth - 1].name, name, n) != 0)
            return html_fail(c, "end tag of another element");
        c->depth--;
        c->links -= html_is(name, n, "a");
    } else {
        if (!html_place_ok(c, name, n))
            return html_fail(c, "element where it cannot stand");
        if (!html_attrs_ok(c))
            return false;
        if (!html_in(html_void_tags, name, n)) {
            if (c->depth == HTML_CHECK_DEPTH)
                return html_fail(c, "too deep");
            c->open[c->depth].name = name;
            c->open[c->depth++].len = n;
            if (html_is(name, n, "a") && c->links++)
                return html_fail(c, "link in a link");
        }
    }
    if (c->p == c->end || *c->p++ != '>')
        return html_fail(c, "no > at the end of a tag");
    return true;
}

/* True when all of it is well; else c->problem says what is not. */
static inline bool html_ok(struct html_check *c, const char *p, size_t len)
{
    *c = (struct html_check){.p = p, .end = p + len};
    if (len == 0)
        return true;
    if (!html_bytes_ok(c))
        return false;
    c->p = p;
    while (c->p < c->end) {
        size_t entity = *c->p == '&' ? html_entity(c->p, c->end) : 1;

        if (*c->p == '<') {
            if (!html_tag_ok(c))
                return false;
        } else if (*c->p == '>' || entity == 0) {
            return html_fail(c, "bare > or &");
        } else if (!html_text_ok(c)) {
            return html_fail(c, "words between cells");
        } else {
            c->p += entity;
        }
    }
    return c->depth == 0 || html_fail(c, "element left open");
}
