/* head.c — see head.h. */
#include "http/head.h"
#include <assert.h>
#include <string.h>

#define BAD(name, words)                                                                           \
    static const struct err_info name = {400, "BadRequest", STR_INIT(words), NULL, STR_INIT("")}
#define REFUSED(name, status, code, words)                                                         \
    static const struct err_info name = {status, code, STR_INIT(words), NULL, STR_INIT("")}

BAD(bad_line_end, "Malformed request: lines must end with CR LF and hold no control bytes.");
BAD(bad_request_line, "Malformed request line: expected METHOD TARGET HTTP/1.1.");
BAD(bad_target, "Malformed request target: it must begin with '/' or be an absolute http URL.");
BAD(bad_escape,
    "Malformed path: every % must be followed by two hex digits, and %00 is not allowed.");
BAD(bad_header, "Malformed header line: expected \"Name: value\" without folding.");
BAD(bad_host, "Exactly one valid Host header is required.");
BAD(bad_length, "Content-Length must appear once and be a plain decimal number.");
BAD(bad_framing,
    "A request has either one Content-Length or Transfer-Encoding: chunked (HTTP/1.1).");
REFUSED(too_long_target, 414, "UriTooLong", "The request target is longer than 8 KiB.");
REFUSED(bad_expect, 417, "ExpectationFailed", "The only expectation understood is 100-continue.");
REFUSED(too_large, 431, "HeadersTooLarge",
        "The request head is larger than 16 KiB or 100 headers.");
REFUSED(no_coding, 501, "NotImplemented", "The only transfer coding understood is chunked.");
REFUSED(no_version, 505, "HttpVersion", "This server speaks HTTP/1.1 and HTTP/1.0.");

const unsigned char http_token_bytes[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['!'] = 1, ['#'] = 1, ['$'] = 1,
    ['%'] = 1,         ['&'] = 1,         ['\''] = 1,        ['*'] = 1, ['+'] = 1, ['-'] = 1,
    ['.'] = 1,         ['^'] = 1,         ['_'] = 1,         ['`'] = 1, ['|'] = 1, ['~'] = 1,
};
/* Bytes of "host" and "host:port": names, IPv4, [IPv6]; no user part, no list. */
static const unsigned char host_bytes[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['-'] = 1, ['.'] = 1,
    ['_'] = 1,         ['~'] = 1,         [':'] = 1,         ['['] = 1, [']'] = 1,
};

/* --- finding the end --- */

/* A line has ended at `pos`.  True: it was the empty line after the headers. */
static err end_line(struct http_head_scan *s, bool *ret_end)
{
    *ret_end = false;
    if (s->pos == s->line) { /* an empty line */
        if (s->lines > 0) {
            *ret_end = true;
            return OK;
        }
        if (s->start > 0)
            return &bad_request_line;
        s->start = s->pos + 2;
    } else {
        s->lines++;
    }
    s->line = s->pos + 2;
    return OK;
}

static err check_limits(const struct http_head_scan *s)
{
    if (s->lines == 0 && s->pos - s->start > HTTP_TARGET_MAX + HTTP_METHOD_MAX + 16)
        return &too_long_target;
    if (s->pos - s->start > HTTP_HEAD_MAX || s->lines > HTTP_HEADERS_MAX + 1)
        return &too_large;
    return OK;
}

err http_head_scan(struct http_head_scan *s, str bytes, size_t *ret)
{
    *ret = 0;
    while (s->pos < bytes.len) {
        unsigned char c = (unsigned char)bytes.ptr[s->pos];
        bool end;

        if (http_is_value_byte(c)) {
            s->pos++;
            continue;
        }
        if (c != '\r')
            return &bad_line_end;
        if (s->pos + 1 == bytes.len)
            break;
        if (bytes.ptr[s->pos + 1] != '\n')
            return &bad_line_end;
        TRY(end_line(s, &end));
        s->pos += 2;
        TRY(check_limits(s));
        if (end) {
            *ret = s->pos;
            return OK;
        }
    }
    return check_limits(s);
}

/* --- the request line --- */

static enum http_method method_of(str s)
{
    static const str names[] = {
        [M_GET] = STR_INIT("GET"),         [M_HEAD] = STR_INIT("HEAD"),
        [M_POST] = STR_INIT("POST"),       [M_PUT] = STR_INIT("PUT"),
        [M_DELETE] = STR_INIT("DELETE"),   [M_PATCH] = STR_INIT("PATCH"),
        [M_OPTIONS] = STR_INIT("OPTIONS"),
    };

    for (unsigned m = 0; m < M_OTHER; m++)
        if (str_eq(s, names[m]))
            return (enum http_method)m;
    return M_OTHER;
}

static err parse_version(str s, unsigned *ret_minor)
{
    if (s.len != 8 || !str_starts(s, STR("HTTP/")) || s.ptr[6] != '.' || s.ptr[5] < '0' ||
        s.ptr[5] > '9' || s.ptr[7] < '0' || s.ptr[7] > '9')
        return &bad_request_line;
    if (s.ptr[5] != '1' || s.ptr[7] > '1')
        return &no_version;
    *ret_minor = (unsigned)(s.ptr[7] - '0');
    return OK;
}

static bool host_ok(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!host_bytes[(unsigned char)s.ptr[i]])
            return false;
    return s.len > 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool escapes_ok(str path)
{
    for (size_t i = 0; i < path.len; i++) {
        int hi, lo;

        if (path.ptr[i] != '%')
            continue;
        if (path.len - i < 3)
            return false;
        hi = hex_digit(path.ptr[i + 1]);
        lo = hex_digit(path.ptr[i + 2]);
        if (hi < 0 || lo < 0 || hi + lo == 0)
            return false;
        i += 2;
    }
    return true;
}

/* Cuts "http://authority" off an absolute target; leaves the path (maybe empty) and query. */
static err cut_authority(str *target, struct http_head *h)
{
    size_t end = 0;

    if (!str_iskip(target, STR("http://")) && !str_iskip(target, STR("https://")))
        return &bad_target;
    while (end < target->len && target->ptr[end] != '/' && target->ptr[end] != '?')
        end++;
    h->host = str_first(*target, end);
    *target = str_from(*target, end);
    return host_ok(h->host) ? OK : &bad_host;
}

static err parse_target(struct http_head *h)
{
    str t = h->target;

    if (t.len > HTTP_TARGET_MAX)
        return &too_long_target;
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.ptr[i] <= 0x20 || t.ptr[i] == 0x7f || t.ptr[i] == '#')
            return &bad_target;
    if (h->method == M_OPTIONS && str_eq(t, STR("*"))) {
        h->raw_path = STR("/");
        return OK;
    }
    if (!str_starts(t, STR("/")))
        TRY(cut_authority(&t, h));
    h->raw_path = str_cut(&t, '?');
    h->raw_query = t.ptr ? t : STR("");
    if (h->raw_path.len == 0)
        h->raw_path = STR("/");
    return escapes_ok(h->raw_path) ? OK : &bad_escape;
}

static err parse_request_line(str line, struct http_head *h)
{
    h->method_text = str_cut(&line, ' ');
    h->target = str_cut(&line, ' ');
    if (!http_is_token(h->method_text) || h->method_text.len > HTTP_METHOD_MAX ||
        h->target.len == 0 || !line.ptr)
        return &bad_request_line;
    /* Its target is host:port alone, and what follows it is a tunnel, whatever the headers say. */
    if (str_eq(h->method_text, STR("CONNECT")))
        return &bad_target;
    TRY(parse_version(line, &h->minor));
    h->method = method_of(h->method_text);
    return parse_target(h);
}

/* --- the headers --- */

struct seen {
    size_t hosts, lengths, codings;
    struct http_header *host;
    bool close, keep_alive;
};

static void read_connection(str list, struct seen *seen)
{
    while (list.ptr) {
        str word = str_trim(str_cut(&list, ','));

        if (str_ieq(word, STR("close")))
            seen->close = true;
        else if (str_ieq(word, STR("keep-alive")))
            seen->keep_alive = true;
    }
}

/* Takes note of the headers that frame the request. */
static err note_header(struct http_head *h, struct http_header *x, struct seen *seen)
{
    if (str_ieq(x->name, STR("host"))) {
        seen->hosts++;
        seen->host = x;
        return host_ok(x->value) ? OK : &bad_host;
    }
    if (str_ieq(x->name, STR("content-length"))) {
        seen->lengths++;
        if (seen->lengths > 1 || !str_u64(x->value, &h->content_length) ||
            h->content_length > INT64_MAX)
            return &bad_length;
        return OK;
    }
    if (str_ieq(x->name, STR("transfer-encoding"))) {
        seen->codings++;
        if (seen->codings > 1 || h->minor == 0)
            return &bad_framing;
        return str_ieq(x->value, STR("chunked")) ? OK : &no_coding;
    }
    if (str_ieq(x->name, STR("connection")))
        read_connection(x->value, seen);
    else if (str_ieq(x->name, STR("expect")) && h->minor > 0) {
        h->expect_continue = true;
        return str_ieq(x->value, STR("100-continue")) ? OK : &bad_expect;
    }
    return OK;
}

/* Spaces, and where `tabs` says so tabs. */
static str trim_blanks(str s, bool tabs)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || (tabs && s.ptr[0] == '\t')))
        s = str_from(s, 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || (tabs && s.ptr[s.len - 1] == '\t')))
        s.len--;
    return s;
}

/* Programs do not agree on tabs around the headers that say where the body ends. */
static bool may_have_tabs(str name)
{
    return !str_ieq(name, STR("content-length")) && !str_ieq(name, STR("transfer-encoding"));
}

static err parse_header(str line, struct http_header *ret)
{
    str name = str_cut(&line, ':');

    if (!line.ptr || !http_is_token(name))
        return &bad_header;
    for (size_t i = 0; i < line.len; i++)
        if (!http_is_value_byte((unsigned char)line.ptr[i]))
            return &bad_header;
    *ret = (struct http_header){name, trim_blanks(line, may_have_tabs(name))};
    return OK;
}

/* Takes one line off the front of *text; it must end with CR LF. */
static err take_line(str *text, str *ret)
{
    const char *cr = text->len > 0 ? memchr(text->ptr, '\r', text->len) : NULL;
    size_t len = cr ? (size_t)(cr - text->ptr) : 0;

    if (!cr || text->len - len < 2 || cr[1] != '\n')
        return &bad_line_end;
    *ret = str_first(*text, len);
    *text = str_from(*text, len + 2);
    return OK;
}

/* What must hold for all headers together. */
static err check_headers(struct http_head *h, const struct seen *seen)
{
    if (seen->hosts > 1 || (h->minor > 0 && seen->hosts == 0))
        return &bad_host;
    if (seen->lengths > 0 && seen->codings > 0)
        return &bad_framing;
    if (seen->codings > 0)
        h->content_length = HTTP_CHUNKED;
    h->keep_alive = !seen->close && (h->minor > 0 || seen->keep_alive);

    if (!h->host.ptr && seen->host)
        h->host = seen->host->value;
    else if (h->host.ptr && seen->host)
        seen->host->value = h->host;
    else if (h->host.ptr && h->header_count < HTTP_HEADERS_MAX)
        h->headers[h->header_count++] = (struct http_header){STR("Host"), h->host};
    return OK;
}

err http_head_parse(str head, struct http_head *ret)
{
    struct seen seen = {0};
    str line;

    memset(ret, 0, offsetof(struct http_head, headers));
    ret->raw_query = STR("");
    if (head.len > HTTP_HEAD_MAX + 2)
        return &too_large;
    TRY(take_line(&head, &line));
    TRY(parse_request_line(line, ret));
    for (;;) {
        struct http_header *x = &ret->headers[ret->header_count];

        TRY(take_line(&head, &line));
        if (line.len == 0)
            break;
        if (ret->header_count == HTTP_HEADERS_MAX)
            return &too_large;
        TRY(parse_header(line, x));
        ret->header_count++;
        TRY(note_header(ret, x, &seen));
    }
    if (head.len > 0)
        return &bad_line_end;
    return check_headers(ret, &seen);
}
