/* object.h — git objects of one repository as rows of git.db, behind the interface of git/odb.h.
 *
 * A struct odb from here lives for one request.  Reads use the pool; writes collect in memory
 * (at most OBJECT_BATCH_BYTES) and go to git.db in batches, durable when object_flush() returns;
 * the ref moves after that.  Writing an object that is already there renews its seen_at; an old one
 * is kept in full until the flush, so that it comes back if gc took the row meanwhile.
 */
#pragma once
#include "git/odb.h"
#include "http/source.h"
#include "store/store.h"

#define OBJECT_ROW_BYTES (128u << 10) /* at most ODB_PART; a download holds one */
#define OBJECT_BATCH_BYTES (8u << 20)
#define OBJECT_RENEW_MS (60 * 60 * 1000) /* how stale seen_at may be before a write renews it */
#define OBJECT_BATCH_ROWS 1000 /* a push of many small objects lets other writers in between */

struct odb *object_odb(struct store *s, struct arena *a, int64_t repo_id);
MUST err object_flush(struct odb *o); /* everything written so far is durable */

/* Renews seen_at of objects that are about to be relied on without being written, durable on
 * return. *ret_missing: how many of them are not there (any more); the others are renewed. */
MUST err object_renew(struct store *s, int64_t repo_id, const oid *ids, size_t count,
                      size_t *ret_missing);

MUST err object_count(struct store *s, int64_t repo_id, int64_t *ret);
/* Copies every object of one repository to another (duplicate). */
MUST err object_copy_all(struct store *s, int64_t from_repo_id, int64_t to_repo_id);
/* Removes up to `limit` objects of a deleted repository; *ret_more when some are left. */
MUST err object_clear(struct store *s, int64_t repo_id, int64_t limit, bool *ret_more);

/* The bytes [first, first + count) of a blob of `size` bytes, inflated as they leave: one stored
 * part and one piece of output in memory.  500 ObjectDamaged unless all of it has that size and
 * name. `o` must live as long as the source (the request's arena). */
MUST err object_source(struct odb *o, struct arena *a, oid id, uint64_t size, uint64_t first,
                       uint64_t count, struct source **ret);
/* For object_source.c: what an odb of object_odb() is over. */
struct object_proofs;
void object_odb_of(struct odb *o, struct object_proofs **ret, int64_t *ret_repo_id);
