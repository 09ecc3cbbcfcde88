/* reconstruct.h — of which chunks of which xorbs is a piece of a file made, and which bytes of
 * those xorbs must be fetched to have them?
 *
 * A reconstruction is planned whole before its answer begins, and costs 12 bytes per term, 16 per
 * range and 80 per xorb; the text of the answer is made from it piece by piece (xet/).
 *
 *     file_part rows ──▶ terms, trimmed to chunks at both ends
 *                          └─▶ per xorb: disjoint ranges of chunks ──▶ bytes of its body
 *
 * The sidecar of a xorb is read only where the row does not say it all: when an end was trimmed or
 * a range does not cover the whole xorb.  Equal questions have equal answers while the file is
 * stored in the same way.
 */
#pragma once
#include "store/file.h"

#define RECONSTRUCT_TERMS_MAX (1u << 18) /* in one answer; 16 GiB of single chunks */

struct recon_term {
    uint32_t xorb; /* index into xorbs */
    uint16_t first_chunk, end_chunk;
    uint32_t raw_len; /* of exactly these chunks */
};
struct recon_range {
    uint32_t xorb;
    uint16_t first_chunk, end_chunk;
    uint32_t first_byte, end_byte; /* of the stored body: [first, end) */
};
struct recon_xorb {
    int64_t id, generation;
    xorb_hash hash;
    uint32_t chunk_count, raw_bytes, disk_bytes;
    uint32_t first_range, range_count; /* in ranges, by chunk number, neither overlapping nor
                                          touching */
};
struct recon_file {
    uint32_t first_term, term_count; /* in terms */
    uint32_t skip;                   /* bytes of the first term before the range */
};
struct reconstruction {
    struct recon_file *files; /* in the order in which they were added */
    struct recon_term *terms;
    struct recon_range *ranges; /* grouped by xorb */
    struct recon_xorb *xorbs;   /* in the order in which the terms first name them */
    size_t file_count, term_count, range_count, xorb_count;

    /* the rest belongs to reconstruct.c */
    size_t file_room, term_room, xorb_room;
    struct recon_edge *edges; /* per file */
    uint32_t *slots;          /* index into xorbs + 1, by id; a power of two of them */
    size_t slot_count;
};

/* Heap memory that goes with the arena. */
struct reconstruction *reconstruction_new(struct arena *a);
/* Adds the bytes [first, first + count) of a content; within it.  400 when these are more terms
 * than one answer takes. */
MUST err reconstruction_add(struct store *s, struct reconstruction *rc, const struct content *c,
                            uint64_t first, uint64_t count);
/* After the last file: trims, merges, finds the bytes.  500 DataCorrupt when a xorb is known to be
 * damaged or does not agree with the terms. */
MUST err reconstruction_end(struct store *s, struct arena *a, struct reconstruction *rc);
