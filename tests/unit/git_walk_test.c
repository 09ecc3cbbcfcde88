/* git_walk_test.c — see git/walk.h and git/reach.h. */
#include "git/reach.h"
#include "git_fixture.h"

static bool has(const struct oid_list *l, oid id)
{
    for (size_t i = 0; i < l->count; i++)
        if (sha1_eq(l->ids[i], id))
            return true;
    return false;
}

static void test_pages(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_OIDS struct oid_list l = {0};
    size_t total;
    oid c[10];

    (void)state;
    put_line(&f, c, 10);
    check_ok(history_page(f.odb, f.a, c[9], 2, 3, &l, &total));
    assert_int_equal(total, 10);
    assert_int_equal(l.count, 3);
    assert_true(sha1_eq(l.ids[0], c[7]) && sha1_eq(l.ids[2], c[5]));
    l.count = 0;
    check_ok(history_page(f.odb, f.a, c[9], 8, 100, &l, NULL));
    assert_int_equal(l.count, 2);
}

/* 0 - 1 - 2 - 3 ------ m      side commits s, t leave at 1; the clock of t is wrong by years. */
static void test_branches(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_OIDS struct oid_list l = {0}, k = {0};
    oid c[4], s, t, m, parents[2], base, tree = put_tree(&f, OID_ZERO, "+x=1");
    bool found, is;

    (void)state;
    put_line(&f, c, 4);
    s = put_commit(&f, tree, 1700000100, &c[1], 1);
    t = put_commit(&f, tree, 1000, &s, 1);
    parents[0] = c[3];
    parents[1] = t;
    m = put_commit(&f, tree, 1700000200, parents, 2);

    check_ok(history_between(f.odb, f.a, c[3], m, &l));
    assert_int_equal(l.count, 3);
    assert_true(has(&l, m) && has(&l, s) && has(&l, t));
    check_ok(history_between(f.odb, f.a, m, c[3], &k));
    assert_int_equal(k.count, 0);
    check_ok(history_base(f.odb, f.a, c[3], t, &base, &found));
    assert_true(found && sha1_eq(base, c[1]));
    check_ok(history_base(f.odb, f.a, c[1], m, &base, &found));
    assert_true(found && sha1_eq(base, c[1]));
    check_ok(history_base(f.odb, f.a, put_commit(&f, tree, 5, NULL, 0), m, &base, &found));
    assert_false(found);
    check_ok(history_has(f.odb, f.a, m, c[0], &is));
    assert_true(is);
    check_ok(history_has(f.odb, f.a, c[3], s, &is));
    assert_false(is);
}

static void test_line(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_OIDS struct oid_list l = {0}, k = {0};
    oid c[6];
    bool met;

    (void)state;
    put_line(&f, c, 6);
    check_ok(history_line(f.odb, f.a, c[2], c[5], &l, &met));
    assert_true(met && l.count == 3 && sha1_eq(l.ids[0], c[3]) && sha1_eq(l.ids[2], c[5]));
    check_ok(history_line(f.odb, f.a, c[5], c[2], &k, &met));
    assert_true(!met && k.count == 3 && sha1_eq(k.ids[0], c[0]));
}

static void test_missing_commit(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_OIDS struct oid_list l = {0};
    oid gone = obj_id(OBJ_COMMIT, STR("gone"));
    oid c = put_commit(&f, oid_empty_tree, 1, &gone, 1);

    (void)state;
    check_fails(history_page(f.odb, f.a, c, 0, 10, &l, NULL), 500);
}

static struct oid_list reach(struct fixture *f, struct reach_query q)
{
    struct oid_list l = {0};
    AUTO_OID_MAP struct oid_map seen = {0};

    check_ok(reach_list(f->odb, f->a, &q, &l));
    for (size_t i = 0; i < l.count; i++)
        assert_true(oid_set_add(&seen, l.ids[i])); /* nothing twice */
    return l;
}

static void test_reach_all(void **state)
{
    FIXTURE f = fixture_new();
    oid c[5];

    (void)state;
    put_line(&f, c, 5);
    AUTO_OIDS struct oid_list l =
        reach(&f, (struct reach_query){.wants = &c[4], .want_count = 1, .filter = REACH_ALL});
    /* 5 commits, 5 blobs, 5 root trees, 5 states of folders */
    assert_int_equal(l.count, 20);
    assert_true(sha1_eq(l.ids[0], c[4]));
}

static void test_reach_news(void **state)
{
    FIXTURE f = fixture_new();
    oid c[5];

    (void)state;
    put_line(&f, c, 5);
    AUTO_OIDS struct oid_list l = reach(&f, (struct reach_query){.wants = &c[4],
                                                                 .want_count = 1,
                                                                 .haves = &c[2],
                                                                 .have_count = 1,
                                                                 .filter = REACH_ALL,
                                                                 .check_blobs = true});
    assert_int_equal(l.count, 8); /* per commit: itself, root, folder, blob */
    assert_false(has(&l, c[2]));
}

/* A folder that changes and comes back: what it holds must still be sent to who has neither. */
static void test_reach_back_and_forth(void **state)
{
    FIXTURE f = fixture_new();
    oid t0 = put_tree(&f, OID_ZERO, "+d/a=1");
    oid t1 = put_tree(&f, t0, "+x/y=1 +x/z=2"), t2 = put_tree(&f, t1, "+x/z=3");
    oid c0 = put_commit(&f, t0, 1, NULL, 0), c1 = put_commit(&f, t1, 2, &c0, 1);
    oid c2 = put_commit(&f, t2, 3, &c1, 1), c3 = put_commit(&f, t1, 4, &c2, 1);

    (void)state;
    AUTO_OIDS struct oid_list l = reach(
        &f, (struct reach_query){
                .wants = &c3, .want_count = 1, .haves = &c0, .have_count = 1, .filter = REACH_ALL});
    assert_true(has(&l, obj_id(OBJ_BLOB, STR("2"))) && has(&l, obj_id(OBJ_BLOB, STR("3"))));
    assert_true(has(&l, t1) && has(&l, t2) && !has(&l, t0));
}

static void test_reach_filters(void **state)
{
    FIXTURE f = fixture_new();
    oid tree = put_tree(&f, OID_ZERO, "+a=1 +d/e=22222 +d/g/h=333");
    oid c = put_commit(&f, tree, 1, NULL, 0), blob = obj_id(OBJ_BLOB, STR("22222"));
    oid wants[2] = {c, blob};
    static const struct {
        const char *filter;
        size_t count; /* of objects for the commit alone */
    } cases[] = {
        {"blob:none", 4}, {"blob:limit=3", 5}, {"blob:limit=1k", 7}, {"tree:0", 1},
        {"tree:1", 2},    {"tree:2", 4},       {"tree:9", 7},
    };
    struct reach_filter none;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reach_query q = {.wants = wants, .want_count = 1};

        assert_true(reach_filter_parse(str_c(cases[i].filter), &q.filter));
        AUTO_OIDS struct oid_list l = reach(&f, q);
        if (l.count != cases[i].count)
            fail_msg("%s: %zu", cases[i].filter, l.count);
        q.want_count = 2; /* a blob asked for by name comes in any case */
        AUTO_OIDS struct oid_list k = reach(&f, q);
        assert_true(has(&k, blob));
    }
    assert_false(reach_filter_parse(STR("sparse:oid=x"), &none));
    assert_false(reach_filter_parse(STR("blob:limit="), &none));
    assert_false(reach_filter_parse(STR("tree:-1"), &none));
}

static void test_reach_misses_nothing(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_OIDS struct oid_list l = {0};
    struct tree_entry gone = {MODE_FILE, STR("a"), obj_id(OBJ_BLOB, STR("never written"))};
    oid tree, c;
    struct reach_query q = {.want_count = 1, .filter = REACH_ALL, .check_blobs = true};

    (void)state;
    check_ok(odb_write(f.odb, f.a, OBJ_TREE, tree_format(f.a, &gone, 1), &tree));
    c = put_commit(&f, tree, 1, NULL, 0);
    q.wants = &c;
    check_fails(reach_list(f.odb, f.a, &q, &l), 500);
    gone.id = tree; /* a folder where a file belongs */
    check_ok(odb_write(f.odb, f.a, OBJ_TREE, tree_format(f.a, &gone, 1), &tree));
    c = put_commit(&f, tree, 1, NULL, 0);
    check_fails(reach_list(f.odb, f.a, &q, &l), 500);
    c = put_commit(&f, gone.id, 1, &tree, 1); /* a tree as its parent */
    check_fails(reach_list(f.odb, f.a, &q, &l), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_missing_commit),
        cmocka_unit_test(test_reach_all),
        cmocka_unit_test(test_reach_news),
        cmocka_unit_test(test_reach_back_and_forth),
        cmocka_unit_test(test_reach_filters),
        cmocka_unit_test(test_reach_misses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
