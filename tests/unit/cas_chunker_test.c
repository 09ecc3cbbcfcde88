/* cas_chunker_test.c — see cas/chunker.h.  Boundaries of the protocol's vectors. */
#include "base/hash.h"
#include "cas/chunker.h"
#include "cas_vectors.h"
#include "check.h"

/* Cuts `len` bytes fed in blocks of `block`; returns the number of ends written. */
static size_t cut(const unsigned char *p, size_t len, size_t block, uint32_t *ends, size_t max)
{
    struct chunker c = {0};
    size_t count = 0, at = 0;

    while (at < len) {
        size_t piece = len - at < block ? len - at : block, used = 0;

        while (used < piece) {
            bool ends_here;

            used += chunker_next(&c, p + at + used, piece - used, &ends_here);
            assert_true(used <= piece);
            assert_true(ends_here || used == piece);
            if (ends_here && count < max)
                ends[count++] = (uint32_t)(at + used);
        }
        at += piece;
    }
    if (c.len > 0 && count < max)
        ends[count++] = (uint32_t)len;
    return count;
}

static void test_megabyte(void **state)
{
    static const size_t blocks[] = {1, 37, 255, 4096, MEGA_LEN};
    unsigned char *data = malloc(MEGA_LEN);
    uint32_t ends[32];

    (void)state;
    splitmix(0, data, MEGA_LEN);
    assert_int_equal(data[0], 175);
    assert_int_equal(data[127], 132);
    assert_int_equal(data[111111], 118);
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
        assert_int_equal(cut(data, MEGA_LEN, blocks[b], ends, 32), MEGA_CHUNKS);
        for (size_t i = 0; i < MEGA_CHUNKS; i++)
            assert_int_equal(ends[i], mega_chunks[i].end);
    }
    free(data);
}

static void test_forced_cuts(void **state)
{
    unsigned char *data = malloc(MEGA_LEN);
    uint32_t ends[32];

    (void)state;
    memset(data, 0x3b, MEGA_LEN);
    assert_int_equal(cut(data, MEGA_LEN, 10000, ends, 32), 8);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(ends[i], (i + 1) * CHUNK_MAX);
    assert_int_equal(ends[7], MEGA_LEN);
    assert_int_equal(cut(data, 0, 1, ends, 32), 0);
    assert_int_equal(cut(data, 1, 1, ends, 32), 1);
    free(data);
}

static void test_triggers(void **state)
{
    static const unsigned char pattern[128] = {
        0x9a, 0x34, 0x2a, 0x22, 0x9f, 0x4b, 0x7e, 0xe0, 0x46, 0xec, 0x0c, 0xc4, 0x4f, 0xec, 0xb2,
        0x7c, 0x7f, 0x32, 0x63, 0xb2, 0x2c, 0xb0, 0xae, 0x7e, 0xfa, 0xeb, 0xcd, 0xae, 0xfc, 0x7a,
        0x23, 0x0a, 0x14, 0x65, 0xd6, 0x45, 0xc1, 0x08, 0x73, 0x69, 0x9e, 0xe4, 0x78, 0x6f, 0x88,
        0xa2, 0xc6, 0xfb, 0xd3, 0xb7, 0xfd, 0xfc, 0xa4, 0x93, 0x3f, 0x10, 0xba, 0xa2, 0x75, 0x17,
        0xaa, 0x24, 0xcd, 0xbb, 0xae, 0x4c, 0xd2, 0xae, 0xd3, 0xaf, 0x0c, 0xad, 0x91, 0x3b, 0x02,
        0x46, 0xde, 0xb5, 0x9f, 0xe3, 0xb6, 0x9c, 0xbd, 0x33, 0xe2, 0x6a, 0x18, 0x32, 0xb7, 0x9d,
        0x8c, 0x0a, 0x08, 0x17, 0xd4, 0x46, 0x0a, 0xea, 0x17, 0x21, 0xdb, 0xfe, 0x27, 0xec, 0x46,
        0x31, 0xbf, 0x74, 0x09, 0x73, 0x0f, 0x65, 0x1a, 0x9f, 0xa5, 0xdc, 0x0f, 0xaa, 0x38, 0x7d,
        0x5c, 0xa3, 0x5e, 0xeb, 0x26, 0x28, 0x31, 0x51,
    };
    static const struct {
        size_t pad;
        uint32_t ends[8];
    } rows[] = {
        {0, {8256, 16448, 24640, 32832, 41024, 49216, 57408, 65536}},
        {1, {8320, 16576, 24832, 33088, 41344, 49600, 57856, 65536}},
        {2, {8254, 16574, 24894, 33214, 41534, 49854, 58174, 65536}},
        {12, {8324, 16584, 24844, 33104, 41364, 49624, 57884, 65536}},
        {126, {8192, 16574, 24956, 33338, 41720, 50102, 58484, 65536}},
    };
    static unsigned char data[65536];
    uint32_t ends[16];

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t unit = sizeof pattern + rows[r].pad;

        for (size_t i = 0; i < sizeof data; i++)
            data[i] = i % unit < sizeof pattern ? pattern[i % unit] : 0;
        for (size_t block = 1; block <= sizeof data; block *= 16) {
            assert_int_equal(cut(data, sizeof data, block, ends, 16), 8);
            assert_memory_equal(ends, rows[r].ends, sizeof rows[r].ends);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_megabyte),
        cmocka_unit_test(test_forced_cuts),
        cmocka_unit_test(test_triggers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
