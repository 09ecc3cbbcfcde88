/* diff.h — the unified diff between two commits, as git prints it.
 *
 * Large files are compared by their pointers, as git does; binary contents and those of more than
 * DIFF_FILE_MAX bytes are only named.  Renames show as a removal and an addition.
 */
#pragma once
#include "git/odb.h"

#define DIFF_FILE_MAX (4u << 20)  /* bytes of one side of a file that is compared by lines */
#define DIFF_TEXT_MAX (16u << 20) /* for callers without a reason for another limit */

/* `old_commit` zero: everything is new.  Fails with 413 when the text would exceed `max_bytes`. */
MUST err diff_text(struct odb *o, struct arena *a, oid old_commit, oid new_commit, size_t max_bytes,
                   str *ret);
