/* git_pkt_test.c — see git/pkt.h and git/pack.h. */
#include "git/pack.h"
#include "git/pkt.h"
#include "git_fixture.h"

static void test_take(void **state)
{
    FIXTURE f = fixture_new();
    str in = STR("0009hello0006a\n0004000000010002");
    static const enum pkt_kind kinds[] = {PKT_LINE,  PKT_LINE,         PKT_LINE, PKT_FLUSH,
                                          PKT_DELIM, PKT_RESPONSE_END, PKT_END,  PKT_END};
    static const char *const lines[] = {"hello", "a", ""};
    struct pkt p;

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        check_ok(pkt_take(f.a, &in, &p));
        assert_int_equal(p.kind, kinds[i]);
        if (i < 3)
            check_str(pkt_text(&p), lines[i]);
    }
}

static void test_bad_framing(void **state)
{
    static const char *const cases[] = {"0003", "00",    "000g", "0009hell", "fff1",
                                        "-001", "00 5x", "PACK", "ffff"};
    FIXTURE f = fixture_new();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str in = str_c(cases[i]);
        struct pkt p;

        check_fails(pkt_take(f.a, &in, &p), 400);
    }
}

/* A stream that gives a byte at a time. */
static err drip(void *ctx, struct arena *a, void *p, size_t len, size_t *ret_len)
{
    str *s = ctx;

    (void)a;
    (void)len;
    *ret_len = s->len > 0;
    if (s->len > 0)
        memcpy(p, s->ptr, 1);
    *s = str_from(*s, 1);
    return OK;
}

static void test_read_stops_before_the_pack(void **state)
{
    FIXTURE f = fixture_new();
    str in = STR("0009hello0000PACK…");
    struct pkt_input input = {drip, &in};
    char line[PKT_MAX];
    struct pkt p;

    (void)state;
    check_ok(pkt_read(f.a, &input, line, &p));
    check_str(p.line, "hello");
    check_ok(pkt_read(f.a, &input, line, &p));
    assert_int_equal(p.kind, PKT_FLUSH);
    check_str(in, "PACK…");
    in = STR("0009hel");
    check_fails(pkt_read(f.a, &input, line, &p), 400);
    in = STR("");
    check_ok(pkt_read(f.a, &input, line, &p));
    assert_int_equal(p.kind, PKT_END);
}

static void test_write(void **state)
{
    AUTO_BUF struct buf out = BUF(300000);
    static char big[PKT_MAX_BAND + 10];
    FIXTURE f = fixture_new();
    struct pkt p;
    str in;

    (void)state;
    pkt_printf(&out, "x=%d\n", 5);
    pkt_line(&out, STR(""));
    pkt_flush(&out);
    pkt_delim(&out);
    pkt_err(&out, STR("no"));
    check_str(buf_str(&out), "0008x=5\n000400000001000bERR no\n");
    buf_clear(&out);
    pkt_band(&out, 1, (str){big, sizeof big});
    in = buf_str(&out);
    check_ok(pkt_take(f.a, &in, &p));
    assert_int_equal(p.line.len, PKT_MAX_PAYLOAD);
    check_ok(pkt_take(f.a, &in, &p));
    assert_int_equal(p.line.len, 11);
    assert_int_equal(p.line.ptr[0], 1);
}

static void test_object_head(void **state)
{
    static const struct {
        enum obj_type type;
        uint64_t size;
        unsigned char bytes[10];
        size_t len;
    } cases[] = {
        {OBJ_COMMIT, 0, {0x10}, 1},
        {OBJ_TREE, 15, {0x2f}, 1},
        {OBJ_BLOB, 16, {0xb0, 0x01}, 2},
        {OBJ_TAG, 2047, {0xcf, 0x7f}, 2},
        {OBJ_BLOB, 2048, {0xb0, 0x80, 0x01}, 3},
        {OBJ_BLOB, UINT64_MAX, {0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f}, 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char head[10];

        assert_int_equal(pack_object_head(cases[i].type, cases[i].size, head), cases[i].len);
        assert_memory_equal(head, cases[i].bytes, cases[i].len);
    }
}

/* Steps give pieces of bounded size that make up the header, the objects and the checksum. */
static void test_pack(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf expected = BUF(4u << 20), got = BUF(4u << 20), large = BUF(1u << 20);
    struct oid_list ids = {0};
    struct pack_writer w;
    uint32_t random = 7;
    oid id;
    sha1 sum;

    (void)state;
    while (large.len < 600000) {
        random = random * 1664525 + 1013904223;
        buf_addc(&large, (char)(random >> 24));
    }
    check_ok(odb_write(f.odb, f.a, OBJ_BLOB, buf_str(&large), &id));
    oid_list_add(&ids, id);
    oid_list_add(&ids, put_blob(&f, "small"));
    oid_list_add(&ids, put_tree(&f, OID_ZERO, "+a=small"));
    buf_add(&expected, STR("PACK\0\0\0\2\0\0\0\3"));
    for (size_t i = 0; i < 3; i++) {
        struct odb_mem_object o = {0};
        unsigned char head[10];
        size_t n;

        for (size_t k = 0; k < odb_mem_count(f.mem); k++)
            if (sha1_eq(odb_mem_at(f.mem, k).id, ids.ids[i]))
                o = odb_mem_at(f.mem, k);
        n = pack_object_head(o.type, o.size, head);
        buf_add(&expected, (str){(char *)head, n});
        buf_add(&expected, o.stored);
    }
    sum = sha1_of(expected.ptr, expected.len);
    buf_add(&expected, (str){(char *)sum.b, 20});

    pack_writer_init(&w, &ids);
    assert_int_equal(ids.count, 0);
    while (!w.is_done) {
        size_t before = got.len;

        check_ok(pack_writer_step(&w, f.odb, f.a, &got));
        assert_true(got.len > before && got.len - before <= PACK_PIECE + ODB_PART + 64);
    }
    pack_writer_deinit(&w);
    assert_true(str_eq(buf_str(&got), buf_str(&expected)));
}

static void test_pack_without_objects(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf got = BUF(1000);
    struct oid_list ids = {0};
    struct pack_writer w;

    (void)state;
    pack_writer_init(&w, &ids);
    check_ok(pack_writer_step(&w, f.odb, f.a, &got));
    assert_true(w.is_done && got.len == 32);
    pack_writer_deinit(&w);
}

static void test_pack_with_a_missing_object(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf got = BUF(1000);
    struct oid_list ids = {0};
    struct pack_writer w;

    (void)state;
    oid_list_add(&ids, oid_empty_tree);
    pack_writer_init(&w, &ids);
    check_fails(pack_writer_step(&w, f.odb, f.a, &got), 500);
    pack_writer_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_bad_framing),
        cmocka_unit_test(test_read_stops_before_the_pack),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_object_head),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_pack_without_objects),
        cmocka_unit_test(test_pack_with_a_missing_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
