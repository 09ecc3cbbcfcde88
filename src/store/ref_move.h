/* ref_move.h — moving refs and everything that describes them, in two steps.
 *
 * prepare computes, outside any transaction, what the move changes (which rows of branch_file,
 * which last commits, the card); run does compare-and-swap and applies it in one transaction.
 */
#pragma once
#include "store/commit.h"

struct ref_move;

/* The new tip's objects are readable through `o` (not yet flushed is fine).  400 for a name that
 * git refuses, 404 when the new object is no commit (or tag of one). */
MUST err ref_move_prepare(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                          const struct ref_change *change, struct ref_move **ret);
/* All or nothing.  *ret_moved true: a ref was not where `old_oid` said; nothing changed. */
MUST err ref_move_run(struct store *s, struct ref_move **moves, size_t count, db_fn also,
                      void *also_arg, bool *ret_moved);

/* Writes branch_file of a branch anew from its head.  *ret_moved true: it is elsewhere by now, and
 * nothing changed. */
MUST err ref_files_rebuild(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                           const struct ref *ref, bool *ret_moved);
