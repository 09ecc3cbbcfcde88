/* http_server_test.c — the whole server over loopback: a program of handlers, raw sockets as
 * clients.  Timeouts are small, so that all stories together take less than three seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/io.h"
#include "http/client.h"
#include "http/server.h"
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_BYTES (8u << 20)
#define PATIENCE_MS 2000 /* no story waits longer for a byte */

/* --- the server under test --- */

static struct {
    struct arena *a;
    struct http_server *server;
    char *file;           /* FILE_BYTES of noise … */
    char path[64];        /* … and where it lies */
    sem_t hold;           /* /hold waits for it */
    pthread_mutex_t lock; /* below */
    struct source *waiting;
    unsigned pieces; /* that /events may give */
    unsigned begun, done, cut, closed;
    struct reply_info last;
} T;

/* Gives "0123456789" `left` times; `mode` says how it misbehaves. */
struct counting {
    struct source source;
    unsigned left;
    char mode;
};

static void counting_close(struct source *s)
{
    (void)s;
    AUTO_LOCK(&T.lock);
    T.closed++;
}

static err counting_fill(struct source *s, struct source_out *out, enum source_state *ret)
{
    static const struct err_info broken = {503, "Broken", STR_INIT("It broke."), NULL,
                                           STR_INIT("")};
    struct counting *c = (struct counting *)s;

    if (c->mode == 'f' || (c->mode == 'l' && c->left == 1))
        return &broken;
    for (unsigned i = 0; i < 3 && c->left > 0; i++, c->left--)
        source_out_bytes(out, "0123456789", 10);
    *ret = c->left > 0 ? SOURCE_MORE : SOURCE_END;
    return OK;
}

static struct source *counting(struct arena *a, unsigned count, char mode)
{
    struct counting *c = arena_one(a, struct counting);

    *c = (struct counting){{.fill = counting_fill, .close = counting_close}, count, mode};
    return &c->source;
}

/* An event feed: one piece per allowance, END after three. */
struct feed {
    struct source source;
    unsigned given;
};

static err feed_fill(struct source *s, struct source_out *out, enum source_state *ret)
{
    struct feed *f = (struct feed *)s;
    AUTO_LOCK(&T.lock);

    T.waiting = s;
    while (f->given < T.pieces && f->given < 3) {
        source_out_bytes(out, "event\n", 6);
        f->given++;
    }
    *ret = f->given == 3 ? SOURCE_END : SOURCE_WAIT;
    return OK;
}

static void feed_close(struct source *s)
{
    (void)s;
    AUTO_LOCK(&T.lock);
    T.waiting = NULL;
    T.closed++;
}

/* A clock: a piece every 20 ms, by wake_at_ms. */
static err clock_fill(struct source *s, struct source_out *out, enum source_state *ret)
{
    struct feed *f = (struct feed *)s;

    if (clock_mono_ms() >= s->wake_at_ms) {
        source_out_bytes(out, "tick\n", 5);
        f->given++;
        s->wake_at_ms = clock_mono_ms() + 20;
    }
    *ret = f->given == 3 ? SOURCE_END : SOURCE_WAIT;
    return OK;
}

static err echo(struct req *r)
{
    static _Thread_local char buf[30000];
    uint64_t sum = 0, len = 0;
    size_t n = 1;

    while (n > 0) {
        TRY(http_body_read(r, buf, sizeof buf, &n));
        len += n;
        for (size_t i = 0; i < n; i++)
            sum = sum * 31 + (unsigned char)buf[i];
    }
    return reply_text(
        r, 200, arena_printf(r->a, "%llu %llu", (unsigned long long)len, (unsigned long long)sum));
}

static err send_file(struct req *r)
{
    int fd = open(T.path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_os(r->a, "open", T.path);
    return reply_source(r, 200, "application/octet-stream", source_file(r->a, fd, 0, FILE_BYTES),
                        FILE_BYTES);
}

static err handle(struct req *r)
{
    str p = r->raw_path;
    str all;

    if (str_eq(p, STR("/hello")))
        return reply_text(r, 200, STR("hello"));
    if (str_eq(p, STR("/echo")))
        return echo(r);
    if (str_eq(p, STR("/all"))) {
        TRY(http_body_all(r, 1000, &all));
        return reply_text(r, 200, all);
    }
    if (str_eq(p, STR("/refuse")))
        return reply_text(r, 403, STR("no"));
    if (str_eq(p, STR("/file")))
        return send_file(r);
    if (str_eq(p, STR("/memory")))
        return reply_bytes(r, 200, "application/octet-stream", (str){T.file, FILE_BYTES});
    if (str_eq(p, STR("/chunks")))
        return reply_source(r, 200, "text/plain", counting(r->a, 100, 0), REPLY_UNKNOWN);
    if (str_eq(p, STR("/known")))
        return reply_source(r, 200, "text/plain", counting(r->a, 100, 0), 1000);
    if (str_eq(p, STR("/fails")))
        return reply_source(r, 200, "text/plain", counting(r->a, 100, 'f'), REPLY_UNKNOWN);
    if (str_eq(p, STR("/fails-late")))
        return reply_source(r, 200, "text/plain", counting(r->a, 100, 'l'), REPLY_UNKNOWN);
    if (str_eq(p, STR("/lies")))
        return reply_source(r, 200, "text/plain", counting(r->a, 99, 0), 1000);
    if (str_eq(p, STR("/hold"))) {
        while (sem_wait(&T.hold) != 0)
            continue;
        return reply_text(r, 200, STR("held"));
    }
    if (str_eq(p, STR("/events")) || str_eq(p, STR("/clock"))) {
        struct feed *f = arena_one(r->a, struct feed);

        f->source.fill = str_eq(p, STR("/events")) ? feed_fill : clock_fill;
        f->source.close = feed_close;
        return reply_source(r, 200, "text/plain", &f->source, REPLY_UNKNOWN);
    }
    return err_new(r->a, 404, "NotFound", "No such page.");
}

static void on_answer(struct req *r, void *arg)
{
    err e;

    (void)arg;
    {
        AUTO_LOCK(&T.lock);
        T.begun++;
    }
    e = handle(r);
    if (e) {
        e = reply_text(r, e->status, e->text);
        (void)e;
    }
}

static void on_done(struct req *r, void *arg)
{
    AUTO_LOCK(&T.lock);

    (void)arg;
    T.last = reply_info(r);
    T.done++;
    T.cut += T.last.cut;
}

static void start(unsigned workers_max)
{
    struct http_config c = {
        .address = "127.0.0.1",
        .loops = 2,
        .workers_max = workers_max,
        .connections_max = 100,
        .connections_per_peer = 3,
        .head_timeout_ms = 150,
        .idle_timeout_ms = 400,
        .body_timeout_ms = 200,
        .body_rate_min = 1024,
        .send_timeout_ms = 1000,
        .answer = on_answer,
        .done = on_done,
    };

    T.a = arena_new(0);
    T.pieces = T.begun = T.done = T.cut = T.closed = 0;
    assert_null(http_server_start(T.a, &c, &T.server));
}

static void stop(void)
{
    http_server_drain(T.server, 1000);
    http_server_free(T.server);
    arena_free(T.a);
}

/* Until so many requests have reached their handlers: a busy machine may take its time. */
static void await_begun(unsigned count)
{
    unsigned begun = 0;

    for (int ms = 0; ms < PATIENCE_MS && begun < count; ms++) {
        usleep(1000);
        AUTO_LOCK(&T.lock);
        begun = T.begun;
    }
    assert_true(begun >= count);
}

/* --- clients --- */

struct client {
    int fd;
    char *buf; /* what was received and not yet taken */
    size_t len, cap;
};

static struct client *dial(int receive_buffer)
{
    struct client *c = calloc(1, sizeof *c);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(T.server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_non_null(c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&at, sizeof at), 0);
    return c;
}

static void hang_up(struct client *c)
{
    fd_close(&c->fd);
    free(c->buf);
    free(c);
}

static void say(struct client *c, str text)
{
    assert_int_equal(write_full(c->fd, text.ptr, text.len), 0);
}
#define SAY(c, lit) say((c), STR(lit))

/* Receives more; 0 at the end, -1 when reset, -2 when nothing comes in time. */
static ssize_t hear(struct client *c, int timeout_ms)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    ssize_t n;

    if (poll(&p, 1, timeout_ms) <= 0)
        return -2;
    if (c->cap - c->len < 65536) {
        c->cap = 2 * c->cap + 65536;
        c->buf = realloc(c->buf, c->cap);
        assert_non_null(c->buf);
    }
    n = recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
    if (n > 0)
        c->len += (size_t)n;
    return n < 0 ? -1 : n;
}

static void forget(struct client *c, size_t count)
{
    c->len -= count;
    memmove(c->buf, c->buf + count, c->len);
}

struct answer {
    int status;
    char head[2048], *body; /* body: until the next answer of any client */
    size_t body_len;
    bool whole; /* the body ended as its framing says */
};

static void hear_until(struct client *c, size_t len)
{
    while (c->len < len)
        if (hear(c, PATIENCE_MS) <= 0)
            return;
}

/* Puts decoded chunks to the front of the buffer. */
static void hear_chunks(struct client *c, struct answer *ret)
{
    size_t at = 0;

    for (;;) {
        char *end = NULL;
        size_t size;

        while (!(end = c->len > at ? memmem(c->buf + at, c->len - at, "\r\n", 2) : NULL))
            if (hear(c, PATIENCE_MS) <= 0)
                return;
        size = strtoul(c->buf + at, NULL, 16);
        end += 2;
        memmove(c->buf + at, end, c->len - (size_t)(end - c->buf));
        c->len -= (size_t)(end - c->buf) - at;
        hear_until(c, at + size + 2);
        if (c->len < at + size + 2)
            return;
        memmove(c->buf + at + size, c->buf + at + size + 2, c->len - at - size - 2);
        c->len -= 2;
        at += size;
        ret->body_len = at;
        ret->whole = size == 0;
        if (size == 0)
            return;
    }
}

static struct answer answer_of(struct client *c, bool head_only)
{
    static char *body;
    struct answer r = {0};
    const char *end, *length;
    size_t n;

    while (!(end = c->len ? memmem(c->buf, c->len, "\r\n\r\n", 4) : NULL))
        if (hear(c, PATIENCE_MS) <= 0)
            return r;
    n = (size_t)(end - c->buf) + 4;
    assert_true(n < sizeof r.head);
    memcpy(r.head, c->buf, n);
    forget(c, n);
    r.status = (int)strtol(r.head + 9, NULL, 10);
    length = strstr(r.head, "Content-Length: ");
    r.whole = true;
    if (head_only || r.status == 100) {
        return r;
    } else if (length) {
        r.body_len = strtoul(length + 16, NULL, 10);
        hear_until(c, r.body_len);
        r.whole = c->len >= r.body_len;
    } else if (strstr(r.head, "chunked")) {
        r.whole = false;
        hear_chunks(c, &r);
    } else {
        while ((n = (size_t)hear(c, PATIENCE_MS)) > 0 && (ssize_t)n > 0)
            continue;
        r.body_len = c->len;
    }
    if (!r.whole)
        return r;
    body = realloc(body, r.body_len + 1);
    assert_non_null(body);
    if (r.body_len > 0)
        memcpy(body, c->buf, r.body_len);
    body[r.body_len] = 0;
    forget(c, r.body_len);
    r.body = body;
    return r;
}

/* The connection ends with a clean close, without another byte. */
static void expect_close(struct client *c)
{
    assert_int_equal(c->len, 0);
    assert_int_equal(hear(c, PATIENCE_MS), 0);
}

#define expect(c, wanted_status, wanted_body)                                                      \
    do {                                                                                           \
        struct answer r_ = answer_of((c), false);                                                  \
        assert_int_equal(r_.status, (wanted_status));                                              \
        assert_true(r_.whole);                                                                     \
        assert_string_equal(r_.body, (wanted_body));                                               \
    } while (0)

/* Waits for a condition that other threads bring about. */
#define eventually(cond)                                                                           \
    do {                                                                                           \
        bool is_ = false;                                                                          \
        for (unsigned i_ = 0; i_ < 400 && !is_; i_++) {                                            \
            pthread_mutex_lock(&T.lock);                                                           \
            is_ = (cond);                                                                          \
            pthread_mutex_unlock(&T.lock);                                                         \
            if (!is_)                                                                              \
                usleep(5000);                                                                      \
        }                                                                                          \
        assert_true(is_);                                                                          \
    } while (0)

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* --- stories --- */

static void keep_alive_and_pipelining(struct client *c)
{
    for (unsigned i = 0; i < 3; i++) {
        SAY(c, GET("/hello"));
        expect(c, 200, "hello");
    }
    SAY(c,
        GET("/hello") GET("/chunks") "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                                     "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" GET("/none"));
    expect(c, 200, "hello");
    assert_int_equal(answer_of(c, false).body_len, 1000);
    expect(c, 200, "abc");
    assert_int_equal(answer_of(c, true).status, 200);
    expect(c, 404, "No such page.");
    assert_int_equal(c->len, 0);
}

static void test_keep_alive(void **state)
{
    struct client *c;
    struct answer r;

    (void)state;
    start(4);
    c = dial(0);
    keep_alive_and_pipelining(c);
    /* 300 more in one write: more than one turn of a worker. */
    for (unsigned i = 0; i < 300; i++)
        SAY(c, GET("/hello"));
    for (unsigned i = 0; i < 300; i++)
        expect(c, 200, "hello");
    SAY(c, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    r = answer_of(c, false);
    assert_non_null(strstr(r.head, "Connection: close"));
    expect_close(c);
    hang_up(c);

    c = dial(0);
    SAY(c, "GET /hello HTTP/1.0\r\n\r\n");
    expect(c, 200, "hello");
    expect_close(c);
    hang_up(c);
    c = dial(0);
    SAY(c, "GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"); /* until close */
    assert_int_equal(answer_of(c, false).body_len, 1000);
    hang_up(c);
    stop();
}

static void test_head_and_known_length(void **state)
{
    struct client *c;
    struct answer r;

    (void)state;
    start(4);
    c = dial(0);
    SAY(c, "HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n" GET("/known"));
    r = answer_of(c, true);
    assert_non_null(strstr(r.head, "Content-Length: 8388608\r\n"));
    r = answer_of(c, false);
    assert_non_null(strstr(r.head, "Content-Length: 1000\r\n"));
    assert_int_equal(r.body_len, 1000);
    SAY(c, GET("/fails"));
    r = answer_of(c, false);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, "{\"error\":\"It broke.\"}");
    SAY(c, GET("/fails-late"));
    assert_false(answer_of(c, false).whole); /* cut, not ended */
    hang_up(c);
    c = dial(0);
    SAY(c, GET("/lies"));
    assert_false(answer_of(c, false).whole);
    hang_up(c);
    eventually(T.cut == 2 && T.closed == 4);
    stop();
}

static void test_bodies(void **state)
{
    struct client *c;

    (void)state;
    start(4);
    c = dial(0);
    SAY(c, "POST /all HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_int_equal(answer_of(c, false).status, 100);
    SAY(c, "hi");
    expect(c, 200, "hi");
    SAY(c, "POST /all HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 1\r\n\r\n" GET("/hello"));
    expect(c, 200, "abcdefg");
    expect(c, 200, "hello");
    SAY(c, "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    expect(c, 200, "");
    /* Nobody reads this body: it is eaten, and the connection lives on. */
    SAY(c, "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345" GET("/hello"));
    expect(c, 403, "no");
    expect(c, 200, "hello");
    SAY(c, "POST /refuse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0");
    expect(c, 403, "no");
    SAY(c, "\r\n\r\n" GET("/hello"));
    expect(c, 200, "hello");
    SAY(c, "POST /all HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n");
    say(c, (str){T.file, 1500});
    SAY(c, "\r\n0\r\n\r\n" GET("/hello"));
    assert_int_equal(answer_of(c, false).status, 413);
    expect(c, 200, "hello");
    SAY(c, "POST /all HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    assert_int_equal(answer_of(c, false).status, 400);
    expect_close(c);
    hang_up(c);
    stop();
}

static void test_upload(void **state)
{
    struct client *c;
    char want[64];
    uint64_t sum = 0;

    (void)state;
    for (size_t i = 0; i < 2000000; i++)
        sum = sum * 31 + (unsigned char)T.file[i];
    snprintf(want, sizeof want, "2000000 %llu", (unsigned long long)sum);
    start(4);
    c = dial(0);
    SAY(c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    say(c, (str){T.file, 2000000});
    expect(c, 200, want);
    SAY(c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, size = 1; at < 2000000; at += size, size = size * 7 % 50021) {
        char line[32];

        if (size > 2000000 - at)
            size = 2000000 - at;
        say(c, (str){line, (size_t)snprintf(line, sizeof line, "%zx\r\n", size)});
        say(c, (str){T.file + at, size});
        SAY(c, "\r\n");
    }
    SAY(c, "0\r\n\r\n");
    expect(c, 200, want);
    hang_up(c);
    stop();
}

static void test_refusals(void **state)
{
    struct client *c;

    (void)state;
    start(4);
    /* Refused while 100-continue is awaited: no 100, no reset. */
    c = dial(0);
    SAY(c, "PUT /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n");
    expect(c, 403, "no");
    expect_close(c);
    hang_up(c);
    /* Refused while 4 MiB are on their way: the answer still arrives. */
    c = dial(0);
    SAY(c, "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n");
    say(c, (str){T.file, 4194304});
    expect(c, 403, "no");
    expect_close(c);
    hang_up(c);
    c = dial(0);
    SAY(c, "PUT /all HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n");
    say(c, (str){T.file, 4194304});
    assert_int_equal(answer_of(c, false).status, 413);
    expect_close(c);
    hang_up(c);
    /* A malformed head, with more behind it. */
    c = dial(0);
    SAY(c, "GET / HTTP/1.1\r\nHost : a\r\n\r\n" GET("/hello") GET("/hello"));
    assert_int_equal(answer_of(c, false).status, 400);
    expect_close(c);
    hang_up(c);
    /* A malformed head behind a good one. */
    c = dial(0);
    SAY(c, GET("/hello") "GET /hello HTTP/3.0\r\n\r\n");
    expect(c, 200, "hello");
    assert_int_equal(answer_of(c, false).status, 505);
    expect_close(c);
    hang_up(c);
    stop();
}

static void test_slow_clients(void **state)
{
    struct client *loris, *mute, *half_body, *idle, *dead;
    int64_t begin;

    (void)state;
    start(4);
    begin = clock_mono_ms();
    loris = dial(0);
    mute = dial(0);
    half_body = dial(0);
    idle = dial(0);
    dead = dial(0);
    SAY(dead, "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    hang_up(dead);
    SAY(half_body, "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    SAY(idle, GET("/hello"));
    expect(idle, 200, "hello");
    for (unsigned i = 0; i < 8; i++) { /* a byte every 30 ms does not help */
        str text = STR(GET("/hello"));

        if (send(loris->fd, text.ptr + i, 1, MSG_NOSIGNAL) != 1)
            break;
        usleep(30000);
    }
    assert_int_equal(answer_of(loris, false).status, 408);
    expect_close(loris);
    assert_int_equal(answer_of(half_body, false).status, 408);
    expect_close(half_body);
    expect_close(mute);
    expect_close(idle);
    assert_true(clock_mono_ms() - begin < 1500);
    hang_up(loris);
    hang_up(mute);
    hang_up(half_body);
    hang_up(idle);
    eventually(T.done == 3);
    stop();
}

static void test_half_close(void **state)
{
    struct client *c;

    (void)state;
    start(4);
    c = dial(0);
    SAY(c, GET("/hello") GET("/clock"));
    shutdown(c->fd, SHUT_WR);
    expect(c, 200, "hello");
    expect(c, 200, "tick\ntick\ntick\n");
    expect_close(c);
    hang_up(c);
    c = dial(4096);
    SAY(c, GET("/memory"));
    shutdown(c->fd, SHUT_WR);
    usleep(20000);
    assert_int_equal(answer_of(c, false).body_len, FILE_BYTES);
    expect_close(c);
    hang_up(c);
    stop();
}

static void check_file(struct client *c, const char *path)
{
    struct answer r;
    char line[128];

    say(c, (str){line,
                 (size_t)snprintf(line, sizeof line, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)});
    r = answer_of(c, false);
    assert_int_equal(r.body_len, FILE_BYTES);
    assert_true(r.whole);
    assert_memory_equal(r.body, T.file, FILE_BYTES);
}

/* Eight readers that do not read, two workers: nobody else waits, and the bytes stay right. */
static void test_slow_readers(void **state)
{
    struct client *slow[8], *c;
    struct http_stats s;

    (void)state;
    start(2);
    for (unsigned i = 0; i < 8; i++) {
        slow[i] = dial(4096);
        if (i % 2)
            SAY(slow[i], GET("/file"));
        else
            SAY(slow[i], GET("/memory"));
    }
    for (unsigned i = 0; i < 8; i++)
        assert_true(hear(slow[i], PATIENCE_MS) > 0);
    c = dial(0);
    SAY(c, GET("/hello"));
    expect(c, 200, "hello");
    check_file(c, "/file");
    check_file(c, "/memory");
    for (unsigned i = 0; i < 100 && http_server_stats(T.server).workers_busy > 0; i++)
        usleep(5000);
    s = http_server_stats(T.server);
    assert_int_equal(s.workers, 2);
    assert_int_equal(s.workers_busy, 0);
    assert_int_equal(s.connections_open, 9);
    for (unsigned i = 0; i < 2; i++) {
        struct answer r = answer_of(slow[i], false);

        assert_true(r.whole);
        assert_memory_equal(r.body, T.file, FILE_BYTES);
    }
    for (unsigned i = 0; i < 8; i++)
        hang_up(slow[i]);
    hang_up(c);
    eventually(T.done == 11);
    assert_int_equal(T.cut, 6);
    stop();
}

static void test_stalled_reader_is_cut(void **state)
{
    struct client *c;

    (void)state;
    start(2);
    c = dial(4096);
    SAY(c, GET("/file"));
    eventually(T.done == 1); /* send_timeout_ms */
    assert_int_equal(T.cut, 1);
    assert_true(T.last.bytes_out < FILE_BYTES);
    hang_up(c);
    stop();
}

static void allow(unsigned pieces)
{
    AUTO_LOCK(&T.lock);
    T.pieces = pieces;
    if (T.waiting)
        source_wake(T.waiting);
}

static void test_events(void **state)
{
    struct client *c, *gone;

    (void)state;
    start(2);
    c = dial(0);
    SAY(c, GET("/events") GET("/hello"));
    hear_until(c, 20); /* the head comes at once */
    for (unsigned i = 1; i <= 3; i++) {
        usleep(10000);
        allow(i);
    }
    expect(c, 200, "event\nevent\nevent\n");
    expect(c, 200, "hello");
    assert_int_equal(T.closed, 1);
    allow(0);
    gone = dial(0);
    SAY(gone, GET("/events"));
    hear_until(gone, 20);
    usleep(300000); /* later than one that only shuts down its side */
    hang_up(gone);
    eventually(T.closed == 2); /* noticed while parked */
    SAY(c, GET("/clock"));
    expect(c, 200, "tick\ntick\ntick\n");
    hang_up(c);
    stop();
}

static void *wake_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20000; i++)
        allow(i % 4 == 3 ? 3 : 0);
    allow(3);
    return NULL;
}

static void test_wake_storm(void **state)
{
    struct client *c;
    pthread_t t;

    (void)state;
    start(2);
    c = dial(0);
    assert_int_equal(pthread_create(&t, NULL, wake_often, NULL), 0);
    for (unsigned i = 0; i < 100; i++) {
        SAY(c, GET("/events"));
        assert_int_equal(answer_of(c, false).body_len, 18);
    }
    pthread_join(t, NULL);
    hang_up(c);
    stop();
}

static void test_pool_grows(void **state)
{
    struct client *held[20], *c;
    unsigned count = 20;

    (void)state;
    start(64);
    for (unsigned i = 0; i < count; i++) {
        held[i] = dial(0);
        SAY(held[i], GET("/hold"));
    }
    c = dial(0);
    SAY(c, GET("/hello"));
    expect(c, 200, "hello");
    eventually(http_server_stats(T.server).workers_busy >= 20);
    for (unsigned i = 0; i < count; i++)
        sem_post(&T.hold);
    for (unsigned i = 0; i < count; i++) {
        expect(held[i], 200, "held");
        hang_up(held[i]);
    }
    hang_up(c);
    stop();
}

/* The 101st waits outside until one of the hundred leaves. */
static void test_connections_max(void **state)
{
    struct client *c[101];

    (void)state;
    start(4);
    for (unsigned i = 0; i < 101; i++)
        c[i] = dial(0);
    SAY(c[99], GET("/hello"));
    expect(c[99], 200, "hello");
    SAY(c[100], GET("/hello"));
    assert_int_equal(hear(c[100], 30), -2);
    hang_up(c[0]);
    expect(c[100], 200, "hello");
    for (unsigned i = 1; i < 101; i++)
        hang_up(c[i]);
    stop();
}

static void *post_later(void *arg)
{
    (void)arg;
    usleep(50000);
    sem_post(&T.hold);
    return NULL;
}

static void test_drain(void **state)
{
    struct client *held, *idle, *reader, *events;
    struct answer r;
    pthread_t t;

    (void)state;
    start(4);
    held = dial(0);
    idle = dial(0);
    reader = dial(4096);
    events = dial(0);
    SAY(events, GET("/events"));
    hear_until(events, 20);
    SAY(reader, GET("/file"));
    SAY(idle, GET("/hello"));
    expect(idle, 200, "hello");
    SAY(held, GET("/hold"));
    await_begun(4);
    assert_int_equal(pthread_create(&t, NULL, post_later, NULL), 0);
    http_server_drain(T.server, 200);
    pthread_join(t, NULL);
    r = answer_of(held, false);
    assert_string_equal(r.body, "held"); /* it was allowed to finish */
    assert_non_null(strstr(r.head, "Connection: close"));
    expect_close(idle);
    assert_false(answer_of(reader, false).whole);
    assert_false(answer_of(events, false).whole);
    assert_int_equal(T.done, 4);
    assert_int_equal(T.cut, 2);
    hang_up(held);
    hang_up(idle);
    hang_up(reader);
    hang_up(events);
    http_server_free(T.server);
    arena_free(T.a);
}

/* A worker that waits for a body must not hold up the drain beyond its timeout. */
static void test_drain_cuts_uploads(void **state)
{
    struct client *c;

    (void)state;
    start(4);
    c = dial(0);
    SAY(c, "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    await_begun(1);
    http_server_drain(T.server, 20);
    assert_int_equal(T.done, 1);
    hang_up(c);
    http_server_free(T.server);
    arena_free(T.a);
}

static void test_client(void **state)
{
    struct http_call call = {.method = "GET", .response_max = 1000};
    struct http_call_header h[] = {{STR("X-A"), STR("1")}, {STR("X-Empty"), STR("")}};
    struct http_answer r;
    err e;

    (void)state;
    start(4);
    call.url = arena_printf(T.a, "http://127.0.0.1:%u/hello", http_server_port(T.server));
    call.headers = h;
    call.header_count = 2;
    assert_null(http_call(T.a, &call, &r));
    assert_int_equal(r.status, 200);
    assert_true(str_eq(r.body, STR("hello")));
    assert_true(str_starts(r.content_type, STR("text/plain")));
    call.url = arena_printf(T.a, "http://127.0.0.1:%u/all", http_server_port(T.server));
    call.method = "PUT";
    call.body = STR("some bytes");
    assert_null(http_call(T.a, &call, &r));
    assert_true(str_eq(r.body, STR("some bytes")));
    call.url = arena_printf(T.a, "http://127.0.0.1:%u/file", http_server_port(T.server));
    call.method = "GET";
    call.body = STR("");
    e = http_call(T.a, &call, &r);
    assert_true(e && e->status == 502);
    h[0].value = STR("a\r\nX-Evil: 1");
    assert_non_null(http_call(T.a, &call, &r));
    call.header_count = 0;
    call.url = STR("file:///etc/passwd");
    e = http_call(T.a, &call, &r);
    assert_true(e && e->status == 502);
    call.url = STR("http://127.0.0.1:1/");
    e = http_call(T.a, &call, &r);
    assert_true(e && e->status == 502);
    stop();
}

/* Counts bodies until `want` bytes of answers have come. */
static bool hear_bytes(int fd, size_t want)
{
    char buf[4096];

    while (want > 0) {
        ssize_t n = recv(fd, buf, want < sizeof buf ? want : sizeof buf, 0);

        if (n <= 0)
            return false;
        want -= (size_t)n;
    }
    return true;
}

static atomic_uint crowd_ok;

/* No asserts of cmocka here: they belong to the main thread. */
static void *one_of_the_crowd(void *arg)
{
    static const char ask[] = GET("/hello") GET("/hello");
    size_t answer_bytes = *(const size_t *)arg;
    struct client *c = dial(0);
    bool ok = true;

    for (unsigned i = 0; i < 40 && ok; i++)
        ok = send(c->fd, ask, sizeof ask - 1, MSG_NOSIGNAL) == sizeof ask - 1 &&
             hear_bytes(c->fd, 2 * answer_bytes);
    atomic_fetch_add(&crowd_ok, ok);
    hang_up(c);
    return NULL;
}

static void test_crowd(void **state)
{
    pthread_t t[24];
    size_t answer_bytes;
    struct client *c;

    (void)state;
    start(8);
    c = dial(0);
    SAY(c, GET("/hello"));
    answer_bytes = strlen(answer_of(c, false).head) + 5;
    hang_up(c);
    for (unsigned i = 0; i < 24; i++)
        assert_int_equal(pthread_create(&t[i], NULL, one_of_the_crowd, &answer_bytes), 0);
    for (unsigned i = 0; i < 24; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(crowd_ok, 24);
    eventually(T.done == 24 * 80 + 1);
    assert_int_equal(http_server_stats(T.server).requests, 24 * 80 + 1);
    stop();
}

static int set_up(void **state)
{
    int fd;
    uint64_t x = 88172645463325252u;

    (void)state;
    pthread_mutex_init(&T.lock, NULL);
    sem_init(&T.hold, 0, 0);
    T.file = malloc(FILE_BYTES);
    if (!T.file)
        return -1;
    for (size_t i = 0; i < FILE_BYTES; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(T.file + i, &x, 8);
    }
    snprintf(T.path, sizeof T.path, "/tmp/http_server_test.XXXXXX");
    fd = mkstemp(T.path);
    if (fd < 0 || write_full(fd, T.file, FILE_BYTES) != 0)
        return -1;
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(T.path);
    free(T.file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_head_and_known_length),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_slow_clients),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_slow_readers),
        cmocka_unit_test(test_stalled_reader_is_cut),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_wake_storm),
        cmocka_unit_test(test_pool_grows),
        cmocka_unit_test(test_connections_max),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_cuts_uploads),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests_name("http_server", tests, set_up, tear_down);
}
