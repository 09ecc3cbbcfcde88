/* like.h — who likes which repository. */
#pragma once
#include "store/repo.h"

/* Idempotent; keeps the repository's count. */
MUST err like_set(struct store *s, int64_t repo_id, int64_t user_id, bool likes);

struct like {
    int64_t at_ms;
    struct account account; /* like_list: who */
    enum repo_kind kind;    /* like_list_of: what */
    str full_name;
};
struct like_page {
    struct like *items;
    size_t count;
    str cursor; /* ptr NULL on the last page */
};
/* Newest first.  `cursor` is that of the page before, or empty; 400 for one that no page gave. */
MUST err like_list(struct db *db, struct arena *a, int64_t repo_id, str cursor, int64_t limit,
                   struct like_page *ret);
/* Only public repositories. */
MUST err like_list_of(struct db *db, struct arena *a, int64_t user_id, str cursor, int64_t limit,
                      struct like_page *ret);
