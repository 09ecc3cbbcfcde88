/* rewrite.h — the history of a repository without some of its large files.
 *
 * Every commit that leads to a ref is looked at, oldest first, and written anew when its tree holds
 * a pointer to one of these files or when one of its parents was.  All others keep their ids.
 * Commits stay in the history even if nothing is left of what they changed; folders that become
 * empty disappear.  Signatures of what was rewritten are dropped, because they hold no longer.
 */
#pragma once
#include "store/repo.h"

/* Moves every ref (branches, tags, pull requests, converted refs) to its rewritten history, takes
 * the files from the repository and counts its storage again, all in one transaction, under the
 * repository's commit lock.  503 when the refs keep moving. */
MUST err rewrite_without(struct store *s, struct arena *a, const struct repo *r,
                         const sha256 *files, size_t count);
