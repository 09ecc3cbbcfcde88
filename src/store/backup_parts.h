/* backup_parts.h — what backup.c and restore.c share.  Nobody else includes it. */
#pragma once
#include "blob/blob.h"
#include "store/backup.h"
#include "store/internal.h"

#define MANIFEST "manifest.json"
#define MANIFEST_TMP "manifest.json.tmp"
#define SNAPSHOT_PREFIX "SNAPSHOT-"
#define CONF "hearth.conf"

/* --- backup_files.c: manifest and single files --- */
/* Durable under its name in `dir`, replacing an older one in one step. */
MUST err manifest_write(struct arena *a, const char *dir, const struct manifest *m);
const struct backup_file *snapshot_file(const struct snapshot *s, str name); /* NULL: none */
MUST err file_sum(struct arena *a, const char *path, uint64_t *ret_size, sha256 *ret);
/* A new synced file; the folder is for the caller to sync.  Gives size and sum of what was copied.
 */
MUST err file_copy(struct arena *a, const char *from, const char *to, uint64_t *ret_size,
                   sha256 *ret);
/* Closes a database that nobody else has open and leaves one file of it, synced. */
MUST err database_seal(struct arena *a, struct db *db, const char *path);
/* Removes a file, its WAL and its shared memory; fine when they are not there. */
MUST err database_unlink(struct arena *a, const char *path);
const char *path_in(struct arena *a, const char *dir, const char *name);
bool watch_step(const struct backup_watch *w, const struct backup_progress *p);
void watch_damage(const struct backup_watch *w, str what, str why);
/* A folder that one command at a time works in. */
MUST err folder_lock(struct arena *a, const char *dir, bool shared, int *ret_fd);
/* Made with a durable name, or there already. */
MUST err folder_make(struct arena *a, const char *dir);
/* Calls fn with the name of each entry but "." and "..". */
MUST err folder_each(struct arena *a, const char *dir, err (*fn)(void *arg, const char *name),
                     void *arg);
extern const struct err_info backup_stopped;

/* --- backup_sweep.c: what no snapshot of `kept` needs goes --- */
MUST err sweep_folders(struct arena *a, const char *dest, const struct manifest *kept);
MUST err sweep_blobs(struct arena *a, const char *dest, const struct manifest *kept,
                     struct blobs *blobs, uint64_t *ret_removed);

/* --- backup_blobs.c: every blob that the rows name --- */
struct blob_job {
    struct db *rows; /* a hearth.db that nobody else uses: damage is written into it */
    struct blobs *from, *to;
    bool verify;   /* read again what `to` has */
    bool sidecars; /* `to` is a data directory */
    bool heal;     /* a damaged row whose blob is good in `to` lives again */
    const struct backup_watch *watch;
    err (*alive)(void *arg); /* asked now and then; may be NULL */
    void *alive_arg;
    /* results */
    struct backup_progress seen;
    uint64_t new_blobs, new_bytes, damaged;
};
MUST err blob_job_run(struct blob_job *j, struct arena *a);
/* The next lines name what cannot be read without this xorb. */
MUST err tell_touched(struct db *rows, int64_t xorb_id, const struct backup_watch *w);
