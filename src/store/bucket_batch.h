/* bucket_batch.h — changing a bucket: any number of additions, copies and removals, applied in one
 * transaction.
 *
 * Operations are packed into an unlinked file below DATA/tmp as they arrive, so that a batch of a
 * million needs no memory of its own; 16 bytes for each while it is sorted.
 *
 * A hash is not a key: an operation may name a content only when it was uploaded for this bucket
 * (file_hold), stands in this bucket, or, for a copy, stands in a source that the caller may read.
 * The last operation on a path that can be done wins.  When an addition or copy cannot be done, no
 * removal is: a rename sent as both never loses anything.  What is overwritten or removed stays
 * readable by its hash for a while.
 */
#pragma once
#include "store/bucket.h"

#define BUCKET_OPS_MAX 2000000

struct bucket_op {
    enum bucket_op_kind { BUCKET_ADD, BUCKET_COPY, BUCKET_DELETE } kind;
    str path; /* bucket_path_wrong() said NULL */
    file_hash hash;
    int64_t source_id; /* copies: a repository that the caller may read; 0: none */
    enum repo_kind source_kind;
    bool has_mtime;
    int64_t mtime_ms;
    int32_t mtime_ns; /* -1: not given */
    str content_type; /* ptr NULL: from the source, or by the extension */
};

struct bucket_batch;
MUST err bucket_batch_new(struct store *s, struct arena *a, struct bucket_batch **ret);
/* 400 for an addition or copy after a removal, 413 above BUCKET_OPS_MAX. */
MUST err bucket_batch_add(struct bucket_batch *b, struct arena *a, const struct bucket_op *op);
void bucket_batch_free(struct bucket_batch *b); /* accepts NULL */

struct bucket_batch_options {
    bool atomic;      /* nothing at all when one operation fails */
    int64_t grace_ms; /* for contents that were overwritten or removed */
};
struct bucket_batch_result {
    uint64_t processed, failed;
    int64_t seq; /* of the bucket, now */
};
/* Durable when it returns.  507 QuotaExceeded (nothing is applied), 404 RepoNotFound. */
MUST err bucket_batch_apply(struct bucket_batch *b, struct arena *a, int64_t repo_id,
                            const struct bucket_batch_options *o, struct bucket_batch_result *ret);
/* What failed, in order: for (size_t at = 0; bucket_batch_next_failed(b, &at, …);) */
bool bucket_batch_next_failed(const struct bucket_batch *b, size_t *at, str *ret_path,
                              const char **ret_error);
