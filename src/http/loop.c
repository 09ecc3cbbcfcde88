/* loop.c — one epoll loop: idle connections, heads, answers that wait, closing.  See conn.h. */
#include "base/clock.h"
#include "base/io.h"
#include "http/conn.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS 64
#define ACCEPTS 64             /* per round */
#define ACCEPT_REST_MS 100     /* after running out of descriptors */
#define SEND_BUDGET (4u << 20) /* per connection and round */
#define SCRATCH_BYTES (64u << 10)
#define LINGER_READS 16 /* of SCRATCH_BYTES, per round */
#define SCAN_MIN_MS 10  /* deadlines are looked at no oftener */

static const struct err_info head_too_slow = {408, "RequestTimeout",
                                              STR_INIT("The request head did not arrive in time."),
                                              NULL, STR_INIT("")};
static const struct err_info peer_limit = {
    503, "TooManyConnections", STR_INIT("Too many connections from this address; close some."),
    NULL, STR_INIT("")};

static _Thread_local struct loop *this_loop;

bool loop_is_mine(const struct loop *l)
{
    return this_loop == l;
}

/* --- spare memory --- */

struct arena *loop_arena_take(struct loop *l)
{
    struct arena *a = NULL;

    pthread_mutex_lock(&l->spare_lock);
    if (l->spare_arena_count > 0)
        a = l->spare_arenas[--l->spare_arena_count];
    pthread_mutex_unlock(&l->spare_lock);
    return a ? a : arena_new(CONN_REQUEST_ARENA_MAX);
}

void loop_arena_give(struct loop *l, struct arena *a)
{
    arena_reset(a);
    pthread_mutex_lock(&l->spare_lock);
    if (l->spare_arena_count < SPARE_ARENAS_MAX) {
        l->spare_arenas[l->spare_arena_count++] = a;
        a = NULL;
    }
    pthread_mutex_unlock(&l->spare_lock);
    arena_free(a);
}

/* --- the inbox --- */

void loop_poke(struct loop *l)
{
    uint64_t one = 1;

    if (!atomic_exchange(&l->poked, true) && write(l->event_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN); /* the counter is full: it is readable */
}

void loop_post(struct loop *l, struct conn *c)
{
    bool added = false;

    pthread_mutex_lock(&l->inbox_lock);
    if (!c->in_inbox) {
        c->in_inbox = added = true;
        c->inbox_next = NULL;
        c->inbox_prev = l->inbox_last;
        if (l->inbox_last)
            l->inbox_last->inbox_next = c;
        else
            l->inbox = c;
        l->inbox_last = c;
    }
    pthread_mutex_unlock(&l->inbox_lock);
    if (added && !loop_is_mine(l))
        loop_poke(l);
}

/* Takes `c` out of the inbox if it is there; the caller holds inbox_lock. */
static void inbox_remove(struct loop *l, struct conn *c)
{
    if (!c->in_inbox)
        return;
    *(c->inbox_prev ? &c->inbox_prev->inbox_next : &l->inbox) = c->inbox_next;
    *(c->inbox_next ? &c->inbox_next->inbox_prev : &l->inbox_last) = c->inbox_prev;
    c->in_inbox = false;
}

static struct conn *inbox_pop(struct loop *l)
{
    struct conn *c;

    pthread_mutex_lock(&l->inbox_lock);
    c = l->inbox;
    if (c)
        inbox_remove(l, c);
    pthread_mutex_unlock(&l->inbox_lock);
    return c;
}

void loop_scan_before(struct loop *l, int64_t at_ms)
{
    long long old = atomic_load(&l->scan_at_ms);

    while (at_ms < old)
        if (atomic_compare_exchange_weak(&l->scan_at_ms, &old, at_ms)) {
            if (!loop_is_mine(l))
                loop_poke(l);
            return;
        }
}

/* --- closing --- */

static void conn_close(struct conn *c)
{
    struct loop *l = c->loop;
    struct http_server *s = c->server;

    assert(loop_is_mine(l) && !c->x);
    pthread_mutex_lock(&l->inbox_lock);
    inbox_remove(l, c);
    pthread_mutex_unlock(&l->inbox_lock);
    *(c->prev ? &c->prev->next : &l->conns) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    l->conn_count--;
    /* A forked child may still hold the descriptor: leave the epoll set by hand. */
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    fd_close(&c->fd);
    conn_buf_release(c);
    peers_leave(s->peers, c->peer);
    c->state = CONN_DEAD;
    c->next = l->graveyard;
    l->graveyard = c;
    atomic_fetch_sub(&s->connections, 1);
    if (atomic_load(&s->accept_paused))
        loop_poke(&s->loops[0]);
}

/* Events of this round may still name them; so they are freed when it is over. */
static void bury(struct loop *l)
{
    while (l->graveyard) {
        struct conn *c = l->graveyard;

        l->graveyard = c->next;
        c->magic = 0;
        pthread_mutex_destroy(&c->lock);
        free(c);
    }
}

/* The client is gone or too slow while its answer was parked: a worker closes the source. */
static void cut(struct conn *c)
{
    c->broken = true;
    conn_dispatch(c, TASK_FINISH);
}

/* --- events --- */

static void take_request(struct conn *c)
{
    if (conn_take_request(c))
        conn_dispatch(c, TASK_ANSWER);
}

static void on_head_bytes(struct conn *c)
{
    char *buf = conn_buf(c);
    ssize_t n = recv(c->fd, buf + c->buf_end, CONN_BUF_BYTES - c->buf_end, MSG_DONTWAIT);

    if (n > 0) {
        c->buf_end += (uint32_t)n;
        atomic_fetch_add_explicit(&c->server->bytes_in, (uint64_t)n, memory_order_relaxed);
        take_request(c);
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        take_request(c);
    } else {
        conn_close(c);
    }
}

static void on_writable(struct conn *c, uint32_t events)
{
    struct exchange *x = c->x;
    bool progress;
    enum sent sent =
        events & (EPOLLERR | EPOLLHUP) ? SENT_BROKEN : send_parts(c, SEND_BUDGET, &progress);

    if (sent == SENT_BROKEN)
        cut(c);
    else if (sent == SENT_BLOCKED)
        conn_park(c, CONN_SEND, EPOLLOUT,
                  progress ? clock_mono_ms() + c->server->config.send_timeout_ms : c->deadline_ms);
    else if (x->state == SOURCE_END)
        conn_dispatch(c, TASK_FINISH);
    else if (x->state == SOURCE_MORE || !conn_park_wait(c, x->reply.source->wake_at_ms))
        conn_dispatch(c, TASK_FILL);
}

/* The client of a waiting source closed, at least its own side. */
static void on_hang_up(struct conn *c, uint32_t events)
{
    int64_t age_us = clock_mono_us() - c->x->req.started_us;

    if (events & (EPOLLERR | EPOLLHUP) || age_us > CONN_HALF_CLOSE_MS * INT64_C(1000)) {
        cut(c);
        return;
    }
    c->half_closed = true;
    if (!conn_park_wait(c, c->deadline_ms))
        conn_dispatch(c, TASK_FILL);
}

static void on_drain_bytes(struct conn *c)
{
    ssize_t n;

    assert(c->buf_end == 0);
    n = recv(c->fd, conn_buf(c), CONN_BUF_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        conn_park(c, CONN_DRAIN, EPOLLIN, c->deadline_ms);
        return;
    }
    if (n <= 0) {
        conn_close(c);
        return;
    }
    c->buf_end = (uint32_t)n;
    c->lingered += (uint64_t)n;
    if (!body_drop_buffered(c) || (!body_is_over(&c->body) && c->lingered > CONN_DRAIN_MAX))
        conn_linger(c);
    else if (body_is_over(&c->body))
        take_request(c);
    else
        conn_park(c, CONN_DRAIN, EPOLLIN, c->deadline_ms);
}

static void on_linger_bytes(struct conn *c)
{
    int64_t next = clock_mono_ms() + CONN_LINGER_SILENCE_MS;
    ssize_t n = 1;

    for (unsigned i = 0; i < LINGER_READS && n > 0 && c->lingered <= CONN_LINGER_MAX; i++) {
        n = recv(c->fd, c->loop->scratch, SCRATCH_BYTES, MSG_DONTWAIT);
        if (n > 0)
            c->lingered += (uint64_t)n;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->lingered > CONN_LINGER_MAX)
        conn_close(c);
    else
        conn_park(c, CONN_LINGER, EPOLLIN | EPOLLRDHUP,
                  next < c->linger_end_ms ? next : c->linger_end_ms);
}

/* The state; once the lock is ours, the worker that parked the connection has let go of it. */
static enum conn_state state_of(struct conn *c)
{
    enum conn_state s;

    pthread_mutex_lock(&c->lock);
    s = c->state;
    pthread_mutex_unlock(&c->lock);
    return s;
}

static void on_event(struct conn *c, uint32_t events)
{
    conn_check(c);
    switch (state_of(c)) {
    case CONN_IDLE:
    case CONN_HEAD:
        on_head_bytes(c);
        break;
    case CONN_SEND:
        on_writable(c, events);
        break;
    case CONN_WAIT:
        on_hang_up(c, events);
        break;
    case CONN_DRAIN:
        on_drain_bytes(c);
        break;
    case CONN_LINGER:
        on_linger_bytes(c);
        break;
    case CONN_NEW:
    case CONN_WORK:
    case CONN_CLOSE:
    case CONN_DEAD:
        break;
    }
}

/* --- accepting (loop 0) --- */

static void accept_switch(struct http_server *s, bool on)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &s->listen_fd};

    if (s->accepting == on)
        return;
    if (epoll_ctl(s->loops[0].epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->listen_fd, &ev) == 0)
        s->accepting = on;
}

static void accept_one(struct http_server *s, int fd, const struct sockaddr_storage *from)
{
    struct loop *l = &s->loops[s->next_loop++ % s->loop_count];
    struct conn *c = conn_new(s, l, fd);

    peers_text(from, c->peer_text, sizeof c->peer_text);
    c->over_limit = !peers_enter(s->peers, from, s->config.connections_per_peer, &c->peer);
    atomic_fetch_add(&s->connections, 1);
    loop_post(l, c);
}

static void accept_some(struct http_server *s)
{
    for (unsigned i = 0; i < ACCEPTS && s->accepting; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof from;
        int fd;

        if (atomic_load(&s->connections) >= s->config.connections_max) {
            atomic_store(&s->accept_paused, true);
            accept_switch(s, false);
            return;
        }
        fd = accept4(s->listen_fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(s, fd, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            s->accept_again_ms = clock_mono_ms() + ACCEPT_REST_MS;
            loop_scan_before(&s->loops[0], s->accept_again_ms);
            accept_switch(s, false);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* Starts to accept again when there is room, and stops for good when the server drains. */
static void accept_review(struct http_server *s)
{
    if (s->listen_fd < 0)
        return;
    if (atomic_load(&s->draining)) {
        accept_switch(s, false);
        fd_close(&s->listen_fd);
        return;
    }
    if (!s->accepting && clock_mono_ms() >= s->accept_again_ms &&
        atomic_load(&s->connections) < s->config.connections_max) {
        atomic_store(&s->accept_paused, false);
        accept_switch(s, true);
    }
}

/* A new connection joins this loop. */
static void adopt(struct conn *c)
{
    struct loop *l = c->loop;
    struct epoll_event ev = {.events = EPOLLONESHOT, .data.ptr = c};

    c->next = l->conns;
    if (l->conns)
        l->conns->prev = c;
    l->conns = c;
    l->conn_count++;
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        conn_close(c);
    else if (c->over_limit)
        conn_refuse(c, &peer_limit);
    else
        on_head_bytes(c); /* the first bytes are often there already */
}

static void read_inbox(struct loop *l)
{
    struct conn *c;

    while ((c = inbox_pop(l)))
        switch (state_of(c)) {
        case CONN_NEW:
            adopt(c);
            break;
        case CONN_CLOSE:
            conn_close(c);
            break;
        case CONN_WAIT: /* source_wake() */
            conn_dispatch(c, TASK_FILL);
            break;
        default: /* woken while it was busy: whoever holds it looks at `woken` before it waits */
            break;
        }
}

/* --- deadlines --- */

static void on_deadline(struct conn *c, enum conn_state state, bool cutting)
{
    switch (state) {
    case CONN_HEAD:
        if (cutting)
            conn_close(c);
        else
            conn_refuse(c, &head_too_slow);
        break;
    case CONN_SEND:
        cut(c);
        break;
    case CONN_WAIT:
        if (cutting)
            cut(c);
        else
            conn_dispatch(c, TASK_FILL);
        break;
    case CONN_DRAIN:
        if (cutting)
            conn_close(c);
        else
            conn_linger(c);
        break;
    default:
        assert(state == CONN_IDLE || state == CONN_LINGER);
        conn_close(c);
    }
}

/* Looks at one connection; returns when it wants to be looked at again (INT64_MAX: no matter). */
static int64_t scan_one(struct conn *c, int64_t now)
{
    bool cutting = atomic_load(&c->server->cutting), draining = atomic_load(&c->server->draining);
    enum conn_state state;
    int64_t deadline;

    pthread_mutex_lock(&c->lock);
    state = c->state;
    deadline = state == CONN_WORK || state == CONN_CLOSE ? 0 : c->deadline_ms;
    if (state == CONN_WORK && cutting)
        shutdown(c->fd, SHUT_RDWR); /* wakes a worker that waits for a body */
    pthread_mutex_unlock(&c->lock);
    if (state == CONN_WORK || state == CONN_CLOSE)
        return INT64_MAX;
    if (!cutting && !(draining && state == CONN_IDLE) && (deadline == 0 || deadline > now))
        return deadline > 0 ? deadline : INT64_MAX;
    on_deadline(c, state, cutting);
    return INT64_MAX;
}

static void scan(struct loop *l, int64_t now)
{
    int64_t next = now + (atomic_load(&l->server->draining) ? SCAN_MIN_MS : l->server->tick_ms);

    /* First, so that a deadline set by another thread during the scan is not lost. */
    atomic_store(&l->scan_at_ms, next);
    for (struct conn *c = l->conns, *after; c; c = after) {
        int64_t at;

        after = c->next;
        at = scan_one(c, now);
        if (at < next)
            next = at > now + SCAN_MIN_MS ? at : now + SCAN_MIN_MS;
    }
    loop_scan_before(l, next);
}

/* --- the loop --- */

static int until_scan(const struct loop *l)
{
    int64_t wait = atomic_load(&l->scan_at_ms) - clock_mono_ms();

    return wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait;
}

static void round_of(struct loop *l)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(l->epoll_fd, events, EVENTS, until_scan(l));
    int64_t now;

    for (int i = 0; i < n; i++) {
        void *p = events[i].data.ptr;

        if (p == l) {
            uint64_t count;

            if (read(l->event_fd, &count, sizeof count) < 0)
                assert(errno == EAGAIN);
            atomic_store(&l->poked, false);
        } else if (p == &l->server->listen_fd) {
            accept_some(l->server);
        } else {
            on_event(p, events[i].events);
        }
    }
    read_inbox(l);
    now = clock_mono_ms();
    if (now >= atomic_load(&l->scan_at_ms))
        scan(l, now);
    read_inbox(l); /* what the scan dropped */
    if (l == &l->server->loops[0])
        accept_review(l->server);
    bury(l);
}

void *loop_run(void *arg)
{
    struct loop *l = arg;

    this_loop = l;
    while (!atomic_load(&l->server->stopping))
        round_of(l);
    this_loop = NULL;
    return NULL;
}

err loop_init(struct arena *a, struct loop *l, struct http_server *s)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};

    l->server = s;
    l->event_fd = -1;
    pthread_mutex_init(&l->inbox_lock, NULL);
    pthread_mutex_init(&l->spare_lock, NULL);
    l->scratch = malloc(SCRATCH_BYTES);
    if (!l->scratch)
        abort();
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd >= 0)
        l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->event_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->event_fd, &ev) != 0)
        return err_os(a, "epoll", "loop");
    return OK;
}

void loop_deinit(struct loop *l)
{
    assert(!l->conns && !l->inbox);
    bury(l);
    fd_close(&l->event_fd);
    fd_close(&l->epoll_fd);
    while (l->spare_bufs) {
        void *p = l->spare_bufs;

        memcpy(&l->spare_bufs, p, sizeof(void *));
        free(p);
    }
    for (size_t i = 0; i < l->spare_arena_count; i++)
        arena_free(l->spare_arenas[i]);
    free(l->scratch);
    pthread_mutex_destroy(&l->inbox_lock);
    pthread_mutex_destroy(&l->spare_lock);
}
