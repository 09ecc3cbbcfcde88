/* chunker.h — where to cut a stream into chunks, so that equal content is cut alike.
 *
 * A rolling hash over the last 64 bytes decides; chunks are 8 KiB to 128 KiB, 64 KiB on average.
 * The last chunk of a stream may be shorter.  Other programs may cut elsewhere: nothing that
 * arrives from outside is ever re-cut or held to these rules (only to CHUNK_MAX).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_MIN 8192u
#define CHUNK_MAX 131072u

struct chunker { /* start with {0} */
    uint64_t hash;
    uint32_t len; /* bytes of the current chunk so far */
};

/* Looks at [p, p + len) and returns how many of these bytes belong to the current chunk.
 * *ret_cut tells that the chunk ends there; the next call then starts a new one.  When it is
 * false all `len` bytes were taken.  At the end of the stream c->len > 0 means a last chunk. */
size_t chunker_next(struct chunker *c, const void *p, size_t len, bool *ret_cut);
