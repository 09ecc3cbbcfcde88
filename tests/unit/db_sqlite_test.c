/* db_sqlite_test.c — transactions, statements and values of db.h, and many threads at once. */
#include "base/clock.h"
#include "db_world.h"
#include <pthread.h>
#include <stdatomic.h>

static int begin(void **state)
{
    static struct db_world w;

    db_world_make(&w);
    db_world_open(&w, db_world_config(&w));
    *state = &w;
    return 0;
}

static int end(void **state)
{
    db_world_free(*state);
    return 0;
}

/* --- migrations --- */

static void migrations_run_once_and_in_order(void **state)
{
    DB_WORLD w;
    struct db_config c;

    (void)state;
    db_world_make(&w);
    c = db_world_config(&w);
    c.migration_count = 1;
    db_world_open(&w, c);
    assert_int_equal(must_number(w.db, SQL("SELECT count(*) FROM log")), 0);
    db_world_close(&w);
    for (int i = 0; i < 2; i++) {
        db_world_open(&w, db_world_config(&w));
        assert_int_equal(must_number(w.db, SQL("SELECT count(*) FROM log")), 2);
        assert_int_equal(must_number(w.db, SQL("SELECT max(at) FROM log")), 3);
        assert_int_equal(must_number(w.db, SQL("SELECT count(*) FROM schema_version")), 3);
        db_world_close(&w);
    }
}

static void a_newer_file_is_refused(void **state)
{
    struct db_world *w = *state;
    struct db_config c = db_world_config(w);
    struct db *db = NULL;
    err e;

    check_ok(put_item(w->db, STR("kept"), 1));
    db_world_close(w);
    c.migration_count = 2;
    e = db_open(w->a, &c, &db);
    assert_non_null(e);
    assert_string_equal(e->code, "DataNewer");
    assert_true(str_has(e->text, STR("schema 3, this program knows 2")));
    assert_null(db);
    db_world_open(w, db_world_config(w));
    assert_int_equal(must_number(w->db, ITEMS), 1);
}

static void a_migration_that_fails_leaves_the_version_before(void **state)
{
    DB_WORLD w;
    struct db_migration bad[] = {migrations[0],
                                 {2, "CREATE TABLE half(x); INSERT INTO nowhere VALUES (1)"}};
    struct db_config c;
    struct db *db = NULL;

    (void)state;
    db_world_make(&w);
    c = db_world_config(&w);
    c.migrations = bad;
    c.migration_count = 2;
    check_fails(db_open(w.a, &c, &db), 500);
    db_world_open(&w, db_world_config(&w));
    assert_int_equal(
        must_number(w.db, SQL("SELECT count(*) FROM sqlite_master WHERE name = 'half'")), 0);
    assert_int_equal(must_number(w.db, SQL("SELECT max(at) FROM log")), 3);
}

static void a_path_that_cannot_be_opened_is_an_error(void **state)
{
    struct db_world *w = *state;
    struct db_config c = db_world_config(w);
    struct db *db = NULL;

    c.path = "/dev/null/no.db";
    check_fails(db_open(w->a, &c, &db), 500);
    assert_null(db);
}

/* --- transactions --- */

static const struct err_info refused = {418, "Refused", STR_INIT("Not today."), NULL, {0}};

static err add_and_refuse(struct db *tx, void *arg)
{
    TRY(add_item(tx, arg));
    return &refused;
}

static void an_err_rolls_back(void **state)
{
    struct db_world *w = *state;
    struct item i = {STR("gone"), 1};
    uint64_t commits = db_stats(w->db).commits;

    assert_ptr_equal(db_write(w->db, add_and_refuse, &i), &refused);
    assert_int_equal(must_number(w->db, ITEMS), 0);
    assert_int_equal(db_stats(w->db).commits, commits);
    check_ok(put_item(w->db, STR("gone"), 2));
    assert_int_equal(must_number(w->db, ITEMS), 1);
}

/* Adds the same name twice and does not look at the result. */
static err add_twice_blindly(struct db *tx, void *arg)
{
    TRY(add_item(tx, arg));
    if (add_item(tx, arg) == OK)
        return &refused;
    /* nothing runs after an error */
    if (db_exec(tx, SQL("DELETE FROM item")) == OK)
        return &refused;
    return OK;
}

static void an_error_that_was_overlooked_still_rolls_back(void **state)
{
    struct db_world *w = *state;
    struct item i = {STR("twice"), 1};

    assert_ptr_equal(db_write(w->db, add_twice_blindly, &i), &db_unique);
    assert_int_equal(must_number(w->db, ITEMS), 0);
    check_ok(put_item(w->db, STR("fine"), 1));
}

struct nest {
    struct db *outer;
    bool same, inner_fails;
};

static err inner(struct db *tx, void *arg)
{
    struct nest *n = arg;
    struct item i = {STR("inner"), 2};

    n->same = tx == n->outer;
    TRY(db_write(tx, add_item, &i));
    return n->inner_fails ? &refused : OK;
}

static err outer(struct db *tx, void *arg)
{
    struct nest *n = arg;
    struct item i = {STR("outer"), 1};

    n->outer = tx;
    TRY(add_item(tx, &i));
    TRY(db_write(tx, inner, n));
    return db_read(tx, inner, n) == &db_unique ? &refused : OK;
}

static err outer_once(struct db *tx, void *arg)
{
    struct nest *n = arg;
    struct item i = {STR("outer"), 1};

    n->outer = tx;
    TRY(add_item(tx, &i));
    return db_write(tx, inner, n);
}

static void a_write_inside_a_transaction_belongs_to_it(void **state)
{
    struct db_world *w = *state;
    struct nest n = {0};

    assert_ptr_equal(db_write(w->db, outer, &n), &refused);
    assert_int_equal(must_number(w->db, ITEMS), 0);
    n.inner_fails = true;
    assert_ptr_equal(db_write(w->db, outer_once, &n), &refused);
    assert_int_equal(must_number(w->db, ITEMS), 0);
    n.inner_fails = false;
    check_ok(db_write(w->db, outer_once, &n));
    assert_true(n.same);
    assert_int_equal(must_number(w->db, ITEMS), 2);
}

static err count_call(struct db *tx, void *arg)
{
    int *calls = arg;
    struct item i = {STR("once"), ++*calls};

    return add_item(tx, &i);
}

static void with_rerun_every_write_runs_twice_and_counts_once(void **state)
{
    DB_WORLD w;
    int calls = 0;

    (void)state;
    db_world_make(&w);
    setenv("HEARTH_DB_RERUN", "1", 1);
    db_world_open(&w, db_world_config(&w));
    unsetenv("HEARTH_DB_RERUN");
    check_ok(db_write(w.db, count_call, &calls));
    assert_int_equal(calls, 2);
    assert_int_equal(must_number(w.db, SQL("SELECT n FROM item")), 2);
    assert_int_equal(must_number(w.db, SQL("SELECT max(at) FROM log")), 3);
    calls = 0;
    assert_ptr_equal(db_write(w.db, count_call, &calls), &db_unique);
    assert_int_equal(calls, 1);
}

/* --- snapshots --- */

struct snapshot {
    struct db *db;
    int64_t before, after;
    bool failed;
};

static void *write_beside(void *arg)
{
    struct snapshot *s = arg;

    s->failed = put_item(s->db, STR("beside"), 1) != OK;
    return NULL;
}

static err look_twice(struct db *tx, void *arg)
{
    struct snapshot *s = arg;
    pthread_t t;

    TRY(number_of(tx, ITEMS, &s->before));
    if (pthread_create(&t, NULL, write_beside, s) != 0)
        return &refused;
    pthread_join(t, NULL);
    return number_of(tx, ITEMS, &s->after);
}

static void a_read_sees_one_moment(void **state)
{
    struct db_world *w = *state;
    struct snapshot s = {.db = w->db};

    check_ok(put_item(w->db, STR("first"), 1));
    check_ok(db_read(w->db, look_twice, &s));
    assert_false(s.failed);
    assert_int_equal(s.before, 1);
    assert_int_equal(s.after, 1);
    assert_int_equal(must_number(w->db, ITEMS), 2);
}

/* --- statements and values --- */

static err add_pair(struct db *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, SQL("INSERT INTO pair(a, b) VALUES (1, 2)"));
}

static err break_not_null(struct db *tx, void *arg)
{
    struct item i = {STR_NONE, 1};

    (void)arg;
    return add_item(tx, &i);
}

static void what_unique_means(void **state)
{
    struct db_world *w = *state;
    err e;

    check_ok(put_item(w->db, STR("a"), 1));
    assert_ptr_equal(put_item(w->db, STR("a"), 2), &db_unique);
    check_ok(db_write(w->db, add_pair, NULL));
    assert_ptr_equal(db_write(w->db, add_pair, NULL), &db_unique);
    e = db_write(w->db, break_not_null, NULL); /* another constraint is a bug, not a taken name */
    check_fails(e, 500);
    assert_ptr_not_equal(e, &db_unique);
}

static err reuse(struct db *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        AUTO_STMT struct db_stmt *q = NULL;
        char name[32];

        TRY(db_query(tx, &q, SQL("INSERT INTO item(name, n, x) VALUES (?1, ?2, ?3)")));
        snprintf(name, sizeof name, "item %d", i);
        db_bind_str(q, 1, str_c(name));
        if (i % 2 == 0) /* else nothing is left over from the time before */
            db_bind_i64(q, 2, i);
        if (i == 0)
            db_bind_real(q, 3, 0.5);
        TRY(db_run(q));
        if (db_changes(q) != 1)
            return &refused;
    }
    return OK;
}

static void a_statement_forgets_its_parameters(void **state)
{
    struct db_world *w = *state;

    check_ok(db_write(w->db, reuse, NULL));
    assert_int_equal(must_number(w->db, ITEMS), 1000);
    assert_int_equal(must_number(w->db, SQL("SELECT count(*) FROM item WHERE n IS NULL")), 500);
    assert_int_equal(must_number(w->db, SQL("SELECT count(*) FROM item WHERE x IS NOT NULL")), 1);
    /* a statement closed in the middle of its rows begins again at the first one */
    for (int i = 0; i < 3; i++)
        assert_int_equal(must_number(w->db, SQL("SELECT id FROM item ORDER BY id")), 1);
}

struct value {
    str text, blob;
    int64_t n;
    double x;
};

static err add_value(struct db *tx, void *arg)
{
    const struct value *v = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("INSERT INTO item(name, n, body, x) VALUES (?1, ?2, ?3, ?4)")));
    db_bind_str(q, 1, v->text);
    db_bind_i64(q, 2, v->n);
    db_bind_blob(q, 3, v->blob);
    db_bind_real(q, 4, v->x);
    return db_run(q);
}

static void check_value(struct db_world *w, struct value v)
{
    struct db_stmt *q = NULL;
    str blob;

    check_ok(db_write(w->db, add_value, &v));
    check_ok(db_query(w->db, &q,
                      SQL("SELECT name, n, body, x, typeof(body) FROM item WHERE name = ?1")));
    db_bind_str(q, 1, v.text);
    assert_true(db_next(q));
    assert_true(str_eq(db_str(q, 0, w->a), v.text));
    assert_int_equal(db_i64(q, 1), v.n);
    assert_true(db_real(q, 3) == v.x);
    blob = db_blob(q, 2, w->a);
    assert_int_equal(db_is_null(q, 2), v.blob.ptr == NULL);
    assert_int_equal(blob.ptr == NULL, v.blob.ptr == NULL);
    assert_true(str_eq(blob, v.blob));
    check_str(db_view(q, 4), v.blob.ptr ? "blob" : "null");
    assert_false(db_next(q));
    check_ok(db_error(q));
    db_stmt_close(&q);
    assert_null(q);
}

static void values_come_back_as_they_went_in(void **state)
{
    struct db_world *w = *state;
    char *all = arena_alloc(w->a, 1 << 20);

    for (size_t i = 0; i < 1 << 20; i++)
        all[i] = (char)(i * 31 + i / 256);
    check_value(w, (struct value){STR("plain"), STR("b"), 1, 1.5});
    check_value(w, (struct value){STR(""), STR(""), 0, 0});
    check_value(w, (struct value){STR("no blob"), STR_NONE, INT64_MIN, -1e300});
    check_value(w, (struct value){STR("with\0nul"), {all, 256}, INT64_MAX, 1e-300});
    check_value(w, (struct value){STR("naïve … 日本"), {all, 1 << 20}, -1, 3});
}

static void a_hash_has_its_length(void **state)
{
    struct db_world *w = *state;
    struct value v = {STR("h"), STR("0123456789abcdefghij"), 0, 0};
    struct db_stmt *q = NULL;
    char twenty[20], wrong[32];

    memset(wrong, 7, sizeof wrong);
    check_ok(db_write(w->db, add_value, &v));
    check_ok(db_query(w->db, &q, SQL("SELECT body, NULL FROM item")));
    assert_true(db_next(q));
    assert_true(db_hash(q, 0, twenty, sizeof twenty));
    assert_memory_equal(twenty, v.blob.ptr, 20);
    assert_false(db_hash(q, 0, wrong, sizeof wrong));
    assert_int_equal(wrong[0] | wrong[31], 0);
    memset(wrong, 7, sizeof wrong);
    assert_false(db_hash(q, 1, wrong, sizeof wrong));
    assert_int_equal(wrong[0] | wrong[31], 0);
    db_stmt_close(&q);
}

static void a_query_may_be_built(void **state)
{
    struct db_world *w = *state;
    struct db_stmt *q = NULL;
    str text = arena_printf(w->a, "SELECT name FROM item WHERE n = ?%d AND name <> ?%d", 1, 2);

    check_ok(put_item(w->db, STR("a"), 5));
    check_ok(put_item(w->db, STR("b"), 5));
    for (int i = 0; i < 3; i++) {
        check_ok(db_query_built(w->db, &q, text));
        db_bind_i64(q, 1, 5);
        db_bind_str(q, 2, STR("a"));
        assert_true(db_next(q));
        check_str(db_view(q, 0), "b");
        assert_false(db_next(q));
        db_stmt_close(&q);
    }
    for (int i = 0; i < 10; i++) { /* more often than there are connections */
        check_fails(db_query_built(w->db, &q, STR("SELECT nothing FROM nowhere")), 500);
        assert_null(q);
    }
    assert_int_equal(must_number(w->db, ITEMS), 2);
}

/* --- many threads --- */

struct crowd {
    struct db *db;
    int writes;
    atomic_int next, failures, reads;
    atomic_bool done;
};

static void *writer(void *arg)
{
    struct crowd *c = arg;
    int me = atomic_fetch_add(&c->next, 1);

    for (int i = 0; i < c->writes; i++) {
        char name[64];
        struct item item = {STR_NONE, i};

        snprintf(name, sizeof name, "thread %d item %d", me, i);
        item.name = str_c(name);
        if (db_write(c->db, add_item, &item))
            atomic_fetch_add(&c->failures, 1);
    }
    return NULL;
}

/* The count only grows. */
static void *reader(void *arg)
{
    struct crowd *c = arg;
    int64_t last = 0, now = 0;

    while (!atomic_load(&c->done)) {
        if (number_of(c->db, ITEMS, &now) || now < last)
            atomic_fetch_add(&c->failures, 1);
        last = now;
        atomic_fetch_add(&c->reads, 1);
    }
    return NULL;
}

static void run_crowd(struct crowd *c, int writers, int readers)
{
    pthread_t t[64];

    for (int i = 0; i < writers + readers; i++)
        assert_int_equal(pthread_create(&t[i], NULL, i < writers ? writer : reader, c), 0);
    for (int i = 0; i < writers; i++)
        pthread_join(t[i], NULL);
    atomic_store(&c->done, true);
    for (int i = writers; i < writers + readers; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&c->failures), 0);
}

static void eight_threads_write_and_six_read(void **state)
{
    struct db_world *w = *state;
    struct crowd c = {.db = w->db, .writes = 200};
    struct db_stats stats;

    run_crowd(&c, 8, 6); /* more readers than connections */
    assert_int_equal(must_number(w->db, ITEMS), 1600);
    assert_true(atomic_load(&c.reads) > 0);
    stats = db_stats(w->db);
    assert_true(stats.commits >= 1600);
    assert_true(stats.commits >= stats.syncs);
    assert_true(stats.syncs > 0);
    db_world_close(w);
    db_world_open(w, db_world_config(w));
    assert_int_equal(must_number(w->db, ITEMS), 1600);
    check_sound(w->db);
}

static void fifty_writers_share_their_syncs(void **state)
{
    DB_WORLD w;
    struct db_config c;
    struct crowd crowd = {.writes = 4};
    struct db_stats before, after;

    (void)state;
    db_world_make(&w);
    c = db_world_config(&w);
    c.sync_delay_ms = 5;
    db_world_open(&w, c);
    crowd.db = w.db;
    before = db_stats(w.db);
    run_crowd(&crowd, 50, 0);
    after = db_stats(w.db);
    assert_int_equal(after.commits - before.commits, 200);
    assert_true(after.syncs > before.syncs);
    assert_true((after.commits - before.commits) / (after.syncs - before.syncs) >= 4);
}

static void without_grouping_every_commit_syncs(void **state)
{
    DB_WORLD w;
    struct db_config c;
    struct crowd crowd = {.writes = 5};
    struct db_stats before, after;

    (void)state;
    db_world_make(&w);
    c = db_world_config(&w);
    c.grouping_off = true;
    db_world_open(&w, c);
    crowd.db = w.db;
    before = db_stats(w.db);
    run_crowd(&crowd, 4, 0);
    after = db_stats(w.db);
    assert_int_equal(after.commits - before.commits, 20);
    assert_int_equal(after.syncs - before.syncs, 20);
}

static void a_commit_moves_the_generation(void **state)
{
    struct db_world *w = *state;
    struct item i = {STR("gone"), 1};
    uint64_t last = db_generation(w->db), now;

    for (int n = 0; n < 5; n++) {
        check_ok(put_item(w->db, arena_printf(w->a, "%d", n), n));
        now = db_generation(w->db);
        assert_true(now > last);
        last = now;
    }
    /* and settles: at most one look at what others did follows our own commit */
    for (int64_t until = clock_mono_ms() + 250; clock_mono_ms() < until;)
        last = db_generation(w->db);
    assert_ptr_equal(db_write(w->db, add_and_refuse, &i), &refused);
    for (int64_t until = clock_mono_ms() + 250; clock_mono_ms() < until;)
        assert_int_equal(db_generation(w->db), last);
}

/* --- copies --- */

static void *put_on(void *arg)
{
    struct db *db = arg;

    for (int n = 0; n < 300; n++) {
        char name[16];

        snprintf(name, sizeof name, "%d", n);
        check_ok(put_item(db, str_c(name), n));
    }
    return NULL;
}

/* Items are numbered as they come: a copy of one moment has no gap. */
static void a_copy_is_of_one_moment(void **state)
{
    struct db_world *w = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, put_on, w->db), 0);
    for (int i = 0; i < 8; i++) {
        struct db_config c = db_world_config(w);
        struct db *copy;
        int64_t before = must_number(w->db, ITEMS), count;

        c.path = arena_printf(w->a, "%s/a copy %d%%?.db", w->dir.path, i).ptr;
        c.frozen = true;
        check_ok(db_copy_into(w->db, w->a, c.path));
        check_ok(db_open(w->a, &c, &copy));
        count = must_number(copy, ITEMS);
        assert_true(count >= before);
        assert_int_equal(must_number(copy, SQL("SELECT coalesce(max(n) + 1, 0) FROM item")), count);
        check_sound(copy);
        assert_non_null(put_item(copy, STR("new"), 1)); /* frozen */
        db_close(copy);
        assert_int_equal(access(arena_printf(w->a, "%s-wal", c.path).ptr, F_OK), -1);
        check_fails(db_copy_into(w->db, w->a, c.path), 500); /* it is there already */
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrations_run_once_and_in_order),
        cmocka_unit_test_setup_teardown(a_newer_file_is_refused, begin, end),
        cmocka_unit_test(a_migration_that_fails_leaves_the_version_before),
        cmocka_unit_test_setup_teardown(a_path_that_cannot_be_opened_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(an_err_rolls_back, begin, end),
        cmocka_unit_test_setup_teardown(an_error_that_was_overlooked_still_rolls_back, begin, end),
        cmocka_unit_test_setup_teardown(a_write_inside_a_transaction_belongs_to_it, begin, end),
        cmocka_unit_test(with_rerun_every_write_runs_twice_and_counts_once),
        cmocka_unit_test_setup_teardown(a_read_sees_one_moment, begin, end),
        cmocka_unit_test_setup_teardown(what_unique_means, begin, end),
        cmocka_unit_test_setup_teardown(a_statement_forgets_its_parameters, begin, end),
        cmocka_unit_test_setup_teardown(values_come_back_as_they_went_in, begin, end),
        cmocka_unit_test_setup_teardown(a_hash_has_its_length, begin, end),
        cmocka_unit_test_setup_teardown(a_query_may_be_built, begin, end),
        cmocka_unit_test_setup_teardown(eight_threads_write_and_six_read, begin, end),
        cmocka_unit_test(fifty_writers_share_their_syncs),
        cmocka_unit_test(without_grouping_every_commit_syncs),
        cmocka_unit_test_setup_teardown(a_commit_moves_the_generation, begin, end),
        cmocka_unit_test_setup_teardown(a_copy_is_of_one_moment, begin, end),
    };

    unsetenv("HEARTH_DB_RERUN");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
