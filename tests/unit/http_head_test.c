/* http_head_test.c — one row per head; the name says what the client, or attacker, did. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "http/head.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

static const struct {
    const char *name;
    str head;
    int status; /* 0: fine */
} cases[] = {
    {"plain", STR_INIT(GET HOST "\r\n"), 0},
    {"one empty line before", STR_INIT("\r\n" GET HOST "\r\n"), 0},
    {"two empty lines before", STR_INIT("\r\n\r\n" GET HOST "\r\n"), 400},
    {"HTTP/1.0 without Host", STR_INIT("GET / HTTP/1.0\r\n\r\n"), 0},
    {"HTTP/1.1 without Host", STR_INIT(GET "\r\n"), 400},
    {"empty Host", STR_INIT(GET "Host:\r\n\r\n"), 400},
    {"two Hosts", STR_INIT(GET HOST HOST "\r\n"), 400},
    {"two Hosts in 1.0", STR_INIT("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), 400},
    {"Host with a user part", STR_INIT(GET "Host: u@a\r\n\r\n"), 400},
    {"Host list", STR_INIT(GET "Host: a, b\r\n\r\n"), 400},
    {"Host with a path", STR_INIT(GET "Host: a/b\r\n\r\n"), 400},
    {"IPv6 Host", STR_INIT(GET "Host: [::1]:7877\r\n\r\n"), 0},
    {"two differing lengths", STR_INIT(GET HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"),
     400},
    {"two equal lengths", STR_INIT(GET HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"), 400},
    {"a list of lengths", STR_INIT(GET HOST "Content-Length: 3, 3\r\n\r\n"), 400},
    {"length and coding",
     STR_INIT(GET HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"coding and length",
     STR_INIT(GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"), 400},
    {"unknown coding", STR_INIT(GET HOST "Transfer-Encoding: xchunked\r\n\r\n"), 501},
    {"two codings in one", STR_INIT(GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501},
    {"empty coding", STR_INIT(GET HOST "Transfer-Encoding:\r\n\r\n"), 501},
    {"chunked with a tab inside", STR_INIT(GET HOST "Transfer-Encoding: chu\tnked\r\n\r\n"), 501},
    {"tab before the coding", STR_INIT(GET HOST "Transfer-Encoding:\tchunked\r\n\r\n"), 501},
    {"tab after the coding", STR_INIT(GET HOST "Transfer-Encoding: chunked\t\r\n\r\n"), 501},
    {"blanks around the coding", STR_INIT(GET HOST "Transfer-Encoding:  chunked \r\n\r\n"), 0},
    {"coding twice",
     STR_INIT(GET HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"coding in HTTP/1.0", STR_INIT("GET / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
     400},
    {"Chunked in capitals", STR_INIT(GET HOST "transfer-encoding: CHUNKED\r\n\r\n"), 0},
    {"length with a sign", STR_INIT(GET HOST "Content-Length: +3\r\n\r\n"), 400},
    {"negative length", STR_INIT(GET HOST "Content-Length: -3\r\n\r\n"), 400},
    {"hex length", STR_INIT(GET HOST "Content-Length: 0x3\r\n\r\n"), 400},
    {"tab before the length", STR_INIT(GET HOST "Content-Length:\t3\r\n\r\n"), 400},
    {"tab after the length", STR_INIT(GET HOST "Content-Length: 3\t\r\n\r\n"), 400},
    {"blanks around the length", STR_INIT(GET HOST "Content-Length:  3 \r\n\r\n"), 0},
    {"empty length", STR_INIT(GET HOST "Content-Length: \r\n\r\n"), 400},
    {"length past 63 bits", STR_INIT(GET HOST "Content-Length: 9223372036854775808\r\n\r\n"), 400},
    {"length past 64 bits", STR_INIT(GET HOST "Content-Length: 99999999999999999999\r\n\r\n"), 400},
    {"largest length", STR_INIT(GET HOST "Content-Length: 9223372036854775807\r\n\r\n"), 0},
    {"blank before the colon", STR_INIT(GET "Host : a\r\n\r\n"), 400},
    {"blank before the length's colon", STR_INIT(GET HOST "Content-Length : 3\r\n\r\n"), 400},
    {"folded header", STR_INIT(GET HOST "X: a\r\n b\r\n\r\n"), 400},
    {"folded first header", STR_INIT(GET " Host: a\r\n\r\n"), 400},
    {"bare LF after a header", STR_INIT(GET "Host: a\n\r\n"), 400},
    {"bare LF at the end", STR_INIT(GET HOST "\n"), 400},
    {"bare LF after the request line", STR_INIT("GET / HTTP/1.1\n" HOST "\r\n"), 400},
    {"bare CR in a value", STR_INIT(GET HOST "X: a\rb\r\n\r\n"), 400},
    {"NUL in a value", STR_INIT(GET HOST "X: a\0b\r\n\r\n"), 400},
    {"ESC in a value", STR_INIT(GET HOST "X: a\033b\r\n\r\n"), 400},
    {"DEL in a value", STR_INIT(GET HOST "X: a\177b\r\n\r\n"), 400},
    {"tab and UTF-8 in a value", STR_INIT(GET HOST "X: a\tb\303\244\r\n\r\n"), 0},
    {"empty value", STR_INIT(GET HOST "X:\r\n\r\n"), 0},
    {"empty name", STR_INIT(GET HOST ": x\r\n\r\n"), 400},
    {"no colon", STR_INIT(GET HOST "X\r\n\r\n"), 400},
    {"odd byte in a name", STR_INIT(GET HOST "X(y): a\r\n\r\n"), 400},
    {"UTF-8 in a name", STR_INIT(GET HOST "X\303\244: a\r\n\r\n"), 400},
    {"NUL in the path", STR_INIT("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"%00 in the path", STR_INIT("GET /a%00b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"bad escape", STR_INIT("GET /a%zz HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"cut escape", STR_INIT("GET /a%2 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"escape in the query is left alone", STR_INIT("GET /a?x=%zz HTTP/1.1\r\n" HOST "\r\n"), 0},
    {"encoded slash", STR_INIT("GET /a%2Fb HTTP/1.1\r\n" HOST "\r\n"), 0},
    {"raw UTF-8 target", STR_INIT("GET /\303\244?q=\303\266 HTTP/1.1\r\n" HOST "\r\n"), 0},
    {"fragment", STR_INIT("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"tab in the target", STR_INIT("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"blank in the target", STR_INIT("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"two blanks", STR_INIT("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"blank after the version", STR_INIT("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400},
    {"blank before the method", STR_INIT(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"HTTP/0.9", STR_INIT("GET /\r\n\r\n"), 400},
    {"HTTP/2 preface", STR_INIT("PRI * HTTP/2.0\r\n\r\n"), 505},
    {"HTTP/1.2", STR_INIT("GET / HTTP/1.2\r\n" HOST "\r\n"), 505},
    {"HTTP/1.10", STR_INIT("GET / HTTP/1.10\r\n" HOST "\r\n"), 400},
    {"small letters in the version", STR_INIT("GET / http/1.1\r\n" HOST "\r\n"), 400},
    {"relative path", STR_INIT("GET a HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"authority form", STR_INIT("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"CONNECT with an absolute target", STR_INIT("CONNECT http://a/ HTTP/1.1\r\n" HOST "\r\n"),
     400},
    {"CONNECT with a path", STR_INIT("CONNECT / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"asterisk without OPTIONS", STR_INIT("GET * HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"OPTIONS *", STR_INIT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0},
    {"absolute form", STR_INIT("GET http://b:1/x?y HTTP/1.1\r\n" HOST "\r\n"), 0},
    {"absolute form with a user", STR_INIT("GET http://u@b/x HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"absolute form without a host", STR_INIT("GET http:///x HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"another scheme", STR_INIT("GET ftp://b/x HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"unknown method", STR_INIT("BREW / HTTP/1.1\r\n" HOST "\r\n"), 0},
    {"odd method", STR_INIT("G(T / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"endless method", STR_INIT("GGGGGGGGGGGGGGGGGGGGGGGGGGGGGG / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"other expectation", STR_INIT(GET HOST "Expect: tea\r\n\r\n"), 417},
    {"100-continue", STR_INIT(GET HOST "Expect: 100-Continue\r\n\r\n"), 0},
    {"TLS greeting", STR_INIT("\026\003\001\002\000\001\000\001\374\003\003"), 400},
};

/* Feeds the head as the loop does, in pieces of `step` bytes.  The status, 0 when complete, -1
 * when more is wanted. */
static int feed(str bytes, size_t step, struct http_head *ret)
{
    struct http_head_scan s = {0};
    size_t end = 0;
    err e = OK;

    for (size_t len = step; !e && end == 0; len += step) {
        e = http_head_scan(&s, str_first(bytes, len), &end);
        if (len >= bytes.len)
            break;
    }
    if (!e && end == 0)
        return -1;
    if (!e)
        e = http_head_parse(str_from(str_first(bytes, end), s.start), ret);
    return e ? e->status : 0;
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 2000; step += step == 1 ? 6 : 1000) {
            struct http_head h;
            int status = feed(cases[i].head, step, &h);

            if (status != cases[i].status)
                fail_msg("%s (by %zu): %d, not %d", cases[i].name, step, status, cases[i].status);
        }
}

static void test_incomplete(void **state)
{
    str whole = STR(GET HOST "X: y\r\n\r\n");
    struct http_head h;

    (void)state;
    for (size_t n = 0; n < whole.len; n++)
        assert_int_equal(feed(str_first(whole, n), 1, &h), -1);
}

#define assert_str(s, lit) assert_true(str_eq((s), STR(lit)))

static void test_fields(void **state)
{
    struct http_head h;

    (void)state;
    assert_int_equal(feed(STR("POST /a%20b?c=d?e HTTP/1.1\r\nHost:  h:1\t\r\nX-Y: \t z \r\n"
                              "content-length: 12\r\nConnection: foo, Close\r\n\r\nrest"),
                          3, &h),
                     0);
    assert_int_equal(h.method, M_POST);
    assert_str(h.method_text, "POST");
    assert_str(h.target, "/a%20b?c=d?e");
    assert_str(h.raw_path, "/a%20b");
    assert_str(h.raw_query, "c=d?e");
    assert_str(h.host, "h:1");
    assert_int_equal(h.minor, 1);
    assert_int_equal(h.header_count, 4);
    assert_str(h.headers[1].name, "X-Y");
    assert_str(h.headers[1].value, "z");
    assert_int_equal(h.content_length, 12);
    assert_false(h.keep_alive);
    assert_false(h.expect_continue);
}

static void test_absolute(void **state)
{
    struct http_head h;

    (void)state;
    assert_int_equal(feed(STR("GET HTTP://b:8?q HTTP/1.1\r\nHost: a\r\n\r\n"), 99, &h), 0);
    assert_str(h.host, "b:8");
    assert_str(h.headers[0].value, "b:8"); /* the target wins over the header */
    assert_str(h.raw_path, "/");
    assert_str(h.raw_query, "q");
    assert_int_equal(feed(STR("GET http://b/x HTTP/1.0\r\n\r\n"), 99, &h), 0);
    assert_int_equal(h.header_count, 1);
    assert_str(h.headers[0].name, "Host");
    assert_str(h.headers[0].value, "b");
}

static void test_keep_alive(void **state)
{
    struct http_head h;

    (void)state;
    assert_int_equal(feed(STR(GET HOST "\r\n"), 99, &h), 0);
    assert_true(h.keep_alive);
    assert_int_equal(feed(STR("GET / HTTP/1.0\r\n\r\n"), 99, &h), 0);
    assert_false(h.keep_alive);
    assert_int_equal(feed(STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 99, &h), 0);
    assert_true(h.keep_alive);
    assert_int_equal(feed(STR(GET HOST "Transfer-Encoding: chunked\r\n\r\n"), 99, &h), 0);
    assert_true(h.content_length == HTTP_CHUNKED);
}

/* A head of `count` headers of `size` bytes each, behind a target of `target` bytes. */
static int big(size_t target, size_t count, size_t size, bool end)
{
    size_t cap = target + count * (size + 8) + 100, len;
    char *p = malloc(cap);
    struct http_head h;
    int status;

    assert_non_null(p);
    memset(p, 'a', cap);
    memcpy(p, "GET /", 5);
    len = 5 + target - 1;
    len += (size_t)snprintf(p + len, cap - len, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i + 1 < count; i++) {
        memcpy(p + len, "X: ", 3);
        memset(p + len + 3, 'v', size - 5);
        memcpy(p + len + size - 2, "\r\n", 2);
        len += size;
    }
    if (end)
        memcpy(p + len, "\r\n", 2);
    status = feed((str){p, len + (end ? 2 : 0)}, 1000, &h);
    free(p);
    return status;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(big(HTTP_TARGET_MAX, 2, 10, true), 0);
    assert_int_equal(big(HTTP_TARGET_MAX + 1, 2, 10, true), 414);
    assert_int_equal(big(HTTP_TARGET_MAX + 5000, 2, 10, false), 414);
    assert_int_equal(big(1, 100, 10, true), 0);
    assert_int_equal(big(1, 101, 10, true), 431);
    assert_int_equal(big(1, 2000, 8, true), 431);
    assert_int_equal(big(1, 3, 8000, true), 0);
    assert_int_equal(big(1, 3, 8200, true), 431);
    assert_int_equal(big(1, 2, 70000, true), 431);
    assert_int_equal(big(1, 2, 70000, false), 431);
    assert_int_equal(big(HTTP_TARGET_MAX, 3, 4200, true), 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_absolute),
        cmocka_unit_test(test_keep_alive), cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
