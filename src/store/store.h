/* store.h — everything the hub knows: three databases and the blobs (docs/ARCHITECTURE.md).
 *
 * All SQL of the project lives in this folder.  Functions take a struct db * (the database or a
 * transaction's handle) when they are one statement or part of a transaction, and a struct store *
 * when they need more than hearth.db.  Order of durability: blobs, then git.db, then hearth.db.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "db/db.h"

struct blobs;

struct store_config {
    const char *data_dir;
    bool server;                   /* takes DATA/lock, empties tmp/, group commit */
    bool grouping_off;             /* bench */
    int sync_delay_ms;             /* bench */
    unsigned disk_reserve_percent; /* uploads get 507 when less of the disk is free */
    bool verify_reads;             /* check every chunk before it is sent: no zero-copy */
};

struct store {
    struct db *hub, *git, *stats; /* hearth.db, git.db, stats.db */
    struct blobs *blobs;
    char id[17];      /* of this store, 16 hex digits; part of the CAS address (xet/xet.h) */
    char *dir;        /* DATA, absolute */
    char *upload_dir; /* DATA/upload */
    char *tmp_dir;    /* DATA/tmp */
    int lock_fd;
    struct store_config config;
    struct commit_locks *commit_locks; /* commit.c: one lock per repository, striped */
    struct stat_memory *counters;      /* stat.c: sums since the last flush */
    struct xorb_cache *xorbs;     /* xorb.c: open xorbs, verified since start, and their indexes */
    struct object_proofs *proofs; /* object_source.c: git blobs that were hashed since start */
    struct sign_keys *keys;       /* sign.c: the signing keys as last read */
    struct upload_runs *uploads;  /* upload.c: completions that are running */
    struct gc_locks *gc;          /* gc.c: one run at a time; who writes blobs without rows */
    struct names *names;          /* names.c: token → user, name → repository */
    struct facets *facets;        /* facets.c: the tags of all repositories */
};

/* Opens or creates DATA.  Fails with code "DataLocked" when another serve has it, "DataNewer" when
 * it belongs to a newer program. */
MUST err store_open(struct arena *a, const struct store_config *c, struct store **ret);
void store_close(struct store *s); /* flushes counters, checkpoints; accepts NULL */

/* 507 when the disk has less than disk_reserve free after `bytes` more. */
MUST err store_disk_check(struct store *s, struct arena *a, uint64_t bytes);

str store_oid24(struct arena *a); /* a fresh 24-hex id: 4 bytes of seconds, 8 random */

/* Single values (fact table): created by `make` when absent. */
MUST err store_fact(struct db *db, struct arena *a, str name, str fallback, str *ret);
