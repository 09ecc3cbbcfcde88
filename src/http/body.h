/* body.h — private to http/: how much of the current request's body is still to come. */
#pragma once
#include "http/chunked.h"

struct conn;

struct http_body {
    uint64_t left; /* of Content-Length */
    bool is_chunked;
    bool expects_continue; /* the client waits for 100 Continue, not sent yet */
    bool silent;           /* nothing was read yet */
    err failed;            /* the body broke; every later read fails alike */
    struct http_chunked chunked;
    uint64_t read_bytes;   /* decoded or dropped so far */
    int64_t waited_ms;     /* of the current rate window: time spent waiting for the client … */
    uint64_t window_bytes; /* … and what came in it */
    bool first_window_over;
};

void body_begin(struct http_body *b, uint64_t content_length, bool expects_continue);
bool body_is_over(const struct http_body *b);
/* Can the rest be eaten to keep the connection? */
bool body_is_drainable(const struct http_body *b);
/* The client was waited for during `ms`; fails with 408 when it stays below the minimum rate (the
 * first window is free).  Time that the handler spends elsewhere does not count. */
#define BODY_RATE_WINDOW_MS 10000
MUST err body_note_wait(struct http_body *b, int64_t ms, unsigned rate_min);
/* Drops body bytes from the connection's buffer; false when the framing is broken. */
bool body_drop_buffered(struct conn *c);
