/* reply.h — answering a request.
 *
 * A handler sets headers in any order, then calls one reply_*; the first complete reply wins and
 * a second one is a programmer's mistake (assert).  Headers set before an err is returned travel
 * with the error answer.  Content-Length is always sent when known (HEAD too); HEAD never gets a
 * body.  Header names and values are checked: CR, LF and NUL never get out.
 */
#pragma once
#include "http/request.h"
#include "http/source.h"

#define REPLY_UNKNOWN UINT64_MAX /* length not known: chunked (HTTP/1.0: until close) */

void reply_header(struct req *r, const char *name,
                  str value); /* adds; replaces Content-Type, ETag, Location */
bool reply_has_header(const struct req *r, const char *name);

MUST err reply_empty(struct req *r, int status); /* Content-Length: 0; 204 and 304 without */
MUST err reply_text(struct req *r, int status, str text); /* text/plain; charset=utf-8 */
MUST err reply_bytes(struct req *r, int status, const char *content_type, str body);
MUST err reply_json(struct req *r, int status,
                    const struct json_out *j); /* application/json; charset=utf-8 */
/* The source belongs to http/ from here on, also when this fails. `len` or REPLY_UNKNOWN. */
MUST err reply_source(struct req *r, int status, const char *content_type, struct source *s,
                      uint64_t len);
MUST err reply_redirect(struct req *r, int status, str location);

/* Text answers of known types are gzipped when the client accepts it and the body has at least
 * 1,400 bytes; files are never.  A handler that serves files calls this to be sure. */
void reply_no_gzip(struct req *r);

/* For the access log and metrics, after the source closed. */
struct reply_info {
    int status;         /* 0: nothing was answered */
    uint64_t bytes_out; /* body bytes that the socket took */
    bool cut;           /* the connection broke or the source failed before the end */
};
struct reply_info reply_info(const struct req *r);
bool reply_started(const struct req *r);
