/* content_rows.h — the rows of xorb, chunk_key, file, file_part and file_xorb, for everything that
 * writes them: intake, uploaded xorbs, registered shards.  For the files of store/ only.
 *
 * Functions that take `tx` are called inside db_write().  Bodies of xorbs and their sidecars are
 * on disk before a row names them.
 */
#pragma once
#include "cas/bytes.h"
#include "cas/plan.h"
#include "store/store.h"

#define KEY_SAMPLE 32 /* one chunk in so many is a key: a match is found after 2 MiB */

/* --- xorbs --- */

struct xorb_row {
    int64_t id, generation; /* id 0: none */
    bool live;
    bool is_stored; /* live or condemned: its bytes are there */
    uint64_t disk_bytes;
};
MUST err xorb_row_find(struct db *db, xorb_hash h, struct xorb_row *ret);

struct xorb_facts { /* of a body on disk */
    xorb_hash hash;
    int64_t generation;
    uint32_t chunk_count, raw_bytes, disk_bytes;
};
struct xorb_facts xorb_facts_of(const struct xorb_index *x, int64_t generation);
/* A live row for this body: a new one (id 0), or row `id` takes the body over. */
MUST err xorb_row_put(struct db *tx, const struct xorb_facts *x, int64_t id, int64_t now_ms,
                      int64_t *ret_id);
/* Promises a stored xorb (see xet.h).  *ret_revived: it was condemned, so its keys are gone. */
MUST err xorb_row_lease(struct db *tx, int64_t id, int64_t now_ms, bool *ret_stored,
                        bool *ret_revived);

/* No two bodies ever get the same name, so an unlink never hits somebody else's. */
int64_t xorb_fresh_generation(void);
/* Makes the sidecar of a body durable. */
MUST err xorb_sidecar_put(struct store *s, struct arena *a, const struct xorb_index *x,
                          int64_t generation);

/* --- keys: chunks by which an upload finds the xorbs it shares data with --- */

/* Chunks that stand in chunk_key: one in KEY_SAMPLE (which includes the one in 1024 that clients
 * ask for), and where files, xorbs and terms begin. */
static inline bool chunk_is_sampled(chunk_hash h)
{
    return load_u64(h.b + 24) % KEY_SAMPLE == 0;
}
MUST err chunk_key_add(struct db *tx, chunk_hash h, int64_t xorb_id, uint32_t chunk);
/* The first chunk of a xorb and its sampled ones. */
MUST err chunk_keys_add(struct db *tx, int64_t xorb_id, const struct xorb_index *x);

/* --- files --- */

#define PART_TERMS 1024 /* in one row of file_part */

/* The row of this file hash (0: none), and whether all it needs is in order. */
MUST err file_row_find(struct db *db, file_hash h, int64_t *ret_id, bool *ret_whole);
/* A whole file is meant again: its condemned xorbs live, and it is as young as now. */
MUST err file_row_renew(struct db *tx, int64_t id, int64_t now_ms);
/* A row without terms: a new one (*id 0), or a damaged one that gives up those it had. */
MUST err file_row_begin(struct db *tx, file_hash h, uint64_t size, int64_t now_ms, int64_t *id);
/* `count` packed terms, at most PART_TERMS, that begin at offset `first` of the file. */
MUST err file_part_add(struct db *tx, int64_t id, uint64_t first, const unsigned char *packed,
                       size_t count);
MUST err file_xorb_add(struct db *tx, int64_t id, int64_t xorb_id); /* again: no change */

/* 503: something that an upload shares was removed while it ran. */
extern const struct err_info content_changed;
