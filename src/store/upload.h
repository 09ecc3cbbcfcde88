/* upload.h — parts of unfinished multipart uploads, in DATA/upload/ID/NNNNN.
 *
 * A part is acknowledged after its bytes, its name and its row are durable; it survives restarts
 * and expires UPLOAD_DAYS after the upload began.
 */
#pragma once
#include "store/file.h"

#define UPLOAD_DAYS 7
#define UPLOAD_PART_BYTES                                                                          \
    (16u << 20) /* grows so that a file has at most UPLOAD_PARTS_MAX parts                         \
                 */
#define UPLOAD_PARTS_MAX 10000

struct upload {
    str id; /* 32 hex digits; ptr NULL: none */
    int64_t repo_id, user_id;
    sha256 sha256;
    uint64_t size, part_bytes;
    unsigned part_count;
};
/* The unfinished upload of this user for this object, or a new one. */
MUST err upload_begin(struct store *s, struct arena *a, int64_t repo_id, int64_t user_id, sha256 h,
                      uint64_t size, struct upload *ret);
MUST err upload_find(struct store *s, struct arena *a, str id, struct upload *ret);

struct upload_part;
MUST err upload_part_new(struct store *s, struct arena *a, const struct upload *u, unsigned number,
                         struct upload_part **ret);
MUST err upload_part_write(struct upload_part *p, struct arena *a, const void *bytes, size_t len);
/* Durable; *ret_etag is a quoted strong tag.  400 when the size is not the part's. */
MUST err upload_part_end(struct upload_part *p, struct arena *a, str *ret_etag);
void upload_part_drop(struct upload_part *p); /* accepts NULL */

/* Joins the parts into a content and registers it for the repository; a second call while one runs
 * waits for the first; a call after success succeeds.  400 naming the first missing part. */
MUST err upload_complete(struct store *s, struct arena *a, str id, struct content *ret);
MUST err upload_expire(struct store *s,
                       struct arena *a); /* a job: removes old uploads and their files */
