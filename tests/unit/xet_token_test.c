/* xet_token_test.c — what a CAS token says, and texts that are none. */
#include "check.h"
#include "xet/xet.h"

#define SIGNATURE "0a1b2c3d.1790000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static bool parse(struct arena *a, str claims, struct xet_token *ret)
{
    str text =
        arena_cat(a, STR("hxt1."), base64url_encode(a, claims.ptr, claims.len), STR("." SIGNATURE));

    return xet_token_parse(a, text, ret);
}

static void reads_what_was_made(void **state)
{
    struct arena *a = arena_new(0);
    struct xet_token t;

    (void)state;
    assert_true(parse(a, STR("w\n12\n345\n0123456789abcdef"), &t));
    assert_true(t.may_write);
    assert_int_equal(t.repo_id, 12);
    assert_int_equal(t.user_id, 345);
    assert_true(str_eq(t.nonce, STR("0123456789abcdef")));
    assert_true(str_eq(t.claims, STR("w\n12\n345\n0123456789abcdef")));
    assert_true(str_eq(t.signature, STR(SIGNATURE)));
    assert_true(parse(a, STR("r\n1\n0\n0123456789abcdef"), &t));
    assert_false(t.may_write);
    assert_int_equal(t.user_id, 0);
    arena_free(a);
}

static void refuses_other_claims(void **state)
{
    static const str bad[] = {
        STR_INIT(""),
        STR_INIT("x\n1\n2\n0123456789abcdef"),
        STR_INIT("rw\n1\n2\n0123456789abcdef"),
        STR_INIT("w\n1\n0123456789abcdef"),
        STR_INIT("w\n-1\n2\n0123456789abcdef"),
        STR_INIT("w\n1\n-2\n0123456789abcdef"),
        STR_INIT("w\n\n2\n0123456789abcdef"),
        STR_INIT("w\n99999999999999999999\n2\n0123456789abcdef"),
        STR_INIT("w\n1\n2\n0123456789abcde"),
        STR_INIT("w\n1\n2\n0123456789abcdef\n"),
        STR_INIT("w\n1\n2\n0123456789abcdef0123456789abcdef"),
        STR_INIT("w\n1\n2\n"),
    };
    struct arena *a = arena_new(0);
    struct xet_token t;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(parse(a, bad[i], &t));
    arena_free(a);
}

static void refuses_other_texts(void **state)
{
    struct arena *a = arena_new(0);
    str claims = STR("w\n1\n2\n0123456789abcdef");
    str encoded = base64url_encode(a, claims.ptr, claims.len), padding;
    struct xet_token t;
    char *many = arena_alloc(a, 4000);

    (void)state;
    for (size_t i = 0; i < 4000; i++)
        many[i] = 'A';
    padding = (str){many, 4000};
    assert_false(xet_token_parse(a, STR(""), &t));
    assert_false(xet_token_parse(a, STR("hxt1."), &t));
    assert_false(xet_token_parse(a, STR("hxt1.."), &t));
    assert_false(xet_token_parse(a, arena_cat(a, STR("hxt1."), encoded), &t)); /* no signature */
    assert_false(xet_token_parse(a, arena_cat(a, STR("hxt2."), encoded, STR(".x")), &t));
    assert_false(xet_token_parse(a, arena_cat(a, encoded, STR("." SIGNATURE)), &t));
    assert_false(xet_token_parse(a, STR("hxt1.!!!!." SIGNATURE), &t));
    assert_false(xet_token_parse(a, arena_cat(a, STR("hxt1."), padding, STR(".x")), &t));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_made),
        cmocka_unit_test(refuses_other_claims),
        cmocka_unit_test(refuses_other_texts),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
