/* git_fixture.h — a small repository in memory, for the tests of git/. */
#pragma once
#include "check.h"
#include "git/object.h"
#include "git/odb_mem.h"
#include "git/tree_edit.h"

struct fixture {
    struct arena *a;
    struct odb_mem *mem;
    struct odb *odb;
};

static inline struct fixture fixture_new(void)
{
    struct odb_mem *m = odb_mem_new(NULL);

    return (struct fixture){arena_new(0), m, odb_mem_odb(m)};
}

static inline void fixture_free(struct fixture *f)
{
    odb_mem_free(f->mem);
    arena_free(f->a);
}
#define FIXTURE __attribute__((cleanup(fixture_free))) struct fixture

static inline oid put_blob(struct fixture *f, const char *text)
{
    oid id;

    check_ok(odb_write(f->odb, f->a, OBJ_BLOB, str_c(text), &id));
    return id;
}

/* `base` (or zero) with the changes "+path=content" and "-path", separated by spaces. */
static inline oid put_tree(struct fixture *f, oid base, const char *changes)
{
    struct tree_edit edits[64] = {0};
    size_t count = 0;
    str rest = str_c(changes);
    oid id;

    while (rest.ptr && rest.len > 0) {
        str word = str_cut(&rest, ' '), path;
        struct tree_edit *e = &edits[count++];

        e->is_removal = str_skip(&word, STR("-"));
        str_skip(&word, STR("+"));
        path = str_cut(&word, '=');
        e->path = path;
        e->mode = MODE_FILE;
        if (!e->is_removal)
            check_ok(odb_write(f->odb, f->a, OBJ_BLOB, word, &e->id));
    }
    check_ok(tree_edit_apply(f->odb, f->a, base, edits, count, &id));
    return id;
}

static inline oid put_commit(struct fixture *f, oid tree, int64_t time_s, const oid *parents,
                             size_t parent_count)
{
    struct signature who = {STR("Ada"), STR("ada@example.org"), time_s, 60};
    oid list[8];
    struct commit_obj c = {.tree = tree,
                           .parents = list,
                           .parent_count = parent_count,
                           .author = who,
                           .committer = who,
                           .message = STR("change")};
    oid id;

    for (size_t i = 0; i < parent_count; i++)
        list[i] = parents[i];
    check_ok(odb_write(f->odb, f->a, OBJ_COMMIT, commit_format(f->a, &c), &id));
    return id;
}

/* A line of `count` (at most 64) commits; commit i has the files 0…i. */
static inline void put_line(struct fixture *f, oid *commits, size_t count)
{
    oid tree = OID_ZERO;

    for (size_t i = 0; i < count; i++) {
        str change = arena_printf(f->a, "+dir%zu/f%zu=%zu", i % 3, i, i);

        tree = put_tree(f, tree, change.ptr);
        commits[i] =
            put_commit(f, tree, 1700000000 + (int64_t)i, i ? &commits[i - 1] : NULL, i > 0);
    }
}
