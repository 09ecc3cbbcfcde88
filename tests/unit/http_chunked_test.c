/* http_chunked_test.c — bodies in chunks, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "http/chunked.h"
#include <cmocka.h>
#include <string.h>

static const struct {
    const char *name;
    str in, out; /* out.ptr NULL: refused */
    bool open;   /* more is wanted */
} cases[] = {
    {"two chunks", STR_INIT("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), STR_INIT("abcde"), false},
    {"empty body", STR_INIT("0\r\n\r\n"), STR_INIT(""), false},
    {"hex in both cases", STR_INIT("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
     STR_INIT("01234567890123456789"), false},
    {"leading zeros", STR_INIT("0003\r\nabc\r\n000\r\n\r\n"), STR_INIT("abc"), false},
    {"extensions", STR_INIT("3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n"), STR_INIT("abc"), false},
    {"semicolon in a quoted value", STR_INIT("3;a=\"b;c\";d\r\nabc\r\n0\r\n\r\n"), STR_INIT("abc"),
     false},
    {"trailers", STR_INIT("3\r\nabc\r\n0\r\nX: y\r\nZ:\r\n\r\n"), STR_INIT("abc"), false},
    {"data with CR LF", STR_INIT("4\r\n\r\n\r\n\r\n0\r\n\r\n"), STR_INIT("\r\n\r\n"), false},
    {"half a chunk", STR_INIT("5\r\nab"), STR_INIT("ab"), true},
    {"without the last line", STR_INIT("1\r\na\r\n0\r\n"), STR_INIT("a"), true},
    {"no size", STR_INIT("\r\nabc\r\n"), {0}, false},
    {"extension without size", STR_INIT(";a\r\nabc\r\n"), {0}, false},
    {"size with 0x", STR_INIT("0x3\r\nabc\r\n"), {0}, false},
    {"size with a sign", STR_INIT("+3\r\nabc\r\n"), {0}, false},
    {"negative size", STR_INIT("-3\r\nabc\r\n"), {0}, false},
    {"blank after the size", STR_INIT("3 \r\nabc\r\n"), {0}, false},
    {"blank before the size", STR_INIT(" 3\r\nabc\r\n"), {0}, false},
    {"bare LF after the size", STR_INIT("3\nabc\r\n"), {0}, false},
    {"bare CR after the size", STR_INIT("3\rabc\r\n"), {0}, false},
    {"bare LF in an extension", STR_INIT("3;a\nabc\r\n"), {0}, false},
    {"extension without a name", STR_INIT("3;\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"two semicolons", STR_INIT("3;;a\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"blank before an extension", STR_INIT("3; a=b\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"blank before the equals sign of an extension",
     STR_INIT("3;a =b\r\nabc\r\n0\r\n\r\n"),
     {0},
     false},
    {"blank after the equals sign of an extension",
     STR_INIT("3;a= b\r\nabc\r\n0\r\n\r\n"),
     {0},
     false},
    {"extension without a value", STR_INIT("3;a=\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"value without a name", STR_INIT("3;=b\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"semicolon after the last extension", STR_INIT("3;a=b;\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"text behind a quoted value", STR_INIT("3;a=\"b\"c\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"quote inside a value", STR_INIT("3;a=b\"c\"\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"open quote", STR_INIT("3;a=\"b\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"escape in a quoted value", STR_INIT("3;a=\"b\\\"c\"\r\nabc\r\n0\r\n\r\n"), {0}, false},
    {"NUL in an extension", STR_INIT("3;a\0\r\nabc\r\n"), {0}, false},
    {"data longer than the size", STR_INIT("3\r\nabcd\r\n"), {0}, false},
    {"bare LF after the data", STR_INIT("3\r\nabc\n0\r\n\r\n"), {0}, false},
    {"size past 63 bits", STR_INIT("8000000000000000\r\n"), {0}, false},
    {"size past 64 bits", STR_INIT("10000000000000003\r\nabc"), {0}, false},
    {"seventeen digits", STR_INIT("00000000000000003\r\nabc"), {0}, false},
    {"trailer without a name", STR_INIT("0\r\n: y\r\n\r\n"), {0}, false},
    {"trailer with a blank", STR_INIT("0\r\nX : y\r\n\r\n"), {0}, false},
    {"folded trailer", STR_INIT("0\r\nX: y\r\n z\r\n\r\n"), {0}, false},
    {"bare LF in a trailer", STR_INIT("0\r\nX: y\n\r\n"), {0}, false},
    {"NUL in a trailer", STR_INIT("0\r\nX: \0\r\n\r\n"), {0}, false},
    {"bare LF at the end", STR_INIT("0\r\n\n"), {0}, false},
};

struct decoded {
    bool failed, done;
    size_t len, eaten;
    char out[64];
};

/* Decodes `in`, given in pieces of `step` bytes. */
static struct decoded decode(str in, size_t step)
{
    struct http_chunked c = {0};
    struct decoded d = {0};
    str rest = in;

    while (rest.len > 0 && !c.done && !d.failed) {
        str piece = str_first(rest, step);
        size_t given = piece.len;

        while (piece.len > 0 && !c.done && !d.failed) {
            if (c.data_left > 0) {
                size_t n = c.data_left < piece.len ? (size_t)c.data_left : piece.len;

                assert_true(d.len + n <= sizeof d.out);
                memcpy(d.out + d.len, piece.ptr, n);
                d.len += n;
                http_chunked_take(&c, n);
                piece = str_from(piece, n);
            } else {
                d.failed = http_chunked_step(&c, &piece) != OK;
            }
        }
        rest = str_from(rest, given - piece.len);
    }
    d.done = c.done;
    d.eaten = in.len - rest.len;
    if (d.failed) {
        str more = STR("0\r\n\r\n");

        assert_true(http_chunked_step(&c, &more) != OK);
    }
    return d;
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step <= 64; step++) {
            struct decoded d = decode(cases[i].in, step);
            bool ok = cases[i].out.ptr ? !d.failed && d.done == !cases[i].open &&
                                             str_eq((str){d.out, d.len}, cases[i].out)
                                       : d.failed;

            if (!ok)
                fail_msg("%s (by %zu)", cases[i].name, step);
        }
}

static void test_stops_at_the_end(void **state)
{
    struct decoded d = decode(STR("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), 1000);

    (void)state;
    assert_true(d.done);
    assert_int_equal(d.eaten, 11);
}

/* Feeds `count` copies of `piece` after `first`; true when it was refused. */
static bool floods(str first, str piece, size_t count)
{
    struct http_chunked c = {0};
    err e = http_chunked_step(&c, &first);

    for (size_t i = 0; i < count && !e; i++) {
        str in = piece;

        while (in.len > 0 && !e)
            if (c.data_left > 0) {
                in = str_from(in, 1);
                http_chunked_take(&c, 1);
            } else {
                e = http_chunked_step(&c, &in);
            }
    }
    return e != OK;
}

static void test_limits(void **state)
{
    (void)state;
    assert_false(floods(STR("1;"), STR("x"), HTTP_CHUNK_EXT_MAX));
    assert_true(floods(STR("1;"), STR("x"), HTTP_CHUNK_EXT_MAX + 1));
    assert_true(floods(STR(""), STR("1;0123456789\r\na\r\n"), HTTP_CHUNK_EXT_TOTAL / 10 + 1));
    assert_false(floods(STR(""), STR("1\r\na\r\n"), HTTP_CHUNK_EXT_TOTAL));
    assert_true(floods(STR("0\r\n"), STR("X: 0123456789\r\n"), HTTP_TRAILERS_MAX / 15 + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_stops_at_the_end),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests_name("http_chunked", tests, NULL, NULL);
}
