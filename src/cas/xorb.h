/* xorb.h — a xorb is up to 8192 chunk records one after another, named by the Merkle hash of its
 * chunks.
 *
 * Three objects: the index (where each chunk ends, and its hash), the builder that makes xorbs
 * from chunks, and the verifier that checks a xorb as its bytes go by.  All are pure: bytes come
 * in, bytes go out, the caller owns files and sockets.
 *
 * How a chunk is compressed is not part of the name, so two bodies with one name may differ in
 * bytes and offsets: an index belongs to one stored body, not to the name.
 */
#pragma once
#include "cas/chunk.h"
#include "cas/hash.h"

#define XORB_CHUNKS_MAX 8192u
/* We cut our own xorbs before either of these; the body never exceeds 64 MiB. */
#define XORB_CUT_RAW (64u << 20)
#define XORB_CUT_BODY (64u << 20)
/* The largest body that is accepted: 64 MiB of payload, record headers, and some room. */
#define XORB_BODY_MAX ((64u << 20) + (512u << 10))
/* Old clients send a footer behind it. */
#define XORB_FOOTER_MAX (92u + 40u * XORB_CHUNKS_MAX + 4u)

/* --- index --- */

/* One heap block; free with xorb_index_free.  Immutable once made, so threads may share it. */
struct xorb_index {
    xorb_hash hash;
    uint32_t count;           /* 1 to XORB_CHUNKS_MAX */
    const uint32_t *raw_end;  /* per chunk: where it ends in the uncompressed content */
    const uint32_t *phys_end; /* per chunk: where its record ends in the body */
    const chunk_hash *chunks;
    const unsigned char *schemes; /* per chunk: an enum chunk_scheme */
};

void xorb_index_free(struct xorb_index *x); /* accepts NULL */

static inline uint32_t xorb_raw_start(const struct xorb_index *x, uint32_t chunk)
{
    return chunk ? x->raw_end[chunk - 1] : 0;
}
static inline uint32_t xorb_phys_start(const struct xorb_index *x, uint32_t chunk)
{
    return chunk ? x->phys_end[chunk - 1] : 0;
}
static inline uint32_t xorb_raw_len(const struct xorb_index *x, uint32_t chunk)
{
    return x->raw_end[chunk] - xorb_raw_start(x, chunk);
}
/* Are the bytes at xorb_phys_start + CHUNK_HEAD the raw content, fit for sendfile? */
static inline bool xorb_is_stored(const struct xorb_index *x, uint32_t chunk)
{
    return x->schemes[chunk] == CHUNK_STORED;
}
static inline uint32_t xorb_body_len(const struct xorb_index *x)
{
    return x->phys_end[x->count - 1];
}
/* Recomputes the Merkle hash from the chunk list; true when it is x->hash. */
bool xorb_index_check(const struct xorb_index *x);

/* The sidecar file HASH.GEN.idx; its layout stands at the top of xorb_index.c. */
size_t xorb_index_file_len(uint32_t count);
str xorb_index_write(struct arena *a, const struct xorb_index *x);
/* Reads a sidecar.  Any damage fails with 500 "DataCorrupt": rebuild it from the xorb. */
MUST err xorb_index_read(str file, struct xorb_index **ret);

/* --- builder --- */

/* Takes the bytes of the body in order. */
typedef err (*xorb_sink)(void *arg, const void *p, size_t len);

struct xorb_builder;
struct xorb_builder *xorb_builder_new(xorb_sink sink, void *arg);
void xorb_builder_free(struct xorb_builder *b); /* accepts NULL */
uint32_t xorb_builder_count(const struct xorb_builder *b);
/* Is there room for one more chunk of this raw length?  When not, end this xorb first. */
bool xorb_builder_fits(const struct xorb_builder *b, size_t raw_len);
/* The same for many chunks at once, of so many raw bytes together. */
bool xorb_builder_has_room(const struct xorb_builder *b, uint32_t chunks, uint64_t raw_len);
/* Appends a chunk; *ret_chunk is its number.  Fails only when the sink fails; the xorb is then
 * lost (xorb_builder_reset). */
MUST err xorb_builder_add(struct xorb_builder *b, chunk_hash h, const struct chunk_packed *c,
                          uint32_t *ret_chunk);
/* Names the xorb (it holds at least one chunk) and makes the builder empty again. */
struct xorb_index *xorb_builder_end(struct xorb_builder *b);
void xorb_builder_reset(struct xorb_builder *b);
/* The chunk list so far, for looking up what was just added. */
const chunk_hash *xorb_builder_chunks(const struct xorb_builder *b);

/* --- verifier: constant memory --- */

struct xorb_verifier;
/* The decoder is borrowed for the life of the verifier, or until another is given. */
struct xorb_verifier *xorb_verifier_new(struct chunk_decoder *d);
/* The decoder for the feeds to come: an upload that waits for its client holds none (NULL). */
void xorb_verifier_use(struct xorb_verifier *v, struct chunk_decoder *d);
void xorb_verifier_free(struct xorb_verifier *v); /* accepts NULL */
/* The next bytes of an upload or a stored file.  The first *ret_body of them belong to the body;
 * what follows is a footer, which is compared in the end and not kept.
 * Fails with 400 "BadXorb" on anything malformed or too large; feed no more then. */
MUST err xorb_verifier_feed(struct xorb_verifier *v, const void *p, size_t len, size_t *ret_body);
/* All bytes were fed.  Fails with 400 "BadXorb" when the last record is cut off, the footer does
 * not agree, or the content has another name than `expected`. */
MUST err xorb_verifier_end(struct xorb_verifier *v, xorb_hash expected, struct xorb_index **ret);
