/* git_body.h — the body of a git request, inflated when git sent it gzipped. */
#pragma once
#include "git/pkt.h"
#include "hub/hub.h"

struct git_body;
struct git_body *git_body_new(struct req *r); /* lives in the request's arena */
/* At most `len` bytes; *ret_len 0 at the end.  400 on a damaged gzip stream. */
MUST err git_body_read(struct git_body *b, void *p, size_t len, size_t *ret_len);
struct pkt_input git_body_input(struct git_body *b);
/* All of it; 413 past `max`. */
MUST err git_body_all(struct git_body *b, size_t max, str *ret);
