/* hash.h — the four hashes of Xet, and the Merkle tree that makes two of them.
 *
 *   chunk_hash   keyed BLAKE3 of the bytes of one chunk
 *   xorb_hash    Merkle root over the chunks of a xorb
 *   file_hash    salted Merkle root over all chunks of a file (32 zero bytes for the empty file)
 *   range_hash   keyed BLAKE3 of a run of chunk hashes: proof that somebody knows them
 *
 * They are 32 bytes each and different types, because mixing them up is the classic mistake.
 * Their text form is four groups of 16 hex digits, each group a little-endian 64-bit number: it is
 * NOT the hex form of the bytes.  Text is used in URLs, JSON and names; raw bytes in xorbs and
 * shards.
 */
#pragma once
#include "base/arena.h"
#include "base/hash.h"

#define HASH_TEXT 64 /* characters of the text form */

/* For each type: NAME_text prints into an arena, NAME_write into 64 bytes without NUL, NAME_parse
 * accepts exactly 64 digits of either case, NAME_eq compares, NAME_is_zero says so. */
#define CAS_HASH_TYPE(name)                                                                        \
    typedef struct {                                                                               \
        unsigned char b[32];                                                                       \
    } name;                                                                                        \
    str name##_text(struct arena *a, name h);                                                      \
    void name##_write(char dst[HASH_TEXT], name h);                                                \
    bool name##_parse(str text, name *ret);                                                        \
    bool name##_eq(name x, name y);                                                                \
    bool name##_is_zero(name h);

CAS_HASH_TYPE(chunk_hash)
CAS_HASH_TYPE(xorb_hash)
CAS_HASH_TYPE(file_hash)
CAS_HASH_TYPE(range_hash)

chunk_hash chunk_hash_of(const void *p, size_t len);
/* The same for bytes that arrive in pieces: begin, blake3_add() each, end (which frees it). */
struct blake3_stream *chunk_hash_begin(void);
chunk_hash chunk_hash_end(struct blake3_stream *s);
/* May this chunk be asked for in global deduplication?  (One in 1024; the first chunk of a file
 * is eligible too, which the hash cannot tell.) */
bool chunk_hash_is_eligible(chunk_hash h);
/* The chunk hash as a deduplication answer shows it under its key. */
chunk_hash chunk_hash_keyed(chunk_hash h, const unsigned char key[32]);

range_hash range_hash_of(const chunk_hash *chunks, size_t count);

/* Shards hold a SHA-256 with each group of eight bytes reversed.  This is its own inverse. */
sha256 sha256_swap(sha256 h);

/* --- Merkle tree, fed in order, in memory that does not grow --- */

/* Groups hold at least three nodes, but for the end of a level: 3^40 leaves exceed any file. */
#define MERKLE_LEVELS 40
#define MERKLE_GROUP 9

struct merkle_node {
    unsigned char hash[32];
    uint64_t size;
};

struct merkle { /* start with {0}: it is the empty tree */
    struct merkle_level {
        struct merkle_node queue[MERKLE_GROUP];
        unsigned count; /* in queue */
        bool emitted;   /* a group of this level has gone up already */
    } levels[MERKLE_LEVELS];
    uint64_t leaves;
};

void merkle_init(struct merkle *m);
void merkle_add(struct merkle *m, chunk_hash h, uint64_t size);
/* The results so far; the tree may be fed further. */
xorb_hash merkle_xorb_hash(const struct merkle *m);
file_hash merkle_file_hash(const struct merkle *m);
file_hash merkle_file_hash_salted(const struct merkle *m, const unsigned char salt[32]);
