/* gc.h — what nobody needs any more goes; what is scattered is packed; what lies still is read.
 *
 * Rows go before blobs, in batches, and a xorb goes in two steps: condemned (no new upload is
 * pointed at it, its chunk keys are gone), a day later removed.  Whatever is used in between lives
 * again.  docs/storage-format.md tells what is a root.
 *
 * A run may be cut off at any point; the next one goes on.  One run at a time per process, and only
 * in the process that holds DATA/lock.
 */
#pragma once
#include "store/xet.h"

#define GC_FILE_GRACE_MS (28 * 86400000LL)
#define GC_GIT_GRACE_MS (14 * 86400000LL)
#define GC_DAY_MS 86400000LL

struct gc_options {
    bool dry_run;                    /* counts only what could go now, one step behind the other */
    bool git, files, xorbs, compact; /* which steps; all false: all of them */
    int64_t git_grace_ms;            /* objects unseen for so long; never less than two hours */
    int64_t file_grace_ms;           /* contents that nothing names; GC_FILE_GRACE_MS */
    int64_t xorb_wait_ms;            /* between condemned and removed; a day */
    int64_t compact_age_ms;          /* younger xorbs are left alone; a day */
    int64_t orphan_age_ms;           /* younger blobs may be waiting for their row; a day */
    int64_t lease_cut_ms;            /* tests only: leases end so much earlier than they say */
};
struct gc_result {
    uint64_t repos_marked, repos_skipped; /* skipped: damaged, so nothing of them was removed */
    uint64_t git_objects, git_bytes;
    uint64_t repo_files, files, shards;
    uint64_t condemned, xorbs, xorb_bytes, orphan_blobs;
    uint64_t compacted_xorbs, compacted_into, compacted_bytes_saved;
    bool held;    /* somebody holds the blobs: some steps were left for later */
    bool stopped; /* by the watch */
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
    int64_t
        oldest_check_ms; /* when the xorb that waits longest was read, or written; 0: no xorbs */
    bool stopped;
};
/* Reads xorbs that were not read for longest, at most `bytes` of them (one at least) and none
 * twice; quarantines damaged ones.  Shards too. */
MUST err scrub_run(struct store *s, struct arena *a, uint64_t bytes, const struct gc_watch *w,
                   struct scrub_result *ret);
/* Everything once, at `rate` bytes per second; 0: as fast as it goes. */
MUST err scrub_all(struct store *s, struct arena *a, uint64_t rate, const struct gc_watch *w,
                   struct scrub_result *ret);
/* Bytes per second at which everything is read once in `days`; more when that is behind. */
MUST err scrub_rate(struct db *db, int64_t days, uint64_t *ret);

/* --- for /metrics and for when the next run is due --- */
struct gc_state {
    int64_t last_gc_ms; /* end of the last whole run; 0: none yet */
    int64_t oldest_check_ms;
    uint64_t damaged, condemned; /* xorbs */
};
MUST err gc_state_read(struct db *db, struct gc_state *ret);

/* --- writers of blobs whose row comes long after (intake.c) --- */
struct gc_writer {
    int64_t started_ms;
    struct gc_writer *next, *prev;
};
void gc_writer_enter(struct store *s, struct gc_writer *w);
void gc_writer_leave(struct store *s, struct gc_writer *w);
