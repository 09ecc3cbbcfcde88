/* metrics.c — see metrics.h.
 *
 * Counts by route are atomics, one slot per route of the table and one for requests that met none.
 * They are for this machine's monitoring and for site admins; for all others there is nothing here.
 */
#include "server/metrics.h"
#include "auth/auth.h"
#include "base/clock.h"
#include "base/io.h"
#include "http/server.h"
#include "server/answer.h"
#include "server/origin.h"
#include "server/routes.h"
#include "store/gc.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#define CLASSES 6 /* of a status: 0 nothing was answered, 1xx … 5xx */
#define TEXT_MAX (4u << 20)
#define STATUS_FILE_MAX 65536

struct slot {
    atomic_uint_fast64_t requests[CLASSES];
    atomic_uint_fast64_t us, bytes;
};

struct metrics {
    _Atomic(struct http_server *) server;
    struct slot *slots; /* server_route_count + 1 */
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);

    if (!m || !(m->slots = calloc(server_route_count + 1, sizeof *m->slots)))
        abort();
    return m;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    free(m->slots);
    free(m);
}

void metrics_set_server(struct metrics *m, struct http_server *s)
{
    atomic_store(&m->server, s);
}

void metrics_count(struct metrics *m, const struct req *r, const struct reply_info *info)
{
    size_t i = r->route ? (size_t)(r->route - server_routes) : server_route_count;
    unsigned class = info->status < 0 || info->status >= 600 ? 0 : (unsigned)info->status / 100;
    int64_t us = clock_mono_us() - r->started_us;

    atomic_fetch_add(&m->slots[i].requests[class], 1);
    atomic_fetch_add(&m->slots[i].us, us > 0 ? (uint64_t)us : 0);
    atomic_fetch_add(&m->slots[i].bytes, info->bytes_out);
}

/* --- the page --- */

static void add_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *method_word(enum http_method m)
{
    static const char *const words[] = {"GET",    "HEAD",  "POST",    "PUT",
                                        "DELETE", "PATCH", "OPTIONS", "other"};

    return words[m];
}

/* {method="GET",route="/api/{kind}" — patterns hold neither quotes nor backslashes. */
static void add_labels(struct buf *b, const char *name, size_t i)
{
    const struct route *route = &server_routes[i];

    if (i == server_route_count)
        buf_printf(b, "%s{method=\"\",route=\"\"", name);
    else
        buf_printf(b, "%s{method=\"%s\",route=\"%.*s\"", name, method_word(route->method),
                   STR_FMT(route->pattern));
}

static uint64_t requests_of(struct slot *s)
{
    uint64_t sum = 0;

    for (size_t c = 0; c < CLASSES; c++)
        sum += atomic_load(&s->requests[c]);
    return sum;
}

static void add_requests(struct buf *b, struct metrics *m)
{
    add_head(b, "hearth_requests_total", "counter", "Requests by route and class of status.");
    for (size_t i = 0; i <= server_route_count; i++)
        for (unsigned c = 0; c < CLASSES; c++) {
            uint64_t n = atomic_load(&m->slots[i].requests[c]);

            if (n == 0)
                continue;
            add_labels(b, "hearth_requests_total", i);
            if (c == 0)
                buf_printf(b, ",status=\"none\"} %llu\n", (unsigned long long)n);
            else
                buf_printf(b, ",status=\"%uxx\"} %llu\n", c, (unsigned long long)n);
        }
}

static void add_times(struct buf *b, struct metrics *m)
{
    add_head(b, "hearth_request_seconds", "summary",
             "Time from the head of a request to the last byte of its answer.");
    for (size_t i = 0; i <= server_route_count; i++) {
        uint64_t n = requests_of(&m->slots[i]), us = atomic_load(&m->slots[i].us);

        if (n == 0)
            continue;
        add_labels(b, "hearth_request_seconds_sum", i);
        buf_printf(b, "} %llu.%06llu\n", (unsigned long long)(us / 1000000),
                   (unsigned long long)(us % 1000000));
        add_labels(b, "hearth_request_seconds_count", i);
        buf_printf(b, "} %llu\n", (unsigned long long)n);
    }
}

static void add_bytes(struct buf *b, struct metrics *m)
{
    add_head(b, "hearth_response_bytes_total", "counter", "Bytes of answer bodies by route.");
    for (size_t i = 0; i <= server_route_count; i++) {
        uint64_t n = atomic_load(&m->slots[i].bytes);

        if (n == 0)
            continue;
        add_labels(b, "hearth_response_bytes_total", i);
        buf_printf(b, "} %llu\n", (unsigned long long)n);
    }
}

struct sample {
    struct http_stats http;
    uint64_t disk_free, memory;
    struct gc_state gc;
};

/* RssAnon + RssShmem of /proc/self/status, in bytes; 0 where there is no such file. */
static uint64_t resident_bytes(struct arena *a)
{
    static const str names[] = {STR_INIT("RssAnon:"), STR_INIT("RssShmem:")};
    uint64_t sum = 0, kib;
    str text;

    if (file_read(a, "/proc/self/status", STATUS_FILE_MAX, &text))
        return 0;
    while (text.ptr) {
        str line = str_cut(&text, '\n');

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (str_skip(&line, names[i]) && str_drop(&line, STR("kB")) &&
                str_u64(str_trim(line), &kib))
                sum += kib * 1024;
    }
    return sum;
}

static struct sample take_sample(struct req *r, struct metrics *m)
{
    const struct http_server *server = atomic_load(&m->server);
    struct sample s = {.memory = resident_bytes(r->a)};
    struct statvfs v;

    if (server)
        s.http = http_server_stats(server);
    if (statvfs(r->store->dir, &v) == 0)
        s.disk_free = (uint64_t)v.f_bavail * v.f_frsize;
    if (gc_state_read(r->store->hub, &s.gc))
        s.gc = (struct gc_state){0};
    return s;
}

static void add_db(struct buf *b, struct store *store, const char *name, size_t which)
{
    const struct {
        const char *name;
        struct db *db;
    } all[] = {{"hearth", store->hub}, {"git", store->git}, {"stats", store->stats}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct db_stats d = db_stats(all[i].db);
        const uint64_t values[] = {
#define METRIC(name, type, help, value)
#define DB_METRIC(name, type, help, value) value,
#include "server/metrics.def"
#undef DB_METRIC
#undef METRIC
        };

        buf_printf(b, "%s{db=\"%s\"} %llu\n", name, all[i].name, (unsigned long long)values[which]);
    }
}

static void add_state(struct buf *b, struct store *store, const struct sample *m)
{
    size_t which = 0;

#define METRIC(name, type, help, value)                                                            \
    add_head(b, name, type, help);                                                                 \
    buf_printf(b, name " %llu\n", (unsigned long long)(value));
#define DB_METRIC(name, type, help, value)                                                         \
    add_head(b, name, type, help);                                                                 \
    add_db(b, store, name, which++);
#include "server/metrics.def"
#undef DB_METRIC
#undef METRIC
}

/* From this machine itself, and not through a proxy on it. */
static bool is_local(const struct req *r)
{
    return origin_is_loopback(r->peer) && !req_header(r, "X-Forwarded-For").ptr &&
           !req_header(r, "Forwarded").ptr && !req_header(r, "X-Forwarded-Host").ptr &&
           !req_header(r, "X-Forwarded-Proto").ptr && !req_header(r, "Via").ptr;
}

err server_metrics(struct req *r)
{
    struct metrics *m = r->app->metrics;
    AUTO_BUF struct buf b = BUF(TEXT_MAX);
    struct sample sample;

    if (!is_local(r) && !auth_sees_all(r))
        return &server_no_route;
    sample = take_sample(r, m);
    add_requests(&b, m);
    add_times(&b, m);
    add_bytes(&b, m);
    add_state(&b, r->store, &sample);
    if (b.full)
        return err_internal(r->a, "the metrics have more than %u bytes", TEXT_MAX);
    reply_header(r, "Cache-Control", STR("no-store"));
    return reply_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8",
                       arena_str(r->a, buf_str(&b)));
}
