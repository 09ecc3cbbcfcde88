/* cas_xorb_test.c — see cas/xorb.h.  The small xorb and the megabyte of the protocol's vectors. */
#include "base/buf.h"
#include "base/text.h"
#include "cas/xorb.h"
#include "cas_vectors.h"
#include "check.h"

#define SMALL_HASH "6f65097457cd3fe1c6155c1df545f64fa3d5a532c1b51c828627b35fa493d8de"

static const char first_lz4_record_hex[] =
    "003000000169000004224d1860408221000000ff0654686520717569636b2062726f776e20666f78"
    "2e2015003b6020666f782e2000000000";

static const char footer_hex[] =
    "584554424c4f4201e13fcd577409656f4ff645f51d5c15c6821cb5c132a5d5a3ded893a45fb32786"
    "58424c424853480003000000190fcceba459ba0d16f33be31d2d7fafcd047f454a686b3fd53273e0"
    "d57c667520c26c856991e68a4f2b51e59d29cce44636fd80f44073f62eb412745e58175c7be790e4"
    "00c9dde276e4888758270c1cd7ff2e46e16900cfca26b2302862ddd658424c42424e440103000000"
    "380000004301000073010000690000006c0100009401000003000000ac0000004000000000000000"
    "000000000000000000000000d4000000";

static const char grouped_body_hex[] =
    "004100000269000004224d1860408232000000f20654716b6f6620206372202e6569626e78687520"
    "776f1500070b000b20000c2a00061f00060a00063e006020206372202e00000000006b0000020301"
    "0004224d186040825c0000001f0001002c3f01008002002bff350280808181828283838484858586"
    "868787888889898a8a8b8b8c8c8d8d8e8e8f8f90909191929293939494959596969797989899999a"
    "9a9b9b9c9c9d9d9e9e9f9f033f3f020025603f3f3f3f3f3f000000000028000000280000d70d3259"
    "e4e1cb631c663cf4d73c4c04022ab1ba804098e6cb293e6770eb3a95da211e6a663bd373";

static struct arena *a;
static struct chunk_decoder *decoder;

static err into_buf(void *arg, const void *p, size_t len)
{
    struct buf *b = arg;

    buf_add(b, (str){p, len});
    assert_false(b->full);
    return OK;
}

static struct chunk_packed stored(const unsigned char *raw, size_t len)
{
    struct chunk_packed p = {.payload = {(const char *)raw, len}};

    chunk_head_write(p.head, (struct chunk_head){CHUNK_STORED, (uint32_t)len, (uint32_t)len});
    return p;
}

/* The small xorb with every chunk stored. */
static struct xorb_index *build_small(struct buf *body)
{
    struct xorb_builder *b = xorb_builder_new(into_buf, body);
    unsigned char raw[SMALL_RAW], *p = raw;
    struct xorb_index *x;
    uint32_t number;

    small_raw(raw);
    for (uint32_t i = 0; i < SMALL_CHUNKS; p += small_len[i++]) {
        struct chunk_packed c = stored(p, small_len[i]);

        assert_true(xorb_builder_fits(b, small_len[i]));
        check_ok(xorb_builder_add(b, chunk_hash_of(p, small_len[i]), &c, &number));
        assert_int_equal(number, i);
    }
    x = xorb_builder_end(b);
    assert_int_equal(xorb_builder_count(b), 0);
    xorb_builder_free(b);
    return x;
}

/* Feeds in pieces of `piece` bytes. */
static err verify(str bytes, const char *hash, size_t piece, size_t *ret_body,
                  struct xorb_index **ret)
{
    struct xorb_verifier *v = xorb_verifier_new(decoder);
    xorb_hash expected;
    err e = OK;

    *ret_body = 0;
    assert_true(xorb_hash_parse(str_c(hash), &expected));
    for (str rest = bytes; rest.len > 0 && !e; rest = str_from(rest, piece)) {
        str now = str_first(rest, piece);
        size_t body = 0;

        e = xorb_verifier_feed(v, now.ptr, now.len, &body);
        *ret_body += body;
    }
    e = e ?: xorb_verifier_end(v, expected, ret);
    xorb_verifier_free(v);
    return e;
}

static str from_hex(const char *hex)
{
    size_t len = strlen(hex) / 2;
    unsigned char *p = arena_alloc(a, len);

    assert_true(hex_decode(str_c(hex), p, len));
    return (str){(char *)p, len};
}

static void test_build_small(void **state)
{
    AUTO_BUF struct buf body = BUF(1000);
    struct xorb_index *x = build_small(&body);

    (void)state;
    check_str(xorb_hash_text(a, x->hash), SMALL_HASH);
    assert_int_equal(body.len, 428);
    check_str(sha256_hex(a, sha256_of(body.ptr, body.len)),
              "b70bfc031666c7e83095907cf4c9075a663e8b6d1d82385dbf51282bf69e0e1e");
    assert_int_equal(x->count, 3);
    assert_int_equal(xorb_phys_start(x, 1), 113);
    assert_int_equal(xorb_phys_start(x, 2), 380);
    assert_int_equal(xorb_body_len(x), 428);
    assert_int_equal(x->raw_end[2], SMALL_RAW);
    assert_int_equal(xorb_raw_len(x, 1), 259);
    assert_true(xorb_is_stored(x, 2));
    check_str(range_hash_text(a, range_hash_of(x->chunks, 3)),
              "e7260edab635c8b46eb9be0a19dc703f5be60e06099546c7a1551abfd9e6b26e");
    assert_true(xorb_index_check(x));
    xorb_index_free(x);
}

/* All serialisations of the small xorb, in pieces of every size. */
static void test_verify_small(void **state)
{
    AUTO_BUF struct buf plain = BUF(1000), footed = BUF(1000), v0 = BUF(1000);
    struct xorb_index *x = build_small(&plain);
    unsigned char word[4];
    size_t body;

    (void)state;
    buf_add(&footed, from_hex(first_lz4_record_hex));
    buf_add(&footed, str_from(buf_str(&plain), 113));
    buf_add(&footed, from_hex(footer_hex));
    check_str(sha256_hex(a, sha256_of(footed.ptr, footed.len)),
              "f90f0bb2eff60ec78545e92074fc963c6f83dad520fe877ccaaa908441fd739b");
    buf_add(&v0, buf_str(&plain));
    buf_add(&v0, STR("XETBLOB\0"));
    buf_add(&v0, (str){(const char *)x->hash.b, 32});
    store_u32(word, 3);
    buf_add(&v0, (str){(const char *)word, 4});
    for (int i = 0; i < 3; i++) {
        store_u32(word, x->phys_end[i]);
        buf_add(&v0, (str){(const char *)word, 4});
    }
    buf_add(&v0, (str){(const char *)x->chunks, 96});
    buf_add(&v0, STR("nonce___________"));
    store_u32(word, 60 + 36 * 3);
    buf_add(&v0, (str){(const char *)word, 4});
    xorb_index_free(x);

    for (size_t piece = 1; piece < 600; piece++) {
        check_ok(verify(buf_str(&plain), SMALL_HASH, piece, &body, &x));
        assert_int_equal(body, 428);
        xorb_index_free(x);
        check_ok(verify(buf_str(&footed), SMALL_HASH, piece, &body, &x));
        assert_int_equal(body, 371);
        assert_int_equal(xorb_body_len(x), 371);
        assert_int_equal(x->raw_end[2], SMALL_RAW);
        assert_false(xorb_is_stored(x, 0));
        xorb_index_free(x);
        check_ok(verify(from_hex(grouped_body_hex), SMALL_HASH, piece, &body, &x));
        assert_int_equal(body, 236);
        assert_int_equal(x->schemes[1], CHUNK_GROUPED_LZ4);
        xorb_index_free(x);
        check_ok(verify(buf_str(&v0), SMALL_HASH, piece, &body, &x));
        assert_int_equal(body, 428);
        xorb_index_free(x);
    }
}

/* No byte of a xorb may change, and no end may be missing.  Free are only the nonce of the footer
 * and the lower half of the last LZ4 token, which no decoder looks at. */
static void test_damage(void **state)
{
    enum { LAST_TOKEN = 45, NONCE_FROM_END = 20, NONCE_LEN = 16 };
    AUTO_BUF struct buf plain = BUF(1000), footed = BUF(1000);
    struct xorb_index *x = NULL;
    size_t body, nonce;

    (void)state;
    xorb_index_free(build_small(&plain));
    buf_add(&footed, from_hex(first_lz4_record_hex));
    buf_add(&footed, str_from(buf_str(&plain), 113));
    buf_add(&footed, from_hex(footer_hex));
    nonce = footed.len - NONCE_FROM_END;
    for (size_t i = 0; i < footed.len; i++) {
        bool is_free = i == LAST_TOKEN || (i >= nonce && i < nonce + NONCE_LEN);
        err e;

        footed.ptr[i] ^= 1;
        e = verify(buf_str(&footed), SMALL_HASH, 1000, &body, &x);
        footed.ptr[i] ^= 1;
        if (!e)
            xorb_index_free(x);
        if (!e != is_free)
            fail_msg("byte %zu: %s", i, e ? "may not change" : "may change");
    }
    for (size_t len = 0; len < footed.len; len++)
        if (len != 371) /* the body alone is fine */
            check_fails(verify(str_first(buf_str(&footed), len), SMALL_HASH, 1000, &body, &x), 400);
    check_fails(verify(buf_str(&footed),
                       "0000000000000000000000000000000000000000000000000000000000000000", 1000,
                       &body, &x),
                400);
}

static void test_megabyte(void **state)
{
    AUTO_BUF struct buf body = BUF(2u << 20);
    struct xorb_builder *b = xorb_builder_new(into_buf, &body);
    struct chunk_encoder *e = chunk_encoder_new();
    unsigned char *data = malloc(MEGA_LEN);
    struct xorb_index *x, *again;
    uint32_t start = 0, number;
    struct merkle file;
    size_t body_len;

    (void)state;
    splitmix(0, data, MEGA_LEN);
    merkle_init(&file);
    for (uint32_t i = 0; i < MEGA_CHUNKS; start = mega_chunks[i++].end) {
        uint32_t len = mega_chunks[i].end - start;
        chunk_hash h = chunk_hash_of(data + start, len);
        struct chunk_packed c = chunk_encode(e, data + start, len);

        check_str(chunk_hash_text(a, h), mega_chunks[i].hash);
        check_ok(xorb_builder_add(b, h, &c, &number));
        merkle_add(&file, h, len);
    }
    x = xorb_builder_end(b);
    check_str(xorb_hash_text(a, x->hash),
              "6f2ce16ca5e317f0100ff0e7e5bf40a0de9032e9ee1ad04b6b8ff4e36cdfbf6c");
    check_str(file_hash_text(a, merkle_file_hash(&file)),
              "3d17b2d7d64a0e011b6717a52d9a16bd2c3f05b743fa8adf52a7d75dafab6d89");
    check_str(range_hash_text(a, range_hash_of(x->chunks, 19)),
              "6daf15a7ed258b91f607e8f5e6723a8564292d12c8104c156f7bad9c255a0180");
    check_str(range_hash_text(a, range_hash_of(x->chunks, 1)),
              "12d7ce0979b12250a7738926646c0d0be36c2a3c7cc896e58fef5c7c54e1d863");
    check_str(range_hash_text(a, range_hash_of(x->chunks + 3, 4)),
              "a03957e23df2ef98bd44bd5803b74d14108392841f10bc8733359c3c5f3ce3f0");
    assert_int_equal(body.len, 1000152);
    check_str(sha256_hex(a, sha256_of(body.ptr, body.len)),
              "89012d6b736b38afb75e9ba73683c55bfdfc468600e54da28aeb759f0cf10069");
    check_ok(verify(buf_str(&body), xorb_hash_text(a, x->hash).ptr, 65536, &body_len, &again));
    assert_int_equal(body_len, body.len);
    assert_int_equal(again->count, x->count);
    xorb_index_free(again);
    xorb_index_free(x);
    xorb_builder_free(b);
    chunk_encoder_free(e);
    free(data);
}

static err count_bytes(void *arg, const void *p, size_t len)
{
    (void)p;
    *(uint64_t *)arg += len;
    return OK;
}

static void test_limits(void **state)
{
    unsigned char *raw = calloc(1, CHUNK_MAX);
    uint64_t bytes = 0;
    struct xorb_builder *b = xorb_builder_new(count_bytes, &bytes);
    struct chunk_packed one = stored(raw, 1), full = stored(raw, CHUNK_MAX);
    chunk_hash h = chunk_hash_of(raw, 1);
    struct xorb_index *x;
    uint32_t number;

    (void)state;
    while (xorb_builder_fits(b, 1))
        check_ok(xorb_builder_add(b, h, &one, &number));
    assert_int_equal(xorb_builder_count(b), XORB_CHUNKS_MAX);
    x = xorb_builder_end(b);
    assert_int_equal(bytes, 9 * XORB_CHUNKS_MAX);
    xorb_index_free(x);
    bytes = 0;
    while (xorb_builder_fits(b, CHUNK_MAX))
        check_ok(xorb_builder_add(b, h, &full, &number));
    assert_true(bytes <= XORB_CUT_BODY && bytes > XORB_CUT_BODY - 2 * CHUNK_MAX);
    xorb_builder_reset(b);
    assert_int_equal(xorb_builder_count(b), 0);
    xorb_builder_free(b);
    free(raw);
}

static void test_too_much(void **state)
{
    AUTO_BUF struct buf body = BUF(100u << 20);
    unsigned char *raw = calloc(1, CHUNK_MAX);
    struct chunk_packed one = stored(raw, 1), full = stored(raw, CHUNK_MAX);
    struct xorb_index *x;
    size_t len;

    (void)state;
    for (uint32_t i = 0; i <= XORB_CHUNKS_MAX; i++) {
        buf_add(&body, (str){(const char *)one.head, CHUNK_HEAD});
        buf_add(&body, one.payload);
    }
    check_fails(verify(buf_str(&body), SMALL_HASH, 65536, &len, &x), 400);
    buf_clear(&body);
    while (body.len <= XORB_BODY_MAX) {
        buf_add(&body, (str){(const char *)full.head, CHUNK_HEAD});
        buf_add(&body, full.payload);
    }
    check_fails(verify(buf_str(&body), SMALL_HASH, 65536, &len, &x), 400);
    free(raw);
}

static void test_index_file(void **state)
{
    AUTO_BUF struct buf body = BUF(1000);
    struct xorb_index *x = build_small(&body), *back = NULL;
    str file = xorb_index_write(a, x);
    unsigned char *bytes;

    (void)state;
    assert_int_equal(file.len, xorb_index_file_len(3));
    check_ok(xorb_index_read(file, &back));
    assert_true(xorb_hash_eq(back->hash, x->hash));
    assert_int_equal(back->count, 3);
    assert_memory_equal(back->raw_end, x->raw_end, 12);
    assert_memory_equal(back->phys_end, x->phys_end, 12);
    assert_memory_equal(back->chunks, x->chunks, 96);
    assert_memory_equal(back->schemes, x->schemes, 3);
    assert_true(xorb_index_check(back));
    xorb_index_free(back);
    bytes = arena_alloc(a, file.len + 1);
    memcpy(bytes, file.ptr, file.len);
    for (size_t bit = 0; bit < file.len * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        check_fails(xorb_index_read((str){(char *)bytes, file.len}, &back), 500);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (size_t len = 0; len < file.len; len++)
        check_fails(xorb_index_read((str){(char *)bytes, len}, &back), 500);
    check_fails(xorb_index_read((str){(char *)bytes, file.len + 1}, &back), 500);
    xorb_index_free(x);
}

static int setup(void **state)
{
    (void)state;
    a = arena_new(0);
    decoder = chunk_decoder_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(a);
    chunk_decoder_free(decoder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_small), cmocka_unit_test(test_verify_small),
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_megabyte),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_index_file),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
