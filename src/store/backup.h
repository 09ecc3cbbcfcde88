/* backup.h — a hub into a folder and out of it again (hearth backup, hearth restore).
 *
 *     DEST/manifest.json             what is here; comes last.  Without it there is no backup
 *     DEST/SNAPSHOT-TIME/            one moment of the hub:
 *         hearth.db git.db stats.db  ordinary SQLite files without a WAL
 *         hearth.conf                if the hub has one
 *         manifest.json              a copy of the manifest of that day
 *     DEST/blob/                     as in a data directory but without sidecars; every snapshot
 *                                    shares it
 *     DEST/lock, DEST/tmp            one backup at a time; unfinished blobs
 *
 * A run adds a snapshot and the blobs that are missing, replaces the manifest, and only then takes
 * away what no kept snapshot needs.  So whatever stops it, what the manifest names is whole.
 * docs/adr/0012-backup.md tells why copies made one after another fit together.
 */
#pragma once
#include "store/store.h"

struct backup_progress {
    const char *what; /* "hearth.db" …, "large files", "clean up" */
    uint64_t blobs, blobs_total, bytes, bytes_total;
};
struct backup_watch { /* each may be NULL; so may the struct */
    bool (*step)(void *arg, const struct backup_progress *p); /* false: stop */
    void (*damage)(void *arg, str what, str why);
    void (*touches)(void *arg, str file); /* a file that the last damage makes unreadable */
    void *arg;
};

#define BACKUP_KEEP 3 /* the default */
#define BACKUP_KEEP_MAX 100
struct backup_options {
    const char *dest;    /* made when it is not there; its parent exists */
    unsigned keep;       /* how many earlier snapshots stay beside the new one */
    bool verify;         /* read again what DEST has already */
    const char *program; /* version, for the manifest */
};
struct backup_result {
    str snapshot;
    uint64_t blobs, bytes;         /* that the snapshot names */
    uint64_t new_blobs, new_bytes; /* that were copied now */
    uint64_t database_bytes;
    uint64_t damaged; /* each was told to the watch */
    uint64_t removed_snapshots, removed_blobs;
};
/* Beside a server or alone.  Takes a gc hold meanwhile.  Damaged blobs are told, left out (the row
 * in the copy says damaged) and the rest goes on: the result is OK with ret->damaged > 0.
 * 409 when DEST is in use, holds something else, or the hold was lost; 507 when its disk is full;
 * 499 when the watch stopped it.  What DEST held before is valid after every failure. */
MUST err backup_run(struct store *s, struct arena *a, const struct backup_options *o,
                    const struct backup_watch *w, struct backup_result *ret);

struct restore_options {
    const char *src, *snapshot; /* snapshot NULL: the newest */
    const char *data;           /* absent, empty, or where a restore broke off */
};
struct restore_result {
    str snapshot, store_id; /* the new id */
    int64_t taken_at_ms;
    uint64_t blobs, bytes, damaged;
};
/* Makes a data directory.  Every byte is checked against its hash on the way.  The store gets a
 * new id; accounts, tokens and signing keys stay.  Until it has ended nobody can open DATA
 * (409 DataRestoring); a restore that broke off is continued by the next. */
MUST err restore_run(struct arena *a, const struct restore_options *o, const struct backup_watch *w,
                     struct restore_result *ret);

/* --- the manifest --- */
struct backup_file {
    str name; /* inside the snapshot's folder */
    uint64_t size;
    sha256 sum;
};
#define BACKUP_FILES_MAX 4
struct snapshot {
    str name, store_id, program;
    int64_t started_at_ms, finished_at_ms;
    struct backup_file files[BACKUP_FILES_MAX];
    size_t file_count;
    uint64_t accounts, repos, contents, xorbs, shards, blob_bytes, damaged;
};
struct manifest {
    struct snapshot *items; /* newest first */
    size_t count;
};
/* 404 when `dir` has no manifest. */
MUST err manifest_read(struct arena *a, const char *dir, struct manifest *ret);
