/* tree_edit.h — a list of changes applied to a tree, folders made and removed as needed.
 *
 * The changes apply in order and the last one wins: a file put below a file replaces it by a
 * folder, a file put where a folder is replaces the folder.  Folders that become empty disappear.
 * The work is one pass over the folders that change, however long the list.
 */
#pragma once
#include "git/tree.h"

#define TREE_EDIT_MAX 1000000 /* changes in one list */

struct tree_edit {
    str path; /* "a/b.txt"; a slash at the end is dropped */
    bool is_removal;
    unsigned mode; /* not for a removal; MODE_DIR puts a whole tree there */
    oid id;
};

/* Applies `edits` to the tree `root` (zero: an empty one) and writes the new trees through `o`.
 * Fails with 400 BadPath for a path that tree_path_safe refuses, with 404 EntryNotFound for the
 * removal of something that is neither in the tree nor earlier in the list. */
MUST err tree_edit_apply(struct odb *o, struct arena *a, oid root, const struct tree_edit *edits,
                         size_t count, oid *ret);
