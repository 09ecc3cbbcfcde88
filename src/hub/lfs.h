/* lfs.h — what the files of git-lfs share: signed links, and answers in its media type.
 *
 * A link names what it allows in its query: /…/objects/OID?user=7&size=42&signature=KID.EXPIRY.MAC
 * and is made for one user.  Following it acts as that user, so a link dies with the user's access,
 * and nobody's rights are kept in it.
 */
#pragma once
#include "hub/hub.h"

struct lfs_link {
    str action; /* put, part, complete, get */
    sha256 oid;
    uint64_t size;
    str upload; /* id of a multipart upload; empty otherwise */
};

/* The repository of the path; sets r->repo. */
MUST err lfs_repo(struct req *r, enum access need);
/* Address of `tail` below the repository's /info/lfs, for instance "/locks". */
str lfs_url(struct req *r, str tail);
/* The address `tail` with the query that lfs_link_check() wants. */
MUST err lfs_link_make(struct req *r, const struct lfs_link *l, str tail, str *ret);
/* Takes size and user from the query of this request, checks the signature, becomes that user and
 * checks the access that the action needs: sets l->size, r->user and r->repo.  403, 404. */
MUST err lfs_link_check(struct req *r, struct lfs_link *l);
int64_t lfs_link_seconds(void); /* how long links are good */
/* The path parameter "oid"; 400. */
MUST err lfs_oid_param(struct req *r, sha256 *ret);

MUST err lfs_reply(struct req *r, int status, const struct json_out *j);
