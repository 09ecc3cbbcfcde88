/* store_sign_test.c — signed links, and LFS locks beside them. */
#include "base/clock.h"
#include "store/lock.h"
#include "store/sign.h"
#include "store_large.h"

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

static str make(struct large *l, int64_t expires_at_ms)
{
    str s;

    check_ok(sign_make(l->s, l->a, STR("lfs"), STR("repo=1&oid=ab"), expires_at_ms, &s));
    return s;
}

static void round_trip(void **state)
{
    struct large *l = *state;
    str s = make(l, clock_ms() + 60000);

    check_ok(sign_check(l->s, l->a, STR("lfs"), STR("repo=1&oid=ab"), s));
    check_ok(sign_check(l->s, l->a, STR("lfs"), STR("repo=1&oid=ab"), make(l, clock_ms() + 5000)));
    assert_int_equal(count_of(l, SQL("SELECT count(*) FROM signing_key")), 1);
}

static void refused(void **state)
{
    struct large *l = *state;
    str s = make(l, clock_ms() + 60000), claims = STR("repo=1&oid=ab");
    err e;

    check_fails(sign_check(l->s, l->a, STR("xet"), claims, s), 403);
    check_fails(sign_check(l->s, l->a, STR("lfs"), STR("repo=2&oid=ab"), s), 403);
    check_fails(sign_check(l->s, l->a, STR("lfs"), claims, STR("")), 403);
    check_fails(sign_check(l->s, l->a, STR("lfs"), claims, STR("..")), 403);
    check_fails(sign_check(l->s, l->a, STR("lfs"), claims, str_first(s, s.len - 1)), 403);
    for (size_t i = 0; i < s.len; i++) { /* no character may change */
        char *copy = arena_alloc(l->a, s.len);

        memcpy(copy, s.ptr, s.len);
        copy[i] = copy[i] == 'A' ? 'E' : 'A';
        check_fails(sign_check(l->s, l->a, STR("lfs"), claims, (str){copy, s.len}), 403);
        copy[i] = (char)(s.ptr[i] ^ 1); /* the last digit's spare bits count, too */
        check_fails(sign_check(l->s, l->a, STR("lfs"), claims, (str){copy, s.len}), 403);
    }
    e = sign_check(l->s, l->a, STR("lfs"), claims, make(l, clock_ms() - 1));
    check_fails(e, 403);
    assert_string_equal(e->code, "ExpiredSignature");
}

static void rotation_and_restart(void **state)
{
    struct large *l = *state;
    str old = make(l, clock_ms() + 60000), fresh, claims = STR("repo=1&oid=ab");

    check_ok(sign_rotate(l->s, l->a));
    fresh = make(l, clock_ms() + 60000);
    assert_false(str_eq(str_first(old, 8), str_first(fresh, 8)));
    check_ok(sign_check(l->s, l->a, STR("lfs"), claims, old));
    store_close(l->s);
    large_open(l, false);
    check_ok(sign_check(l->s, l->a, STR("lfs"), claims, fresh));
    check_ok(sign_check(l->s, l->a, STR("lfs"), claims, old));
    assert_true(str_eq(str_first(fresh, 8), str_first(make(l, clock_ms() + 1000), 8)));

    check_ok(db_exec(l->s->hub, SQL("UPDATE signing_key SET retired_at = 1 "
                                    "WHERE retired_at IS NOT NULL")));
    store_close(l->s);
    large_open(l, false);
    check_fails(sign_check(l->s, l->a, STR("lfs"), claims, old), 403);
    check_ok(sign_check(l->s, l->a, STR("lfs"), claims, fresh));
}

/* --- locks --- */

static void locks(void **state)
{
    struct large *l = *state;
    struct lfs_lock mine, theirs, found;
    struct lfs_lock_list list;
    bool is_new;

    check_ok(
        lfs_lock_add(l->s, l->a, 1, 7, STR("a/b.bin"), STR("refs/heads/main"), &mine, &is_new));
    assert_true(is_new && mine.id.len == 32 && mine.owner_id == 7);
    check_ok(lfs_lock_add(l->s, l->a, 1, 8, STR("a/b.bin"), STR_NONE, &theirs, &is_new));
    assert_false(is_new);
    assert_true(str_eq(mine.id, theirs.id) && theirs.owner_id == 7);
    check_ok(lfs_lock_add(l->s, l->a, 2, 8, STR("a/b.bin"), STR_NONE, &theirs, &is_new));
    assert_true(is_new);
    check_fails(lfs_lock_add(l->s, l->a, 1, 7, STR(""), STR_NONE, &theirs, &is_new), 400);
    check_fails(lfs_lock_add(l->s, l->a, 1, 7, STR("\xff"), STR_NONE, &theirs, &is_new), 400);

    store_close(l->s); /* they persist */
    large_open(l, false);
    check_ok(lfs_lock_find(l->s->hub, l->a, 1, mine.id, &found));
    check_str(found.path, "a/b.bin");
    check_str(found.ref, "refs/heads/main");
    check_ok(lfs_lock_find(l->s->hub, l->a, 2, mine.id, &found));
    assert_null(found.id.ptr);

    check_ok(lfs_lock_remove(l->s, 1, mine.id));
    check_ok(lfs_lock_list(l->s->hub, l->a, 1, &(struct lfs_lock_query){0}, &list));
    assert_int_equal(list.count, 0);
}

static void lock_pages(void **state)
{
    struct large *l = *state;
    struct lfs_lock_query q = {.limit = 10};
    struct lfs_lock_list list;
    struct lfs_lock lock;
    size_t seen = 0;
    bool is_new;

    for (unsigned i = 0; i < 25; i++)
        check_ok(lfs_lock_add(l->s, l->a, 1, 7, arena_printf(l->a, "f%02u", i), STR_NONE, &lock,
                              &is_new));
    do {
        check_ok(lfs_lock_list(l->s->hub, l->a, 1, &q, &list));
        for (size_t i = 0; i < list.count; i++)
            check_str(list.items[i].path, arena_printf(l->a, "f%02zu", seen++).ptr);
        q.cursor = list.cursor;
    } while (q.cursor.ptr);
    assert_int_equal(seen, 25);

    q = (struct lfs_lock_query){.path = STR("f07")};
    check_ok(lfs_lock_list(l->s->hub, l->a, 1, &q, &list));
    assert_int_equal(list.count, 1);
    q = (struct lfs_lock_query){.id = list.items[0].id};
    check_ok(lfs_lock_list(l->s->hub, l->a, 1, &q, &list));
    assert_int_equal(list.count, 1);
    q = (struct lfs_lock_query){.cursor = STR("!")};
    check_fails(lfs_lock_list(l->s->hub, l->a, 1, &q, &list), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, begin, end),
        cmocka_unit_test_setup_teardown(refused, begin, end),
        cmocka_unit_test_setup_teardown(rotation_and_restart, begin, end),
        cmocka_unit_test_setup_teardown(locks, begin, end),
        cmocka_unit_test_setup_teardown(lock_pages, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
