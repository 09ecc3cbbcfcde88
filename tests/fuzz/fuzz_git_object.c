/* fuzz_git_object.c — the first byte is a type, the rest an object.  A commit or tag that is read
 * can be written, and what is written reads the same. */
#include "git/object.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_commit(struct arena *a, str text)
{
    struct commit_obj c, d;
    str once;

    if (!commit_parse(a, text, &c))
        return;
    once = commit_format(a, &c);
    if (!commit_parse(a, once, &d) || !sha1_eq(c.tree, d.tree) ||
        c.parent_count != d.parent_count || !str_eq(once, commit_format(a, &d)))
        abort();
}

static void try_tag(struct arena *a, str text)
{
    struct tag_obj t, u;

    if (tag_parse(text, &t) && (!tag_parse(tag_format(a, &t), &u) || !sha1_eq(t.target, u.target) ||
                                !str_eq(t.name, u.name)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str text = {(const char *)data, size}, back;

    if (size > 0) {
        enum obj_type type = (enum obj_type)(1 + (data[0] & 3));

        text = str_from(text, 1);
        try_commit(a, text);
        try_tag(a, text);
        if (object_check(a, type, text) && type == OBJ_BLOB)
            abort(); /* any blob will do */
        obj_inflate(a, text, size * 3, &back);
    }
    arena_free(a);
    return 0;
}
