/* xorb.h — stored xorbs, opened for reading.  For the files of store/ only.
 *
 * A struct xorb is a descriptor, the index of its chunks, and the knowledge whether the whole body
 * was verified since start.  They are shared between threads, counted, and the idle ones kept
 * until there are too many.  What was verified is remembered apart from that, by inode, size and
 * mtime, so that an evicted xorb is not read again in vain.
 *
 *     xorb_get ──▶ stat says it is the one we know ──▶ use ──▶ xorb_unref
 *         └─ else: row by id ─▶ open ─▶ sidecar (or rebuilt from the body) ─┘
 */
#pragma once
#include "base/io.h"
#include "blob/blob.h"
#include "cas/plan.h"
#include "cas/xorb.h"
#include "store/internal.h"
#include <stdatomic.h>
#include <stdlib.h>

/* Exhausted memory ends the process, as in an arena. */
static inline void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

/* --- which chunk of a list has this hash?  Grows by adding the chunks in order. --- */
struct chunk_map {
    uint16_t *slots; /* chunk number + 1, 0 empty */
    uint32_t mask, count;
};
#define CHUNK_NONE UINT32_MAX
void chunk_map_add(struct chunk_map *m, const chunk_hash *chunks, uint32_t chunk);
uint32_t chunk_map_find(const struct chunk_map *m, const chunk_hash *chunks, chunk_hash h);
void chunk_map_clear(struct chunk_map *m); /* releases the memory */

/* --- opened xorbs --- */
struct xorb {
    int64_t id, generation;
    xorb_hash hash;
    int fd;
    struct blob_stat stat;
    struct xorb_index *index;
    bool has_raw; /* some chunks look uncompressed */

    /* the rest belongs to xorb.c */
    pthread_mutex_t lock; /* while verifying, and while the map is made */
    struct chunk_map map;
    atomic_uchar *kinds;   /* per chunk: enum chunk_kind, looked up once */
    atomic_bool verified;  /* the whole body, since start */
    atomic_ullong decoded; /* bytes given out chunk by chunk while not verified */
    unsigned refs;         /* guarded by the cache's lock, like the links */
    struct xorb *next_in_bucket, *newer, *older;
    bool linked; /* in the cache; else it goes with the last user */
};

/* Opens a xorb by its row.  500 DataCorrupt when its row says damaged or its blob is not there
 * (it is then marked, so that an upload repairs it). */
MUST err xorb_get(struct store *s, struct arena *a, int64_t id, struct xorb **ret);
void xorb_unref(struct store *s, struct xorb *x); /* accepts NULL */
/* Its row is gone: it is closed as soon as nobody uses it. */
void xorb_forget(struct store *s, int64_t id);

/* Number of the chunk with this hash, or CHUNK_NONE. */
uint32_t xorb_chunk_find(struct xorb *x, chunk_hash h);

/* May bytes of this xorb leave without being looked at?  Verifies the whole body when it was not
 * yet, unless only `count` bytes are wanted and reading those with care is cheaper: then false. */
MUST err xorb_trust(struct store *s, struct arena *a, struct xorb *x, uint64_t count, bool *ret);
/* Reads the whole body against its name.  500 DataCorrupt after quarantining a damaged one. */
MUST err xorb_verify(struct store *s, struct arena *a, struct xorb *x);

enum chunk_kind { CHUNK_KIND_UNKNOWN, CHUNK_KIND_RAW, CHUNK_KIND_PACKED };
/* Is this chunk stored as it is, so that it may leave by sendfile? */
MUST err xorb_chunk_kind(struct xorb *x, struct arena *a, uint32_t chunk, enum chunk_kind *ret);

/* Memory to read chunks with; borrowed from a pool for the time of one call. */
struct chunk_reader;
struct chunk_reader *chunk_reader_get(struct store *s);
void chunk_reader_put(struct store *s, struct chunk_reader *r);
struct chunk_decoder *chunk_reader_decoder(struct chunk_reader *r);
/* Reads, unpacks and verifies one chunk; *ret is memory of the reader until its next use. */
MUST err xorb_chunk_read(struct store *s, struct arena *a, struct xorb *x, uint32_t chunk,
                         struct chunk_reader *r, str *ret);
/* The same, but gives the record as it is stored: head and payload. */
MUST err xorb_record_read(struct store *s, struct arena *a, struct xorb *x, uint32_t chunk,
                          struct chunk_reader *r, str *ret);

/* The row says damaged, its keys are gone and its body is in quarantine: the next upload of these
 * bytes repairs it. */
MUST err xorb_set_damaged(struct store *s, struct arena *a, int64_t id, xorb_hash hash,
                          int64_t generation);

extern const struct err_info data_corrupt;

struct blob_key xorb_key(struct arena *a, enum blob_kind kind, xorb_hash h, int64_t generation);
