/* fuzz_http_head.c — request heads.  Fed whole and byte by byte: both must agree, and an accepted
 * head must keep the promises of head.h. */
#include "http/head.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(str s, str whole)
{
    return s.len == 0 || (s.ptr >= whole.ptr && s.ptr + s.len <= whole.ptr + whole.len);
}

/* What head.h promises about an accepted head. */
static void check(const struct http_head *h, str head)
{
    size_t hosts = 0;

    assert(h->minor <= 1 && h->header_count <= HTTP_HEADERS_MAX);
    assert(h->raw_path.len > 0 && h->raw_path.ptr[0] == '/');
    assert(h->target.len > 0 && h->target.len <= HTTP_TARGET_MAX && inside(h->target, head));
    assert(http_is_token(h->method_text) && inside(h->raw_query, head));
    for (size_t i = 0; i < h->target.len; i++)
        assert((unsigned char)h->target.ptr[i] > 0x20 && h->target.ptr[i] != 0x7f);
    for (size_t i = 0; i < h->header_count; i++) {
        str v = h->headers[i].value;

        assert(http_is_token(h->headers[i].name));
        assert(inside(v, head));
        for (size_t k = 0; k < v.len; k++)
            assert(http_is_value_byte((unsigned char)v.ptr[k]));
        hosts += str_ieq(h->headers[i].name, STR("host"));
    }
    assert(hosts <= 1 && (h->minor == 0 || hosts == 1));
    assert(h->content_length == HTTP_CHUNKED || h->content_length <= INT64_MAX);
}

static int run(str bytes, size_t step, size_t *ret_len)
{
    struct http_head_scan s = {0};
    struct http_head h;
    size_t end = 0;
    err e = OK;
    str head;

    *ret_len = 0;
    for (size_t len = step; !e && end == 0; len += step) {
        e = http_head_scan(&s, str_first(bytes, len), &end);
        if (len >= bytes.len)
            break;
    }
    if (e || end == 0)
        return e ? e->status : 0;
    assert(end <= bytes.len && s.start < end);
    *ret_len = end;
    head = str_from(str_first(bytes, end), s.start);
    e = http_head_parse(head, &h);
    if (e)
        return e->status;
    check(&h, head);
    return 200;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str bytes = {(const char *)data, size};
    struct http_head h;
    size_t len1, len2;
    int whole = run(bytes, size + 1, &len1), split = run(bytes, 1, &len2);

    assert(whole == split || size > HTTP_TARGET_MAX); /* limits are met in different order */
    if (whole == split)
        assert(len1 == len2);
    if (http_head_parse(bytes, &h) == OK)
        check(&h, bytes);
    return 0;
}
