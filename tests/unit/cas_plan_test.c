/* cas_plan_test.c — see cas/plan.h. */
#include "cas/plan.h"
#include "cas_vectors.h"
#include "check.h"

static struct arena *a;

static err discard(void *arg, const void *p, size_t len)
{
    (void)arg;
    (void)p;
    (void)len;
    return OK;
}

/* The small xorb: chunks of 105, 259 and 40 bytes, stored. */
static struct xorb_index *small_index(void)
{
    struct xorb_builder *b = xorb_builder_new(discard, NULL);
    unsigned char raw[SMALL_RAW], *p = raw;
    struct xorb_index *x;
    uint32_t number;

    small_raw(raw);
    for (uint32_t i = 0; i < SMALL_CHUNKS; p += small_len[i++]) {
        struct chunk_packed c = {.payload = {(const char *)p, small_len[i]}};

        chunk_head_write(c.head, (struct chunk_head){CHUNK_STORED, small_len[i], small_len[i]});
        check_ok(xorb_builder_add(b, chunk_hash_of(p, small_len[i]), &c, &number));
    }
    x = xorb_builder_end(b);
    xorb_builder_free(b);
    return x;
}

static struct term_list three_terms(void)
{
    static const struct term terms[] = {{7, 0, 2, 364}, {8, 1, 3, 299}, {7, 2, 3, 40}};
    struct term_list l;

    check_ok(term_list_open(term_list_pack(a, terms, 3), &l));
    return l;
}

static void test_pack(void **state)
{
    struct term_list l = three_terms();
    struct term t = term_at(&l, 1);

    (void)state;
    assert_int_equal(l.count, 3);
    assert_int_equal(l.size, 703);
    assert_int_equal(l.packed.len, 48);
    assert_int_equal(t.xorb_id, 8);
    assert_int_equal(t.first_chunk, 1);
    assert_int_equal(t.end_chunk, 3);
    assert_int_equal(t.raw_len, 299);
    check_ok(term_list_open(STR_NONE, &l));
    assert_int_equal(l.size, 0);
}

static void test_damaged(void **state)
{
    static const struct {
        uint64_t id;
        uint32_t chunks, len;
    } rows[] = {
        {0, 0x00020000, 100},          /* no xorb */
        {1ull << 63, 0x00020000, 100}, /* a negative id */
        {1, 0x00020002, 100},          /* first == end */
        {1, 0x20010000, 100},          /* end 8193 */
        {1, 0x00020000, 1},            /* fewer bytes than chunks */
        {1, 0x00010000, 131073},       /* more bytes than chunks hold */
    };
    unsigned char p[TERM_BYTES];
    struct term_list l;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        store_u64(p, rows[i].id);
        store_u32(p + 8, rows[i].chunks);
        store_u32(p + 12, rows[i].len);
        check_fails(term_list_open((str){(char *)p, sizeof p}, &l), 500);
    }
    store_u64(p, 1);
    store_u32(p + 8, 0x20000000);
    store_u32(p + 12, 1u << 30);
    check_ok(term_list_open((str){(char *)p, sizeof p}, &l));
    check_fails(term_list_open((str){(char *)p, sizeof p - 1}, &l), 500);
}

static void check_piece(struct plan *p, uint64_t index, uint32_t skip, uint32_t take)
{
    struct plan_piece piece;

    assert_true(plan_next(p, &piece));
    assert_int_equal(piece.index, index);
    assert_int_equal(piece.skip, skip);
    assert_int_equal(piece.take, take);
}

static void test_pieces(void **state)
{
    struct term_list l = three_terms();
    struct plan_piece piece, *list;
    struct plan p;
    uint64_t covered;

    (void)state;
    plan_begin(&p, &l, 0, l.size);
    check_piece(&p, 0, 0, 364);
    check_piece(&p, 1, 0, 299);
    check_piece(&p, 2, 0, 40);
    assert_false(plan_next(&p, &piece));
    plan_begin(&p, &l, 363, 2);
    check_piece(&p, 0, 363, 1);
    check_piece(&p, 1, 0, 1);
    assert_false(plan_next(&p, &piece));
    plan_begin(&p, &l, 364, 299);
    check_piece(&p, 1, 0, 299);
    assert_false(plan_next(&p, &piece));
    plan_begin(&p, &l, 702, 1);
    check_piece(&p, 2, 39, 1);
    assert_false(plan_next(&p, &piece));
    plan_begin(&p, &l, 703, 0);
    assert_false(plan_next(&p, &piece));
    plan_begin(&p, &l, 0, 0);
    assert_false(plan_next(&p, &piece));

    assert_int_equal(plan_list(a, &l, 100, 600, 2, &list, &covered), 2);
    assert_int_equal(covered, 563);
    assert_int_equal(list[0].skip, 100);
    assert_int_equal(list[1].take, 299);
    assert_int_equal(plan_list(a, &l, 100 + covered, 600 - covered, 2, &list, &covered), 1);
    assert_int_equal(covered, 37);
}

/* The example of the protocol: bytes 100 to 299 of a file that is the small xorb. */
static void test_chunks(void **state)
{
    struct xorb_index *x = small_index();
    struct plan_piece piece = {.term = {7, 0, 3, 404}, .skip = 100, .take = 200};
    struct plan_chunks c;

    (void)state;
    check_ok(plan_chunks(x, &piece, &c));
    assert_int_equal(c.first_chunk, 0);
    assert_int_equal(c.end_chunk, 2);
    assert_int_equal(c.skip, 100);
    assert_int_equal(c.take, 200);
    assert_int_equal(c.raw_len, 364);
    assert_int_equal(c.phys_start, 0);
    assert_int_equal(c.phys_end, 380);
    piece.skip = 105; /* bytes from 105 on: the first kept chunk is 1 */
    piece.take = 299;
    check_ok(plan_chunks(x, &piece, &c));
    assert_int_equal(c.first_chunk, 1);
    assert_int_equal(c.end_chunk, 3);
    assert_int_equal(c.skip, 0);
    assert_int_equal(c.phys_start, 113);
    assert_int_equal(c.phys_end, 428);
    piece.term.raw_len = 403;
    piece.take = 1;
    check_fails(plan_chunks(x, &piece, &c), 500);
    piece.term = (struct term){7, 1, 4, 299};
    check_fails(plan_chunks(x, &piece, &c), 500);
    xorb_index_free(x);
}

/* Every range of the file, put together from its chunks, is the range. */
static void test_every_range(void **state)
{
    struct xorb_index *x = small_index();
    struct term_list l = three_terms();
    unsigned char raw[SMALL_RAW], file[703], out[703];

    (void)state;
    small_raw(raw);
    memcpy(file, raw, 364);
    memcpy(file + 364, raw + 105, 299);
    memcpy(file + 663, raw + 364, 40);
    for (uint64_t first = 0; first <= l.size; first += 3) {
        for (uint64_t count = 0; first + count <= l.size; count += 7) {
            struct plan_piece piece;
            struct plan p;
            size_t n = 0;

            plan_begin(&p, &l, first, count);
            while (plan_next(&p, &piece)) {
                struct plan_chunks c;

                check_ok(plan_chunks(x, &piece, &c));
                assert_true(c.first_chunk >= piece.term.first_chunk);
                assert_true(c.end_chunk <= piece.term.end_chunk);
                assert_true(c.skip < xorb_raw_len(x, c.first_chunk));
                memcpy(out + n, raw + xorb_raw_start(x, c.first_chunk) + c.skip, c.take);
                n += c.take;
            }
            assert_int_equal(n, count);
            assert_memory_equal(out, file + first, n);
        }
    }
    xorb_index_free(x);
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
        cmocka_unit_test(test_pack),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_pieces),      cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_every_range),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
