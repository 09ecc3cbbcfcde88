/* reply.c — see reply.h. */
#include "base/clock.h"
#include "http/conn.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define GZIP_MIN 1400

const char *reply_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } table[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {425, "Too Early"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].status == status)
            return table[i].reason;
    return "Status";
}

/* --- headers --- */

/* The value without bytes that could end or bend the line. */
static str safe_value(struct arena *a, str v)
{
    size_t i = 0;
    char *copy;

    v = str_trim(v);
    while (i < v.len && http_is_value_byte((unsigned char)v.ptr[i]))
        i++;
    copy = arena_alloc(a, v.len + 1);
    if (v.len > 0)
        memcpy(copy, v.ptr, v.len);
    for (; i < v.len; i++)
        if (!http_is_value_byte((unsigned char)copy[i]))
            copy[i] = ' ';
    return (str){copy, v.len};
}

static bool is_single(str name)
{
    return str_ieq(name, STR("Content-Type")) || str_ieq(name, STR("ETag")) ||
           str_ieq(name, STR("Location"));
}

static struct reply_header *find(const struct reply *p, str name)
{
    for (size_t i = 0; i < p->header_count; i++)
        if (str_ieq(p->headers[i].name, name))
            return &p->headers[i];
    return NULL;
}

static struct reply_header *header_slot(struct req *r)
{
    struct reply *p = r->reply;

    if (p->header_count == p->header_cap) {
        struct reply_header *old = p->headers;

        assert(p->header_cap < REPLY_HEADERS_MAX);
        p->header_cap = p->header_cap ? 2 * p->header_cap : 8;
        p->headers = arena_many(r->a, struct reply_header, p->header_cap);
        if (old)
            memcpy(p->headers, old, p->header_count * sizeof *old);
    }
    return &p->headers[p->header_count++];
}

void reply_header(struct req *r, const char *name, str value)
{
    str n = str_c(name);
    struct reply_header *h = is_single(n) ? find(r->reply, n) : NULL;

    assert(http_is_token(n));
    /* Framing belongs to this folder. */
    assert(!str_ieq(n, STR("Content-Length")) && !str_ieq(n, STR("Transfer-Encoding")));
    if (str_ieq(n, STR("Connection"))) {
        r->reply->close = r->reply->close || str_ieq(value, STR("close"));
        return;
    }
    if (!h)
        h = header_slot(r);
    *h = (struct reply_header){n, safe_value(r->a, value)};
}

bool reply_has_header(const struct req *r, const char *name)
{
    return find(r->reply, str_c(name)) != NULL;
}

/* --- complete answers --- */

bool reply_may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void complete(struct req *r, int status, struct source *s, uint64_t len)
{
    struct reply *p = r->reply;

    assert(!p->complete);
    assert(status >= 200 && status <= 599);
    p->complete = true;
    p->status = status;
    p->source = s;
    p->len = len;
    p->info.status = status;
    if (s)
        __atomic_store_n(&s->conn, r->conn, __ATOMIC_RELEASE);
}

err reply_empty(struct req *r, int status)
{
    complete(r, status, NULL, 0);
    return OK;
}

/* Compresses *body when that is wanted and worth it, and tells so in the headers. */
static void maybe_gzip(struct req *r, int status, str *body)
{
    struct reply *p = r->reply;
    const struct reply_header *type = find(p, STR("Content-Type"));
    struct reply_header *etag;

    if (p->no_gzip || body->len < GZIP_MIN || !type || !gzip_type(type->value) || status == 206 ||
        find(p, STR("Content-Encoding")) || find(p, STR("Content-Range")))
        return;
    reply_header(r, "Vary", STR("Accept-Encoding"));
    if (!gzip_accepted(req_header(r, "accept-encoding")) || !gzip_bytes(r->a, *body, body))
        return;
    reply_header(r, "Content-Encoding", STR("gzip"));
    etag = find(p, STR("ETag"));
    if (etag && str_starts(etag->value, STR("\"")))
        etag->value = arena_cat(r->a, STR("W/"), etag->value);
}

err reply_bytes(struct req *r, int status, const char *content_type, str body)
{
    if (content_type)
        reply_header(r, "Content-Type", str_c(content_type));
    if (reply_may_have_body(status))
        maybe_gzip(r, status, &body);
    complete(r, status, source_bytes(r->a, body), body.len);
    return OK;
}

err reply_text(struct req *r, int status, str text)
{
    return reply_bytes(r, status, "text/plain; charset=utf-8", text);
}

err reply_json(struct req *r, int status, const struct json_out *j)
{
    if (j->buf.full)
        return err_internal(r->a, "a JSON answer exceeds %u bytes", JSON_OUT_MAX);
    return reply_bytes(r, status, "application/json; charset=utf-8", json_out_str(j));
}

err reply_source(struct req *r, int status, const char *content_type, struct source *s,
                 uint64_t len)
{
    if (content_type)
        reply_header(r, "Content-Type", str_c(content_type));
    complete(r, status, s, len);
    return OK;
}

err reply_redirect(struct req *r, int status, str location)
{
    assert(status >= 300 && status < 400 && status != 304);
    reply_header(r, "Location", location);
    return reply_empty(r, status);
}

void reply_no_gzip(struct req *r)
{
    r->reply->no_gzip = true;
}

struct reply_info reply_info(const struct req *r)
{
    return r->reply->info;
}

bool reply_started(const struct req *r)
{
    return r->reply->complete;
}

str reply_err_json(struct arena *a, err e)
{
    struct json_out *j = json_out_new(a);

    json_obj(j);
    json_kv_str(j, "error", e->text);
    json_obj_end(j);
    return json_out_str(j);
}

void reply_fail(struct req *r, err e)
{
    struct reply *p = r->reply;
    int status = e->status >= 400 && e->status <= 599 ? e->status : 500;
    str body = reply_err_json(r->a, e);

    *p = (struct reply){.headers = p->headers, .header_cap = p->header_cap, .no_gzip = true};
    if (e->code)
        reply_header(r, "X-Error-Code", str_c(e->code));
    reply_header(r, "X-Error-Message", e->text);
    reply_header(r, "Content-Type", STR("application/json; charset=utf-8"));
    complete(r, status, source_bytes(r->a, body), body.len);
}

/* --- the head --- */

bool reply_is_chunked(const struct req *r)
{
    const struct reply *p = r->reply;

    return p->source && p->len == REPLY_UNKNOWN && r->http_minor > 0 && !req_is_head(r) &&
           reply_may_have_body(p->status);
}

/* The Date line; formatted once a second and thread. */
static str date_line(struct arena *a)
{
    static _Thread_local char text[64];
    static _Thread_local size_t len;
    static _Thread_local int64_t second;
    int64_t now = clock_ms() / 1000;

    if (now != second) {
        str date = clock_http(a, now * 1000);

        len = (size_t)snprintf(text, sizeof text, "Date: %.*s\r\n", STR_FMT(date));
        assert(len < sizeof text);
        second = now;
    }
    return (str){text, len};
}

static char *put(char *at, str s)
{
    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static str framing_line(const struct req *r, char *room, size_t size)
{
    const struct reply *p = r->reply;
    int n = 0;

    if (!reply_may_have_body(p->status))
        return STR("");
    if (reply_is_chunked(r))
        return STR("Transfer-Encoding: chunked\r\n");
    if (p->len != REPLY_UNKNOWN)
        n = snprintf(room, size, "Content-Length: %llu\r\n", (unsigned long long)p->len);
    return (str){room, (size_t)n};
}

str reply_head_bytes(const struct req *r, bool close)
{
    const struct reply *p = r->reply;
    char status_line[64], framing_room[48], *bytes, *at;
    str status = {status_line,
                  (size_t)snprintf(status_line, sizeof status_line, "HTTP/1.1 %d %s\r\n", p->status,
                                   reply_reason(p->status))};
    str framing = framing_line(r, framing_room, sizeof framing_room);
    str date = reply_has_header(r, "Date") ? STR("") : date_line(r->a);
    str server = reply_has_header(r, "Server") ? STR("") : STR("Server: hearth\r\n");
    str conn = close                ? STR("Connection: close\r\n")
               : r->http_minor == 0 ? STR("Connection: keep-alive\r\n")
                                    : STR("");
    size_t len = status.len + framing.len + date.len + server.len + conn.len + 2;

    for (size_t i = 0; i < p->header_count; i++)
        len += p->headers[i].name.len + p->headers[i].value.len + 4;
    at = bytes = arena_alloc(r->a, len);
    at = put(at, status);
    at = put(at, date);
    at = put(at, server);
    for (size_t i = 0; i < p->header_count; i++) {
        at = put(at, p->headers[i].name);
        at = put(at, STR(": "));
        at = put(at, p->headers[i].value);
        at = put(at, STR("\r\n"));
    }
    at = put(at, framing);
    at = put(at, conn);
    at = put(at, STR("\r\n"));
    assert((size_t)(at - bytes) == len);
    return (str){bytes, len};
}
