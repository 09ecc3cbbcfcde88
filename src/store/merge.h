/* merge.h — a three-way merge: what one side changed since the base, put onto the other side.
 *
 * Path by path; where both sides changed a text file, its lines are merged by libgit2.  Pointers of
 * large files, binary files and links are never mixed: two different changes of one are a conflict.
 */
#pragma once
#include "git/tree_edit.h"

#define MERGE_FILE_MAX (4u << 20) /* bytes of one side of a file that is merged by lines */
#define MERGE_PATHS_MAX 200000    /* paths that the other side changed: 413 above */

struct merge_result {
    struct tree_edit *edits; /* to be applied to `ours` */
    size_t edit_count;
    str *conflicts; /* paths; with any of them the edits are of no use */
    size_t conflict_count;
};
/* Trees; `base` may be zero (no common ancestor: everything of theirs is new). */
MUST err merge_trees(struct odb *o, struct arena *a, oid base, oid ours, oid theirs,
                     struct merge_result *ret);
