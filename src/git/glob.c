/* glob.c — see glob.h. */
#include "git/glob.h"
#include <ctype.h>
#include <string.h>

static bool in_class(str name, unsigned char c)
{
    static const struct {
        str name;
        int (*is)(int);
    } classes[] = {
        {STR_INIT("alnum"), isalnum}, {STR_INIT("alpha"), isalpha}, {STR_INIT("blank"), isblank},
        {STR_INIT("cntrl"), iscntrl}, {STR_INIT("digit"), isdigit}, {STR_INIT("graph"), isgraph},
        {STR_INIT("lower"), islower}, {STR_INIT("print"), isprint}, {STR_INIT("punct"), ispunct},
        {STR_INIT("space"), isspace}, {STR_INIT("upper"), isupper}, {STR_INIT("xdigit"), isxdigit},
    };

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (str_eq(name, classes[i].name))
            return c < 128 && classes[i].is(c);
    return false;
}

/* Takes one character of a set, which a backslash may precede. */
static bool take_char(str *p, unsigned char *ret)
{
    if (p->len > 1 && p->ptr[0] == '\\')
        *p = str_from(*p, 1);
    if (p->len == 0)
        return false;
    *ret = (unsigned char)p->ptr[0];
    *p = str_from(*p, 1);
    return true;
}

/* "[:space:]" at the front of a set.  Takes it and tells whether `c` is in it. */
static bool take_class(str *p, unsigned char c, bool *ret_in)
{
    str rest = *p, name;
    ptrdiff_t end;

    if (!str_skip(&rest, STR("[:")))
        return false;
    end = str_find(rest, ']');
    if (end < 1 || rest.ptr[end - 1] != ':')
        return false;
    name = str_first(rest, (size_t)end - 1);
    *ret_in = in_class(name, c);
    *p = str_from(rest, (size_t)end + 1);
    return true;
}

/* Takes the set that begins behind '['.  False when it does not end. */
static bool take_set(str *p, unsigned char c, bool *ret_in)
{
    bool negated = str_skip(p, STR("!")) || str_skip(p, STR("^")), in = false, hit;
    unsigned char low, high;

    for (bool is_first = true;; is_first = false) {
        if (p->len == 0)
            return false;
        if (!is_first && str_skip(p, STR("]")))
            break;
        if (take_class(p, c, &hit)) {
            in = in || hit;
            continue;
        }
        if (!take_char(p, &low))
            return false;
        high = low;
        if (p->len > 1 && p->ptr[0] == '-' && p->ptr[1] != ']') {
            *p = str_from(*p, 1);
            if (!take_char(p, &high))
                return false;
        }
        in = in || (c >= low && c <= high);
    }
    *ret_in = in != negated;
    return true;
}

/* Does what stands first in the pattern (no star) match `c`?  Takes it off when so. */
static bool match_one(str *p, unsigned char c)
{
    str rest = str_from(*p, 1);
    bool in;

    switch (p->ptr[0]) {
    case '?':
        break;
    case '[':
        if (!take_set(&rest, c, &in) || !in)
            return false;
        break;
    case '\\':
        if (rest.len > 0) {
            if ((unsigned char)rest.ptr[0] != c)
                return false;
            rest = str_from(rest, 1);
            break;
        }
        return false;
    default:
        if ((unsigned char)p->ptr[0] != c)
            return false;
    }
    *p = rest;
    return true;
}

bool glob_name(str p, str s)
{
    str star_p = STR_NONE, star_s = STR_NONE; /* where to go back to: behind the last star */
    bool has_star = false;

    while (s.len > 0) {
        if (p.len > 0 && p.ptr[0] == '*') {
            star_p = p = str_from(p, 1);
            star_s = s;
            has_star = true;
        } else if (p.len > 0 && match_one(&p, (unsigned char)s.ptr[0])) {
            s = str_from(s, 1);
        } else if (has_star) { /* let the star take one more character */
            star_s = str_from(star_s, 1);
            s = star_s;
            p = star_p;
        } else {
            return false;
        }
    }
    while (p.len > 0 && p.ptr[0] == '*')
        p = str_from(p, 1);
    return p.len == 0;
}

/* Two stars or more and nothing else. */
static bool is_globstar(str part)
{
    for (size_t i = 0; i < part.len; i++)
        if (part.ptr[i] != '*')
            return false;
    return part.len >= 2;
}

/* Components between two `**` match a fixed number of components, so the leftmost match is as
 * good as any and one place to go back to is enough. */
bool glob_path(str p, str s)
{
    str star_p = STR_NONE, star_s = STR_NONE;
    bool has_star = false;

    while (s.ptr) {
        str rest_p = p, rest_s = s;

        if (p.ptr && is_globstar(str_cut(&rest_p, '/'))) {
            if (!rest_p.ptr)
                return true; /* at the end: anything, and there is something */
            star_p = p = rest_p;
            star_s = s;
            has_star = true;
            continue;
        }
        rest_p = p;
        if (p.ptr && glob_name(str_cut(&rest_p, '/'), str_cut(&rest_s, '/'))) {
            p = rest_p;
            s = rest_s;
            if (p.ptr || !s.ptr)
                continue;
        }
        if (!has_star)
            return false;
        str_cut(&star_s, '/');
        s = star_s;
        p = star_p;
    }
    return !p.ptr;
}

bool glob_rule_parse(str pattern, str dir, struct glob_rule *ret)
{
    struct glob_rule r = {.dir = dir};

    r.is_negated = str_skip(&pattern, STR("!"));
    r.only_dirs = str_drop(&pattern, STR("/"));
    r.by_name = str_find(pattern, '/') < 0;
    str_skip(&pattern, STR("/"));
    if (pattern.len == 0)
        return false;
    r.pattern = pattern;
    *ret = r;
    return true;
}

bool glob_rule_matches(const struct glob_rule *r, str path)
{
    if (r->dir.len > 0 && !(str_skip(&path, r->dir) && str_skip(&path, STR("/"))))
        return false;
    if (!r->by_name)
        return glob_path(r->pattern, path);
    return glob_name(r->pattern, str_from(path, (size_t)(str_rfind(path, '/') + 1)));
}
