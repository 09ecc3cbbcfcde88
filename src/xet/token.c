/* token.c — CAS tokens: made for the hub's users, checked on every CAS request (see xet.h). */
#include "base/clock.h"
#include "base/io.h"
#include "store/sign.h"
#include "xet/xet.h"
#include <string.h>

#define PREFIX "hxt1."
#define PURPOSE STR("xet-token")
#define NONCE_BYTES 8
#define CLAIMS_MAX 120 /* bytes: a letter, two numbers, a nonce, with room to spare */

static const struct err_info missing = {
    401,
    NULL,
    STR_INIT("This address needs a CAS token; ask the hub's xet-read-token or "
             "xet-write-token address of a repository for one."),
    NULL,
    {0}};
static const struct err_info invalid = {
    401,
    "InvalidToken",
    STR_INIT("This CAS token is not valid here; ask the hub's xet-read-token or "
             "xet-write-token address of a repository for one."),
    NULL,
    {0}};
static const struct err_info expired = {
    401,
    "ExpiredToken",
    STR_INIT("This CAS token has expired; ask the hub's xet-read-token or xet-write-token address "
             "again."),
    NULL,
    {0}};
static const struct err_info read_only = {
    403, NULL, STR_INIT("This CAS token may only read; ask for a xet-write-token."), NULL, {0}};
static const struct err_info other_store = {
    404,
    NULL,
    STR_INIT("This hub has another store now; ask for a new token and follow its "
             "casUrl."),
    NULL,
    {0}};

str xet_cas_url(struct req *r)
{
    return arena_cat(r->a, r->base, STR("/xet/"), str_c(r->store->id));
}

/* --- making --- */

err xet_token_make(struct req *r, const struct repo *repo, bool may_write, str *ret,
                   int64_t *ret_expires_s)
{
    int64_t expires_s = clock_ms() / 1000 + XET_TOKEN_SECONDS;
    unsigned char nonce[NONCE_BYTES];
    str claims, signature;

    random_bytes(nonce, sizeof nonce);
    claims = arena_printf(r->a, "%c\n%lld\n%lld\n%.*s", may_write ? 'w' : 'r', (long long)repo->id,
                          r->user ? (long long)r->user->account.id : 0LL,
                          STR_FMT(hex_encode(r->a, nonce, sizeof nonce)));
    TRY(sign_make(r->store, r->a, PURPOSE, claims, expires_s * 1000, &signature));
    *ret = arena_cat(r->a, STR(PREFIX), base64url_encode(r->a, claims.ptr, claims.len), STR("."),
                     signature);
    *ret_expires_s = expires_s;
    return OK;
}

err xet_token_headers(struct req *r, const struct repo *repo, bool may_write,
                      struct xet_token_answer *ret)
{
    int64_t expires_s;

    TRY(xet_token_make(r, repo, may_write, &ret->token, &expires_s));
    ret->cas_url = xet_cas_url(r);
    ret->expires_s = expires_s;
    ret->expires = arena_printf(r->a, "%lld", (long long)expires_s);
    return OK;
}

err xet_token_reply(struct req *r, const struct repo *repo, bool may_write)
{
    struct json_out *j = json_out_new(r->a);
    struct xet_token_answer t;

    TRY(xet_token_headers(r, repo, may_write, &t));
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "X-Xet-Cas-Url", t.cas_url);
    reply_header(r, "X-Xet-Access-Token", t.token);
    reply_header(r, "X-Xet-Token-Expiration", t.expires);
    json_obj(j);
    json_kv_str(j, "casUrl", t.cas_url);
    json_kv_i64(j, "exp", t.expires_s);
    json_kv_str(j, "accessToken", t.token);
    json_obj_end(j);
    return reply_json(r, 200, j);
}

err xet_read_token(struct req *r)
{
    return xet_token_reply(r, r->repo, false);
}

/* Whoever may propose may upload: what a proposal contains is there before the proposal is. */
err xet_write_token(struct req *r)
{
    return xet_token_reply(r, r->repo, true);
}

/* --- checking --- */

static bool row_id(str text, int64_t *ret)
{
    uint64_t n;

    if (text.len > 18 || !str_u64(text, &n))
        return false;
    *ret = (int64_t)n;
    return true;
}

bool xet_token_parse(struct arena *a, str text, struct xet_token *ret)
{
    struct xet_token t = {0};
    str encoded, rest, right, repo, user;

    if (!str_skip(&text, STR(PREFIX)))
        return false;
    encoded = str_cut(&text, '.');
    if (!text.ptr || encoded.len > 2 * CLAIMS_MAX || !base64_decode(a, encoded, &t.claims) ||
        t.claims.len > CLAIMS_MAX)
        return false;
    t.signature = text;
    rest = t.claims;
    right = str_cut(&rest, '\n');
    repo = str_cut(&rest, '\n');
    user = str_cut(&rest, '\n');
    t.may_write = str_eq(right, STR("w"));
    t.nonce = rest;
    if ((!t.may_write && !str_eq(right, STR("r"))) || !row_id(repo, &t.repo_id) ||
        !row_id(user, &t.user_id) || !hex_is(t.nonce, 2 * NONCE_BYTES))
        return false;
    *ret = t;
    return true;
}

/* The rights are what the user has now, limited by what the token says. */
static err become(struct req *r, const struct xet_token *t)
{
    struct user *u;

    r->user = NULL;
    if (t->user_id == 0)
        return OK;
    u = arena_one(r->a, struct user);
    TRY(account_by_id(r->store->hub, r->a, t->user_id, &u->account));
    if (u->account.id == 0 || !u->account.is_active)
        return &invalid;
    u->token.user_id = t->user_id;
    u->token.role = t->may_write ? TOKEN_WRITE : TOKEN_READ;
    r->user = u;
    return OK;
}

static err refuse(struct req *r, err e)
{
    reply_header(r, "WWW-Authenticate", STR("Bearer realm=\"hearth CAS\""));
    return e;
}

err xet_token_check(struct req *r, bool write, struct xet_token *ret)
{
    str header = req_header(r, "Authorization");
    err e;

    if (!str_iskip(&header, STR("bearer ")))
        return refuse(r, &missing);
    if (!xet_token_parse(r->a, str_trim(header), ret))
        return refuse(r, &invalid);
    e = sign_check(r->store, r->a, PURPOSE, ret->claims, ret->signature);
    if (e && e->status == 403)
        return refuse(r, str_eq(str_c(e->code), STR("ExpiredSignature")) ? &expired : &invalid);
    TRY(e); /* a database that does not answer says nothing about the token */
    if (write && !ret->may_write)
        return &read_only;
    e = become(r, ret);
    if (e == &invalid)
        return refuse(r, e);
    TRY(e);
    if (!str_eq(req_param(r, "store"), str_c(r->store->id))) /* only those with a token learn it */
        return &other_store;
    return auth_repo_by_id(r, ret->repo_id, write ? ACCESS_CONTRIBUTE : ACCESS_READ, &r->repo);
}
