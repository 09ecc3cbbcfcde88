/* xorb_index.c — see xorb.h.  The sidecar file, all integers little-endian:
 *
 *     0   8       "HEARTHXI"
 *     8   4       version, 1
 *    12   4       n, the number of chunks, 1 to 8192
 *    16  32       xorb hash, raw
 *    48  16       checksum: the first 16 bytes of the SHA-256 of the file with these 16 bytes zero
 *    64  4 * n    raw_end: where each chunk ends in the uncompressed content
 *     …  4 * n    phys_end: where each chunk's record ends in the body
 *     …  32 * n   chunk hashes, raw
 *     …  n        scheme of each chunk: 0 stored, 1 or 2 compressed
 *
 * Nothing follows.  Every chunk is 1 to CHUNK_MAX bytes, so raw_end rises by that much each time,
 * and phys_end by at least 9.  In memory the four arrays stand behind the struct in one block.
 */
#include "cas/bytes.h"
#include "cas/xorb_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define MAGIC "HEARTHXI"
#define VERSION 1u
#define HEAD 64u
#define CHECKSUM_AT 48u
#define CHECKSUM_LEN 16u
#define PER_CHUNK (4 + 4 + sizeof(chunk_hash) + 1)

_Static_assert(sizeof(chunk_hash) == 32, "arrays of chunk hashes are written as they are");

static const struct err_info damaged = {
    .status = 500,
    .code = "DataCorrupt",
    .text = STR_INIT("Something went wrong on this hub; its log has the details."),
    .at = "cas/xorb_index.c",
    .detail = STR_INIT("a xorb index is damaged"),
};

void *xorb_need(void *p)
{
    if (!p) {
        fprintf(stderr, "hearth: xorb: out of memory\n");
        abort();
    }
    return p;
}

/* The parts of one block. */
struct parts {
    struct xorb_index *x;
    uint32_t *raw_end, *phys_end;
    chunk_hash *chunks;
    unsigned char *schemes;
};

static struct parts allocate(uint32_t count)
{
    struct parts p;

    p.x = xorb_need(malloc(sizeof *p.x + (size_t)count * PER_CHUNK));
    p.raw_end = (uint32_t *)(void *)(p.x + 1);
    p.phys_end = p.raw_end + count;
    p.chunks = (chunk_hash *)(void *)(p.phys_end + count);
    p.schemes = (unsigned char *)(p.chunks + count);
    *p.x = (struct xorb_index){.count = count,
                               .raw_end = p.raw_end,
                               .phys_end = p.phys_end,
                               .chunks = p.chunks,
                               .schemes = p.schemes};
    return p;
}

void xorb_index_free(struct xorb_index *x)
{
    free(x);
}

void xorb_list_clear(struct xorb_list *l)
{
    l->count = 0;
    merkle_init(&l->tree);
}

void xorb_list_add(struct xorb_list *l, chunk_hash h, struct chunk_head head)
{
    uint32_t i = l->count;

    assert(i < XORB_CHUNKS_MAX && head.raw_len > 0 && head.raw_len <= CHUNK_MAX);
    l->raw_end[i] = xorb_list_raw(l) + head.raw_len;
    l->phys_end[i] = xorb_list_phys(l) + CHUNK_HEAD + head.packed_len;
    l->chunks[i] = h;
    l->schemes[i] = (unsigned char)head.scheme;
    l->count++;
    merkle_add(&l->tree, h, head.raw_len);
}

struct xorb_index *xorb_list_index(const struct xorb_list *l, xorb_hash hash)
{
    struct parts p = allocate(l->count);

    p.x->hash = hash;
    memcpy(p.raw_end, l->raw_end, l->count * sizeof *l->raw_end);
    memcpy(p.phys_end, l->phys_end, l->count * sizeof *l->phys_end);
    memcpy(p.chunks, l->chunks, l->count * sizeof *l->chunks);
    memcpy(p.schemes, l->schemes, l->count);
    return p.x;
}

bool xorb_index_check(const struct xorb_index *x)
{
    struct merkle m;

    merkle_init(&m);
    for (uint32_t i = 0; i < x->count; i++)
        merkle_add(&m, x->chunks[i], xorb_raw_len(x, i));
    return xorb_hash_eq(merkle_xorb_hash(&m), x->hash);
}

size_t xorb_index_file_len(uint32_t count)
{
    return HEAD + (size_t)count * PER_CHUNK;
}

/* SHA-256 over the file, as if the checksum in its head were zero. */
static sha256 checksum(const unsigned char *file, size_t len)
{
    unsigned char head[HEAD];
    struct hasher *h = sha256_new();

    memcpy(head, file, HEAD);
    memset(head + CHECKSUM_AT, 0, CHECKSUM_LEN);
    hasher_add(h, head, HEAD);
    hasher_add(h, file + HEAD, len - HEAD);
    return sha256_end(h);
}

str xorb_index_write(struct arena *a, const struct xorb_index *x)
{
    size_t len = xorb_index_file_len(x->count);
    unsigned char *file = arena_alloc(a, len), *p = file + HEAD;
    sha256 sum;

    assert(x->count > 0 && x->count <= XORB_CHUNKS_MAX);
    memcpy(file, MAGIC, 8);
    store_u32(file + 8, VERSION);
    store_u32(file + 12, x->count);
    memcpy(file + 16, x->hash.b, sizeof x->hash.b);
    for (uint32_t i = 0; i < x->count; i++, p += 4)
        store_u32(p, x->raw_end[i]);
    for (uint32_t i = 0; i < x->count; i++, p += 4)
        store_u32(p, x->phys_end[i]);
    memcpy(p, x->chunks, x->count * sizeof *x->chunks);
    p += x->count * sizeof *x->chunks;
    memcpy(p, x->schemes, x->count);
    sum = checksum(file, len);
    memcpy(file + CHECKSUM_AT, sum.b, CHECKSUM_LEN);
    return (str){(char *)file, len};
}

static bool ends_are_sane(const struct xorb_index *x)
{
    for (uint32_t i = 0; i < x->count; i++) {
        uint32_t raw = xorb_raw_start(x, i), phys = xorb_phys_start(x, i);

        if (x->raw_end[i] <= raw || x->raw_end[i] - raw > CHUNK_MAX)
            return false;
        if (x->phys_end[i] <= phys || x->phys_end[i] - phys <= CHUNK_HEAD ||
            x->phys_end[i] - phys > CHUNK_HEAD + CHUNK_PACKED_MAX)
            return false;
        if (x->schemes[i] > CHUNK_GROUPED_LZ4 ||
            (xorb_is_stored(x, i) && x->phys_end[i] - phys != CHUNK_HEAD + x->raw_end[i] - raw))
            return false;
    }
    return true;
}

err xorb_index_read(str file, struct xorb_index **ret)
{
    const unsigned char *b = (const unsigned char *)file.ptr, *p;
    struct parts to;
    uint32_t n;
    sha256 sum;

    if (file.len < HEAD || memcmp(b, MAGIC, 8) != 0 || load_u32(b + 8) != VERSION)
        return &damaged;
    n = load_u32(b + 12);
    if (n == 0 || n > XORB_CHUNKS_MAX || file.len != xorb_index_file_len(n))
        return &damaged;
    sum = checksum(b, file.len);
    if (memcmp(b + CHECKSUM_AT, sum.b, CHECKSUM_LEN) != 0)
        return &damaged;

    to = allocate(n);
    memcpy(to.x->hash.b, b + 16, sizeof to.x->hash.b);
    p = b + HEAD;
    for (uint32_t i = 0; i < n; i++, p += 4)
        to.raw_end[i] = load_u32(p);
    for (uint32_t i = 0; i < n; i++, p += 4)
        to.phys_end[i] = load_u32(p);
    memcpy(to.chunks, p, n * sizeof *to.chunks);
    p += n * sizeof *to.chunks;
    memcpy(to.schemes, p, n);
    if (!ends_are_sane(to.x)) {
        xorb_index_free(to.x);
        return &damaged;
    }
    *ret = to.x;
    return OK;
}
