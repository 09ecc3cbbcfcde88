/* store_account_test.c — users, organizations, members, passwords. */
#include "store_world.h"

static void found_by_any_spelling(void **state)
{
    struct world *w = *state;
    struct account_new n = {.name = STR("Ada-L"),
                            .full_name = STR("Ada Lovelace"),
                            .email = STR("ada@example.org"),
                            .is_site_admin = true};
    struct account u, found;

    check_ok(account_add(w->s, w->a, &n, &u));
    assert_true(u.id > 0);
    assert_int_equal(u.oid.len, 24);
    assert_true(u.created_at_ms > 1600000000000);
    check_ok(account_find(w->s->hub, w->a, STR("aDA-l"), &found));
    assert_int_equal(found.id, u.id);
    check_str(found.name, "Ada-L");
    check_str(found.full_name, "Ada Lovelace");
    check_str(found.email, "ada@example.org");
    assert_true(found.is_site_admin && found.is_active && found.kind == ACCOUNT_USER);
    assert_int_equal(found.quota_bytes, -1);
    check_ok(account_by_id(w->s->hub, w->a, u.id, &found));
    check_str(found.oid, u.oid.ptr);
    check_ok(account_find(w->s->hub, w->a, STR("nobody"), &found));
    assert_int_equal(found.id, 0);
    check_ok(account_find(w->s->hub, w->a, STR_NONE, &found));
    assert_int_equal(found.id, 0);
    check_ok(account_by_id(w->s->hub, w->a, 99999, &found));
    assert_int_equal(found.id, 0);
}

static void one_name_space(void **state)
{
    struct world *w = *state;
    struct account_new again = {.name = STR("TAKEN"), .kind = ACCOUNT_ORG},
                       same = {.name = STR("other")};
    struct account u = add_user(w, "taken"), x;
    int64_t users, orgs;

    check_fails(account_add(w->s, w->a, &again, &x), 409);
    same.oid = u.oid;
    check_fails(account_add(w->s, w->a, &same, &x), 409);
    check_ok(account_count(w->s->hub, ACCOUNT_USER, &users));
    check_ok(account_count(w->s->hub, ACCOUNT_ORG, &orgs));
    (void)add_org(w, "an-org");
    check_ok(account_count(w->s->hub, ACCOUNT_ORG, &orgs));
    assert_int_equal(orgs, 1);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        bool imported, force;
        int status; /* 0: fits */
    } rows[] = {
        {"ab", 0, 0, 0},
        {"A1", 0, 0, 0},
        {"a-b-c", 0, 0, 0},
        {"a", 0, 0, 400},
        {"", 0, 0, 400},
        {"-ab", 0, 0, 400},
        {"ab-", 0, 0, 400},
        {"a--b", 0, 0, 400},
        {"a_b", 0, 0, 400},
        {"a.b", 0, 0, 400},
        {"a b", 0, 0, 400},
        {"a/b", 0, 0, 400},
        {"1234", 0, 0, 400},
        {"\xc3\xa9t\xc3\xa9", 0, 0, 400},
        {"0123456789abcdef01234567", 0, 0, 400}, /* looks like an id */
        {"api", 0, 0, 409},
        {"Datasets", 0, 0, 409},
        {"api", 0, 1, 0},
        {"a_b", 1, 0, 0},
        {"_ab", 1, 0, 0},
        {"a.b", 1, 0, 0},
        {".ab", 1, 0, 400},
        {"a--b", 1, 0, 0},
        {"a/b", 1, 1, 400},
        {"..", 1, 1, 400},
        {"api", 1, 0, 409},
        {"1234", 1, 0, 400},
        {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnop", 0, 0, 0},    /* 42 */
        {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq", 0, 0, 400}, /* 43 */
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = account_name_check(w->a, str_c(rows[i].name), rows[i].imported, rows[i].force);

        if ((e ? e->status : 0) != rows[i].status)
            fail_msg("%s: %d", rows[i].name, e ? e->status : 0);
    }
}

static void lists(void **state)
{
    struct world *w = *state;
    struct account_list before, after;

    check_ok(account_list(w->s->hub, w->a, ACCOUNT_USER, &before));
    for (int i = 0; i < 40; i++)
        (void)add_user(w, arena_printf(w->a, "%sperson-%02d", i % 2 ? "" : "Z", 39 - i).ptr);
    check_ok(account_list(w->s->hub, w->a, ACCOUNT_USER, &after));
    assert_int_equal(after.count, before.count + 40);
    for (size_t i = 1; i < after.count; i++)
        assert_true(strcasecmp(after.items[i - 1].name.ptr, after.items[i].name.ptr) < 0);
}

static bool fits(struct world *w, const char *name, const char *password)
{
    bool yes = true;

    check_ok(account_check_password(w->s, w->a, str_c(name), str_c(password), &yes));
    return yes;
}

static void passwords(void **state)
{
    struct world *w = *state;
    struct account_new n = {.name = STR("Keeper"), .password = STR("correct horse")};
    struct account u, none = add_user(w, "no-password"), org = add_org(w, "no-login");

    check_ok(account_add(w->s, w->a, &n, &u));
    assert_true(fits(w, "keeper", "correct horse"));
    assert_false(fits(w, "keeper", "correct horsE"));
    assert_false(fits(w, "keeper", ""));
    assert_false(fits(w, "no-password", ""));
    assert_false(fits(w, "no-login", ""));
    assert_false(fits(w, "who-is-that", "correct horse"));
    check_ok(account_set_password(w->s, w->a, none.id, STR("new one")));
    assert_true(fits(w, "no-password", "new one"));
    check_ok(account_set_password(w->s, w->a, org.id, STR("new one")));
    assert_false(fits(w, "no-login", "new one"));
    check_ok(account_set_active(w->s, u.id, false));
    assert_false(fits(w, "keeper", "correct horse"));
    check_ok(account_by_id(w->s->hub, w->a, u.id, &u));
    assert_false(u.is_active);
    check_ok(account_set_active(w->s, u.id, true));
    assert_true(fits(w, "keeper", "correct horse"));
    check_ok(account_set_password(w->s, w->a, u.id, STR_NONE)); /* no password login any more */
    assert_false(fits(w, "keeper", "correct horse"));
    assert_false(fits(w, "keeper", ""));
}

static enum member_role role_of(struct world *w, const struct account *org, const struct account *u)
{
    enum member_role r;

    check_ok(member_role_of(w->s->hub, org->id, u->id, &r));
    return r;
}

static void members(void **state)
{
    struct world *w = *state;
    struct account org = add_org(w, "guild"), other = add_org(w, "Another"),
                   u = add_user(w, "member");
    struct membership_list l;

    assert_int_equal(role_of(w, &org, &u), MEMBER_NONE);
    for (enum member_role r = MEMBER_READ; r <= MEMBER_ADMIN; r++) {
        check_ok(member_set(w->s, org.id, u.id, r));
        assert_int_equal(role_of(w, &org, &u), r);
        assert_int_equal(member_role_parse(member_role_word(r)), r);
    }
    assert_int_equal(member_role_parse(STR("Admin")), MEMBER_NONE);
    assert_int_equal(member_role_parse(STR("")), MEMBER_NONE);
    check_ok(member_set(w->s, other.id, u.id, MEMBER_READ));
    check_ok(member_orgs(w->s->hub, w->a, u.id, &l));
    assert_int_equal(l.count, 2);
    check_str(l.items[0].account.name, "Another");
    assert_int_equal(l.items[0].role, MEMBER_READ);
    check_str(l.items[1].account.name, "guild");
    assert_int_equal(l.items[1].account.kind, ACCOUNT_ORG);
    assert_int_equal(l.items[1].role, MEMBER_ADMIN);
    check_ok(member_set(w->s, org.id, u.id, MEMBER_NONE));
    assert_int_equal(role_of(w, &org, &u), MEMBER_NONE);
    check_ok(member_set(w->s, org.id, u.id, MEMBER_NONE)); /* again is fine */
}

static void member_pages(void **state)
{
    struct world *w = *state;
    struct account org = add_org(w, "crowd");
    struct membership_list page;
    str after = STR_NONE;
    size_t seen = 0;

    for (int i = 0; i < 25; i++) {
        struct account u = add_user(w, arena_printf(w->a, "%crew-%02d", i % 2 ? 'C' : 'c', i).ptr);

        check_ok(member_set(w->s, org.id, u.id, (enum member_role)(MEMBER_READ + i % 4)));
    }
    do {
        check_ok(member_list(w->s->hub, w->a, org.id, after, 7, &page));
        for (size_t i = 0; i < page.count; i++, seen++) {
            assert_true(str_ends(page.items[i].account.name, arena_printf(w->a, "-%02zu", seen)));
            assert_int_equal(page.items[i].role, MEMBER_READ + seen % 4);
        }
        if (page.count)
            after = page.items[page.count - 1].account.name;
    } while (page.count == 7);
    assert_int_equal(seen, 25);
}

/* A word that a flipped bit made unknown means the least. */
static void unknown_words_mean_the_least(void **state)
{
    struct world *w = *state;
    struct account_new n = {.name = STR("flipped"), .is_site_admin = true};
    struct account u, org = add_org(w, "flipped-org");

    check_ok(account_add(w->s, w->a, &n, &u));
    check_ok(member_set(w->s, org.id, u.id, MEMBER_ADMIN));
    run_sql(w,
            SQL("UPDATE account SET role = 'site-aDmin', state = 'actiVe' WHERE name = 'flipped'"));
    run_sql(w, SQL("UPDATE member SET role = 'admio'"));
    check_ok(account_find(w->s->hub, w->a, STR("flipped"), &u));
    assert_false(u.is_site_admin);
    assert_false(u.is_active);
    assert_int_equal(role_of(w, &org, &u), MEMBER_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_any_spelling),
        cmocka_unit_test(one_name_space),
        cmocka_unit_test(names),
        cmocka_unit_test(lists),
        cmocka_unit_test(passwords),
        cmocka_unit_test(members),
        cmocka_unit_test(member_pages),
        cmocka_unit_test(unknown_words_mean_the_least),
    };

    return cmocka_run_group_tests(tests, world_begin, world_end);
}
