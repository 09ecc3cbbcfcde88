/* cas_chunk_test.c — see cas/chunk.h. */
#include "cas/chunk.h"
#include "cas_vectors.h"
#include "check.h"

#include <lz4frame.h>

static struct chunk_encoder *encoder;
static struct chunk_decoder *decoder;

static void test_heads(void **state)
{
    static const struct {
        const char *name;
        unsigned char bytes[CHUNK_HEAD];
        bool ok;
    } rows[] = {
        {"stored", {0, 5, 0, 0, 0, 5, 0, 0}, true},
        {"compressed", {0, 5, 0, 0, 2, 0, 0, 2}, true},
        {"largest packed", {0, 0, 0, 4, 1, 0, 0, 2}, true},
        {"packed too large", {0, 1, 0, 4, 1, 0, 0, 2}, false},
        {"another version", {1, 5, 0, 0, 0, 5, 0, 0}, false},
        {"unknown scheme", {0, 5, 0, 0, 3, 5, 0, 0}, false},
        {"the scheme that never appears", {0, 5, 0, 0, 99, 5, 0, 0}, false},
        {"stored with two lengths", {0, 5, 0, 0, 0, 6, 0, 0}, false},
        {"empty", {0, 0, 0, 0, 0, 0, 0, 0}, false},
        {"nothing in it", {0, 15, 0, 0, 1, 0, 0, 0}, false},
        {"too long", {0, 9, 0, 0, 1, 1, 0, 2}, false},
    };
    struct chunk_head h;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = chunk_head_parse(rows[i].bytes, &h);
        unsigned char back[CHUNK_HEAD];

        if (!e != rows[i].ok)
            fail_msg("%s", rows[i].name);
        if (e)
            continue;
        chunk_head_write(back, h);
        assert_memory_equal(back, rows[i].bytes, CHUNK_HEAD);
    }
}

static void round_trip(const unsigned char *raw, size_t len, enum chunk_scheme *ret_scheme)
{
    struct chunk_packed p = chunk_encode(encoder, raw, len);
    struct chunk_head h;
    str out;

    check_ok(chunk_head_parse(p.head, &h));
    assert_int_equal(h.packed_len, p.payload.len);
    assert_int_equal(h.raw_len, len);
    if (h.scheme != CHUNK_STORED) /* worth it */
        assert_true(p.payload.len <= len - len / 8);
    check_ok(chunk_decode(decoder, h, p.payload.ptr, &out));
    assert_int_equal(out.len, len);
    assert_memory_equal(out.ptr, raw, len);
    *ret_scheme = h.scheme;
}

static void test_schemes(void **state)
{
    unsigned char *raw = malloc(CHUNK_MAX);
    enum chunk_scheme scheme;

    (void)state;
    splitmix(1, raw, CHUNK_MAX); /* noise is stored */
    chunk_encoder_restart(encoder);
    round_trip(raw, CHUNK_MAX, &scheme);
    assert_int_equal(scheme, CHUNK_STORED);

    for (size_t i = 0; i < CHUNK_MAX; i++) /* text compresses as it is */
        raw[i] = (unsigned char)"the quick brown fox jumps "[i % 26];
    round_trip(raw, CHUNK_MAX, &scheme);
    assert_int_equal(scheme, CHUNK_STORED); /* still in the run that noise decided */
    chunk_encoder_restart(encoder);
    round_trip(raw, CHUNK_MAX, &scheme);
    assert_int_equal(scheme, CHUNK_LZ4);

    splitmix(2, raw, CHUNK_MAX); /* numbers with one constant byte want grouping */
    for (size_t i = 3; i < CHUNK_MAX; i += 4) {
        raw[i] = 0x3f;
        raw[i - 1] = (unsigned char)(0x80 + (i >> 9));
    }
    chunk_encoder_restart(encoder);
    round_trip(raw, 65536, &scheme);
    assert_int_equal(scheme, CHUNK_GROUPED_LZ4);
    for (int i = 0; i < 31; i++)
        round_trip(raw, CHUNK_MAX - (size_t)i, &scheme);
    memset(raw, 'x', CHUNK_MAX);
    round_trip(raw, CHUNK_MAX, &scheme); /* the 33rd: schemes are tried again */
    assert_int_equal(scheme, CHUNK_LZ4);
    free(raw);
}

static void test_all_small_lengths(void **state)
{
    unsigned char raw[300];
    enum chunk_scheme scheme;

    (void)state;
    for (size_t len = 1; len <= sizeof raw; len++) {
        memset(raw, (int)len, sizeof raw);
        chunk_encoder_restart(encoder);
        round_trip(raw, len, &scheme);
        raw[0] = 7;
        round_trip(raw, len, &scheme);
    }
}

/* Packs with the library's own encoder, as other clients do. */
static size_t foreign_frame(const void *raw, size_t len, int block_id, bool linked, bool checksum,
                            bool with_size, unsigned char *dst, size_t cap)
{
    LZ4F_preferences_t prefs = {
        .frameInfo = {
            .blockSizeID = (LZ4F_blockSizeID_t)block_id,
            .blockMode = linked ? LZ4F_blockLinked : LZ4F_blockIndependent,
            .contentChecksumFlag = checksum ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum,
            .blockChecksumFlag = checksum ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum,
            .contentSize = with_size ? len : 0}};
    size_t n = LZ4F_compressFrame(dst, cap, raw, len, &prefs);

    assert_false(LZ4F_isError(n));
    return n;
}

static err decode(const void *payload, size_t packed_len, size_t raw_len, str *ret)
{
    struct chunk_head h = {CHUNK_LZ4, (uint32_t)packed_len, (uint32_t)raw_len};

    return chunk_decode(decoder, h, payload, ret);
}

static void test_foreign_frames(void **state)
{
    unsigned char *raw = malloc(CHUNK_MAX), *packed = malloc(CHUNK_PACKED_MAX);
    str out;

    (void)state;
    splitmix(3, raw, CHUNK_MAX);
    memset(raw + 1000, 'a', 100000);
    for (int block_id = 4; block_id <= 7; block_id++) {
        for (unsigned flags = 0; flags < 8; flags++) {
            size_t n = foreign_frame(raw, CHUNK_MAX, block_id, flags & 1, flags & 2, flags & 4,
                                     packed, CHUNK_PACKED_MAX);

            check_ok(decode(packed, n, CHUNK_MAX, &out));
            assert_memory_equal(out.ptr, raw, CHUNK_MAX);
            check_fails(decode(packed, n, CHUNK_MAX - 1, &out), 400);
            check_fails(decode(packed, n - 1, CHUNK_MAX, &out), 400);
            packed[n] = 0;
            check_fails(decode(packed, n + 1, CHUNK_MAX, &out), 400);
            if (flags & 2) {
                packed[n / 2] ^= 1;
                check_fails(decode(packed, n, CHUNK_MAX, &out), 400);
            }
        }
    }
    free(raw);
    free(packed);
}

static void test_hostile_frames(void **state)
{
    static const unsigned char skippable[] = {0x50, 0x2a, 0x4d, 0x18, 1,    0,    0,    0,
                                              'x',  0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82};
    unsigned char raw[200], packed[400], two[800];
    size_t n;
    str out;

    (void)state;
    check_fails(decode(skippable, sizeof skippable, 1, &out), 400);
    memset(raw, 'r', sizeof raw);
    n = foreign_frame(raw, sizeof raw, 4, false, false, false, packed, sizeof packed);
    memcpy(two, packed, n);
    memcpy(two + n, packed, n);
    check_fails(decode(two, 2 * n, 2 * sizeof raw, &out), 400); /* two frames */
    check_fails(decode(two, 2 * n, sizeof raw, &out), 400);
    packed[4] |= 1; /* a dictionary */
    check_fails(decode(packed, n, sizeof raw, &out), 400);
    memset(raw, 0, sizeof raw); /* a frame of 4 GiB in blocks that never end */
    n = foreign_frame(raw, sizeof raw, 7, false, false, true, packed, sizeof packed);
    packed[6] = 0xff;
    check_fails(decode(packed, n, sizeof raw, &out), 400);
    n = foreign_frame(raw, sizeof raw, 4, false, false, false, packed, sizeof packed);
    check_ok(decode(packed, n, sizeof raw, &out)); /* the decoder recovers */
}

static int setup(void **state)
{
    (void)state;
    encoder = chunk_encoder_new();
    decoder = chunk_decoder_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chunk_encoder_free(encoder);
    chunk_decoder_free(decoder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_schemes),
        cmocka_unit_test(test_all_small_lengths),
        cmocka_unit_test(test_foreign_frames),
        cmocka_unit_test(test_hostile_frames),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
