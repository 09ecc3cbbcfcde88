/* store_upload_test.c — multipart uploads: parts survive restarts, completion happens once. */
#include "base/text.h"
#include "store/upload.h"
#include "store_large.h"
#include <dirent.h>
#include <pthread.h>

#define SIZE ((UPLOAD_PART_BYTES)*2 + 12345)

static char *data;
static sha256 data_sha;

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

static err send_bytes(struct large *l, const struct upload *u, unsigned number, const char *p,
                      size_t len, str *ret_etag)
{
    struct upload_part *part;

    TRY(upload_part_new(l->s, l->a, u, number, &part));
    for (size_t at = 0; at < len;) {
        size_t n = len - at < 100000 ? len - at : 100000;
        err e = upload_part_write(part, l->a, p + at, n);

        if (e) {
            upload_part_drop(part);
            return e;
        }
        at += n;
    }
    return upload_part_end(part, l->a, ret_etag);
}

static err send_part(struct large *l, const struct upload *u, unsigned number, str *ret_etag)
{
    size_t first = (size_t)((number - 1) * u->part_bytes);
    size_t len = number < u->part_count ? (size_t)u->part_bytes : (size_t)(u->size - first);

    return send_bytes(l, u, number, data + first, len, ret_etag);
}

static unsigned count_entries(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    unsigned n = 0;

    assert_non_null(d);
    while ((e = readdir(d)))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void restart_between_parts(void **state)
{
    struct large *l = *state;
    struct upload u, again;
    struct content c, found;
    char *back = malloc(SIZE);
    struct read_counts counts;
    bool is_found;
    str etag;
    err e;

    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, SIZE, &u));
    assert_int_equal(u.part_count, 3);
    check_ok(send_part(l, &u, 3, &etag));
    assert_true(etag.len > 2 && etag.ptr[0] == '"');
    check_ok(send_part(l, &u, 1, &etag));
    store_close(l->s);
    large_open(l, false);

    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, SIZE, &again)); /* the same one */
    assert_true(str_eq(u.id, again.id));
    e = upload_complete(l->s, l->a, u.id, &c);
    check_fails(e, 400);
    assert_true(str_has(e->text, STR("Part 2")));
    check_ok(send_part(l, &again, 2, &etag));
    check_ok(upload_complete(l->s, l->a, u.id, &c));
    assert_int_equal(c.size, SIZE);
    assert_int_equal(count_entries(l->s->upload_dir), 0);

    check_ok(repo_file_find(l->s->hub, 1, data_sha, &found, &is_found));
    assert_true(is_found && found.is_verified && found.file_id == c.file_id);
    check_ok(repo_file_find(l->s->hub, 2, data_sha, &found, &is_found));
    assert_false(is_found);
    check_ok(read_range(l, &c, 0, SIZE, back, &counts));
    assert_memory_equal(back, data, SIZE);

    check_ok(upload_complete(l->s, l->a, u.id, &found)); /* the answer was lost */
    assert_int_equal(found.file_id, c.file_id);
    check_fails(send_part(l, &u, 1, &etag), 404);
    free(back);
}

static void part_rules(void **state)
{
    struct large *l = *state;
    struct upload u;
    struct upload_part *part;
    str first, second;

    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, SIZE, &u));
    check_fails(upload_part_new(l->s, l->a, &u, 0, &part), 400);
    check_fails(upload_part_new(l->s, l->a, &u, 4, &part), 400);
    check_fails(send_bytes(l, &u, 3, data, 100, &first), 400);
    check_fails(send_bytes(l, &u, 3, data, 12346, &first), 400);
    check_ok(send_part(l, &u, 3, &first));
    check_ok(send_part(l, &u, 3, &second)); /* sent again: replaced */
    assert_false(str_eq(first, second));
    check_ok(upload_part_new(l->s, l->a, &u, 1, &part));
    upload_part_drop(part);
    assert_int_equal(
        count_entries(arena_printf(l->a, "%s/%.*s", l->s->upload_dir, STR_FMT(u.id)).ptr), 1);
}

static void wrong_bytes(void **state)
{
    struct large *l = *state;
    struct upload u, again;
    struct content c;
    bool found;
    str etag;

    check_ok(upload_begin(l->s, l->a, 1, 7, sha256_of("other", 5), SIZE, &u));
    for (unsigned i = 1; i <= 3; i++)
        check_ok(send_part(l, &u, i, &etag));
    check_fails(upload_complete(l->s, l->a, u.id, &c), 400);
    check_ok(repo_file_find(l->s->hub, 1, u.sha256, &c, &found));
    assert_false(found);
    assert_int_equal(count_of(l, XORB_COUNT), 0);
    /* nobody knows which part is wrong: all stay, any may be sent again */
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM upload_part")), 3);
    check_fails(upload_complete(l->s, l->a, u.id, &c), 400);
    check_ok(upload_begin(l->s, l->a, 1, 7, u.sha256, SIZE, &again));
    assert_true(str_eq(u.id, again.id));
}

struct racer {
    struct large *l;
    str id;
    struct content content;
    bool ok;
};

static void *complete_too(void *arg)
{
    struct racer *r = arg;
    struct arena *a = arena_new(0);

    r->ok = !upload_complete(r->l->s, a, r->id, &r->content);
    arena_free(a);
    return NULL;
}

static void completions_join(void **state)
{
    struct large *l = *state;
    struct racer r[6];
    pthread_t t[6];
    struct upload u;
    str etag;

    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, SIZE, &u));
    for (unsigned i = 1; i <= 3; i++)
        check_ok(send_part(l, &u, i, &etag));
    for (int i = 0; i < 6; i++) {
        r[i] = (struct racer){.l = l, .id = u.id};
        assert_int_equal(pthread_create(&t[i], NULL, complete_too, &r[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(t[i], NULL);
        assert_true(r[i].ok);
        assert_int_equal(r[i].content.file_id, r[0].content.file_id);
    }
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM file")), 1);
}

static void expiry(void **state)
{
    struct large *l = *state;
    struct upload u, other;
    struct content c;
    str etag;

    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, SIZE, &u));
    check_ok(send_part(l, &u, 1, &etag));
    check_ok(upload_begin(l->s, l->a, 2, 7, data_sha, SIZE, &other));
    check_ok(upload_expire(l->s, l->a));
    assert_int_equal(count_entries(l->s->upload_dir), 2);
    check_ok(db_exec(l->s->hub, SQL("UPDATE upload SET expires_at = 1 WHERE repo_id = 1")));
    check_ok(upload_expire(l->s, l->a));
    assert_int_equal(count_entries(l->s->upload_dir), 1);
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM upload_part")), 0);
    check_fails(upload_complete(l->s, l->a, u.id, &c), 404);
    check_fails(send_part(l, &u, 2, &etag), 404);
}

/* A backup was restored without DATA/upload. */
static void folder_is_lost(void **state)
{
    struct large *l = *state;
    struct upload u;
    struct content c;
    str etag, folder;
    err e;

    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, SIZE, &u));
    for (unsigned i = 1; i <= 3; i++)
        check_ok(send_part(l, &u, i, &etag));
    folder = arena_printf(l->a, "%s/%.*s", l->s->upload_dir, STR_FMT(u.id));
    nftw(folder.ptr, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    e = upload_complete(l->s, l->a, u.id, &c);
    check_fails(e, 400);
    assert_true(str_has(e->text, STR("Part 1")));
    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, SIZE, &u));
    for (unsigned i = 1; i <= 3; i++)
        check_ok(send_part(l, &u, i, &etag));
    check_ok(upload_complete(l->s, l->a, u.id, &c));
}

static void part_sizes(void **state)
{
    struct large *l = *state;
    struct upload u;

    check_ok(upload_begin(l->s, l->a, 1, 7, data_sha, 1, &u));
    assert_int_equal(u.part_count, 1);
    check_ok(upload_begin(l->s, l->a, 1, 8, data_sha, UPLOAD_PART_BYTES, &u));
    assert_int_equal(u.part_count, 1);
    check_ok(upload_begin(l->s, l->a, 1, 9, data_sha, UPLOAD_PART_BYTES + 1, &u));
    assert_int_equal(u.part_count, 2);
    check_ok(upload_begin(l->s, l->a, 1, 10, data_sha, (uint64_t)5 << 40, &u));
    assert_true(u.part_count <= UPLOAD_PARTS_MAX && u.part_count > UPLOAD_PARTS_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(restart_between_parts, begin, end),
        cmocka_unit_test_setup_teardown(part_rules, begin, end),
        cmocka_unit_test_setup_teardown(wrong_bytes, begin, end),
        cmocka_unit_test_setup_teardown(completions_join, begin, end),
        cmocka_unit_test_setup_teardown(expiry, begin, end),
        cmocka_unit_test_setup_teardown(folder_is_lost, begin, end),
        cmocka_unit_test_setup_teardown(part_sizes, begin, end),
    };
    int failed;

    data = random_data(42, SIZE);
    data_sha = sha256_of(data, SIZE);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(data);
    return failed;
}
