/* server.c — see server.h: start, drain, count. */
#include "http/server.h"
#include "base/clock.h"
#include "base/io.h"
#include "http/conn.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_MIN_MS 20
#define TICK_MAX_MS 1000
#define DRAIN_LOOK_MS 5

static unsigned min4(unsigned a, unsigned b, unsigned c, unsigned d)
{
    unsigned x = a < b ? a : b, y = c < d ? c : d;

    return x < y ? x : y;
}

/* Deadlines are looked at this often: a quarter of the shortest. */
static int tick_for(const struct http_config *c)
{
    unsigned t = min4(c->head_timeout_ms, c->idle_timeout_ms, c->send_timeout_ms, 4000) / 4;

    return t < TICK_MIN_MS ? TICK_MIN_MS : t > TICK_MAX_MS ? TICK_MAX_MS : (int)t;
}

/* Accepted sockets inherit these: small answers leave at once, dead peers are found. */
static void set_options(int fd)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1},    {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},    {IPPROTO_TCP, TCP_KEEPIDLE, 30},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10}, {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(int));
}

static err listen_at(struct arena *a, const struct addrinfo *at, const char *name, int *ret)
{
    AUTO_FD int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int zero = 0;

    if (fd < 0)
        return err_os(a, "socket", name);
    set_options(fd);
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0)
        return errno == EADDRINUSE
                   ? err_new(
                         a, 409, "PortTaken",
                         "Something already listens on %s (another hearth?); stop it, or choose "
                         "another port with --listen.",
                         name)
                   : err_os(a, "bind", name);
    if (listen(fd, SOMAXCONN) != 0)
        return err_os(a, "listen", name);
    *ret = fd_take(&fd);
    return OK;
}

static err open_port(struct arena *a, struct http_server *s, const struct http_config *c)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    char port[16], name[128];
    err e;

    snprintf(port, sizeof port, "%u", c->port);
    snprintf(name, sizeof name, "%s:%u", c->address, c->port);
    if (getaddrinfo(c->address, port, &hints, &list) != 0)
        return err_internal(a, "cannot resolve the address %s", name);
    e = listen_at(a, list, name, &s->listen_fd);
    freeaddrinfo(list);
    if (e)
        return e;
    if (getsockname(s->listen_fd, (struct sockaddr *)&bound, &len) != 0)
        return err_os(a, "getsockname", name);
    s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    return OK;
}

/* Starts loops and workers; signals stay with the caller's thread. */
static err start_threads(struct arena *a, struct http_server *s)
{
    s->loops = calloc(s->config.loops, sizeof *s->loops);
    if (!s->loops)
        abort();
    for (unsigned i = 0; i < s->config.loops; i++) {
        s->loop_count++;
        TRY(loop_init(a, &s->loops[i], s));
    }
    TRY(pool_start(a, s, &s->pool));
    for (unsigned i = 0; i < s->loop_count; i++) {
        if (pthread_create(&s->loops[i].thread, NULL, loop_run, &s->loops[i]) != 0)
            return err_internal(a, "cannot start a loop thread");
        s->loops_running = i + 1;
    }
    return OK;
}

err http_server_start(struct arena *a, const struct http_config *c, struct http_server **ret)
{
    struct http_server *s = calloc(1, sizeof *s);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    sigset_t all, before;
    err e;

    if (!s)
        abort();
    assert(c->address && c->answer && c->connections_max > 0);
    s->config = *c;
    s->config.address = NULL; /* the caller's memory */
    s->listen_fd = -1;
    s->tick_ms = tick_for(c);
    if (s->config.connections_per_peer == 0)
        s->config.connections_per_peer = UINT_MAX;
    if (s->config.loops == 0)
        s->config.loops = (unsigned)(cores > 0 ? cores : 1);
    s->peers = peers_new();
    signal(SIGPIPE, SIG_IGN); /* sendfile() has no MSG_NOSIGNAL */

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = open_port(a, s, c);
    if (!e)
        e = start_threads(a, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e) {
        http_server_drain(s, 0);
        http_server_free(s);
        return e;
    }
    loop_poke(&s->loops[0]); /* accept_review() opens the gate */
    *ret = s;
    return OK;
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}

/* Waits until the last connection is closed.  False: some are left at the end. */
static bool wait_empty(struct http_server *s, int64_t end_ms)
{
    while (atomic_load(&s->connections) > 0) {
        struct timespec rest = {.tv_nsec = DRAIN_LOOK_MS * 1000000L};

        if (clock_mono_ms() >= end_ms)
            return false;
        nanosleep(&rest, NULL);
    }
    return true;
}

static void scan_all(struct http_server *s)
{
    for (unsigned i = 0; i < s->loops_running; i++)
        loop_scan_before(&s->loops[i], clock_mono_ms());
}

void http_server_drain(struct http_server *s, unsigned timeout_ms)
{
    if (atomic_load(&s->stopping))
        return;
    atomic_store(&s->draining, true);
    scan_all(s);
    if (s->loops_running > 0 && !wait_empty(s, clock_mono_ms() + timeout_ms)) {
        atomic_store(&s->cutting, true);
        scan_all(s);
        wait_empty(s, INT64_MAX);
    }
    pool_stop(s->pool);
    s->pool = NULL;
    atomic_store(&s->stopping, true);
    for (unsigned i = 0; i < s->loops_running; i++) {
        loop_poke(&s->loops[i]);
        pthread_join(s->loops[i].thread, NULL);
    }
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    assert(atomic_load(&s->stopping) && atomic_load(&s->connections) == 0);
    fd_close(&s->listen_fd);
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_deinit(&s->loops[i]);
    free(s->loops);
    peers_free(s->peers);
    free(s);
}

struct http_stats http_server_stats(const struct http_server *s)
{
    struct http_stats t = {
        .requests = atomic_load(&s->requests),
        .connections_open = atomic_load(&s->connections),
        .refused = atomic_load(&s->refused),
        .bytes_out = atomic_load(&s->bytes_out),
        .bytes_in = atomic_load(&s->bytes_in),
    };

    if (s->pool)
        pool_counts(s->pool, &t.workers, &t.workers_busy);
    return t;
}
