/* jobs.c — see jobs.h. */
#include "server/jobs.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "store/device_login.h"
#include "store/facets.h"
#include "store/repo.h"
#include "store/session.h"
#include "store/stat.h"
#include "store/upload.h"
#include <stdlib.h>
#include <time.h>

struct jobs {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
};

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

static const struct job {
    str name;
    int64_t every_ms;
    err (*run)(struct store *s, struct arena *a);
} table[] = {
#define JOB(name, seconds, fn) {STR_INIT(#name), (seconds)*1000, fn},
#include "server/jobs.def"
#undef JOB
};
#define COUNT (sizeof table / sizeof *table)

static void run(const struct job *job, struct store *s, struct arena *a)
{
    err e = job->run(s, a);

    if (e) {
        struct log_field f[] = {
            {"job", job->name}, {"text", e->text}, {"detail", e->detail}, {"at", str_c(e->at)}};

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
                run(&table[i], j->store, a);
                due[i] = clock_mono_ms() + table[i].every_ms - 50; /* ticks are not exact */
            }
    arena_free(a);
    return NULL;
}

err jobs_start(struct store *s, struct arena *a, struct jobs **ret)
{
    struct jobs *j = calloc(1, sizeof *j);

    if (!j)
        abort();
    j->store = s;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->wake, NULL);
    if (pthread_create(&j->thread, NULL, jobs_main, j) != 0) {
        free(j);
        return err_os(a, "pthread_create", "jobs");
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
        pthread_cond_signal(&j->wake);
    }
    pthread_join(j->thread, NULL);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->wake);
    free(j);
}
