/* store_token_test.c — tokens: shown once, found by their text, gone when they should be. */
#include "base/clock.h"
#include "store/token.h"
#include "store_world.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static str add_token(struct world *w, const struct account *u, const char *name,
                     enum token_role role)
{
    str text;

    check_ok(token_add(w->s, w->a, u->id, str_c(name), role, STR_NONE, STR_NONE, &text));
    return text;
}

/* The id of the token with this text, 0 for none. */
static int64_t look(struct world *w, str text, struct account *ret_user)
{
    struct account u;
    struct token t;

    check_ok(token_find(w->s, w->a, text, &t, &u));
    assert_int_equal(t.id == 0, u.id == 0);
    assert_true(t.id == 0 || t.user_id == u.id);
    if (ret_user)
        *ret_user = u;
    return t.id;
}

static void made_here(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "ada"), u;
    str text = add_token(w, &ada, "laptop", TOKEN_WRITE),
        other = add_token(w, &ada, "", TOKEN_READ);
    struct token_list l;

    assert_int_equal(text.len, 37);
    assert_true(str_starts(text, STR("hf_")));
    for (size_t i = 3; i < text.len; i++)
        assert_true((text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
                    (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z') ||
                    (text.ptr[i] >= 'a' && text.ptr[i] <= 'z'));
    assert_false(str_eq(text, other));
    for (int i = 0; i < 3; i++) { /* from the table, then from memory */
        assert_true(look(w, text, &u) > 0);
        check_str(u.name, "ada");
        assert_true(u.is_active);
    }
    check_ok(token_list(w->s->hub, w->a, ada.id, &l));
    assert_int_equal(l.count, 2);
    check_str(l.items[0].name, "laptop");
    assert_int_equal(l.items[0].role, TOKEN_WRITE);
    check_str(l.items[1].name, "token");
    assert_int_equal(l.items[1].role, TOKEN_READ);
    assert_true(str_starts(l.items[0].hint, STR("hf_")));
    assert_false(str_has(l.items[0].hint, str_from(text, 10)));
    assert_null(l.items[0].scopes.ptr);
    assert_int_equal(l.items[0].expires_at_ms, 0);
}

static void only_the_whole_text_finds_it(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "whole");
    str text = add_token(w, &u, "t", TOKEN_READ);

    assert_int_equal(look(w, str_first(text, 36), NULL), 0);
    assert_int_equal(look(w, arena_cat(w->a, text, STR(" ")), NULL), 0);
    assert_int_equal(look(w, STR(""), NULL), 0);
    assert_int_equal(look(w, STR_NONE, NULL), 0);
    assert_int_equal(look(w, STR("hf_"), NULL), 0);
    assert_true(look(w, text, NULL) > 0);
}

static void imported_values(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "importer"), found;
    char longest[202];
    str text;

    memset(longest, 'x', sizeof longest);
    check_ok(token_add(w->s, w->a, u.id, STR("old"), TOKEN_FINE, STR("{\"a\":1}"), STR("s3cret!"),
                       &text));
    check_str(text, "s3cret!");
    assert_true(look(w, STR("s3cret!"), &found) > 0);
    check_str(found.name, "importer");
    check_fails(token_add(w->s, w->a, u.id, STR("x"), TOKEN_READ, STR_NONE, STR("s3cret!"), &text),
                409);
    check_fails(token_add(w->s, w->a, u.id, STR("x"), TOKEN_READ, STR_NONE, STR("a b"), &text),
                400);
    check_fails(token_add(w->s, w->a, u.id, STR("x"), TOKEN_READ, STR_NONE, STR("a\n"), &text),
                400);
    check_fails(
        token_add(w->s, w->a, u.id, STR("x"), TOKEN_READ, STR_NONE, STR("caf\xc3\xa9"), &text),
        400);
    check_fails(
        token_add(w->s, w->a, u.id, STR("x"), TOKEN_READ, STR_NONE, (str){longest, 201}, &text),
        400);
    check_ok(
        token_add(w->s, w->a, u.id, STR("x"), TOKEN_READ, STR_NONE, (str){longest, 200}, &text));
    assert_true(look(w, (str){longest, 200}, NULL) > 0);
}

static void scopes_and_roles_come_back(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "finely"), found;
    struct token t;
    str text;

    check_ok(token_add(w->s, w->a, u.id, STR("fine"), TOKEN_FINE, STR("{\"scoped\":[]}"), STR_NONE,
                       &text));
    for (int i = 0; i < 2; i++) {
        check_ok(token_find(w->s, w->a, text, &t, &found));
        assert_int_equal(t.role, TOKEN_FINE);
        check_str(t.scopes, "{\"scoped\":[]}");
        check_str(t.name, "fine");
        assert_true(t.created_at_ms > 1600000000000);
    }
    for (enum token_role r = TOKEN_READ; r <= TOKEN_FINE; r++)
        assert_int_equal(token_role_parse(token_role_word(r)), r);
    assert_int_equal(token_role_parse(STR("Write")), TOKEN_NONE);
    run_sql(w, SQL("UPDATE token SET role = 'write2' WHERE name = 'fine'"));
    check_ok(token_find(w->s, w->a, text, &t, &found));
    assert_int_equal(t.role, TOKEN_NONE);
}

static void revoked_at_once(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "revoker"), other = add_user(w, "bystander");
    str text = add_token(w, &u, "t", TOKEN_WRITE), kept = add_token(w, &u, "kept", TOKEN_WRITE);
    int64_t id = look(w, text, NULL);
    bool found;

    check_ok(token_revoke(w->s, other.id, id, &found));
    assert_false(found);
    assert_int_equal(look(w, text, NULL), id);
    check_ok(token_revoke(w->s, u.id, id, &found));
    assert_true(found);
    assert_int_equal(look(w, text, NULL), 0);
    check_ok(token_revoke(w->s, u.id, id, &found));
    assert_false(found);
    assert_true(look(w, kept, NULL) > 0);
}

static void a_disabled_user_has_none(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "leaver");
    str text = add_token(w, &u, "t", TOKEN_WRITE);

    assert_true(look(w, text, NULL) > 0);
    check_ok(account_set_active(w->s, u.id, false));
    assert_int_equal(look(w, text, NULL), 0);
    check_ok(account_set_active(w->s, u.id, true));
    assert_true(look(w, text, NULL) > 0);
}

struct expiry {
    int64_t id, at;
};

static err set_expiry(struct db *tx, void *arg)
{
    const struct expiry *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("UPDATE token SET expires_at = ?2 WHERE id = ?1")));
    db_bind_i64(q, 1, x->id);
    db_bind_i64(q, 2, x->at);
    return db_run(q);
}

static void expired_also_in_memory(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "short-lived");
    str text = add_token(w, &u, "t", TOKEN_WRITE);
    struct expiry x = {look(w, text, NULL), clock_ms() - 1};

    check_ok(db_write(w->s->hub, set_expiry, &x));
    assert_int_equal(look(w, text, NULL), 0);
    x.at = clock_ms() + 150;
    check_ok(db_write(w->s->hub, set_expiry, &x));
    if (look(w, text, NULL) == 0)
        assert_true(clock_ms() >= x.at); /* this machine was slow */
    while (clock_ms() <= x.at)
        (void)look(w, text, NULL);
    assert_int_equal(look(w, text, NULL), 0);
}

/* --- many threads --- */

struct toggle {
    struct world *w;
    str text;
    int64_t id;
    atomic_int phase; /* 0, 4, 8 …: active; 2, 6 …: disabled; odd: changing */
    atomic_int failures, looks;
    atomic_bool done;
};

/* While nothing changes the answer is the present state, from memory or not. */
static void *look_on(void *arg)
{
    struct toggle *t = arg;

    while (!atomic_load(&t->done)) {
        struct arena *a = arena_new(0);
        int before = atomic_load(&t->phase);
        struct account u;
        struct token found;
        struct repo r;
        err e = token_find(t->w->s, a, t->text, &found, &u);
        int after = atomic_load(&t->phase);

        if (!e)
            e = repo_find(t->w->s, a, REPO_MODEL, STR("toggled/thing"), &r, NULL);
        if (e || r.id == 0 || !str_eq(r.full_name, STR("toggled/thing")) ||
            (found.id != 0 && (found.id != t->id || !str_eq(u.name, STR("toggled")))))
            atomic_fetch_add(&t->failures, 1);
        if (before == after && before % 2 == 0 && (found.id != 0) != (before % 4 == 0))
            atomic_fetch_add(&t->failures, 1);
        atomic_fetch_add(&t->looks, 1);
        arena_free(a);
    }
    return NULL;
}

static void lookups_beside_writes(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "toggled");
    struct toggle t = {.w = w, .text = add_token(w, &u, "t", TOKEN_WRITE)};
    pthread_t threads[6];

    (void)add_repo(w, &u, "thing");
    t.id = look(w, t.text, NULL);
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_on, &t), 0);
    for (int i = 0; i < 40; i++) {
        int looks = atomic_load(&t.looks);

        atomic_fetch_add(&t.phase, 1);
        check_ok(account_set_active(w->s, u.id, i % 2 == 1));
        atomic_fetch_add(&t.phase, 1);
        while (atomic_load(&t.looks) < looks + 20)
            sched_yield();
    }
    atomic_store(&t.done, true);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&t.failures), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_here),
        cmocka_unit_test(only_the_whole_text_finds_it),
        cmocka_unit_test(imported_values),
        cmocka_unit_test(scopes_and_roles_come_back),
        cmocka_unit_test(revoked_at_once),
        cmocka_unit_test(a_disabled_user_has_none),
        cmocka_unit_test(expired_also_in_memory),
        cmocka_unit_test(lookups_beside_writes),
    };

    return cmocka_run_group_tests(tests, world_begin, world_end);
}
