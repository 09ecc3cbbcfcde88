/* tree.h — git trees: reading, building, looking up, and refusing the ones that would harm a
 * checkout.
 *
 * A tree is a run of "mode SP name NUL 20-byte id", sorted as bytes with a '/' behind the names
 * of folders.  tree_next reads whatever bytes it is given; only tree_check judges them.
 */
#pragma once
#include "git/odb.h"

#define MODE_DIR 0040000u
#define MODE_FILE 0100644u
#define MODE_EXEC 0100755u
#define MODE_LINK 0120000u
#define MODE_MODULE 0160000u /* a commit of another repository */

#define TREE_MAX_DEPTH 256         /* folders below one another */
#define TREE_MAX_PATH 4096         /* bytes of a path */
#define TREE_MAX_NAME 1024         /* bytes of one name */
#define TREE_MAX_BYTES (16u << 20) /* of one pushed tree: some 400,000 entries */

struct tree_entry {
    unsigned mode;
    str name;
    oid id;
};

/* for (struct tree_iter it = tree_iter(data); tree_next(&it, &entry);) …; it.bad at the end tells
 * that the bytes stopped making sense. */
struct tree_iter {
    str rest;
    bool bad;
};
static inline struct tree_iter tree_iter(str data)
{
    return (struct tree_iter){data, false};
}
bool tree_next(struct tree_iter *it, struct tree_entry *ret);

static inline bool mode_is_dir(unsigned mode)
{
    return (mode & 0170000) == MODE_DIR;
}
static inline bool mode_is_blob(unsigned mode) /* files and symlinks */
{
    return (mode & 0170000) == 0100000 || (mode & 0170000) == MODE_LINK;
}

/* Git's order; 0 only for the same name and both or neither a folder. */
int tree_order(const struct tree_entry *x, const struct tree_entry *y);
/* Sorts `entries` and writes them.  Names must be distinct and valid. */
str tree_format(struct arena *a, struct tree_entry *entries, size_t count);
/* All entries as an array, in stored order.  Fails with 500 ObjectDamaged on malformed bytes. */
MUST err tree_entries(struct odb *o, struct arena *a, oid id, struct tree_entry **ret,
                      size_t *ret_count);

/* The entry at `path` (no slash at either end) below the tree `root`.  An empty path or the zero
 * root finds nothing. */
MUST err tree_find(struct odb *o, struct arena *a, oid root, str path, struct tree_entry *ret,
                   bool *ret_found);

/* Is this name safe in a checkout?  Not empty, ".", "..", or ".git" under any of the aliases that
 * Windows and macOS give it; no '/', no NUL, at most TREE_MAX_NAME bytes. */
bool tree_name_safe(str name);
/* Is every component of this path safe, and the path at most TREE_MAX_PATH bytes long? */
bool tree_path_safe(str path);
/* The errors of `git fsck --strict` for one pushed tree, as 422 with a sentence. */
MUST err tree_check(struct arena *a, str data);
