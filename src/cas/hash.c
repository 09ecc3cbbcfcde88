/* hash.c — see hash.h. */
#include "cas/hash.h"
#include "base/text.h"
#include "cas/bytes.h"

#include <assert.h>
#include <string.h>

static const unsigned char data_key[32] = {
    0x66, 0x97, 0xf5, 0x77, 0x5b, 0x95, 0x50, 0xde, 0x31, 0x35, 0xcb, 0xac, 0xa5, 0x97, 0x18, 0x1c,
    0x9d, 0xe4, 0x21, 0x10, 0x9b, 0xeb, 0x2b, 0x58, 0xb4, 0xd0, 0xb0, 0x4b, 0x93, 0xad, 0xf2, 0x29,
};
static const unsigned char node_key[32] = {
    0x01, 0x7e, 0xc5, 0xc7, 0xa5, 0x47, 0x29, 0x96, 0xfd, 0x94, 0x66, 0x66, 0xb4, 0x8a, 0x02, 0xe6,
    0x5d, 0xdd, 0x53, 0x6f, 0x37, 0xc7, 0x6d, 0xd2, 0xf8, 0x63, 0x52, 0xe6, 0x4a, 0x53, 0x71, 0x3f,
};
static const unsigned char range_key[32] = {
    0x7f, 0x18, 0x57, 0xd6, 0xce, 0x56, 0xed, 0x66, 0x12, 0x7f, 0xf9, 0x13, 0xe7, 0xa5, 0xc3, 0xf3,
    0xa4, 0xcd, 0x26, 0xd5, 0xb5, 0xdb, 0x49, 0xe6, 0x41, 0x24, 0x98, 0x7f, 0x28, 0xfb, 0x94, 0xc3,
};
static const unsigned char zero[32];

_Static_assert(sizeof(chunk_hash) == 32 && sizeof(xorb_hash) == 32, "hashes are arrays of bytes");

/* Reverses each group of eight bytes. */
static void swap(unsigned char dst[32], const unsigned char src[32])
{
    for (size_t i = 0; i < 32; i++)
        dst[i] = src[(i & ~(size_t)7) + 7 - (i & 7)];
}

static void write_text(char dst[HASH_TEXT], const unsigned char raw[32])
{
    unsigned char swapped[32];

    swap(swapped, raw);
    hex_write(dst, swapped, sizeof swapped);
}

static bool parse_text(str text, unsigned char raw[32])
{
    unsigned char swapped[32];

    if (!hex_decode(text, swapped, sizeof swapped))
        return false;
    swap(raw, swapped);
    return true;
}

#define CAS_HASH_FUNCTIONS(name)                                                                   \
    void name##_write(char dst[HASH_TEXT], name h)                                                 \
    {                                                                                              \
        write_text(dst, h.b);                                                                      \
    }                                                                                              \
    str name##_text(struct arena *a, name h)                                                       \
    {                                                                                              \
        char text[HASH_TEXT];                                                                      \
                                                                                                   \
        write_text(text, h.b);                                                                     \
        return arena_str(a, (str){text, sizeof text});                                             \
    }                                                                                              \
    bool name##_parse(str text, name *ret)                                                         \
    {                                                                                              \
        return parse_text(text, ret->b);                                                           \
    }                                                                                              \
    bool name##_eq(name x, name y)                                                                 \
    {                                                                                              \
        return memcmp(x.b, y.b, sizeof x.b) == 0;                                                  \
    }                                                                                              \
    bool name##_is_zero(name h)                                                                    \
    {                                                                                              \
        return memcmp(h.b, zero, sizeof h.b) == 0;                                                 \
    }

CAS_HASH_FUNCTIONS(chunk_hash)
CAS_HASH_FUNCTIONS(xorb_hash)
CAS_HASH_FUNCTIONS(file_hash)
CAS_HASH_FUNCTIONS(range_hash)

/* One keyed BLAKE3 into any of the types. */
static void keyed(const unsigned char key[32], const void *p, size_t len, unsigned char out[32])
{
    blake3 h = blake3_keyed(key, p, len);

    memcpy(out, h.b, sizeof h.b);
}

chunk_hash chunk_hash_of(const void *p, size_t len)
{
    chunk_hash h;

    keyed(data_key, p, len, h.b);
    return h;
}

struct blake3_stream *chunk_hash_begin(void)
{
    return blake3_new(data_key);
}

chunk_hash chunk_hash_end(struct blake3_stream *s)
{
    blake3 h = blake3_end(s);
    chunk_hash out;

    memcpy(out.b, h.b, sizeof out.b);
    return out;
}

bool chunk_hash_is_eligible(chunk_hash h)
{
    return load_u64(h.b + 24) % 1024 == 0;
}

chunk_hash chunk_hash_keyed(chunk_hash h, const unsigned char key[32])
{
    chunk_hash out;

    keyed(key, h.b, sizeof h.b, out.b);
    return out;
}

range_hash range_hash_of(const chunk_hash *chunks, size_t count)
{
    range_hash h;

    keyed(range_key, chunks, count * sizeof *chunks, h.b);
    return h;
}

sha256 sha256_swap(sha256 h)
{
    sha256 out;

    swap(out.b, h.b);
    return out;
}

/* --- Merkle ---
 *
 * Each level queues nodes.  A group ends after a node whose hash is 0 modulo 4, but never before
 * the third, or after the ninth; its parent goes to the next level.  At the end, what is queued
 * becomes a group of its own, even a single node, until a level holds nothing but one node. */

void merkle_init(struct merkle *m)
{
    m->leaves = 0;
    for (size_t i = 0; i < MERKLE_LEVELS; i++) {
        m->levels[i].count = 0;
        m->levels[i].emitted = false;
    }
}

static size_t write_u64(char *dst, uint64_t v)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
    } while ((v /= 10) > 0);
    for (size_t i = 0; i < n; i++)
        dst[i] = digits[n - 1 - i];
    return n;
}

static struct merkle_node parent(const struct merkle_level *l)
{
    char text[MERKLE_GROUP * (HASH_TEXT + 3 + 20 + 1)];
    struct merkle_node up = {.size = 0};
    size_t len = 0;

    for (unsigned i = 0; i < l->count; i++) {
        write_text(text + len, l->queue[i].hash);
        len += HASH_TEXT;
        memcpy(text + len, " : ", 3);
        len += 3;
        len += write_u64(text + len, l->queue[i].size);
        text[len++] = '\n';
        up.size += l->queue[i].size;
    }
    keyed(node_key, text, len, up.hash);
    return up;
}

static bool group_ends(const struct merkle_level *l)
{
    return l->count == MERKLE_GROUP ||
           (l->count > 2 && load_u64(l->queue[l->count - 1].hash + 24) % 4 == 0);
}

static void push(struct merkle *m, size_t level, struct merkle_node node)
{
    for (;; level++) {
        struct merkle_level *l = &m->levels[level];

        assert(level < MERKLE_LEVELS && l->count < MERKLE_GROUP);
        l->queue[l->count++] = node;
        if (!group_ends(l))
            return;
        node = parent(l);
        l->count = 0;
        l->emitted = true;
    }
}

void merkle_add(struct merkle *m, chunk_hash h, uint64_t size)
{
    struct merkle_node leaf = {.size = size};

    memcpy(leaf.hash, h.b, sizeof h.b);
    push(m, 0, leaf);
    m->leaves++;
}

/* The root, or 32 zero bytes for the empty tree. */
static void root(const struct merkle *m, unsigned char ret[32])
{
    struct merkle end = *m;

    for (size_t level = 0;; level++) {
        struct merkle_level *l = &end.levels[level];

        assert(level < MERKLE_LEVELS);
        if (!l->emitted && l->count <= 1) {
            memcpy(ret, l->count ? l->queue[0].hash : zero, 32);
            return;
        }
        if (l->count > 0)
            push(&end, level + 1, parent(l));
    }
}

xorb_hash merkle_xorb_hash(const struct merkle *m)
{
    xorb_hash h;

    root(m, h.b);
    return h;
}

file_hash merkle_file_hash_salted(const struct merkle *m, const unsigned char salt[32])
{
    unsigned char top[32];
    file_hash h = {{0}};

    if (m->leaves == 0)
        return h;
    root(m, top);
    keyed(salt, top, sizeof top, h.b);
    return h;
}

file_hash merkle_file_hash(const struct merkle *m)
{
    return merkle_file_hash_salted(m, zero);
}
