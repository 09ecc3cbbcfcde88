/* base_str_test.c — see base/str.h. */
#include "base/str.h"
#include "check.h"

static void test_compare(void **state)
{
    (void)state;
    assert_true(str_eq(STR(""), STR_NONE));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_ieq(STR("Content-Type"), STR("content-tYPE")));
    assert_false(str_ieq(STR("[x"), STR("{x"))); /* differ by the case bit, but are no letters */
    assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
    assert_true(str_cmp(STR("b"), STR("abc")) > 0);
    assert_true(str_cmp(STR_NONE, STR("")) == 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
}

static void test_prefix_suffix(void **state)
{
    str s = STR("bytes=0-9");

    (void)state;
    assert_true(str_skip(&s, STR("bytes=")));
    check_str(s, "0-9");
    assert_false(str_skip(&s, STR("bytes=")));
    check_str(s, "0-9");
    assert_true(str_drop(&s, STR("-9")));
    check_str(s, "0");
    s = STR("BEARER x");
    assert_true(str_iskip(&s, STR("bearer ")));
    check_str(s, "x");
    assert_true(str_starts(STR("abc"), STR("")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("bc"), STR("abc")));
    assert_true(str_ends(STR_NONE, STR_NONE));
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("a/b/c"), '/'), 1);
    assert_int_equal(str_rfind(STR("a/b/c"), '/'), 3);
    assert_int_equal(str_find(STR_NONE, '/'), -1);
    assert_true(str_has(STR("model.safetensors"), STR("safe")));
    assert_true(str_has(STR("x"), STR("")));
    assert_false(str_has(STR("saf"), STR("safe")));
    check_str(str_from(STR("abc"), 2), "c");
    check_str(str_from(STR("abc"), 9), "");
    check_str(str_first(STR("abc"), 2), "ab");
    check_str(str_first(STR("abc"), 9), "abc");
    check_str(str_trim(STR(" \t a b\r\n")), "a b");
    check_str(str_trim(STR(" \n ")), "");
}

static void test_cut(void **state)
{
    str s = STR("a,,b,");

    (void)state;
    check_str(str_cut(&s, ','), "a");
    check_str(str_cut(&s, ','), "");
    check_str(str_cut(&s, ','), "b");
    assert_non_null(s.ptr);
    check_str(str_cut(&s, ','), "");
    assert_null(s.ptr);
    assert_int_equal(s.len, 0);
}

static void test_numbers(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    assert_true(str_u64(STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_false(str_u64(STR("18446744073709551616"), &u));
    assert_false(str_u64(STR(""), &u));
    assert_false(str_u64(STR("+1"), &u));
    assert_false(str_u64(STR("1 "), &u));
    assert_true(u == UINT64_MAX); /* untouched by failures */
    assert_true(str_i64(STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_false(str_i64(STR("9223372036854775808"), &i));
    assert_false(str_i64(STR("-9223372036854775809"), &i));
    assert_false(str_i64(STR("-"), &i));
    assert_true(str_i64(STR("-0"), &i));
    assert_true(i == 0);
    assert_true(str_hash(STR("a")) == 0xaf63dc4c8601ec8cu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_prefix_suffix),
        cmocka_unit_test(test_find),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
