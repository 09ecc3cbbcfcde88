/* tag.c — see tag.h. */
#include "markdown/tag.h"

#include <string.h>

static const str attr_names[ATTR_COUNT] = {
#define ATTR(id, name) [ATTR_##id] = STR_INIT(name),
#include "markdown/attributes.def"
#undef ATTR
};

str attr_name(enum attr which)
{
    return attr_names[which];
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_alpha(char c)
{
    char low = (char)(c | 0x20);

    return low >= 'a' && low <= 'z';
}

bool tag_name_ends(char c)
{
    return is_space(c) || c == '/' || c == '>';
}

/* --- comments, declarations and the like: nothing of them is kept --- */

static size_t comment_len(str html)
{
    size_t i = 4;

    if (str_starts(str_from(html, i), STR(">")))
        return 5;
    if (str_starts(str_from(html, i), STR("->")))
        return 6;
    for (; i + 2 < html.len; i++) {
        const char *dash = memchr(html.ptr + i, '-', html.len - i);
        str rest;

        if (!dash)
            break;
        i = (size_t)(dash - html.ptr);
        rest = str_from(html, i);
        if (str_starts(rest, STR("-->")))
            return i + 3;
        if (str_starts(rest, STR("--!>")))
            return i + 4;
    }
    return html.len;
}

static size_t up_to_angle(str html)
{
    ptrdiff_t at = str_find(html, '>');

    return at < 0 ? html.len : (size_t)at + 1;
}

/* --- attributes --- */

static bool find_attr(str name, enum attr *ret)
{
    for (unsigned i = 0; i < ATTR_COUNT; i++)
        if (str_ieq(name, attr_names[i])) {
            *ret = (enum attr)i;
            return true;
        }
    return false;
}

static size_t skip_spaces(str html, size_t i)
{
    while (i < html.len && is_space(html.ptr[i]))
        i++;
    return i;
}

/* Reads the value behind a '=' at i; returns where it ends. */
static size_t value_at(str html, size_t i, str *ret)
{
    size_t from = i;
    char quote = '\0';

    if (i < html.len)
        quote = html.ptr[i];
    if (quote == '"' || quote == '\'') {
        ptrdiff_t n = str_find(str_from(html, i + 1), quote);

        if (n < 0)
            return html.len;
        *ret = (str){html.ptr + i + 1, (size_t)n};
        return i + (size_t)n + 2;
    }
    while (i < html.len && !is_space(html.ptr[i]) && html.ptr[i] != '>')
        i++;
    *ret = (str){html.ptr + from, i - from};
    return i;
}

/* Reads attributes from i on; returns the length of the tag, 0 when it does not end. */
static size_t read_attrs(str html, size_t i, struct tag *t)
{
    for (;;) {
        str name, value = STR_NONE;
        enum attr which;
        size_t from;

        while (i < html.len && (is_space(html.ptr[i]) || html.ptr[i] == '/'))
            i++;
        if (i >= html.len)
            return 0;
        if (html.ptr[i] == '>')
            return i + 1;
        from = i++; /* a '=' here belongs to the name */
        while (i < html.len && !tag_name_ends(html.ptr[i]) && html.ptr[i] != '=')
            i++;
        name = (str){html.ptr + from, i - from};
        from = skip_spaces(html, i);
        if (from < html.len && html.ptr[from] == '=')
            i = value_at(html, skip_spaces(html, from + 1), &value);
        if (i >= html.len)
            return 0;
        if (find_attr(name, &which) && !(t->present & 1u << which)) {
            t->present |= 1u << which;
            t->value[which] = value;
        }
    }
}

size_t tag_read(str html, struct tag *t)
{
    size_t i = 1, len;

    t->kind = TAG_OTHER;
    t->present = 0;
    t->name_len = 0;
    t->value[ATTR_SRC] = t->value[ATTR_ALT] = t->value[ATTR_HREF] = t->value[ATTR_TYPE] = STR_NONE;
    if (str_starts(html, STR("<!--")))
        return comment_len(html);
    if (str_starts(html, STR("<!")) || str_starts(html, STR("<?")))
        return up_to_angle(html);
    if (str_starts(html, STR("</"))) {
        i = 2;
        if (html.len > 2 && !is_alpha(html.ptr[2])) /* "</>" and "</ …>" are comments of a kind */
            return up_to_angle(html);
    }
    if (i >= html.len || !is_alpha(html.ptr[i]))
        return 0;
    len = i;
    for (; len < html.len && !tag_name_ends(html.ptr[len]); len++)
        if (t->name_len < sizeof t->name) {
            char c = html.ptr[len];

            if (c >= 'A' && c <= 'Z')
                c = (char)(c | 0x20);
            t->name[t->name_len++] = c;
        }
    len = read_attrs(html, len, t);
    if (len == 0) /* cut off: all of it is dropped */
        return html.len;
    t->kind = i == 1 ? TAG_START : TAG_END;
    return len;
}

/* --- values --- */

/* Digits, then perhaps a fraction, then perhaps % or px. */
static bool is_length(str s)
{
    size_t i = 0;

    while (i < s.len && i < 5 && s.ptr[i] >= '0' && s.ptr[i] <= '9')
        i++;
    if (i == 0)
        return false;
    if (i < s.len && s.ptr[i] == '.')
        for (i++; i < s.len && i < 9 && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
            continue;
    s = str_from(s, i);
    return s.len == 0 || str_eq(s, STR("%")) || str_ieq(s, STR("px"));
}

static bool is_count(str s, uint64_t max)
{
    uint64_t n;

    return str_u64(s, &n) && n >= 1 && n <= max;
}

static bool is_word(str s, const char *const *words)
{
    for (; *words; words++)
        if (str_ieq(s, str_c(*words)))
            return true;
    return false;
}

/* Letters, digits and the characters in `more`; not empty, at most `max` bytes. */
static bool is_made_of(str s, const char *more, size_t max)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!is_alpha(c) && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(more, c)))
            return false;
    }
    return s.len > 0 && s.len <= max;
}

bool attr_is_bool(enum attr which)
{
    return which == ATTR_OPEN || which == ATTR_LOOP || which == ATTR_MUTED;
}

bool attr_allows(enum attr which, str value)
{
    static const char *const aligns[] = {"left", "right",  "center",   "justify", "middle",
                                         "top",  "bottom", "baseline", NULL};
    static const char *const dirs[] = {"ltr", "rtl", "auto", NULL};
    static const char *const types[] = {"1", "a", "i", NULL};
    int64_t n;

    switch (which) {
    case ATTR_WIDTH:
    case ATTR_HEIGHT:
        return is_length(value);
    case ATTR_ALIGN:
        return is_word(value, aligns);
    case ATTR_COLSPAN:
    case ATTR_ROWSPAN:
    case ATTR_SPAN:
        return is_count(value, 1000);
    case ATTR_START:
        return value.len < 9 && str_i64(value, &n);
    case ATTR_TYPE:
        return is_word(value, types);
    case ATTR_LANG:
        return is_made_of(value, "-", 35);
    case ATTR_DIR:
        return is_word(value, dirs);
    case ATTR_DATETIME:
        return is_made_of(value, "-:+. ", 40);
    case ATTR_MEDIA:
        return is_made_of(value, "-:., ()", 128);
    case ATTR_CLASS:
        return str_skip(&value, STR("language-")) && is_made_of(value, "-_+#.", 32);
    default:
        return attr_is_bool(which);
    }
}
