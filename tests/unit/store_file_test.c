/* store_file_test.c — large files: every byte comes back, equal chunks are stored once, damage is
 * found before it leaves and repaired by the next upload. */
#include "base/text.h"
#include "blob/blob.h"
#include "store/file.h"
#include "store_large.h"
#include <dirent.h>

#define MIB (1u << 20)
#define SIZE (20 * MIB + 4321)

static int begin(void **state)
{
    static struct large l;

    large_begin(&l);
    *state = &l;
    return 0;
}

static int end(void **state)
{
    large_end(*state);
    return 0;
}

static void check_whole(struct large *l, const struct content *c, const char *data)
{
    char *back = malloc(c->size + 1);
    struct read_counts counts;

    assert_non_null(back);
    check_ok(read_range(l, c, 0, c->size, back, &counts));
    assert_memory_equal(back, data, c->size);
    free(back);
}

static void check_ranges(struct large *l, const struct content *c, const char *data)
{
    char *back = malloc(c->size + 1);
    struct read_counts counts;

    for (int i = 0; i < 60; i++) {
        uint64_t first = next_random(&l->random) % c->size;
        uint64_t count = next_random(&l->random) % (i % 2 ? 100000 : c->size);

        if (count > c->size - first)
            count = c->size - first;
        check_ok(read_range(l, c, first, count, back, &counts));
        assert_memory_equal(back, data + first, count);
    }
    free(back);
}

static char *repetitive(size_t len)
{
    char *p = random_data(5, len), *tile = random_data(6, 700 * 1000);

    for (size_t i = 0; i < len; i++)
        p[i] = tile[i % (700 * 1000)];
    free(tile);
    return p;
}

static char *words(size_t len)
{
    static const char *const word[] = {"the ", "model ", "is ",   "large ",
                                       "and ", "text ",  "small "};
    uint64_t state = 99;
    char *p = malloc(len + 16);

    for (size_t at = 0; at < len;) {
        const char *w = word[next_random(&state) % 7];
        size_t n = strlen(w);

        memcpy(p + at, w, n);
        at += n;
    }
    return p;
}

static void all_shapes(void **state)
{
    struct large *l = *state;
    char *shape[] = {random_data(1, SIZE), repetitive(SIZE), calloc(1, SIZE), words(SIZE)};

    for (int i = 0; i < 4; i++) {
        struct content c = must_take_in(l, shape[i], SIZE), again;
        int64_t xorbs = count_of(l, XORB_COUNT), bytes = count_of(l, XORB_BYTES);

        check_whole(l, &c, shape[i]);
        check_ranges(l, &c, shape[i]);
        again = must_take_in(l, shape[i], SIZE);
        assert_int_equal(again.file_id, c.file_id);
        assert_memory_equal(again.hash.b, c.hash.b, 32);
        assert_int_equal(count_of(l, XORB_COUNT), xorbs);
        assert_int_equal(count_of(l, XORB_BYTES), bytes);
    }
    for (int i = 0; i < 4; i++)
        free(shape[i]);
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM file")), 4);
}

/* Uncompressed data leaves by sendfile, except under verify_reads. */
static void zero_copy(void **state)
{
    struct large *l = *state;
    char *data = random_data(2, SIZE), *back = malloc(SIZE);
    struct content c = must_take_in(l, data, SIZE);
    struct read_counts counts;

    check_ok(read_range(l, &c, 0, SIZE, back, &counts));
    assert_int_equal(counts.zero_copy, SIZE);
    store_close(l->s);
    large_open(l, false);
    check_ok(read_range(l, &c, 5, 1000, back, &counts)); /* not verified yet, and little */
    assert_int_equal(counts.copied, 1000);
    check_ok(read_range(l, &c, 5, SIZE - 5, back, &counts));
    assert_int_equal(counts.zero_copy, SIZE - 5);
    check_ok(read_range(l, &c, 5, 1000, back, &counts)); /* verified by now */
    assert_int_equal(counts.zero_copy, 1000);
    store_close(l->s);
    large_open(l, true);
    check_ok(read_range(l, &c, 0, SIZE, back, &counts));
    assert_int_equal(counts.copied, SIZE);
    assert_memory_equal(back, data, SIZE);
    free(data);
    free(back);
}

static void zeros_are_small(void **state)
{
    struct large *l = *state;
    size_t len = 100 * MIB;
    char *data = calloc(1, len);
    struct content c = must_take_in(l, data, len);

    assert_true(count_of(l, XORB_BYTES) < 200000);
    assert_true(count_of(l, SQL("SELECT sum(length(terms)) FROM file_part")) < 100 * 16);
    check_whole(l, &c, data);
    free(data);
}

static void shifted(void **state)
{
    struct large *l = *state;
    char *data = random_data(3, SIZE), *moved = malloc(SIZE + 1);
    struct content c;
    int64_t before;

    moved[0] = 'x';
    memcpy(moved + 1, data, SIZE);
    must_take_in(l, data, SIZE);
    before = count_of(l, XORB_BYTES);
    c = must_take_in(l, moved, SIZE + 1);
    assert_true(count_of(l, XORB_BYTES) - before < SIZE / 4);
    check_whole(l, &c, moved);

    memmove(moved, data, SIZE); /* a change in the middle */
    moved[SIZE / 2] ^= 1;
    before = count_of(l, XORB_BYTES);
    c = must_take_in(l, moved, SIZE);
    assert_true(count_of(l, XORB_BYTES) - before < SIZE / 4);
    check_whole(l, &c, moved);
    free(data);
    free(moved);
}

/* More than one xorb, and the same content inside a larger file. */
static void several_xorbs(void **state)
{
    struct large *l = *state;
    size_t len = 150 * MIB;
    char *data = random_data(4, len);
    struct content c = must_take_in(l, data, len), part;
    int64_t xorbs = count_of(l, XORB_COUNT), bytes = count_of(l, XORB_BYTES);

    assert_int_equal(xorbs, 3);
    check_whole(l, &c, data);
    check_ranges(l, &c, data);
    part = must_take_in(l, data, len - 70 * MIB); /* a prefix: only its last chunk is new */
    assert_true(count_of(l, XORB_BYTES) - bytes < 2 * 131072);
    check_whole(l, &part, data);
    bytes = count_of(l, XORB_BYTES);
    must_take_in(l, data, len);
    assert_int_equal(count_of(l, XORB_BYTES), bytes);
    free(data);
}

static void empty_and_tiny(void **state)
{
    struct large *l = *state;
    struct content c = must_take_in(l, "", 0);
    struct read_counts counts;
    bool found;
    str piece;

    assert_int_equal(c.file_id, 0);
    check_ok(read_range(l, &c, 0, 0, NULL, &counts));
    check_ok(repo_file_add(l->s->hub, 1, &c, 7));
    check_ok(repo_file_find(l->s->hub, 1, c.sha256, &c, &found));
    assert_true(found && c.size == 0 && c.file_id == 0);
    c = must_take_in(l, "x", 1);
    check_whole(l, &c, "x");
    c = must_take_in(l, "hello world", 11);
    check_ok(content_read(l->s, l->a, &c, 6, 100, &piece));
    check_str(piece, "world");
    check_ok(content_read(l->s, l->a, &c, 50, 1, &piece));
    assert_int_equal(piece.len, 0);
}

static err count_blob(struct blob_key key, void *arg)
{
    (void)key;
    ++*(int *)arg;
    return OK;
}

static int blob_count(struct large *l)
{
    int n = 0;

    check_ok(blob_each(l->s->blobs, l->a, BLOB_XORB, count_blob, &n));
    check_ok(blob_each(l->s->blobs, l->a, BLOB_XORB_INDEX, count_blob, &n));
    return n;
}

static void mismatch_leaves_nothing(void **state)
{
    struct large *l = *state;
    size_t len = 70 * MIB; /* one xorb is finished on the way */
    char *data = random_data(7, len);
    struct content c;
    struct intake *in;

    check_fails(take_in(l, data, len, sha256_of("no", 2), &c), 400);
    check_ok(intake_new(l->s, l->a, &in));
    check_ok(intake_feed(in, l->a, data, len));
    intake_drop(in);
    check_ok(intake_new(l->s, l->a, &in));
    check_ok(intake_feed(in, l->a, data, 1000));
    check_fails(intake_end(in, l->a, sha256_of(data, 1000), 999, &c), 400);
    assert_int_equal(blob_count(l), 0);
    assert_int_equal(count_of(l, XORB_COUNT), 0);
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM file")), 0);
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM chunk_key")), 0);
    free(data);
}

/* The path of the only xorb (or, with `suffix`, its sidecar). */
static str only_xorb(struct large *l, const char *suffix)
{
    str root = arena_printf(l->a, "%s/blob/xorb", l->dir), found = STR_NONE;
    DIR *top = opendir(root.ptr);
    struct dirent *e, *f;

    assert_non_null(top);
    while ((e = readdir(top))) {
        str folder = arena_printf(l->a, "%s/%s", root.ptr, e->d_name);
        DIR *d = e->d_name[0] != '.' ? opendir(folder.ptr) : NULL;

        while (d && (f = readdir(d)))
            if (f->d_name[0] != '.' && str_ends(str_c(f->d_name), STR(".idx")) == (*suffix != 0))
                found = arena_printf(l->a, "%s/%s", folder.ptr, f->d_name);
        if (d)
            closedir(d);
    }
    closedir(top);
    assert_non_null(found.ptr);
    return found;
}

static void flip(str path, off_t at)
{
    int fd = open(path.ptr, O_RDWR);
    char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void check_damaged(err e)
{
    check_fails(e, 500);
    assert_string_equal(e->code, "DataCorrupt");
    check_str(e->text, "This file is damaged on this hub's disk; uploading it again repairs it.");
}

static void damage(struct large *l, char *data, bool compressed, uint64_t read_count)
{
    char *back = malloc(SIZE);
    struct content c = must_take_in(l, data, SIZE), again;
    struct read_counts counts;
    bool damaged;

    check_whole(l, &c, data);
    store_close(l->s);
    flip(only_xorb(l, ""), 300);
    large_open(l, false);
    check_damaged(read_range(l, &c, 0, read_count, back, &counts));
    check_damaged(read_range(l, &c, 0, read_count, back, &counts));
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM xorb WHERE state = 'damaged'")), 1);
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM chunk_key")), 0);

    check_ok(content_is_damaged(l->s->hub, &c, &damaged)); /* so LFS asks for it again */
    assert_true(damaged);
    again = must_take_in(l, data, SIZE);
    assert_int_equal(again.file_id, c.file_id);
    check_whole(l, &c, data);
    check_ok(content_is_damaged(l->s->hub, &c, &damaged));
    assert_false(damaged);
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM xorb WHERE state = 'live'")), 1);
    assert_true(compressed || count_of(l, XORB_BYTES) >= SIZE);
    free(back);
}

static void damage_whole_read(void **state)
{
    char *data = random_data(8, SIZE);

    damage(*state, data, false, SIZE);
    free(data);
}

static void damage_small_read(void **state)
{
    char *data = random_data(8, SIZE);

    damage(*state, data, false, 5000);
    free(data);
}

static void damage_compressed(void **state)
{
    char *data = words(SIZE);

    damage(*state, data, true, SIZE);
    free(data);
}

/* A change while the hub runs shows in mtime. */
static void damage_while_running(void **state)
{
    struct large *l = *state;
    char *data = random_data(9, SIZE), *back = malloc(SIZE);
    struct content c = must_take_in(l, data, SIZE);
    struct read_counts counts;

    check_whole(l, &c, data);
    flip(only_xorb(l, ""), SIZE - 100000);
    check_damaged(read_range(l, &c, 0, SIZE, back, &counts));
    must_take_in(l, data, SIZE);
    check_whole(l, &c, data);

    assert_int_equal(unlink(only_xorb(l, "").ptr), 0); /* or is gone altogether */
    check_damaged(read_range(l, &c, 0, SIZE, back, &counts));
    must_take_in(l, data, SIZE);
    check_whole(l, &c, data);
    free(data);
    free(back);
}

static void sidecar_is_rebuilt(void **state)
{
    struct large *l = *state;
    char *data = random_data(10, SIZE);
    struct content c = must_take_in(l, data, SIZE);

    store_close(l->s);
    flip(only_xorb(l, "idx"), 1000);
    large_open(l, false);
    check_whole(l, &c, data);
    store_close(l->s);
    assert_int_equal(unlink(only_xorb(l, "idx").ptr), 0);
    large_open(l, false);
    check_whole(l, &c, data);
    assert_int_equal(blob_count(l), 2);
    free(data);
}

struct twin {
    struct large l; /* shares the store */
    const char *data;
    struct content content;
};

static void *take_in_too(void *arg)
{
    struct twin *t = arg;
    struct content c;

    t->l.a = arena_new(0);
    if (!take_in(&t->l, t->data, SIZE, sha256_of(t->data, SIZE), &c))
        t->content = c;
    arena_free(t->l.a);
    return NULL;
}

static void at_the_same_time(void **state)
{
    struct large *l = *state;
    char *data = random_data(11, SIZE);
    struct twin twin[4];
    pthread_t t[4];

    for (int i = 0; i < 4; i++) {
        twin[i] = (struct twin){.l = *l, .data = data};
        assert_int_equal(pthread_create(&t[i], NULL, take_in_too, &twin[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(twin[i].content.size, SIZE);
        assert_int_equal(twin[i].content.file_id, twin[0].content.file_id);
    }
    assert_int_equal(count_of(l, XORB_COUNT), 1);
    assert_int_equal(blob_count(l), 2);
    check_whole(l, &twin[0].content, data);
    free(data);
}

static void per_repository(void **state)
{
    struct large *l = *state;
    struct content c = must_take_in(l, "hello", 5), got;
    struct repo_file_list list;
    bool found;

    check_ok(repo_file_find(l->s->hub, 1, c.sha256, &got, &found));
    assert_false(found);
    check_ok(repo_file_add(l->s->hub, 1, &c, 7));
    check_ok(repo_file_add(l->s->hub, 1, &c, 8));
    check_ok(repo_file_set_path(l->s->hub, 1, c.sha256, STR("a/b")));
    check_ok(repo_file_find(l->s->hub, 1, c.sha256, &got, &found));
    assert_true(found && got.size == 5 && got.file_id == c.file_id);
    assert_memory_equal(got.hash.b, c.hash.b, 32);
    check_ok(repo_file_list(l->s->hub, l->a, 1, STR(""), 10, &list));
    assert_int_equal(list.count, 1);
    check_str(list.items[0].path, "a/b");
    assert_int_equal(list.items[0].pusher_id, 7);
    check_ok(repo_file_list(l->s->hub, l->a, 1, sha256_hex(l->a, c.sha256), 10, &list));
    assert_int_equal(list.count, 0);
    check_ok(repo_file_copy_all(l->s->hub, 1, 2));
    check_ok(repo_file_remove(l->s->hub, 1, c.sha256));
    check_ok(repo_file_find(l->s->hub, 1, c.sha256, &got, &found));
    assert_false(found);
    check_ok(repo_file_find(l->s->hub, 2, c.sha256, &got, &found));
    assert_true(found);
    got.file_id = 12345;
    check_fails(repo_file_add(l->s->hub, 3, &got, 7), 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_and_tiny, begin, end),
        cmocka_unit_test_setup_teardown(per_repository, begin, end),
        cmocka_unit_test_setup_teardown(all_shapes, begin, end),
        cmocka_unit_test_setup_teardown(zero_copy, begin, end),
        cmocka_unit_test_setup_teardown(zeros_are_small, begin, end),
        cmocka_unit_test_setup_teardown(shifted, begin, end),
        cmocka_unit_test_setup_teardown(several_xorbs, begin, end),
        cmocka_unit_test_setup_teardown(mismatch_leaves_nothing, begin, end),
        cmocka_unit_test_setup_teardown(damage_whole_read, begin, end),
        cmocka_unit_test_setup_teardown(damage_small_read, begin, end),
        cmocka_unit_test_setup_teardown(damage_compressed, begin, end),
        cmocka_unit_test_setup_teardown(damage_while_running, begin, end),
        cmocka_unit_test_setup_teardown(sidecar_is_rebuilt, begin, end),
        cmocka_unit_test_setup_teardown(at_the_same_time, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
