/* fuzz_tree.c — any bytes as a tree: reading ends, a tree that passes the check survives being
 * written again, and a change to it gives a tree that passes too. */
#include "git/odb_mem.h"
#include "git/tree_edit.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(err e)
{
    if (e)
        abort();
}

static void change(struct arena *a, str tree, const struct tree_entry *entries, size_t count)
{
    struct odb_mem *m = odb_mem_new(NULL);
    struct odb *o = odb_mem_odb(m);
    struct tree_edit edits[2] = {{.path = STR("m/n"), .mode = MODE_FILE}, {.is_removal = true}};
    oid root;
    str out;

    must(odb_write(o, a, OBJ_TREE, tree, &root));
    for (size_t i = 0; i < count; i++)
        if (str_eq(entries[i].name, STR("m")) && mode_is_dir(entries[i].mode))
            count = 0; /* its tree does not exist */
    if (count > 0) {
        edits[0].id = entries[0].id;
        edits[1].path = entries[count - 1].name;
        must(tree_edit_apply(o, a, root, edits, 2, &root));
        must(odb_read(o, a, root, OBJ_TREE, &out));
        must(tree_check(a, out));
    }
    odb_mem_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str tree = {(const char *)data, size};
    struct tree_entry *entries = arena_many(a, struct tree_entry, size / 22 + 2);
    struct tree_iter it = tree_iter(tree);
    size_t count = 0;

    while (tree_next(&it, &entries[count]))
        count++;
    if (tree_check(a, tree) == OK) {
        if (it.bad || !str_eq(tree_format(a, entries, count), tree))
            abort();
        change(a, tree, entries, count);
    }
    arena_free(a);
    return 0;
}
