/* xet.h — the Xet CAS protocol over HTTP, and what hub/ and bucket/ need of it.
 *
 * All addresses begin with /xet/{store}, where {store} is the id of this store: client caches are
 * kept per address, so a restored backup (new id) makes them forget what may be gone.
 *
 * A CAS token is self-contained: "hxt1.CLAIMS.SIGNATURE", where CLAIMS is base64url of
 * "r|w \n repo id \n user id \n nonce" and SIGNATURE comes from store/sign.h.  It carries the right
 * that its user had when it was made; every use looks the repository and the user's access up
 * again, so that a deleted repository or a lost membership ends it at once.
 */
#pragma once
#include "auth/auth.h"
#include "cas/hash.h"
#include "http/reply.h"
#include "store/xet.h"

#define ROUTE(method, pattern, handler, scope, body) err handler(struct req *r);
#include "xet/routes.def"
#undef ROUTE

#define XET_TOKEN_SECONDS 3600

/* --- token.c --- */
struct xet_token {
    int64_t repo_id, user_id; /* user 0: nobody */
    bool may_write;
    str nonce;             /* names the token, for counting a file once */
    str claims, signature; /* what is signed, and by what: "kid.expiry.mac" */
};
/* Reads the text of a token; false when it is malformed.  Checks no signature. */
bool xet_token_parse(struct arena *a, str text, struct xet_token *ret);
MUST err xet_token_make(struct req *r, const struct repo *repo, bool may_write, str *ret,
                        int64_t *ret_expires_s);
/* Reads Authorization, checks it and the access behind it; sets r->user (NULL: nobody) and
 * r->repo.  401 when missing, malformed or expired, 403 for a read token where writing is meant,
 * 404 when {store} is another store. */
MUST err xet_token_check(struct req *r, bool write, struct xet_token *ret);
str xet_cas_url(struct req *r); /* "http://host/xet/STORE", no trailing slash */
/* A token and what is sent along with it. */
struct xet_token_answer {
    str token, cas_url;
    str expires; /* Unix seconds, as text for a header … */
    int64_t expires_s;
};
MUST err xet_token_headers(struct req *r, const struct repo *repo, bool may_write,
                           struct xet_token_answer *ret);
/* Answers a token request: JSON body and the three X-Xet-* headers. */
MUST err xet_token_reply(struct req *r, const struct repo *repo, bool may_write);

/* --- xorbs.c --- */
/* Is the path parameter "space" one of the prefixes that clients use? */
bool xet_space_known(const struct req *r);

/* --- links.c: headers of files that live in xorbs --- */
/* "http://host/api/models/ns/name/xet-read-token/REV" (buckets: without a revision). */
str xet_token_url(struct req *r, const struct repo *repo, bool may_write, str rev);
/* X-Xet-Hash, Link rel="xet-auth" and "xet-reconstruction-info", X-Xet-Refresh-Route. */
void xet_file_headers(struct req *r, const struct repo *repo, str rev, file_hash h);
/* Does the client ask for application/vnd.xet-fileinfo+json (the JavaScript library does)? */
bool xet_wants_fileinfo(const struct req *r);
/* Answers it; `etag` with quotes, content_type may be NULL.  Headers are set by the caller. */
MUST err xet_fileinfo_reply(struct req *r, const struct repo *repo, str rev, file_hash h, str etag,
                            uint64_t size, const char *content_type);
