/* walk.h — walks over the history of commits.
 *
 * Memory is bounded by WALK_MAX_COMMITS small records; commits themselves are read one at a time
 * into `scratch`, which is rewound after each.  A larger history fails with 507.
 */
#pragma once
#include "git/object.h"

#define WALK_MAX_COMMITS 5000000

/* A walk that yields commits newest first by commit date, each once, children before the parents
 * that they led to.  Tips that are tags or other objects must be peeled before. */
struct walk;
struct walk *walk_new(struct odb *o, struct arena *scratch);
void walk_free(struct walk *w);
void walk_cleanup(struct walk **w);
#define AUTO_WALK __attribute__((cleanup(walk_cleanup)))
MUST err walk_from(struct walk *w, oid tip); /* start here; may be called several times */
/* Leave out this commit and its ancestors.  After the first walk_next it is too late.  Commits
 * whose clocks are off by far may come through all the same. */
MUST err walk_hide(struct walk *w, oid tip);
/* Treat this commit as one without parents (of a shallow clone). */
void walk_cut(struct walk *w, oid id);
struct walk_step {
    oid id, tree;
    int64_t time_s;
    const oid *parents; /* good until the next step */
    size_t parent_count;
};
/* *ret_more false: that was all. */
MUST err walk_next(struct walk *w, struct walk_step *ret, bool *ret_more);
/* After the walk: was this commit met as hidden?  (Every parent of a yielded commit that was not
 * yielded itself is.) */
bool walk_is_hidden(const struct walk *w, oid id);
/* Looks again at a commit that was met; every parent of a yielded commit was. */
struct walk_step walk_look(const struct walk *w, oid id);

/* A page of the history of `tip`, newest first: up to `limit` commits after `skip`, and in
 * *ret_total (unless NULL) how many there are, which walks all of it. */
MUST err history_page(struct odb *o, struct arena *scratch, oid tip, size_t skip, size_t limit,
                      struct oid_list *ret, size_t *ret_total);
/* The commits that `tip` has and `hidden` (zero: nothing) has not, newest first. */
MUST err history_between(struct odb *o, struct arena *scratch, oid hidden, oid tip,
                         struct oid_list *ret);
/* Is `ancestor` the commit `tip` or one of its ancestors? */
MUST err history_has(struct odb *o, struct arena *scratch, oid tip, oid ancestor, bool *ret);
/* The best common ancestor (the newest one), for comparing branches. */
MUST err history_base(struct odb *o, struct arena *scratch, oid x, oid y, oid *ret,
                      bool *ret_found);

/* The line of first parents from `tip` back to `old`, oldest first and without `old`: each of
 * these commits changed what differs from its first parent.  *ret_met false: `old` (or zero) is
 * not on that line, and the list goes back to the root. */
MUST err history_line(struct odb *o, struct arena *scratch, oid old, oid tip, struct oid_list *ret,
                      bool *ret_met);
