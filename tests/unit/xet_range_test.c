/* xet_range_test.c — which bytes a download asks for.  One row per case; the name says what the
 * client meant. */
#include "check.h"
#include "xet/range.h"

static const struct {
    const char *name;
    const char *value; /* NULL: no header */
    uint64_t size;
    int status; /* 0: fine */
    uint64_t first, count;
} cases[] = {
    {"no header: all of it", NULL, 100, 0, 0, 100},
    {"no header, empty file", NULL, 0, 0, 0, 0},
    {"the first block of a small file is cut", "bytes=0-255999999", 10, 0, 0, 10},
    {"its second block is where the file ended", "bytes=256000000-767999999", 10, 416, 0, 0},
    {"a block exactly at the end", "bytes=10-20", 10, 416, 0, 0},
    {"the last byte", "bytes=9-9", 10, 0, 9, 1},
    {"one byte", "bytes=0-0", 10, 0, 0, 1},
    {"from 4 on", "bytes=4-", 10, 0, 4, 6},
    {"the last three", "bytes=-3", 10, 0, 7, 3},
    {"more than there is", "bytes=-300", 10, 0, 0, 10},
    {"the last none", "bytes=-0", 10, 416, 0, 0},
    {"the last of nothing", "bytes=-5", 0, 416, 0, 0},
    {"the empty file from its start", "bytes=0-99", 0, 0, 0, 0},
    {"the empty file from its start on", "bytes=0-", 0, 0, 0, 0},
    {"the empty file from elsewhere", "bytes=1-99", 0, 416, 0, 0},
    {"an end beyond all numbers", "bytes=4-99999999999999999999999", 10, 0, 4, 6},
    {"a start beyond all numbers", "bytes=99999999999999999999999-", 10, 416, 0, 0},
    {"upper case, blanks around", " BYTES= 2-3 ", 10, 0, 2, 2},
    {"backwards", "bytes=5-4", 10, 416, 0, 0},
    {"two ranges", "bytes=0-1,3-4", 10, 416, 0, 0},
    {"no numbers", "bytes=-", 10, 416, 0, 0},
    {"another unit", "pages=1-2", 10, 416, 0, 0},
    {"no unit", "0-5", 10, 416, 0, 0},
    {"nothing", "", 10, 416, 0, 0},
    {"signs", "bytes=+1-2", 10, 416, 0, 0},
    {"hex", "bytes=0x1-2", 10, 416, 0, 0},
};

static void of_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct xet_range r = {0, 0};
        str value = cases[i].value ? str_c(cases[i].value) : STR_NONE;
        err e = xet_range_parse(value, cases[i].size, &r);

        if ((e ? e->status : 0) != cases[i].status || r.first != cases[i].first ||
            r.count != cases[i].count)
            fail_msg("%s: %d, %llu + %llu", cases[i].name, e ? e->status : 0,
                     (unsigned long long)r.first, (unsigned long long)r.count);
    }
}

static const struct {
    const char *value;
    size_t count;         /* 0: refused */
    uint64_t first, last; /* of the last range */
} lists[] = {
    {NULL, 1, 100, 199},
    {"bytes=100-199", 1, 100, 199},
    {"bytes=150-", 1, 150, 199},
    {"bytes=100-100,102-103,199-199", 3, 199, 199},
    {"bytes=100-109, 110-119", 2, 110, 119},
    {"bytes=99-199", 0, 0, 0},
    {"bytes=100-200", 0, 0, 0},
    {"bytes=200-", 0, 0, 0},
    {"bytes=0-", 0, 0, 0},
    {"bytes=-5", 0, 0, 0},
    {"bytes=110-119,100-109", 0, 0, 0},
    {"bytes=100-110,110-119", 0, 0, 0},
    {"bytes=150-,151-152", 0, 0, 0},
    {"bytes=100-110,", 0, 0, 0},
    {"bytes=", 0, 0, 0},
    {"", 0, 0, 0},
    {"lines=100-110", 0, 0, 0},
};

static void within_links(void **state)
{
    struct xet_range r[XET_RANGES_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        size_t count = 0;
        bool ok = xet_ranges_parse(lists[i].value ? str_c(lists[i].value) : STR_NONE, 100, 199, r,
                                   &count);

        if (ok != (lists[i].count > 0) || (ok && count != lists[i].count) ||
            (ok && (r[count - 1].first != lists[i].first ||
                    r[count - 1].first + r[count - 1].count - 1 != lists[i].last)))
            fail_msg("%s", lists[i].value ? lists[i].value : "no header");
    }
}

static void very_many(void **state)
{
    struct arena *a = arena_new(0);
    struct xet_range r[XET_RANGES_MAX];
    size_t count = 0;
    str s = STR("bytes=0-0");

    (void)state;
    for (int i = 1; i < XET_RANGES_MAX; i++)
        s = arena_printf(a, "%.*s,%d-%d", STR_FMT(s), i, i);
    assert_true(xet_ranges_parse(s, 0, 99999, r, &count));
    assert_int_equal(count, XET_RANGES_MAX);
    s = arena_cat(a, s, STR(",1000-1000"));
    assert_false(xet_ranges_parse(s, 0, 99999, r, &count));
    arena_free(a);
}

static void links(void **state)
{
    struct arena *a = arena_new(0);
    struct xorb_link l = {7, 1790000000123456789, 5, 67174399}, back;
    xorb_hash h = {{1}}, other = {{2}};
    static const char *const bad[][2] = {
        {"", ""},
        {"1-2", ""},
        {"", "1-2"},
        {"0-2", "1-2"},
        {"1-2", "2-1"},
        {"1", "1-2"},
        {"1-2-3", "1-2"},
        {"-1-2", "1-2"},
        {"1-2", "1-99999999999"},
        {"9223372036854775808-2", "1-2"},
        {"1-2", "1-2-3"},
        {" 1-2", "1-2"},
    };

    (void)state;
    check_str(xet_link_query(a, &l), "x=7-1790000000123456789&r=5-67174399");
    assert_true(xet_link_parse(STR("7-1790000000123456789"), STR("5-67174399"), &back));
    assert_memory_equal(&back, &l, sizeof l);
    assert_false(str_eq(xet_link_claims(a, h, &l), xet_link_claims(a, other, &l)));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (xet_link_parse(str_c(bad[i][0]), str_c(bad[i][1]), &back))
            fail_msg("x=%s r=%s", bad[i][0], bad[i][1]);
    assert_false(xet_link_parse(STR_NONE, STR_NONE, &back));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_files),
        cmocka_unit_test(within_links),
        cmocka_unit_test(very_many),
        cmocka_unit_test(links),
    };

    return cmocka_run_group_tests_name("xet_range", tests, NULL, NULL);
}
