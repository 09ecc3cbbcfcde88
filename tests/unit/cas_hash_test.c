/* cas_hash_test.c — see cas/hash.h.  Vectors of the protocol: text forms, chunk hashes, trees. */
#include "base/text.h"
#include "cas/bytes.h"
#include "cas/hash.h"
#include "check.h"

static struct arena *a;

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

static void test_text(void **state)
{
    chunk_hash h, back;

    (void)state;
    for (unsigned i = 0; i < 32; i++)
        h.b[i] = (unsigned char)i;
    check_str(chunk_hash_text(a, h),
              "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918");
    assert_true(chunk_hash_parse(
        STR("07060504030201000F0E0D0C0B0A090817161514131211101f1e1d1c1b1a1918"), &back));
    assert_true(chunk_hash_eq(h, back));
    assert_false(chunk_hash_is_zero(h));
    assert_false(chunk_hash_parse(STR("0706"), &back));
    assert_false(chunk_hash_parse(
        STR("0706050403020100xf0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"), &back));
}

static void test_chunk_hash(void **state)
{
    static const struct {
        const char *bytes, *hash;
    } rows[] = {
        {"", "e0f2cf784e7e5f10c34f84af150e9a5ff9664216debad915364d741049870f67"},
        {"a", "a4d4ed80fcb2fe5177fc59321d3e6f90faf23e35a48d58303114bf073f34178a"},
        {"abc", "a8803506f7aff014f19aa9e9b79dc6455c49672570f96156071329698dd0284e"},
        {"hello world", "4e39378b9d359f118190557a1f44130219a54e5fcfa07bd96cf50b466fe651b1"},
        {"Hello, Xet!", "6053f541632297dea56b8161d3cb7635f5393c3a57840255b4701005e4483e33"},
    };
    static const char big[131072];
    char semicolons[131072];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_str(chunk_hash_text(a, chunk_hash_of(rows[i].bytes, strlen(rows[i].bytes))),
                  rows[i].hash);
    check_str(chunk_hash_text(a, chunk_hash_of(big, 65536)),
              "949007ab06e71557f3426c039da9706141a00dcd6b9e2e840a380bea4657158e");
    memset(semicolons, 0x3b, sizeof semicolons);
    check_str(chunk_hash_text(a, chunk_hash_of(semicolons, sizeof semicolons)),
              "d3b528b30528f3ad802a015cdf93c531d4da754a1f8c0d341a8f111fd8b6f04e");
}

static void test_eligible(void **state)
{
    unsigned char le[4];
    chunk_hash h;

    (void)state;
    store_u32(le, 1399);
    h = chunk_hash_of(le, 4);
    check_str(chunk_hash_text(a, h),
              "36774cbf5b98a86285146e0d5a47c036371234b44671b0635ddc37af0a956400");
    assert_true(chunk_hash_is_eligible(h));
    assert_false(chunk_hash_is_eligible(chunk_hash_of("", 0)));
}

static void test_derived(void **state)
{
    static const unsigned char key[32] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
                                          7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
    chunk_hash zero = {{0}}, h;
    struct merkle m;
    sha256 digest;

    (void)state;
    check_str(range_hash_text(a, range_hash_of(&zero, 1)),
              "ed2453881cce40159af17a3184d276ae5ef058be1597b5e7587d05460403e700");
    assert_true(chunk_hash_parse(
        STR("0dba59a4ebcc0f19af7f2d1de33bf3163f6b684a457f04cd75667cd5e07332d5"), &h));
    check_str(chunk_hash_text(a, chunk_hash_keyed(h, key)),
              "ad56ade341760d063c3d6635209c975bf2454df4dfc180a32b9036b4ac05b34d");
    merkle_init(&m);
    merkle_add(&m, chunk_hash_of("hello world", 11), 11);
    check_str(file_hash_text(a, merkle_file_hash(&m)),
              "f15edd43b7e85cfd25e2758ffe13b99fdd09dfa817e8d9f6548722a7a126db7f");
    assert_true(sha256_from_hex(
        STR("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"), &digest));
    check_str(sha256_hex(a, sha256_swap(digest)),
              "657d4c8881d0869f15d05ac5a0ea2f9a2c820b2b1b4fbfa3080af0b0156c5dd1");
    assert_true(sha256_eq(sha256_swap(sha256_swap(digest)), digest));
}

static const char *const leaves[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "cfc5d07f6f03c29bbf424132963fe08d19a37d5757aaf520bf08119f05cd56d6",
    "c3e67584b5c4fc2a89837ec39e40f2c8a6bb0b2987ac94cd4b31e5fbdd210a72",
    "0d2beb91b9196929a5ddec9f6e306924ddf4a24268e3e59fd8464738d525af37",
    "adf8773496a9b7319b2e50dc98093f344053b17d8ad37100b9c07d9805988784",
    "4ac202caf347fc1e9c874b1ef6a1c5e619141eb775a6f43f0f0124ccd0060d9e",
    "b3b28636f65c149ea52eb1f94669466f70f033b54cea792824c696ba6ef3c389",
    "0e2c1a002aae913d2c0fc8ddfa4e9e14b7b311b3b0d458726d5d9f6a6318013c",
};

/* Leaf k of `digits` has size 100 * k. */
static void build(struct merkle *m, const char *digits)
{
    merkle_init(m);
    for (; *digits; digits++) {
        unsigned k = (unsigned)(*digits - '0');
        chunk_hash h;

        assert_true(chunk_hash_parse(str_c(leaves[k]), &h));
        merkle_add(m, h, 100 * k);
    }
}

static void test_reference_trees(void **state)
{
    static const struct {
        const char *leaves, *xorb, *file;
    } rows[] = {
        {"", "0000000000000000000000000000000000000000000000000000000000000000",
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"0", "0000000000000000000000000000000000000000000000000000000000000000",
         "638a6bc391964a85939d48f008e8bdbae6a7975e7ca2d87a3ce2492f4e4d8a4c"},
        {"1", "cfc5d07f6f03c29bbf424132963fe08d19a37d5757aaf520bf08119f05cd56d6",
         "8e16257caa3fe079d484d872a8975264b2ff683b0d6db9028cc7c0f968a45661"},
        {"123", "71ec1275fca074724e2dd666921b3277c7cee603e4d025bcab2d4050015be2bc",
         "54e55dccc6653c612bdb5576c5d3cb34bb31bc4e100248abccf4c908b3ef7715"},
        {"1111", "89f2ada89ff8c96763c6b25010e6dd76a4c05b1466207633ea559acf2093211b",
         "2cdba690d0e09563596e0cda626d43eb4c96ef1e994fe72d9b2f5a83cfcd36dd"},
        {"1212", "90f8313ef12df385d237a067aded02562c35ded12116e32eba401dbc86c38031",
         "284ea045e5a579e99c21ec597c20de1fc0c09e7168162aac00db8f61b3d82dbb"},
        {"121234", "52c826f99507aa05d0b45e9837fa1709e0485425cfbcb1e80db3905cf98b3ee9",
         "91d21684db364c8883ab8209fa5eb2e781cf07f37e1fa43e731c30839afe422f"},
        {"0101", "e1755c85be07fd6b7a8d7becc85e6d8c5f507f2a3d38b316bcb6f97855e72188",
         "207caf24fce045ac6d873b4c6186a5a435d600d103e1ae345e55ddf1f4b7f7ef"},
        {"01010", "f36c6a6374a567efd36ed087aeb680b57e3af4e0b5b8e7be2593df4cb647a2de",
         "ab2f46d31855e1133b3b5b70e78f841394a648710a208923b221c1a8a0572a1f"},
        {"10", "e8660f81494ca836a58e395c1395ef97870ed71e2b113eec1fab6b3361f46dd6",
         "274d92f7e2acebaa2b8d63c0b5e7a4fc15814a606e3e3825d55609e671bcc5d9"},
        {"3453", "73b9dc802ab03a0855c66823a18d95c2a785af594535756abf405038b6270cb8",
         "c7d5be75ef5ec12888027ad305141e4109e599494477661177475c84e12de48b"},
        {"34555", "2c1fd1eca47e284512fcb40fcf45a1874939f9b91c774d46aeba5d004d9d263d",
         "0799ba7ee2c3fed173a8e8d832cd13970ddc16070ffbc8aa6dcd77476f66dc73"},
        {"01234567", "f62abe77e3fb9c954fe52b0028027ddc90c064c45951a4fd2211d87e5c0011db",
         "d1b068be5bbdb38992269e8efe61f601881e39f7a7585fd76883cc6ea5c23b44"},
        {"0123456701234567012345670123456701234567012345670123456701234567",
         "6554007c9b5d0a5e7918f79596a1b68815c1407535585435f5735db761f21b88",
         "a8640ab81d48854e00078e12b1ea8be5d90be0ffb5f73a15b7009981d093ddd8"},
        {"11111111111111111111111111111111",
         "0a0123c1617921883b7e13902095fcb86676e77c49120c33b233003b0af0e0a6",
         "53af4711fd1d5e5bdc7f931b6be932314d8d673cb16ad2482f6f5222eaf9e63d"},
        {"012345671111", "e7fc30b73ec9930593f80fe777b334e9d3bb73e45e6a79fa5784b2603446158b",
         "69e1af2fd6023ce133e0d1b90e32d1d42ef79f5a710f2b0accfc3a735e98de9d"},
        {"0011223344556677", "636c65db520ec16e8166f9ec7a0cf9f74b26369077ac60160ec0221c86bc9f77",
         "6a90ad0d6f5246ac61f1de898c6944c03e14004a1368e6fb23387108c4d039e0"},
    };
    unsigned char salt[32];
    chunk_hash parsed;
    struct merkle m;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        build(&m, rows[i].leaves);
        check_str(xorb_hash_text(a, merkle_xorb_hash(&m)), rows[i].xorb);
        check_str(file_hash_text(a, merkle_file_hash(&m)), rows[i].file);
    }
    assert_true(chunk_hash_parse(
        STR("b286606709ef32a1cfede1e603a39f83fef56772d8234c0e35d8920071d80b69"), &parsed));
    memcpy(salt, parsed.b, sizeof salt);
    build(&m, "123");
    check_str(file_hash_text(a, merkle_file_hash_salted(&m, salt)),
              "337f1f046e4cfc1057f0f3edbd87cf977fdfaf3c2b0c0031ca2d1d2a34aa2270");
}

/* Leaf i is the chunk hash of the four bytes of i, its size base + i, or 100. */
static void test_generated_trees(void **state)
{
    static const struct {
        uint32_t count;
        uint64_t base;
        bool same_size;
        const char *xorb, *file;
    } rows[] = {
        {1, 0, false, "aa58199b044a93cfc8a2a6ab463fb7fe50d858a654fb825a1acb31fb0f139aba",
         "f9dad440e3591467c390a229cc33de3968234a3929ccd34fc6ad64a49b463bba"},
        {2, 0, false, "8b1aa516d4c7b701b3da4c4e8d6a7a5799cff140a776990bbb3fa951c516bc03",
         "20514aebf6942b4c5c1f67fca36dc642ccd57bd8ab7db6ac1df3b70ae4823a58"},
        {9, 0, false, "3003825c39ec7d48e8165cecfd3bdc1f540b797fce9cc45b7e93753afc86c782",
         "b51e950847e635e34927f614a56723c7978ebdb14cdf4fe2059496c2ac9c3873"},
        {10, 0, false, "2a980273836702faf9dba651ba5513d4059bb3d8b7f8f8faf2b4a4c0256d91a1",
         "09066b92575d17a8bf0c161c6ab135b0eea75f68b445365028664a6630f2c5e5"},
        {11, 0, false, "f621e58f682fafa2f3dfbc30a08833fa6e144a7b66334a7fb41ec7129407eebb",
         "8bd1cac1daa842607764553870f8496c9dafb47254d058f90ac6e68ef6fa9b45"},
        {100, 858993459200, false,
         "4e9f397de4a9bf8bb77368c9ef784241bb13b168c94b84872f049c8549cefdeb",
         "2cc71c6c8c1a692127d95c1eab8c371146ffacc9ff02cde274c73b0e935b1338"},
        {1000, 65536, false, "e62b8ef8c918f88cab39d3597320b5fe5b9880a9274cc5fd14e02b792a0e5a67",
         "ad9d88ca5543c7db318d12f354c08f6db5dc38f416d81353979a9307c68a807b"},
        {8192, 65536, false, "f11bed47d2bddfece663458c704ce1e2745646f00c80d56efd3b89e48ff4c38c",
         "ac75d474ccf7ff70c298f4dc3608237c4f2860438f2cb71f2425d56ccb8f6f0a"},
        {6, 100, true, "215e40a65dffc9c01378f5080e25eb981998183e516e67d97db68568b76a4940",
         "dc2eefff4298a3f70a2d97d2463b4bdb6eff395a51a8a7a3f0ed0b54f8541d9f"},
    };
    struct merkle m;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        merkle_init(&m);
        for (uint32_t k = 0; k < rows[i].count; k++) {
            unsigned char le[4];

            store_u32(le, k);
            merkle_add(&m, chunk_hash_of(le, 4), rows[i].base + (rows[i].same_size ? 0 : k));
        }
        check_str(xorb_hash_text(a, merkle_xorb_hash(&m)), rows[i].xorb);
        check_str(file_hash_text(a, merkle_file_hash(&m)), rows[i].file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_chunk_hash),
        cmocka_unit_test(test_eligible),
        cmocka_unit_test(test_derived),
        cmocka_unit_test(test_reference_trees),
        cmocka_unit_test(test_generated_trees),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
