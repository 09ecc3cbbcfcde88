/* xorb_verifier.c — see xorb.h.
 *
 *          first byte 'X'
 *   HEAD ------------------> FOOTER (collected, at most XORB_FOOTER_MAX, compared in the end)
 *    |  ^
 *    v  | chunk decoded, hashed, listed
 *   PAYLOAD
 *
 * A payload that lies whole in the bytes given is decoded in place, else it is collected first.
 *
 * Footers, n chunks, integers little-endian.  Version 1, 92 + 40 n bytes and a length word:
 *
 *   "XETBLOB" 01 | xorb hash 32 | "XBLBHSH" 00 n | n hashes | "XBLBBND" 01 n | n physical ends |
 *   n raw ends | n | 40 + 8n + 12 + 32n | 40 + 8n | 16 bytes of any value | 92 + 40n
 *
 * Version 0, 60 + 36 n bytes and a length word:
 *
 *   "XETBLOB" 00 | xorb hash 32 | n | n physical ends | n hashes | 16 bytes of any value | 60 + 36n
 */
#include "base/buf.h"
#include "cas/bytes.h"
#include "cas/xorb.h"
#include "cas/xorb_private.h"

#include <assert.h>
#include <stdlib.h>

#define FREE_LEN 16u /* the part of a footer that may hold anything */

enum state { AT_HEAD, AT_PAYLOAD, AT_FOOTER };

struct xorb_verifier {
    struct chunk_decoder *decoder;
    enum state state;
    unsigned char head_bytes[CHUNK_HEAD];
    struct chunk_head head;
    size_t have;   /* bytes of the head or payload collected so far */
    uint64_t raw;  /* decoded so far */
    uint64_t body; /* bytes of whole records so far */
    struct buf footer;
    struct xorb_list list;
    unsigned char payload[CHUNK_PACKED_MAX];
};

#define BAD(name, words)                                                                           \
    static const struct err_info name = {400, "BadXorb", STR_INIT(words), NULL, {0}}
BAD(too_many, "The xorb holds more than 8192 chunks.");
BAD(too_large, "The xorb is larger than 64 MiB.");
BAD(cut_off, "The xorb ends in the middle of a chunk.");
BAD(no_chunks, "The xorb holds no chunks.");
BAD(bad_footer, "The footer of the xorb does not agree with its chunks.");
BAD(other_name, "The xorb's content does not have the hash it was sent under.");

struct xorb_verifier *xorb_verifier_new(struct chunk_decoder *d)
{
    struct xorb_verifier *v = xorb_need(malloc(sizeof *v));

    v->decoder = d;
    v->state = AT_HEAD;
    v->have = 0;
    v->raw = v->body = 0;
    v->footer = BUF(XORB_FOOTER_MAX);
    xorb_list_clear(&v->list);
    return v;
}

void xorb_verifier_use(struct xorb_verifier *v, struct chunk_decoder *d)
{
    v->decoder = d;
}

void xorb_verifier_free(struct xorb_verifier *v)
{
    if (!v)
        return;
    buf_free(&v->footer);
    free(v);
}

/* Collects up to `want` bytes at `to`; true when they are all there. */
static bool collect(struct xorb_verifier *v, unsigned char *to, size_t want, str *in)
{
    size_t n = want - v->have < in->len ? want - v->have : in->len;

    if (n > 0)
        memcpy(to + v->have, in->ptr, n);
    v->have += n;
    *in = str_from(*in, n);
    return v->have == want;
}

static err take_head(struct xorb_verifier *v, str *in)
{
    if (v->have == 0 && in->ptr[0] == 'X') { /* a record would start with 0 */
        v->state = AT_FOOTER;
        return OK;
    }
    if (!collect(v, v->head_bytes, CHUNK_HEAD, in))
        return OK;
    TRY(chunk_head_parse(v->head_bytes, &v->head));
    if (v->list.count == XORB_CHUNKS_MAX)
        return &too_many;
    if (v->body + CHUNK_HEAD + v->head.packed_len > XORB_BODY_MAX)
        return &too_large;
    v->state = AT_PAYLOAD;
    v->have = 0;
    return OK;
}

static err take_payload(struct xorb_verifier *v, str *in)
{
    const void *payload = v->payload;
    str raw;

    if (v->have == 0 && in->len >= v->head.packed_len) {
        payload = in->ptr;
        *in = str_from(*in, v->head.packed_len);
    } else if (!collect(v, v->payload, v->head.packed_len, in)) {
        return OK;
    }
    TRY(chunk_decode(v->decoder, v->head, payload, &raw));
    xorb_list_add(&v->list, chunk_hash_of(raw.ptr, raw.len), v->head);
    v->raw += raw.len;
    v->body += CHUNK_HEAD + v->head.packed_len;
    v->state = AT_HEAD;
    v->have = 0;
    return OK;
}

err xorb_verifier_feed(struct xorb_verifier *v, const void *p, size_t len, size_t *ret_body)
{
    str in = {p, len};

    while (in.len > 0 && v->state != AT_FOOTER) {
        if (v->state == AT_HEAD)
            TRY(take_head(v, &in));
        else
            TRY(take_payload(v, &in));
    }
    *ret_body = len - in.len;
    buf_add(&v->footer, in);
    return v->footer.full ? &bad_footer : OK;
}

/* --- footers --- */

/* Drops `want` off the front of *at; false when it does not stand there. */
static bool expect(str *at, const void *want, size_t len)
{
    return str_skip(at, (str){want, len});
}

static bool expect_u32(str *at, uint32_t want)
{
    unsigned char bytes[4];

    store_u32(bytes, want);
    return expect(at, bytes, sizeof bytes);
}

static bool expect_ends(str *at, const uint32_t *ends, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!expect_u32(at, ends[i]))
            return false;
    return true;
}

static bool expect_hashes(str *at, const struct xorb_list *l)
{
    return expect(at, l->chunks, l->count * sizeof *l->chunks);
}

/* What follows the xorb hash in each version. */
static bool footer0_agrees(str at, const struct xorb_list *l)
{
    uint32_t n = l->count;

    if (!expect_u32(&at, n) || !expect_ends(&at, l->phys_end, n) || !expect_hashes(&at, l) ||
        at.len < FREE_LEN)
        return false;
    at = str_from(at, FREE_LEN);
    return expect_u32(&at, 60 + 36 * n) && at.len == 0;
}

static bool footer1_agrees(str at, const struct xorb_list *l)
{
    uint32_t n = l->count;

    if (!expect(&at, "XBLBHSH\0", 8) || !expect_u32(&at, n) || !expect_hashes(&at, l))
        return false;
    if (!expect(&at, "XBLBBND\1", 8) || !expect_u32(&at, n) || !expect_ends(&at, l->phys_end, n) ||
        !expect_ends(&at, l->raw_end, n))
        return false;
    if (!expect_u32(&at, n) || !expect_u32(&at, 40 + 8 * n + 12 + 32 * n) ||
        !expect_u32(&at, 40 + 8 * n) || at.len < FREE_LEN)
        return false;
    at = str_from(at, FREE_LEN);
    return expect_u32(&at, 92 + 40 * n) && at.len == 0;
}

static bool footer_agrees(str at, const struct xorb_list *l, xorb_hash hash)
{
    if (at.len == 0)
        return true;
    if (expect(&at, "XETBLOB\1", 8))
        return expect(&at, hash.b, sizeof hash.b) && footer1_agrees(at, l);
    return expect(&at, "XETBLOB\0", 8) && expect(&at, hash.b, sizeof hash.b) &&
           footer0_agrees(at, l);
}

err xorb_verifier_end(struct xorb_verifier *v, xorb_hash expected, struct xorb_index **ret)
{
    xorb_hash hash;

    if (v->state == AT_PAYLOAD || v->have > 0)
        return &cut_off;
    if (v->list.count == 0)
        return &no_chunks;
    assert(v->raw == xorb_list_raw(&v->list) && v->body == xorb_list_phys(&v->list));
    hash = merkle_xorb_hash(&v->list.tree);
    if (!footer_agrees(buf_str(&v->footer), &v->list, hash))
        return &bad_footer;
    if (!xorb_hash_eq(hash, expected))
        return &other_name;
    *ret = xorb_list_index(&v->list, hash);
    return OK;
}
