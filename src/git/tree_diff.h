/* tree_diff.h — what differs between two trees, files and folders alike. */
#pragma once
#include "git/tree.h"

enum change_kind { CHANGE_ADDED, CHANGE_REMOVED, CHANGE_MODIFIED };

struct tree_change {
    enum change_kind kind;
    str path;                    /* good during the call only */
    unsigned old_mode, new_mode; /* 0 where the path does not exist */
    oid old_id, new_id;          /* zero where it does not; of folders, their trees */
};
/* Is this change about a folder?  A path that turns from file into folder is reported twice:
 * removed as the one, added as the other. */
static inline bool change_is_dir(const struct tree_change *c)
{
    return mode_is_dir(c->new_mode ? c->new_mode : c->old_mode);
}
typedef err tree_change_fn(void *ctx, const struct tree_change *c);

/* Calls `fn` for every path that differs, in git's order, each folder before what is in it.
 * Folders with the same id are not entered.  Either tree may be zero, which means empty.  Stops
 * at the first err that `fn` returns, and returns it.  `scratch` is rewound as the walk goes on:
 * what `fn` wants to keep belongs into another arena. */
MUST err tree_diff(struct odb *o, struct arena *scratch, oid old, oid new, tree_change_fn *fn,
                   void *ctx);
