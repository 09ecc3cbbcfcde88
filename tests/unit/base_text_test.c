/* base_text_test.c — see base/text.h. */
#include "base/text.h"
#include "check.h"

static struct arena *a;

static void test_hex(void **state)
{
    unsigned char out[3];

    (void)state;
    check_str(hex_encode(a, "\x00\xab\xff", 3), "00abff");
    assert_true(hex_decode(STR("00aBFf"), out, 3));
    assert_memory_equal(out, "\x00\xab\xff", 3);
    assert_false(hex_decode(STR("00ab"), out, 3));
    assert_false(hex_decode(STR("00abfg"), out, 3));
    assert_true(hex_is(STR("0aF"), 3));
    assert_false(hex_is(STR("0aF"), 4));
}

static void test_base64(void **state)
{
    static const struct {
        const char *plain, *coded, *url;
    } rows[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    static const char *const bad[] = {"Z",     "Zg=",      "Zg===", "Zm9v=", "=",
                                      "Zm 9v", "Zg==Zg==", "Zm9vY", "Zm8=\n"};
    str out;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_str(base64_encode(a, rows[i].plain, strlen(rows[i].plain)), rows[i].coded);
        check_str(base64url_encode(a, rows[i].plain, strlen(rows[i].plain)), rows[i].url);
        assert_true(base64_decode(a, str_c(rows[i].coded), &out));
        check_str(out, rows[i].plain);
        assert_true(base64_decode(a, str_c(rows[i].url), &out));
        check_str(out, rows[i].plain);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (base64_decode(a, str_c(bad[i]), &out))
            fail_msg("accepted \"%s\"", bad[i]);
}

/* Every way of cutting a text into two pieces decodes alike and stays within the promised room. */
static void test_base64_pieces(void **state)
{
    str text = STR("SGVsbG8gd29ybGQsIHRoaXMgaXMgcGllY2VzLg==");
    unsigned char out[64];

    (void)state;
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct base64_stream b = {0};
        size_t n = base64_feed(&b, str_first(text, cut), out);
        size_t m = base64_feed(&b, str_from(text, cut), out + n);

        assert_true(n <= cut / 4 * 3 + 3);
        assert_true(m <= (text.len - cut) / 4 * 3 + 3);
        assert_true(base64_finish(&b));
        check_str(((str){(char *)out, n + m}), "Hello world, this is pieces.");
    }
}

static void test_url(void **state)
{
    str out;

    (void)state;
    assert_true(url_decode(a, STR("refs%2Fpr%2f1+x"), false, &out));
    check_str(out, "refs/pr/1+x");
    assert_true(url_decode(a, STR("a+b%20c"), true, &out));
    check_str(out, "a b c");
    assert_false(url_decode(a, STR("%"), false, &out));
    assert_false(url_decode(a, STR("%4"), false, &out));
    assert_false(url_decode(a, STR("%zz"), false, &out));
    assert_false(url_decode(a, STR("a%00b"), false, &out));
    check_str(url_encode(a, STR("a/b c~\xc3\xa4")), "a%2Fb%20c~%C3%A4");
    check_str(url_encode_path(a, STR("a/b c")), "a/b%20c");
    check_str(url_encode_ref(a, STR("///evil.example/x\r\n")), "/evil.example/x%0D%0A");
}

static void test_query(void **state)
{
    struct url_query q;

    (void)state;
    check_ok(url_query_parse(a, STR("a=1&expand[]=x&expand=y+z&&flag&recursive=True&e="), 10, &q));
    assert_int_equal(q.count, 6);
    check_str(url_query_get(&q, STR("expand")), "x");
    check_str(q.pairs[2].value, "y z");
    assert_null(url_query_get(&q, STR("missing")).ptr);
    assert_non_null(url_query_get(&q, STR("e")).ptr);
    assert_true(url_query_bool(&q, STR("flag")));
    assert_true(url_query_bool(&q, STR("recursive")));
    assert_true(url_query_bool(&q, STR("a")));
    assert_false(url_query_bool(&q, STR("expand")));
    assert_false(url_query_bool(&q, STR("missing")));
    check_ok(url_query_parse(a, STR_NONE, 10, &q));
    assert_int_equal(q.count, 0);
    check_fails(url_query_parse(a, STR("a&b&c"), 2, &q), 400);
    check_fails(url_query_parse(a, STR("a=%G0"), 2, &q), 400);
}

static void test_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "plain ascii, long enough for eight",
                                       "\xc2\x80",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\xa4\x97",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "12345678\xe2\x28\xa1",
                                      "\xe2\x82\x61"};
    static const char *const cut[] = {"abc\xe2\x82", "\xf0\x9f", "\xc3"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(utf8_valid(str_c(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(utf8_valid(str_c(bad[i])));
        assert_false(utf8_valid_cut(str_c(bad[i])));
    }
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        assert_false(utf8_valid(str_c(cut[i])));
        assert_true(utf8_valid_cut(str_c(cut[i])));
    }
    assert_true(text_ct_eq(STR("secret"), STR("secret")));
    assert_false(text_ct_eq(STR("secret"), STR("secreT")));
    assert_false(text_ct_eq(STR("secret"), STR("secre")));
    assert_true(text_ct_eq(STR_NONE, STR("")));
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
        cmocka_unit_test(test_hex),           cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_pieces), cmocka_unit_test(test_url),
        cmocka_unit_test(test_query),         cmocka_unit_test(test_utf8),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
