/* git_unpack_test.c — packs made by hand: what unpacks, in which order, and what is refused. */
#include "base/clock.h"
#include "base/io.h"
#include "git/odb_mem.h"
#include "git/unpack.h"
#include "pack_build.h"
#include <stdio.h>
#include <sys/resource.h>

#define MIB (1u << 20)

struct taken {
    struct arena *a;
    struct odb_mem *repository; /* where a thin pack finds its bases */
    struct oid_list names;
    uint64_t total, largest;
    uint64_t fail_at; /* take number fail_at fails */
    bool keep;        /* takes go to the repository */
};

static const struct err_info full = {507, NULL, STR_INIT("Full."), NULL, {0}};

static err take(void *ctx, enum obj_type type, str data, oid *ret)
{
    struct taken *t = ctx;

    *ret = obj_id(type, data);
    oid_list_add(&t->names, *ret);
    t->total += data.len;
    t->largest = data.len > t->largest ? data.len : t->largest;
    if (t->names.count == t->fail_at)
        return &full;
    return t->keep ? odb_write(odb_mem_odb(t->repository), t->a, type, data, ret) : OK;
}

static int begin(void **state)
{
    static struct taken t;

    t = (struct taken){.a = arena_new(0), .repository = odb_mem_new(NULL)};
    *state = &t;
    return 0;
}

static int end(void **state)
{
    struct taken *t = *state;

    oid_list_free(&t->names);
    odb_mem_free(t->repository);
    arena_free(t->a);
    return 0;
}

#define LIMITS ((struct unpack_limits){100000, 32 * MIB, 256 * MIB})

static err unpack_bytes(struct taken *t, str bytes, struct unpack_limits limits,
                        uint64_t *ret_count)
{
    AUTO_FD int fd = pack_file(bytes);
    struct unpack u = {.fd = fd,
                       .size = bytes.len,
                       .bases = odb_mem_odb(t->repository),
                       .limits = limits,
                       .take = take,
                       .ctx = t};

    t->names.count = 0;
    t->total = t->largest = 0;
    return unpack_run(t->a, &u, ret_count);
}

static err unpack_pack(struct taken *t, const struct pack *p, uint64_t *ret_count)
{
    return unpack_bytes(t, buf_str(&p->bytes), LIMITS, ret_count);
}

static oid blob(const char *text)
{
    return obj_id(OBJ_BLOB, str_c(text));
}

static bool was_taken(const struct taken *t, oid id)
{
    for (size_t i = 0; i < t->names.count; i++)
        if (sha1_eq(t->names.ids[i], id))
            return true;
    return false;
}

static void check_taken(struct taken *t, const struct pack *p, uint64_t count)
{
    uint64_t got = 0;

    check_ok(unpack_pack(t, p, &got));
    assert_int_equal(got, count);
    assert_int_equal(t->names.count, count);
}

static void check_refused(struct taken *t, const struct pack *p, int status, const char *words)
{
    uint64_t got;
    err e = unpack_pack(t, p, &got);

    check_fails(e, status);
    if (!str_has(e->text, str_c(words)))
        fail_msg("\"%.*s\" says nothing of \"%s\"", STR_FMT(e->text), words);
}

/* --- what unpacks --- */

static void plain_objects(void **state)
{
    struct taken *t = *state;
    PACK none = pack_begin(), p = pack_begin();
    char *large = calloc(1, 5 * MIB);

    pack_end(&none);
    check_taken(t, &none, 0);
    for (size_t i = 0; i < 5 * MIB; i++)
        large[i] = (char)(i * i >> 7);
    (void)pack_plain(&p, OBJ_BLOB, STR(""));
    (void)pack_plain(&p, OBJ_BLOB, STR("text"));
    (void)pack_plain(&p, OBJ_TREE, STR(""));
    (void)pack_plain(&p, OBJ_COMMIT, STR("any"));
    (void)pack_plain(&p, OBJ_TAG, STR("thing"));
    (void)pack_plain(&p, OBJ_BLOB, (str){large, 5 * MIB}); /* over many windows */
    (void)pack_plain(&p, OBJ_BLOB, STR("text"));           /* twice is no harm */
    pack_end(&p);
    check_taken(t, &p, 7);
    assert_true(sha1_eq(t->names.ids[2], oid_empty_tree));
    assert_true(sha1_eq(t->names.ids[5], obj_id(OBJ_BLOB, (str){large, 5 * MIB})));
    free(large);
}

static void deltas_by_distance(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin();
    uint64_t base = pack_plain(&p, OBJ_TREE, STR("base")), one;
    struct buf d = delta_begin(4, 8);

    delta_copy(&d, 0, 4);
    delta_insert(&d, STR(" one"));
    one = pack_ofs(&p, base, d);
    (void)pack_plain(&p, OBJ_BLOB, STR("between"));
    (void)pack_ofs(&p, one, delta_of(8, STR("two")));
    (void)pack_ofs(&p, base, delta_of(4, STR("three")));
    pack_end(&p);
    check_taken(t, &p, 5);
    /* the type is that of the base */
    assert_true(was_taken(t, obj_id(OBJ_TREE, STR("base one"))));
    assert_true(was_taken(t, obj_id(OBJ_TREE, STR("two"))));
    assert_true(was_taken(t, obj_id(OBJ_TREE, STR("three"))));
}

static void deltas_by_name(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin();
    oid outside;

    check_ok(odb_write(odb_mem_odb(t->repository), t->a, OBJ_BLOB, STR("outside"), &outside));
    (void)pack_ref(&p, blob("later"), delta_of(5, STR("from later")));
    (void)pack_plain(&p, OBJ_BLOB, STR("earlier"));
    (void)pack_ref(&p, blob("earlier"), delta_of(7, STR("from earlier")));
    (void)pack_ref(&p, outside, delta_of(7, STR("from outside")));
    (void)pack_ref(&p, blob("from later"), delta_of(10, STR("a delta of a delta")));
    (void)pack_ref(&p, outside, delta_of(7, STR("from outside too")));
    (void)pack_plain(&p, OBJ_BLOB, STR("later"));
    pack_end(&p);
    check_taken(t, &p, 7);
    assert_true(was_taken(t, blob("from later")));
    assert_true(was_taken(t, blob("from earlier")));
    assert_true(was_taken(t, blob("from outside")));
    assert_true(was_taken(t, blob("from outside too")));
    assert_true(was_taken(t, blob("a delta of a delta")));
}

/* What is made from a thin delta may stand before it. */
static void a_named_base_may_itself_come_from_the_repository(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin();
    uint64_t at;
    oid outside;

    check_ok(odb_write(odb_mem_odb(t->repository), t->a, OBJ_BLOB, STR("outside"), &outside));
    (void)pack_ref(&p, blob("third"), delta_of(5, STR("fourth")));
    (void)pack_ref(&p, blob("second"), delta_of(6, STR("third")));
    at = pack_ref(&p, blob("first"), delta_of(5, STR("second")));
    (void)pack_ofs(&p, at, delta_of(6, STR("second's other")));
    (void)pack_ref(&p, outside, delta_of(7, STR("first")));
    pack_end(&p);
    check_taken(t, &p, 5);
    assert_true(was_taken(t, blob("fourth")));
    assert_true(was_taken(t, blob("second's other")));
}

static void both_kinds_from_one_base(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin();
    uint64_t base;

    (void)pack_ref(&p, blob("base"), delta_of(4, STR("r1")));
    base = pack_plain(&p, OBJ_BLOB, STR("base"));
    (void)pack_ofs(&p, base, delta_of(4, STR("o1")));
    (void)pack_ref(&p, blob("base"), delta_of(4, STR("r2")));
    (void)pack_ofs(&p, base, delta_of(4, STR("o2")));
    (void)pack_plain(&p, OBJ_BLOB, STR("base")); /* the same object again */
    (void)pack_ofs(&p, base, delta_of(4, STR("o3")));
    pack_end(&p);
    check_taken(t, &p, 7);
    assert_true(was_taken(t, blob("r1")) && was_taken(t, blob("r2")) && was_taken(t, blob("o1")) &&
                was_taken(t, blob("o2")) && was_taken(t, blob("o3")));
}

#define CHAIN 2000

static void a_long_chain(void **state)
{
    struct taken *t = *state;

    for (int by_name = 0; by_name < 2; by_name++) {
        PACK p = pack_begin();
        char *text = calloc(1, CHAIN + 2);
        uint64_t at;

        text[0] = 'x';
        at = pack_plain(&p, OBJ_BLOB, STR("x"));
        for (size_t len = 1; len <= CHAIN; len++) {
            struct buf d = delta_begin(len, len + 1);
            oid base = obj_id(OBJ_BLOB, (str){text, len});

            delta_copy(&d, 0, len);
            text[len] = (char)('a' + len % 26);
            delta_insert(&d, (str){text + len, 1});
            at = by_name ? pack_ref(&p, base, d) : pack_ofs(&p, at, d);
        }
        pack_end(&p);
        check_taken(t, &p, CHAIN + 1);
        assert_true(was_taken(t, obj_id(OBJ_BLOB, (str){text, CHAIN + 1})));
        free(text);
    }
}

/* --- what is refused --- */

static void wrong_ends(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin();
    struct buf b;
    uint64_t n;

    (void)pack_plain(&p, OBJ_BLOB, STR("some text"));
    pack_end(&p);
    p.bytes.ptr[p.bytes.len - 1]++;
    check_refused(t, &p, 400, "checksum");
    p.bytes.ptr[p.bytes.len - 1]--;
    p.bytes.ptr[20]++;
    check_refused(t, &p, 400, "checksum");
    p.bytes.ptr[20]--;
    check_taken(t, &p, 1);
    for (size_t len = 0; len < p.bytes.len; len++)
        check_fails(unpack_bytes(t, (str){p.bytes.ptr, len}, LIMITS, &n), 400);
    b = p.bytes;
    b.ptr[3] = 'X';
    check_fails(unpack_bytes(t, buf_str(&b), LIMITS, &n), 400);
}

/* The pack's first bytes with a right checksum behind them. */
static struct pack signed_copy(const struct pack *p, size_t len, uint32_t count)
{
    struct pack c = {.bytes = BUF(PACK_MAX), .count = count};

    buf_add(&c.bytes, (str){p->bytes.ptr, len});
    pack_end(&c);
    return c;
}

static struct pack some_pack(void)
{
    struct pack p = pack_begin();
    uint64_t at = pack_plain(&p, OBJ_BLOB, STR("The quick brown fox jumps over the lazy dog"));
    struct buf d = delta_begin(43, 19);

    delta_copy(&d, 0, 16);
    delta_insert(&d, STR("dog"));
    (void)pack_ofs(&p, at, d);
    (void)pack_ref(&p, blob("tail"), delta_of(4, STR("from the tail")));
    (void)pack_plain(&p, OBJ_TREE, STR(""));
    (void)pack_plain(&p, OBJ_BLOB, STR("tail"));
    return p;
}

static void cut_anywhere_but_signed(void **state)
{
    struct taken *t = *state;
    PACK p = some_pack();
    uint64_t n;

    for (size_t len = 12; len < p.bytes.len; len++) {
        PACK c = signed_copy(&p, len, p.count);

        check_fails(unpack_pack(t, &c, &n), 400);
    }
}

/* Any byte changed, the checksum right: an answer, and no object that is not what it is called. */
static void changed_anywhere_but_signed(void **state)
{
    struct taken *t = *state;
    PACK p = some_pack();
    uint64_t n;

    for (size_t at = 0; at < p.bytes.len; at++)
        for (unsigned change = 1; change < 256; change = change * 2 + 1) {
            PACK c = {.bytes = BUF(PACK_MAX), .count = p.count};
            err e;

            buf_add(&c.bytes, (str){p.bytes.ptr, p.bytes.len});
            c.bytes.ptr[at] = (char)(c.bytes.ptr[at] ^ (char)change);
            if (at >= 8 && at < 12) /* the count is written by the end: a lie about it */
                c.count = p.count + change;
            pack_end(&c);
            e = unpack_pack(t, &c, &n);
            if (e && e->status != 400 && e->status != 413)
                fail_msg("byte %zu: %d %.*s", at, e->status, STR_FMT(e->text));
            assert_true(e || t->names.count == n);
        }
}

static void counts_that_lie(void **state)
{
    struct taken *t = *state;
    PACK p = some_pack();

    for (uint32_t count = 0; count < 20; count++) {
        PACK c = signed_copy(&p, p.bytes.len, count);
        uint64_t n;

        if (count == p.count)
            check_ok(unpack_pack(t, &c, &n));
        else
            check_fails(unpack_pack(t, &c, &n), 400);
    }
    PACK many = signed_copy(&p, p.bytes.len, 99999);
    check_refused(t, &many, 400, "too short for its objects");
    PACK more = signed_copy(&p, p.bytes.len, UINT32_MAX);
    check_refused(t, &more, 413, "at most 100000");
}

static void sizes_that_lie(void **state)
{
    struct taken *t = *state;
    static const int lies[] = {-9, -1, 1, 3, 500, 100000};
    const str text = STR("twenty bytes of text");

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        PACK p = pack_begin(), q = pack_begin(), r = pack_begin();
        struct buf d = delta_of(20, text);
        uint64_t at;

        (void)pack_head(&p, OBJ_BLOB, (uint64_t)((int64_t)text.len + lies[i]));
        obj_deflate(text, &p.bytes);
        pack_end(&p);
        check_refused(t, &p, 400, "than it says");
        /* of the delta's own bytes */
        at = pack_plain(&q, OBJ_BLOB, text);
        (void)pack_head(&q, 6, (uint64_t)((int64_t)d.len + lies[i]));
        pack_distance(&q, q.bytes.len - 1 - at - (d.len + lies[i] > 15) - (d.len + lies[i] > 2047));
        obj_deflate(buf_str(&d), &q.bytes);
        pack_end(&q);
        check_refused(t, &q, 400, "");
        buf_free(&d);
        /* of the result */
        at = pack_plain(&r, OBJ_BLOB, text);
        d = delta_begin(20, (uint64_t)(20 + lies[i]));
        delta_insert(&d, text);
        (void)pack_ofs(&r, at, d);
        pack_end(&r);
        check_refused(t, &r, 400, "does not fit its base");
    }
}

static void sizes_beyond_the_limits(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin(), q = pack_begin(), r = pack_begin(), s = some_pack();
    uint64_t at, n;

    (void)pack_head(&p, OBJ_BLOB, 1ull << 40);
    obj_deflate(STR("x"), &p.bytes);
    pack_end(&p);
    check_refused(t, &p, 413, "git lfs");
    at = pack_plain(&q, OBJ_BLOB, STR("x"));
    (void)pack_ofs(&q, at, delta_begin(1, 1ull << 40));
    pack_end(&q);
    check_refused(t, &q, 413, "too large");
    at = pack_plain(&r, OBJ_BLOB, STR("x"));
    (void)pack_ofs(&r, at, delta_begin(1ull << 50, 1));
    pack_end(&r);
    check_refused(t, &r, 413, "too large");
    pack_end(&s);
    check_fails(unpack_bytes(t, buf_str(&s.bytes), (struct unpack_limits){4, MIB, MIB}, &n), 413);
    check_fails(unpack_bytes(t, buf_str(&s.bytes), (struct unpack_limits){5, 42, MIB}, &n), 413);
    check_fails(unpack_bytes(t, buf_str(&s.bytes), (struct unpack_limits){5, MIB, 78}, &n), 413);
    check_ok(unpack_bytes(t, buf_str(&s.bytes), (struct unpack_limits){5, 43, 79}, &n));
}

static void heads_that_make_no_sense(void **state)
{
    struct taken *t = *state;

    for (unsigned type = 0; type <= 5; type += 5) {
        PACK p = pack_begin();

        (void)pack_head(&p, type, 1);
        obj_deflate(STR("x"), &p.bytes);
        pack_end(&p);
        check_refused(t, &p, 400, "unknown type");
    }
    PACK p = pack_begin();
    buf_add(&p.bytes, STR("\xb0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
    p.count = 1;
    pack_end(&p);
    check_refused(t, &p, 400, "too many digits");
    PACK q = pack_begin();
    (void)pack_plain(&q, OBJ_BLOB, STR("x"));
    buf_add(&q.bytes, STR("rubbish"));
    pack_end(&q);
    check_refused(t, &q, 400, "more behind");
    PACK v = pack_begin();
    pack_end(&v);
    v.bytes.len -= 20;
    v.bytes.ptr[7] = 4;
    pack_end(&v);
    check_refused(t, &v, 400, "does not begin");
}

static void bases_that_are_none(void **state)
{
    struct taken *t = *state;
    static const uint64_t places[] = {0, 4, 11, 13, 15, UINT64_MAX};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        PACK p = pack_begin();

        (void)pack_plain(&p, OBJ_BLOB, STR("text"));
        (void)pack_ofs(&p, places[i] == UINT64_MAX ? p.bytes.len : places[i],
                       delta_of(4, STR("x")));
        pack_end(&p);
        check_refused(t, &p, 400, "a delta's base is");
    }
    PACK far = pack_begin();
    (void)pack_head(&far, 6, 4);
    buf_add(&far.bytes, STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"));
    pack_end(&far);
    check_refused(t, &far, 400, "too many digits");
    PACK gone = pack_begin();
    (void)pack_ref(&gone, blob("nobody has this"), delta_of(15, STR("x")));
    pack_end(&gone);
    check_refused(t, &gone, 400, "base is missing");
    PACK outside = pack_begin();
    struct buf d = delta_begin(4, 3);
    uint64_t at = pack_plain(&outside, OBJ_BLOB, STR("text"));

    delta_copy(&d, 2, 3);
    (void)pack_ofs(&outside, at, d);
    pack_end(&outside);
    check_refused(t, &outside, 400, "does not fit its base");
}

static void circles(void **state)
{
    struct taken *t = *state;
    PACK self = pack_begin(), p = pack_begin();
    oid b;

    (void)pack_ref(&self, blob("me"), delta_of(2, STR("me")));
    pack_end(&self);
    check_refused(t, &self, 400, "base is missing");
    (void)pack_ref(&p, blob("bbb"), delta_of(3, STR("aaa")));
    (void)pack_ref(&p, blob("ccc"), delta_of(3, STR("bbb")));
    (void)pack_ref(&p, blob("aaa"), delta_of(3, STR("ccc")));
    pack_end(&p);
    check_refused(t, &p, 400, "base is missing");
    /* who has one of them has a way in */
    check_ok(odb_write(odb_mem_odb(t->repository), t->a, OBJ_BLOB, STR("bbb"), &b));
    check_taken(t, &p, 3);
}

static void a_take_that_fails_stops_it(void **state)
{
    struct taken *t = *state;
    PACK p = some_pack();
    uint64_t n;

    pack_end(&p);
    for (t->fail_at = 1; t->fail_at <= 5; t->fail_at++) {
        assert_ptr_equal(unpack_pack(t, &p, &n), &full);
        assert_int_equal(n, t->fail_at - 1);
    }
    check_taken(t, &p, 5);
}

static void the_repository_fills_while_it_reads(void **state)
{
    struct taken *t = *state;
    PACK p = some_pack();

    pack_end(&p);
    t->keep = true;
    check_taken(t, &p, 5);
    assert_int_equal(odb_mem_count(t->repository), 5);
}

/* --- bombs --- */

static long rss_mib(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss / 1024;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RSS_GROWTH_MIB 900 /* sanitizers keep freed memory, and shadows of what was touched */
#else
#define RSS_GROWTH_MIB 180
#endif

static void a_bomb_is_refused_in_small_memory(void **state)
{
    struct taken *t = *state;

    for (int as_chain = 0; as_chain < 2; as_chain++) {
        PACK p = pack_bomb(400, 32 * MIB, as_chain);
        long rss = rss_mib();
        int64_t ms = clock_mono_ms();

        assert_in_range(p.bytes.len, 4000, 10000); /* and would be 12 GiB */
        check_refused(t, &p, 413, "unfolds to more than");
        assert_true(t->total <= 256 * MIB);
        assert_true(clock_mono_ms() - ms < 20000);
        assert_true(rss_mib() - rss < RSS_GROWTH_MIB);
    }
}

/* Deltas that keep many large contents alive at once, each with one more child to come. */
static void a_comb_of_large_contents_is_refused(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin();
    char *zeros = calloc(1, 0x10000);
    uint64_t at = pack_plain(&p, OBJ_BLOB, (str){zeros, 0x10000}), size = 0x10000, n;

    free(zeros);
    for (int level = 0; level < 20; level++) {
        struct buf d = delta_begin(size, 8 * MIB);

        for (uint64_t k = 0; k < 8 * MIB; k += 0x10000)
            delta_copy(&d, 0, 0x10000);
        (void)pack_ofs(&p, at, delta_of(size, STR("a small one, left for later")));
        at = pack_ofs(&p, at, d);
        size = 8 * MIB;
    }
    pack_end(&p);
    check_fails(
        unpack_bytes(t, buf_str(&p.bytes), (struct unpack_limits){1000, 32 * MIB, 1ull << 40}, &n),
        413);
    assert_true(t->total <= UNPACK_CHAIN_BYTES + 16 * MIB);
}

static void a_comb_of_many_levels_is_refused(void **state)
{
    struct taken *t = *state;
    PACK p = pack_begin();
    uint64_t at = pack_plain(&p, OBJ_BLOB, STR("0000"));

    for (int level = 0; level < UNPACK_MAX_CHAIN + 10; level++) {
        char text[8];

        snprintf(text, sizeof text, "%04x", level + 1);
        (void)pack_ofs(&p, at, delta_of(4, STR("leaf")));
        at = pack_ofs(&p, at, delta_of(4, str_c(text)));
    }
    pack_end(&p);
    check_refused(t, &p, 413, "too much memory");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(plain_objects),
        TEST(deltas_by_distance),
        TEST(deltas_by_name),
        TEST(a_named_base_may_itself_come_from_the_repository),
        TEST(both_kinds_from_one_base),
        TEST(a_long_chain),
        TEST(wrong_ends),
        TEST(cut_anywhere_but_signed),
        TEST(changed_anywhere_but_signed),
        TEST(counts_that_lie),
        TEST(sizes_that_lie),
        TEST(sizes_beyond_the_limits),
        TEST(heads_that_make_no_sense),
        TEST(bases_that_are_none),
        TEST(circles),
        TEST(a_take_that_fails_stops_it),
        TEST(the_repository_fills_while_it_reads),
        TEST(a_bomb_is_refused_in_small_memory),
        TEST(a_comb_of_large_contents_is_refused),
        TEST(a_comb_of_many_levels_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
