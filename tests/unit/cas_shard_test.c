/* cas_shard_test.c — see cas/shard.h.  The two shards of the protocol's vectors. */
#include "base/text.h"
#include "cas/shard.h"
#include "cas_vectors.h"
#include "check.h"

static const char upload_hex[] = "48465265706f4d6574614461746100556967456a7b815783a5bdd95ccdd14aa90"
                                 "2000000000000000000000000000000"
                                 "722de98df4008fd51b569c95ee9c6e9eb1fec48cd3c1075633819d6e320122070"
                                 "00000c0010000000000000000000000"
                                 "e13fcd577409656f4ff645f51d5c15c6821cb5c132a5d5a3ded893a45fb327860"
                                 "0000000940100000000000003000000"
                                 "b4c835b6da0e26e73f70dc190abeb96ec7469509060ee65b6eb2e6d9bf1a55a10"
                                 "0000000000000000000000000000000"
                                 "657d4c8881d0869f15d05ac5a0ea2f9a2c820b2b1b4fbfa3080af0b0156c5dd10"
                                 "0000000000000000000000000000000"
                                 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0"
                                 "0000000000000000000000000000000"
                                 "e13fcd577409656f4ff645f51d5c15c6821cb5c132a5d5a3ded893a45fb327860"
                                 "0000000030000009401000000000000"
                                 "190fcceba459ba0d16f33be31d2d7fafcd047f454a686b3fd53273e0d57c66750"
                                 "0000000690000000000000000000000"
                                 "20c26c856991e68a4f2b51e59d29cce44636fd80f44073f62eb412745e58175c6"
                                 "9000000030100000000000000000000"
                                 "7be790e400c9dde276e4888758270c1cd7ff2e46e16900cfca26b2302862ddd66"
                                 "c010000280000000000000000000000"
                                 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0"
                                 "0000000000000000000000000000000";

static const char answer_hex[] =
    "48465265706f4d6574614461746100556967456a7b815783a5bdd95ccdd14aa90200000000000000c8000000000000"
    "00"
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff000000000000000000000000000000"
    "00"
    "e13fcd577409656f4ff645f51d5c15c6821cb5c132a5d5a3ded893a45fb32786000000000300000094010000000000"
    "00"
    "060d7641e3ad56ad5b979c2035663d3ca380c1dff44d45f24db305acb436902b000000006900000000000000000000"
    "00"
    "4d847e54ec1be3b713f80af2c3aa6db9e1cb3f94870915ef029133e5ca2dc42c690000000301000000000000000000"
    "00"
    "02ba87cfee060399cafeae4e6d0555e6ed098b2b333ed780cd6ebb6af16bf4496c0100002800000000000000000000"
    "00"
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff000000000000000000000000000000"
    "00"
    "01000000000000003000000000000000600000000000000050010000000000000000000000000000"
    "50010000000000000000000000000000500100000000000000000000000000000707070707070707"
    "0707070707070707070707070707070707070707070707079b5b036b00000000ab69036b00000000"
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "00000000000000000000000000000000000000000000000094010000000000005001000000000000";
static const char xorb_text[] = "6f65097457cd3fe1c6155c1df545f64fa3d5a532c1b51c828627b35fa493d8de";
static const char file_text[] = "d58f00f48de92d729e6e9cee959c561b5607c1d38cc4feb1072201326e9d8133";
static const char range_text[] = "e7260edab635c8b46eb9be0a19dc703f5be60e06099546c7a1551abfd9e6b26e";
static const char sha_text[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

static struct arena *a;

static str from_hex(const char *hex)
{
    size_t len = strlen(hex) / 2;
    unsigned char *p = arena_alloc(a, len);

    assert_true(hex_decode(str_c(hex), p, len));
    return (str){(char *)p, len};
}

static xorb_hash the_xorb(void)
{
    xorb_hash h;

    assert_true(xorb_hash_parse(str_c(xorb_text), &h));
    return h;
}

/* The xorb section of both vectors. */
static void add_xorb(struct shard_writer *w)
{
    unsigned char raw[SMALL_RAW], *p = raw;

    small_raw(raw);
    shard_add_xorb(w, the_xorb(), SMALL_CHUNKS, SMALL_RAW);
    for (uint32_t i = 0; i < SMALL_CHUNKS; p += small_len[i++])
        shard_add_chunk(w, chunk_hash_of(p, small_len[i]), small_len[i], false);
    shard_xorbs_end(w);
}

static void test_read_upload(void **state)
{
    struct shard s;
    struct shard_file f;
    struct shard_xorb x;
    struct shard_term t;
    struct shard_footer footer;
    size_t at = 0;

    (void)state;
    check_ok(shard_open(from_hex(upload_hex), &s));
    assert_int_equal(s.file_count, 1);
    assert_int_equal(s.term_count, 1);
    assert_int_equal(s.xorb_count, 1);
    assert_int_equal(s.chunk_count, 3);
    assert_int_equal(s.end, 528);
    assert_true(shard_next_file(&s, &at, &f));
    check_str(file_hash_text(a, f.hash), file_text);
    assert_int_equal(f.size, SMALL_RAW);
    assert_true(f.has_ranges && f.has_sha256);
    check_str(sha256_hex(a, f.sha256), sha_text);
    t = shard_term_at(&f, 0);
    check_str(xorb_hash_text(a, t.xorb), xorb_text);
    assert_int_equal(t.raw_len, SMALL_RAW);
    assert_int_equal(t.first_chunk, 0);
    assert_int_equal(t.end_chunk, 3);
    check_str(range_hash_text(a, shard_range_at(&f, 0)), range_text);
    assert_false(shard_next_file(&s, &at, &f));
    at = 0;
    assert_true(shard_next_xorb(&s, &at, &x));
    assert_int_equal(x.chunk_count, 3);
    assert_int_equal(x.raw_len, SMALL_RAW);
    check_str(chunk_hash_text(a, shard_chunk_at(&x, 0).hash),
              "0dba59a4ebcc0f19af7f2d1de33bf3163f6b684a457f04cd75667cd5e07332d5");
    assert_int_equal(shard_chunk_at(&x, 2).raw_len, 40);
    assert_int_equal(shard_chunk_at(&x, 2).raw_start, 364);
    assert_false(shard_next_xorb(&s, &at, &x));
    assert_false(shard_footer_read(&s, &footer));
}

static void test_write_upload(void **state)
{
    AUTO_BUF struct buf out = BUF(10000);
    struct shard_writer w;
    file_hash file;
    range_hash range;
    sha256 sha;

    (void)state;
    assert_true(file_hash_parse(str_c(file_text), &file));
    assert_true(range_hash_parse(str_c(range_text), &range));
    assert_true(sha256_from_hex(str_c(sha_text), &sha));
    shard_begin(&w, &out, NULL);
    shard_add_file(&w, file, 1, true, true);
    shard_add_term(&w, (struct shard_term){the_xorb(), SMALL_RAW, 0, 3});
    shard_add_range(&w, range);
    shard_add_sha256(&w, sha);
    shard_files_end(&w);
    add_xorb(&w);
    assert_int_equal(out.len, 528);
    assert_true(str_eq(buf_str(&out), from_hex(upload_hex)));
}

static void test_answer(void **state)
{
    AUTO_BUF struct buf out = BUF(10000);
    struct shard_footer footer = {.created_s = 1795382171, .expires_s = 1795385771}, back;
    struct shard_writer w;
    struct shard_file f;
    struct shard s;
    size_t at = 0;

    (void)state;
    memset(footer.key, 7, sizeof footer.key);
    shard_begin(&w, &out, &footer);
    shard_files_end(&w);
    add_xorb(&w);
    assert_int_equal(out.len, 536);
    assert_true(str_eq(buf_str(&out), from_hex(answer_hex)));
    check_ok(shard_open(buf_str(&out), &s));
    assert_false(shard_next_file(&s, &at, &f));
    assert_true(shard_footer_read(&s, &back));
    assert_memory_equal(back.key, footer.key, 32);
    assert_int_equal(back.created_s, footer.created_s);
    assert_int_equal(back.expires_s, footer.expires_s);

    buf_clear(&out); /* a zero key leaves the chunk hashes as they are */
    memset(footer.key, 0, sizeof footer.key);
    shard_begin(&w, &out, &footer);
    shard_files_end(&w);
    add_xorb(&w);
    assert_int_equal(out.len, 536);
    assert_memory_equal(out.ptr + 144, from_hex(upload_hex).ptr + 336, 144);
}

static err open_with(size_t at, uint32_t value)
{
    AUTO_BUF struct buf copy = BUF(1000);
    struct shard s;

    buf_add(&copy, from_hex(upload_hex));
    store_u32((unsigned char *)copy.ptr + at, value);
    return shard_open(buf_str(&copy), &s);
}

static void test_hostile(void **state)
{
    enum { FILE_ROW = 48, TERM_ROW = 96, BOOKEND = 240, XORB_ROW = 288, CHUNK_ROW = 336 };
    str good = from_hex(upload_hex);
    struct shard s;

    (void)state;
    for (size_t len = 0; len < good.len; len++)
        check_fails(shard_open(str_first(good, len), &s), 400);
    check_fails(open_with(0, 0), 400);                      /* the tag */
    check_fails(open_with(32, 3), 400);                     /* the version */
    check_fails(open_with(FILE_ROW + 32, 0xe0000000), 400); /* an unknown flag */
    check_fails(open_with(FILE_ROW + 36, 0xffffffff), 400); /* 4 G terms */
    check_fails(open_with(FILE_ROW + 36, 0x80000000), 400);
    check_fails(open_with(FILE_ROW + 36, 0), 400);    /* not the empty file */
    check_fails(open_with(TERM_ROW + 36, 0), 400);    /* a term of no bytes */
    check_fails(open_with(TERM_ROW + 40, 3), 400);    /* first == end */
    check_fails(open_with(TERM_ROW + 44, 8193), 400); /* beyond any xorb */
    check_fails(open_with(BOOKEND, 0), 400);          /* no bookend */
    check_fails(open_with(XORB_ROW + 36, 0xffffffff), 400);
    check_fails(open_with(XORB_ROW + 36, 8193), 400);
    check_fails(open_with(XORB_ROW + 36, 0), 400);
    check_fails(open_with(CHUNK_ROW + 36, 0), 400);
    check_fails(open_with(CHUNK_ROW + 36, CHUNK_MAX + 1), 400);
    check_ok(open_with(XORB_ROW + 44, 12345)); /* the stored length means nothing */
}

static void test_empty_file_and_tail(void **state)
{
    AUTO_BUF struct buf out = BUF(10000);
    struct shard_writer w;
    file_hash zero = {{0}};
    struct shard_file f;
    struct shard s;
    size_t at = 0;

    (void)state;
    shard_begin(&w, &out, NULL);
    shard_add_file(&w, zero, 0, false, false);
    shard_add_file(&w, zero, 0, true, false);
    shard_files_end(&w);
    shard_xorbs_end(&w);
    buf_add(&out, STR("lookup tables, a footer, whatever old clients send"));
    check_ok(shard_open(buf_str(&out), &s));
    assert_int_equal(s.file_count, 2);
    assert_true(shard_next_file(&s, &at, &f));
    assert_int_equal(f.size, 0);
    assert_true(shard_next_file(&s, &at, &f));
    assert_false(shard_next_file(&s, &at, &f));
    assert_int_equal(s.xorb_count, 0);
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
        cmocka_unit_test(test_read_upload),
        cmocka_unit_test(test_write_upload),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_empty_file_and_tail),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
