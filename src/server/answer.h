/* answer.h — from a request head to its answer: what every request goes through. */
#pragma once
#include "http/reply.h"
#include "store/store.h"

struct app {
    struct store *store;
    struct router *router;
    struct quota *quota;
    struct metrics *metrics;
    str site_prefix; /* path part of base_url, "" without one */
};

void server_answer(struct req *r, void *app); /* http_config.answer */
void server_done(struct req *r, void *app);   /* http_config.done: access line, counters */

extern const struct err_info server_no_route; /* 404: nothing at this address */
extern const struct route server_routes[];
extern const size_t server_route_count;
