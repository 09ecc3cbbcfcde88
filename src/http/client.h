/* client.h — outgoing HTTP requests (behind it: libcurl). */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct http_call {
    const char *method; /* "GET", "POST", … */
    str url;
    const struct http_call_header {
        str name, value;
    } * headers;
    size_t header_count;
    str body;
    unsigned timeout_ms;   /* whole call; 0 = 30 s */
    size_t response_max;   /* bytes of the answer kept; more fails */
    bool follow_redirects; /* at most 5, never to another scheme than http(s) */
};
struct http_answer {
    int status;
    str body;
    str content_type;
};
/* Fails with 502 when the peer cannot be reached or breaks off; any HTTP status is a success. */
MUST err http_call(struct arena *a, const struct http_call *c, struct http_answer *ret);
