/* exchange.c — what a worker does: answer a request, fill from its source, send, finish. */
#include "base/clock.h"
#include "http/conn.h"
#include <assert.h>
#include <stdio.h>

#define PIPELINED_MAX 32 /* requests answered in a row before others get their turn */

static const struct err_info wrong_length = {500, NULL, STR_INIT("Internal Server Error"),
                                             "exchange.c",
                                             STR_INIT("a source broke its promised length")};

/* Puts the chunk's framing around the parts. */
static void frame(struct exchange *x, uint64_t len)
{
    bool end = x->state == SOURCE_END;

    x->frame_head = x->frame_tail = STR("");
    if (!x->chunked)
        return;
    if (len > 0) {
        int n = snprintf(x->frame, sizeof x->frame, "%llx\r\n", (unsigned long long)len);

        x->frame_head = (str){x->frame, (size_t)n};
        x->frame_tail = end ? STR("\r\n0\r\n\r\n") : STR("\r\n");
    } else if (end) {
        x->frame_tail = STR("0\r\n\r\n");
    }
}

/* Asks the source for the next parts.  Fails with its error, or when it breaks its word. */
static err fill(struct conn *c)
{
    struct exchange *x = c->x;
    const struct reply *p = &x->reply;
    uint64_t len = 0;

    atomic_store(&c->woken, false);
    x->out.count = 0;
    x->at = x->at_sent = 0;
    x->head = STR("");
    TRY(p->source->fill(p->source, &x->out, &x->state));
    for (size_t i = 0; i < x->out.count; i++)
        len += x->out.part[i].len;
    x->given += len;
    if (p->len != REPLY_UNKNOWN &&
        (x->given > p->len || (x->state == SOURCE_END && x->given < p->len)))
        return &wrong_length;
    frame(x, len);
    return OK;
}

static void close_source(struct exchange *x)
{
    struct source *s = x->reply.source;

    x->reply.source = NULL;
    if (s)
        s->close(s);
}

static bool must_close(const struct conn *c)
{
    const struct exchange *x = c->x;

    return c->close_after || x->reply.close || c->body.failed || c->server->draining ||
           (!body_is_over(&c->body) && !body_is_drainable(&c->body)) ||
           (x->reply.source && x->reply.len == REPLY_UNKNOWN && x->req.http_minor == 0);
}

/* Lets the handler answer, then prepares the head and the first parts. */
static void answer(struct conn *c)
{
    struct exchange *x = c->x;
    const struct http_config *cfg = &c->server->config;
    err e;

    cfg->answer(&x->req, cfg->arg);
    assert(x->reply.complete);
    x->state = SOURCE_END;
    x->chunked = reply_is_chunked(&x->req);
    if (x->reply.source && !req_is_head(&x->req) && reply_may_have_body(x->reply.status)) {
        e = fill(c);
        if (e) { /* nothing was sent: there is still time to say so */
            close_source(x);
            reply_fail(&x->req, e);
            x->chunked = false;
            x->given = 0;
            e = fill(c);
            assert(!e);
        }
    }
    c->close_after = must_close(c);
    x->head = reply_head_bytes(&x->req, c->close_after);
}

/* Sends and fills in turn.  True: over, for good or bad.  False: parked. */
static bool pump(struct conn *c, bool fill_first)
{
    struct exchange *x = c->x;

    for (;; fill_first = true) {
        bool progress;
        int64_t wake_at;

        if (fill_first && fill(c)) {
            c->broken = true;
            return true;
        }
        switch (send_parts(c, UINT64_MAX, &progress)) {
        case SENT_BROKEN:
            c->broken = true;
            return true;
        case SENT_BLOCKED:
            conn_park(c, CONN_SEND, EPOLLOUT, clock_mono_ms() + c->server->config.send_timeout_ms);
            return false;
        case SENT_ALL:
            break;
        }
        if (x->state == SOURCE_END)
            return true;
        if (x->state == SOURCE_MORE)
            continue;
        wake_at = x->reply.source->wake_at_ms;
        if ((wake_at == 0 || wake_at > clock_mono_ms()) && conn_park_wait(c, wake_at))
            return false;
    }
}

/* Closes the source, tells the server, gives the arena back. */
static void finish(struct conn *c)
{
    struct exchange *x = c->x;
    const struct http_config *cfg = &c->server->config;
    struct arena *a = x->a;

    close_source(x);
    x->reply.info.cut = c->broken;
    atomic_fetch_add_explicit(&c->server->bytes_out, x->reply.info.bytes_out, memory_order_relaxed);
    if (cfg->done)
        cfg->done(&x->req, cfg->arg);
    c->x = NULL;
    loop_arena_give(c->loop, a);
}

void exchange_work(struct conn *c)
{
    enum conn_task task = c->task;
    unsigned count = 0;

    conn_check(c);
    do {
        if (task == TASK_ANSWER)
            answer(c);
        if (task != TASK_FINISH && !c->broken && !pump(c, task == TASK_FILL))
            return;
        finish(c);
        task = TASK_ANSWER;
        if (!conn_next(c))
            return;
    } while (++count < PIPELINED_MAX);
    c->task = TASK_ANSWER;
    pool_submit(c->server->pool, c);
}
