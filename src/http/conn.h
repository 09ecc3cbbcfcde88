/* conn.h — private to http/: connections, loops, workers, and who owns what when.
 *
 *   accept ─▶ IDLE ──bytes──▶ HEAD ──complete──▶ WORK ──answered──▶ IDLE (or the next head at once)
 *               ▲                                 │ ▲
 *               │        socket full ─▶ SEND ─────┤ │ writable and all given parts sent
 *               │        source waits ▶ WAIT ─────┘ │ source_wake(), wake_at_ms, client gone
 *               └── DRAIN ◀── body not read         │
 *                   LINGER ◀── refused, closing: read what still comes, then CLOSE
 *
 * In WORK the connection belongs to the pool (its queue or one worker), in every other state to
 * its loop.  `state` changes under `conn.lock`; the owner touches everything else without a lock.
 * A worker gives a connection back with conn_park() and does not look at it again; only the loop
 * closes and frees.
 *
 * Lock order: conn.lock → loop.inbox_lock; pool.lock, loop.spare_lock and peers.lock are leaves.
 */
#pragma once
#include "http/body.h"
#include "http/head.h"
#include "http/reply_head.h"
#include "http/server.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CONN_BUF_BYTES (HTTP_HEAD_MAX + 64)
#define SPARE_ARENAS_MAX 64         /* of a loop, kept for the next requests */
#define CONN_DRAIN_MAX (256u << 10) /* unread body that is eaten to keep the connection */
#define CONN_DRAIN_MS 2000
#define CONN_LINGER_MAX (32u << 20) /* what is read from a refused client before the cut */
#define CONN_LINGER_MS 10000
#define CONN_LINGER_SILENCE_MS 2000
/* A client that shuts down its side this soon after its request still reads; later it is gone.
 * (Keep-alive probes find out about one that was gone at once.) */
#define CONN_HALF_CLOSE_MS 250
#define CONN_REQUEST_ARENA_MAX ((size_t)256 << 20)

enum conn_state {
    CONN_NEW,    /* in the inbox of its loop */
    CONN_IDLE,   /* no byte of a request yet */
    CONN_HEAD,   /* a part of a head has arrived */
    CONN_WORK,   /* owned by the pool */
    CONN_SEND,   /* waits for the socket to take more */
    CONN_WAIT,   /* waits for its source */
    CONN_DRAIN,  /* answered; eats the rest of the body */
    CONN_LINGER, /* answered and half closed; reads until the client closes */
    CONN_CLOSE,  /* in the inbox to be closed */
    CONN_DEAD,   /* closed, freed at the end of the round */
};

enum conn_task { TASK_ANSWER, TASK_FILL, TASK_FINISH };

struct exchange;
struct peer;

struct conn {
    unsigned magic;
    int fd;
    struct loop *loop;
    struct http_server *server;
    pthread_mutex_t lock;
    enum conn_state state; /* lock */

    enum conn_task task;
    bool broken;              /* reading or writing failed: no more bytes either way */
    bool half_closed;         /* the client has shut down its side, but waits for the answer */
    bool close_after;         /* this answer is the last */
    bool over_limit;          /* NEW: refuse with 503 */
    int64_t deadline_ms;      /* lock; of `state`, 0: none */
    int64_t head_deadline_ms; /* set by the first byte of a head */

    struct conn *prev, *next;             /* loop->conns; loop thread */
    struct conn *inbox_prev, *inbox_next; /* loop->inbox_lock */
    bool in_inbox;                        /* loop->inbox_lock */
    struct conn *queue_next;              /* pool->lock */
    atomic_bool woken;                    /* source_wake() since the last fill */

    char *buf; /* CONN_BUF_BYTES or NULL; bytes [start, end) have arrived and are unread */
    uint32_t buf_start, buf_end;
    struct http_head_scan scan; /* over the bytes from buf_start on */
    struct http_body body;
    struct exchange *x;
    uint64_t lingered;
    int64_t linger_end_ms;
    struct peer *peer; /* counted; NULL: exempt */
    char peer_text[48];
};
_Static_assert(sizeof(struct conn) <= 640, "an idle connection stays small");

/* One request and its answer; lives in the request's arena. */
struct exchange {
    struct req req;
    struct reply reply;
    struct arena *a;

    /* What is being sent: head | frame_head | parts | frame_tail. */
    str head, frame_head, frame_tail;
    struct source_out out;
    enum source_state state;
    size_t at;        /* segment of the four above, counted through; */
    uint64_t at_sent; /* bytes of it that are gone */
    bool chunked;
    uint64_t given; /* body bytes that the source gave so far */
    char frame[24];
};

struct loop {
    struct http_server *server;
    pthread_t thread;
    int epoll_fd, event_fd;
    struct conn *conns;
    size_t conn_count;
    struct conn *graveyard;
    atomic_llong scan_at_ms; /* when deadlines are looked at next */
    atomic_bool poked;

    pthread_mutex_t inbox_lock;
    struct conn *inbox, *inbox_last; /* inbox_lock */

    pthread_mutex_t spare_lock;
    void *spare_bufs; /* spare_lock: a list through the first bytes */
    size_t spare_buf_count;
    struct arena *spare_arenas[SPARE_ARENAS_MAX]; /* spare_lock */
    size_t spare_arena_count;
    char *scratch; /* for bytes that nobody wants */
};

struct pool;
struct peers;

struct http_server {
    struct http_config config;
    unsigned port;
    int listen_fd;
    struct loop *loops;
    unsigned loop_count, loops_running;
    int tick_ms;
    struct pool *pool;
    struct peers *peers;
    bool accepting;          /* loop 0 */
    unsigned next_loop;      /* loop 0 */
    int64_t accept_again_ms; /* loop 0 */
    atomic_bool draining, cutting, stopping, accept_paused;
    atomic_ullong connections, requests, refused, bytes_out, bytes_in, serial;
};

/* --- conn.c: life of a connection, from either side --- */
struct conn *conn_new(struct http_server *s, struct loop *l, int fd);
void conn_check(const struct conn *c); /* asserts the magic number */
/* Hands the connection to its loop in `state`, waiting for `events` until the deadline (0: none).
 * The caller does not touch it afterwards. */
void conn_park(struct conn *c, enum conn_state state, uint32_t events, int64_t deadline_ms);
/* WAIT, unless source_wake() came first: then false, and the caller still owns the connection. */
bool conn_park_wait(struct conn *c, int64_t wake_at_ms);
void conn_dispatch(struct conn *c, enum conn_task task); /* loop → pool */
/* Looks at the buffered bytes for the next request.  True: c->x is ready to be answered.  False:
 * more bytes are needed, or the head was refused; the connection is then parked. */
bool conn_take_request(struct conn *c);
/* After an answer: True when the next request is at hand already, else parked. */
bool conn_next(struct conn *c);
void conn_linger(struct conn *c); /* half closes, reads a while, closes */
void conn_drop(struct conn *c);   /* closes as soon as the loop gets to it */
void conn_refuse(struct conn *c, err e);
char *conn_buf(struct conn *c); /* makes sure there is a buffer */
void conn_buf_release(struct conn *c);
static inline str conn_buffered(const struct conn *c)
{
    return (str){c->buf ? c->buf + c->buf_start : NULL, c->buf_end - c->buf_start};
}
void conn_buf_eat(struct conn *c, size_t count);

/* --- loop.c --- */
MUST err loop_init(struct arena *a, struct loop *l, struct http_server *s);
void loop_deinit(struct loop *l);
void *loop_run(void *arg); /* a struct loop */
void loop_poke(struct loop *l);
void loop_post(struct loop *l, struct conn *c); /* into the inbox, once */
bool loop_is_mine(const struct loop *l);        /* is this thread the loop? */
void loop_scan_before(struct loop *l, int64_t at_ms);
struct arena *loop_arena_take(struct loop *l);
void loop_arena_give(struct loop *l, struct arena *a);

/* --- pool.c --- */
MUST err pool_start(struct arena *a, struct http_server *s, struct pool **ret);
void pool_submit(struct pool *p, struct conn *c);
void pool_stop(struct pool *p); /* joins everything, frees p */
void pool_counts(struct pool *p, uint64_t *ret_workers, uint64_t *ret_busy);

/* --- exchange.c: what a worker does with a connection --- */
void exchange_work(struct conn *c);

/* --- send.c --- */
enum sent { SENT_ALL, SENT_BLOCKED, SENT_BROKEN };
/* Sends the given parts without blocking; at most about `budget` bytes, then SENT_BLOCKED.
 * *ret_progress: something was taken. */
enum sent send_parts(struct conn *c, uint64_t budget, bool *ret_progress);

/* --- peers.c --- */
struct peers *peers_new(void);
void peers_free(struct peers *p);
/* Counts a connection of this address.  False: it has `max` already.  *ret NULL for loopback. */
bool peers_enter(struct peers *p, const struct sockaddr_storage *from, unsigned max,
                 struct peer **ret);
void peers_leave(struct peers *p, struct peer *e); /* accepts NULL */
void peers_text(const struct sockaddr_storage *from, char *ret, size_t size);
