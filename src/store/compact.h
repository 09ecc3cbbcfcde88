/* compact.h — one new xorb made of parts of old ones, between compact.c, which picks and copies,
 * and compact_swap.c, which points the contents at it.  Nobody else includes it. */
#pragma once
#include "store/content_rows.h"
#include "store/gc_private.h"
#include "store/xorb.h"

#define COMPACT_SMALL_BYTES (4u << 20)
#define COMPACT_LIVE_PERCENT 30
#define COMPACT_SOURCES_MAX 1024 /* in one new xorb */

struct source_xorb {
    int64_t id;
    uint32_t chunk_count, disk_bytes;
    uint32_t base;                       /* where its first live chunk is in the new xorb */
    uint64_t live[XORB_CHUNKS_MAX / 64]; /* a bit per chunk that some content needs */
};

static inline bool live_at(const struct source_xorb *x, uint32_t chunk)
{
    return x->live[chunk / 64] >> (chunk % 64) & 1;
}

/* How many chunks below `chunk` are live. */
static inline uint32_t live_below(const struct source_xorb *x, uint32_t chunk)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < chunk / 64; i++)
        n += (uint32_t)__builtin_popcountll(x->live[i]);
    if (chunk % 64)
        n += (uint32_t)__builtin_popcountll(x->live[chunk / 64] & ((1ull << chunk % 64) - 1));
    return n;
}

struct swap {
    struct gc *g;
    struct source_xorb *sources; /* by id */
    size_t count;
    const struct xorb_index *index; /* of the new xorb */
    int64_t new_id;

    /* of one transaction */
    struct gc_ids files;
    size_t from, done; /* of files.ids */
    struct arena *a;
    bool named[COMPACT_SOURCES_MAX]; /* a term of the file still names this source */
    bool moved;                      /* a term of the file names the new xorb */
    int64_t source_id;
};

/* The source of this id, or NULL. */
struct source_xorb *source_find(struct source_xorb *sources, size_t count, int64_t id);
/* Points every content that uses the sources at the new xorb, whose row is live, and the chunk
 * keys too.  Contents that came since then, or use other chunks, keep what they have. */
MUST err compact_swap(struct swap *w);
