/* conn.c — see conn.h: steps in the life of a connection that loops and workers share. */
#include "http/conn.h"
#include "base/clock.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAGIC 0x436f6e6eu

struct conn *conn_new(struct http_server *s, struct loop *l, int fd)
{
    struct conn *c = calloc(1, sizeof *c);

    if (!c)
        abort();
    c->magic = MAGIC;
    c->fd = fd;
    c->server = s;
    c->loop = l;
    c->state = CONN_NEW;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void conn_check(const struct conn *c)
{
    assert(c && c->magic == MAGIC);
}

/* --- the buffer --- */

char *conn_buf(struct conn *c)
{
    struct loop *l = c->loop;

    if (c->buf)
        return c->buf;
    pthread_mutex_lock(&l->spare_lock);
    c->buf = l->spare_bufs;
    if (c->buf) {
        memcpy(&l->spare_bufs, c->buf, sizeof(void *));
        l->spare_buf_count--;
    }
    pthread_mutex_unlock(&l->spare_lock);
    if (!c->buf)
        c->buf = malloc(CONN_BUF_BYTES);
    if (!c->buf)
        abort();
    c->buf_start = c->buf_end = 0;
    return c->buf;
}

void conn_buf_release(struct conn *c)
{
    struct loop *l = c->loop;
    char *buf = c->buf;

    c->buf = NULL;
    c->buf_start = c->buf_end = 0;
    if (!buf)
        return;
    pthread_mutex_lock(&l->spare_lock);
    if (l->spare_buf_count < 64) {
        memcpy(buf, &l->spare_bufs, sizeof(void *));
        l->spare_bufs = buf;
        l->spare_buf_count++;
        buf = NULL;
    }
    pthread_mutex_unlock(&l->spare_lock);
    free(buf);
}

void conn_buf_eat(struct conn *c, size_t count)
{
    assert(count <= c->buf_end - c->buf_start);
    c->buf_start += (uint32_t)count;
    if (c->buf_start == c->buf_end)
        c->buf_start = c->buf_end = 0;
}

/* --- changing hands --- */

/* Sets state and events; the caller holds c->lock. */
static void park_locked(struct conn *c, enum conn_state state, uint32_t events, int64_t deadline_ms)
{
    struct epoll_event ev = {.events = events | EPOLLONESHOT, .data.ptr = c};

    c->state = state;
    c->deadline_ms = deadline_ms;
    if (deadline_ms > 0)
        loop_scan_before(c->loop, deadline_ms);
    if (epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) != 0)
        abort(); /* only a programmer's mistake makes MOD fail */
}

void conn_park(struct conn *c, enum conn_state state, uint32_t events, int64_t deadline_ms)
{
    pthread_mutex_lock(&c->lock);
    park_locked(c, state, events, deadline_ms);
    pthread_mutex_unlock(&c->lock);
}

bool conn_park_wait(struct conn *c, int64_t wake_at_ms)
{
    bool parked = false;

    pthread_mutex_lock(&c->lock);
    if (!atomic_load(&c->woken)) {
        park_locked(c, CONN_WAIT, c->half_closed ? 0 : EPOLLRDHUP, wake_at_ms);
        parked = true;
    }
    pthread_mutex_unlock(&c->lock);
    return parked;
}

void conn_dispatch(struct conn *c, enum conn_task task)
{
    pthread_mutex_lock(&c->lock);
    c->state = CONN_WORK;
    pthread_mutex_unlock(&c->lock);
    c->task = task;
    pool_submit(c->server->pool, c);
}

void conn_drop(struct conn *c)
{
    pthread_mutex_lock(&c->lock);
    c->state = CONN_CLOSE;
    loop_post(c->loop, c);
    pthread_mutex_unlock(&c->lock);
}

void conn_linger(struct conn *c)
{
    int64_t now = clock_mono_ms();

    shutdown(c->fd, SHUT_WR);
    conn_buf_release(c);
    c->lingered = 0;
    c->linger_end_ms = now + CONN_LINGER_MS;
    conn_park(c, CONN_LINGER, EPOLLIN | EPOLLRDHUP, now + CONN_LINGER_SILENCE_MS);
}

/* --- the next request --- */

void conn_refuse(struct conn *c, err e)
{
    struct arena *a = loop_arena_take(c->loop);
    struct reply *p = arena_one(a, struct reply);
    struct req r = {.a = a, .reply = p, .http_minor = 1};
    str parts[2];
    str text;

    atomic_fetch_add_explicit(&c->server->refused, 1, memory_order_relaxed);
    reply_fail(&r, e);
    parts[0] = reply_head_bytes(&r, true);
    parts[1] = reply_err_json(a, e);
    text = arena_join(a, parts, 2);
    if (send(c->fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        c->broken = true;
    loop_arena_give(c->loop, a);
    if (c->broken)
        conn_drop(c);
    else
        conn_linger(c);
}

/* Makes the request from a complete head. */
static err make_exchange(struct conn *c, str bytes)
{
    struct arena *a = loop_arena_take(c->loop);
    struct exchange *x = arena_one(a, struct exchange);
    struct http_head h;
    struct http_header *headers;
    err e = http_head_parse(arena_str(a, bytes), &h);

    if (e) {
        loop_arena_give(c->loop, a);
        return e;
    }
    headers = arena_many(a, struct http_header, h.header_count + 1);
    memcpy(headers, h.headers, h.header_count * sizeof *headers);
    x->a = a;
    x->req = (struct req){
        .a = a,
        .conn = c,
        .method = h.method,
        .method_text = h.method_text,
        .target = h.target,
        .raw_path = h.raw_path,
        .raw_query = h.raw_query,
        .headers = headers,
        .header_count = h.header_count,
        .http_minor = h.minor,
        .peer = str_c(c->peer_text),
        .started_us = clock_mono_us(),
        .serial = atomic_fetch_add_explicit(&c->server->serial, 1, memory_order_relaxed) + 1,
        .content_length = h.content_length,
        .reply = &x->reply,
    };
    c->x = x;
    c->close_after = !h.keep_alive;
    c->half_closed = false;
    body_begin(&c->body, h.content_length, h.expect_continue);
    atomic_fetch_add_explicit(&c->server->requests, 1, memory_order_relaxed);
    return OK;
}

/* Not enough bytes yet: waits for more, with what has come at the front of the buffer. */
static void await_head(struct conn *c)
{
    int64_t now = clock_mono_ms();
    uint32_t len = c->buf_end - c->buf_start;

    if (len == 0) {
        conn_buf_release(c);
        c->head_deadline_ms = 0;
        conn_park(c, CONN_IDLE, EPOLLIN, now + c->server->config.idle_timeout_ms);
        return;
    }
    if (c->buf_start > 0)
        memmove(c->buf, c->buf + c->buf_start, len);
    c->buf_start = 0;
    c->buf_end = len;
    if (c->head_deadline_ms == 0)
        c->head_deadline_ms = now + c->server->config.head_timeout_ms;
    conn_park(c, CONN_HEAD, EPOLLIN, c->head_deadline_ms);
}

bool conn_take_request(struct conn *c)
{
    str bytes = conn_buffered(c);
    size_t len = 0, start;
    err e = bytes.len > 0 ? http_head_scan(&c->scan, bytes, &len) : OK;

    if (!e && len == 0) {
        await_head(c);
        return false;
    }
    start = c->scan.start;
    c->scan = (struct http_head_scan){0};
    c->head_deadline_ms = 0;
    if (!e)
        e = make_exchange(c, str_from(str_first(bytes, len), start));
    if (e) {
        conn_refuse(c, e);
        return false;
    }
    conn_buf_eat(c, len);
    if (c->buf_end == 0)
        conn_buf_release(c);
    return true;
}

/* Bytes that nobody will read would turn our close into a reset, which can eat the answer. */
static void close_gently(struct conn *c)
{
    int unread = 0;

    if (c->buf_end > c->buf_start || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0))
        conn_linger(c);
    else
        conn_drop(c);
}

bool conn_next(struct conn *c)
{
    if (c->broken) {
        conn_drop(c);
        return false;
    }
    if (!body_is_over(&c->body)) {
        if (c->close_after || !body_drop_buffered(c)) {
            conn_linger(c);
            return false;
        }
        if (!body_is_over(&c->body)) {
            c->lingered = 0;
            conn_park(c, CONN_DRAIN, EPOLLIN, clock_mono_ms() + CONN_DRAIN_MS);
            return false;
        }
    }
    if (c->close_after) {
        close_gently(c);
        return false;
    }
    return conn_take_request(c);
}
