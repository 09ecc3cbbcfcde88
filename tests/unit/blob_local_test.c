/* blob_local_test.c — blobs appear whole, once, and under their name only. */
#include "base/io.h"
#include "blob/blob.h"
#include "check.h"
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH "ab00000000000000000000000000000000000000000000000000000000000001"
#define OTHER "ab00000000000000000000000000000000000000000000000000000000000002"

struct fixture {
    char dir[512];
    struct arena *a;
    struct blobs *b;
};

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static int begin(void **state)
{
    static struct fixture f;
    const char *tmp = getenv("TMPDIR");

    snprintf(f.dir, sizeof f.dir, "%s/hearth-test-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f.dir));
    f.a = arena_new(0);
    check_ok(blobs_open(f.a, f.dir, true, &f.b));
    *state = &f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;

    blobs_close(f->b);
    arena_free(f->a);
    nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static struct blob_key key(enum blob_kind kind, const char *hash, int64_t generation)
{
    return (struct blob_key){kind, str_c(hash), generation};
}

static bool put(struct fixture *f, struct blob_key k, const void *p, size_t len)
{
    struct blob_writer *w;
    bool is_new;

    check_ok(blob_writer_new(f->b, f->a, &w));
    check_ok(blob_write(w, f->a, p, len));
    check_ok(blob_put(w, f->a, k, &is_new));
    return is_new;
}

static str get(struct fixture *f, struct blob_key k)
{
    AUTO_FD int fd = -1;
    uint64_t size;
    char *p;

    check_ok(blob_open(f->b, f->a, k, &fd, &size));
    p = arena_alloc(f->a, size + 1);
    assert_int_equal(pread_full(fd, p, size, 0), size);
    return (str){p, size};
}

static bool exists(struct fixture *f, const char *path)
{
    struct stat st;

    return stat(arena_printf(f->a, "%s/%s", f->dir, path).ptr, &st) == 0;
}

static void layout(void **state)
{
    struct fixture *f = *state;

    assert_true(put(f, key(BLOB_XORB, HASH, 7), "body", 4));
    assert_true(put(f, key(BLOB_XORB_INDEX, HASH, 7), "index", 5));
    assert_true(put(f, key(BLOB_SHARD, HASH, 0), "shard", 5));
    assert_true(exists(f, "blob/xorb/ab/" HASH ".7"));
    assert_true(exists(f, "blob/xorb/ab/" HASH ".7.idx"));
    assert_true(exists(f, "blob/shard/ab/" HASH));
    check_str(get(f, key(BLOB_XORB, HASH, 7)), "body");
    check_str(get(f, key(BLOB_XORB_INDEX, HASH, 7)), "index");
}

static void first_writer_wins(void **state)
{
    struct fixture *f = *state;

    assert_true(put(f, key(BLOB_XORB, HASH, 1), "first", 5));
    assert_false(put(f, key(BLOB_XORB, HASH, 1), "second", 6));
    check_str(get(f, key(BLOB_XORB, HASH, 1)), "first");
    assert_true(put(f, key(BLOB_XORB, HASH, 2), "second", 6));
    check_str(get(f, key(BLOB_XORB, HASH, 2)), "second");
}

/* Small pieces are gathered, large ones pass; the order stays. */
static void pieces(void **state)
{
    struct fixture *f = *state;
    struct blob_writer *w;
    size_t total = 0;
    char *all = malloc(4u << 20), *piece = malloc(200000);
    bool is_new;
    str got;

    check_ok(blob_writer_new(f->b, f->a, &w));
    for (unsigned i = 0; total + 200000 < (4u << 20); i++) {
        size_t len = i % 7 == 0 ? (size_t)i * 977 % 200000 : (size_t)i * 31 % 5000;

        for (size_t n = 0; n < len; n++)
            piece[n] = (char)(i * 7 + n);
        memcpy(all + total, piece, len);
        total += len;
        check_ok(blob_write(w, f->a, piece, len));
    }
    check_ok(blob_put(w, f->a, key(BLOB_SHARD, HASH, 0), &is_new));
    got = get(f, key(BLOB_SHARD, HASH, 0));
    assert_int_equal(got.len, total);
    assert_memory_equal(got.ptr, all, total);
    free(all);
    free(piece);
}

static err count_one(struct blob_key k, void *arg)
{
    int *n = arg;

    assert_true(k.hash.len == 64);
    assert_true(k.kind == BLOB_SHARD || k.generation == 5 || k.generation == 6);
    (*n)++;
    return OK;
}

static void leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct blob_writer *w;
    struct blob_stat st;
    char path[600];

    check_ok(blob_writer_new(f->b, f->a, &w));
    check_ok(blob_write(w, f->a, "x", 1));
    blob_drop(w);
    assert_true(put(f, key(BLOB_XORB, HASH, 1), "body", 4));
    snprintf(path, sizeof path, "%s/tmp", f->dir);
    assert_int_equal(rmdir(path), 0); /* it is empty */
    check_ok(dir_make(f->a, path));

    check_ok(blob_stat(f->b, f->a, key(BLOB_XORB, HASH, 1), &st));
    assert_true(st.found && st.size == 4);
    check_ok(blob_remove(f->b, f->a, key(BLOB_XORB, HASH, 1)));
    check_ok(blob_remove(f->b, f->a, key(BLOB_XORB, HASH, 1)));
    check_ok(blob_stat(f->b, f->a, key(BLOB_XORB, HASH, 1), &st));
    assert_false(st.found);
}

static void missing(void **state)
{
    struct fixture *f = *state;
    uint64_t size;
    int fd = -1;
    err e = blob_open(f->b, f->a, key(BLOB_XORB, OTHER, 1), &fd, &size);

    check_fails(e, 404);
    assert_string_equal(e->code, "BlobMissing");
}

static void quarantine(void **state)
{
    struct fixture *f = *state;
    struct blob_stat st;

    assert_true(put(f, key(BLOB_XORB, HASH, 1), "damaged", 7));
    check_ok(blob_quarantine(f->b, f->a, key(BLOB_XORB, HASH, 1)));
    check_ok(blob_quarantine(f->b, f->a, key(BLOB_XORB, HASH, 1)));
    check_ok(blob_stat(f->b, f->a, key(BLOB_XORB, HASH, 1), &st));
    assert_false(st.found);
    assert_true(put(f, key(BLOB_XORB, HASH, 1), "whole", 5));
}

static void each(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    assert_true(put(f, key(BLOB_XORB, HASH, 5), "a", 1));
    assert_true(put(f, key(BLOB_XORB, HASH, 6), "b", 1));
    assert_true(put(f, key(BLOB_XORB, OTHER, 5), "c", 1));
    assert_true(put(f, key(BLOB_XORB_INDEX, HASH, 5), "d", 1));
    check_ok(blob_each(f->b, f->a, BLOB_XORB, count_one, &n));
    assert_int_equal(n, 3);
    n = 0;
    check_ok(blob_each(f->b, f->a, BLOB_XORB_INDEX, count_one, &n));
    assert_int_equal(n, 1);
    n = 0;
    check_ok(blob_each(f->b, f->a, BLOB_SHARD, count_one, &n));
    assert_int_equal(n, 0);
}

/* What a process that died left in tmp/ is gone after the next start. */
static void restart_empties_tmp(void **state)
{
    struct fixture *f = *state;
    struct blob_writer *w;

    check_ok(blob_writer_new(f->b, f->a, &w));
    check_ok(blob_write(w, f->a, "x", 1));
    {
        struct blobs *again;

        check_ok(blobs_open(f->a, f->dir, true, &again));
        blobs_close(again);
    }
    blob_drop(w);
    assert_int_equal(rmdir(arena_printf(f->a, "%s/tmp", f->dir).ptr), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layout, begin, end),
        cmocka_unit_test_setup_teardown(first_writer_wins, begin, end),
        cmocka_unit_test_setup_teardown(pieces, begin, end),
        cmocka_unit_test_setup_teardown(leaves_nothing, begin, end),
        cmocka_unit_test_setup_teardown(missing, begin, end),
        cmocka_unit_test_setup_teardown(quarantine, begin, end),
        cmocka_unit_test_setup_teardown(each, begin, end),
        cmocka_unit_test_setup_teardown(restart_empties_tmp, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
