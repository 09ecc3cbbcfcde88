/* base_hash_test.c — see base/hash.h; vectors from FIPS 180 and RFC 4231. */
#include "base/hash.h"
#include "base/text.h"
#include "check.h"

static struct arena *a;

static void test_sha(void **state)
{
    struct hasher *h = sha256_new(), *copy;
    sha256 whole = sha256_of("abc", 3), parsed;
    sha1 git;

    (void)state;
    check_str(sha256_hex(a, whole),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_str(sha256_hex(a, sha256_of(NULL, 0)),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_str(sha1_hex(a, sha1_of("abc", 3)), "a9993e364706816aba3e25717850c26c9cd0d89d");
    hasher_add(h, "a", 1);
    copy = hasher_copy(h);
    hasher_add(h, "bc", 2);
    assert_true(sha256_eq(sha256_end(h), whole));
    assert_true(sha256_eq(sha256_end(copy), sha256_of("a", 1)));
    hasher_free(NULL);
    assert_true(sha256_from_hex(
        STR("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"), &parsed));
    assert_true(sha256_eq(parsed, whole));
    assert_false(sha256_from_hex(STR("ba78"), &parsed));
    assert_true(sha1_from_hex(STR("0000000000000000000000000000000000000000"), &git));
    assert_true(sha1_is_zero(git));
    assert_false(sha1_eq(git, sha1_of("", 0)));
}

static void test_hmac(void **state)
{
    (void)state;
    check_str(sha256_hex(a, hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    check_str(sha256_hex(a, hmac_sha256(STR_NONE, STR_NONE)),
              "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_blake3(void **state)
{
    static const unsigned char key[32] = {102, 151, 245, 119, 91,  149, 80,  222, 49,  53,  203,
                                          172, 165, 151, 24,  28,  157, 228, 33,  16,  155, 235,
                                          43,  88,  180, 208, 176, 75,  147, 173, 242, 41};
    blake3 h = blake3_keyed(key, "", 0);

    (void)state;
    check_str(hex_encode(a, h.b, sizeof h.b),
              "105f7e4e78cff2e05f9a0e15af844fc315d9bade164266f9670f874910744d36");
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
        cmocka_unit_test(test_sha),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_blake3),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
