/* body.c — reading request bodies on a worker thread, and dropping what nobody read. */
#include "base/clock.h"
#include "http/conn.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#define DIRECT_READ_MIN (8u << 10) /* smaller chunk rests go through the buffer */

static const struct err_info cut_short = {
    400, "BadRequest", STR_INIT("The request body ended before it was complete."), NULL,
    STR_INIT("")};
static const struct err_info too_slow = {
    408, "RequestTimeout", STR_INIT("The request body came too slowly; send it again."), NULL,
    STR_INIT("")};

void body_begin(struct http_body *b, uint64_t content_length, bool expects_continue)
{
    *b = (struct http_body){.is_chunked = content_length == HTTP_CHUNKED};
    b->left = b->is_chunked ? 0 : content_length;
    b->expects_continue = expects_continue && content_length > 0;
}

bool body_is_over(const struct http_body *b)
{
    return b->is_chunked ? b->chunked.done : b->left == 0;
}

bool body_is_drainable(const struct http_body *b)
{
    return !b->failed && !b->expects_continue && (b->is_chunked || b->left <= CONN_DRAIN_MAX);
}

bool body_drop_buffered(struct conn *c)
{
    struct http_body *b = &c->body;

    while (c->buf_end > c->buf_start && !body_is_over(b)) {
        str in = conn_buffered(c);
        uint64_t *left = b->is_chunked ? &b->chunked.data_left : &b->left;

        if (*left > 0) {
            size_t n = *left < in.len ? (size_t)*left : in.len;

            conn_buf_eat(c, n);
            if (b->is_chunked)
                http_chunked_take(&b->chunked, n);
            else
                b->left -= n;
            continue;
        }
        if (http_chunked_step(&b->chunked, &in))
            return false;
        conn_buf_eat(c, c->buf_end - c->buf_start - in.len);
    }
    return true;
}

/* --- waiting for the client --- */

err body_note_wait(struct http_body *b, int64_t ms, unsigned rate_min)
{
    b->waited_ms += ms;
    if (b->waited_ms < BODY_RATE_WINDOW_MS)
        return OK;
    if (b->first_window_over && b->window_bytes < (uint64_t)b->waited_ms * rate_min / 1000)
        return &too_slow;
    b->first_window_over = true;
    b->waited_ms = 0;
    b->window_bytes = 0;
    return OK;
}

static err wait_readable(struct conn *c)
{
    const struct http_config *cfg = &c->server->config;
    int64_t start = clock_mono_ms(), end = start + cfg->body_timeout_ms, now = start;

    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        int n = poll(&p, 1, (int)(end - now));

        now = clock_mono_ms();
        if (n > 0)
            return body_note_wait(&c->body, now - start, cfg->body_rate_min);
        if (n < 0 && errno != EINTR)
            return &cut_short;
        if (now >= end)
            return &too_slow;
    }
}

/* Receives at least one byte. */
static err receive(struct conn *c, void *p, size_t len, size_t *ret)
{
    for (;;) {
        ssize_t n = recv(c->fd, p, len, MSG_DONTWAIT);

        if (n > 0) {
            c->body.window_bytes += (uint64_t)n;
            atomic_fetch_add_explicit(&c->server->bytes_in, (uint64_t)n, memory_order_relaxed);
            *ret = (size_t)n;
            return OK;
        }
        if (n == 0)
            return &cut_short;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN) {
            c->broken = true;
            return &cut_short;
        }
        TRY(wait_readable(c));
    }
}

/* Takes bytes that have arrived, else from the socket. */
static err take(struct conn *c, void *p, size_t len, size_t *ret)
{
    str in = conn_buffered(c);

    if (in.len == 0)
        return receive(c, p, len, ret);
    *ret = len < in.len ? len : in.len;
    memcpy(p, in.ptr, *ret);
    conn_buf_eat(c, *ret);
    return OK;
}

static err refill(struct conn *c)
{
    size_t n;

    assert(c->buf_start == c->buf_end);
    conn_buf(c);
    c->buf_start = c->buf_end = 0;
    TRY(receive(c, c->buf, CONN_BUF_BYTES, &n));
    c->buf_end = (uint32_t)n;
    return OK;
}

/* --- reading --- */

static err read_plain(struct conn *c, void *p, size_t len, size_t *ret)
{
    struct http_body *b = &c->body;

    if (b->left < len)
        len = (size_t)b->left;
    if (len == 0) {
        *ret = 0;
        return OK;
    }
    TRY(take(c, p, len, ret));
    b->left -= *ret;
    return OK;
}

static err read_chunked(struct conn *c, void *p, size_t len, size_t *ret)
{
    struct http_chunked *k = &c->body.chunked;

    for (;;) {
        size_t want = k->data_left < len ? (size_t)k->data_left : len;
        str in = conn_buffered(c);

        if (k->done) {
            *ret = 0;
            return OK;
        }
        if (want > 0 && (in.len > 0 || want >= DIRECT_READ_MIN)) {
            TRY(take(c, p, want, ret));
            http_chunked_take(k, *ret);
            return OK;
        }
        if (in.len == 0) {
            TRY(refill(c));
            continue;
        }
        TRY(http_chunked_step(k, &in));
        conn_buf_eat(c, c->buf_end - c->buf_start - in.len);
    }
}

/* Tells a waiting client to go on, unless it did not wait. */
static err send_continue(struct conn *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

    c->body.expects_continue = false;
    if (c->buf_end > c->buf_start)
        return OK;
    if (send(c->fd, line, sizeof line - 1, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof line - 1) {
        c->broken = true;
        return &cut_short;
    }
    return OK;
}

static err read_some(struct conn *c, void *p, size_t len, size_t *ret)
{
    struct http_body *b = &c->body;

    if (b->expects_continue)
        TRY(send_continue(c));
    return b->is_chunked ? read_chunked(c, p, len, ret) : read_plain(c, p, len, ret);
}

err http_body_read(struct req *r, void *p, size_t len, size_t *ret)
{
    struct conn *c = r->conn;

    conn_check(c);
    assert(!reply_started(r));
    if (len == 0) {
        *ret = 0;
        return OK;
    }
    if (!c->body.failed)
        c->body.failed = read_some(c, p, len, ret);
    return c->body.failed;
}

static void free_buf(void *p)
{
    buf_free(p);
}

err http_body_all(struct req *r, size_t max, str *ret)
{
    struct buf *b = arena_one(r->a, struct buf);
    size_t n = 1;

    if (r->content_length != HTTP_CHUNKED && r->content_length > max)
        goto too_large;
    *b = BUF(max + (16u << 10));
    arena_defer(r->a, free_buf, b);
    while (n > 0) {
        char *room = buf_room(b, 16u << 10);

        if (!room)
            goto too_large;
        TRY(http_body_read(r, room, b->cap - b->len, &n));
        b->len += n;
        if (b->len > max)
            goto too_large;
    }
    *ret = buf_str(b);
    if (!ret->ptr)
        *ret = STR("");
    return OK;
too_large:
    return err_new(r->a, 413, "ContentTooLarge", "The request body is larger than %zu bytes.", max);
}
