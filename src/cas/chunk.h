/* chunk.h — one chunk as it stands in a xorb: a record of 8 bytes and a payload.
 *
 *   0  1  version, 0
 *   1  3  packed length, little-endian: the payload that follows
 *   4  1  scheme: 0 stored, 1 LZ4 frame, 2 bytes grouped by index modulo 4, then LZ4 frame
 *   5  3  raw length, little-endian
 *   8  …  payload
 *
 * The encoder compresses only where that saves at least one eighth, because stored chunks leave
 * by sendfile.  Encoder and decoder are heap objects that are made once and used for any number
 * of chunks, by one thread at a time.
 */
#pragma once
#include "base/err.h"
#include "cas/chunker.h"

#define CHUNK_HEAD 8u
#define CHUNK_PACKED_MAX (2 * CHUNK_MAX) /* what a strange encoder may make of CHUNK_MAX bytes */

enum chunk_scheme { CHUNK_STORED = 0, CHUNK_LZ4 = 1, CHUNK_GROUPED_LZ4 = 2 };

struct chunk_head {
    enum chunk_scheme scheme;
    uint32_t packed_len; /* at most CHUNK_PACKED_MAX */
    uint32_t raw_len;    /* 1 to CHUNK_MAX */
};

/* Checks and reads the eight bytes.  Fails with 400. */
MUST err chunk_head_parse(const unsigned char bytes[CHUNK_HEAD], struct chunk_head *ret);
void chunk_head_write(unsigned char bytes[CHUNK_HEAD], struct chunk_head head);

/* --- encoding --- */
struct chunk_encoder;
struct chunk_encoder *chunk_encoder_new(void);
void chunk_encoder_free(struct chunk_encoder *e); /* accepts NULL */
/* The next chunk is unlike the ones before it (another file): try all schemes on it.  Otherwise
 * that happens on every 32nd chunk, and the others use the scheme that won. */
void chunk_encoder_restart(struct chunk_encoder *e);

struct chunk_packed {
    unsigned char head[CHUNK_HEAD];
    str payload; /* the raw bytes themselves, or memory of the encoder until its next use */
};
struct chunk_packed chunk_encode(struct chunk_encoder *e, const void *raw,
                                 size_t len); /* 1..CHUNK_MAX */

/* --- decoding --- */
struct chunk_decoder;
struct chunk_decoder *chunk_decoder_new(void);
void chunk_decoder_free(struct chunk_decoder *d); /* accepts NULL */
/* Unpacks a payload of head.packed_len bytes.  *ret is head.raw_len bytes: the payload itself, or
 * memory of the decoder until its next use.  Fails with 400 unless the payload is exactly one
 * LZ4 frame of exactly that content.  The chunk hash is for the caller to check. */
MUST err chunk_decode(struct chunk_decoder *d, struct chunk_head head, const void *payload,
                      str *ret);
