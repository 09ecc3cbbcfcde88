/* Compaction: the contents stay the same, the xorbs behind them become fewer and denser. */
#include "base/clock.h"
#include "blob/blob.h"
#include "store/content_rows.h"
#include "store/gc.h"
#include "store/xorb.h"
#include "store_large.h"
#include "store_world.h"

#define PIECE (300u << 10)
#define FILES 12
#define ROWS(w, text) count_rows(w, SQL("SELECT count(*) FROM " text " AND ?1 = ?1"), 0)

struct test {
    struct world w;
    struct large l;
    struct account ada;
    struct repo repo;
    struct content files[FILES];
    char *data[FILES];
    size_t size[FILES];
};

static int begin(void **state)
{
    struct test *t = calloc(1, sizeof *t);

    assert_non_null(t);
    setenv("HEARTH_DB_RERUN", "1", 1);
    t->w.a = arena_new(0);
    temp_dir_make(&t->w.dir);
    world_open(&t->w);
    t->l = (struct large){.a = t->w.a, .s = t->w.s, .random = 88172645463325252ull};
    t->ada = add_user(&t->w, "ada");
    t->repo = add_repo(&t->w, &t->ada, "model");
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct test *t = *state;

    for (int i = 0; i < FILES; i++)
        free(t->data[i]);
    store_close(t->w.s);
    arena_free(t->w.a);
    temp_dir_remove(&t->w.dir);
    free(t);
    return 0;
}

static void add_file(struct test *t, int i, char *data, size_t size)
{
    t->data[i] = data;
    t->size[i] = size;
    t->files[i] = must_take_in(&t->l, data, size);
    check_ok(repo_file_add(t->w.s->hub, t->repo.id, &t->files[i], t->ada.id));
}

static void age(struct test *t)
{
    run_sql(&t->w, SQL("UPDATE xorb SET created_at = 1000, lease_until = 1000"));
}

static struct gc_result collect(struct test *t, bool dry_run, bool all)
{
    struct gc_options o;
    struct gc_result r;

    gc_defaults(&o);
    o.dry_run = dry_run;
    o.compact = !all;
    o.xorb_wait_ms = 0;
    check_ok(gc_run(t->w.s, t->w.a, &o, NULL, &r));
    return r;
}

static void check_file(struct test *t, int i)
{
    struct read_counts counts;
    char *got = malloc(t->size[i] + 1);

    assert_non_null(got);
    check_ok(read_range(&t->l, &t->files[i], 0, t->size[i], got, &counts));
    assert_memory_equal(got, t->data[i], t->size[i]);
    check_ok(read_range(&t->l, &t->files[i], t->size[i] / 3, t->size[i] / 2, got, &counts));
    assert_memory_equal(got, t->data[i] + t->size[i] / 3, t->size[i] / 2);
    free(got);
}

static void check_files(struct test *t)
{
    for (int i = 0; i < FILES && t->data[i]; i++)
        check_file(t, i);
}

/* Every term names a xorb of file_xorb, and every row of that is named by a term. */
static void check_rows(struct test *t)
{
    struct arena_mark m = arena_mark(t->w.a);
    struct pair {
        int64_t file, xorb;
    } *pairs = arena_many(t->w.a, struct pair, 4096);
    size_t count = 0;
    struct db_stmt *q = NULL;

    check_ok(db_query(t->w.s->hub, &q, SQL("SELECT file_id, terms FROM file_part")));
    while (db_next(q)) {
        struct term_list l;

        check_ok(term_list_open(db_view(q, 1), &l));
        for (uint64_t i = 0; i < l.count; i++) {
            assert_true(count < 4096);
            pairs[count++] = (struct pair){db_i64(q, 0), term_at(&l, i).xorb_id};
        }
    }
    check_ok(db_error(q));
    db_stmt_close(&q);
    check_ok(db_query(t->w.s->hub, &q, SQL("SELECT file_id, xorb_id FROM file_xorb")));
    while (db_next(q)) {
        bool used = false;

        for (size_t i = 0; i < count; i++)
            if (pairs[i].file == db_i64(q, 0) && pairs[i].xorb == db_i64(q, 1)) {
                pairs[i].file = -pairs[i].file;
                used = true;
                for (size_t k = 0; k < count; k++)
                    if (pairs[k].file == -pairs[i].file && pairs[k].xorb == pairs[i].xorb)
                        pairs[k].file = pairs[i].file;
                break;
            }
        assert_true(used);
    }
    db_stmt_close(&q);
    for (size_t i = 0; i < count; i++)
        assert_true(pairs[i].file < 0);
    arena_rewind(t->w.a, m);
}

static void add_small_files(struct test *t, int count)
{
    for (int i = 0; i < count; i++)
        add_file(t, i, random_data((uint64_t)i + 1, PIECE + (size_t)i * 1000),
                 PIECE + (size_t)i * 1000);
}

static void test_small_xorbs_become_one(void **state)
{
    struct test *t = *state;
    struct gc_result r;
    int64_t keys;

    add_small_files(t, 5);
    keys = ROWS(&t->w, "chunk_key WHERE 1");
    assert_true(keys >= 5);
    r = collect(t, false, false);
    assert_int_equal(r.compacted_xorbs, 0); /* younger than a day */
    age(t);
    r = collect(t, true, false);
    assert_int_equal(r.compacted_xorbs, 5);
    assert_int_equal(ROWS(&t->w, "xorb WHERE 1"), 5);

    r = collect(t, false, false);
    assert_int_equal(r.compacted_xorbs, 5);
    assert_int_equal(r.compacted_into, 1);
    assert_int_equal(ROWS(&t->w, "xorb WHERE 1"), 6);
    assert_int_equal(ROWS(&t->w, "file_xorb WHERE xorb_id <> (SELECT max(id) FROM xorb)"), 0);
    assert_int_equal(ROWS(&t->w, "chunk_key WHERE xorb_id <> (SELECT max(id) FROM xorb)"), 0);
    assert_int_equal(ROWS(&t->w, "chunk_key WHERE 1"), keys);
    check_rows(t);
    check_files(t);

    r = collect(t, false, true); /* and the old ones go */
    assert_int_equal(r.condemned, 5);
    assert_int_equal(r.xorbs, 5);
    check_files(t);
    age(t);
    r = collect(t, false, false);
    assert_int_equal(r.compacted_xorbs, 0); /* one small xorb is left as it is */
}

/* What was uploaded before is found in the new xorb. */
static void test_uploads_find_the_new_xorb(void **state)
{
    struct test *t = *state;
    char *joined;

    add_small_files(t, 3);
    age(t);
    (void)collect(t, false, false);
    (void)collect(t, false, true);
    assert_int_equal(ROWS(&t->w, "xorb WHERE 1"), 1);
    joined = malloc(t->size[0] + 5000);
    assert_non_null(joined);
    memcpy(joined, t->data[0], t->size[0]);
    memset(joined + t->size[0], 'x', 5000);
    add_file(t, 3, joined, t->size[0] + 5000);
    check_files(t);
    check_rows(t);
    assert_int_equal(ROWS(&t->w, "file_xorb WHERE file_id = (SELECT max(id) FROM file)"), 2);
    assert_true(count_of(&t->l, SQL("SELECT max(disk_bytes) FROM xorb WHERE id > (SELECT min(id) "
                                    "FROM xorb)")) < 100 << 10); /* only the tail is new */
}

/* A large xorb of which little is used is written again without the rest. */
static void test_what_nobody_uses_is_left_behind(void **state)
{
    struct test *t = *state;
    size_t large = 12u << 20, part = 2u << 20;
    char *data = random_data(99, large), *piece = malloc(part);
    struct content whole;
    struct gc_result r;
    int64_t before;

    assert_non_null(piece);
    whole = must_take_in(&t->l, data, large);
    memcpy(piece, data + (5u << 20), part);
    add_file(t, 0, piece, part);
    run_sql(&t->w, SQL("DELETE FROM repo_file WHERE size > 4000000"));
    run_sql(&t->w, SQL("UPDATE file SET created_at = 1000 WHERE size > 4000000"));
    free(data);
    before = count_of(&t->l, XORB_BYTES);
    age(t);
    r = collect(t, false, true);
    assert_int_equal(r.files, 1); /* `whole` */
    assert_true(r.compacted_xorbs >= 1);
    assert_true(r.compacted_bytes_saved > 8u << 20);
    assert_true(count_of(&t->l, XORB_BYTES) < before / 3);
    check_files(t);
    check_rows(t);
    (void)whole;
}

/* Above the limit nothing happens. */
static void test_half_used_xorbs_stay(void **state)
{
    struct test *t = *state;
    size_t large = 12u << 20, part = 6u << 20;
    char *data = random_data(98, large), *piece = malloc(part);
    struct gc_result r;

    assert_non_null(piece);
    (void)must_take_in(&t->l, data, large);
    memcpy(piece, data, part);
    add_file(t, 0, piece, part);
    run_sql(&t->w, SQL("DELETE FROM file WHERE size > 8000000"));
    run_sql(&t->w, SQL("DELETE FROM file_part WHERE file_id NOT IN (SELECT id FROM file)"));
    run_sql(&t->w, SQL("DELETE FROM file_xorb WHERE file_id NOT IN (SELECT id FROM file)"));
    free(data);
    run_sql(&t->w, SQL("UPDATE xorb SET created_at = 1000 WHERE disk_bytes > 4194304"));
    r = collect(t, false, false);
    assert_int_equal(r.compacted_xorbs, 0);
    check_files(t);
}

/* Somebody registers a content on an old xorb between the planning and the swap. */
struct meddler {
    struct test *t;
    char *data;
    int calls;
    bool done;
};

static bool meddle(void *arg, const char *what, uint64_t done)
{
    struct meddler *m = arg;
    struct test *t = m->t;

    (void)what, (void)done;
    if (m->done || ++m->calls < 4)
        return true;
    m->done = true; /* three sources were copied by now */
    add_file(t, 4, m->data, t->size[0] + t->size[1]);
    return true;
}

static void test_a_content_that_comes_meanwhile(void **state)
{
    struct test *t = *state;
    struct meddler m = {.t = t};
    struct gc_watch w = {meddle, &m};
    struct gc_options o;
    struct gc_result r;

    add_small_files(t, 4);
    m.data = malloc(t->size[0] + t->size[1]);
    assert_non_null(m.data);
    memcpy(m.data, t->data[0], t->size[0]);
    memcpy(m.data + t->size[0], t->data[1], t->size[1]);
    age(t);
    gc_defaults(&o);
    o.compact = true;
    o.xorb_wait_ms = 0;
    check_ok(gc_run(t->w.s, t->w.a, &o, &w, &r));
    assert_true(m.done);
    assert_int_equal(r.compacted_xorbs, 4);
    check_files(t);
    check_rows(t);
    age(t);
    (void)collect(t, false, true);
    check_files(t);
    check_rows(t);
}

/* A reader that began before goes on with the old xorbs. */
static void test_a_reader_goes_on(void **state)
{
    struct test *t = *state;
    char *got = malloc(t->size[0] + PIECE * 2);
    struct source *s;
    enum source_state now = SOURCE_MORE;
    size_t used = 0;

    assert_non_null(got);
    add_small_files(t, 3);
    check_ok(content_source(t->w.s, t->w.a, &t->files[0], 0, t->size[0], &s));
    age(t);
    assert_int_equal(collect(t, false, false).compacted_xorbs, 3);
    while (now == SOURCE_MORE) {
        struct source_out out;

        out.count = 0;
        check_ok(s->fill(s, &out, &now));
        for (size_t i = 0; i < out.count; i++) {
            const struct source_part *p = &out.part[i];

            if (p->fd >= 0)
                assert_int_equal(pread_full(p->fd, got + used, p->len, p->offset), p->len);
            else
                memcpy(got + used, p->ptr, p->len);
            used += p->len;
        }
    }
    s->close(s);
    assert_int_equal(used, t->size[0]);
    assert_memory_equal(got, t->data[0], used);
    free(got);
}

static void test_not_while_held(void **state)
{
    struct test *t = *state;
    struct gc_result r;
    str id;

    add_small_files(t, 3);
    age(t);
    check_ok(gc_hold_take(t->w.s, t->w.a, &id));
    r = collect(t, false, false);
    assert_true(r.held);
    assert_int_equal(r.compacted_xorbs, 0);
    assert_int_equal(ROWS(&t->w, "xorb WHERE 1"), 3);
    check_ok(gc_hold_release(t->w.s, id));
    r = collect(t, false, false);
    assert_int_equal(r.compacted_xorbs, 3);
}

/* Zeros are one chunk that many terms name; compressed chunks are copied as they are. */
static void test_repeated_and_packed_chunks(void **state)
{
    struct test *t = *state;
    char *zeros = calloc(1, 9u << 20), *text = malloc(PIECE * 4);

    assert_non_null(zeros);
    assert_non_null(text);
    for (size_t i = 0; i < PIECE * 4; i++)
        text[i] = (char)('a' + (i / 7 + i % 13) % 20);
    add_file(t, 0, zeros, 9u << 20);
    add_file(t, 1, text, PIECE * 4);
    add_file(t, 2, random_data(5, PIECE), PIECE);
    age(t);
    assert_int_equal(collect(t, false, false).compacted_xorbs, 3);
    check_files(t);
    check_rows(t);
    (void)collect(t, false, true);
    check_files(t);
}

/* A source that turns out damaged spoils nothing else. */
static void test_a_damaged_source(void **state)
{
    struct test *t = *state;
    struct db_stmt *q = NULL;
    char hex[HASH_TEXT], byte;
    struct gc_result r;
    xorb_hash h;
    str path;
    int fd;

    add_small_files(t, 3);
    age(t);
    check_ok(db_query(t->w.s->hub, &q, SQL("SELECT hash, generation FROM xorb ORDER BY id")));
    assert_true(db_next(q));
    assert_true(db_hash(q, 0, h.b, sizeof h.b));
    xorb_hash_write(hex, h);
    path = arena_printf(t->w.a, "%s/blob/xorb/%.2s/%.64s.%lld", t->w.dir.path, hex, hex,
                        (long long)db_i64(q, 1));
    db_stmt_close(&q);
    fd = open(path.ptr, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 1000), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, 1000), 1);
    close(fd);
    (void)collect(t, false, false);
    age(t);
    r = collect(t, false, false);
    assert_int_equal(ROWS(&t->w, "xorb WHERE state = 'damaged'"), 1);
    (void)r;
    check_file(t, 1);
    check_file(t, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_small_xorbs_become_one),
        TEST(test_uploads_find_the_new_xorb),
        TEST(test_what_nobody_uses_is_left_behind),
        TEST(test_half_used_xorbs_stay),
        TEST(test_a_content_that_comes_meanwhile),
        TEST(test_a_reader_goes_on),
        TEST(test_not_while_held),
        TEST(test_repeated_and_packed_chunks),
        TEST(test_a_damaged_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
