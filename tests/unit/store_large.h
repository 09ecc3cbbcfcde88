/* store_large.h — what the tests of large files share: a store in a temporary directory, contents
 * made from seeds, taking one in and reading it back through a source. */
#pragma once
#include "base/io.h"
#include "check.h"
#include "store/file.h"
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct large {
    char dir[512];
    struct arena *a;
    struct store *s;
    uint64_t random; /* state */
};

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static inline void large_open(struct large *l, bool verify_reads)
{
    struct store_config c = {.data_dir = l->dir, .server = true, .verify_reads = verify_reads};

    check_ok(store_open(l->a, &c, &l->s));
}

static inline void large_begin(struct large *l)
{
    const char *tmp = getenv("TMPDIR");

    *l = (struct large){.random = 88172645463325252ull};
    snprintf(l->dir, sizeof l->dir, "%s/hearth-test-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(l->dir));
    l->a = arena_new(0);
    large_open(l, false);
}

static inline int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static inline void large_end(struct large *l)
{
    store_close(l->s);
    arena_free(l->a);
    nftw(l->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline char *random_data(uint64_t seed, size_t len)
{
    char *p = malloc(len + 8);
    uint64_t state = seed * 2654435761u + 88172645463325252ull;

    assert_non_null(p);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t v = next_random(&state);

        memcpy(p + i, &v, 8);
    }
    return p;
}

/* Feeds in pieces of random sizes. */
static inline err take_in(struct large *l, const char *p, size_t len, sha256 expected,
                          struct content *ret)
{
    struct intake *in;
    size_t at = 0;

    TRY(intake_new(l->s, l->a, &in));
    while (at < len) {
        size_t n = 1 + next_random(&l->random) % 300000;
        err e;

        if (n > len - at)
            n = len - at;
        e = intake_feed(in, l->a, p + at, n);
        if (e) {
            intake_drop(in);
            return e;
        }
        at += n;
    }
    return intake_end(in, l->a, expected, len, ret);
}

static inline struct content must_take_in(struct large *l, const char *p, size_t len)
{
    struct content c;

    check_ok(take_in(l, p, len, sha256_of(p, len), &c));
    assert_int_equal(c.size, len);
    assert_true(c.is_verified);
    return c;
}

struct read_counts {
    uint64_t zero_copy, copied;
};

/* Reads a range through its source, into `dst`. */
static inline err read_range(struct large *l, const struct content *c, uint64_t first,
                             uint64_t count, char *dst, struct read_counts *counts)
{
    struct source *s;
    enum source_state state = SOURCE_MORE;
    uint64_t used = 0;
    err e = OK;

    *counts = (struct read_counts){0};
    TRY(content_source(l->s, l->a, c, first, count, &s));
    while (!e && state == SOURCE_MORE) {
        struct source_out out;
        uint64_t copied = 0;

        out.count = 0;
        e = s->fill(s, &out, &state);
        for (size_t i = 0; !e && i < out.count; i++) {
            const struct source_part *p = &out.part[i];

            assert_true(p->len > 0 && p->len <= count - used);
            if (p->fd >= 0) {
                assert_int_equal(pread_full(p->fd, dst + used, p->len, p->offset), p->len);
                counts->zero_copy += p->len;
            } else {
                memcpy(dst + used, p->ptr, p->len);
                copied += p->len;
            }
            used += p->len;
        }
        assert_true(copied <= SOURCE_BYTES_MAX);
        counts->copied += copied;
    }
    s->close(s);
    TRY(e);
    assert_int_equal(used, count);
    return OK;
}

static inline int64_t count_of(struct large *l, struct sql sql)
{
    struct db_stmt *q = NULL;
    int64_t n;

    check_ok(db_query(l->s->hub, &q, sql));
    assert_true(db_next(q));
    n = db_i64(q, 0);
    db_stmt_close(&q);
    return n;
}
#define XORB_COUNT SQL("SELECT count(*) FROM xorb")
#define XORB_BYTES SQL("SELECT coalesce(sum(disk_bytes), 0) FROM xorb")
