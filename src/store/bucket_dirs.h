/* bucket_dirs.h — what changes of files mean for the folders above them, for bucket_batch.c.
 *
 * Changes come in the order of paths, so that each folder is left once: its row is written then,
 * and its sums go up to the folder above it.
 */
#pragma once
#include "store/bucket.h"

struct bucket_dirs {
    struct db *tx;
    int64_t repo_id, now_ms;
    char path[BUCKET_PATH_MAX]; /* of the innermost folder */
    struct bucket_level {
        size_t len; /* of its path */
        int64_t files, size;
        bool is_fresh; /* something below it was written, not only removed */
    } levels[BUCKET_PATH_MAX / 2];
    size_t depth;
};
/* `files` and `size`: by how much there is more now. */
MUST err bucket_dirs_note(struct bucket_dirs *d, str path, int64_t files, int64_t size,
                          bool is_fresh);
MUST err bucket_dirs_end(struct bucket_dirs *d);
