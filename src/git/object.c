/* object.c — see object.h. */
#include "git/object.h"
#include "git/tree.h"
#include <stdlib.h>
#include <string.h>

/* Takes "key value\n" off the front of *s when the line begins with `key` and a space. */
static bool take_line(str *s, str key, str *ret)
{
    str look = *s;
    ptrdiff_t end = str_find(look, '\n');

    if (end < 0 || !str_skip(&look, key) || !str_skip(&look, STR(" ")))
        return false;
    end -= (ptrdiff_t)(key.len + 1);
    if (end < 0)
        return false;
    *ret = str_first(look, (size_t)end);
    *s = str_from(look, (size_t)end + 1);
    return true;
}

static bool take_id(str *s, str key, oid *ret)
{
    str look = *s, hex;

    if (!take_line(&look, key, &hex) || !sha1_from_hex(hex, ret))
        return false;
    *s = look;
    return true;
}

/* "+hhmm" as minutes; 0 when odd. */
static int zone_of(str s)
{
    uint64_t n;
    bool west = s.len > 0 && s.ptr[0] == '-';

    if (s.len != 5 || !(west || s.ptr[0] == '+') || !str_u64(str_from(s, 1), &n) || n > 9959)
        return 0;
    return (int)(n / 100 * 60 + n % 100) * (west ? -1 : 1);
}

static struct signature signature_parse(str line)
{
    struct signature g = {0};
    ptrdiff_t open = str_find(line, '<'), close = str_rfind(line, '>');
    str when, number;

    if (open < 0 || close < open) {
        g.name = str_trim(line);
        return g;
    }
    g.name = str_trim(str_first(line, (size_t)open));
    g.email = str_trim(str_from(str_first(line, (size_t)close), (size_t)open + 1));
    when = str_trim(str_from(line, (size_t)close + 1));
    number = str_cut(&when, ' ');
    if (!str_i64(number, &g.time_s))
        g.time_s = 0;
    g.tz_minutes = zone_of(when);
    return g;
}

/* Skips the header lines we do not read (encoding, gpgsig, mergetag, …) up to the blank line. */
static bool skip_headers(str *s)
{
    while (s->len > 0) {
        ptrdiff_t end = str_find(*s, '\n');

        if (end < 0)
            return false;
        *s = str_from(*s, (size_t)end + 1);
        if (end == 0)
            return true;
    }
    return true; /* git writes no blank line when there is no message at all */
}

void message_split(str message, str *ret_title, str *ret_body)
{
    str rest = message;

    while (rest.len > 0 && rest.ptr[0] == '\n')
        rest = str_from(rest, 1);
    *ret_title = str_trim(str_cut(&rest, '\n'));
    while (rest.len > 0 && (rest.ptr[0] == '\n' || rest.ptr[0] == '\r'))
        rest = str_from(rest, 1);
    while (rest.len > 0 && strchr("\r\n \t", rest.ptr[rest.len - 1]))
        rest.len--;
    *ret_body = rest;
}

bool commit_parse(struct arena *a, str data, struct commit_obj *ret)
{
    struct commit_obj c = {0};
    str s = data, count, line;
    oid id;

    if (!take_id(&s, STR("tree"), &c.tree))
        return false;
    for (count = s; take_id(&count, STR("parent"), &id);)
        c.parent_count++;
    if (c.parent_count > COMMIT_MAX_PARENTS)
        return false;
    c.parents = arena_many(a, oid, c.parent_count + 1);
    for (size_t i = 0; take_id(&s, STR("parent"), &c.parents[i]); i++)
        ;
    if (!take_line(&s, STR("author"), &line))
        return false;
    c.author = signature_parse(line);
    if (!take_line(&s, STR("committer"), &line))
        return false;
    c.committer = signature_parse(line);
    if (!skip_headers(&s))
        return false;
    c.message = s;
    message_split(s, &c.title, &c.body);
    *ret = c;
    return true;
}

err commit_read(struct odb *o, struct arena *a, oid id, struct commit_obj *ret)
{
    str data;

    TRY(odb_read(o, a, id, OBJ_COMMIT, &data));
    if (!commit_parse(a, data, ret))
        return obj_damaged(a, id, "it is no well-formed commit");
    return OK;
}

static bool is_crud(unsigned char c)
{
    return c <= 32 || strchr(".,:;<>\"\\'", c) != NULL;
}

str signature_clean(struct arena *a, str s, str fallback)
{
    char *out = arena_alloc(a, s.len + 1);
    str kept = {out, 0};

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c >= 32 && c != 127 && c != '<' && c != '>')
            out[kept.len++] = (char)c;
    }
    while (kept.len > 0 && is_crud((unsigned char)kept.ptr[0]))
        kept = str_from(kept, 1);
    while (kept.len > 0 && is_crud((unsigned char)kept.ptr[kept.len - 1]))
        kept.len--;
    return kept.len > 0 ? kept : fallback;
}

static str signature_format(struct arena *a, const struct signature *g)
{
    str name = signature_clean(a, g->name, STR("unknown"));
    str email = signature_clean(a, g->email, STR("unknown"));
    int tz = abs(g->tz_minutes) % (100 * 60);

    return arena_printf(a, "%.*s <%.*s> %lld %c%02d%02d", STR_FMT(name), STR_FMT(email),
                        (long long)(g->time_s < 0 ? 0 : g->time_s), g->tz_minutes < 0 ? '-' : '+',
                        tz / 60, tz % 60);
}

/* A message ends in a newline and holds no NUL, which git would take for its end. */
static str message_format(struct arena *a, str message)
{
    bool ends = message.len == 0 || str_ends(message, STR("\n"));
    char *out = arena_alloc(a, message.len + 2);
    size_t n = 0;

    for (size_t i = 0; i < message.len; i++)
        if (message.ptr[i] != '\0')
            out[n++] = message.ptr[i];
    if (!ends)
        out[n++] = '\n';
    return (str){out, n};
}

str commit_format(struct arena *a, const struct commit_obj *c)
{
    str *parents = arena_many(a, str, c->parent_count + 1);
    str author = signature_format(a, &c->author), committer = signature_format(a, &c->committer);

    for (size_t i = 0; i < c->parent_count; i++)
        parents[i] = arena_cat(a, STR("parent "), sha1_hex(a, c->parents[i]), STR("\n"));
    return arena_cat(a, STR("tree "), sha1_hex(a, c->tree), STR("\n"),
                     arena_join(a, parents, c->parent_count), STR("author "), author,
                     STR("\ncommitter "), committer, STR("\n\n"), message_format(a, c->message));
}

bool tag_parse(str data, struct tag_obj *ret)
{
    struct tag_obj t = {0};
    str s = data, line;

    if (!take_id(&s, STR("object"), &t.target) || !take_line(&s, STR("type"), &line) ||
        !obj_type_parse(line, &t.type) || !take_line(&s, STR("tag"), &t.name) || t.name.len == 0)
        return false;
    if (take_line(&s, STR("tagger"), &line))
        t.tagger = signature_parse(line);
    if (!skip_headers(&s))
        return false;
    t.message = s;
    *ret = t;
    return true;
}

str tag_format(struct arena *a, const struct tag_obj *t)
{
    return arena_cat(a, STR("object "), sha1_hex(a, t->target), STR("\ntype "),
                     str_c(obj_type_name(t->type)), STR("\ntag "), t->name, STR("\ntagger "),
                     signature_format(a, &t->tagger), STR("\n\n"), message_format(a, t->message));
}

err object_peel(struct odb *o, struct arena *a, oid id, oid *ret_id, enum obj_type *ret_type,
                bool *ret_found)
{
    *ret_found = false;
    for (int i = 0; i < TAG_MAX_CHAIN; i++) {
        struct tag_obj tag;
        enum obj_type type;
        uint64_t size;
        bool found;
        str data;

        TRY(odb_header(o, a, id, &type, &size, &found));
        if (!found)
            return OK;
        if (type != OBJ_TAG) {
            *ret_id = id;
            *ret_type = type;
            *ret_found = true;
            return OK;
        }
        TRY(odb_read(o, a, id, OBJ_TAG, &data));
        if (!tag_parse(data, &tag))
            return obj_damaged(a, id, "it is no well-formed tag");
        id = tag.target;
    }
    return OK;
}

err object_check(struct arena *a, enum obj_type type, str data)
{
    struct commit_obj c;
    struct tag_obj t;

    switch (type) {
    case OBJ_COMMIT:
        return commit_parse(a, data, &c)
                   ? OK
                   : err_new(a, 422, "BadObject", "The push holds a malformed commit.");
    case OBJ_TAG:
        return tag_parse(data, &t)
                   ? OK
                   : err_new(a, 422, "BadObject", "The push holds a malformed tag.");
    case OBJ_TREE:
        return tree_check(a, data);
    case OBJ_BLOB:
        break;
    }
    return OK;
}
