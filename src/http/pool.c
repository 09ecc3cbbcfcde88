/* pool.c — the elastic pool of blocking workers.
 *
 * Connections queue first in, first out.  An overseer looks every few milliseconds while work
 * waits: when the backlog is longer than what was started since the last look can explain, more
 * workers are started.  So a burst of quick requests starts none, and requests that all block do.
 * A worker that had nothing to do for a while ends; the overseer joins it.
 *
 * Idle workers wake one at a time: whoever finds work waiting signals one (`waking`), and that one
 * signals the next when it takes its piece and more is left.  So a worker that is done before the
 * next has run takes the next piece too.  No wake is lost: `waking` is set under the lock while
 * somebody is idle, and everybody who ceases to be idle clears it and then looks at the queue.
 *
 * Signals are given without the lock.  They never come after pool_stop(): a worker counts until it
 * ends, and a loop closes its connections, which drain waits for, after its pool_submit() returned.
 */
#include "base/clock.h"
#include "http/conn.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10)
#define OVERSEER_MS 4
#define BACKLOG_FACTOR 4 /* looks worth of work that may wait before workers are added */
#define IDLE_WORKER_MS 10000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_FACTOR 8u
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_FACTOR 8u
#endif
#endif
#ifndef STACK_FACTOR
#define STACK_FACTOR 1u
#endif

struct worker {
    pthread_t thread;
    struct pool *pool;
    struct worker *next;
};

struct pool { /* everything: lock */
    pthread_mutex_t lock;
    pthread_cond_t work;  /* the queue is not empty, or stopping */
    pthread_cond_t alarm; /* for the overseer: more work than idle workers, or stopping */
    pthread_cond_t ended; /* count went down */
    struct conn *queue, **queue_end;
    size_t queued;
    unsigned count, idle, min, max;
    bool waking;      /* an idle worker is being signalled and has not run yet: it wakes the next */
    uint64_t started; /* pieces of work taken from the queue */
    bool stopping, watching;
    struct worker *finished; /* to be joined */
    pthread_t overseer;
};

static struct timespec after_ms(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static struct conn *pop(struct pool *p)
{
    struct conn *c = p->queue;

    p->queue = c->queue_next;
    if (!p->queue)
        p->queue_end = &p->queue;
    p->queued--;
    p->started++;
    return c;
}

/* Whether the caller has to signal `work` once it released the lock. */
static bool should_wake(struct pool *p)
{
    if (!p->queue || p->idle == 0 || p->waking)
        return false;
    p->waking = true;
    return true;
}

/* Waits for work with the lock held.  False: this worker should end. */
static bool await_work(struct pool *p)
{
    struct timespec end = after_ms(IDLE_WORKER_MS);

    while (!p->queue) {
        int e;

        if (p->stopping)
            return false;
        p->idle++;
        e = pthread_cond_timedwait(&p->work, &p->lock, &end);
        p->idle--;
        p->waking = false;
        if (e == ETIMEDOUT && !p->queue) {
            if (p->count > p->min)
                return false;
            end = after_ms(IDLE_WORKER_MS);
        }
    }
    return true;
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;

    pthread_mutex_lock(&p->lock);
    while (await_work(p)) {
        struct conn *c = pop(p);
        bool more = should_wake(p);

        pthread_mutex_unlock(&p->lock);
        if (more)
            pthread_cond_signal(&p->work);
        exchange_work(c);
        pthread_mutex_lock(&p->lock);
    }
    p->count--;
    w->next = p->finished;
    p->finished = w;
    pthread_cond_signal(&p->ended);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static int thread_start(pthread_t *t, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    int e;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)STACK_BYTES * STACK_FACTOR);
    e = pthread_create(t, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return e;
}

/* One more worker, with the lock held.  False when the system gives no thread. */
static bool add_worker(struct pool *p)
{
    struct worker *w = calloc(1, sizeof *w);

    if (!w)
        abort();
    w->pool = p;
    if (thread_start(&w->thread, worker_run, w) != 0) {
        free(w);
        return false;
    }
    p->count++;
    return true;
}

/* Joins workers that ended; the lock is released meanwhile. */
static void join_finished(struct pool *p)
{
    struct worker *list = p->finished;

    p->finished = NULL;
    pthread_mutex_unlock(&p->lock);
    while (list) {
        struct worker *w = list;

        list = w->next;
        pthread_join(w->thread, NULL);
        free(w);
    }
    pthread_mutex_lock(&p->lock);
}

/* Adds workers when the backlog does not move. */
static void grow(struct pool *p, uint64_t started_before)
{
    uint64_t moved = p->started - started_before;
    unsigned add = p->count / 4 + 1;

    if (p->queued <= p->idle || p->queued <= moved * BACKLOG_FACTOR)
        return;
    for (; add > 0 && p->count < p->max && add <= p->queued; add--)
        if (!add_worker(p))
            return;
    if (add > p->queued && p->count < p->max)
        add_worker(p);
}

static void *overseer_run(void *arg)
{
    struct pool *p = arg;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        struct timespec next;
        uint64_t before;

        if (p->finished)
            join_finished(p);
        if (p->queued <= p->idle || p->count == p->max) {
            struct timespec rest = after_ms(IDLE_WORKER_MS);

            p->watching = false;
            pthread_cond_timedwait(&p->alarm, &p->lock, &rest);
            p->watching = true;
            continue;
        }
        before = p->started;
        next = after_ms(OVERSEER_MS);
        while (!p->stopping && pthread_cond_timedwait(&p->alarm, &p->lock, &next) != ETIMEDOUT)
            continue;
        if (!p->stopping)
            grow(p, before);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

void pool_submit(struct pool *p, struct conn *c)
{
    bool wake, alarm;

    c->queue_next = NULL;
    pthread_mutex_lock(&p->lock);
    *p->queue_end = c;
    p->queue_end = &c->queue_next;
    p->queued++;
    wake = should_wake(p);
    /* An idle worker that was signalled before counts as idle until it runs. */
    alarm = p->queued > p->idle && !p->watching && p->count < p->max;
    p->watching |= alarm;
    pthread_mutex_unlock(&p->lock);
    if (wake)
        pthread_cond_signal(&p->work);
    if (alarm)
        pthread_cond_signal(&p->alarm);
}

err pool_start(struct arena *a, struct http_server *s, struct pool **ret)
{
    struct pool *p = calloc(1, sizeof *p);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_condattr_t attr;

    if (!p)
        abort();
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->work, &attr);
    pthread_cond_init(&p->alarm, &attr);
    pthread_cond_init(&p->ended, &attr);
    pthread_condattr_destroy(&attr);
    p->queue_end = &p->queue;
    p->max = s->config.workers_max > 0 ? s->config.workers_max : 1;
    p->min = 2 * (unsigned)(cores > 0 ? cores : 1);
    if (p->min > p->max)
        p->min = p->max;
    p->watching = true;
    *ret = p;
    if (thread_start(&p->overseer, overseer_run, p) != 0) {
        p->stopping = true;
        return err_internal(a, "cannot start the overseer thread");
    }
    pthread_mutex_lock(&p->lock);
    while (p->count < p->min && add_worker(p))
        continue;
    pthread_mutex_unlock(&p->lock);
    if (p->count == 0)
        return err_internal(a, "cannot start a worker thread");
    return OK;
}

void pool_stop(struct pool *p)
{
    bool had_overseer;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    had_overseer = !p->stopping;
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_cond_broadcast(&p->alarm);
    pthread_mutex_unlock(&p->lock);
    if (had_overseer)
        pthread_join(p->overseer, NULL);
    pthread_mutex_lock(&p->lock);
    while (p->count > 0)
        pthread_cond_wait(&p->ended, &p->lock);
    join_finished(p);
    assert(!p->queue);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->alarm);
    pthread_cond_destroy(&p->ended);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void pool_counts(struct pool *p, uint64_t *ret_workers, uint64_t *ret_busy)
{
    pthread_mutex_lock(&p->lock);
    *ret_workers = p->count;
    *ret_busy = p->count - p->idle;
    pthread_mutex_unlock(&p->lock);
}
