/* session.c — browsers: the session's cookie, and whether a change really comes from our pages. */
#include "auth/session.h"
#include "base/text.h"
#include "store/session.h"

#define COOKIE_TLS "__Host-hearth_s"
#define COOKIE_PLAIN "hearth_s"
#define COOKIE_SECONDS "2592000"

static const struct err_info foreign = {
    403,
    "CrossOrigin",
    STR_INIT("This change did not come from a page of this hub; open the page and try again."),
    NULL,
    {0}};
static const struct err_info stale_form = {
    403,
    "StaleForm",
    STR_INIT("This form is of another session; reload the page and try again."),
    NULL,
    {0}};

static bool is_tls(const struct req *r)
{
    return str_eq(r->scheme, STR("https"));
}

static str cookie_value(const struct req *r, str name)
{
    str cookies = req_header(r, "Cookie");

    while (cookies.ptr) {
        str one = str_trim(str_cut(&cookies, ';'));

        if (str_skip(&one, name) && str_skip(&one, STR("=")))
            return one;
    }
    return STR_NONE;
}

/* What proves that a form was made for this session; says nothing about the cookie's value. */
static str form_token(struct arena *a, str secret)
{
    sha256 mac = hmac_sha256(secret, STR("hearth form"));

    return base64url_encode(a, mac.b, sizeof mac.b);
}

err auth_session_find(struct req *r, struct user **ret)
{
    str secret = cookie_value(r, is_tls(r) ? STR(COOKIE_TLS) : STR(COOKIE_PLAIN));
    struct session session;
    struct user u = {0};

    *ret = NULL;
    if (!secret.len)
        return OK;
    TRY(session_find(r->store, r->a, secret, &session, &u.account));
    if (session.id == 0)
        return OK;
    u.session_id = session.id;
    u.must_change = session.must_change;
    u.form_token = form_token(r->a, secret);
    u.token.user_id = u.account.id;
    u.token.role = TOKEN_WRITE;
    *ret = arena_one(r->a, struct user);
    **ret = u;
    return OK;
}

void auth_session_cookie(struct req *r, str secret)
{
    bool tls = is_tls(r);

    reply_header(r, "Set-Cookie",
                 arena_cat(r->a, tls ? STR(COOKIE_TLS "=") : STR(COOKIE_PLAIN "="), secret,
                           STR("; Path=/; HttpOnly; SameSite=Lax"), tls ? STR("; Secure") : STR(""),
                           secret.len ? STR("; Max-Age=" COOKIE_SECONDS) : STR("; Max-Age=0")));
}

/* --- where a change comes from --- */

/* "http://host:port" of r->base, without the deployment's prefix. */
static str own_origin(const struct req *r)
{
    return arena_cat(r->a, r->scheme, STR("://"), r->host);
}

bool auth_same_origin(const struct req *r)
{
    str site = req_header(r, "Sec-Fetch-Site"), origin = req_header(r, "Origin");
    str referer = req_header(r, "Referer"), own = own_origin(r);

    if (site.ptr)
        return str_eq(site, STR("same-origin")) || str_eq(site, STR("none"));
    if (origin.ptr)
        return str_eq(origin, own);
    return str_skip(&referer, own) && (referer.len == 0 || referer.ptr[0] == '/');
}

bool auth_is_foreign(const struct req *r)
{
    bool is_browser = req_header(r, "Sec-Fetch-Site").ptr || req_header(r, "Origin").ptr ||
                      req_header(r, "Referer").ptr;

    return is_browser && !auth_same_origin(r);
}

err auth_guard(struct req *r)
{
    str sent = req_header(r, "X-Form-Token");

    if (!r->user || !r->user->session_id || r->method == M_GET || r->method == M_HEAD)
        return OK;
    if (!auth_same_origin(r))
        return &foreign;
    if (!sent.ptr)
        sent = url_query_get(&r->form, STR("form_token"));
    if (!sent.ptr && r->route->body == BODY_STREAM) /* an upload form names it in its address */
        sent = req_query(r, "form_token");
    return sent.ptr && text_ct_eq(sent, r->user->form_token) ? OK : &stale_form;
}
