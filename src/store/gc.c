/* gc.c — drives a run of gc.h; holds; what is known of the last run.
 *
 *   git      repository by repository: objects that no ref reaches, then repo_file rows without a
 *            pointer (gc_git.c)
 *   files    contents that nothing names, then shards that describe none of them (gc_files.c)
 *   compact  small and mostly dead xorbs are packed anew (compact.c)
 *   xorbs    condemned, later removed; blobs without rows (gc_xorbs.c)
 *
 * Each step leaves work for the next one, so one run takes as much as can go at that time.
 */
#include "base/io.h"
#include "store/gc_private.h"
#include "store/xorb.h"
#include <assert.h>

const struct err_info gc_stopped = {503, NULL, STR_INIT("Stopped."), NULL, {0}};
const struct err_info gc_held = {503, NULL, STR_INIT("The blobs are held."), NULL, {0}};

#define LAST_RUN "gc_ended_at"

/* --- what the process shares --- */

struct gc_locks {
    pthread_mutex_t run;  /* one run at a time; taken first of all locks */
    pthread_mutex_t lock; /* of `writers`; a leaf */
    struct gc_writer writers;
};

struct gc_locks *gc_locks_new(void)
{
    struct gc_locks *l = need(calloc(1, sizeof *l));

    pthread_mutex_init(&l->run, NULL);
    pthread_mutex_init(&l->lock, NULL);
    l->writers.next = l->writers.prev = &l->writers;
    return l;
}

void gc_locks_free(struct gc_locks *l)
{
    if (!l)
        return;
    assert(l->writers.next == &l->writers);
    pthread_mutex_destroy(&l->run);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* The time is read under the lock: no writer is older than one that was asked for before it. */
void gc_writer_enter(struct store *s, struct gc_writer *w)
{
    AUTO_LOCK(&s->gc->lock);

    w->started_ms = clock_ms();
    w->next = &s->gc->writers;
    w->prev = s->gc->writers.prev;
    w->prev->next = w->next->prev = w;
}

void gc_writer_leave(struct store *s, struct gc_writer *w)
{
    AUTO_LOCK(&s->gc->lock);

    w->prev->next = w->next;
    w->next->prev = w->prev;
}

int64_t gc_oldest_writer(struct store *s)
{
    int64_t oldest = INT64_MAX;
    AUTO_LOCK(&s->gc->lock);

    for (struct gc_writer *w = s->gc->writers.next; w != &s->gc->writers; w = w->next)
        if (w->started_ms < oldest)
            oldest = w->started_ms;
    return oldest;
}

/* --- statements --- */

err gc_page(struct db *db, struct sql sql, int64_t after, int64_t p2, int64_t p3,
            struct gc_ids *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    ret->count = 0;
    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, after);
    db_bind_i64(q, 2, p2);
    db_bind_i64(q, 3, p3);
    db_bind_i64(q, 4, GC_PAGE);
    while (ret->count < GC_PAGE && db_next(q))
        ret->ids[ret->count++] = db_i64(q, 0);
    return db_error(q);
}

err gc_count(struct db *db, struct sql sql, int64_t p1, int64_t p2, uint64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, p1);
    db_bind_i64(q, 2, p2);
    *ret = db_next(q) ? (uint64_t)db_i64(q, 0) : 0;
    return db_error(q);
}

err gc_exec(struct db *tx, struct sql sql, int64_t p1, int64_t p2, int64_t *ret_changes)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, p1);
    db_bind_i64(q, 2, p2);
    TRY(db_run(q));
    *ret_changes = db_changes(q);
    return OK;
}

/* --- holds --- */

static const struct sql HOLD_ADD =
    SQL_INIT("INSERT INTO gc_hold(id, beat_at) VALUES (?1, ?2) ON CONFLICT(id) DO UPDATE SET "
             "beat_at = excluded.beat_at");
static const struct sql HOLD_BEAT =
    SQL_INIT("UPDATE gc_hold SET beat_at = ?2 WHERE id = ?1 AND beat_at > ?3");
static const struct sql HOLD_REMOVE = SQL_INIT("DELETE FROM gc_hold WHERE id = ?1 OR beat_at < ?2");
static const struct sql HOLD_FIND = SQL_INIT("SELECT 1 FROM gc_hold WHERE beat_at > ?1 LIMIT 1");

struct hold {
    struct sql sql;
    str id;
    int64_t now_ms;
    bool changed;
};

static err hold_fn(struct db *tx, void *arg)
{
    struct hold *h = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, h->sql));
    db_bind_str(q, 1, h->id);
    db_bind_i64(q, 2, h->now_ms);
    if (h->sql.text == HOLD_BEAT.text)
        db_bind_i64(q, 3, h->now_ms - GC_HOLD_DEAD_MS);
    TRY(db_run(q));
    h->changed = db_changes(q) > 0;
    return OK;
}

err gc_hold_take(struct store *s, struct arena *a, str *ret_id)
{
    struct hold h = {HOLD_ADD, random_hex(a, 8), clock_ms(), false};

    TRY(db_write(s->hub, hold_fn, &h));
    *ret_id = h.id;
    return OK;
}

err gc_hold_beat(struct store *s, str id)
{
    static const struct err_info lost = {
        409,
        NULL,
        STR_INIT("The hold on stored data was given up, because nothing was heard of it for too "
                 "long; start again."),
        NULL,
        {0}};
    struct hold h = {HOLD_BEAT, id, clock_ms(), false};

    TRY(db_write(s->hub, hold_fn, &h));
    return h.changed ? OK : &lost;
}

/* Dead ones go with it. */
err gc_hold_release(struct store *s, str id)
{
    struct hold h = {HOLD_REMOVE, id, clock_ms() - GC_HOLD_DEAD_MS, false};

    return db_write(s->hub, hold_fn, &h);
}

err gc_is_held(struct db *db, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, HOLD_FIND));
    db_bind_i64(q, 1, clock_ms() - GC_HOLD_DEAD_MS);
    *ret = db_next(q);
    return db_error(q);
}

err gc_check_hold(struct gc *g)
{
    bool held;

    TRY(gc_is_held(g->store->hub, &held));
    return held ? &gc_held : OK;
}

/* --- a run --- */

err gc_tell(struct gc *g, const char *what, uint64_t done)
{
    if (!g->watch || !g->watch->step || g->watch->step(g->watch->arg, what, done))
        return OK;
    return &gc_stopped;
}

void gc_defaults(struct gc_options *o)
{
    *o = (struct gc_options){
        .git_grace_ms = GC_GIT_GRACE_MS,
        .file_grace_ms = GC_FILE_GRACE_MS,
        .xorb_wait_ms = GC_DAY_MS,
        .compact_age_ms = GC_DAY_MS,
        .orphan_age_ms = GC_DAY_MS,
    };
}

struct fact {
    str name, value;
};

static err fact_fn(struct db *tx, void *arg)
{
    const struct fact *f = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO fact(name, value) VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE "
                     "SET value = excluded.value")));
    db_bind_str(q, 1, f->name);
    db_bind_str(q, 2, f->value);
    return db_run(q);
}

static err note_end(struct gc *g)
{
    struct fact f = {STR(LAST_RUN), arena_printf(g->a, "%lld", (long long)clock_ms())};

    return db_write(g->store->hub, fact_fn, &f);
}

static err run_steps(struct gc *g)
{
    static err (*const steps[])(struct gc *) = {gc_git, gc_files, gc_compact, gc_xorbs};
    const struct gc_options *o = g->options;
    bool all = !o->git && !o->files && !o->compact && !o->xorbs;
    static const char *const names[] = {"repositories marked", "contents removed",
                                        "xorbs packed anew", "xorbs condemned"};
    const bool wanted[] = {all || o->git, all || o->files, all || o->compact, all || o->xorbs};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        err e = wanted[i] ? gc_tell(g, names[i], 0) ?: steps[i](g) : OK;

        if (e == &gc_held)
            g->result->held = true;
        else
            TRY(e);
    }
    return all && !o->dry_run ? note_end(g) : OK;
}

err gc_run(struct store *s, struct arena *a, const struct gc_options *o, const struct gc_watch *w,
           struct gc_result *ret)
{
    struct gc g = {.store = s, .a = a, .options = o, .watch = w, .result = ret};
    err e;

    *ret = (struct gc_result){0};
    AUTO_LOCK(&s->gc->run);
    g.now_ms = clock_ms();
    e = run_steps(&g);
    if (e != &gc_stopped)
        return e;
    ret->stopped = true;
    return OK;
}

/* --- what is known --- */

static err number(struct db *db, struct sql sql, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    *ret = db_next(q) && !db_is_null(q, 0) ? db_i64(q, 0) : 0;
    return db_error(q);
}

static err state_fn(struct db *db, void *arg)
{
    struct gc_state *x = arg;
    int64_t read, fresh, n;

    TRY(number(db, SQL("SELECT CAST(value AS BIGINT) FROM fact WHERE name = '" LAST_RUN "'"),
               &x->last_gc_ms));
    TRY(number(db,
               SQL("SELECT checked_at FROM xorb WHERE checked_at > 0 AND state <> 'damaged' "
                   "ORDER BY checked_at LIMIT 1"),
               &read));
    TRY(number(db,
               SQL("SELECT created_at FROM xorb WHERE checked_at = 0 AND state <> 'damaged' "
                   "ORDER BY id LIMIT 1"),
               &fresh));
    x->oldest_check_ms = read && (!fresh || read < fresh) ? read : fresh;
    TRY(number(db, SQL("SELECT count(*) FROM xorb WHERE state <> 'live' AND state = 'damaged'"),
               &n));
    x->damaged = (uint64_t)n;
    TRY(number(db, SQL("SELECT count(*) FROM xorb WHERE state <> 'live' AND state = 'condemned'"),
               &n));
    x->condemned = (uint64_t)n;
    return OK;
}

err gc_state_read(struct db *db, struct gc_state *ret)
{
    struct gc_state x = {0};

    TRY(db_read(db, state_fn, &x));
    *ret = x;
    return OK;
}
