/* gc_private.h — a run of gc, between gc.c, which drives it, and the files of its steps.  Nobody
 * else includes it. */
#pragma once
#include "base/clock.h"
#include "store/gc.h"

struct gc {
    struct store *store;
    struct arena *a; /* of the whole run; steps rewind what they take */
    const struct gc_options *options;
    const struct gc_watch *watch;
    struct gc_result *result;
    int64_t now_ms; /* when it began */
};

/* Tells the watch; fails with &gc_stopped when that says so. */
MUST err gc_tell(struct gc *g, const char *what, uint64_t done);
/* Fails with &gc_held while somebody holds the blobs.  To be asked after what shall go was found
 * to be garbage: a copy of the rows that is made under a later hold does not name it then. */
MUST err gc_check_hold(struct gc *g);
extern const struct err_info gc_stopped, gc_held;

/* Leases count as over that end before this. */
static inline int64_t gc_lease_limit(const struct gc *g)
{
    return g->now_ms + g->options->lease_cut_ms;
}

/* A page of ids that a query with the parameters ?1 (ids above), ?2 and ?3 (as it likes), ?4 (how
 * many) gives; ids[0 … count-1]. */
#define GC_PAGE 200
struct gc_ids {
    int64_t ids[GC_PAGE];
    size_t count;
};
MUST err gc_page(struct db *db, struct sql sql, int64_t after, int64_t p2, int64_t p3,
                 struct gc_ids *ret);
MUST err gc_count(struct db *db, struct sql sql, int64_t p1, int64_t p2, uint64_t *ret);
/* Statements with up to two integers. */
MUST err gc_exec(struct db *tx, struct sql sql, int64_t p1, int64_t p2, int64_t *ret_changes);

/* When the oldest upload began that writes blobs without rows; INT64_MAX: none. */
int64_t gc_oldest_writer(struct store *s);

MUST err gc_git(struct gc *g);
MUST err gc_files(struct gc *g);
MUST err gc_xorbs(struct gc *g);
MUST err gc_compact(struct gc *g);
