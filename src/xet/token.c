/* token.c — CAS tokens: made for the hub's users, checked on every CAS request (see xet.h). */
#include "base/clock.h"
#include "base/io.h"
#include "store/sign.h"
#include "xet/xet.h"
#include <string.h>

#define PREFIX "hxt1."
#define PURPOSE STR("xet-token")
#define NONCE_BYTES 8
#define CLAIMS_MAX 200 /* characters of the encoded claims */

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
    STR_INIT("This CAS token is not valid here or has expired; ask the hub "
             "for a new one."),
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

err xet_token_reply(struct req *r, const struct repo *repo, bool may_write)
{
    struct json_out *j = json_out_new(r->a);
    int64_t expires_s;
    str token;

    TRY(xet_token_make(r, repo, may_write, &token, &expires_s));
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "X-Xet-Cas-Url", xet_cas_url(r));
    reply_header(r, "X-Xet-Access-Token", token);
    reply_header(r, "X-Xet-Token-Expiration", arena_printf(r->a, "%lld", (long long)expires_s));
    json_obj(j);
    json_kv_str(j, "casUrl", xet_cas_url(r));
    json_kv_i64(j, "exp", expires_s);
    json_kv_str(j, "accessToken", token);
    json_obj_end(j);
    return reply_json(r, 200, j);
}

err xet_read_token(struct req *r)
{
    return xet_token_reply(r, r->repo, false);
}

err xet_write_token(struct req *r)
{
    return xet_token_reply(r, r->repo, true);
}

/* --- checking --- */

static bool parse_claims(struct arena *a, str text, struct xet_token *ret)
{
    str claims, right, repo, user;

    if (text.len > CLAIMS_MAX || !base64_decode(a, text, &claims))
        return false;
    right = str_cut(&claims, '\n');
    repo = str_cut(&claims, '\n');
    user = str_cut(&claims, '\n');
    ret->may_write = str_eq(right, STR("w"));
    ret->nonce = claims;
    return (ret->may_write || str_eq(right, STR("r"))) && str_i64(repo, &ret->repo_id) &&
           str_i64(user, &ret->user_id);
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

err xet_token_check(struct req *r, bool write, struct xet_token *ret)
{
    str header = req_header(r, "Authorization"), claims_text, claims;

    if (!str_eq(req_param(r, "store"), str_c(r->store->id)))
        return &other_store;
    if (!str_iskip(&header, STR("bearer ")))
        return &missing;
    header = str_trim(header);
    if (!str_skip(&header, STR(PREFIX)))
        return &invalid;
    claims_text = str_cut(&header, '.');
    if (!header.ptr || !parse_claims(r->a, claims_text, ret) ||
        !base64_decode(r->a, claims_text, &claims) ||
        sign_check(r->store, r->a, PURPOSE, claims, header))
        return &invalid;
    if (write && !ret->may_write)
        return &read_only;
    TRY(become(r, ret));
    return auth_repo_by_id(r, ret->repo_id, write ? ACCESS_CONTRIBUTE : ACCESS_READ, &r->repo);
}
