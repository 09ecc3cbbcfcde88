/* lfs_batch.h — the request of the LFS batch route, read into a struct (hub-api.md 11.3). */
#pragma once
#include "base/hash.h"
#include "base/json.h"

#define LFS_OBJECTS_MAX 1000 /* in one request; clients send at most 256 */

struct lfs_object {
    str oid; /* as the client wrote it, for the answer */
    sha256 sha256;
    uint64_t size;
    const char *bad; /* not NULL: why this object cannot be answered */
};
struct lfs_batch {
    bool upload;        /* else download */
    bool may_multipart; /* the client lists these transfers */
    bool may_xet;
    str rev; /* the branch it means to push to, as a revision; "main" when it does not say */
    struct lfs_object *objects;
    size_t count;
};

/* Touches nothing but `j` and the arena.  400 for another operation or no list of objects, 409 for
 * another hash, 413 for too many objects; a single bad object only gets `bad`. */
MUST err lfs_batch_parse(struct arena *a, const struct json *j, struct lfs_batch *ret);
