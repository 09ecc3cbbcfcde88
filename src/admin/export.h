/* export.h — one repository in a folder: as a bare git repository, a bucket as its files. */
#pragma once
#include "store/repo.h"

struct export_result {
    uint64_t object_count; /* git objects in the pack */
    uint64_t large_count;  /* large files below lfs/objects; files of a bucket */
    uint64_t bytes;        /* of pack and large files */
    uint64_t absent_count; /* pointers in the history whose content the hub no longer has */
};

/* Writes `r` into the folder `dest`, which is made with its parents or must be empty.  Every large
 * file is checked against its SHA-256 before it gets its name; HEAD comes last, so that what was
 * broken off is no repository for git.  Durable when it returns.  409 when `dest` is in use, 500
 * DataCorrupt (after everything else is written) when large files are damaged. */
MUST err export_repo(struct store *s, struct arena *a, const struct repo *r, const char *dest,
                     struct export_result *ret);
/* The same for a bucket: its files under their paths, with their modification times.  500 (after
 * everything else is written) when some could not be. */
MUST err export_bucket(struct store *s, struct arena *a, const struct repo *r, const char *dest,
                       struct export_result *ret);
/* The folders above `path`. */
MUST err export_parents(struct arena *a, const char *path);
/* Makes `dest` with its parents; 409 unless it is then an empty folder. */
MUST err export_dest(struct arena *a, const char *dest);
