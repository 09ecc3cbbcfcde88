/* pack_index.c — see pack_index.h. */
#include "git/pack_index.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FAR_FROM ((uint64_t)1 << 31) /* offsets from here on stand in the table of 64-bit ones */
#define FAR_MARK 0x80000000u
#define PIECE (64u << 10)

/* --- noting --- */

void pack_index_object(struct pack_index *x, oid id)
{
    if (x->count == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        struct pack_index_entry *more = reallocarray(x->entries, cap, sizeof *more);

        if (!more)
            abort();
        x->entries = more;
        x->cap = cap;
    }
    x->entries[x->count++] = (struct pack_index_entry){id, (uint32_t)crc32(0, NULL, 0), x->at};
}

void pack_index_bytes(struct pack_index *x, str bytes)
{
    if (x->count > 0) { /* before the first object stands the head of the pack */
        struct pack_index_entry *e = &x->entries[x->count - 1];

        e->crc = (uint32_t)crc32_z(e->crc, (const unsigned char *)bytes.ptr, bytes.len);
    }
    x->at += bytes.len;
}

void pack_index_free(struct pack_index *x)
{
    free(x->entries);
    *x = (struct pack_index){0};
}

/* --- writing --- */

struct out {
    struct hasher *sha;
    err (*put)(void *arg, str bytes);
    void *arg;
    err failed; /* the first failure of put; nothing is given after it */
    size_t len;
    unsigned char bytes[PIECE];
};

static void flush(struct out *o)
{
    str piece = {(const char *)o->bytes, o->len};

    hasher_add(o->sha, piece.ptr, piece.len);
    if (!o->failed)
        o->failed = o->put(o->arg, piece);
    o->len = 0;
}

static void put_bytes(struct out *o, const void *p, size_t len)
{
    if (len > PIECE - o->len)
        flush(o);
    memcpy(o->bytes + o->len, p, len);
    o->len += len;
}

static void put_u32(struct out *o, uint32_t v)
{
    unsigned char b[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
                          (unsigned char)(v >> 8), (unsigned char)v};

    put_bytes(o, b, sizeof b);
}

static int by_id(const void *x, const void *y)
{
    const struct pack_index_entry *a = x, *b = y;

    return oid_cmp(a->id, b->id);
}

static void put_fan_out(struct out *o, const struct pack_index *x)
{
    size_t upto = 0;

    for (unsigned first = 0; first < 256; first++) {
        while (upto < x->count && x->entries[upto].id.b[0] <= first)
            upto++;
        put_u32(o, (uint32_t)upto);
    }
}

static void put_offsets(struct out *o, const struct pack_index *x)
{
    uint32_t far = 0;

    for (size_t i = 0; i < x->count; i++) {
        uint64_t at = x->entries[i].offset;

        put_u32(o, at < FAR_FROM ? (uint32_t)at : FAR_MARK | far++);
    }
    for (size_t i = 0; i < x->count; i++)
        if (x->entries[i].offset >= FAR_FROM) {
            put_u32(o, (uint32_t)(x->entries[i].offset >> 32));
            put_u32(o, (uint32_t)x->entries[i].offset);
        }
}

err pack_index_write(struct pack_index *x, sha1 pack_sum, err (*put)(void *arg, str bytes),
                     void *arg)
{
    struct out o = {.sha = sha1_new(), .put = put, .arg = arg};
    sha1 sum;

    assert(x->count < FAR_MARK);
    if (x->count > 0)
        qsort(x->entries, x->count, sizeof *x->entries, by_id);
    put_bytes(&o, "\377tOc\0\0\0\2", 8);
    put_fan_out(&o, x);
    for (size_t i = 0; i < x->count; i++)
        put_bytes(&o, x->entries[i].id.b, sizeof x->entries[i].id.b);
    for (size_t i = 0; i < x->count; i++)
        put_u32(&o, x->entries[i].crc);
    put_offsets(&o, x);
    put_bytes(&o, pack_sum.b, sizeof pack_sum.b);
    flush(&o);
    sum = sha1_end(o.sha);
    TRY(o.failed);
    return put(arg, (str){(const char *)sum.b, sizeof sum.b});
}
