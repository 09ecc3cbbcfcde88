/* http_range_test.c — one row per case; the name says what the client meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "http/range.h"
#include <cmocka.h>

static const struct {
    const char *name;
    str value;
    uint64_t size;
    int status; /* 200, 206 or 416 */
    uint64_t first, count;
} cases[] = {
    {"no header", STR_INIT(""), 100, 200, 0, 100},
    {"first ten", STR_INIT("bytes=0-9"), 100, 206, 0, 10},
    {"unit in capitals", STR_INIT("Bytes=0-9"), 100, 206, 0, 10},
    {"one byte to learn the size", STR_INIT("bytes=0-0"), 100, 206, 0, 1},
    {"resume after 40", STR_INIT("bytes=40-"), 100, 206, 40, 60},
    {"end past the file is cut", STR_INIT("bytes=90-500"), 100, 206, 90, 10},
    {"last ten", STR_INIT("bytes=-10"), 100, 206, 90, 10},
    {"suffix longer than the file", STR_INIT("bytes=-500"), 100, 206, 0, 100},
    {"last zero bytes", STR_INIT("bytes=-0"), 100, 416, 0, 0},
    {"resume a finished download", STR_INIT("bytes=100-"), 100, 416, 0, 0},
    {"empty file: nothing to cut", STR_INIT("bytes=0-"), 0, 200, 0, 0},
    {"another unit: send everything", STR_INIT("pages=1-2"), 100, 200, 0, 100},
    {"two ranges: send everything", STR_INIT("bytes=0-1,5-6"), 100, 200, 0, 100},
    {"backwards: send everything", STR_INIT("bytes=9-0"), 100, 200, 0, 100},
    {"no number: send everything", STR_INIT("bytes=-"), 100, 200, 0, 100},
    {"garbage behind: send everything", STR_INIT("bytes=0-9x"), 100, 200, 0, 100},
    {"number too big: send everything", STR_INIT("bytes=99999999999999999999-"), 100, 200, 0, 100},
    {"largest numbers", STR_INIT("bytes=0-18446744073709551614"), UINT64_MAX, 206, 0, UINT64_MAX},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_range r = {0, 0, false};
        err e = http_range_parse(cases[i].value, cases[i].size, &r);
        int status = e ? e->status : r.partial ? 206 : 200;

        if (status != cases[i].status || r.first != cases[i].first || r.count != cases[i].count)
            fail_msg("%s", cases[i].name);
    }
}

static void test_etags(void **state)
{
    str tag = STR("\"abc\"");

    (void)state;
    assert_true(http_etag_matches(STR("\"abc\""), tag));
    assert_true(http_etag_matches(STR("*"), tag));
    assert_true(http_etag_matches(STR("W/\"abc\""), tag));
    assert_true(http_etag_matches(STR("\"x\", W/\"abc\" , \"y\""), tag));
    assert_true(http_etag_matches(STR("\"a,b\""), STR("\"a,b\"")));
    assert_true(http_etag_matches(STR("\"abc\""), STR("W/\"abc\"")));
    assert_false(http_etag_matches(STR(""), tag));
    assert_false(http_etag_matches(STR_NONE, tag));
    assert_false(http_etag_matches(STR("\"ab\""), tag));
    assert_false(http_etag_matches(STR("\"abcd\""), tag));
    assert_false(http_etag_matches(STR("\"ABC\""), tag));
    assert_false(http_etag_matches(STR("\"abc"), tag));
    assert_false(http_etag_matches(STR("x\"abc\""), tag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_etags),
    };

    return cmocka_run_group_tests_name("http_range", tests, NULL, NULL);
}
