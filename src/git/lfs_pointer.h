/* lfs_pointer.h — the small text that stands in git where a large file's content is elsewhere.
 *
 *     version https://git-lfs.github.com/spec/v1
 *     oid sha256:HEX
 *     size N
 *
 * Between version and oid there may be "ext-N-NAME sha256:HEX" lines.
 */
#pragma once
#include "base/hash.h"

#define LFS_POINTER_MAX 1024 /* bytes; git-lfs looks no further */

struct lfs_pointer {
    sha256 oid;
    uint64_t size; /* at most INT64_MAX */
};

/* Reads as git-lfs does: the three keys in this order, nothing else.  False: this is content. */
bool lfs_pointer_parse(str text, struct lfs_pointer *ret);
str lfs_pointer_format(struct arena *a, struct lfs_pointer p);
