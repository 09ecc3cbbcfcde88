/* xorb_cache.h — between xorb.c, which reads files and rows, and xorb_cache.c, which keeps what was
 * opened.  Nobody else includes it. */
#pragma once
#include "store/xorb.h"

struct chunk_reader {
    struct chunk_reader *next;
    struct chunk_decoder *decoder;
    unsigned char record[CHUNK_HEAD + CHUNK_PACKED_MAX];
};

/* A reference to an opened xorb, or NULL. */
struct xorb *xorb_cache_find(struct xorb_cache *c, int64_t id);
/* Makes `x` found, unless another thread just opened the same: that one is returned then. */
struct xorb *xorb_cache_link(struct xorb_cache *c, struct xorb *x);
/* The caller's reference stays; the next xorb_get() opens the file anew. */
void xorb_cache_forget(struct xorb_cache *c, struct xorb *x);
void xorb_free(struct xorb *x); /* one that was never linked */

/* Was this very file (inode, size, mtime) verified since start? */
bool xorb_cache_verified(struct xorb_cache *c, const struct xorb *x);
void xorb_cache_note(struct xorb_cache *c, const struct xorb *x);
