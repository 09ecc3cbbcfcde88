/* base_json_test.c — see base/json.h. */
#include "base/json.h"
#include "check.h"

#include <math.h>

static struct arena *a;

static void test_read(void **state)
{
    const struct json *j, *v;
    int64_t i = 0;
    double d = 0;

    (void)state;
    check_ok(json_parse(
        a,
        STR("{\"s\":\"\\u00e4\\n\",\"n\":-9223372036854775808,\"r\":1.5,\"b\":true,\"z\":null,"
            "\"l\":[1,\"two\"],\"o\":{\"k\":\"v\"},\"f\":false}"),
        &j));
    assert_int_equal(json_type(j), JSON_OBJ);
    assert_int_equal(json_len(j), 8);
    check_str(json_get_str(j, "s"), "\xc3\xa4\n");
    assert_true(json_i64(json_get(j, "n"), &i));
    assert_true(i == INT64_MIN);
    assert_true(json_f64(json_get(j, "r"), &d));
    assert_true(d > 1.49 && d < 1.51);
    assert_true(json_true(json_get(j, "b")));
    assert_false(json_true(json_get(j, "f")));
    assert_false(json_true(json_get(j, "l")));
    assert_int_equal(json_type(json_get(j, "z")), JSON_NULL);
    assert_int_equal(json_type(json_get(j, "missing")), JSON_ABSENT);
    assert_int_equal(json_len(json_get(j, "l")), 2);
    check_str(json_str(json_at(json_get(j, "l"), 1)), "two");
    assert_null(json_at(json_get(j, "l"), 2));
    check_str(json_get_str(json_get(j, "o"), "k"), "v");
    v = json_get(json_get(json_get(j, "s"), "deeper"), "still"); /* lookups chain */
    assert_null(v);
    assert_null(json_str(v).ptr);
    assert_false(json_i64(json_get(j, "r"), &i));
    check_str(json_dump(a, json_get(j, "l")), "[1,\"two\"]");
    check_str(json_dump(a, json_get(j, "s")), "\"\xc3\xa4\\n\"");
}

static void test_walk(void **state)
{
    const struct json *j, *v;
    struct buf seen = BUF(100);
    str key;

    (void)state;
    check_ok(json_parse(a, STR("{\"b\":\"1\",\"a\":\"2\",\"b\":\"3\"}"), &j));
    for (void *it = NULL; json_next(j, &it, &key, &v);)
        buf_printf(&seen, "%.*s=%.*s;", STR_FMT(key), STR_FMT(json_str(v)));
    check_str(buf_str(&seen), "b=3;a=2;"); /* the last of two equal keys wins */
    buf_free(&seen);
    for (void *it = NULL; json_next(NULL, &it, &key, &v);)
        fail();
}

static void test_bad(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "{\"a\":1,}",
                                      "[1]x",
                                      "nul",
                                      "\"\xff\"",
                                      "\"\\ud800\"",
                                      "[01]",
                                      "'a'",
                                      "[NaN]",
                                      "\"a\nb\"",
                                      "{1:2}",
                                      "99999999999999999999"};
    const struct json *j = NULL;
    char deep[140];
    err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_fails(json_parse(a, str_c(bad[i]), &j), 400);
    e = json_parse(a, STR("{\n  \"a\": tru\n}"), &j);
    assert_true(str_has(e->text, STR("line 2")));
    memset(deep, '[', 70);
    memset(deep + 70, ']', 70);
    check_fails(json_parse(a, (str){deep, 140}, &j), 400);
    check_ok(json_parse(a, (str){deep + 6, 128}, &j)); /* 64 levels */
    check_ok(json_parse(a, STR("\"[[[\\\"[[\""), &j));
    check_ok(json_parse(a, STR(" true "), &j));
    assert_true(json_true(j));
}

static void test_write(void **state)
{
    struct json_out *j = json_out_new(a);

    (void)state;
    json_obj(j);
    json_kv_str(j, "name", STR("a\"\\\b\f\n\r\t\x01/\x7f"));
    json_kv_i64(j, "min", INT64_MIN);
    json_key(j, "list");
    json_arr(j);
    json_put_u64(j, UINT64_MAX);
    json_put_u64(j, 0);
    json_put_null(j);
    json_obj(j);
    json_obj_end(j);
    json_arr(j);
    json_arr_end(j);
    json_arr_end(j);
    json_kv_bool(j, "t", true);
    json_kv_null(j, "n");
    json_kv_raw(j, "raw", STR("{\"x\":1}"));
    json_kv_time(j, "at", 0);
    json_kv_str(j, "empty", STR_NONE);
    json_obj_end(j);
    assert_int_equal(j->depth, 0);
    check_str(
        json_out_str(j),
        "{\"name\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\x7f\",\"min\":-9223372036854775808,"
        "\"list\":[18446744073709551615,0,null,{},[]],\"t\":true,\"n\":null,\"raw\":{\"x\":1},"
        "\"at\":\"1970-01-01T00:00:00.000Z\",\"empty\":\"\"}");
}

static void test_write_text(void **state)
{
    struct json_out *j = json_out_new(a);
    const struct json *back;

    (void)state;
    json_arr(j);
    json_put_str(j, STR("\xc3\xa4\xff\xe2\x82"
                        "a\xed\xa0\x80"
                        "\xe2"));
    json_put_real(j, 0.1);
    json_put_real(j, 3);
    json_put_real(j, 1e300);
    json_put_real(j, NAN);
    json_put_real(j, 1.0 / 3);
    json_arr_end(j);
    check_str(json_out_str(j), "[\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                               "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
                               "0.1,3.0,1e+300,null,0.3333333333333333]");
    check_ok(json_parse(a, json_out_str(j), &back));
    assert_int_equal(json_len(back), 6);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),  cmocka_unit_test(test_walk),       cmocka_unit_test(test_bad),
        cmocka_unit_test(test_write), cmocka_unit_test(test_write_text),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
