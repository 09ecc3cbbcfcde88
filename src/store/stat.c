/* stat.c — see stat.h.
 *
 * A request adds to a small table in memory under a lock; each second the sums go to stats.db in
 * one transaction, and the 30-day and all-time downloads of repositories that changed to hearth.db.
 */
#include "store/stat.h"
#include "base/clock.h"
#include "base/io.h"
#include "store/internal.h"
#include <stdlib.h>
#include <string.h>

#define COUNTERS_MAX 8192 /* distinct (repository, path) between two flushes */
#define RECENT_MAX 16384  /* remembered (address, repository) pairs, a power of two */
#define DOWNLOAD_WINDOW_MS (5 * 60 * 1000)
#define FIRST_MAX 4096 /* remembered (token, content) pairs, a power of two */
#define FIRST_WAYS 4u  /* places where one of them may stand; the oldest gives way */
#define FIRST_WINDOW_MS (60 * 60 * 1000)
#define TOUCHED_MAX 4096 /* a power of two */

struct counter {
    int64_t repo_id, day, requests, downloads, bytes;
    str path;
};

struct recent {
    uint64_t key;
    int64_t at_ms;
};

struct stat_memory {
    pthread_mutex_t lock;
    struct arena *a; /* paths of the counters */
    struct counter *items;
    uint32_t *slots; /* index + 1 into items */
    size_t count;
    struct recent *recent;
    struct recent first[FIRST_MAX];
    int64_t touched_token[TOUCHED_MAX];
    int64_t touched_at[TOUCHED_MAX];
    bool any_touched;
    pthread_mutex_t flush_lock; /* one flush at a time */
};

struct stat_memory *stat_memory_new(void)
{
    struct stat_memory *m = calloc(1, sizeof *m);

    if (!m || !(m->items = calloc(COUNTERS_MAX, sizeof *m->items)) ||
        !(m->slots = calloc(COUNTERS_MAX * 2, sizeof *m->slots)) ||
        !(m->recent = calloc(RECENT_MAX, sizeof *m->recent)))
        abort();
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->flush_lock, NULL);
    m->a = arena_new(0);
    return m;
}

void stat_memory_free(struct stat_memory *m)
{
    if (!m)
        return;
    arena_free(m->a);
    free(m->items);
    free(m->slots);
    free(m->recent);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->flush_lock);
    free(m);
}

/* Does this request count as a download?  hub-api.md 9.4: models by their query files, datasets
 * and Spaces by any file; one per client address, repository and five minutes.  Under the lock. */
static bool is_download(struct stat_memory *m, const struct repo *r, str path, str client,
                        int64_t now)
{
    static const str query_files[] = {STR_INIT("config.json"),
                                      STR_INIT("config.yaml"),
                                      STR_INIT("hyperparams.yaml"),
                                      STR_INIT("params.json"),
                                      STR_INIT("meta.yaml"),
                                      STR_INIT("model_index.json"),
                                      STR_INIT("modular_model_index.json")};
    bool is_query_file = r->kind != REPO_MODEL || str_ends(path, STR(".gguf"));
    uint64_t key = str_hash(client) * 0x9E3779B97F4A7C15ull ^ (uint64_t)r->id;
    struct recent *slot = &m->recent[(key ^ key >> 32) & (RECENT_MAX - 1)];

    for (size_t i = 0; !is_query_file && i < sizeof query_files / sizeof *query_files; i++)
        is_query_file = str_eq(path, query_files[i]);
    if (!is_query_file)
        return false;
    if (slot->key == key && now - slot->at_ms < DOWNLOAD_WINDOW_MS)
        return false;
    *slot = (struct recent){key, now};
    return true;
}

static struct counter *counter_of(struct stat_memory *m, int64_t repo_id, int64_t day, str path)
{
    uint64_t h = str_hash(path) ^ (uint64_t)repo_id * 0x9E3779B97F4A7C15ull;
    size_t slot = (h ^ h >> 29) & (COUNTERS_MAX * 2 - 1);

    for (;; slot = (slot + 1) & (COUNTERS_MAX * 2 - 1)) {
        struct counter *c;

        if (m->slots[slot] == 0)
            break;
        c = &m->items[m->slots[slot] - 1];
        if (c->repo_id == repo_id && c->day == day && str_eq(c->path, path))
            return c;
    }
    if (m->count == COUNTERS_MAX)
        return NULL;
    m->items[m->count] =
        (struct counter){.repo_id = repo_id, .day = day, .path = arena_str(m->a, path)};
    m->slots[slot] = (uint32_t)++m->count;
    return &m->items[m->count - 1];
}

void stat_file(struct store *s, const struct repo *r, str path, str client, uint64_t bytes)
{
    struct stat_memory *m = s->counters;
    int64_t now = clock_ms();

    for (int attempt = 0; attempt < 2; attempt++) {
        {
            AUTO_LOCK(&m->lock);
            struct counter *c = counter_of(m, r->id, clock_day(now), path);

            if (c) {
                c->requests++;
                c->downloads += is_download(m, r, path, client, now);
                c->bytes += (int64_t)bytes;
                return;
            }
        }
        if (stat_flush(s)) /* full: make room; when that fails the count of this request is lost */
            return;
    }
}

bool stat_first(struct store *s, str who, str what)
{
    struct stat_memory *m = s->counters;
    uint64_t key = (str_hash(who) * 0x9E3779B97F4A7C15ull) ^ str_hash(what);
    int64_t now = clock_ms();
    AUTO_LOCK(&m->lock);
    struct recent *set = &m->first[(key ^ key >> 32) & (FIRST_MAX - FIRST_WAYS)], *oldest = set;

    for (unsigned i = 0; i < FIRST_WAYS; i++) {
        if (set[i].key == key && now - set[i].at_ms < FIRST_WINDOW_MS)
            return false;
        if (set[i].at_ms < oldest->at_ms)
            oldest = &set[i];
    }
    *oldest = (struct recent){key, now};
    return true;
}

void token_touch(struct store *s, int64_t id)
{
    struct stat_memory *m = s->counters;
    AUTO_LOCK(&m->lock);
    size_t slot = (size_t)id & (TOUCHED_MAX - 1);

    m->touched_token[slot] = id;
    m->touched_at[slot] = clock_ms();
    m->any_touched = true;
}

/* --- flushing --- */

struct flush_args {
    struct counter *items;
    size_t count;
    int64_t *tokens, *token_at;
    bool any_touched;
};

static err add_repo_day(struct db *tx, const struct counter *c)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO repo_day(repo_id, day, requests, downloads, bytes) "
                     "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(repo_id, day) DO UPDATE SET "
                     "requests = repo_day.requests + excluded.requests, "
                     "downloads = repo_day.downloads + excluded.downloads, "
                     "bytes = repo_day.bytes + excluded.bytes")));
    db_bind_i64(q, 1, c->repo_id);
    db_bind_i64(q, 2, c->day);
    db_bind_i64(q, 3, c->requests);
    db_bind_i64(q, 4, c->downloads);
    db_bind_i64(q, 5, c->bytes);
    return db_run(q);
}

static err add_file_day(struct db *tx, const struct counter *c)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO file_day(repo_id, path, day, requests, downloads) "
                     "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(repo_id, path, day) DO UPDATE SET "
                     "requests = file_day.requests + excluded.requests, "
                     "downloads = file_day.downloads + excluded.downloads")));
    db_bind_i64(q, 1, c->repo_id);
    db_bind_blob(q, 2, c->path);
    db_bind_i64(q, 3, c->day);
    db_bind_i64(q, 4, c->requests);
    db_bind_i64(q, 5, c->downloads);
    return db_run(q);
}

static err add_token_use(struct db *tx, int64_t id, int64_t at)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO token_use(token_id, last_used_at) VALUES (?1, ?2) "
                     "ON CONFLICT(token_id) DO UPDATE SET last_used_at = excluded.last_used_at")));
    db_bind_i64(q, 1, id);
    db_bind_i64(q, 2, at);
    return db_run(q);
}

static err stats_fn(struct db *tx, void *arg)
{
    struct flush_args *f = arg;

    for (size_t i = 0; i < f->count; i++) {
        TRY(add_repo_day(tx, &f->items[i]));
        TRY(add_file_day(tx, &f->items[i]));
    }
    for (size_t i = 0; f->any_touched && i < TOUCHED_MAX; i++)
        if (f->tokens[i])
            TRY(add_token_use(tx, f->tokens[i], f->token_at[i]));
    return OK;
}

static err downloads_fn(struct db *tx, void *arg)
{
    struct flush_args *f = arg;

    for (size_t i = 0; i < f->count; i++) {
        AUTO_STMT struct db_stmt *q = NULL;

        if (f->items[i].downloads == 0)
            continue;
        TRY(db_query(
            tx, &q,
            SQL("UPDATE repo SET downloads = downloads + ?2, downloads_all = downloads_all + ?2, "
                "trending = trending + ?2 WHERE id = ?1")));
        db_bind_i64(q, 1, f->items[i].repo_id);
        db_bind_i64(q, 2, f->items[i].downloads);
        TRY(db_run(q));
    }
    return OK;
}

static void take(struct stat_memory *m, struct arena *a, struct flush_args *f)
{
    AUTO_LOCK(&m->lock);

    f->items = arena_many(a, struct counter, m->count + 1);
    f->count = m->count;
    f->any_touched = m->any_touched;
    for (size_t i = 0; i < m->count; i++) {
        f->items[i] = m->items[i];
        f->items[i].path = arena_str(a, m->items[i].path);
    }
    if (m->any_touched) {
        f->tokens = arena_many(a, int64_t, TOUCHED_MAX);
        f->token_at = arena_many(a, int64_t, TOUCHED_MAX);
        memcpy(f->tokens, m->touched_token, sizeof m->touched_token);
        memcpy(f->token_at, m->touched_at, sizeof m->touched_at);
        memset(m->touched_token, 0, sizeof m->touched_token);
        m->any_touched = false;
    }
    m->count = 0;
    memset(m->slots, 0, COUNTERS_MAX * 2 * sizeof *m->slots);
    arena_reset(m->a);
}

err stat_flush(struct store *s)
{
    struct arena *a = arena_new(0);
    struct flush_args f = {0};
    bool any = false;
    err e = OK;

    {
        AUTO_LOCK(&s->counters->flush_lock);
        take(s->counters, a, &f);
        for (size_t i = 0; i < f.count; i++)
            any = any || f.items[i].downloads > 0;
        if (f.count > 0 || f.any_touched)
            e = db_write(s->stats, stats_fn, &f);
        if (!e && any)
            e = db_write(s->hub, downloads_fn, &f);
    }
    arena_free(a);
    return e;
}

err stat_repo(struct store *s, int64_t repo_id, int64_t since_day, struct stat_sum *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->stats, &q,
                 SQL("SELECT coalesce(sum(requests), 0), coalesce(sum(downloads), 0), "
                     "coalesce(sum(bytes), 0) FROM repo_day WHERE repo_id = ?1 AND day >= ?2")));
    db_bind_i64(q, 1, repo_id);
    db_bind_i64(q, 2, since_day);
    if (!db_next(q))
        return db_error(q);
    *ret = (struct stat_sum){db_i64(q, 0), db_i64(q, 1), db_i64(q, 2)};
    return OK;
}
