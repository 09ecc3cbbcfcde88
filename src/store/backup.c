/* backup.c — see backup.h.
 *
 *     hold ▸ hearth.db ▸ git.db ▸ stats.db ▸ blobs ▸ release ▸ sums ▸ manifest ▸ clean up
 *
 * The copies are of different moments, and the order makes them fit: rows of hearth.db refer to
 * git objects and blobs, which were durable before the row and stay while the hold lives; what
 * came later is surplus, and trim() takes away what could be mistaken for something else.
 */
#include "store/backup.h"
#include "base/clock.h"
#include "base/io.h"
#include "store/backup_parts.h"
#include "store/gc.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEAT_SECONDS 10
#define TRIM_ROWS 500 /* git objects per transaction */

struct backup {
    struct store *store;
    struct arena *a;
    const struct backup_options *options;
    const struct backup_watch *watch;
    struct backup_result *result;
    char *dest;          /* absolute */
    const char *folder;  /* of the new snapshot */
    struct manifest old; /* as DEST had it */
    struct snapshot now; /* as it comes into being */
    struct db *copy[STORE_FILES];
    struct blobs *blobs;
    int lock_fd;
    bool is_placed; /* the manifest of DEST may name the new snapshot */
};

/* --- the hold and its heart --- */

struct heart {
    struct store *store;
    str id;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* guarded by lock */
    atomic_bool lost;
};

static const struct err_info hold_lost = {
    409,
    "HoldLost",
    STR_INIT("The hub gave up waiting for this backup (no sign of life for a minute: a stopped "
             "machine, or a clock that jumped), so files may have gone meanwhile; run it again."),
    NULL,
    {0}};

/* True when it is time to end. */
static bool heart_sleep(struct heart *h)
{
    struct timespec until;
    AUTO_LOCK(&h->lock);

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += BEAT_SECONDS;
    if (!h->stopping)
        pthread_cond_timedwait(&h->wake, &h->lock, &until);
    return h->stopping;
}

static void *heart_main(void *arg)
{
    struct heart *h = arg;

    while (!heart_sleep(h)) {
        err e = gc_hold_beat(h->store, h->id);

        if (e && e->status == 409)
            atomic_store(&h->lost, true); /* anything else: the next beat tells */
    }
    return NULL;
}

static err heart_alive(void *arg)
{
    struct heart *h = arg;

    return atomic_load(&h->lost) ? &hold_lost : OK;
}

static err heart_start(struct heart *h, struct arena *a)
{
    pthread_condattr_t attr;

    TRY(gc_hold_take(h->store, a, &h->id));
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&h->thread, NULL, heart_main, h) == 0)
        return OK;
    return gc_hold_release(h->store, h->id) ?: err_os(a, "pthread_create", "heartbeat");
}

/* Ends the hold; fails when it had been lost before. */
static err heart_stop(struct heart *h)
{
    err e;

    {
        AUTO_LOCK(&h->lock);
        h->stopping = true;
        pthread_cond_signal(&h->wake);
    }
    pthread_join(h->thread, NULL);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->wake);
    TRY(heart_alive(h));
    e = gc_hold_beat(h->store, h->id);
    if (e && e->status == 409)
        return &hold_lost;
    TRY(e);
    return gc_hold_release(h->store, h->id);
}

/* --- where it goes --- */

static err stray(void *arg, const char *name)
{
    static const char *const ours[] = {"lock", "tmp", "blob", MANIFEST, MANIFEST_TMP, "lost+found"};
    struct backup *b = arg;

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(name, ours[i]) == 0)
            return OK;
    if (str_starts(str_c(name), STR(SNAPSHOT_PREFIX)))
        return OK;
    return err_new(b->a, 409, NULL,
                   "%s holds something else (%s); name an empty folder or an "
                   "earlier backup.",
                   b->dest, name);
}

static bool is_inside(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Is a snapshot of DEST of this hub, or of the one that this hub was restored from? */
static err check_same_hub(struct backup *b)
{
    AUTO_STMT struct db_stmt *q = NULL;
    str before = STR_NONE;

    TRY(db_query(b->store->hub, &q, SQL("SELECT value FROM fact WHERE name = 'restored_from'")));
    if (db_next(q))
        before = db_str(q, 0, b->a);
    TRY(db_error(q));
    for (size_t i = 0; i < b->old.count; i++)
        if (str_eq(b->old.items[i].store_id, str_c(b->store->id)) ||
            (before.len && str_eq(b->old.items[i].store_id, before)))
            return OK;
    if (b->old.count == 0)
        return OK;
    return err_new(b->a, 409, NULL, "%s holds backups of another hub; give each its own folder.",
                   b->dest);
}

static err open_dest(struct backup *b)
{
    err e;

    TRY(folder_make(b->a, b->options->dest));
    b->dest = realpath(b->options->dest, NULL);
    if (!b->dest)
        return err_os(b->a, "realpath", b->options->dest);
    if (is_inside(b->dest, b->store->dir) || is_inside(b->store->dir, b->dest))
        return err_new(b->a, 409, NULL,
                       "%s is inside the data directory, or around it; a backup belongs elsewhere, "
                       "best on another disk.",
                       b->dest);
    TRY(folder_each(b->a, b->dest, stray, b));
    TRY(folder_lock(b->a, b->dest, false, &b->lock_fd));
    e = manifest_read(b->a, b->dest, &b->old);
    if (e && e->status != 404)
        return e;
    if (e)
        b->old = (struct manifest){arena_one(b->a, struct snapshot), 0};
    TRY(check_same_hub(b));
    TRY(blobs_open(b->a, b->dest, true, &b->blobs));
    return dir_sync(b->a, b->dest);
}

/* --- what nobody names goes --- */

/* The backup is made; what fails here is told and tried again by the next one. */
static void clean_up(struct backup *b, const struct manifest *kept)
{
    err e = sweep_folders(b->a, b->dest, kept);

    if (!e)
        e = sweep_blobs(b->a, b->dest, kept, b->blobs, &b->result->removed_blobs);
    if (e)
        watch_damage(
            b->watch, STR("what older snapshots left"),
            arena_cat(b->a, STR("it could not be removed: "), e->text, STR(" "), e->detail));
}

/* --- the databases --- */

static struct db *live(const struct backup *b, enum store_file f)
{
    return f == STORE_HUB ? b->store->hub : f == STORE_GIT ? b->store->git : b->store->stats;
}

static const char *copy_path(struct backup *b, enum store_file f)
{
    return path_in(b->a, b->folder, store_file_name[f]);
}

static err make_folder(struct backup *b)
{
    for (int64_t ms = b->now.started_at_ms;; ms++) {
        str iso = clock_iso(b->a, ms); /* 2026-11-23T16:20:23.000Z */
        const char *p = iso.ptr;

        b->now.name = arena_printf(b->a, SNAPSHOT_PREFIX "%.4s%.2s%.2s-%.2s%.2s%.2s.%.3s", p, p + 5,
                                   p + 8, p + 11, p + 14, p + 17, p + 20);
        b->folder = path_in(b->a, b->dest, b->now.name.ptr);
        if (mkdir(b->folder, 0700) == 0)
            return dir_sync(b->a, b->dest);
        if (errno != EEXIST)
            return err_os(b->a, "mkdir", b->folder);
    }
}

/* In this order: what a file refers to is copied after it. */
static err copy_databases(struct backup *b)
{
    static const enum store_file order[] = {STORE_HUB, STORE_GIT, STORE_STATS};

    for (size_t i = 0; i < STORE_FILES; i++) {
        struct backup_progress p = {.what = store_file_name[order[i]]};
        struct db_config c = {.path = copy_path(b, order[i]), .readers = 1};

        if (!watch_step(b->watch, &p))
            return &backup_stopped;
        TRY(db_copy_into(live(b, order[i]), b->a, c.path));
        TRY(store_file_open(b->a, order[i], c, &b->copy[order[i]]));
    }
    return OK;
}

static err run_i64(struct db *tx, struct sql sql, int64_t n, int64_t *ret_changes)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, n);
    TRY(db_run(q));
    *ret_changes = db_changes(q);
    return OK;
}

static err get_i64(struct db *db, struct sql sql, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    *ret = db_next(q) ? db_i64(q, 0) : 0;
    return db_error(q);
}

/* Uploads begin anew (their bytes are not copied); holds and tasks were of that moment. */
static err trim_hub(struct db *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, SQL("DELETE FROM upload_part")));
    TRY(db_exec(tx, SQL("DELETE FROM upload")));
    TRY(db_exec(tx, SQL("DELETE FROM gc_hold")));
    return db_exec(tx, SQL("DELETE FROM task"));
}

struct trim {
    int64_t last_repo, last_token, changes;
};

/* Objects of repositories that were made after hearth.db was copied: their number will be given to
 * another repository, which must not find them. */
static err trim_git(struct db *tx, void *arg)
{
    struct trim *t = arg;

    TRY(run_i64(tx,
                SQL("DELETE FROM object_part WHERE object_id IN (SELECT id FROM object WHERE "
                    "repo_id > ?1 ORDER BY repo_id, oid LIMIT " ERR_STR(TRIM_ROWS) ")"),
                t->last_repo, &t->changes));
    return run_i64(tx,
                   SQL("DELETE FROM object WHERE id IN (SELECT id FROM object WHERE repo_id > ?1 "
                       "ORDER BY repo_id, oid LIMIT " ERR_STR(TRIM_ROWS) ")"),
                   t->last_repo, &t->changes);
}

static err trim_stats(struct db *tx, void *arg)
{
    struct trim *t = arg;

    TRY(run_i64(tx, SQL("DELETE FROM repo_day WHERE repo_id > ?1"), t->last_repo, &t->changes));
    TRY(run_i64(tx, SQL("DELETE FROM file_day WHERE repo_id > ?1"), t->last_repo, &t->changes));
    return run_i64(tx, SQL("DELETE FROM token_use WHERE token_id > ?1"), t->last_token,
                   &t->changes);
}

static err trim(struct backup *b)
{
    struct trim t = {0};

    TRY(get_i64(b->copy[STORE_HUB], SQL("SELECT coalesce(max(id), 0) FROM repo"), &t.last_repo));
    TRY(get_i64(b->copy[STORE_HUB], SQL("SELECT coalesce(max(id), 0) FROM token"), &t.last_token));
    TRY(db_write(b->copy[STORE_HUB], trim_hub, NULL));
    do
        TRY(db_write(b->copy[STORE_GIT], trim_git, &t));
    while (t.changes > 0);
    return db_write(b->copy[STORE_STATS], trim_stats, &t);
}

static err count_rows(struct backup *b)
{
    struct db *db = b->copy[STORE_HUB];
    int64_t accounts, repos, contents, xorbs, shards;

    TRY(get_i64(db, SQL("SELECT count(*) FROM account"), &accounts));
    TRY(get_i64(db, SQL("SELECT count(*) FROM repo WHERE state = 'live'"), &repos));
    TRY(get_i64(db, SQL("SELECT count(*) FROM file"), &contents));
    TRY(get_i64(db, SQL("SELECT count(*) FROM xorb"), &xorbs));
    TRY(get_i64(db, SQL("SELECT count(*) FROM shard"), &shards));
    b->now.accounts = (uint64_t)accounts;
    b->now.repos = (uint64_t)repos;
    b->now.contents = (uint64_t)contents;
    b->now.xorbs = (uint64_t)xorbs;
    b->now.shards = (uint64_t)shards;
    return OK;
}

/* --- everything under the hold --- */

static err copy_blobs(struct backup *b, struct heart *h)
{
    struct blob_job j = {
        .rows = b->copy[STORE_HUB],
        .from = b->store->blobs,
        .to = b->blobs,
        .verify = b->options->verify,
        .heal = true,
        .watch = b->watch,
        .alive = heart_alive,
        .alive_arg = h,
    };

    TRY(blob_job_run(&j, b->a));
    b->result->blobs = j.seen.blobs;
    b->result->bytes = b->now.blob_bytes = j.seen.bytes;
    b->result->new_blobs = j.new_blobs;
    b->result->new_bytes = j.new_bytes;
    b->result->damaged += j.damaged;
    b->now.damaged = j.damaged;
    return OK;
}

static err copy_all(struct backup *b, struct heart *h)
{
    TRY(make_folder(b));
    TRY(copy_databases(b));
    TRY(trim(b));
    TRY(count_rows(b));
    return copy_blobs(b, h);
}

static err copy_held(struct backup *b)
{
    struct heart h = {.store = b->store};
    err e, ended;

    TRY(heart_start(&h, b->a));
    e = copy_all(b, &h);
    ended = heart_stop(&h);
    return e ?: ended;
}

/* --- the end --- */

static err note_file(struct backup *b, const char *name)
{
    struct backup_file *f = &b->now.files[b->now.file_count++];

    f->name = str_c(name);
    TRY(file_sum(b->a, path_in(b->a, b->folder, name), &f->size, &f->sum));
    b->result->database_bytes += f->size;
    return OK;
}

static err seal_files(struct backup *b)
{
    const char *conf = path_in(b->a, b->store->dir, CONF);
    uint64_t size;
    sha256 sum;

    for (int f = 0; f < STORE_FILES; f++) {
        struct db *db = b->copy[f];

        b->copy[f] = NULL;
        TRY(database_seal(b->a, db, copy_path(b, (enum store_file)f)));
        TRY(note_file(b, store_file_name[f]));
    }
    if (access(conf, F_OK) == 0) {
        TRY(file_copy(b->a, conf, path_in(b->a, b->folder, CONF), &size, &sum));
        TRY(note_file(b, CONF));
    }
    return dir_sync(b->a, b->folder);
}

/* The sums of the older snapshots' files, when everything is to be read again. */
static err verify_files(struct backup *b, const struct manifest *kept)
{
    for (size_t i = 1; i < kept->count; i++)
        for (size_t k = 0; k < kept->items[i].file_count; k++) {
            const struct backup_file *f = &kept->items[i].files[k];
            str name = arena_cat(b->a, kept->items[i].name, STR("/"), f->name);
            uint64_t size = 0;
            sha256 sum = {{0}};
            err e = file_sum(b->a, path_in(b->a, b->dest, name.ptr), &size, &sum);

            if (!e && size == f->size && sha256_eq(sum, f->sum))
                continue;
            b->result->damaged++;
            watch_damage(b->watch, name,
                         STR("it is not what the manifest says: this snapshot cannot be restored"));
        }
    return OK;
}

/* The new one in front of as many old ones as are kept. */
static struct manifest with_new(struct backup *b)
{
    size_t old = b->old.count < b->options->keep ? b->old.count : b->options->keep;
    struct manifest m = {arena_many(b->a, struct snapshot, old + 1), old + 1};

    m.items[0] = b->now;
    memcpy(m.items + 1, b->old.items, old * sizeof *m.items);
    b->result->removed_snapshots = b->old.count - old;
    return m;
}

static err run(struct backup *b)
{
    struct manifest kept;

    TRY(open_dest(b));
    TRY(sweep_folders(b->a, b->dest, &b->old));
    TRY(copy_held(b));
    TRY(seal_files(b));
    b->now.finished_at_ms = clock_ms();
    kept = with_new(b);
    TRY(manifest_write(b->a, b->folder, &kept));
    b->is_placed = true;
    TRY(manifest_write(b->a, b->dest, &kept));
    b->result->snapshot = b->now.name;
    if (b->options->verify)
        TRY(verify_files(b, &kept));
    clean_up(b, &kept);
    return OK;
}

err backup_run(struct store *s, struct arena *a, const struct backup_options *o,
               const struct backup_watch *w, struct backup_result *ret)
{
    struct backup b = {.store = s, .a = a, .options = o, .watch = w, .result = ret, .lock_fd = -1};
    err e;

    *ret = (struct backup_result){0};
    if (o->keep > BACKUP_KEEP_MAX)
        return err_new(a, 400, NULL, "At most %d earlier snapshots can be kept.", BACKUP_KEEP_MAX);
    b.now = (struct snapshot){
        .store_id = str_c(s->id), .program = str_c(o->program), .started_at_ms = clock_ms()};
    e = run(&b);
    for (int f = 0; f < STORE_FILES; f++)
        db_close(b.copy[f]);
    if (e && b.folder && !b.is_placed && sweep_folders(a, b.dest, &b.old)) {
        /* the next run removes it */
    }
    blobs_close(b.blobs);
    free(b.dest);
    fd_close(&b.lock_fd);
    return e;
}
