/* scrub.c — reads what lies still, so that a disk that forgets is noticed while repair is easy;
 * see gc.h.
 *
 * What waits longest comes first: a xorb that was never read since it was written counts as read at
 * 0, so new ones are soon read back.  Pages that the kernel still has are dropped before, because
 * it is the disk that shall be asked.  A damaged xorb goes into quarantine the way every reader
 * puts it there (xorb.c); a damaged shard too, and its rows go, since they serve only to repair.
 */
#include "base/clock.h"
#include "store/gc.h"
#include "store/xorb.h"
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLICE_MS 250 /* a paced run sleeps so long at a time, to hear that it shall stop */

static const struct sql NEXT =
    SQL_INIT("SELECT id, checked_at, disk_bytes FROM xorb WHERE checked_at < ?1 AND state <> "
             "'damaged' ORDER BY checked_at, id LIMIT 1");
static const struct sql NEXT_SHARD = SQL_INIT("SELECT id, checked_at, size, hash FROM shard WHERE "
                                              "checked_at < ?1 ORDER BY checked_at, id LIMIT 1");
static const struct sql STATE = SQL_INIT("SELECT state FROM xorb WHERE id = ?1");
static const struct sql CHECKED =
    SQL_INIT("UPDATE xorb SET checked_at = ?2 WHERE id = ?1 AND checked_at < ?2");
static const struct sql SHARD_CHECKED =
    SQL_INIT("UPDATE shard SET checked_at = ?2 WHERE id = ?1 AND checked_at < ?2");
static const struct sql SHARD_LEAVE = SQL_INIT("DELETE FROM shard_file WHERE shard_id = ?1");
static const struct sql SHARD_REMOVE = SQL_INIT("DELETE FROM shard WHERE id = ?1");
static const struct sql TOTAL = SQL_INIT("SELECT coalesce(sum(disk_bytes), 0) FROM xorb");

struct item {
    bool is_shard;
    int64_t id, checked_at; /* id 0: none */
    uint64_t bytes;
    chunk_hash hash; /* of a shard */
};

struct scrub {
    struct store *store;
    struct arena *a;
    int64_t started_ms;
    struct scrub_result *result;
    struct item item;
    int64_t now_ms;
    bool damaged;
};

/* --- what is next --- */

static err find(struct scrub *s, bool shard, struct item *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct item){.is_shard = shard};
    TRY(db_query(s->store->hub, &q, shard ? NEXT_SHARD : NEXT));
    db_bind_i64(q, 1, s->started_ms);
    if (!db_next(q))
        return db_error(q);
    ret->id = db_i64(q, 0);
    ret->checked_at = db_i64(q, 1);
    ret->bytes = (uint64_t)db_i64(q, 2);
    if (shard)
        (void)db_hash(q, 3, ret->hash.b, sizeof ret->hash.b);
    return OK;
}

static err find_next(struct scrub *s)
{
    struct item shard;

    TRY(find(s, false, &s->item));
    TRY(find(s, true, &shard));
    if (shard.id && (!s->item.id || shard.checked_at < s->item.checked_at))
        s->item = shard;
    return OK;
}

/* --- xorbs --- */

static void drop_pages(int fd)
{
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* only a hint */
}

static err read_xorb(struct scrub *s)
{
    struct xorb *x;
    err e;

    TRY(xorb_get(s->store, s->a, s->item.id, &x));
    drop_pages(x->fd);
    e = xorb_verify(s->store, s->a, x);
    drop_pages(x->fd);
    xorb_unref(s->store, x);
    return e;
}

/* A row that gc removed meanwhile is no damage. */
static err is_damaged(struct scrub *s, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->store->hub, &q, STATE));
    db_bind_i64(q, 1, s->item.id);
    *ret = db_next(q) && str_eq(db_view(q, 0), STR("damaged"));
    return db_error(q);
}

static err check_xorb(struct scrub *s)
{
    err e = read_xorb(s);

    if (e && e->status == 503)
        e = read_xorb(s); /* its sidecar was made good */
    if (!e || !e->code || strcmp(e->code, data_corrupt.code) != 0)
        return e;
    return is_damaged(s, &s->damaged);
}

/* --- shards --- */

/* Not mapped: a disk that cannot read would end the process. */
static err compare(struct scrub *s, int fd, size_t size)
{
    char *p = malloc(size);
    ssize_t n;

    if (!p)
        return err_internal(s->a, "no memory for a shard of %zu bytes", size);
    drop_pages(fd);
    n = pread_full(fd, p, size, 0);
    drop_pages(fd);
    s->damaged = n != (ssize_t)size || !chunk_hash_eq(chunk_hash_of(p, size), s->item.hash);
    free(p);
    return OK;
}

/* One that gc took meanwhile is not damaged: its row is gone, and SHARD_REMOVE finds nothing. */
static err check_shard(struct scrub *s)
{
    struct blob_key key = {BLOB_SHARD, chunk_hash_text(s->a, s->item.hash), 0};
    AUTO_FD int fd = -1;
    uint64_t size;
    err e = blob_open(s->store->blobs, s->a, key, &fd, &size);

    s->damaged = e && e->code && strcmp(e->code, "BlobMissing") == 0;
    if (s->damaged)
        return OK;
    TRY(e);
    s->damaged = size != s->item.bytes || size == 0;
    if (!s->damaged)
        TRY(compare(s, fd, (size_t)size));
    return s->damaged ? blob_quarantine(s->store->blobs, s->a, key) : OK;
}

/* --- what came of it --- */

static err note_fn(struct db *tx, void *arg)
{
    const struct scrub *s = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    if (s->item.is_shard && s->damaged) {
        TRY(db_query(tx, &q, SHARD_LEAVE));
        db_bind_i64(q, 1, s->item.id);
        TRY(db_run(q));
        db_stmt_close(&q);
        TRY(db_query(tx, &q, SHARD_REMOVE));
        db_bind_i64(q, 1, s->item.id);
        return db_run(q);
    }
    TRY(db_query(tx, &q, s->item.is_shard ? SHARD_CHECKED : CHECKED));
    db_bind_i64(q, 1, s->item.id);
    db_bind_i64(q, 2, s->now_ms);
    return db_run(q);
}

static err check_one(struct scrub *s)
{
    struct arena_mark m = arena_mark(s->a);

    s->damaged = false;
    if (s->item.is_shard)
        TRY(check_shard(s));
    else
        TRY(check_xorb(s));
    s->now_ms = clock_ms();
    if (s->now_ms < s->started_ms)
        s->now_ms = s->started_ms;
    TRY(db_write(s->store->hub, note_fn, s));
    s->result->xorbs += !s->item.is_shard;
    s->result->bytes += s->item.bytes;
    s->result->damaged += s->damaged;
    arena_rewind(s->a, m);
    return OK;
}

static bool goes_on(const struct gc_watch *w, uint64_t xorbs)
{
    return !w || !w->step || w->step(w->arg, "xorbs read", xorbs);
}

/* Whatever was not read since `started_ms`. */
static err run(struct scrub *s, uint64_t bytes, const struct gc_watch *w, bool *ret_more)
{
    uint64_t end = s->result->bytes + bytes;

    *ret_more = false;
    for (bool first = true;; first = false) {
        if (!goes_on(w, s->result->xorbs)) {
            s->result->stopped = true;
            return OK;
        }
        TRY(find_next(s));
        if (!s->item.id)
            return OK;
        if (!first && (s->result->bytes > end || s->item.bytes > end - s->result->bytes)) {
            *ret_more = true;
            return OK;
        }
        TRY(check_one(s));
    }
}

/* Later than the last check of the run before, which may have been in this very millisecond. */
static err begin(struct scrub *s, struct scrub_result *result)
{
    static const struct sql last[] = {
        SQL_INIT("SELECT checked_at FROM xorb ORDER BY checked_at DESC LIMIT 1"),
        SQL_INIT("SELECT checked_at FROM shard ORDER BY checked_at DESC LIMIT 1")};
    int64_t now = clock_ms();

    *result = (struct scrub_result){0};
    s->result = result;
    s->started_ms = now;
    for (size_t i = 0; i < 2; i++) {
        AUTO_STMT struct db_stmt *q = NULL;
        int64_t at;

        TRY(db_query(s->store->hub, &q, last[i]));
        at = db_next(q) ? db_i64(q, 0) : 0;
        TRY(db_error(q));
        if (at >= s->started_ms && at < now + 1000)
            s->started_ms = at + 1;
    }
    return OK;
}

static err note_state(struct scrub *s)
{
    struct gc_state state;

    TRY(gc_state_read(s->store->hub, &state));
    s->result->oldest_check_ms = state.oldest_check_ms;
    return OK;
}

err scrub_run(struct store *s, struct arena *a, uint64_t bytes, const struct gc_watch *w,
              struct scrub_result *ret)
{
    struct scrub x = {.store = s, .a = a};
    bool more;

    TRY(begin(&x, ret));
    TRY(run(&x, bytes, w, &more));
    return note_state(&x);
}

/* Sleeps until so many bytes at this rate would have taken the time since `start_us`. */
static bool pace(uint64_t bytes, uint64_t rate, int64_t start_us, const struct gc_watch *w,
                 uint64_t xorbs)
{
    for (;;) {
        int64_t due = start_us + (int64_t)((double)bytes / (double)rate * 1e6);
        int64_t left_ms = (due - clock_mono_us()) / 1000;
        struct timespec t = {0, SLICE_MS * 1000000};

        if (left_ms <= 0)
            return true;
        if (left_ms < SLICE_MS)
            t.tv_nsec = (long)left_ms * 1000000;
        nanosleep(&t, NULL);
        if (!goes_on(w, xorbs))
            return false;
    }
}

err scrub_all(struct store *s, struct arena *a, uint64_t rate, const struct gc_watch *w,
              struct scrub_result *ret)
{
    struct scrub x = {.store = s, .a = a};
    int64_t start_us = clock_mono_us();
    bool more = true;

    TRY(begin(&x, ret));
    while (more && !ret->stopped) {
        TRY(run(&x, rate ? rate : UINT64_MAX / 2, w, &more));
        if (more && rate && !pace(ret->bytes, rate, start_us, w, ret->xorbs))
            ret->stopped = true;
    }
    return note_state(&x);
}

/* A tenth more than needed, and three times as much when something waits for too long. */
err scrub_rate(struct db *db, int64_t days, uint64_t *ret)
{
    struct gc_state state;
    uint64_t total;

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(db, &q, TOTAL));
        total = db_next(q) ? (uint64_t)db_i64(q, 0) : 0;
        TRY(db_error(q));
    }
    TRY(gc_state_read(db, &state));
    *ret = total / (uint64_t)(days * 86400) / 10 * 11 + 1;
    if (state.oldest_check_ms && clock_ms() - state.oldest_check_ms > days * GC_DAY_MS)
        *ret *= 3;
    return OK;
}
