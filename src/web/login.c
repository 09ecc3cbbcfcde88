/* login.c — log in with a password, log out, join; a one-time password is changed before anything
 * else (settings.c). */
#include "base/settings.h"
#include "store/session.h"
#include "web/form.h"
#include "web/web.h"

static const struct err_info foreign = {
    403,
    "CrossOrigin",
    STR_INIT("This form did not come from a page of this hub; open the page and try again."),
    NULL,
    {0}};

static void login_form(struct req *r, struct form *f, str name, str next)
{
    *f = (struct form){
        .title = STR("Log in"),
        .action = STR("/login"),
        .submit = "Log in",
        .intro = settings.signup ? STR("No account yet? Make one at /join.")
                                 : STR("Accounts are made by the people who run this hub."),
        .program = arena_cat(r->a, STR("export HF_ENDPOINT="), r->base,
                             STR("\nhf auth login\n# or, with a token from Settings, Tokens\n"
                                 "hf auth login --token TOKEN")),
    };
    form_add(f, FIELD_TEXT, "name", "User name", name)->autocomplete = "username";
    form_add(f, FIELD_PASSWORD, "password", "Password", STR(""))->autocomplete = "current-password";
    f->fields[0].required = f->fields[1].required = true;
    form_add(f, FIELD_HIDDEN, "next", "", form_next(next));
}

err web_login(struct req *r)
{
    struct form f;

    if (r->user && r->user->session_id)
        return form_done(r, form_next(req_query(r, "next")));
    login_form(r, &f, STR(""), req_query(r, "next"));
    return form_reply(r, &f, STR("/login"));
}

/* A new session for this user; the one the browser had ends. */
static err begin_session(struct req *r, const struct account *u)
{
    str secret;

    if (r->user && r->user->session_id)
        TRY(session_end(r->store, r->user->account.id, r->user->session_id));
    TRY(session_add(r->store, r->a, u->id, req_header(r, "User-Agent"), r->client, &secret));
    auth_session_cookie(r, secret);
    return OK;
}

err web_login_post(struct req *r)
{
    str name = form_value(r, "name"), password = form_value(r, "password");
    struct account u = {0};
    struct form f;
    bool fits = false;

    if (auth_is_foreign(r))
        return &foreign;
    login_form(r, &f, name.ptr ? name : STR(""), form_value(r, "next"));
    TRY(auth_login_allowed(r, name));
    if (name.len && password.len)
        TRY(account_check_password(r->store, r->a, name, password, &fits));
    auth_login_done(r, name, fits);
    if (!fits) {
        form_fail(&f, "", STR("This name and password do not fit together."));
        return form_reply(r, &f, STR("/login"));
    }
    TRY(account_find(r->store->hub, r->a, name, &u));
    TRY(begin_session(r, &u));
    return form_done(r, form_next(form_value(r, "next")));
}

err web_logout(struct req *r)
{
    if (r->user && r->user->session_id)
        TRY(session_end(r->store, r->user->account.id, r->user->session_id));
    auth_session_cookie(r, STR(""));
    return form_done(r, STR("/"));
}

/* --- joining --- */

static void join_form(struct form *f, str name, str email)
{
    *f = (struct form){.title = STR("Join"), .action = STR("/join"), .submit = "Make an account"};
    form_add(f, FIELD_TEXT, "name", "User name", name)->autocomplete = "username";
    f->fields[0].help =
        STR("Letters, digits and dashes; it is part of your repositories' addresses.");
    form_add(f, FIELD_EMAIL, "email", "E-mail (optional)", email)->autocomplete = "email";
    form_add(f, FIELD_PASSWORD, "password", "Password", STR(""))->autocomplete = "new-password";
    f->fields[2].help = STR("At least 10 characters.");
    f->fields[0].required = f->fields[2].required = true;
}

static err no_signup(struct req *r)
{
    return err_new(r->a, 404, NULL,
                   "Accounts on this hub are made by the people who run it; ask them for one.");
}

err web_join(struct req *r)
{
    struct form f;

    if (!settings.signup)
        return no_signup(r);
    join_form(&f, STR(""), STR(""));
    return form_reply(r, &f, STR("/join"));
}

err web_join_post(struct req *r)
{
    struct account_new n = {.name = form_value(r, "name"),
                            .email = form_value(r, "email"),
                            .password = form_value(r, "password")};
    struct account u;
    struct form f;
    err e;

    if (!settings.signup)
        return no_signup(r);
    if (auth_is_foreign(r))
        return &foreign;
    TRY(auth_login_allowed(r, STR("")));
    join_form(&f, n.name.ptr ? n.name : STR(""), n.email.ptr ? n.email : STR(""));
    if (n.password.len < WEB_PASSWORD_MIN)
        form_fail(&f, "password", STR("A password has at least 10 characters."));
    e = account_name_check(r->a, n.name, false, false);
    if (!e && !f.is_failed)
        e = account_add(r->store, r->a, &n, &u);
    if (e && e->status >= 500)
        return e;
    if (e)
        form_fail(&f, "name", e->text);
    if (f.is_failed)
        return form_reply(r, &f, STR("/join"));
    auth_login_done(r, STR(""), false); /* so many accounts an address makes, and no more */
    TRY(begin_session(r, &u));
    return form_done(r, STR("/"));
}
