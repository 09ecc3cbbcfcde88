/* lock.h — git-lfs file locks: one per path of a repository, held by a user, across restarts. */
#pragma once
#include "store/repo.h"

#define LFS_LOCK_PATH_MAX 4096
#define LFS_LOCK_PAGE_MAX 100

struct lfs_lock {
    str id; /* 32 hex digits; ptr NULL: none */
    str path;
    str ref; /* as the client named it; ptr NULL: none */
    int64_t owner_id;
    str owner; /* name of the user */
    int64_t locked_at_ms;
};

/* Takes a lock.  When the path is locked already *ret_new is false and *ret is that lock.
 * 400 for a path that no file can have. */
MUST err lfs_lock_add(struct store *s, struct arena *a, int64_t repo_id, int64_t user_id, str path,
                      str ref, struct lfs_lock *ret, bool *ret_new);
/* ret->id is NULL when there is no such lock. */
MUST err lfs_lock_find(struct db *db, struct arena *a, int64_t repo_id, str id,
                       struct lfs_lock *ret);
MUST err lfs_lock_remove(struct store *s, int64_t repo_id, str id);

struct lfs_lock_query {
    str path, id;  /* ptr NULL: any */
    str cursor;    /* of the page before; ptr NULL: the first */
    int64_t limit; /* 0: LFS_LOCK_PAGE_MAX, which is also the most */
};
struct lfs_lock_list {
    struct lfs_lock *items;
    size_t count;
    str cursor; /* ptr NULL on the last page */
};
/* By path.  400 for a cursor that no page gave. */
MUST err lfs_lock_list(struct db *db, struct arena *a, int64_t repo_id,
                       const struct lfs_lock_query *query, struct lfs_lock_list *ret);
