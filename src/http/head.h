/* head.h — the strict parser of a request head (RFC 9112), pure functions over bytes.
 *
 * There is no lenient mode: what two programs could read differently is refused, because that is
 * how requests are smuggled past a proxy.  Lines end with CRLF; no folding, no blank before the
 * colon, no control bytes; exactly one Host in HTTP/1.1; one Content-Length or
 * `Transfer-Encoding: chunked`, never both and never twice, and without tabs; no CONNECT.
 *
 * The loop feeds http_head_scan() as bytes arrive; when it finds the end, http_head_parse() reads
 * the head once.  All strs point into the parsed bytes.
 */
#pragma once
#include "http/request.h"

#define HTTP_HEAD_MAX (16u << 10)  /* request line and headers; more is 431 */
#define HTTP_TARGET_MAX (8u << 10) /* request target; more is 414 */
#define HTTP_METHOD_MAX 24
#define HTTP_CHUNKED UINT64_MAX /* content_length of a chunked body */

struct http_head {
    enum http_method method;
    str method_text, target, raw_path, raw_query;
    str host;        /* of the target when absolute, else the Host header; ptr NULL: none (1.0) */
    unsigned minor;  /* 0 or 1 */
    bool keep_alive; /* the client wants to send another request */
    bool expect_continue;
    uint64_t content_length; /* HTTP_CHUNKED, or at most INT64_MAX */
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX]; /* Host holds `host` */
};

/* Where the search for the end of the head stands.  Starts zeroed. */
struct http_head_scan {
    size_t start; /* of the request line: one empty line before it is skipped */
    size_t pos;   /* everything before it has been looked at */
    size_t line;  /* start of the current line */
    size_t lines; /* complete lines so far */
};

/* Looks for the end of the head in `bytes`, which begins like at the last call and is longer.
 * *ret: the length of the head with its empty line, counted from bytes.ptr; 0: not yet complete.
 * Fails early with 400 (control bytes, bare CR or LF), 414 or 431. */
MUST err http_head_scan(struct http_head_scan *s, str bytes, size_t *ret);

/* Reads a whole head: from the request line to and with the empty line.
 * Fails with 400, 414, 417, 431, 501 or 505; *ret is then undefined. */
MUST err http_head_parse(str head, struct http_head *ret);

/* Bytes of tokens: methods, header names. */
extern const unsigned char http_token_bytes[256];
static inline bool http_is_token(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!http_token_bytes[(unsigned char)s.ptr[i]])
            return false;
    return s.len > 0;
}
/* May stand in a header value: visible, blank, tab, or above ASCII. */
static inline bool http_is_value_byte(unsigned char c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}
