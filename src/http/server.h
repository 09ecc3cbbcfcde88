/* server.h — the HTTP/1.1 server: N epoll loops and an elastic pool of blocking workers.
 *
 * A loop owns a connection while it is idle, while a head is arriving (16 KiB, 100 headers, one
 * deadline for the whole head) and while an answer waits for the socket.  A worker owns it from a
 * complete, well-formed head until the answer is handed over.  Malformed heads are answered by
 * the loop (400, 408, 414, 431, 501, 505) and the connection closes.
 */
#pragma once
#include "http/reply.h"

struct http_config {
    const char *address;           /* "127.0.0.1", "::1", "0.0.0.0" … */
    unsigned port;                 /* 0 picks a free one */
    unsigned loops;                /* 0: one per core */
    unsigned workers_max;          /* threads at most (elastic, start with 2 per core) */
    unsigned connections_max;      /* all together; above: accept pauses */
    unsigned connections_per_peer; /* above: 503 and close; loopback is exempt; 0: no limit */
    unsigned head_timeout_ms;      /* whole head, from its first byte */
    unsigned idle_timeout_ms;      /* keep-alive without a byte; also before the first byte */
    unsigned body_timeout_ms;      /* silence inside a request body */
    unsigned body_rate_min;   /* bytes per second, averaged over 10 s windows after the first */
    unsigned send_timeout_ms; /* a socket that takes nothing for this long is closed */

    /* Answers one request on a worker thread: exactly one reply_* has been called on return. */
    void (*answer)(struct req *r, void *arg);
    /* Called when the answer's source has closed (or the connection broke); then the arena resets.
     */
    void (*done)(struct req *r, void *arg);
    void *arg;
};

struct http_server;
MUST err http_server_start(struct arena *a, const struct http_config *c, struct http_server **ret);
unsigned http_server_port(const struct http_server *s);
/* Stops accepting, closes idle connections, lets running answers finish for at most timeout_ms,
 * then cuts what is left.  Returns when all threads have ended. */
void http_server_drain(struct http_server *s, unsigned timeout_ms);
void http_server_free(struct http_server *s);

struct http_stats {
    uint64_t requests, connections_open, workers, workers_busy, refused, bytes_out, bytes_in;
};
struct http_stats http_server_stats(const struct http_server *s);
