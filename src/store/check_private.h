/* check_private.h — what the files check_*.c share.  Nobody else includes it.
 *
 * A step goes through its things in pages.  What looks wrong is settled: check_settle() waits once
 * per page, then the same function looks at the same thing again with c->second set, and only what
 * is still wrong then is told.
 */
#pragma once
#include "git/oid.h"
#include "store/check.h"
#include "store/internal.h"
#include "store/xorb.h"

#define CHECK_TOUCHES_MAX 1000 /* files named per finding */

struct check {
    struct store *store;
    struct arena *a; /* of one page: rewound by the step that uses it */
    struct check_options options;
    struct check_watch watch;
    struct check_result result;
    struct index_slot *indexes; /* of xorbs, kept between files; check_blobs.c */
    uint64_t touched;           /* files named for the current finding */
    unsigned settles;           /* of this step */
    bool rows_doubtful;         /* hearth.db is damaged: nothing is removed because of its rows */
};

/* --- telling (check.c) --- */

/* Tells and counts.  A repairable finding whose repair succeeded is told as CHECK_REPAIRED. */
void check_found(struct check *c, enum check_state state, const char *what, str name,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The state of a finding that can be repaired: runs `fix` in a transaction of hearth.db when
 * repairs are wanted. */
enum check_state check_fix(struct check *c, db_fn fix, void *arg);
void check_touch(struct check *c, str repo, str revision, str path);
void check_touch_xorb(struct check *c, int64_t xorb_id);
void check_touch_file(struct check *c, int64_t file_id);
void check_touch_object(struct check *c, int64_t repo_id, oid id, str known_path);
void check_progress(struct check *c, const char *step, uint64_t done);
/* Waits a moment, so that what was in the middle of a change is whole. */
void check_settle(struct check *c);
/* "models/ns/name" of a repository, or "repository 7". */
str check_repo_name(struct check *c, int64_t repo_id);

/* One id per row, as a list: a page. */
struct id_list {
    int64_t *ids;
    size_t count;
};
/* Runs a query whose parameters are ?1 (after) and ?2 (limit), and whose column 0 is an id. */
MUST err check_page(struct check *c, struct db *db, struct sql sql, int64_t after, int64_t limit,
                    struct id_list *ret);
MUST err check_run_id(struct db *tx, struct sql sql, int64_t id);
MUST err check_count(struct db *db, struct sql sql, int64_t *ret);

/* --- steps --- */
MUST err check_databases(struct check *c); /* check_database.c: SQLite's structure, types */
MUST err check_rows(struct check *c);      /* check_rows.c: words, references, counts */
MUST err check_buckets(struct check *c);   /* check_bucket.c */
MUST err check_search(struct check *c);    /* check_search.c */
MUST err check_xorbs(struct check *c);     /* check_xorb.c: bodies, sidecars, chunk keys */
MUST err check_shards(struct check *c);    /* check_shard.c */
MUST err check_orphans(struct check *c);   /* check_orphan.c: blobs without rows, uploads */
MUST err check_files(struct check *c);     /* check_file.c: terms, file hashes, SHA-256 */
MUST err check_objects(struct check *c);   /* check_object.c: git objects against their ids */
MUST err check_refs(struct check *c);      /* check_ref.c: what refs reach, branch_file */

/* The chunk list of a stored xorb by its row, from the sidecar or the body; NULL: there is none to
 * be trusted.  Belongs to the check; good until the next call. */
MUST err check_index(struct check *c, int64_t xorb_id, const struct xorb_index **ret);
void check_indexes_free(struct check *c);
/* Terms of a file written again from a shard that describes it.  *ret_done false: none does, or
 * its xorbs are gone. */
MUST err check_terms_restore(struct check *c, int64_t file_id, bool *ret_done);
