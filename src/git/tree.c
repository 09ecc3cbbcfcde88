/* tree.c — see tree.h. */
#include "git/tree.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool tree_next(struct tree_iter *it, struct tree_entry *ret)
{
    str s = it->rest;
    unsigned mode = 0;
    size_t i = 0;
    ptrdiff_t end;

    if (s.len == 0)
        return false;
    it->bad = true; /* until this entry has been read whole */
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '7' && i < 7; i++)
        mode = mode * 8 + (unsigned)(s.ptr[i] - '0');
    if (i == 0 || i >= s.len || s.ptr[i] != ' ')
        return false;
    s = str_from(s, i + 1);
    end = str_find(s, '\0');
    if (end < 0 || s.len - (size_t)end - 1 < sizeof(oid))
        return false;
    ret->mode = mode;
    ret->name = str_first(s, (size_t)end);
    memcpy(ret->id.b, s.ptr + end + 1, sizeof(oid));
    it->rest = str_from(s, (size_t)end + 1 + sizeof(oid));
    it->bad = false;
    return true;
}

int tree_order(const struct tree_entry *x, const struct tree_entry *y)
{
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    int c = memcmp(x->name.ptr, y->name.ptr, n);
    int cx, cy; /* the next byte, with the slash that a folder's name seems to have */

    if (c != 0)
        return c;
    cx = n < x->name.len ? (unsigned char)x->name.ptr[n] : mode_is_dir(x->mode) ? '/' : 0;
    cy = n < y->name.len ? (unsigned char)y->name.ptr[n] : mode_is_dir(y->mode) ? '/' : 0;
    if (cx != cy)
        return cx - cy;
    return (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static int order_q(const void *x, const void *y)
{
    return tree_order(x, y);
}

str tree_format(struct arena *a, struct tree_entry *entries, size_t count)
{
    size_t len = 0, n = 0;
    bool sorted = true;
    char *out;

    for (size_t i = 0; i < count; i++) {
        len += 8 + entries[i].name.len + 1 + sizeof(oid);
        sorted = sorted && (i == 0 || tree_order(&entries[i - 1], &entries[i]) < 0);
    }
    if (!sorted)
        qsort(entries, count, sizeof *entries, order_q);
    out = arena_alloc(a, len + 1);
    for (size_t i = 0; i < count; i++) {
        char mode[8];
        size_t digits = 0;

        for (unsigned m = entries[i].mode; m > 0 && digits < 7; m >>= 3)
            mode[digits++] = (char)('0' + (m & 7));
        while (digits > 0)
            out[n++] = mode[--digits];
        out[n++] = ' ';
        memcpy(out + n, entries[i].name.ptr, entries[i].name.len);
        n += entries[i].name.len;
        out[n++] = '\0';
        memcpy(out + n, entries[i].id.b, sizeof(oid));
        n += sizeof(oid);
    }
    assert(n <= len);
    return (str){out, n};
}

err tree_entries(struct odb *o, struct arena *a, oid id, struct tree_entry **ret, size_t *ret_count)
{
    struct tree_entry e, *all;
    struct tree_iter it;
    size_t count = 0;
    str data;

    TRY(odb_read(o, a, id, OBJ_TREE, &data));
    for (it = tree_iter(data); tree_next(&it, &e);)
        count++;
    if (it.bad)
        return obj_damaged(a, id, "it is no well-formed tree");
    all = arena_many(a, struct tree_entry, count + 1);
    it = tree_iter(data);
    for (size_t i = 0; tree_next(&it, &all[i]); i++)
        ;
    *ret = all;
    *ret_count = count;
    return OK;
}

err tree_find(struct odb *o, struct arena *a, oid root, str path, struct tree_entry *ret,
              bool *ret_found)
{
    struct tree_entry e = {.mode = MODE_DIR, .id = root};
    str rest = path;

    *ret_found = false;
    if (path.len == 0 || sha1_is_zero(root))
        return OK;
    for (unsigned depth = 0; rest.ptr; depth++) {
        str part = str_cut(&rest, '/'), data;
        struct tree_iter it;
        bool here = false;

        if (!mode_is_dir(e.mode) || depth > TREE_MAX_DEPTH)
            return OK;
        TRY(odb_read(o, a, e.id, OBJ_TREE, &data));
        for (it = tree_iter(data); !here && tree_next(&it, &e);)
            here = str_eq(e.name, part);
        if (it.bad)
            return obj_damaged(a, root, "a folder in it is no well-formed tree");
        if (!here)
            return OK;
    }
    *ret = e;
    *ret_found = true;
    return OK;
}

/* --- names --- */

/* Characters that HFS+ ignores in names: U+200C–F, U+202A–E, U+206A–F, U+FEFF. */
static bool skip_hfs_ignored(str *s)
{
    const unsigned char *p = (const unsigned char *)s->ptr;

    if (s->len < 3)
        return false;
    if (!((p[0] == 0xe2 && p[1] == 0x80 &&
           ((p[2] >= 0x8c && p[2] <= 0x8f) || (p[2] >= 0xaa && p[2] <= 0xae))) ||
          (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xaa && p[2] <= 0xaf) ||
          (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)))
        return false;
    *s = str_from(*s, 3);
    return true;
}

/* Does macOS read this name as `want` (lower case)? */
static bool hfs_alias(str s, str want)
{
    for (;;) {
        while (skip_hfs_ignored(&s))
            ;
        if (want.len == 0 || s.len == 0)
            return want.len == 0 && s.len == 0;
        if (!str_ieq(str_first(s, 1), str_first(want, 1)))
            return false;
        s = str_from(s, 1);
        want = str_from(want, 1);
    }
}

/* Does Windows read this name as `want` or its short form?  It drops trailing dots and spaces and
 * takes what follows a colon for a stream, what follows a backslash for another component. */
static bool ntfs_alias(str s, str want, str short_form)
{
    if (!str_iskip(&s, want) && !str_iskip(&s, short_form))
        return false;
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '.'))
        s = str_from(s, 1);
    return s.len == 0 || s.ptr[0] == ':' || s.ptr[0] == '\\';
}

static bool is_dot_git(str name)
{
    if (hfs_alias(name, STR(".git")))
        return true;
    while (name.ptr)
        if (ntfs_alias(str_cut(&name, '\\'), STR(".git"), STR("git~1")))
            return true;
    return false;
}

bool tree_name_safe(str name)
{
    return name.len > 0 && name.len <= TREE_MAX_NAME && !str_eq(name, STR(".")) &&
           !str_eq(name, STR("..")) && str_find(name, '/') < 0 && str_find(name, '\0') < 0 &&
           !is_dot_git(name);
}

bool tree_path_safe(str path)
{
    unsigned depth = 0;

    if (path.len == 0 || path.len > TREE_MAX_PATH)
        return false;
    while (path.ptr)
        if (!tree_name_safe(str_cut(&path, '/')) || ++depth > TREE_MAX_DEPTH)
            return false;
    return true;
}

/* --- pushed trees --- */

static bool mode_known(unsigned mode)
{
    /* 0100664 stands in trees written by git before 2005; fsck lets it pass. */
    return mode == MODE_DIR || mode == MODE_FILE || mode == MODE_EXEC || mode == MODE_LINK ||
           mode == MODE_MODULE || mode == 0100664;
}

static err refuse(struct arena *a, str name, const char *why)
{
    return err_new(a, 422, "BadTree", "The push holds a folder with the entry \"%.*s\": %s.",
                   STR_FMT(str_first(name, 200)), why);
}

static err entry_check(struct arena *a, const struct tree_entry *e, bool zero_padded)
{
    if (!tree_name_safe(e->name))
        return refuse(a, e->name, "this name is not allowed, because checking it out would harm");
    if (zero_padded || !mode_known(e->mode))
        return refuse(a, e->name, "its mode is not one that git writes");
    if (sha1_is_zero(e->id))
        return refuse(a, e->name, "it names the object zero");
    if (e->mode == MODE_LINK && (hfs_alias(e->name, STR(".gitmodules")) ||
                                 ntfs_alias(e->name, STR(".gitmodules"), STR("gitmod~1"))))
        return refuse(a, e->name, "it must not be a symbolic link");
    return OK;
}

/* A file "a" and a folder "a" do not stand side by side in git's order ("a", "a.b", "a/"), but
 * all names between them begin with "a".  So it is enough to remember the files whose names begin
 * the current one; each is longer than the one before, which bounds them. */
struct open_names {
    str names[TREE_MAX_NAME + 1];
    size_t count;
};

static bool repeats(struct open_names *o, const struct tree_entry *e)
{
    while (o->count > 0 && !str_starts(e->name, o->names[o->count - 1]))
        o->count--;
    if (o->count > 0 && o->names[o->count - 1].len == e->name.len)
        return true;
    if (!mode_is_dir(e->mode)) {
        assert(o->count <= TREE_MAX_NAME);
        o->names[o->count++] = e->name;
    }
    return false;
}

err tree_check(struct arena *a, str data)
{
    struct tree_iter it = tree_iter(data);
    struct open_names *open = arena_one(a, struct open_names);
    struct tree_entry e, last = {0};

    if (data.len > TREE_MAX_BYTES)
        return err_new(a, 422, "BadTree", "The push holds a folder with too many entries.");
    for (bool is_first = true;; is_first = false, last = e) {
        bool zero_padded = it.rest.len > 0 && it.rest.ptr[0] == '0';

        if (!tree_next(&it, &e))
            break;
        TRY(entry_check(a, &e, zero_padded));
        if (repeats(open, &e) || (!is_first && str_eq(last.name, e.name)))
            return refuse(a, e.name, "it stands there twice");
        if (!is_first && tree_order(&last, &e) >= 0)
            return refuse(a, e.name, "it stands out of order");
    }
    if (it.bad)
        return err_new(a, 422, "BadTree", "The push holds a malformed tree.");
    return OK;
}
