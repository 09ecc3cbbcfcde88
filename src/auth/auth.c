/* auth.c — see auth.h. */
#include "auth/auth.h"
#include "auth/session.h"
#include "base/settings.h"
#include <string.h>

static const struct err_info bad_credentials = {
    401, NULL, STR_INIT("Invalid credentials in Authorization header"), NULL, {0}};
static const struct err_info repo_not_found = {
    404, "RepoNotFound", STR_INIT("Repository not found"), NULL, {0}};
static const struct err_info repo_hidden = {
    401, "RepoNotFound", STR_INIT("Invalid username or password."), NULL, {0}};
static const struct err_info read_only_token = {
    403, NULL, STR_INIT("This token may only read; use one with the role write."), NULL, {0}};
static const struct err_info not_permitted = {
    403, NULL, STR_INIT("You don't have the required permissions"), NULL, {0}};
static const struct err_info login_needed = {
    401, NULL, STR_INIT("Invalid username or password."), NULL, {0}};
static const struct err_info site_admin_needed = {
    403, NULL, STR_INIT("Only a site admin of this hub may do this."), NULL, {0}};

const struct account *auth_account(const struct req *r)
{
    return r->user ? &r->user->account : NULL;
}

bool auth_sees_all(const struct req *r)
{
    return r->user && r->user->account.is_site_admin;
}

bool auth_may_write(const struct req *r)
{
    return r->user && r->user->token.role == TOKEN_WRITE;
}

str auth_no_reply_email(struct req *r)
{
    return arena_cat(r->a, r->user->account.name, STR("@users.noreply.hearth"));
}

/* --- who --- */

/* The token in "Bearer TOKEN" or as the password of "Basic base64(user:token)"; ptr NULL: none. */
static bool credential(struct req *r, str header, str *ret)
{
    str pair;
    ptrdiff_t colon;

    if (str_iskip(&header, STR("bearer "))) {
        *ret = str_trim(header);
        return ret->len > 0;
    }
    if (!str_iskip(&header, STR("basic ")) || !base64_decode(r->a, str_trim(header), &pair))
        return false;
    colon = str_find(pair, ':');
    if (colon < 0)
        return false;
    *ret = str_from(pair, (size_t)colon + 1);
    if (ret->len == 0) /* curl -u TOKEN: */
        *ret = str_first(pair, (size_t)colon);
    return ret->len > 0;
}

err auth_identify(struct req *r)
{
    str header = req_header(r, "Authorization"), text;
    struct user u = {0};

    if (r->route->scope == SCOPE_CAS)
        return OK;
    if (!header.ptr || header.len == 0)
        return auth_session_find(r, &r->user);
    if (!credential(r, header, &text))
        return &bad_credentials;
    TRY(token_find(r->store, r->a, text, &u.token, &u.account));
    if (u.token.id == 0)
        return &bad_credentials;
    token_touch(r->store, u.token.id);
    r->user = arena_one(r->a, struct user);
    *r->user = u;
    return OK;
}

err auth_needed(struct req *r, bool basic)
{
    if (basic) {
        reply_header(r, "WWW-Authenticate", STR("Basic realm=\"hearth\", charset=\"UTF-8\""));
        reply_header(r, "LFS-Authenticate", STR("Basic realm=\"hearth\", charset=\"UTF-8\""));
    } else {
        reply_header(r, "WWW-Authenticate",
                     STR("Bearer realm=\"Authentication required\", charset=\"UTF-8\""));
    }
    return &login_needed;
}

/* --- may they --- */

err auth_repo_missing(struct req *r)
{
    if (r->user)
        return &repo_not_found;
    if (r->route && r->route->scope == SCOPE_GIT)
        (void)auth_needed(r, true);
    else
        (void)auth_needed(r, false);
    return &repo_hidden;
}

static bool scope_lists(const struct token *t, const struct repo *repo, bool write)
{
    /* a fine-grained token: {"scoped":[{"entity":{"type","name"},"permissions":[…]}],"global":[…]}
     */
    struct arena *a = arena_new(1u << 20);
    const struct json *root, *scoped;
    bool found = false;

    if (t->scopes.ptr && !json_parse(a, t->scopes, &root)) {
        scoped = json_get(root, "scoped");
        for (size_t i = 0; i < json_len(scoped) && !found; i++) {
            const struct json *entity = json_get(json_at(scoped, i), "entity");
            const struct json *rights = json_get(json_at(scoped, i), "permissions");
            str name = json_get_str(entity, "name");
            bool fits = str_ieq(name, repo->full_name) || str_ieq(name, repo_namespace(repo));

            for (size_t k = 0; fits && k < json_len(rights) && !found; k++) {
                str right = json_str(json_at(rights, k));

                found = str_eq(right, STR("repo.write")) ||
                        (!write && str_eq(right, STR("repo.content.read")));
            }
        }
    }
    arena_free(a);
    return found;
}

/* What the token leaves of the user's rights. */
static enum access limit_by_token(const struct req *r, const struct repo *repo, enum access mine)
{
    const struct token *t;
    enum access open = repo->is_private ? ACCESS_NONE : ACCESS_READ;

    if (!r->user)
        return mine;
    t = &r->user->token;
    if (t->role == TOKEN_WRITE)
        return mine;
    if (t->role == TOKEN_READ)
        return mine > ACCESS_READ ? ACCESS_READ : mine;
    if (t->role == TOKEN_FINE) {
        if (scope_lists(t, repo, true))
            return mine > ACCESS_WRITE ? ACCESS_WRITE : mine;
        return scope_lists(t, repo, false) && mine >= ACCESS_READ ? ACCESS_READ : open;
    }
    return open;
}

err auth_access(struct req *r, const struct repo *repo, enum access *ret)
{
    enum access full;

    TRY(repo_access(r->store->hub, repo, auth_account(r), &full));
    *ret = settings.require_login && !r->user ? ACCESS_NONE : limit_by_token(r, repo, full);
    return OK;
}

/* `full` is what the user may do, `mine` what is left of it with this token. */
static err check_access(struct req *r, const struct repo *repo, enum access need)
{
    enum access full, mine;

    TRY(repo_access(r->store->hub, repo, auth_account(r), &full));
    mine = limit_by_token(r, repo, full);
    if (settings.require_login && !r->user)
        mine = ACCESS_NONE;
    if (mine >= need)
        return OK;
    if (mine < ACCESS_READ)
        return auth_repo_missing(r);
    if (!r->user)
        return auth_needed(r, r->route && r->route->scope == SCOPE_GIT);
    return full >= need ? &read_only_token : &not_permitted;
}

err auth_repo(struct req *r, enum repo_kind kind, str full_name, enum access need,
              struct repo **ret)
{
    struct repo *repo = arena_one(r->a, struct repo);

    TRY(repo_find(r->store, r->a, kind, full_name, repo, NULL));
    if (repo->id == 0)
        return auth_repo_missing(r);
    TRY(check_access(r, repo, need));
    *ret = repo;
    return OK;
}

err auth_repo_by_id(struct req *r, int64_t id, enum access need, struct repo **ret)
{
    struct repo *repo = arena_one(r->a, struct repo);

    TRY(repo_by_id(r->store->hub, r->a, id, repo));
    if (repo->id == 0)
        return auth_repo_missing(r);
    TRY(check_access(r, repo, need));
    *ret = repo;
    return OK;
}

err auth_owner(struct req *r, str name, struct account *ret)
{
    bool may;

    if (name.len == 0) {
        *ret = r->user->account;
        return OK;
    }
    TRY(account_find(r->store->hub, r->a, name, ret));
    if (ret->id == 0)
        return err_new(r->a, 403, NULL,
                       "There is no namespace \"%.*s\" that you may create repositories in.",
                       STR_FMT(name));
    TRY(repo_may_create(r->store->hub, ret, auth_account(r), &may));
    if (!may)
        return err_new(r->a, 403, NULL,
                       "You don't have the rights to create a repository in \"%.*s\".",
                       STR_FMT(name));
    return OK;
}

/* The path part of r->base: "" or "/prefix". */
static str base_prefix(const struct req *r)
{
    str rest = r->base;
    ptrdiff_t slash;

    (void)(str_skip(&rest, STR("http://")) || str_skip(&rest, STR("https://")));
    slash = str_find(rest, '/');
    return slash < 0 ? STR("") : str_from(rest, (size_t)slash);
}

/* Where "/ns/name" begins in a raw path (behind its slash), or 0.  Names need no escapes; a client
 * that escapes them all the same is served under the old name. */
static size_t find_name(str path, str name)
{
    for (size_t i = 1; i + name.len <= path.len; i++)
        if (path.ptr[i - 1] == '/' && str_starts(str_from(path, i), name))
            return i;
    return 0;
}

/* 307 to the same address with the new name, relative, query kept: HEAD clients follow only that.
 */
static err redirect_moved(struct req *r, str asked)
{
    size_t at = find_name(r->path, asked);
    str location;

    if (at == 0)
        return OK;
    location = arena_cat(r->a, base_prefix(r), str_first(r->path, at), r->repo->full_name,
                         str_from(r->path, at + asked.len));
    if (r->raw_query.len)
        location = arena_cat(r->a, location, STR("?"), r->raw_query);
    return reply_redirect(r, 307, location);
}

static enum access access_of_scope(enum scope s)
{
    switch (s) {
    case SCOPE_READ:
        return ACCESS_READ;
    case SCOPE_CONTRIBUTE:
        return ACCESS_CONTRIBUTE;
    case SCOPE_WRITE:
        return ACCESS_WRITE;
    case SCOPE_ADMIN:
        return ACCESS_ADMIN;
    case SCOPE_OPEN:
    case SCOPE_LOGIN:
    case SCOPE_ACCOUNT:
    case SCOPE_SITE:
    case SCOPE_SIGNED:
    case SCOPE_CAS:
    case SCOPE_GIT:
        break;
    }
    return ACCESS_NONE;
}

/* Buckets have addresses of their own; of everything else the path says the kind. */
static bool kind_of_path(const struct req *r, enum repo_kind *ret)
{
    if (str_starts(r->route->pattern, STR("/api/buckets/")) ||
        str_starts(r->route->pattern, STR("/buckets/"))) {
        *ret = REPO_BUCKET;
        return true;
    }
    return repo_kind_parse(req_param(r, "kind"), ret) && *ret != REPO_BUCKET;
}

static err allow_repo(struct req *r, enum access need, bool *ret_answered)
{
    struct repo *repo = arena_one(r->a, struct repo);
    str name = req_param(r, "repo");
    enum repo_kind kind;
    bool moved = false;

    if (!kind_of_path(r, &kind))
        return auth_repo_missing(r);
    TRY(repo_find(r->store, r->a, kind, name, repo, &moved));
    if (repo->id == 0)
        return auth_repo_missing(r);
    TRY(check_access(r, repo, need));
    r->repo = repo;
    if (moved && (r->method == M_GET || r->method == M_HEAD)) {
        TRY(redirect_moved(r, name));
        *ret_answered = reply_started(r);
    }
    return OK;
}

/* Under require_login nobody sees anything; these few say nothing about what is here. */
static bool lists_things(const struct req *r)
{
    static const str harmless[] = {STR_INIT("/api/agent-harnesses"), STR_INIT("/api/telemetry/"),
                                   STR_INIT("/api/validate-yaml"), STR_INIT("/api/whoami-v2")};

    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (str_starts(r->path, harmless[i]))
            return false;
    return str_starts(r->path, STR("/api/"));
}

err auth_allow(struct req *r, bool *ret_answered)
{
    enum scope s = r->route->scope;
    enum access need = access_of_scope(s);

    *ret_answered = false;
    if (settings.require_login && !r->user && s == SCOPE_OPEN && lists_things(r))
        return auth_needed(r, false);
    if (need != ACCESS_NONE)
        return allow_repo(r, need, ret_answered);
    switch (s) {
    case SCOPE_LOGIN:
        return r->user ? OK : auth_needed(r, false);
    case SCOPE_ACCOUNT:
        if (!r->user)
            return auth_needed(r, false);
        return auth_may_write(r) ? OK : &read_only_token;
    case SCOPE_SITE:
        if (!r->user)
            return auth_needed(r, false);
        return auth_sees_all(r) && auth_may_write(r) ? OK : &site_admin_needed;
    case SCOPE_OPEN:
    case SCOPE_SIGNED:
    case SCOPE_CAS:
    case SCOPE_GIT:
    case SCOPE_READ:
    case SCOPE_CONTRIBUTE:
    case SCOPE_WRITE:
    case SCOPE_ADMIN:
        break;
    }
    return OK;
}
