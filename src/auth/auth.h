/* auth.h — who is asking, and may they?  The one place (docs/access.md is its table).
 *
 * server/ calls identify and allow for every request; handlers get the repository of their path
 * in r->repo and reach any further one only through auth_repo().  What you may not see does not
 * exist: missing and forbidden repositories answer alike (401 to nobody, 404 to users, always with
 * X-Error-Code: RepoNotFound).
 */
#pragma once
#include "http/reply.h"
#include "store/repo.h"
#include "store/token.h"

/* r->user points at .account of one of these. */
struct user {
    struct account account;
    struct token token;
    int64_t session_id; /* not 0: a browser with a cookie, whose token is made up (role write) */
    str form_token;     /* of that session: what its forms carry */
    bool must_change;   /* logged in with a one-time password, to be changed before anything else */
};

/* Reads Authorization (Bearer, Basic) or the session; sets r->user.  401 with the exact text of
 * hub-api.md 4.3 when a credential is there and wrong. */
MUST err auth_identify(struct req *r);
/* A request of a session that changes something must come from our own pages: 403 unless the
 * browser says so (Sec-Fetch-Site, else Origin or Referer) and the form token is there, as a form
 * field or X-Form-Token.  Programs with a token are not asked.  After the body was read. */
MUST err auth_guard(struct req *r);
bool auth_same_origin(const struct req *r);
/* For forms that need no session (logging in): a browser says that another site sent it. */
bool auth_is_foreign(const struct req *r);
/* Guessing passwords: 429 with Retry-After when this name or this address failed too often.  An
 * empty name counts for the address alone (making accounts). */
MUST err auth_login_allowed(struct req *r, str name);
void auth_login_done(struct req *r, str name, bool fits);
/* Cookies of a session; `secret` empty: takes them away. */
void auth_session_cookie(struct req *r, str secret);
/* Checks the route's scope; sets r->repo; redirects GET and HEAD of old names (then *ret_answered).
 */
MUST err auth_allow(struct req *r, bool *ret_answered);

/* A further repository.  Fails as auth_allow does: 401/404 RepoNotFound, 403 without the right. */
MUST err auth_repo(struct req *r, enum repo_kind kind, str full_name, enum access need,
                   struct repo **ret);
/* What is left of the user's rights in this repository with the token or session they came with. */
MUST err auth_access(struct req *r, const struct repo *repo, enum access *ret);
/* The same by row id, for signed tokens that name a repository. */
MUST err auth_repo_by_id(struct req *r, int64_t id, enum access need, struct repo **ret);
/* The namespace that the user may create repositories in; empty name: their own.  403, 404. */
MUST err auth_owner(struct req *r, str name, struct account *ret);

const struct account *auth_account(const struct req *r); /* NULL: nobody */
bool auth_sees_all(const struct req *r);                 /* site admin */
bool auth_may_write(const struct req *r);                /* the token's role allows changes */
/* 401 that makes git and browsers ask for credentials. */
err auth_needed(struct req *r, bool basic);
err auth_repo_missing(struct req *r);
str auth_no_reply_email(struct req *r); /* NAME@users.noreply.HOST, for commits */
