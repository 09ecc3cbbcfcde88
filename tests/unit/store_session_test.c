/* store_session_test.c — sessions of browsers, and logins by device code. */
#include "base/text.h"
#include "store/device_login.h"
#include "store/session.h"
#include "store_world.h"

static int64_t look(struct world *w, str secret)
{
    struct session s;
    struct account u;

    check_ok(session_find(w->s, w->a, secret, &s, &u));
    assert_int_equal(s.id == 0, u.id == 0);
    return s.id;
}

static void begins_and_ends(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "ada1"), bob = add_user(w, "bob");
    struct session_list l;
    str first, second, other;

    check_ok(session_add(w->s, w->a, ada.id, STR("Browser 1"), STR("10.0.0.1"), &first));
    check_ok(session_add(w->s, w->a, ada.id, STR_NONE, STR("10.0.0.2"), &second));
    check_ok(session_add(w->s, w->a, bob.id, STR("x"), STR("10.0.0.3"), &other));
    assert_int_equal(first.len, 43);
    assert_false(str_eq(first, second));
    assert_true(look(w, first) > 0);
    assert_int_equal(look(w, STR("no such value")), 0);
    assert_int_equal(look(w, STR("")), 0);
    check_ok(session_list(w->s->hub, w->a, ada.id, &l));
    assert_int_equal(l.count, 2);
    check_ok(session_end(w->s, bob.id, look(w, first))); /* not his */
    assert_true(look(w, first) > 0);
    check_ok(session_end_others(w->s, ada.id, look(w, second)));
    assert_int_equal(look(w, first), 0);
    assert_true(look(w, second) > 0 && look(w, other) > 0);
    check_ok(session_end_others(w->s, ada.id, 0));
    assert_int_equal(look(w, second), 0);
    assert_true(look(w, other) > 0);
}

static void disabled_people_are_out(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "ada2");
    str secret;

    check_ok(session_add(w->s, w->a, ada.id, STR("x"), STR("y"), &secret));
    check_ok(account_set_active(w->s, ada.id, false));
    assert_int_equal(look(w, secret), 0);
}

static void one_time_passwords_must_change(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "ada3"), u;
    struct session s;
    str secret;

    check_ok(session_add(w->s, w->a, ada.id, STR("x"), STR("y"), &secret));
    check_ok(session_find(w->s, w->a, secret, &s, &u));
    assert_false(s.must_change);
    check_ok(account_set_one_time(w->s, ada.id));
    check_ok(session_find(w->s, w->a, secret, &s, &u));
    assert_true(s.must_change);
    check_ok(account_set_password(w->s, w->a, ada.id, STR("another one")));
    check_ok(session_find(w->s, w->a, secret, &s, &u));
    assert_false(s.must_change);
}

/* --- device login --- */

static enum device_state poll(struct world *w, str code, struct device_grant *g)
{
    enum device_state state;

    check_ok(device_login_poll(w->s, w->a, code, STR("client"), &state, g));
    return state;
}

static int64_t owner_of(struct world *w, str token)
{
    struct account u;
    struct token t;

    check_ok(token_find(w->s, w->a, token, &t, &u));
    return u.id;
}

static void a_code_is_answered_once(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "ada4");
    struct device_login d;
    struct device_grant g, again;
    str code, user_code, typed;

    check_ok(device_login_begin(w->s, w->a, STR("client"), STR("10.0.0.1"), &code, &user_code));
    assert_int_equal(user_code.len, 9);
    assert_int_equal(poll(w, code, &g), DEVICE_PENDING);
    assert_int_equal(poll(w, code, &g), DEVICE_SLOW_DOWN);
    typed = arena_cat(w->a, str_first(user_code, 4), STR(" "), str_from(user_code, 5));
    check_ok(device_login_find(w->s, w->a, text_lower(w->a, typed), &d));
    check_str(d.address, "10.0.0.1");
    check_str(d.state, "waiting");
    check_ok(device_login_answer(w->s, w->a, typed, ada.id, true));
    assert_non_null(device_login_answer(w->s, w->a, typed, ada.id, false));
    assert_int_equal(poll(w, code, &g), DEVICE_DONE);
    assert_int_equal(owner_of(w, g.access_token), ada.id);
    assert_int_equal(poll(w, code, &again), DEVICE_EXPIRED);
    assert_int_equal(owner_of(w, again.access_token), 0);
}

static void what_nobody_allowed(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "ada5");
    struct device_login d;
    struct device_grant g;
    enum device_state s;
    str code, user_code;

    check_ok(device_login_begin(w->s, w->a, STR("client"), STR("x"), &code, &user_code));
    check_ok(device_login_poll(w->s, w->a, code, STR("another client"), &s, &g));
    assert_int_equal(s, DEVICE_EXPIRED);
    assert_int_equal(poll(w, STR("guessed"), &g), DEVICE_EXPIRED);
    check_ok(device_login_answer(w->s, w->a, user_code, ada.id, false));
    assert_int_equal(poll(w, code, &g), DEVICE_DENIED);
    check_ok(device_login_find(w->s, w->a, STR("BBBB-BBB"), &d));
    assert_null(d.user_code.ptr);
    check_ok(device_login_find(w->s, w->a, STR("' OR 1=1"), &d));
    assert_null(d.user_code.ptr);
}

static void refreshing_uses_a_token_up(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "ada6");
    struct device_grant first, second;
    str code, user_code;
    bool found;

    check_ok(device_login_begin(w->s, w->a, STR("client"), STR("x"), &code, &user_code));
    check_ok(device_login_answer(w->s, w->a, user_code, ada.id, true));
    assert_int_equal(poll(w, code, &first), DEVICE_DONE);
    check_ok(device_login_refresh(w->s, w->a, first.refresh_token, STR("other"), &second, &found));
    assert_false(found);
    check_ok(device_login_refresh(w->s, w->a, first.refresh_token, STR("client"), &second, &found));
    assert_true(found);
    assert_int_equal(owner_of(w, second.access_token), ada.id);
    assert_int_equal(owner_of(w, first.access_token), 0);
    check_ok(device_login_refresh(w->s, w->a, first.refresh_token, STR("client"), &second, &found));
    assert_false(found);
    check_ok(device_login_expire(w->s, w->a));
    check_ok(session_expire(w->s, w->a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_and_ends),
        cmocka_unit_test(disabled_people_are_out),
        cmocka_unit_test(one_time_passwords_must_change),
        cmocka_unit_test(a_code_is_answered_once),
        cmocka_unit_test(what_nobody_allowed),
        cmocka_unit_test(refreshing_uses_a_token_up),
    };

    return cmocka_run_group_tests(tests, world_begin, world_end);
}
