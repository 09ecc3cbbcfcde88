/* bucket.h — buckets: files without git, a flat map from paths to contents
 * (docs/protocol/buckets.md).
 *
 * A bucket is a row of `repo` with the kind REPO_BUCKET and a row of `bucket`.  Paths are bytes and
 * compare by memcmp.  Folders exist only above files; bucket_dir counts what is below each, so that
 * a listing of one folder costs its children, not what is below them.  Changes are in
 * bucket_batch.h.
 */
#pragma once
#include "store/file.h"

#define BUCKET_PATH_MAX 1024
#define BUCKET_TYPE_MAX 255 /* bytes of a content type */
#define BUCKET_TIME_MIN (-62135596800000LL)
#define BUCKET_TIME_MAX 253402300799999LL /* the years 1 to 9999 */

struct bucket {
    int64_t file_count;
    int64_t seq; /* of the last change */
};

/* A new, empty bucket; 409 when the name is taken. */
MUST err bucket_create(struct store *s, struct arena *a, const struct repo_new *n,
                       struct repo *ret);
MUST err bucket_find(struct db *db, int64_t repo_id, struct bucket *ret);
/* Visibility; repo.updated_at grows. */
MUST err bucket_set_private(struct store *s, int64_t repo_id, bool is_private);
/* repo.updated_at becomes now, and at least one millisecond more than it was. */
MUST err bucket_touch(struct db *tx, int64_t repo_id, int64_t now_ms);

/* Fit for a path: NULL, or what is wrong with it. */
const char *bucket_path_wrong(str path);
/* What a path's extension says; ptr NULL: nothing. */
str bucket_type_of(str path);

struct bucket_file {
    str path;
    int64_t file_id; /* 0: the empty content */
    file_hash hash;
    uint64_t size;
    int64_t mtime_ms;
    int32_t mtime_ns; /* below the millisecond; -1: not given */
    int64_t uploaded_at_ms;
    str content_type; /* ptr NULL: none */
    int64_t seq;
};
MUST err bucket_file_find(struct db *db, struct arena *a, int64_t repo_id, str path,
                          struct bucket_file *ret, bool *ret_found);
struct bucket_dir {
    int64_t file_count, size, uploaded_at_ms; /* of all that is below; the latest */
};
MUST err bucket_dir_find(struct db *db, int64_t repo_id, str path, struct bucket_dir *ret,
                         bool *ret_found);
/* Was it proved, for whatever repository, that this content has this SHA-256? */
MUST err bucket_sum_known(struct db *db, const struct content *c, bool *ret);

/* May the owner of this repository store `bytes` more than it does?  QuotaExceeded with `status`:
 * 507, which mounts understand, or 413 as for uploads to repositories. */
MUST err bucket_quota_check(struct db *db, struct arena *a, const struct repo *r, uint64_t bytes,
                            int status);

/* --- listing (bucket_list.c) --- */

#define BUCKET_PAGE_MAX 5000

struct bucket_entry {
    bool is_dir; /* then path, size, uploaded_at_ms of `file` only */
    struct bucket_file file;
};

/* Where a page ends.  Of the order by path: the key is the last path, with a '/' behind a folder.
 */
struct bucket_cursor {
    bool is_set;
    bool is_lexical; /* the listing fell back to the plain prefix */
    int64_t uploaded_at_ms;
    str key;
};
struct bucket_query {
    int64_t repo_id;
    str path;       /* "": all; one '/' at its end is dropped */
    bool recursive; /* files only; else direct files, and folders as one entry each */
    bool by_time;   /* order by (uploaded_at, path), else by path */
    bool descending;
    size_t limit; /* 1 … BUCKET_PAGE_MAX */
    struct bucket_cursor after;
};
struct bucket_page {
    struct bucket_entry *items;
    size_t count;
    bool more;
    struct bucket_cursor next; /* of the last item */
};
/* What stands at `path` or below it.  Recursive, by path: when that is nothing, what begins with
 * these bytes.  Nothing at all is an empty page.  400 when by_time is asked for with a path of
 * recursive listings, or with one that is no folder. */
MUST err bucket_list(struct db *db, struct arena *a, const struct bucket_query *q,
                     struct bucket_page *ret);
