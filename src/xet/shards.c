/* shards.c — shards come in: POST /v1/shards with one answer, POST /v2/shards with a stream of
 * frames that says how far the check is.
 *
 * The body is spooled into an unlinked file and mapped, so a shard of any size costs no memory.
 * For the stream the work runs on a thread of its own:
 *
 *     handler ── starts ──▶ worker: shard_register() ── done ──▶ wake
 *        │  waits FIRST_MS                  │ progress
 *        ├─ over by then: one plain answer  ▼
 *        └─ else: source ◀── frames ── struct job, under its lock
 *
 * What is wrong with a shard itself shows at once and so gets a plain status.  A frame goes out
 * when something changed, at most each FRAME_MS, and at least each HEARTBEAT_MS.  close() waits for
 * the worker: a registration whose client has gone still ends well.
 */
#include "base/clock.h"
#include "base/io.h"
#include "store/xet.h"
#include "xet/xet.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SHARD_BODY_MAX (256u << 20)
#define READ_BYTES (128u << 10)
#define FIRST_MS 1500
#define FRAME_MS 1000
#define HEARTBEAT_MS 10000
#define STACK_BYTES (1u << 20)

static const struct err_info too_large = {
    413,
    "BadShard",
    STR_INIT("A shard has at most 256 MiB; upload fewer files at once."),
    NULL,
    {0}};
static const struct err_info no_space = {
    404, NULL, STR_INIT("Shards are kept under the prefix \"default\"."), NULL, {0}};

/* --- the body --- */

static err spool_open(struct req *r, int *ret)
{
    const char *path;

    *ret = open(r->store->tmp_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*ret >= 0)
        return OK;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return err_os(r->a, "open", r->store->tmp_dir);
    /* "blob-" is what start-up removes after a crash. */
    path =
        arena_printf(r->a, "%s/blob-shard-%.*s", r->store->tmp_dir, STR_FMT(random_hex(r->a, 16)))
            .ptr;
    *ret = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*ret < 0)
        return err_os(r->a, "open", path);
    unlink(path);
    return OK;
}

static err spool_body(struct req *r, int fd, char *buffer, size_t *ret_len)
{
    size_t len = 0, n;

    for (;;) {
        TRY(http_body_read(r, buffer, READ_BYTES, &n));
        if (n == 0)
            break;
        if (len + n > SHARD_BODY_MAX)
            return &too_large;
        if (write_full(fd, buffer, n) != 0)
            return err_os(r->a, "write", "spooled shard");
        len += n;
    }
    *ret_len = len;
    return OK;
}

/* The body as bytes; release with munmap.  ret->ptr NULL: it was empty. */
static err map_body(struct req *r, str *ret)
{
    AUTO_FD int fd = -1;
    char *buffer;
    size_t len = 0;
    void *p;
    err e;

    if (r->content_length != UINT64_MAX) {
        if (r->content_length > SHARD_BODY_MAX)
            return &too_large;
        TRY(store_disk_check(r->store, r->a, r->content_length));
    }
    TRY(spool_open(r, &fd));
    buffer = malloc(READ_BYTES);
    if (!buffer)
        abort();
    e = spool_body(r, fd, buffer, &len);
    free(buffer);
    TRY(e);
    *ret = STR_NONE;
    if (len == 0)
        return OK;
    p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_os(r->a, "mmap", "spooled shard");
    *ret = (str){p, len};
    return OK;
}

static void unmap_body(str bytes)
{
    /* munmap() does not write. NOLINTNEXTLINE(performance-no-int-to-ptr) */
    if (bytes.ptr && munmap((void *)(uintptr_t)bytes.ptr, bytes.len) != 0)
        abort();
}

static err begin(struct req *r, str *ret)
{
    struct xet_token t;

    TRY(xet_token_check(r, true, &t));
    if (req_param(r, "space").ptr && !xet_space_known(r))
        return &no_space;
    return map_body(r, ret);
}

static int64_t user_id(const struct req *r)
{
    return r->user ? r->user->account.id : 0;
}

/* --- version 1 --- */

err xet_shard_put(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    bool is_new = false;
    str bytes;
    err e;

    TRY(begin(r, &bytes));
    e = shard_register(r->store, r->a, bytes, r->repo, user_id(r), NULL, &is_new);
    unmap_body(bytes);
    TRY(e);
    json_obj(j);
    json_kv_i64(j, "result", is_new);
    json_obj_end(j);
    return reply_json(r, 200, j);
}

/* --- version 2 --- */

struct job {
    struct source source; /* first, so that it is a source */
    struct store *store;
    const struct repo *repo;
    int64_t user_id;
    str bytes;
    struct arena *request_arena;
    struct arena *a; /* the worker's */
    pthread_t thread;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t ended;
    uint64_t verified, total;
    bool is_over, is_changed;
    bool is_abandoned; /* the client has gone */
    err failed;        /* in `a` */
    int64_t sent_ms;
    char text[100]; /* of the last frame */
};

static bool note_step(void *arg, uint64_t verified, uint64_t total)
{
    struct job *job = arg;
    AUTO_LOCK(&job->lock);

    job->verified = verified;
    job->total = total;
    job->is_changed = true;
    return !job->is_abandoned;
}

static void *work(void *arg)
{
    struct job *job = arg;
    struct shard_progress progress = {note_step, job};
    bool is_new;
    err e =
        shard_register(job->store, job->a, job->bytes, job->repo, job->user_id, &progress, &is_new);
    AUTO_LOCK(&job->lock);

    job->failed = e;
    job->is_over = true;
    pthread_cond_signal(&job->ended);
    source_wake(&job->source); /* under the lock: close() needs it before the source goes */
    return NULL;
}

static str error_frame(struct job *job, err e)
{
    struct json_out *j = json_out_new(job->request_arena);

    json_obj(j);
    json_kv_str(j, "type", STR("error"));
    json_kv_str(j, "message", e->text);
    json_kv_bool(j, "retryable", e->status >= 500);
    json_obj_end(j);
    return arena_cat(job->request_arena, json_out_str(j), STR("\n"));
}

/* Under the lock. */
static str frame(struct job *job)
{
    int n;

    if (job->is_over && job->failed)
        return error_frame(job, job->failed);
    if (job->is_over)
        return STR("{\"type\":\"result\"}\n");
    if (job->total > 0 && job->verified == job->total)
        return STR("{\"type\":\"committing\",\"stage\":\"uploading\"}\n");
    n = snprintf(job->text, sizeof job->text,
                 "{\"type\":\"validating\",\"verified\":%llu,\"total\":%llu}\n",
                 (unsigned long long)job->verified, (unsigned long long)job->total);
    return (str){job->text, (size_t)n};
}

static err job_fill(struct source *s, struct source_out *out, enum source_state *ret)
{
    struct job *job = (struct job *)s;
    int64_t now = clock_mono_ms();
    AUTO_LOCK(&job->lock);
    bool due = now - job->sent_ms >= (job->is_changed ? FRAME_MS : HEARTBEAT_MS);

    if (job->is_over || due || job->sent_ms == 0) {
        str text = frame(job);

        source_out_bytes(out, text.ptr, text.len);
        job->sent_ms = now;
        job->is_changed = false;
    }
    s->wake_at_ms = now + FRAME_MS;
    *ret = job->is_over ? SOURCE_END : SOURCE_WAIT;
    return OK;
}

/* Returns what the worker said, in the request's arena. */
static err job_end(struct job *job)
{
    err e;

    pthread_join(job->thread, NULL);
    e = job->failed ? err_copy(job->request_arena, job->failed) : OK;
    unmap_body(job->bytes);
    arena_free(job->a);
    pthread_cond_destroy(&job->ended);
    pthread_mutex_destroy(&job->lock);
    return e;
}

static void job_close(struct source *s)
{
    struct job *job = (struct job *)s;

    pthread_mutex_lock(&job->lock);
    job->is_abandoned = true;
    pthread_mutex_unlock(&job->lock);
    if (job_end(job)) {
        /* the last frame told it */
    }
}

static bool job_over_soon(struct job *job)
{
    struct timespec until;
    AUTO_LOCK(&job->lock);

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FIRST_MS / 1000;
    until.tv_nsec += FIRST_MS % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (!job->is_over)
        if (pthread_cond_timedwait(&job->ended, &job->lock, &until) == ETIMEDOUT)
            break;
    return job->is_over;
}

static err job_start(struct req *r, str bytes, struct job **ret)
{
    struct job *job = arena_one(r->a, struct job);
    pthread_attr_t attr;
    int code;

    *job = (struct job){.source = {.fill = job_fill, .close = job_close},
                        .store = r->store,
                        .repo = r->repo,
                        .user_id = user_id(r),
                        .bytes = bytes,
                        .request_arena = r->a,
                        .a = arena_new(0)};
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->ended, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    code = pthread_create(&job->thread, &attr, work, job);
    pthread_attr_destroy(&attr);
    if (code != 0) {
        arena_free(job->a);
        return err_new(r->a, 503, NULL, "This hub is too busy to check a shard; try again.");
    }
    *ret = job;
    return OK;
}

err xet_shard_put_stream(struct req *r)
{
    struct job *job = NULL;
    str bytes;
    err e;

    TRY(begin(r, &bytes));
    e = job_start(r, bytes, &job);
    if (e) {
        unmap_body(bytes);
        return e;
    }
    reply_header(r, "X-Accel-Buffering", STR("no"));
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_no_gzip(r);
    if (job_over_soon(job)) {
        TRY(job_end(job));
        return reply_bytes(r, 200, "application/x-ndjson", STR("{\"type\":\"result\"}\n"));
    }
    return reply_source(r, 200, "application/x-ndjson", &job->source, REPLY_UNKNOWN);
}
