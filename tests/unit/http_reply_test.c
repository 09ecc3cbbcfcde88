/* http_reply_test.c — what gets out of the answer's head, and what never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "http/reply_head.h"
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static struct req request(struct arena *a, enum http_method m, const struct http_header *h,
                          size_t n)
{
    return (struct req){.a = a,
                        .method = m,
                        .http_minor = 1,
                        .headers = h,
                        .header_count = n,
                        .reply = arena_one(a, struct reply)};
}

static bool has_line(str head, const char *line)
{
    struct arena *a = arena_new(0);
    bool has = str_has(head, arena_cat(a, STR("\r\n"), str_c(line), STR("\r\n")));

    arena_free(a);
    return has;
}

static str body_of(struct req *r)
{
    static struct source_out out;
    enum source_state state;

    out.count = 0;
    assert_null(r->reply->source->fill(r->reply->source, &out, &state));
    assert_int_equal(state, SOURCE_END);
    return out.count ? (str){out.part[0].ptr, out.part[0].len} : STR("");
}

static void test_text(void **state)
{
    struct arena *a = arena_new(0);
    struct req r = request(a, M_GET, NULL, 0);
    str head;

    (void)state;
    assert_false(reply_started(&r));
    reply_header(&r, "X-One", STR("1"));
    reply_header(&r, "X-One", STR("2"));
    reply_header(&r, "ETag", STR("\"a\""));
    reply_header(&r, "ETag", STR("\"b\""));
    assert_null(reply_text(&r, 404, STR("gone")));
    assert_true(reply_started(&r));
    head = reply_head_bytes(&r, false);
    assert_true(str_starts(head, STR("HTTP/1.1 404 Not Found\r\n")));
    assert_true(str_ends(head, STR("\r\n\r\n")));
    assert_true(has_line(head, "Content-Length: 4"));
    assert_true(has_line(head, "Content-Type: text/plain; charset=utf-8"));
    assert_true(has_line(head, "X-One: 1") && has_line(head, "X-One: 2"));
    assert_true(has_line(head, "ETag: \"b\"") && !has_line(head, "ETag: \"a\""));
    assert_true(has_line(head, "Server: hearth"));
    assert_true(str_has(head, STR("\r\nDate: ")));
    assert_false(str_has(head, STR("Connection")));
    assert_true(has_line(reply_head_bytes(&r, true), "Connection: close"));
    arena_free(a);
}

static void test_no_line_gets_out(void **state)
{
    static const str values[] = {
        STR_INIT("a\r\nX-Evil: 1"), STR_INIT("a\nX-Evil: 1"),    STR_INIT("a\rX-Evil: 1"),
        STR_INIT("a\0X-Evil: 1"),   STR_INIT("a\r\n\r\nX-Evil"), STR_INIT("\r\nX-Evil: 1\r\n"),
        STR_INIT("a\033X-Evil"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct arena *a = arena_new(0);
        struct req r = request(a, M_GET, NULL, 0);
        str head;

        reply_header(&r, "X-A", values[i]);
        assert_null(reply_redirect(&r, 302, values[i]));
        head = reply_head_bytes(&r, false);
        assert_false(str_has(head, STR("\nX-Evil")) || str_has(head, STR("\rX-Evil")));
        assert_int_equal(str_find(head, '\0'), -1);
        assert_int_equal(str_find(head, '\033'), -1);
        assert_true(str_find(head, '\r') > 0);
        assert_true(str_ends(head, STR("\r\n\r\n")));
        assert_false(str_has(str_first(head, head.len - 4), STR("\r\n\r\n")));
        arena_free(a);
    }
}

static void test_framing(void **state)
{
    struct arena *a = arena_new(0);
    struct req r = request(a, M_GET, NULL, 0);
    str head;

    (void)state;
    assert_null(reply_empty(&r, 204));
    assert_false(str_has(reply_head_bytes(&r, false), STR("Content-Length")));
    r.reply = arena_one(a, struct reply);
    assert_null(reply_empty(&r, 304));
    assert_false(str_has(reply_head_bytes(&r, false), STR("Content-Length")));
    r.reply = arena_one(a, struct reply);
    assert_null(reply_empty(&r, 200));
    assert_true(has_line(reply_head_bytes(&r, false), "Content-Length: 0"));

    r.reply = arena_one(a, struct reply);
    assert_null(reply_source(&r, 200, "a/b", source_bytes(a, STR("x")), REPLY_UNKNOWN));
    head = reply_head_bytes(&r, false);
    assert_true(has_line(head, "Transfer-Encoding: chunked"));
    assert_false(str_has(head, STR("Content-Length")));
    r.http_minor = 0;
    assert_false(str_has(reply_head_bytes(&r, true), STR("Transfer-Encoding")));
    r.http_minor = 1;
    r.method = M_HEAD;
    assert_false(str_has(reply_head_bytes(&r, true), STR("Transfer-Encoding")));

    r.reply = arena_one(a, struct reply);
    assert_null(reply_source(&r, 206, "a/b", source_bytes(a, STR("x")), 50000000001));
    assert_true(has_line(reply_head_bytes(&r, false), "Content-Length: 50000000001"));
    arena_free(a);
}

static str unzip(struct arena *a, str z)
{
    z_stream s = {0};
    unsigned char *in = arena_alloc(a, z.len), *out = arena_alloc(a, 100000);

    memcpy(in, z.ptr, z.len);
    s.next_in = in;
    s.avail_in = (uInt)z.len;
    s.next_out = out;
    s.avail_out = 100000;
    assert_int_equal(inflateInit2(&s, 15 + 16), Z_OK);
    assert_int_equal(inflate(&s, Z_FINISH), Z_STREAM_END);
    inflateEnd(&s);
    return (str){(const char *)out, 100000 - s.avail_out};
}

static const struct {
    const char *name, *accept, *type;
    size_t len;
    bool zipped, vary;
} gzip_cases[] = {
    {"accepted", "gzip", "text/html; charset=utf-8", 20000, true, true},
    {"in a list", "deflate, gzip;q=0.5, br", "application/json", 20000, true, true},
    {"small state", "gzip", "application/json", 1400, true, true},
    {"anything", "*", "image/svg+xml", 20000, true, true},
    {"refused", "gzip;q=0", "text/html", 20000, false, true},
    {"refused in spite of *", "*, gzip;q=0.0", "text/html", 20000, false, true},
    {"not asked", "identity", "text/html", 20000, false, true},
    {"no header", NULL, "text/html", 20000, false, true},
    {"too small", "gzip", "text/html", 1399, false, false},
    {"not text", "gzip", "application/octet-stream", 20000, false, false},
};

static void test_gzip(void **state)
{
    static char text[20000];

    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof gzip_cases / sizeof *gzip_cases; i++) {
        struct arena *a = arena_new(0);
        struct http_header h = {STR("Accept-Encoding"), str_c(gzip_cases[i].accept)};
        struct req r = request(a, M_GET, &h, gzip_cases[i].accept ? 1 : 0);
        str body = {text, gzip_cases[i].len}, head;

        reply_header(&r, "ETag", STR("\"t\""));
        assert_null(reply_bytes(&r, 200, gzip_cases[i].type, body));
        head = reply_head_bytes(&r, false);
        if (has_line(head, "Content-Encoding: gzip") != gzip_cases[i].zipped ||
            has_line(head, "Vary: Accept-Encoding") != gzip_cases[i].vary ||
            has_line(head, "ETag: W/\"t\"") != gzip_cases[i].zipped)
            fail_msg("%s: %.*s", gzip_cases[i].name, STR_FMT(head));
        if (gzip_cases[i].zipped)
            assert_true(str_eq(unzip(a, body_of(&r)), body));
        else
            assert_true(str_eq(body_of(&r), body));
        arena_free(a);
    }
}

static void test_noise_is_not_zipped(void **state)
{
    struct arena *a = arena_new(0);
    struct http_header h = {STR("Accept-Encoding"), STR("gzip")};
    struct req r = request(a, M_GET, &h, 1);
    char *noise = arena_alloc(a, 3000);
    uint32_t x = 1;

    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (char)(x >> 24);
    }
    assert_null(reply_bytes(&r, 200, "text/plain", (str){noise, 3000}));
    assert_false(reply_has_header(&r, "content-encoding"));
    r.reply = arena_one(a, struct reply);
    reply_no_gzip(&r);
    assert_null(reply_text(&r, 200, (str){arena_alloc(a, 3000), 3000}));
    assert_false(reply_has_header(&r, "content-encoding"));
    arena_free(a);
}

static void test_fail_forgets(void **state)
{
    static const struct err_info e = {503, "Busy", STR_INIT("Try \"again\"."), NULL, STR_INIT("")};
    struct arena *a = arena_new(0);
    struct req r = request(a, M_GET, NULL, 0);
    str head;

    (void)state;
    reply_header(&r, "ETag", STR("\"x\""));
    assert_null(reply_source(&r, 200, "video/mp4", source_bytes(a, STR("x")), 1));
    reply_fail(&r, &e);
    head = reply_head_bytes(&r, false);
    assert_true(str_starts(head, STR("HTTP/1.1 503 ")));
    assert_true(has_line(head, "X-Error-Code: Busy"));
    assert_false(str_has(head, STR("ETag")) || str_has(head, STR("video")));
    assert_true(str_eq(body_of(&r), STR("{\"error\":\"Try \\\"again\\\".\"}")));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_no_line_gets_out),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_noise_is_not_zipped),
        cmocka_unit_test(test_fail_forgets),
    };

    return cmocka_run_group_tests_name("http_reply", tests, NULL, NULL);
}
