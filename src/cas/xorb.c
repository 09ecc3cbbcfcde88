/* xorb.c — the builder; see xorb.h.  The index is in xorb_index.c, the verifier in
 * xorb_verifier.c. */
#include "cas/xorb.h"
#include "cas/xorb_private.h"

#include <assert.h>
#include <stdlib.h>

struct xorb_builder {
    xorb_sink sink;
    void *arg;
    struct xorb_list list;
};

struct xorb_builder *xorb_builder_new(xorb_sink sink, void *arg)
{
    struct xorb_builder *b = xorb_need(malloc(sizeof *b));

    assert(sink);
    b->sink = sink;
    b->arg = arg;
    xorb_list_clear(&b->list);
    return b;
}

void xorb_builder_free(struct xorb_builder *b)
{
    free(b);
}

uint32_t xorb_builder_count(const struct xorb_builder *b)
{
    return b->list.count;
}

const chunk_hash *xorb_builder_chunks(const struct xorb_builder *b)
{
    return b->list.chunks;
}

/* A chunk never takes more than its raw length and a head, see chunk_encode(). */
bool xorb_builder_fits(const struct xorb_builder *b, size_t raw_len)
{
    assert(raw_len <= CHUNK_MAX);
    return b->list.count < XORB_CHUNKS_MAX && xorb_list_raw(&b->list) + raw_len <= XORB_CUT_RAW &&
           xorb_list_phys(&b->list) + CHUNK_HEAD + raw_len <= XORB_CUT_BODY;
}

bool xorb_builder_has_room(const struct xorb_builder *b, uint32_t chunks, uint64_t raw_len)
{
    return chunks <= XORB_CHUNKS_MAX - b->list.count &&
           xorb_list_raw(&b->list) + raw_len <= XORB_CUT_RAW &&
           xorb_list_phys(&b->list) + (uint64_t)chunks * CHUNK_HEAD + raw_len <= XORB_CUT_BODY;
}

err xorb_builder_add(struct xorb_builder *b, chunk_hash h, const struct chunk_packed *c,
                     uint32_t *ret_chunk)
{
    struct chunk_head head;

    TRY(chunk_head_parse(c->head, &head));
    assert(head.packed_len == c->payload.len && xorb_builder_fits(b, head.raw_len));
    TRY(b->sink(b->arg, c->head, CHUNK_HEAD));
    TRY(b->sink(b->arg, c->payload.ptr, c->payload.len));
    *ret_chunk = b->list.count;
    xorb_list_add(&b->list, h, head);
    return OK;
}

struct xorb_index *xorb_builder_end(struct xorb_builder *b)
{
    struct xorb_index *x;

    assert(b->list.count > 0);
    x = xorb_list_index(&b->list, merkle_xorb_hash(&b->list.tree));
    xorb_list_clear(&b->list);
    return x;
}

void xorb_builder_reset(struct xorb_builder *b)
{
    xorb_list_clear(&b->list);
}
