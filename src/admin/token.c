/* token.c — hearth admin token. */
#include "store/token.h"
#include "admin/admin.h"
#include "base/clock.h"
#include "base/json.h"
#include <stdio.h>

static err find_user(struct args *x, struct account *ret)
{
    TRY(account_find(x->store->hub, x->a, str_c(x->words[0]), ret));
    if (ret->id == 0 || ret->kind != ACCOUNT_USER)
        return err_new(x->a, 404, NULL, "There is no user \"%s\".", x->words[0]);
    return OK;
}

err admin_token_add(struct args *x)
{
    str role_word = args_str(x, "role"), scopes = args_str(x, "scopes"), text;
    enum token_role role = role_word.ptr ? token_role_parse(role_word) : TOKEN_WRITE;
    const struct json *parsed;
    struct account u;

    if (role == TOKEN_NONE)
        return err_new(x->a, 400, NULL, "--role takes read, write or fineGrained.");
    if (scopes.ptr)
        TRY(json_parse(x->a, scopes, &parsed));
    TRY(find_user(x, &u));
    TRY(token_add(x->store, x->a, u.id, args_str(x, "name"), role, scopes, args_str(x, "value"),
                  &text));
    printf("%.*s\n", STR_FMT(text));
    return OK;
}

err admin_token_list(struct args *x)
{
    struct token_list l;
    struct account u;

    TRY(find_user(x, &u));
    TRY(token_list(x->store->hub, x->a, u.id, &l));
    for (size_t i = 0; i < l.count; i++)
        printf("%lld\t%.*s\t%.*s\t%.*s\t%.*s\n", (long long)l.items[i].id, STR_FMT(l.items[i].name),
               STR_FMT(token_role_word(l.items[i].role)), STR_FMT(l.items[i].hint),
               STR_FMT(clock_iso(x->a, l.items[i].created_at_ms)));
    return OK;
}

err admin_token_revoke(struct args *x)
{
    struct account u;
    uint64_t id;
    bool found;

    if (!str_u64(str_c(x->words[1]), &id))
        return err_new(x->a, 400, NULL, "ID is the number that token list shows first.");
    TRY(find_user(x, &u));
    TRY(token_revoke(x->store, u.id, (int64_t)id, &found));
    return found ? OK : err_new(x->a, 404, NULL, "%s has no token %s.", x->words[0], x->words[1]);
}
