/* xet.h — what the Xet protocol does with the store: xorbs and shards in, terms and deduplication
 * answers out.  Formats are in cas/, addresses and JSON in xet/.
 *
 * A lease says until when a xorb stays although no file needs it.  Whoever is told that a xorb is
 * there (an upload, a duplicate, a deduplication answer, a shard) was promised LEASE_MS first, and
 * that promise is on disk before the answer leaves.  It is written only when less than
 * LEASE_RENEW_MS of it is left, so that hot xorbs cost no write.
 */
#pragma once
#include "cas/plan.h"
#include "cas/shard.h"
#include "store/file.h"

#define LEASE_MS (28 * 86400000LL)
#define LEASE_RENEW_MS (27 * 86400000LL)

/* --- a xorb comes in (xorb_upload.c): verified while it streams, constant memory --- */
struct xorb_upload;
MUST err xorb_upload_new(struct store *s, struct arena *a, xorb_hash name,
                         struct xorb_upload **ret);
MUST err xorb_upload_feed(struct xorb_upload *u, struct arena *a, const void *p, size_t len);
/* Blob and row durable, lease renewed.  *ret_new false: it was there already (then a condemned one
 * lives again, a damaged one is repaired by these bytes).  400 BadXorb.  Always frees `u`. */
MUST err xorb_upload_end(struct xorb_upload *u, struct arena *a, bool *ret_new);
void xorb_upload_drop(struct xorb_upload *u); /* accepts NULL */
/* Size of the stored body; *ret_found false: no live or condemned xorb of this name.  Promises
 * nothing. */
MUST err xorb_stored_size(struct db *db, xorb_hash name, uint64_t *ret, bool *ret_found);
/* The same, and promises it for LEASE_MS, as xorb_lease() does. */
MUST err xorb_lease_named(struct store *s, xorb_hash name, uint64_t *ret_size, bool *ret_found);
/* Promises these xorbs (row ids) for LEASE_MS, durable on return.  Condemned ones live again.
 * *ret_all false: one of them is gone or damaged; nothing was promised then. */
MUST err xorb_lease(struct store *s, const int64_t *ids, size_t count, bool *ret_all);

/* --- a shard comes in (shard_register.c) --- */
struct shard_progress { /* called while it is checked, now and then; may be NULL */
    /* False: nobody waits for this any more; the check ends with 503. */
    bool (*step)(void *arg, uint64_t verified, uint64_t total);
    void *arg;
};
/* Checks every file of the shard against the stored xorbs (they exist, term lengths, range hashes
 * as proof of possession, file hash), then registers everything in one transaction: file rows,
 * chunk keys, leases, the blob of the shard, for `repo` a hold on each file and, where the shard
 * names a SHA-256, a claimed repo_file.  `bytes` must stay unchanged (a map of a spooled file).
 * A claim that contradicts another claim of the repository is proved at once.
 * 400 BadShard, UnknownXorb, 413 QuotaExceeded; *ret_new false: everything was registered before.
 */
MUST err shard_register(struct store *s, struct arena *a, str bytes, const struct repo *repo,
                        int64_t user_id, const struct shard_progress *p, bool *ret_new);

/* --- claims (claim.c) --- */
/* Streams one content through SHA-256.  True: every claimed row of this pair is verified now.
 * False: those rows are gone.  Damage of the data fails with 500 and decides nothing. */
MUST err claim_prove(struct store *s, struct arena *a, const struct content *c, bool *ret_true);
struct claim_watch {                                       /* may be NULL, as may its functions */
    bool (*go_on)(void *arg);                              /* false: stop soon (shutdown) */
    void (*refuted)(void *arg, const struct content *lie); /* its rows are gone; for the log */
    void *arg;
};
/* Proves claims, oldest first, until `budget_ms` is over; *ret_more: some are left.  One that
 * cannot be read is left for later; the first such failure is returned in the end. */
MUST err claim_prove_next(struct store *s, struct arena *a, int64_t budget_ms,
                          const struct claim_watch *w, bool *ret_more);

/* --- who may read a content by its file hash (xet_access.c) --- */
/* May a token of this repository read the content?  By repo_file, bucket_file or file_hold.
 * ret->file_id 0 with *ret_found: the empty content.  *ret_path: a path it is known by, for
 * counting; ptr NULL: none. */
MUST err xet_file_find(struct db *db, struct arena *a, int64_t repo_id, file_hash h,
                       struct content *ret, str *ret_path, bool *ret_found);
/* The file row of a hash, whoever has it. */
MUST err file_find(struct db *db, file_hash h, struct content *ret, bool *ret_found);
MUST err file_hold_add(struct db *tx, int64_t repo_id, int64_t file_id, int64_t until_ms);
