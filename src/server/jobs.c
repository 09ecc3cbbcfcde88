/* jobs.c — see jobs.h.
 *
 * Quick jobs share one thread, so that counters are flushed every second.  What may take long
 * (SLOW_JOB in jobs.def) has a thread of its own each, and asks goes_on() now and then.
 */
#include "server/jobs.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/settings.h"
#include "store/device_login.h"
#include "store/facets.h"
#include "store/repo.h"
#include "store/session.h"
#include "store/stat.h"
#include "store/task.h"
#include "store/upload.h"
#include "store/xet.h"
#include <stdlib.h>
#include <time.h>

#define SLOW_MAX 8

struct slow_thread {
    struct jobs *jobs;
    const struct slow_job *job;
    pthread_t thread;
};

struct jobs {
    struct store *store;
    pthread_t thread; /* of the quick ones */
    struct slow_thread slow[SLOW_MAX];
    size_t slow_count; /* running */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* guarded by lock */
    int64_t started_ms;
    bool tasks_reset;   /* of the job's own thread */
    struct scrub_pace { /* of the job's own thread */
        double credit;  /* bytes it may read now; below 0: read in advance */
        uint64_t rate;  /* bytes per second */
        int64_t counted_ms, rated_ms;
    } scrub;
};

/* What a slow job asks now and then. */
static bool goes_on(void *arg)
{
    struct jobs *j = arg;
    AUTO_LOCK(&j->lock);

    return !j->stopping;
}

static err job_flush_counters(struct store *s, struct arena *a)
{
    (void)a;
    return stat_flush(s);
}

/* Rows of deleted repositories, a piece at a time. */
static err job_clear_deleted(struct store *s, struct arena *a)
{
    bool more = true;

    for (int pieces = 0; more && pieces < 100; pieces++)
        TRY(repo_clear_next(s, a, &more));
    return OK;
}

static err job_expire_uploads(struct store *s, struct arena *a)
{
    return upload_expire(s, a);
}

static err job_trim_facets(struct store *s, struct arena *a)
{
    (void)a;
    return facets_trim(s);
}

static err job_expire_logins(struct store *s, struct arena *a)
{
    TRY(session_expire(s, a));
    return device_login_expire(s, a);
}

static void log_lie(void *arg, const struct content *lie)
{
    struct arena *a = arena_new(0);
    struct log_field f[] = {{"sha256", sha256_hex(a, lie->sha256)},
                            {"file", file_hash_text(a, lie->hash)}};

    (void)arg;
    log_event(LOG_WARN, "an upload named a SHA-256 that its bytes do not have", 2, f);
    arena_free(a);
}

/* Large contents take minutes: they are read whole. */
static err job_prove_claims(struct jobs *j, struct arena *a)
{
    struct claim_watch w = {.go_on = goes_on, .refuted = log_lie, .arg = j};
    bool more;

    return claim_prove_next(j->store, a, INT64_MAX / 4, &w, &more);
}

static bool watch_goes_on(void *arg, const char *what, uint64_t done)
{
    (void)what, (void)done;
    return goes_on(arg);
}

static bool should_stop(void *arg)
{
    return !goes_on(arg);
}

/* What commands ask for. */
static err job_tasks(struct jobs *j, struct arena *a)
{
    bool any = true;

    if (!j->tasks_reset)
        TRY(task_reset(j->store));
    j->tasks_reset = true;
    while (any && goes_on(j)) {
        TRY(task_run_next(j->store, a, should_stop, j, &any));
        arena_reset(a);
    }
    return OK;
}

#define FIRST_GC_MS (60 * 60 * 1000) /* after the first start of all */

static err job_gc(struct jobs *j, struct arena *a)
{
    struct gc_watch w = {watch_goes_on, j};
    struct gc_state state;
    struct gc_options o;
    struct gc_result r;

    if (settings.gc_hours <= 0)
        return OK;
    TRY(gc_state_read(j->store->hub, &state));
    if (clock_ms() < (state.last_gc_ms ? state.last_gc_ms + settings.gc_hours * 3600000
                                       : j->started_ms + FIRST_GC_MS))
        return OK;
    gc_defaults(&o);
    TRY(gc_run(j->store, a, &o, &w, &r));
    struct log_field f[] = {{"result", gc_result_json(a, &r)}};
    log_event(LOG_INFO, "gc", 1, f);
    return OK;
}

#define RATE_KEPT_MS (10 * 60 * 1000)
#define CREDIT_SECONDS 600 /* a pause earns no more than this */

/* Reads as much as the time since the last call earned, at least one xorb when it earned anything;
 * that is paid back before the next one. */
static err job_scrub(struct jobs *j, struct arena *a)
{
    struct gc_watch w = {watch_goes_on, j};
    struct scrub_pace *p = &j->scrub;
    struct scrub_result r;
    int64_t now = clock_mono_ms();

    if (settings.scrub_days <= 0)
        return OK;
    if (p->rate == 0 || now - p->rated_ms > RATE_KEPT_MS) {
        TRY(scrub_rate(j->store->hub, settings.scrub_days, &p->rate));
        p->rated_ms = now;
    }
    if (p->counted_ms)
        p->credit += (double)p->rate * (double)(now - p->counted_ms) / 1000;
    if (p->credit > (double)p->rate * CREDIT_SECONDS)
        p->credit = (double)p->rate * CREDIT_SECONDS;
    p->counted_ms = now;
    if (p->credit <= 0)
        return OK;
    TRY(scrub_run(j->store, a, (uint64_t)p->credit, &w, &r));
    p->credit -= (double)r.bytes;
    if (r.damaged)
        log_printf(LOG_ERROR, "scrub: %llu damaged, now in quarantine; see hearth fsck",
                   (unsigned long long)r.damaged);
    return OK;
}

static const struct job {
    str name;
    int64_t every_ms;
    err (*run)(struct store *s, struct arena *a);
} table[] = {
#define JOB(name, seconds, fn) {STR_INIT(#name), (seconds)*1000, fn},
#define SLOW_JOB(name, seconds, fn)
#include "server/jobs.def"
#undef JOB
#undef SLOW_JOB
};
#define COUNT (sizeof table / sizeof *table)

static const struct slow_job {
    str name;
    int64_t every_ms;
    err (*run)(struct jobs *j, struct arena *a);
} slow_table[] = {
#define JOB(name, seconds, fn)
#define SLOW_JOB(name, seconds, fn) {STR_INIT(#name), (seconds)*1000, fn},
#include "server/jobs.def"
#undef JOB
#undef SLOW_JOB
};
#define SLOW_COUNT (sizeof slow_table / sizeof *slow_table)
_Static_assert(SLOW_COUNT <= SLOW_MAX, "a thread for each slow job");

/* Ends a run of the job `name`. */
static void report(str name, err e, struct arena *a)
{
    if (e) {
        struct log_field f[] = {
            {"job", name}, {"text", e->text}, {"detail", e->detail}, {"at", str_c(e->at)}};

        log_event(LOG_ERROR, "job failed", 4, f);
    }
    arena_reset(a);
}

static bool sleep_tick(struct jobs *j)
{
    struct timespec until;
    AUTO_LOCK(&j->lock);

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    if (!j->stopping)
        pthread_cond_timedwait(&j->wake, &j->lock, &until);
    return !j->stopping;
}

static void *jobs_main(void *arg)
{
    struct jobs *j = arg;
    struct arena *a = arena_new(0);
    int64_t due[COUNT];

    for (size_t i = 0; i < COUNT; i++)
        due[i] = clock_mono_ms() + 1000;
    while (sleep_tick(j))
        for (size_t i = 0; i < COUNT; i++)
            if (clock_mono_ms() >= due[i]) {
                report(table[i].name, table[i].run(j->store, a), a);
                due[i] = clock_mono_ms() + table[i].every_ms - 50; /* ticks are not exact */
            }
    arena_free(a);
    return NULL;
}

static void *slow_main(void *arg)
{
    struct slow_thread *t = arg;
    struct arena *a = arena_new(0);
    int64_t due = clock_mono_ms() + 1000;

    while (sleep_tick(t->jobs))
        if (clock_mono_ms() >= due) {
            report(t->job->name, t->job->run(t->jobs, a), a);
            due = clock_mono_ms() + t->job->every_ms - 50;
        }
    arena_free(a);
    return NULL;
}

static err start_slow(struct jobs *j, struct arena *a)
{
    for (size_t i = 0; i < SLOW_COUNT; i++) {
        struct slow_thread *t = &j->slow[i];

        *t = (struct slow_thread){.jobs = j, .job = &slow_table[i]};
        if (pthread_create(&t->thread, NULL, slow_main, t) != 0)
            return err_os(a, "pthread_create", "slow job");
        j->slow_count++;
    }
    return OK;
}

err jobs_start(struct store *s, struct arena *a, struct jobs **ret)
{
    struct jobs *j = calloc(1, sizeof *j);
    err e;

    if (!j)
        abort();
    j->store = s;
    j->started_ms = clock_ms();
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->wake, NULL);
    if (pthread_create(&j->thread, NULL, jobs_main, j) != 0) {
        free(j);
        return err_os(a, "pthread_create", "jobs");
    }
    e = start_slow(j, a);
    if (e) {
        jobs_stop(j);
        return e;
    }
    *ret = j;
    return OK;
}

void jobs_stop(struct jobs *j)
{
    if (!j)
        return;
    {
        AUTO_LOCK(&j->lock);
        j->stopping = true;
        pthread_cond_broadcast(&j->wake);
    }
    pthread_join(j->thread, NULL);
    for (size_t i = 0; i < j->slow_count; i++)
        pthread_join(j->slow[i].thread, NULL);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->wake);
    free(j);
}
