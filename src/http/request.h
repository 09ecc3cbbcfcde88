/* request.h — one request as a handler sees it.
 *
 * Lives in its own arena from the moment its head has arrived until the source of its answer is
 * closed.  http/ fills the first part; server/ (route, auth) the second; handlers read both.
 */
#pragma once
#include "base/json.h"
#include "base/text.h"
#include "http/route.h"

struct conn;
struct user;
struct repo;
struct store;
struct app;

#define HTTP_HEADERS_MAX 100

struct http_header {
    str name;  /* as sent; compare with str_ieq */
    str value; /* raw bytes without surrounding blanks */
};

struct req {
    /* --- from http/ --- */
    struct arena *a;
    struct conn *conn;
    enum http_method method;
    str method_text;
    str target;    /* raw request target, for signatures */
    str raw_path;  /* of the target, undecoded, always begins with '/' */
    str raw_query; /* without '?', may be empty */
    const struct http_header *headers;
    size_t header_count;
    unsigned http_minor;     /* 0 or 1 */
    str peer;                /* address text of the TCP peer, e.g. 127.0.0.1 */
    int64_t started_us;      /* monotonic */
    uint64_t serial;         /* counts requests of this process */
    uint64_t content_length; /* declared; UINT64_MAX for chunked, 0 for none */

    /* --- from server/ --- */
    struct app *app; /* server/app.h */
    struct store *store;
    str request_id;   /* value of X-Request-Id */
    str client;       /* client address after trusted proxies */
    str scheme, host; /* as the client sees them */
    str base;         /* "http://host:port[/prefix]", no trailing slash */
    str path;         /* raw_path without the deployment's prefix (and without the twin's suffix) */
    str twin;         /* "md" or "json" when the path asked for that rendering of a page */
    const struct route *route;
    struct route_match match;
    struct url_query query;
    struct user *user; /* NULL: nobody */
    struct repo *repo; /* the repository that auth_allow checked for route->scope */
    str body;          /* BODY_JSON, BODY_FORM */
    const struct json *json;
    struct url_query form;

    /* --- the answer, written by reply.h --- */
    struct reply *reply;
    err failed; /* what server/ turned into the answer, for the access line */
};

str req_header(const struct req *r, const char *name); /* first value; ptr NULL when absent */
str req_param(const struct req *r,
              const char *name); /* decoded path parameter; ptr NULL when absent */
str req_query(const struct req *r, const char *name); /* first value; ptr NULL when absent */
bool req_query_bool(const struct req *r, const char *name);
bool req_is_head(const struct req *r);

/* Reads up to `len` body bytes (blocking, with deadlines and a minimum rate).  *ret 0 at the end.
 * Sends 100 Continue on the first call when the client waits for it.  Fails with 400 on bad
 * chunking, 408 when the client is too slow; the connection then closes after the answer. */
MUST err http_body_read(struct req *r, void *p, size_t len, size_t *ret);
/* The whole body, at most `max` bytes; 413 above. In the request's arena. */
MUST err http_body_all(struct req *r, size_t max, str *ret);
