/* restore.c — see backup.h.
 *
 *     lock ▸ RESTORING ▸ databases into tmp/, summed ▸ new id ▸ blobs, checked ▸ databases to their
 *     names ▸ RESTORING away
 *
 * DATA/lock keeps servers out, DATA/RESTORING everything else (store.c).  Blobs have names only
 * when they are whole, so a restore that broke off goes on with those it has.
 */
#include "base/clock.h"
#include "base/io.h"
#include "store/backup.h"
#include "store/backup_parts.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct restore {
    struct arena *a;
    const struct restore_options *options;
    const struct backup_watch *watch;
    struct restore_result *result;
    struct manifest manifest;
    const struct snapshot *snapshot;
    const char *folder; /* of the snapshot */
    const char *data, *tmp;
    struct db *hub;
    struct blobs *from, *to;
    int src_lock, data_lock;
};

/* --- what to restore --- */

static err choose(struct restore *r)
{
    const char *name = r->options->snapshot;

    TRY(manifest_read(r->a, r->options->src, &r->manifest));
    for (size_t i = 0; i < r->manifest.count && !r->snapshot; i++)
        if (!name || str_eq(r->manifest.items[i].name, str_c(name)))
            r->snapshot = &r->manifest.items[i];
    if (!r->snapshot)
        return err_new(r->a, 404, NULL,
                       "%s has no snapshot \"%s\"; hearth restore %s --list shows them.",
                       r->options->src, name, r->options->src);
    r->folder = path_in(r->a, r->options->src, str_z(r->a, r->snapshot->name));
    return OK;
}

/* --- where to --- */

static err only_ours(void *arg, const char *name)
{
    struct restore *r = arg;

    if (strcmp(name, "lock") == 0)
        return OK;
    return err_new(r->a, 409, NULL, "%s is not empty (%s); restore into an empty or absent folder.",
                   r->data, name);
}

static err write_marker(struct restore *r, const char *path)
{
    str text = arena_cat(r->a, STR("hearth restore of "), r->snapshot->name,
                         STR(" has not ended: this folder is no data directory yet.\n"));
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_os(r->a, "open", path);
    if (write_full(fd, text.ptr, text.len) != 0 || fsync(fd) != 0)
        return err_os(r->a, "write", path);
    return dir_sync(r->a, r->data);
}

static err open_data(struct restore *r)
{
    const char *marker;
    char *real;

    TRY(folder_make(r->a, r->options->data));
    real = realpath(r->options->data, NULL);
    if (!real)
        return err_os(r->a, "realpath", r->options->data);
    r->data = arena_str(r->a, str_c(real)).ptr;
    free(real);
    r->tmp = path_in(r->a, r->data, "tmp");
    marker = path_in(r->a, r->data, STORE_RESTORING);
    TRY(folder_lock(r->a, r->data, false, &r->data_lock));
    if (access(marker, F_OK) != 0)
        TRY(folder_each(r->a, r->data, only_ours, r));
    TRY(write_marker(r, marker));
    TRY(dir_make(r->a, r->tmp));
    return dir_make(r->a, path_in(r->a, r->data, "upload"));
}

/* --- the databases --- */

static const char *name_of(int i)
{
    return i < STORE_FILES ? store_file_name[i] : CONF;
}

/* What an earlier attempt may have left; an old WAL beside a new file would be poison. */
static err remove_old(struct restore *r)
{
    for (int i = 0; i <= STORE_FILES; i++) {
        TRY(database_unlink(r->a, path_in(r->a, r->data, name_of(i))));
        TRY(database_unlink(r->a, path_in(r->a, r->tmp, name_of(i))));
    }
    TRY(dir_sync(r->a, r->tmp));
    return dir_sync(r->a, r->data);
}

static err fetch_file(struct restore *r, const struct backup_file *f)
{
    struct backup_progress p = {.what = str_z(r->a, f->name)};
    const char *from = path_in(r->a, r->folder, p.what);
    uint64_t size;
    sha256 sum;

    if (!watch_step(r->watch, &p))
        return &backup_stopped;
    TRY(file_copy(r->a, from, path_in(r->a, r->tmp, p.what), &size, &sum));
    if (size == f->size && sha256_eq(sum, f->sum))
        return OK;
    return err_new(r->a, 500, "DataCorrupt",
                   "%s is damaged: it is not what the manifest says; restore another snapshot "
                   "(hearth restore %s --list).",
                   from, r->options->src);
}

static err fetch_files(struct restore *r)
{
    for (int i = 0; i <= STORE_FILES; i++) {
        const struct backup_file *f = snapshot_file(r->snapshot, str_c(name_of(i)));

        if (f) /* a hub may have no hearth.conf */
            TRY(fetch_file(r, f));
    }
    return OK;
}

static err set_fact(struct db *tx, str name, str value)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO fact(name, value) VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE "
                     "SET value = excluded.value")));
    db_bind_str(q, 1, name);
    db_bind_str(q, 2, value);
    return db_run(q);
}

/* Clients remember by the store's id which xorbs it has: this one may lack some of them. */
static err renew_id(struct db *tx, void *arg)
{
    struct restore *r = arg;

    TRY(set_fact(tx, STR("store_id"), r->result->store_id));
    return set_fact(tx, STR("restored_from"), r->snapshot->store_id);
}

static err open_hub(struct restore *r)
{
    struct db_config c = {.path = path_in(r->a, r->tmp, store_file_name[STORE_HUB]), .readers = 1};

    TRY(store_file_open(r->a, STORE_HUB, c, &r->hub));
    r->result->store_id = str_from(store_oid24(r->a), 8);
    return db_write(r->hub, renew_id, r);
}

/* --- the blobs --- */

static err fetch_blobs(struct restore *r)
{
    struct blob_job j = {.sidecars = true, .watch = r->watch, .rows = r->hub};
    struct arena *a = r->a;

    TRY(blobs_open(a, r->options->src, false, &r->from));
    TRY(blobs_open(a, r->data, true, &r->to));
    j.from = r->from;
    j.to = r->to;
    TRY(blob_job_run(&j, a));
    r->result->blobs = j.seen.blobs;
    r->result->bytes = j.seen.bytes;
    r->result->damaged = j.damaged;
    return OK;
}

/* --- the end --- */

static err place(struct restore *r, const char *name)
{
    const char *path = path_in(r->a, r->data, name);

    if (!snapshot_file(r->snapshot, str_c(name)))
        return OK; /* no hearth.conf */
    return rename(path_in(r->a, r->tmp, name), path) ? err_os(r->a, "rename", path) : OK;
}

static err finish(struct restore *r)
{
    struct db *hub = r->hub;
    const char *marker = path_in(r->a, r->data, STORE_RESTORING);

    r->hub = NULL;
    TRY(database_seal(r->a, hub, path_in(r->a, r->tmp, store_file_name[STORE_HUB])));
    for (int i = STORE_FILES; i >= 0; i--)
        TRY(place(r, name_of(i)));
    TRY(dir_sync(r->a, r->tmp));
    TRY(dir_sync(r->a, r->data));
    if (unlink(marker) != 0)
        return err_os(r->a, "unlink", marker);
    return dir_sync(r->a, r->data);
}

static err run(struct restore *r)
{
    TRY(folder_lock(r->a, r->options->src, true, &r->src_lock));
    TRY(choose(r));
    TRY(open_data(r));
    TRY(remove_old(r));
    TRY(fetch_files(r));
    TRY(open_hub(r));
    TRY(fetch_blobs(r));
    TRY(finish(r));
    r->result->snapshot = r->snapshot->name;
    r->result->taken_at_ms = r->snapshot->started_at_ms;
    return OK;
}

err restore_run(struct arena *a, const struct restore_options *o, const struct backup_watch *w,
                struct restore_result *ret)
{
    struct restore r = {
        .a = a, .options = o, .watch = w, .result = ret, .src_lock = -1, .data_lock = -1};
    err e;

    *ret = (struct restore_result){0};
    e = run(&r);
    db_close(r.hub);
    blobs_close(r.from);
    blobs_close(r.to);
    fd_close(&r.src_lock);
    fd_close(&r.data_lock);
    return e;
}
