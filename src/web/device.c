/* device.c — logging in programs without a browser (RFC 8628): their two addresses, and the page on
 * which a person types the code. */
#include "store/device_login.h"
#include "web/form.h"
#include "web/web.h"

#define GRANT_DEVICE "urn:ietf:params:oauth:grant-type:device_code"

/* --- the program --- */

static err oauth_error(struct req *r, const char *word, const char *text)
{
    struct json_out *j = json_out_new(r->a);

    json_obj(j);
    json_kv_str(j, "error", str_c(word));
    json_kv_str(j, "error_description", str_c(text));
    json_obj_end(j);
    reply_header(r, "Cache-Control", STR("no-store"));
    return reply_json(r, 400, j);
}

err web_oauth_device(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    str client = form_value(r, "client_id"), device_code, user_code;

    if (client.len == 0 || client.len > 200)
        return oauth_error(r, "invalid_client", "client_id is missing.");
    TRY(device_login_begin(r->store, r->a, client, r->client, &device_code, &user_code));
    json_obj(j);
    json_kv_str(j, "device_code", device_code);
    json_kv_str(j, "user_code", user_code);
    json_kv_str(j, "verification_uri", arena_cat(r->a, r->base, STR("/device")));
    json_kv_str(j, "verification_uri_complete",
                arena_cat(r->a, r->base, STR("/device?code="), user_code));
    json_kv_i64(j, "expires_in", DEVICE_LOGIN_SECONDS);
    json_kv_i64(j, "interval", DEVICE_POLL_SECONDS);
    json_obj_end(j);
    reply_header(r, "Cache-Control", STR("no-store"));
    return reply_json(r, 200, j);
}

static err reply_grant(struct req *r, const struct device_grant *g)
{
    struct json_out *j = json_out_new(r->a);

    json_obj(j);
    json_kv_str(j, "access_token", g->access_token);
    json_kv_str(j, "token_type", STR("bearer"));
    json_kv_i64(j, "expires_in", g->expires_in_s);
    json_kv_str(j, "refresh_token", g->refresh_token);
    json_kv_str(j, "scope", STR("openid profile read-repos write-repos manage-repos"));
    json_obj_end(j);
    reply_header(r, "Cache-Control", STR("no-store"));
    return reply_json(r, 200, j);
}

static err poll(struct req *r, str client)
{
    str code = form_value(r, "device_code");
    struct device_grant grant;
    enum device_state state;

    TRY(device_login_poll(r->store, r->a, code, client, &state, &grant));
    switch (state) {
    case DEVICE_PENDING:
        return oauth_error(r, "authorization_pending", "Nobody has entered the code yet.");
    case DEVICE_SLOW_DOWN:
        return oauth_error(r, "slow_down", "Ask every five seconds.");
    case DEVICE_DENIED:
        return oauth_error(r, "access_denied", "The login was refused.");
    case DEVICE_EXPIRED:
        return oauth_error(r, "expired_token", "This code has expired or was used; begin again.");
    case DEVICE_DONE:
        break;
    }
    return reply_grant(r, &grant);
}

err web_oauth_token(struct req *r)
{
    str grant_type = form_value(r, "grant_type"), client = form_value(r, "client_id");
    struct device_grant grant;
    bool found;

    if (str_eq(grant_type, STR(GRANT_DEVICE)))
        return poll(r, client);
    if (!str_eq(grant_type, STR("refresh_token")))
        return oauth_error(r, "unsupported_grant_type",
                           "This hub logs in by device code: POST /oauth/device first.");
    TRY(device_login_refresh(r->store, r->a, form_value(r, "refresh_token"), client, &grant,
                             &found));
    return found
               ? reply_grant(r, &grant)
               : oauth_error(r, "invalid_grant", "This refresh token is not valid; log in again.");
}

/* --- the person --- */

static void code_form(struct form *f, str code)
{
    *f = (struct form){
        .title = STR("Log in a program"),
        .intro = STR("Enter the code that the program shows."),
        .action = STR("/device"),
        .submit = "Continue",
        .program = STR("hf auth login"),
    };
    form_add(f, FIELD_TEXT, "code", "Code", code)->required = true;
    f->fields[0].help = STR("Eight letters, such as WDJB-MJHT.");
}

static void confirm_form(struct req *r, struct form *f, const struct device_login *d)
{
    *f = (struct form){
        .title = STR("Allow this login?"),
        .intro =
            arena_cat(r->a, STR("A program at "), d->address, STR(" shows the code "), d->user_code,
                      STR(". It will be able to do everything that you, "), r->user->account.name,
                      STR(", may do here. Allow it only if you started it yourself.")),
        .action = STR("/device"),
        .submit = "Allow",
    };
    form_add(f, FIELD_HIDDEN, "code", "", d->user_code);
    form_add(f, FIELD_HIDDEN, "answer", "", STR("allow"));
}

/* Not logged in: to the login page and back here. */
static err login_first(struct req *r, str code)
{
    return form_done(r, arena_cat(r->a, STR("/login?next=%2Fdevice"),
                                  code.len ? STR("%3Fcode%3D") : STR(""), url_encode(r->a, code)));
}

static err show(struct req *r, str code)
{
    struct device_login d = {0};
    struct form f;

    if (code.len)
        TRY(device_login_find(r->store, r->a, code, &d));
    if (d.user_code.ptr && str_eq(d.state, STR("waiting"))) {
        confirm_form(r, &f, &d);
        return form_reply(r, &f, STR("/device"));
    }
    code_form(&f, code.ptr ? code : STR(""));
    if (code.len)
        form_fail(&f, "code", STR("No program waits with this code; run the login again."));
    return form_reply(r, &f, STR("/device"));
}

err web_device(struct req *r)
{
    str code = req_query(r, "code");

    if (!r->user || !r->user->session_id)
        return login_first(r, code);
    return show(r, code);
}

err web_device_post(struct req *r)
{
    str code = form_value(r, "code");
    struct form f = {.title = STR("Logged in"),
                     .note = STR("The program is logged in now; go back to it."),
                     .action = STR("/device"),
                     .submit = "Log in another one"};

    if (!r->user || !r->user->session_id)
        return login_first(r, code);
    if (!str_eq(form_value(r, "answer"), STR("allow")))
        return show(r, code);
    TRY(device_login_answer(r->store, r->a, code, r->user->account.id, true));
    return form_reply(r, &f, STR("/device"));
}
