/* git_pack_index_test.c — see git/pack_index.h: what stands in an .idx, read back by hand. */
#include "base/buf.h"
#include "git/pack.h"
#include "git/pack_index.h"
#include "git_fixture.h"
#include <zlib.h>

static err into_buf(void *arg, str bytes)
{
    assert_true(bytes.len <= 64u << 10);
    buf_add(arg, bytes);
    return OK;
}

static uint32_t u32_at(const struct buf *b, size_t at)
{
    const unsigned char *p = (const unsigned char *)b->ptr + at;

    assert_true(at + 4 <= b->len);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Magic, the count that the fan-out ends with, the sums; and the length that follows from them. */
static void check_frame(const struct buf *idx, size_t count, size_t far, str pack_sum)
{
    size_t body = 8 + 1024 + count * 28 + far * 8;
    sha1 sum = sha1_of(idx->ptr, body + 20);

    assert_int_equal(idx->len, body + 40);
    assert_memory_equal(idx->ptr, "\377tOc\0\0\0\2", 8);
    assert_int_equal(u32_at(idx, 8 + 255 * 4), count);
    assert_memory_equal(idx->ptr + body, pack_sum.ptr, 20);
    assert_memory_equal(idx->ptr + body + 20, sum.b, 20);
}

static void write_pack(struct fixture *f, struct oid_list *ids, struct pack_index *x,
                       struct buf *pack)
{
    struct pack_writer w;

    pack_writer_init(&w, ids);
    w.index = x;
    while (!w.is_done)
        check_ok(pack_writer_step(&w, f->odb, f->a, pack));
    pack_writer_deinit(&w);
}

/* The bytes of object i in the pack begin with its type and size and have the noted checksum. */
static void check_object(struct fixture *f, const struct buf *idx, const struct buf *pack,
                         size_t count, size_t i)
{
    size_t offsets = 8 + 1024 + count * 24, at = u32_at(idx, offsets + i * 4), end = pack->len - 20;
    unsigned char head[10];
    enum obj_type type;
    size_t n;
    uint64_t size;
    bool found;
    oid id;

    memcpy(id.b, idx->ptr + 8 + 1024 + i * 20, 20);
    if (i > 0)
        assert_true(memcmp(idx->ptr + 8 + 1024 + (i - 1) * 20, id.b, 20) < 0);
    check_ok(odb_header(f->odb, f->a, id, &type, &size, &found));
    assert_true(found);
    n = pack_object_head(type, size, head);
    assert_memory_equal(pack->ptr + at, head, n);
    for (size_t k = 0; k < count; k++) { /* it ends where the next one begins */
        size_t other = u32_at(idx, offsets + k * 4);

        if (other > at && other < end)
            end = other;
    }
    assert_int_equal(u32_at(idx, 8 + 1024 + count * 20 + i * 4),
                     crc32_z(0, (const unsigned char *)pack->ptr + at, end - at));
}

static void test_index_of_a_pack(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_OIDS struct oid_list ids = {0};
    AUTO_PACK_INDEX struct pack_index x = {0};
    AUTO_BUF struct buf pack = BUF(4u << 20), idx = BUF(4u << 20);
    size_t count;
    oid commits[40];
    sha1 sum;

    (void)state;
    put_line(&f, commits, 40);
    count = odb_mem_count(f.mem);
    for (size_t i = 0; i < count; i++)
        oid_list_add(&ids, odb_mem_at(f.mem, i).id);
    write_pack(&f, &ids, &x, &pack);
    assert_int_equal(x.at, pack.len - 20);
    memcpy(sum.b, pack.ptr + pack.len - sizeof sum.b, sizeof sum.b);
    check_ok(pack_index_write(&x, sum, into_buf, &idx));
    check_frame(&idx, count, 0, (str){(const char *)sum.b, sizeof sum.b});
    for (size_t i = 0; i < count; i++)
        check_object(&f, &idx, &pack, count, i);
}

static void test_fan_out(void **state)
{
    AUTO_PACK_INDEX struct pack_index x = {0};
    AUTO_BUF struct buf idx = BUF(1u << 20);
    static const unsigned char firsts[] = {0xff, 0x00, 0x07, 0x07};

    (void)state;
    for (size_t i = 0; i < sizeof firsts; i++)
        pack_index_object(&x, (oid){{firsts[i], (unsigned char)i}});
    check_ok(pack_index_write(&x, (sha1){{0}}, into_buf, &idx));
    assert_int_equal(u32_at(&idx, 8), 1);
    assert_int_equal(u32_at(&idx, 8 + 6 * 4), 1);
    assert_int_equal(u32_at(&idx, 8 + 7 * 4), 3);
    assert_int_equal(u32_at(&idx, 8 + 254 * 4), 3);
    assert_int_equal(u32_at(&idx, 8 + 255 * 4), 4);
}

/* Offsets of 2 GiB and more stand in a table of their own, in the order of the ids. */
static void test_far_offsets(void **state)
{
    AUTO_PACK_INDEX struct pack_index x = {0};
    AUTO_BUF struct buf idx = BUF(1u << 20);
    size_t offsets = 8 + 1024 + 4 * 24;
    static const uint64_t at[] = {12, 0x7fffffff, 0x80000000, 0x123456789a};
    static const unsigned char first[] = {3, 2, 1, 0};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        x.at = at[i];
        pack_index_object(&x, (oid){{first[i]}});
    }
    check_ok(pack_index_write(&x, (sha1){{0}}, into_buf, &idx));
    check_frame(&idx, 4, 2, (str){(const char *)(sha1){{0}}.b, 20});
    assert_int_equal(u32_at(&idx, offsets), 0x80000000u);
    assert_int_equal(u32_at(&idx, offsets + 4), 0x80000001u);
    assert_int_equal(u32_at(&idx, offsets + 8), 0x7fffffff);
    assert_int_equal(u32_at(&idx, offsets + 12), 12);
    assert_int_equal(u32_at(&idx, offsets + 16), 0x12);
    assert_int_equal(u32_at(&idx, offsets + 20), 0x3456789a);
    assert_int_equal(u32_at(&idx, offsets + 24), 0);
    assert_int_equal(u32_at(&idx, offsets + 28), 0x80000000u);
}

static void test_many_come_in_pieces(void **state)
{
    AUTO_PACK_INDEX struct pack_index x = {0};
    AUTO_BUF struct buf idx = BUF(4u << 20);

    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        sha1 id = sha1_of(&i, sizeof i);

        pack_index_object(&x, id);
        pack_index_bytes(&x, STR("x"));
    }
    check_ok(pack_index_write(&x, (sha1){{7}}, into_buf, &idx));
    check_frame(&idx, 10000, 0, (str){(const char *)(sha1){{7}}.b, 20});
}

static const struct err_info disk_full = {507, NULL, STR_INIT("full"), NULL, {0}};

static err refuse(void *arg, str bytes)
{
    (void)bytes;
    ++*(int *)arg;
    return &disk_full;
}

static void test_failure_stops_the_writing(void **state)
{
    AUTO_PACK_INDEX struct pack_index x = {0};
    int calls = 0;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        pack_index_object(&x, sha1_of(&i, sizeof i));
    assert_ptr_equal(pack_index_write(&x, (sha1){{0}}, refuse, &calls), &disk_full);
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_of_a_pack),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_far_offsets),
        cmocka_unit_test(test_many_come_in_pieces),
        cmocka_unit_test(test_failure_stops_the_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
