/* settings.c — one's own settings: profile, password and sessions, tokens, theme. */
#include "web/settings.h"
#include "web/templates.h"
#include "web/view.h"
#include "web/web.h"
#include <string.h>

/* --- renderings --- */

static void html(struct buf *out, const void *view)
{
    settings_page(out, view);
}

static void markdown(struct md *m, const void *view)
{
    const struct settings_view *v = view;

    form_markdown(m, &v->form);
    if (v->new_token.len)
        buf_printf(m->out, "\nThe new token, shown once: `%.*s`\n", STR_FMT(v->new_token));
    for (size_t i = 0; i < v->token_count; i++) {
        const struct token_row *t = &v->tokens[i];

        buf_add(m->out, STR("- "));
        md_text(m, t->token->name);
        buf_printf(m->out, ", %.*s, %.*s, made %.*s, used %.*s\n",
                   STR_FMT(token_role_word(t->token->role)), STR_FMT(t->token->hint),
                   STR_FMT(t->created), STR_FMT(t->used));
    }
    for (size_t i = 0; i < v->session_count; i++) {
        buf_add(m->out, STR("- session "));
        md_text(m, v->sessions[i].session->agent);
        buf_printf(m->out, ", %.*s, used %.*s%s\n", STR_FMT(v->sessions[i].session->address),
                   STR_FMT(v->sessions[i].used), v->sessions[i].is_this ? ", this one" : "");
    }
}

static void json(struct json_out *j, const void *view)
{
    const struct settings_view *v = view;

    json_obj(j);
    json_kv_str(j, "type", STR("settings"));
    json_kv_str(j, "page", str_c(v->tab));
    json_kv_str(j, "user", v->user);
    json_key(j, "form");
    form_json(j, &v->form);
    json_key(j, "tokens");
    json_arr(j);
    for (size_t i = 0; i < v->token_count; i++) {
        const struct token *t = v->tokens[i].token;

        json_obj(j);
        json_kv_i64(j, "id", t->id);
        json_kv_str(j, "name", t->name);
        json_kv_str(j, "role", token_role_word(t->role));
        json_kv_str(j, "hint", t->hint);
        json_kv_time(j, "createdAt", t->created_at_ms);
        json_obj_end(j);
    }
    json_arr_end(j);
    if (v->new_token.len)
        json_kv_str(j, "newToken", v->new_token);
    json_obj_end(j);
}

static err reply(struct req *r, struct settings_view *v)
{
    struct page p = {.title = v->form.title,
                     .address = arena_cat(r->a, STR("/settings/"), str_c(v->tab)),
                     .html = html,
                     .markdown = markdown,
                     .json = json,
                     .status = v->form.is_failed ? 422 : 200};

    v->user = r->user->account.name;
    v->form_token = v->form.form_token = r->user->form_token;
    if (req_query_bool(r, "saved"))
        v->form.note = STR("Saved.");
    reply_header(r, "Cache-Control", STR("no-store"));
    return page_reply(r, &p, v);
}

/* Settings are for people with a session; programs have the API. */
static bool is_person(struct req *r)
{
    return r->user && r->user->session_id;
}

static err login_first(struct req *r)
{
    return form_done(r, arena_cat(r->a, STR("/login?next="), url_encode(r->a, r->path)));
}

/* --- profile --- */

static void profile_form(struct settings_view *v, const struct account *u)
{
    *v = (struct settings_view){.tab = "profile"};
    v->form = (struct form){
        .title = STR("Profile"), .action = STR("/settings/profile"), .submit = "Save"};
    form_add(&v->form, FIELD_TEXT, "full_name", "Full name", u->full_name)->autocomplete = "name";
    form_add(&v->form, FIELD_EMAIL, "email", "E-mail", u->email.ptr ? u->email : STR(""))
        ->autocomplete = "email";
    v->form.fields[1].help =
        STR("Shown to nobody; git commits made with this address become yours.");
}

err web_profile(struct req *r)
{
    struct settings_view v;

    if (!is_person(r))
        return login_first(r);
    profile_form(&v, &r->user->account);
    return reply(r, &v);
}

err web_profile_post(struct req *r)
{
    struct settings_view v;
    struct account u;

    if (!is_person(r))
        return login_first(r);
    u = r->user->account;
    u.full_name = form_value(r, "full_name");
    u.email = form_value(r, "email");
    if (!u.full_name.ptr)
        u.full_name = STR("");
    if (!u.email.ptr)
        u.email = STR("");
    profile_form(&v, &u);
    if (u.full_name.len > 200)
        form_fail(&v.form, "full_name", STR("A name has at most 200 bytes."));
    if (u.email.len &&
        (u.email.len > 254 || str_find(u.email, '@') < 1 || str_has(u.email, STR(" "))))
        form_fail(&v.form, "email", STR("This is not an address."));
    if (v.form.is_failed)
        return reply(r, &v);
    TRY(account_set_profile(r->store, &u));
    return form_done(r, STR("/settings/profile?saved=1"));
}

/* --- password, sessions, theme --- */

static void password_form(struct req *r, struct settings_view *v)
{
    bool first = r->user->must_change;

    *v = (struct settings_view){.tab = "account"};
    v->form = (struct form){
        .title = first ? STR("Choose your password") : STR("Account"),
        .intro = first ? STR("You logged in with a password that was made for you. Choose your own "
                             "before you go on.")
                       : STR(""),
        .action = STR("/settings/account"),
        .submit = "Change the password",
    };
    form_add(&v->form, FIELD_PASSWORD, "old", "Present password", STR(""))->autocomplete =
        "current-password";
    form_add(&v->form, FIELD_PASSWORD, "new", "New password", STR(""))->autocomplete =
        "new-password";
    v->form.fields[1].help = STR("At least 10 characters. Other browsers are logged out.");
    v->form.fields[0].required = v->form.fields[1].required = true;
}

static err add_sessions(struct req *r, struct settings_view *v)
{
    struct session_list list;

    TRY(session_list(r->store->hub, r->a, r->user->account.id, &list));
    v->sessions = arena_many(r->a, struct session_row, list.count + 1);
    v->session_count = list.count;
    for (size_t i = 0; i < list.count; i++)
        v->sessions[i] =
            (struct session_row){&list.items[i], view_ago(r->a, list.items[i].used_at_ms),
                                 list.items[i].id == r->user->session_id};
    return OK;
}

err web_account(struct req *r)
{
    struct settings_view v;

    if (!is_person(r))
        return login_first(r);
    password_form(r, &v);
    if (!r->user->must_change)
        TRY(add_sessions(r, &v));
    return reply(r, &v);
}

err web_account_post(struct req *r)
{
    str old = form_value(r, "old"), fresh = form_value(r, "new");
    struct settings_view v;
    bool fits = false;

    if (!is_person(r))
        return login_first(r);
    password_form(r, &v);
    TRY(auth_login_allowed(r, r->user->account.name));
    if (old.len)
        TRY(account_check_password(r->store, r->a, r->user->account.name, old, &fits));
    auth_login_done(r, r->user->account.name, fits);
    if (!fits)
        form_fail(&v.form, "old", STR("This is not your present password."));
    else if (fresh.len < WEB_PASSWORD_MIN)
        form_fail(&v.form, "new", STR("A password has at least 10 characters."));
    else if (str_eq(old, fresh))
        form_fail(&v.form, "new", STR("Choose another one than before."));
    if (v.form.is_failed)
        return reply(r, &v);
    TRY(account_set_password(r->store, r->a, r->user->account.id, fresh));
    TRY(session_end_others(r->store, r->user->account.id, r->user->session_id));
    return form_done(r, r->user->must_change ? STR("/") : STR("/settings/account?saved=1"));
}

err web_session_end(struct req *r)
{
    int64_t id = 0;

    if (!is_person(r))
        return login_first(r);
    if (str_i64(form_value(r, "id"), &id) && id != r->user->session_id)
        TRY(session_end(r->store, r->user->account.id, id));
    return form_done(r, STR("/settings/account?saved=1"));
}

err web_theme(struct req *r)
{
    str theme = form_value(r, "theme");

    if (!str_eq(theme, STR("dark")) && !str_eq(theme, STR("light")))
        theme = STR("");
    reply_header(r, "Set-Cookie",
                 arena_cat(r->a, STR("theme="), theme,
                           theme.len ? STR("; Path=/; SameSite=Lax; Max-Age=31536000")
                                     : STR("; Path=/; SameSite=Lax; Max-Age=0")));
    return form_done(r, form_next(form_value(r, "next")));
}

/* --- tokens --- */

static void token_form(struct settings_view *v, str name)
{
    static const struct form_option roles[] = {
        {STR_INIT("read"), STR_INIT("read: sees what you see")},
        {STR_INIT("write"), STR_INIT("write: does what you may do")}};

    *v = (struct settings_view){.tab = "tokens"};
    v->form = (struct form){
        .title = STR("Tokens"),
        .intro =
            STR("Programs log in with a token. Give each its own, so that you can take one away."),
        .action = STR("/settings/tokens"),
        .submit = "Make a token",
        .program = STR("hf auth login --token TOKEN"),
    };
    form_add(&v->form, FIELD_TEXT, "name", "What it is for", name)->required = true;
    form_add(&v->form, FIELD_SELECT, "role", "It may", STR("read"));
    v->form.fields[1].options = roles;
    v->form.fields[1].option_count = 2;
}

static err add_tokens(struct req *r, struct settings_view *v)
{
    struct token_list list;

    TRY(token_list(r->store->hub, r->a, r->user->account.id, &list));
    v->tokens = arena_many(r->a, struct token_row, list.count + 1);
    v->token_count = list.count;
    for (size_t i = 0; i < list.count; i++) {
        const struct token *t = &list.items[i];

        v->tokens[i] = (struct token_row){t, view_ago(r->a, t->created_at_ms),
                                          t->last_used_at_ms ? view_ago(r->a, t->last_used_at_ms)
                                                             : STR("never")};
    }
    return OK;
}

err web_tokens(struct req *r)
{
    struct settings_view v;

    if (!is_person(r))
        return login_first(r);
    token_form(&v, STR(""));
    TRY(add_tokens(r, &v));
    return reply(r, &v);
}

err web_token_add(struct req *r)
{
    str name = form_value(r, "name");
    enum token_role role = token_role_parse(form_value(r, "role"));
    struct settings_view v;
    str text;

    if (!is_person(r))
        return login_first(r);
    token_form(&v, name.ptr ? name : STR(""));
    if (name.len == 0 || name.len > 100)
        form_fail(&v.form, "name", STR("Say in up to 100 characters what the token is for."));
    if (role != TOKEN_READ && role != TOKEN_WRITE)
        form_fail(&v.form, "role", STR("Choose read or write."));
    if (!v.form.is_failed) {
        TRY(token_add(r->store, r->a, r->user->account.id, name, role, STR_NONE, STR_NONE, &text));
        token_form(&v, STR(""));
        v.new_token = text; /* in this one answer, never in an address */
    }
    TRY(add_tokens(r, &v));
    return reply(r, &v);
}

err web_token_revoke(struct req *r)
{
    int64_t id = 0;
    bool found;

    if (!is_person(r))
        return login_first(r);
    if (str_i64(form_value(r, "id"), &id))
        TRY(token_revoke(r->store, r->user->account.id, id, &found));
    return form_done(r, STR("/settings/tokens?saved=1"));
}

/* --- one-time passwords --- */

bool web_must_change(const struct req *r)
{
    return r->user && r->user->must_change &&
           !str_eq(r->route->pattern, STR("/settings/account")) &&
           !str_eq(r->route->pattern, STR("/logout")) &&
           !str_starts(r->route->pattern, STR("/-/")) &&
           !str_starts(r->route->pattern, STR("/favicon"));
}

err web_change_first(struct req *r)
{
    return form_done(r, STR("/settings/account"));
}
