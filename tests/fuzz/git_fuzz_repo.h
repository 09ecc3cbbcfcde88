/* git_fuzz_repo.h — three commits in memory for the fuzz targets of the protocols.  Their ids are
 * fixed, so that a corpus can name them. */
#pragma once
#include "git/fetch.h"
#include "git/odb_mem.h"
#include "git/tree_edit.h"

#include <stdlib.h>

struct fuzz_repo {
    struct odb_mem *mem;
    oid commits[3];
    struct ref_tip refs[2];
    struct fetch_repo repo;
};

static inline void must(err e)
{
    if (e)
        abort();
}

static inline struct fuzz_repo *fuzz_repo(void)
{
    static struct fuzz_repo r;
    oid tree = OID_ZERO;
    struct arena *a;
    struct odb *o;

    if (r.mem)
        return &r;
    a = arena_new(0);
    r.mem = odb_mem_new(NULL);
    o = odb_mem_odb(r.mem);
    for (size_t i = 0; i < 3; i++) {
        struct signature who = {STR("A"), STR("a@b"), 1700000000 + (int64_t)i, 0};
        struct commit_obj c = {.author = who, .committer = who, .message = STR("m")};
        struct tree_edit e = {.path = arena_printf(a, "d/f%zu", i), .mode = MODE_FILE};

        must(odb_write(o, a, OBJ_BLOB, e.path, &e.id));
        must(tree_edit_apply(o, a, tree, &e, 1, &tree));
        c.tree = tree;
        c.parents = i ? &r.commits[i - 1] : NULL;
        c.parent_count = i > 0;
        must(odb_write(o, a, OBJ_COMMIT, commit_format(a, &c), &r.commits[i]));
    }
    r.refs[0] = (struct ref_tip){STR("refs/heads/main"), r.commits[2], OID_ZERO};
    r.refs[1] = (struct ref_tip){STR("refs/tags/v1"), r.commits[1], OID_ZERO};
    r.repo = (struct fetch_repo){o, r.refs, 2, r.refs[0].name, STR("hearth/fuzz")};
    arena_free(a);
    return &r;
}
