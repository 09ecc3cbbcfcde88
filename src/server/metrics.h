/* metrics.h — numbers for monitoring: GET /metrics in the Prometheus text format. */
#pragma once
#include "http/reply.h"

struct metrics;
struct http_server;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* accepts NULL */
/* The server whose connections are counted; NULL: none (any more). */
void metrics_set_server(struct metrics *m, struct http_server *s);
/* Counts a request that is over.  Any thread. */
void metrics_count(struct metrics *m, const struct req *r, const struct reply_info *info);
