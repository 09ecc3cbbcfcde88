/* Tasks: asked, taken once, watched, ended; taken again when their runner died. */
#include "check.h"
#include "store/task.h"
#include "store_world.h"

static void test_a_task_goes_its_way(void **state)
{
    struct world *w = *state;
    struct task t;
    int64_t id, other;

    check_ok(task_take(w->s, w->a, &t));
    assert_int_equal(t.id, 0);
    check_ok(task_ask(w->s, w->a, STR("gc"), STR("{}"), &id));
    check_ok(task_ask(w->s, w->a, STR("scrub"), STR("{\"rate\":5}"), &other));
    check_ok(task_find(w->s->hub, w->a, id, &t));
    assert_true(str_eq(t.state, STR("asked")));

    check_ok(task_take(w->s, w->a, &t));
    assert_int_equal(t.id, id);
    assert_true(str_eq(t.kind, STR("gc")));
    assert_true(str_eq(t.state, STR("running")));
    check_ok(task_progress(w->s, id, STR("half way")));
    check_ok(task_find(w->s->hub, w->a, id, &t));
    assert_true(str_eq(t.progress, STR("half way")));
    check_ok(task_end(w->s, id, true, STR("{\"a\":1}")));
    check_ok(task_find(w->s->hub, w->a, id, &t));
    assert_true(str_eq(t.state, STR("done")));
    assert_true(str_eq(t.result, STR("{\"a\":1}")));

    check_ok(task_take(w->s, w->a, &t));
    assert_int_equal(t.id, other);
    assert_true(str_eq(t.options, STR("{\"rate\":5}")));
    check_ok(task_end(w->s, other, false, STR("{}")));
    check_ok(task_take(w->s, w->a, &t));
    assert_int_equal(t.id, 0);
}

static void test_a_dead_runner_is_replaced(void **state)
{
    struct world *w = *state;
    struct task t;
    int64_t id;

    check_ok(task_ask(w->s, w->a, STR("gc"), STR("{}"), &id));
    check_ok(task_take(w->s, w->a, &t));
    check_ok(task_take(w->s, w->a, &t));
    assert_int_equal(t.id, 0); /* its runner is alive */
    run_sql(w, SQL("UPDATE task SET beat_at = 1 WHERE state = 'running'"));
    check_ok(task_take(w->s, w->a, &t));
    assert_int_equal(t.id, id);
    check_ok(task_reset(w->s)); /* a new server knows that nobody runs it */
    check_ok(task_take(w->s, w->a, &t));
    assert_int_equal(t.id, id);
    check_ok(task_end(w->s, id, true, STR("{}")));
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static bool at_once(void *arg)
{
    (void)arg;
    return true;
}

static void test_the_work_is_done(void **state)
{
    struct world *w = *state;
    struct gc_options o;
    struct task t;
    int64_t gc, scrub, wrong;
    bool any;

    gc_defaults(&o);
    o.dry_run = true;
    check_ok(task_ask(w->s, w->a, STR("gc"), gc_options_json(w->a, &o), &gc));
    check_ok(task_ask(w->s, w->a, STR("scrub"), STR("{}"), &scrub));
    check_ok(task_ask(w->s, w->a, STR("dance"), STR("{}"), &wrong));

    check_ok(task_run_next(w->s, w->a, at_once, NULL, &any)); /* the server stops: asked again */
    check_ok(task_find(w->s->hub, w->a, gc, &t));
    assert_true(str_eq(t.state, STR("asked")));

    check_ok(task_run_next(w->s, w->a, never, NULL, &any));
    assert_true(any);
    check_ok(task_find(w->s->hub, w->a, gc, &t));
    assert_true(str_eq(t.state, STR("done")));
    assert_true(str_has(t.result, STR("\"git_objects\":0")));
    check_ok(task_run_next(w->s, w->a, never, NULL, &any));
    check_ok(task_find(w->s->hub, w->a, scrub, &t));
    assert_true(str_eq(t.state, STR("done")));
    assert_true(str_has(t.result, STR("\"damaged\":0")));

    assert_non_null(task_run_next(w->s, w->a, never, NULL, &any));
    check_ok(task_find(w->s->hub, w->a, wrong, &t));
    assert_true(str_eq(t.state, STR("failed")));
    assert_true(str_has(t.result, STR("dance")));
    check_ok(task_run_next(w->s, w->a, never, NULL, &any));
    assert_false(any);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_task_goes_its_way),
        cmocka_unit_test(test_a_dead_runner_is_replaced),
        cmocka_unit_test(test_the_work_is_done),
    };

    return cmocka_run_group_tests(tests, world_begin, world_end);
}
