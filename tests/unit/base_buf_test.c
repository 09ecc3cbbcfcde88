/* base_buf_test.c — see base/buf.h. */
#include "base/buf.h"
#include "check.h"

static void test_grow(void **state)
{
    AUTO_BUF struct buf b = BUF(100000);

    (void)state;
    check_str(buf_str(&b), "");
    for (int i = 0; i < 10000; i++)
        buf_printf(&b, "%d,", i % 10);
    assert_int_equal(b.len, 20000);
    assert_false(b.full);
    buf_shift(&b, 19998);
    check_str(buf_str(&b), "9,");
    buf_clear(&b);
    buf_add(&b, STR("ab"));
    buf_addc(&b, 'c');
    buf_add(&b, STR_NONE);
    check_str(buf_str(&b), "abc");
}

static void test_limit(void **state)
{
    AUTO_BUF struct buf b = BUF(5);

    (void)state;
    buf_add(&b, STR("12345"));
    assert_false(b.full);
    buf_addc(&b, '6');
    assert_true(b.full);
    check_str(buf_str(&b), "12345");
    buf_shift(&b, 5);
    buf_add(&b, STR("x")); /* full stays until it is cleared */
    assert_int_equal(b.len, 0);
    buf_clear(&b);
    assert_null(buf_room(&b, 6));
    buf_free(&b);
    buf_printf(&b, "%s", "1234");
    check_str(buf_str(&b), "1234");
}

static void test_long_format(void **state)
{
    AUTO_BUF struct buf b = BUF(4096);
    char text[1500];

    (void)state;
    memset(text, 'z', sizeof text);
    text[sizeof text - 1] = '\0';
    buf_printf(&b, "<%s>", text);
    assert_int_equal(b.len, 1501);
    assert_int_equal(b.ptr[1500], '>');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_long_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
