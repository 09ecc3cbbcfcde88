/* reply_head.h — private to http/: the answer while it is put together, and its head as bytes. */
#pragma once
#include "http/reply.h"

#define REPLY_HEADERS_MAX 64

struct reply {
    int status;
    bool complete; /* a reply_* function was called */
    bool no_gzip;
    bool close; /* the handler asked for Connection: close */
    struct reply_header {
        str name, value;
    } * headers;
    size_t header_count, header_cap;
    struct source *source; /* NULL: no body */
    uint64_t len;          /* body bytes, or REPLY_UNKNOWN */
    struct reply_info info;
};

/* May an answer of this status have a body? */
bool reply_may_have_body(int status);
/* Status line and headers with their empty line; `close`: the connection ends after it. */
str reply_head_bytes(const struct req *r, bool close);
/* Will the body travel in chunks? */
bool reply_is_chunked(const struct req *r);
/* Forgets everything set so far and answers with the err: for a source that fails at once. */
void reply_fail(struct req *r, err e);
/* {"error": text} for an err that has no request. */
str reply_err_json(struct arena *a, err e);
const char *reply_reason(int status);

/* gzip.c: the compressed body (freed with the arena), or false when it is not worth it. */
bool gzip_bytes(struct arena *a, str body, str *ret);
bool gzip_accepted(str accept_encoding);
bool gzip_type(str content_type);
