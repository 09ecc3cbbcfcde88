/* base_arena_test.c — see base/arena.h and base/err.h. */
#include "base/arena.h"
#include "base/io.h"
#include "check.h"

#include <errno.h>

static char order[16];

static void note(void *p)
{
    strncat(order, p, sizeof order - strlen(order) - 1);
}

static void test_alloc(void **state)
{
    struct arena *a = arena_new(0);

    (void)state;
    assert_int_equal(arena_used(a), 0);
    for (size_t size = 0; size < 300000; size = size * 2 + 1) {
        unsigned char *p = arena_alloc(a, size);

        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xee, size);
        arena_str(a, STR("x")); /* leaves the arena unaligned */
    }
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    assert_int_equal(*(char *)arena_alloc(a, 1), 0); /* zeroed again after reuse */
    arena_free(a);
    arena_free(NULL);
}

static void test_strings(void **state)
{
    struct arena *a = arena_new(0);
    char big[2000];
    str s;

    (void)state;
    memset(big, 'q', sizeof big);
    big[sizeof big - 1] = '\0';
    s = arena_printf(a, "%s!", big);
    assert_int_equal(s.len, sizeof big);
    assert_int_equal(s.ptr[s.len], 0);
    assert_int_equal(s.ptr[s.len - 1], '!');
    check_str(arena_printf(a, "%d-%s", 7, "x"), "7-x");
    check_str(arena_cat(a, STR("a"), STR_NONE, STR("bc")), "abc");
    assert_string_equal(str_z(a, STR("path")), "path");
    s = arena_str(a, STR_NONE);
    assert_non_null(s.ptr);
    assert_int_equal(s.ptr[0], 0);
    arena_free(a);
}

static void test_defers(void **state)
{
    static char one[] = "1", two[] = "2", three[] = "3";
    struct arena *a = arena_new(0);
    struct arena_mark m;

    (void)state;
    order[0] = '\0';
    arena_defer(a, note, one);
    m = arena_mark(a);
    arena_defer(a, note, two);
    arena_defer(a, note, three);
    arena_rewind(a, m);
    assert_string_equal(order, "32");
    arena_reset(a);
    assert_string_equal(order, "321");
    arena_defer(a, note, one);
    arena_free(a);
    assert_string_equal(order, "3211");
}

static void test_rewind(void **state)
{
    struct arena *a = arena_new(0);
    struct arena_mark empty = arena_mark(a), m;
    char *kept;

    (void)state;
    kept = arena_alloc(a, 100);
    memset(kept, 7, 100);
    m = arena_mark(a);
    for (int round = 0; round < 1000; round++) {
        char *p = arena_alloc(a, (size_t)round * 13);

        memset(p, 1, (size_t)round * 13);
        arena_rewind(a, m);
        assert_int_equal(arena_used(a), 100);
    }
    assert_int_equal(kept[99], 7);
    arena_rewind(a, empty);
    assert_int_equal(arena_used(a), 0);
    arena_free(a);
}

static void test_errors(void **state)
{
    struct arena *a = arena_new(0);
    err e = err_new(a, 409, "Conflict", "Repository %s is there.", "a/b");

    (void)state;
    assert_int_equal(e->status, 409);
    check_str(e->text, "Repository a/b is there.");
    assert_non_null(strstr(e->at, "base_arena_test.c:"));
    assert_true(strncmp(e->at, "..", 2) != 0);
    errno = ENOENT;
    e = err_os(a, "open", "/x");
    assert_int_equal(e->status, 500);
    check_str(e->detail, "open /x: No such file or directory");
    assert_false(str_has(e->text, STR("/x")));
    assert_int_equal(errno, ENOENT);
    errno = ENOSPC;
    e = err_os(a, "write", "/x");
    assert_int_equal(e->status, 507);
    assert_true(str_eq(e->text, err_no_space.text));
    e = err_internal(a, "row %d is gone", 7);
    assert_int_equal(e->status, 500);
    check_str(e->detail, "row 7 is gone");
    arena_free(a);
}

static void test_locks_and_random(void **state)
{
    pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, two = PTHREAD_MUTEX_INITIALIZER;
    struct arena *a = arena_new(0);
    str r1, r2;

    (void)state;
    {
        AUTO_LOCK(&one);
        AUTO_LOCK(&two); /* two in one scope have two names */
        assert_int_equal(pthread_mutex_trylock(&one), EBUSY);
        assert_int_equal(pthread_mutex_trylock(&two), EBUSY);
    }
    assert_int_equal(pthread_mutex_trylock(&one), 0);
    assert_int_equal(pthread_mutex_unlock(&one), 0);
    r1 = random_hex(a, 16);
    r2 = random_hex(a, 16);
    assert_int_equal(r1.len, 32);
    assert_false(str_eq(r1, r2));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),  cmocka_unit_test(test_strings),
        cmocka_unit_test(test_defers), cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_locks_and_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
