/* xorb_private.h — the chunk list under construction, shared by builder and verifier. */
#pragma once
#include "cas/xorb.h"

struct xorb_list {
    uint32_t count;
    uint32_t raw_end[XORB_CHUNKS_MAX];
    uint32_t phys_end[XORB_CHUNKS_MAX];
    chunk_hash chunks[XORB_CHUNKS_MAX];
    unsigned char schemes[XORB_CHUNKS_MAX];
    struct merkle tree;
};

void xorb_list_clear(struct xorb_list *l);
/* The caller has checked count < XORB_CHUNKS_MAX. */
void xorb_list_add(struct xorb_list *l, chunk_hash h, struct chunk_head head);
static inline uint32_t xorb_list_raw(const struct xorb_list *l)
{
    return l->count ? l->raw_end[l->count - 1] : 0;
}
static inline uint32_t xorb_list_phys(const struct xorb_list *l)
{
    return l->count ? l->phys_end[l->count - 1] : 0;
}
struct xorb_index *xorb_list_index(const struct xorb_list *l, xorb_hash hash);
void *xorb_need(void *p); /* aborts on NULL */
