/* route.h — patterns that are data, and the walk from a path to its route.
 *
 * A pattern is a list of segments:
 *   literal    must be equal, byte by byte (after percent-decoding)
 *   {name}     exactly one non-empty segment, percent-decoded (may then contain '/')
 *   {name*}    the rest of the path, may be empty; each segment decoded, joined by '/'
 *   {kind}     one of models, datasets, spaces                     → param "kind"
 *   {prefix}   a segment that may be absent: one of models, datasets, spaces         → param "kind"
 * ("models" for nothing) {repo}     two segments ns/name                                → param
 * "repo" = "ns/name" {repo}.git in front of further segments: ns/name or ns/name.git {repo1}    one
 * segment or two (clients accept ids without a namespace) {rev}      one segment, or three when
 * they read refs/pr/N or refs/convert/NAME raw The raw path is split on '/' before anything is
 * decoded.  The most literal route wins; among equals the first in the table.  Bad escapes and %00
 * never reach this table (400 in the head parser).
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct req;

enum http_method { M_GET, M_HEAD, M_POST, M_PUT, M_DELETE, M_PATCH, M_OPTIONS, M_OTHER };

/* Who may call; the table in docs/access.md explains each. */
enum scope {
    SCOPE_OPEN,       /* anyone */
    SCOPE_LOGIN,      /* an authenticated user (token of any role) */
    SCOPE_ACCOUNT,    /* an authenticated user with a token that may write */
    SCOPE_READ,       /* may read the repository of the path */
    SCOPE_CONTRIBUTE, /* may propose: any user who may read, with a writing token (create_pr) */
    SCOPE_WRITE,      /* may write to the repository of the path */
    SCOPE_ADMIN,      /* may change settings of the repository of the path */
    SCOPE_SITE,       /* site admin */
    SCOPE_SIGNED,     /* the URL carries its own authorisation; the handler verifies it */
    SCOPE_CAS,        /* Authorization holds a CAS token; the handler verifies it (xet/token.c) */
    SCOPE_GIT, /* smart HTTP and LFS: read or write by service; the handler checks with auth_repo */
};
/* How the body is read before the handler runs. */
enum body_kind {
    BODY_NONE,   /* must be empty or is ignored (drained up to 64 KiB) */
    BODY_JSON,   /* at most settings' json_body_max, in r->body and parsed in r->json */
    BODY_FORM,   /* JSON or x-www-form-urlencoded: r->json or r->form */
    BODY_STREAM, /* left for the handler: http_body_read() */
};

struct route {
    enum http_method method; /* GET answers HEAD too */
    str pattern;
    const char *name; /* handler's name, for logs and metrics */
    err (*handler)(struct req *r);
    enum scope scope;
    enum body_kind body;
};

#define ROUTE_PARAMS_MAX 8
struct route_param {
    str name, value;
};
struct route_match {
    const struct route *route;
    struct route_param params[ROUTE_PARAMS_MAX];
    size_t param_count;
    unsigned allowed; /* when only the method did not fit: bit set of 1u << http_method */
};

struct router;
/* Compiles the table; aborts on a malformed pattern (a programmer's mistake). */
struct router *router_new(const struct route *routes, size_t count);
void router_free(struct router *t);
/* Finds the route for a raw path.  False: no pattern fits, or only for other methods
 * (ret->allowed). */
bool router_find(const struct router *t, struct arena *a, enum http_method m, str raw_path,
                 struct route_match *ret);
