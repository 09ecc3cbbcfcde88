/* shard.h — shards: descriptions of files and xorbs, as clients upload them and as we answer
 * deduplication queries.
 *
 * Reading works on bytes in memory (a mapped file, a small answer).  shard_open() walks them once
 * and checks everything that this folder can check; after that, walking cannot fail and allocates
 * nothing.  Whether the named xorbs exist and the hashes agree is for the store to find out.
 * Writing appends to a buf.
 */
#pragma once
#include "base/buf.h"
#include "cas/xorb.h"

#define SHARD_ROW 48u /* everything up to the end of the xorb section comes in such rows */
#define SHARD_FOOTER 200u

/* --- reading --- */

struct shard {
    str bytes;
    size_t xorbs_at; /* first row of the xorb section */
    size_t end;      /* behind the last bookend; what follows is of no interest */
    uint64_t file_count, term_count, xorb_count, chunk_count;
};

/* Fails with 400 "BadShard" on anything malformed.  *ret refers to `bytes`. */
MUST err shard_open(str bytes, struct shard *ret);

struct shard_file {
    file_hash hash;
    uint32_t term_count; /* 0 only for the empty file, whose hash is zero */
    uint64_t size;       /* sum over the terms */
    bool has_ranges;     /* every term has a range hash */
    bool has_sha256;
    sha256 sha256; /* in its usual byte order; a claim, not a fact */
    const unsigned char *rows;
};
struct shard_term {
    xorb_hash xorb;
    uint32_t raw_len;                /* never 0 */
    uint32_t first_chunk, end_chunk; /* first < end <= XORB_CHUNKS_MAX */
};
struct shard_xorb {
    xorb_hash hash;
    uint32_t chunk_count; /* 1 to XORB_CHUNKS_MAX */
    uint32_t raw_len;     /* as claimed */
    const unsigned char *rows;
};
struct shard_chunk {
    chunk_hash hash;
    uint32_t raw_start; /* as claimed */
    uint32_t raw_len;   /* 1 to CHUNK_MAX */
    bool starts_a_file; /* may be asked for in global deduplication */
};

/* for (size_t at = 0; shard_next_file(&s, &at, &f);) … */
bool shard_next_file(const struct shard *s, size_t *at, struct shard_file *ret);
struct shard_term shard_term_at(const struct shard_file *f, uint32_t index);
range_hash shard_range_at(const struct shard_file *f, uint32_t index); /* needs has_ranges */
bool shard_next_xorb(const struct shard *s, size_t *at, struct shard_xorb *ret);
struct shard_chunk shard_chunk_at(const struct shard_xorb *x, uint32_t index);

/* The footer, which uploads may lack: the part that a client of deduplication answers needs. */
struct shard_footer {
    unsigned char key[32]; /* of the chunk hashes; zero: they are plain */
    int64_t created_s, expires_s;
};
bool shard_footer_read(const struct shard *s, struct shard_footer *ret);

/* --- writing, in this order:
 *   begin { file { term… range… sha256 } … } files_end { xorb { chunk… } … } xorbs_end
 * The counts that file and xorb announce must be kept; that is asserted. --- */

struct shard_writer {
    struct buf *out; /* becomes `full` when the shard is larger than its maximum */
    bool has_footer, is_keyed;
    struct shard_footer footer;
    size_t start, files_at, xorbs_at;
    uint64_t raw_bytes;
    uint32_t terms_due, ranges_due, chunks_due, raw_start;
    bool sha256_due;
};

/* `footer` NULL gives the upload form, otherwise the form of a deduplication answer, in which
 * chunk hashes are keyed unless the key is zero. */
void shard_begin(struct shard_writer *w, struct buf *out, const struct shard_footer *footer);
void shard_add_file(struct shard_writer *w, file_hash h, uint32_t term_count, bool with_ranges,
                    bool with_sha256);
void shard_add_term(struct shard_writer *w, struct shard_term t);
void shard_add_range(struct shard_writer *w, range_hash h);
void shard_add_sha256(struct shard_writer *w, sha256 h); /* usual byte order */
void shard_files_end(struct shard_writer *w);
void shard_add_xorb(struct shard_writer *w, xorb_hash h, uint32_t chunk_count, uint32_t raw_len);
void shard_add_chunk(struct shard_writer *w, chunk_hash h, uint32_t raw_len, bool starts_a_file);
void shard_xorbs_end(struct shard_writer *w);
