/* store.c — opening and closing DATA. */
#include "store/store.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "blob/blob.h"
#include "store/internal.h"
#include "store/migrations_git.h"
#include "store/migrations_hearth.h"
#include "store/migrations_stats.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define GIT_PAGE_BYTES 16384

const char *const store_file_name[STORE_FILES] = {"hearth.db", "git.db", "stats.db"};

static const struct embedded *migrations_of(enum store_file f, unsigned long *ret_count)
{
    switch (f) {
    case STORE_GIT:
        *ret_count = migrations_git_count;
        return migrations_git;
    case STORE_STATS:
        *ret_count = migrations_stats_count;
        return migrations_stats;
    default:
        *ret_count = migrations_hearth_count;
        return migrations_hearth;
    }
}

err store_file_open(struct arena *a, enum store_file f, struct db_config c, struct db **ret)
{
    const struct embedded *files = migrations_of(f, &c.migration_count);
    struct db_migration *m = arena_many(a, struct db_migration, c.migration_count);

    for (size_t i = 0; i < c.migration_count; i++)
        m[i] = (struct db_migration){(int)i + 1, files[i].bytes};
    c.migrations = m;
    c.page_size = f == STORE_GIT ? GIT_PAGE_BYTES : 0;
    return db_open(a, &c, ret);
}

static err open_one(struct store *s, struct arena *a, enum store_file f, struct db **ret)
{
    struct db_config c = {
        .path = arena_printf(a, "%s/%s", s->dir, store_file_name[f]).ptr,
        .shared = !s->config.server,
        .grouping_off = s->config.grouping_off,
        .sync_delay_ms = s->config.sync_delay_ms,
    };

    return store_file_open(a, f, c, ret);
}

/* A second serve on the same directory refuses; the lock goes with the process. */
static err take_lock(struct store *s, struct arena *a)
{
    str path = arena_printf(a, "%s/lock", s->dir);

    s->lock_fd = open(path.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return err_os(a, "open", path.ptr);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return OK;
    if (errno != EWOULDBLOCK)
        return err_os(a, "flock", path.ptr);
    return err_new(a, 409, "DataLocked",
                   "Another hearth already serves %s; stop it first, or give this one its own "
                   "directory with --data DIR.",
                   s->dir);
}

/* A restore that has not ended; whoever began it goes on or gives it up. */
static err refuse_half(struct store *s, struct arena *a)
{
    if (access(arena_printf(a, "%s/%s", s->dir, STORE_RESTORING).ptr, F_OK) != 0)
        return OK;
    return err_new(
        a, 409, "DataRestoring",
        "%s is being restored, or a restore broke off there; run hearth restore again to "
        "finish it, or empty the folder.",
        s->dir);
}

static void empty_dir(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
}

static err read_id(struct store *s, struct arena *a)
{
    str id = store_oid24(a);

    TRY(store_fact(s->hub, a, STR("store_id"), str_from(id, 8), &id));
    memcpy(s->id, id.ptr, id.len < sizeof s->id ? id.len : sizeof s->id - 1);
    return OK;
}

static err open_all(struct store *s, struct arena *a)
{
    TRY(dir_make(a, s->dir));
    if (s->config.server)
        TRY(take_lock(s, a));
    TRY(refuse_half(s, a));
    TRY(dir_make(a, s->tmp_dir));
    TRY(dir_make(a, s->upload_dir));
    if (s->config.server)
        empty_dir(s->tmp_dir);
    TRY(open_one(s, a, STORE_GIT, &s->git));
    TRY(open_one(s, a, STORE_HUB, &s->hub));
    TRY(open_one(s, a, STORE_STATS, &s->stats));
    TRY(read_id(s, a));
    TRY(blobs_open(a, s->dir, s->config.server, &s->blobs));
    TRY(dir_sync(a, s->dir));
    s->commit_locks = commit_locks_new();
    s->counters = stat_memory_new();
    s->proofs = object_proofs_new();
    s->xorbs = xorb_cache_new();
    s->keys = sign_keys_new();
    s->uploads = upload_runs_new();
    s->names = names_new();
    s->facets = facets_new();
    s->gc = gc_locks_new();
    return OK;
}

err store_open(struct arena *a, const struct store_config *c, struct store **ret)
{
    struct store *s;
    char *real;
    err e;

    TRY(dir_make(a, c->data_dir));
    s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->config = *c;
    s->lock_fd = -1;
    real = realpath(c->data_dir, NULL);
    if (!real) {
        free(s);
        return err_os(a, "realpath", c->data_dir);
    }
    s->dir = real;
    s->upload_dir = strdup(arena_printf(a, "%s/upload", real).ptr);
    s->tmp_dir = strdup(arena_printf(a, "%s/tmp", real).ptr);
    e = open_all(s, a);
    if (e) {
        store_close(s);
        return e;
    }
    *ret = s;
    return OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->counters && s->stats && stat_flush(s)) {
        /* counters of the last second: documented as what may be lost */
    }
    facets_free(s->facets);
    names_free(s->names);
    gc_locks_free(s->gc);
    upload_runs_free(s->uploads);
    sign_keys_free(s->keys);
    object_proofs_free(s->proofs);
    xorb_cache_free(s->xorbs);
    stat_memory_free(s->counters);
    commit_locks_free(s->commit_locks);
    blobs_close(s->blobs);
    db_close(s->stats);
    db_close(s->hub);
    db_close(s->git);
    fd_close(&s->lock_fd);
    free(s->upload_dir);
    free(s->tmp_dir);
    free(s->dir);
    free(s);
}

err store_disk_check(struct store *s, struct arena *a, uint64_t bytes)
{
    struct statvfs v;
    uint64_t available, reserve;

    if (statvfs(s->dir, &v) != 0)
        return err_os(a, "statvfs", s->dir);
    available = (uint64_t)v.f_bavail * v.f_frsize;
    reserve = (uint64_t)v.f_blocks * v.f_frsize / 100 * s->config.disk_reserve_percent;
    return available < reserve || available - reserve < bytes ? &err_no_space : OK;
}

str store_oid24(struct arena *a)
{
    unsigned char b[12];
    uint32_t seconds = (uint32_t)(clock_ms() / 1000);

    for (int i = 0; i < 4; i++)
        b[i] = (unsigned char)(seconds >> (24 - 8 * i));
    random_bytes(b + 4, 8);
    return hex_encode(a, b, sizeof b);
}

struct fact_args {
    struct arena *a;
    str name, fallback, value;
};

static err fact_fn(struct db *tx, void *arg)
{
    struct fact_args *f = arg;

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q,
                     SQL("INSERT INTO fact(name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")));
        db_bind_str(q, 1, f->name);
        db_bind_str(q, 2, f->fallback);
        TRY(db_run(q));
    }
    AUTO_STMT struct db_stmt *q = NULL;
    TRY(db_query(tx, &q, SQL("SELECT value FROM fact WHERE name = ?1")));
    db_bind_str(q, 1, f->name);
    if (!db_next(q))
        return db_error(q);
    f->value = db_str(q, 0, f->a);
    return OK;
}

err store_fact(struct db *db, struct arena *a, str name, str fallback, str *ret)
{
    struct fact_args f = {a, name, fallback, STR_NONE};

    TRY(db_write(db, fact_fn, &f));
    *ret = f.value;
    return OK;
}
