/* lfs_link.c — see lfs.h. */
#include "base/clock.h"
#include "hub/lfs.h"
#include "store/sign.h"

#define LFS_TYPE "application/vnd.git-lfs+json"
#define PURPOSE STR("lfs")

static const struct err_info no_user = {
    403,
    "InvalidSignature",
    STR_INIT("The user this link was made for may no longer use it; repeat the LFS batch request."),
    NULL,
    {0}};

err lfs_repo(struct req *r, enum access need)
{
    enum repo_kind kind;

    if (!repo_kind_parse(req_param(r, "kind"), &kind))
        return auth_repo_missing(r);
    return auth_repo(r, kind, req_param(r, "repo"), need, &r->repo);
}

err lfs_reply(struct req *r, int status, const struct json_out *j)
{
    if (j->buf.full)
        return err_internal(r->a, "an LFS answer exceeds %u bytes", JSON_OUT_MAX);
    return reply_bytes(r, status, LFS_TYPE, json_out_str(j));
}

err lfs_oid_param(struct req *r, sha256 *ret)
{
    if (!sha256_from_hex(req_param(r, "oid"), ret))
        return err_new(r->a, 400, NULL,
                       "An LFS object is named by the 64 hex digits of its SHA-256.");
    return OK;
}

int64_t lfs_link_seconds(void)
{
    return settings.link_minutes * 60;
}

str lfs_url(struct req *r, str tail)
{
    return arena_cat(r->a, hub_repo_url(r, r->repo), STR(".git/info/lfs"), tail);
}

/* Kind and name as the path has them: a moved repository is found under its old name. */
static str claims(struct req *r, const struct lfs_link *l, str kind, str name, int64_t user_id)
{
    return arena_printf(r->a, "%.*s\n%.*s/%.*s\n%lld\n%.*s\n%llu\n%.*s", STR_FMT(l->action),
                        STR_FMT(kind), STR_FMT(name), (long long)user_id,
                        STR_FMT(sha256_hex(r->a, l->oid)), (unsigned long long)l->size,
                        STR_FMT(l->upload));
}

err lfs_link_make(struct req *r, const struct lfs_link *l, str tail, str *ret)
{
    int64_t user_id = r->user ? r->user->account.id : 0;
    str text = claims(r, l, repo_kind_plural(r->repo->kind), r->repo->full_name, user_id);
    str signature;

    TRY(sign_make(r->store, r->a, PURPOSE, text, clock_ms() + lfs_link_seconds() * 1000,
                  &signature));
    *ret = arena_printf(r->a, "%.*s?user=%lld&size=%llu&signature=%.*s", STR_FMT(lfs_url(r, tail)),
                        (long long)user_id, (unsigned long long)l->size, STR_FMT(signature));
    return OK;
}

/* The token that the link was asked with was checked then; the user's own rights are checked now.
 */
static err become(struct req *r, int64_t user_id)
{
    struct user *u = NULL;

    if (user_id != 0) {
        u = arena_one(r->a, struct user);
        TRY(account_by_id(r->store->hub, r->a, user_id, &u->account));
        if (u->account.id == 0 || !u->account.is_active)
            return &no_user;
        u->token.user_id = user_id;
        u->token.role = TOKEN_WRITE;
    }
    r->user = u;
    return OK;
}

err lfs_link_check(struct req *r, struct lfs_link *l)
{
    int64_t user_id = -1;
    enum repo_kind kind;

    if (!str_i64(req_query(r, "user"), &user_id) || user_id < 0 ||
        !str_u64(req_query(r, "size"), &l->size) || !repo_kind_parse(req_param(r, "kind"), &kind))
        return err_new(r->a, 403, "InvalidSignature",
                       "This link is not complete; ask for a new one with an LFS batch request.");
    TRY(sign_check(r->store, r->a, PURPOSE,
                   claims(r, l, repo_kind_plural(kind), req_param(r, "repo"), user_id),
                   req_query(r, "signature")));
    TRY(become(r, user_id));
    return lfs_repo(r, str_eq(l->action, STR("get")) ? ACCESS_READ : ACCESS_CONTRIBUTE);
}
