/* account.c — hearth admin user, org, org member. */
#include "store/account.h"
#include "admin/admin.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/repo.h"
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 1024

/* One line of standard input; on a terminal without echo. */
static err read_password(struct args *x, str *ret)
{
    char *line = arena_alloc(x->a, PASSWORD_MAX + 2);
    struct termios old, quiet;
    bool tty = isatty(0) && tcgetattr(0, &old) == 0;

    if (tty) {
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "Password: ");
        tcsetattr(0, TCSANOW, &quiet);
    }
    if (!fgets(line, PASSWORD_MAX + 2, stdin))
        line[0] = 0;
    if (tty) {
        tcsetattr(0, TCSANOW, &old);
        fprintf(stderr, "\n");
    }
    *ret = str_c(line);
    (void)str_drop(ret, STR("\n"));
    if (ret->len < 8)
        return err_new(x->a, 400, NULL, "A password has at least 8 characters.");
    return OK;
}

static err check_oid(struct args *x)
{
    str id = args_str(x, "id");

    if (id.ptr && !hex_is(id, 24))
        return err_new(x->a, 400, NULL, "--id takes 24 hex digits.");
    return OK;
}

static err add(struct args *x, enum account_kind kind)
{
    struct account_new n = {
        .name = str_c(x->words[0]),
        .full_name = args_str(x, "full-name"),
        .email = args_str(x, "email"),
        .oid = args_str(x, "id"),
        .kind = kind,
        .is_site_admin = args_has(x, "site-admin"),
        .is_private_by_default = args_has(x, "private-by-default"),
    };
    struct account u;

    TRY(check_oid(x));
    TRY(account_name_check(x->a, n.name, true, args_has(x, "force")));
    if (args_has(x, "password-stdin"))
        TRY(read_password(x, &n.password));
    TRY(account_add(x->store, x->a, &n, &u));
    printf("%.*s %.*s\n", STR_FMT(u.name), STR_FMT(u.oid));
    return OK;
}

err admin_user_add(struct args *x)
{
    return add(x, ACCOUNT_USER);
}

err admin_org_add(struct args *x)
{
    return add(x, ACCOUNT_ORG);
}

static err find(struct args *x, const char *name, enum account_kind kind, struct account *ret)
{
    TRY(account_find(x->store->hub, x->a, str_c(name), ret));
    if (ret->id == 0 || ret->kind != kind)
        return err_new(x->a, 404, NULL, "There is no %s \"%s\".",
                       kind == ACCOUNT_ORG ? "organization" : "user", name);
    return OK;
}

err admin_user_passwd(struct args *x)
{
    struct account u;
    str password;

    TRY(find(x, x->words[0], ACCOUNT_USER, &u));
    TRY(read_password(x, &password));
    return account_set_password(x->store, x->a, u.id, password);
}

static err set_active(struct args *x, bool active)
{
    struct account u;

    TRY(find(x, x->words[0], ACCOUNT_USER, &u));
    return account_set_active(x->store, u.id, active);
}

err admin_user_disable(struct args *x)
{
    return set_active(x, false);
}

err admin_user_enable(struct args *x)
{
    return set_active(x, true);
}

static err list(struct args *x, enum account_kind kind)
{
    struct account_list l;

    TRY(account_list(x->store->hub, x->a, kind, &l));
    for (size_t i = 0; i < l.count; i++) {
        const struct account *u = &l.items[i];

        printf("%.*s\t%.*s\t%s%s\t%.*s\n", STR_FMT(u->name), STR_FMT(u->oid),
               u->is_active ? "active" : "disabled", u->is_site_admin ? ",site-admin" : "",
               STR_FMT(clock_iso(x->a, u->created_at_ms)));
    }
    return OK;
}

err admin_user_list(struct args *x)
{
    return list(x, ACCOUNT_USER);
}

err admin_org_list(struct args *x)
{
    return list(x, ACCOUNT_ORG);
}

static err set_member(struct args *x, enum member_role role)
{
    struct account org, user;

    TRY(find(x, x->words[0], ACCOUNT_ORG, &org));
    TRY(find(x, x->words[1], ACCOUNT_USER, &user));
    return member_set(x->store, org.id, user.id, role);
}

err admin_member_add(struct args *x)
{
    enum member_role role = member_role_parse(args_str(x, "role"));

    if (role == MEMBER_NONE)
        return err_new(x->a, 400, NULL, "--role takes read, contributor, write or admin.");
    return set_member(x, role);
}

err admin_member_remove(struct args *x)
{
    return set_member(x, MEMBER_NONE);
}

err admin_member_list(struct args *x)
{
    struct membership_list l;
    struct account org;

    TRY(find(x, x->words[0], ACCOUNT_ORG, &org));
    TRY(member_list(x->store->hub, x->a, org.id, STR_NONE, INT64_MAX, &l));
    for (size_t i = 0; i < l.count; i++)
        printf("%.*s\t%.*s\n", STR_FMT(l.items[i].account.name),
               STR_FMT(member_role_word(l.items[i].role)));
    return OK;
}

/* A namespace: user or organization. */
static err find_any(struct args *x, const char *name, struct account *ret)
{
    TRY(account_find(x->store->hub, x->a, str_c(name), ret));
    if (ret->id == 0)
        return err_new(x->a, 404, NULL, "There is no user or organization \"%s\".", name);
    return OK;
}

err admin_quota_set(struct args *x)
{
    str word = str_c(x->words[1]);
    struct account u;
    uint64_t bytes = 0;

    if (!str_eq(word, STR("none")) && (!str_u64(word, &bytes) || bytes > INT64_MAX))
        return err_new(x->a, 400, NULL, "A quota is a number of bytes, or the word none.");
    TRY(find_any(x, x->words[0], &u));
    return account_set_quota(x->store, u.id, str_eq(word, STR("none")) ? -1 : (int64_t)bytes);
}

err admin_quota_show(struct args *x)
{
    struct account u;
    int64_t used;

    TRY(find_any(x, x->words[0], &u));
    TRY(repo_owner_storage(x->store->hub, u.id, &used));
    if (u.quota_bytes < 0)
        printf("%.*s uses %lld bytes, without a quota\n", STR_FMT(u.name), (long long)used);
    else
        printf("%.*s uses %lld of %lld bytes\n", STR_FMT(u.name), (long long)used,
               (long long)u.quota_bytes);
    return OK;
}
