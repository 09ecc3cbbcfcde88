/* attributes.c — see attributes.h. */
#include "git/attributes.h"
#include "base/buf.h"
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static str skip_blanks(str s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = str_from(s, 1);
    return s;
}

static str take_word(str *s)
{
    size_t n = 0;
    str word;

    *s = skip_blanks(*s);
    while (n < s->len && !is_blank(s->ptr[n]))
        n++;
    word = str_first(*s, n);
    *s = str_from(*s, n);
    return word;
}

/* The character that stands for a backslash and `c` in a quoted pattern; 0 when none does. */
static char unescape(char c)
{
    static const char from[] = "abfnrtv\"\\", to[] = "\a\b\f\n\r\t\v\"\\";
    const char *p = c ? strchr(from, c) : NULL;

    return p ? to[p - from] : '\0';
}

/* The character that three octal digits stand for. */
static char octal(const char *p)
{
    unsigned v = 0;

    for (int i = 0; i < 3; i++)
        v = v * 8 + ((unsigned char)p[i] & 7);
    return (char)(unsigned char)v;
}

/* A pattern in double quotes, with C escapes.  False when the quotes do not end well. */
static bool take_quoted(struct arena *a, str *s, str *ret)
{
    char *out = arena_alloc(a, s->len + 1);
    size_t n = 0, i = 1;

    for (; i < s->len && s->ptr[i] != '"'; i++) {
        char c = s->ptr[i];

        if (c == '\\' && i + 1 < s->len) {
            c = s->ptr[++i];
            if (c >= '0' && c <= '3' && i + 2 < s->len) {
                c = octal(s->ptr + i);
                i += 2;
            } else {
                c = unescape(c);
                if (!c)
                    return false;
            }
        }
        out[n++] = c;
    }
    if (i >= s->len)
        return false;
    *s = str_from(*s, i + 1);
    *ret = (str){out, n};
    return true;
}

/* What the words behind a pattern say about the filter.  False: nothing. */
static bool filter_of(str words, enum attr_filter *ret)
{
    bool is_said = false;

    for (;;) {
        str w = take_word(&words);

        if (w.len == 0)
            return is_said;
        if (str_eq(w, STR("filter=lfs")))
            *ret = ATTR_LFS;
        else if (str_eq(w, STR("filter")) || str_eq(w, STR("-filter")) ||
                 str_starts(w, STR("filter=")))
            *ret = ATTR_OTHER;
        else if (str_eq(w, STR("!filter")))
            *ret = ATTR_UNSPECIFIED;
        else
            continue;
        is_said = true;
    }
}

static void parse_line(struct arena *a, str line, str dir, struct attr_rules *rules)
{
    struct attr_rule r = {0};
    str pattern;

    line = skip_blanks(line);
    if (line.len == 0 || line.ptr[0] == '#' || str_starts(line, STR("[attr]")))
        return;
    if (line.ptr[0] != '"')
        pattern = take_word(&line);
    else if (!take_quoted(a, &line, &pattern))
        return;
    if (!filter_of(line, &r.filter) || rules->count == ATTR_MAX_RULES)
        return;
    /* A pattern for folders matches no file, one with '!' is forbidden. */
    if (!glob_rule_parse(pattern, dir, &r.glob) || r.glob.is_negated || r.glob.only_dirs)
        return;
    if (rules->count == rules->cap) {
        size_t cap = rules->cap ? rules->cap * 2 : 64;
        struct attr_rule *more = arena_many(a, struct attr_rule, cap);

        if (rules->count > 0)
            memcpy(more, rules->rules, rules->count * sizeof r);
        rules->rules = more;
        rules->cap = cap;
    }
    rules->rules[rules->count++] = r;
}

void attr_parse(struct arena *a, str text, str dir, struct attr_rules *rules)
{
    str rest = str_first(text, ATTR_MAX_FILE);

    str_skip(&rest, STR("\xef\xbb\xbf"));
    while (rest.ptr) {
        str line = str_cut(&rest, '\n');

        if (line.len < ATTR_MAX_LINE)
            parse_line(a, line, dir, rules);
    }
}

enum attr_filter attr_filter(const struct attr_rules *rules, str path)
{
    for (size_t i = rules->count; i-- > 0;)
        if (glob_rule_matches(&rules->rules[i].glob, path))
            return rules->rules[i].filter;
    return ATTR_UNSPECIFIED;
}

/* --- reading them from a tree --- */

static int order_str(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static err load_one(struct odb *o, struct arena *a, oid root, str dir, struct attr_rules *rules)
{
    str path = dir.len ? arena_cat(a, dir, STR("/.gitattributes")) : STR(".gitattributes");
    struct tree_entry e;
    enum obj_type type;
    uint64_t size;
    bool found;
    str text;

    TRY(tree_find(o, a, root, path, &e, &found));
    if (!found || (e.mode != MODE_FILE && e.mode != MODE_EXEC))
        return OK;
    TRY(odb_header(o, a, e.id, &type, &size, &found));
    if (!found || size > ATTR_MAX_FILE)
        return OK;
    TRY(odb_read(o, a, e.id, OBJ_BLOB, &text));
    attr_parse(a, text, dir, rules);
    return OK;
}

/* All folders that the paths go through, each once, parents before children ("a" sorts before
 * "a/b"). */
static size_t folders_of(struct arena *a, const str *paths, size_t count, str **ret)
{
    size_t cap = 64, n = 0, kept = 0;
    str *dirs = arena_many(a, str, cap), last = STR_NONE;

    for (size_t i = 0; i < count; i++) {
        ptrdiff_t slash = str_rfind(paths[i], '/');
        str dir = slash > 0 ? str_first(paths[i], (size_t)slash) : STR_NONE;

        if (dir.len == 0 || str_eq(dir, last)) /* neighbours are mostly in one folder */
            continue;
        last = dir;
        for (; dir.len > 0;
             slash = str_rfind(dir, '/'), dir = str_first(dir, slash > 0 ? (size_t)slash : 0)) {
            if (n == cap) {
                str *more = arena_many(a, str, cap * 2);

                memcpy(more, dirs, n * sizeof *dirs);
                dirs = more;
                cap *= 2;
            }
            dirs[n++] = dir;
        }
    }
    qsort(dirs, n, sizeof *dirs, order_str);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !str_eq(dirs[i], dirs[kept - 1]))
            dirs[kept++] = dirs[i];
    *ret = dirs;
    return kept;
}

err attr_load(struct odb *o, struct arena *a, oid root, const str *paths, size_t count,
              struct attr_rules *ret)
{
    struct attr_rules rules = {0};
    size_t n;
    str *dirs;

    TRY(load_one(o, a, root, STR_NONE, &rules));
    n = folders_of(a, paths, count, &dirs);
    for (size_t i = 0; i < n && i < ATTR_MAX_FILES; i++)
        TRY(load_one(o, a, root, dirs[i], &rules));
    *ret = rules;
    return OK;
}

/* --- writing --- */

str attr_add_lfs(struct arena *a, str text, str path)
{
    AUTO_BUF struct buf b = BUF(text.len + path.len * 16 + 100);

    buf_add(&b, text);
    if (text.len > 0 && !str_ends(text, STR("\n")))
        buf_addc(&b, '\n');
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];

        if (strchr(" \t\n\r\v\f", c) && c)
            buf_add(&b, STR("[[:space:]]")); /* a line is cut at blanks */
        else if (strchr("*?[]\\", c) || (i == 0 && strchr("#!\"\xef", c)))
            buf_add(&b, (str){(char[]){'\\', c}, 2});
        else
            buf_addc(&b, c);
    }
    buf_add(&b, STR(" filter=lfs diff=lfs merge=lfs -text\n"));
    return arena_str(a, buf_str(&b));
}

/* --- .gitignore --- */

/* Trailing blanks do not count unless a backslash precedes them. */
static str drop_blanks(str line)
{
    str_drop(&line, STR("\r"));
    while (line.len > 0 && line.ptr[line.len - 1] == ' ' &&
           !(line.len > 1 && line.ptr[line.len - 2] == '\\'))
        line.len--;
    return line;
}

void ignore_parse(struct arena *a, str text, str dir, struct ignore_rules *rules)
{
    str rest = str_first(text, ATTR_MAX_FILE);

    str_skip(&rest, STR("\xef\xbb\xbf"));
    while (rest.ptr) {
        str line = drop_blanks(str_cut(&rest, '\n'));
        struct glob_rule r;

        if (line.len == 0 || line.len >= ATTR_MAX_LINE || line.ptr[0] == '#' ||
            rules->count == ATTR_MAX_RULES || !glob_rule_parse(line, dir, &r))
            continue;
        if (rules->count == rules->cap) {
            size_t cap = rules->cap ? rules->cap * 2 : 64;
            struct glob_rule *more = arena_many(a, struct glob_rule, cap);

            if (rules->count > 0)
                memcpy(more, rules->rules, rules->count * sizeof r);
            rules->rules = more;
            rules->cap = cap;
        }
        rules->rules[rules->count++] = r;
    }
}

static bool ignored_alone(const struct ignore_rules *rules, str path, bool is_dir)
{
    for (size_t i = rules->count; i-- > 0;)
        if ((is_dir || !rules->rules[i].only_dirs) && glob_rule_matches(&rules->rules[i], path))
            return !rules->rules[i].is_negated;
    return false;
}

bool ignore_matches(const struct ignore_rules *rules, str path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] == '/' && ignored_alone(rules, str_first(path, i), true))
            return true;
    return ignored_alone(rules, path, false);
}
