/* plan.h — of which pieces of which xorbs is a file made, and which of them hold a byte range?
 *
 * The terms of a file are stored packed, 16 bytes each, in one database value.  A walk over them
 * needs no memory however large the file is, and may start at any offset.  The store looks up
 * xorbs by their local id; here they are just numbers.
 *
 *   struct plan p;                                     for each overlapping term:
 *   plan_begin(&p, &list, first, count);               find the xorb's index, then
 *   while (plan_next(&p, &piece))                      plan_chunks() names chunks and bytes
 */
#pragma once
#include "cas/xorb.h"

#define TERM_BYTES 16u

struct term {
    int64_t xorb_id;                 /* local id, > 0 */
    uint32_t first_chunk, end_chunk; /* first < end <= XORB_CHUNKS_MAX */
    uint32_t raw_len;                /* what these chunks hold */
};

/* A packed list of terms, in file order; refers to the bytes it was opened on. */
struct term_list {
    str packed;
    uint64_t count;
    uint64_t size; /* of the file */
};

/* Packs one term: id 8, first 2, end 2, length 4, little-endian. */
void term_pack(unsigned char dst[TERM_BYTES], struct term t);
str term_list_pack(struct arena *a, const struct term *terms, size_t count);
/* Checks every term.  Damage fails with 500 "DataCorrupt".  An empty list is the empty file. */
MUST err term_list_open(str packed, struct term_list *ret);
struct term term_at(const struct term_list *l, uint64_t index);

/* --- from a byte range to pieces of terms --- */

struct plan {
    const struct term_list *list;
    uint64_t next;    /* index of the next term to look at */
    uint64_t offset;  /* of that term in the file */
    uint64_t at, end; /* what is still to be covered: [at, end) of the file */
};
struct plan_piece {
    uint64_t index; /* of the term in the list */
    struct term term;
    uint64_t offset; /* of the term in the file */
    uint32_t skip;   /* bytes of the term before the range */
    uint32_t take;   /* bytes of the term in the range, never 0 */
};

/* Starts a walk over [first, first + count), which lies within the file. */
void plan_begin(struct plan *p, const struct term_list *l, uint64_t first, uint64_t count);
bool plan_next(struct plan *p, struct plan_piece *ret);
/* The pieces of a range at once, at most `max` of them; the rest is reached with plan_begin() at
 * *ret_covered bytes further on. */
size_t plan_list(struct arena *a, const struct term_list *l, uint64_t first, uint64_t count,
                 size_t max, struct plan_piece **ret, uint64_t *ret_covered);

/* The chunks of a xorb that hold a piece. */
struct plan_chunks {
    uint32_t first_chunk, end_chunk; /* whole chunks that cover the piece, at least one */
    uint32_t skip;                   /* raw bytes of the first chunk before the piece */
    uint32_t take;                   /* as in the piece */
    uint32_t raw_len;                /* raw bytes of these chunks: skip + take <= raw_len */
    uint32_t phys_start, phys_end;   /* their records in the body: [start, end) */
};
/* Fails with 500 "DataCorrupt" when the term does not fit the xorb: too few chunks, another
 * length. */
MUST err plan_chunks(const struct xorb_index *x, const struct plan_piece *p,
                     struct plan_chunks *ret);
/* The number of the chunk of x that holds raw byte `offset` (which is within the xorb). */
uint32_t plan_chunk_of(const struct xorb_index *x, uint32_t offset);
