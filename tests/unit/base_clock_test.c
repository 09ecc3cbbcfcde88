/* base_clock_test.c — see base/clock.h. */
#include "base/clock.h"
#include "check.h"

static struct arena *a;

static void test_print(void **state)
{
    (void)state;
    check_str(clock_iso(a, 0), "1970-01-01T00:00:00.000Z");
    check_str(clock_iso(a, -1), "1969-12-31T23:59:59.999Z");
    check_str(clock_iso(a, 1795451423123), "2026-11-23T16:30:23.123Z");
    check_str(clock_http(a, 1795451423999), "Mon, 23 Nov 2026 16:30:23 GMT");
    assert_int_equal(clock_day(0), 0);
    assert_int_equal(clock_day(-1), -1);
    assert_int_equal(clock_day(86400000), 1);
    assert_true(clock_ms() > 1600000000000);
    assert_true(clock_mono_us() / 1000 <= clock_mono_ms());
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: must fail */
    } rows[] = {
        {"2026-11-23T16:30:23.123Z", 1795451423123},
        {"2026-11-23T16:30:23.123456Z", 1795451423123},
        {"2026-11-23T16:30:23.1Z", 1795451423100},
        {"2026-11-23T16:30:23Z", 1795451423000},
        {"2026-11-23 18:30:23+02:00", 1795451423000},
        {"2026-11-23t11:00:23-0530", 1795451423000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"2023-02-29T00:00:00Z", -1},
        {"2026-11-31T00:00:00Z", -1},
        {"2026-00-10T00:00:00Z", -1},
        {"2026-11-23T24:00:00Z", -1},
        {"2026-11-23T16:30:23", -1},
        {"2026-11-23T16:30:23.Z", -1},
        {"2026-11-23T16:30:23Zx", -1},
        {"2026-11-23", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = -1;

        if (clock_parse_iso(str_c(rows[i].text), &ms) != (rows[i].ms >= 0) || ms != rows[i].ms)
            fail_msg("%s gives %lld", rows[i].text, (long long)ms);
    }
}

static int setup(void **state)
{
    (void)state;
    a = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_print), cmocka_unit_test(test_parse)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
