/* gc.h — what nobody needs any more goes; what is scattered is packed; what lies still is read.
 *
 * Rows go before blobs, in batches, and a xorb goes in two steps: condemned (no new upload is
 * pointed at it, its chunk keys are gone), a day later removed.  Whatever is used in between lives
 * again.  docs/storage-format.md tells what is a root.
 */
#pragma once
#include "store/xet.h"

struct gc_options {
    bool dry_run;                    /* counts only */
    bool git, files, xorbs, compact; /* which steps; all false: all of them */
    int64_t git_grace_ms;            /* objects unseen for so long; default 14 days */
    int64_t file_grace_ms;  /* contents that nothing names; default 28 days (GC_FILE_GRACE_MS) */
    int64_t xorb_wait_ms;   /* between condemned and removed; default 24 hours */
    int64_t compact_age_ms; /* younger xorbs are left alone; default 24 hours */
};
struct gc_result {
    uint64_t repos_marked, git_objects, git_bytes;
    uint64_t repo_files, files, shards;
    uint64_t condemned, xorbs, xorb_bytes, orphan_blobs;
    uint64_t compacted_xorbs, compacted_into, compacted_bytes_saved;
    bool held; /* somebody holds the blobs: nothing was unlinked */
};
struct gc_watch { /* may be NULL; step returns false to stop early (shutdown) */
    bool (*step)(void *arg, const char *what, uint64_t done);
    void *arg;
};
void gc_defaults(struct gc_options *o);
MUST err gc_run(struct store *s, struct arena *a, const struct gc_options *o,
                const struct gc_watch *w, struct gc_result *ret);

/* --- holds: while one is alive nothing is unlinked and nothing compacted --- */
#define GC_HOLD_DEAD_MS 60000
MUST err gc_hold_take(struct store *s, struct arena *a, str *ret_id);
MUST err gc_hold_beat(struct store *s, str id); /* at least every 20 s; 409 when it was given up */
MUST err gc_hold_release(struct store *s, str id);
MUST err gc_is_held(struct db *db, bool *ret);

/* --- scrub --- */
struct scrub_result {
    uint64_t xorbs, bytes, damaged;
    int64_t oldest_check_ms; /* of all xorbs; 0: one was never read */
};
/* Reads xorbs that were not read for longest, at most `bytes` of them; quarantines damaged ones. */
MUST err scrub_run(struct store *s, struct arena *a, uint64_t bytes, const struct gc_watch *w,
                   struct scrub_result *ret);
