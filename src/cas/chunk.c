/* chunk.c — see chunk.h.
 *
 * A frame that we write is the plainest there is: one independent block, no checksums, no content
 * size.  Decoders of every client know it.
 *
 *   04 22 4d 18   magic
 *   60            version 1, independent blocks, nothing else
 *   40 82         blocks of at most 64 KiB, and the header's check byte     (50 fb: 256 KiB)
 *   length        of the block, 32 bits
 *   block
 *   00 00 00 00   end
 */
#include "cas/chunk.h"
#include "cas/bytes.h"

#include <assert.h>
#include <lz4.h>
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_CHUNKS 32 /* all schemes are tried on the first of so many */
#define FRAME_HEAD 7u   /* bytes before the block length */
#define FRAME_EXTRA (FRAME_HEAD + 4u + 4u)
#define FRAME_MAGIC 0x184d2204u
#define FRAME_HAS_DICT 0x01u /* in the fifth byte */

/* liblz4 decodes a block straight into the output only when a whole block has room there, and
 * 256 KiB blocks are what clients use for chunks over 64 KiB. */
#define RAW_ROOM (256u << 10)

struct chunk_encoder {
    enum chunk_scheme scheme; /* of the current run */
    unsigned left;            /* chunks until schemes are tried again */
    void *state;              /* of LZ4 */
    unsigned char grouped[CHUNK_MAX];
    unsigned char packed[2][CHUNK_MAX];
};

struct chunk_decoder {
    LZ4F_dctx *lz4;
    unsigned char grouped[CHUNK_MAX];
    unsigned char raw[RAW_ROOM];
};

static const struct err_info bad_head = {
    400, "BadXorb", STR_INIT("The xorb holds a chunk header that is not valid."), NULL, {0}};
static const struct err_info bad_payload = {
    400, "BadXorb", STR_INIT("The xorb holds a chunk that does not decompress."), NULL, {0}};

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "hearth: chunk: out of memory\n");
        abort();
    }
    return p;
}

err chunk_head_parse(const unsigned char bytes[CHUNK_HEAD], struct chunk_head *ret)
{
    struct chunk_head h = {.packed_len = load_u24(bytes + 1), .raw_len = load_u24(bytes + 5)};

    if (bytes[0] != 0 || bytes[4] > CHUNK_GROUPED_LZ4)
        return &bad_head;
    h.scheme = (enum chunk_scheme)bytes[4];
    if (h.raw_len == 0 || h.raw_len > CHUNK_MAX || h.packed_len == 0 ||
        h.packed_len > CHUNK_PACKED_MAX)
        return &bad_head;
    if (h.scheme == CHUNK_STORED && h.packed_len != h.raw_len)
        return &bad_head;
    *ret = h;
    return OK;
}

void chunk_head_write(unsigned char bytes[CHUNK_HEAD], struct chunk_head head)
{
    bytes[0] = 0;
    store_u24(bytes + 1, head.packed_len);
    bytes[4] = (unsigned char)head.scheme;
    store_u24(bytes + 5, head.raw_len);
}

/* --- grouping: 0 1 2 3 4 5 6 7 8 9 -> 0 4 8  1 5 9  2 6  3 7 --- */

static size_t group_len(size_t len, size_t group)
{
    return len / 4 + (group < len % 4);
}

static void group_bytes(unsigned char *restrict dst, const unsigned char *restrict src, size_t len)
{
    unsigned char *g0 = dst, *g1 = g0 + group_len(len, 0), *g2 = g1 + group_len(len, 1),
                  *g3 = g2 + group_len(len, 2);
    size_t whole = len / 4;

    for (size_t i = 0; i < whole; i++) {
        g0[i] = src[4 * i];
        g1[i] = src[4 * i + 1];
        g2[i] = src[4 * i + 2];
        g3[i] = src[4 * i + 3];
    }
    if (len % 4 > 0)
        g0[whole] = src[4 * whole];
    if (len % 4 > 1)
        g1[whole] = src[4 * whole + 1];
    if (len % 4 > 2)
        g2[whole] = src[4 * whole + 2];
}

static void ungroup_bytes(unsigned char *restrict dst, const unsigned char *restrict src,
                          size_t len)
{
    const unsigned char *g0 = src, *g1 = g0 + group_len(len, 0), *g2 = g1 + group_len(len, 1),
                        *g3 = g2 + group_len(len, 2);
    size_t whole = len / 4;

    for (size_t i = 0; i < whole; i++) {
        dst[4 * i] = g0[i];
        dst[4 * i + 1] = g1[i];
        dst[4 * i + 2] = g2[i];
        dst[4 * i + 3] = g3[i];
    }
    if (len % 4 > 0)
        dst[4 * whole] = g0[whole];
    if (len % 4 > 1)
        dst[4 * whole + 1] = g1[whole];
    if (len % 4 > 2)
        dst[4 * whole + 2] = g2[whole];
}

/* --- encoding --- */

struct chunk_encoder *chunk_encoder_new(void)
{
    struct chunk_encoder *e = need(malloc(sizeof *e));

    e->state = need(malloc((size_t)LZ4_sizeofState()));
    chunk_encoder_restart(e);
    return e;
}

void chunk_encoder_free(struct chunk_encoder *e)
{
    if (!e)
        return;
    free(e->state);
    free(e);
}

void chunk_encoder_restart(struct chunk_encoder *e)
{
    e->left = 0;
    e->scheme = CHUNK_STORED;
}

/* Writes a frame that holds `src`; returns its length, or 0 when it would not save an eighth. */
static size_t write_frame(struct chunk_encoder *e, unsigned char *dst, const void *src, size_t len)
{
    static const unsigned char head[2][FRAME_HEAD] = {{0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82},
                                                      {0x04, 0x22, 0x4d, 0x18, 0x60, 0x50, 0xfb}};
    size_t limit = len - (len + 7) / 8;
    int n;

    if (limit <= FRAME_EXTRA)
        return 0;
    n = LZ4_compress_fast_extState(e->state, src, (char *)dst + FRAME_HEAD + 4, (int)len,
                                   (int)(limit - FRAME_EXTRA), 1);
    if (n <= 0)
        return 0;
    memcpy(dst, head[len > (64u << 10)], FRAME_HEAD);
    store_u32(dst + FRAME_HEAD, (uint32_t)n);
    store_u32(dst + FRAME_HEAD + 4 + n, 0);
    return FRAME_EXTRA + (size_t)n;
}

static size_t encode_as(struct chunk_encoder *e, enum chunk_scheme scheme, unsigned char *dst,
                        const void *raw, size_t len)
{
    if (scheme == CHUNK_STORED)
        return 0;
    if (scheme == CHUNK_LZ4)
        return write_frame(e, dst, raw, len);
    group_bytes(e->grouped, raw, len);
    return write_frame(e, dst, e->grouped, len);
}

static struct chunk_packed pack(enum chunk_scheme scheme, const void *payload, size_t packed_len,
                                size_t raw_len)
{
    struct chunk_packed p = {.payload = {payload, packed_len}};

    chunk_head_write(p.head, (struct chunk_head){scheme, (uint32_t)packed_len, (uint32_t)raw_len});
    return p;
}

struct chunk_packed chunk_encode(struct chunk_encoder *e, const void *raw, size_t len)
{
    size_t n, m = 0;

    assert(len > 0 && len <= CHUNK_MAX);
    if (e->left > 0) {
        e->left--;
        n = encode_as(e, e->scheme, e->packed[0], raw, len);
        return n ? pack(e->scheme, e->packed[0], n, len) : pack(CHUNK_STORED, raw, len, len);
    }
    e->left = RETRY_CHUNKS - 1;
    n = encode_as(e, CHUNK_LZ4, e->packed[0], raw, len);
    m = encode_as(e, CHUNK_GROUPED_LZ4, e->packed[1], raw, len);
    e->scheme = CHUNK_STORED;
    if (m > 0 && (n == 0 || m < n)) {
        e->scheme = CHUNK_GROUPED_LZ4;
        return pack(e->scheme, e->packed[1], m, len);
    }
    if (n > 0) {
        e->scheme = CHUNK_LZ4;
        return pack(e->scheme, e->packed[0], n, len);
    }
    return pack(CHUNK_STORED, raw, len, len);
}

/* --- decoding --- */

/* liblz4 1.9.4 carries the content size of a frame that failed over its own reset, and then fails
 * the next good frame: after a failure only a new context will do. */
static void renew(struct chunk_decoder *d)
{
    LZ4F_freeDecompressionContext(d->lz4);
    if (LZ4F_isError(LZ4F_createDecompressionContext(&d->lz4, LZ4F_VERSION)))
        need(NULL);
}

struct chunk_decoder *chunk_decoder_new(void)
{
    struct chunk_decoder *d = need(malloc(sizeof *d));

    d->lz4 = NULL;
    renew(d);
    return d;
}

void chunk_decoder_free(struct chunk_decoder *d)
{
    if (!d)
        return;
    LZ4F_freeDecompressionContext(d->lz4);
    free(d);
}

/* Decodes exactly one frame of exactly raw_len bytes into d->raw. */
static bool read_frame(struct chunk_decoder *d, const unsigned char *p, size_t len, size_t raw_len)
{
    static const LZ4F_decompressOptions_t options = {.stableDst = 1};
    size_t used = 0, done = 0, hint;

    if (len < FRAME_EXTRA || load_u32(p) != FRAME_MAGIC || (p[4] & FRAME_HAS_DICT))
        return false;
    LZ4F_resetDecompressionContext(d->lz4);
    do {
        size_t in = len - used, out = RAW_ROOM - done;

        hint = LZ4F_decompress(d->lz4, d->raw + done, &out, p + used, &in, &options);
        if (LZ4F_isError(hint) || (hint != 0 && in == 0 && out == 0))
            return false;
        used += in;
        done += out;
    } while (hint != 0 && done <= raw_len);
    return hint == 0 && used == len && done == raw_len;
}

err chunk_decode(struct chunk_decoder *d, struct chunk_head head, const void *payload, str *ret)
{
    assert(head.raw_len > 0 && head.raw_len <= CHUNK_MAX);
    if (head.scheme == CHUNK_STORED) {
        assert(head.packed_len == head.raw_len);
        *ret = (str){payload, head.raw_len};
        return OK;
    }
    if (!read_frame(d, payload, head.packed_len, head.raw_len)) {
        renew(d);
        return &bad_payload;
    }
    if (head.scheme == CHUNK_GROUPED_LZ4) {
        ungroup_bytes(d->grouped, d->raw, head.raw_len);
        *ret = (str){(const char *)d->grouped, head.raw_len};
        return OK;
    }
    *ret = (str){(const char *)d->raw, head.raw_len};
    return OK;
}
