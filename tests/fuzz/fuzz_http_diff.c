/* fuzz_http_diff.c — our request parser against llhttp in strict mode, the parser of Node.
 *
 * The input is what one connection carries: requests one behind the other.  Whatever http/head.h
 * and http/chunked.h accept, llhttp must accept and read the same way: method, target, headers,
 * framing, keep-alive, the bytes of the body and the byte at which the next request begins.  The
 * other direction is free: we may refuse what llhttp takes.
 *
 * Where the two differ on purpose, always in a way that leaves every boundary where it is:
 *
 *   1. Methods.  We take any token but CONNECT, llhttp knows a list.  It is shown POST instead of a
 *      method that it does not know.
 *   2. Bytes above ASCII in the target.  We take raw UTF-8, as some clients send it.  llhttp is
 *      shown an 'x' for each.
 *   3. Upgrade.  We ignore it and read on, as RFC 9110 (7.8) allows; llhttp is told to.
 *   4. Keep-alive.  We close after HTTP/1.0 with both keep-alive and close, llhttp goes on.  llhttp
 *      obeys Proxy-Connection like Connection, we do not know it.  llhttp overlooks a word of
 *      Connection that a tab stands beside.
 *   5. Host.  Of an absolute target we hand on the authority in the place of the Host header.
 *   6. Trailers.  We skip them unread; llhttp refuses Content-Length and Transfer-Encoding there.
 *   7. Chunk extensions.  llhttp 8 takes none behind ";name=token"; we do.
 */
#include "http/chunked.h"
#include "http/head.h"
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct body {
    uint64_t len, sum;
};

static void add(struct body *b, str s)
{
    b->len += s.len;
    for (size_t i = 0; i < s.len; i++)
        b->sum = b->sum * 31 + (unsigned char)s.ptr[i];
}

/* --- one request as we read it --- */

struct ours {
    bool head_ok, complete, refused;
    size_t start, end; /* of the request line; of the whole message */
    struct http_head head;
    struct body body;
};

static size_t read_chunked(struct ours *o, str in)
{
    struct http_chunked c = {0};
    size_t given = in.len;

    while (in.len > 0 && !c.done && !o->refused) {
        str data = str_first(in, c.data_left < in.len ? (size_t)c.data_left : in.len);

        add(&o->body, data);
        http_chunked_take(&c, data.len);
        in = str_from(in, data.len);
        if (data.len == 0)
            o->refused = http_chunked_step(&c, &in) != OK;
    }
    o->complete = c.done;
    return given - in.len;
}

static void read_ours(struct ours *o, str in)
{
    struct http_head_scan s = {0};
    size_t end = 0;
    err e = http_head_scan(&s, in, &end);

    memset(o, 0, offsetof(struct ours, head));
    o->body = (struct body){0};
    if (e || end == 0 || http_head_parse(str_from(str_first(in, end), s.start), &o->head))
        return;
    o->head_ok = true;
    o->start = s.start;
    in = str_from(in, end);
    if (o->head.content_length == HTTP_CHUNKED) {
        o->end = end + read_chunked(o, in);
        return;
    }
    o->complete = in.len >= o->head.content_length;
    if (o->complete)
        in = str_first(in, (size_t)o->head.content_length);
    add(&o->body, in);
    o->end = end + in.len;
}

/* --- the same bytes as llhttp reads them --- */

struct theirs {
    llhttp_t parser; /* first: callbacks find the rest behind it */
    bool head_done, complete, keep_alive, in_trailers;
    str target;
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX + 1];
    uint16_t flags; /* when the head was complete */
    uint64_t content_length;
    struct body body;
};

/* A span may come in parts, which lie side by side: the input is one piece of memory. */
static void extend(str *s, const char *p, size_t len)
{
    if (s->ptr)
        s->len = (size_t)(p + len - s->ptr);
    else
        *s = (str){p, len};
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
    extend(&((struct theirs *)p)->target, at, len);
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t len)
{
    struct theirs *t = (struct theirs *)p;

    t->in_trailers = t->head_done;
    if (!t->head_done && t->header_count <= HTTP_HEADERS_MAX)
        extend(&t->headers[t->header_count].name, at, len);
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
    struct theirs *t = (struct theirs *)p;

    if (!t->head_done && t->header_count <= HTTP_HEADERS_MAX)
        extend(&t->headers[t->header_count].value, at, len);
    return 0;
}

static int on_value_complete(llhttp_t *p)
{
    struct theirs *t = (struct theirs *)p;

    if (!t->head_done && t->header_count <= HTTP_HEADERS_MAX)
        t->header_count++;
    return 0;
}

static int on_head(llhttp_t *p)
{
    struct theirs *t = (struct theirs *)p;

    t->head_done = true;
    t->keep_alive = llhttp_should_keep_alive(p);
    t->flags = p->flags;
    t->content_length = p->content_length;
    if (p->method != HTTP_CONNECT)
        p->upgrade = 0; /* difference 3 */
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
    add(&((struct theirs *)p)->body, (str){at, len});
    return 0;
}

static int on_message(llhttp_t *p)
{
    ((struct theirs *)p)->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_message,
};

/* --- what they are shown --- */

static bool llhttp_knows(str method)
{
#define KNOWN(number, name, text)                                                                  \
    if (str_eq(method, STR(#text)))                                                                \
        return true;
    HTTP_METHOD_MAP(KNOWN)
#undef KNOWN
    return false;
}

/* A copy of `in`, which begins with the request o, with differences 1 and 2 taken out.  *ret_method
 * is the method in it.  The caller frees the copy. */
static char *shown(const struct ours *o, str in, str *ret_method, size_t *ret_len)
{
    str old = o->head.method_text, m = llhttp_knows(old) ? old : STR("POST");
    str rest = str_from(in, o->start + old.len);
    size_t len = o->start + m.len + rest.len;
    char *p = malloc(len), *target;

    if (!p)
        abort();
    target = p + o->start + m.len + 1;
    memcpy(p, in.ptr, o->start);
    memcpy(p + o->start, m.ptr, m.len);
    memcpy(p + o->start + m.len, rest.ptr, rest.len);
    for (size_t i = 0; i < o->head.target.len; i++)
        if ((unsigned char)target[i] >= 0x80)
            target[i] = 'x';
    *ret_method = (str){p + o->start, m.len};
    *ret_len = len;
    return p;
}

/* --- comparing --- */

static const struct theirs *now; /* for the message */

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s; llhttp: error %d, %s\n", what, (int)now->parser.error,
            now->parser.reason ? now->parser.reason : "-");
    abort();
}

static str trimmed(str s)
{
    return s.ptr ? str_trim(s) : s;
}

static bool same_target(str ours, str theirs)
{
    if (ours.len != theirs.len)
        return false;
    for (size_t i = 0; i < ours.len; i++)
        if (ours.ptr[i] != theirs.ptr[i] && (unsigned char)ours.ptr[i] < 0x80)
            return false;
    return true;
}

static void compare_headers(const struct http_head *h, const struct theirs *t)
{
    bool absolute = h->target.ptr[0] != '/' && h->target.ptr[0] != '*', host = false;

    for (size_t i = 0; i < t->header_count && i < h->header_count; i++) {
        const struct http_header *a = &h->headers[i], *b = &t->headers[i];
        bool is_host = str_ieq(a->name, STR("host"));

        host |= is_host;
        must(str_eq(a->name, b->name), "another header name");
        must(absolute && is_host ? str_eq(a->value, h->host) : str_eq(a->value, trimmed(b->value)),
             "another header value");
    }
    must(h->header_count == t->header_count ||
             (absolute && !host && h->header_count == t->header_count + 1),
         "another number of headers");
}

/* Difference 4. */
static bool may_differ_in_keep_alive(const struct theirs *t)
{
    for (size_t i = 0; i < t->header_count; i++) {
        const struct http_header *x = &t->headers[i];

        if (str_ieq(x->name, STR("proxy-connection")) ||
            (str_ieq(x->name, STR("connection")) && str_find(x->value, '\t') >= 0))
            return true;
    }
    return false;
}

static void compare_heads(const struct http_head *h, const struct theirs *t, str method)
{
    bool chunked = h->content_length == HTTP_CHUNKED;

    must(t->head_done, "a head that llhttp does not take");
    must(str_eq(method, str_c(llhttp_method_name((llhttp_method_t)t->parser.method))),
         "another method");
    must(t->parser.http_major == 1 && t->parser.http_minor == h->minor, "another version");
    must(same_target(h->target, t->target), "another target");
    compare_headers(h, t);
    must(chunked == ((t->flags & F_CHUNKED) != 0), "chunked or not");
    must(chunked || h->content_length == t->content_length, "another content length");
    if (may_differ_in_keep_alive(t))
        return;
    if (h->keep_alive)
        must(t->keep_alive, "they would close");
    else
        must(!t->keep_alive || (h->minor == 0 && (t->flags & F_CONNECTION_CLOSE)),
             "we would close");
}

/* Difference 6. */
static bool refused_trailer(const struct theirs *t)
{
    return t->in_trailers && (t->parser.error == HPE_UNEXPECTED_CONTENT_LENGTH ||
                              t->parser.error == HPE_INVALID_CONTENT_LENGTH ||
                              t->parser.error == HPE_INVALID_TRANSFER_ENCODING);
}

/* Difference 7: it stopped at the name behind the semicolon. */
static bool refused_extension(const struct theirs *t, const char *bytes)
{
    const char *p = t->parser.error_pos;

    return t->parser.error == HPE_INVALID_CHUNK_SIZE && p > bytes && p[-1] == ';';
}

/* Compares one request.  True: another may follow. */
static bool compare(const struct ours *o, str in)
{
    struct theirs t = {0};
    llhttp_errno_t e;
    size_t len;
    str method;
    char *bytes = shown(o, in, &method, &len);

    now = &t;
    llhttp_init(&t.parser, HTTP_REQUEST, &settings);
    e = llhttp_execute(&t.parser, bytes, len);
    compare_heads(&o->head, &t, method);
    if (!o->refused && !refused_trailer(&t) && !refused_extension(&t, bytes)) {
        must(t.complete == o->complete, o->complete ? "not their end" : "not our end");
        must(e == (o->complete ? HPE_PAUSED : HPE_OK), "a body that llhttp does not take");
        must(o->body.len == t.body.len && o->body.sum == t.body.sum, "another body");
    }
    if (o->complete && t.complete)
        must(llhttp_get_error_pos(&t.parser) ==
                 bytes + o->end + method.len - o->head.method_text.len,
             "the next request begins elsewhere");
    free(bytes);
    return o->complete && o->head.keep_alive;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ours o;
    str in = {(const char *)data, size};

    do {
        read_ours(&o, in);
        if (!o.head_ok || !compare(&o, in))
            break;
        in = str_from(in, o.end);
    } while (in.len > 0);
    return 0;
}
