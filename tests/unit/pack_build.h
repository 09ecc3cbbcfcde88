/* pack_build.h — packs and deltas made by hand, also wrong ones. */
#pragma once
#include "base/buf.h"
#include "check.h"
#include "git/odb.h"
#include "git/pack.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PACK_MAX (64u << 20)

/* --- deltas --- */

static inline void delta_size(struct buf *d, uint64_t size)
{
    for (; size >= 0x80; size >>= 7)
        buf_addc(d, (char)(size | 0x80));
    buf_addc(d, (char)size);
}

static inline struct buf delta_begin(uint64_t base_size, uint64_t result_size)
{
    struct buf d = BUF(PACK_MAX);

    delta_size(&d, base_size);
    delta_size(&d, result_size);
    return d;
}

static inline void delta_copy(struct buf *d, uint64_t offset, uint64_t len)
{
    unsigned op = 0x80;
    char bytes[8];
    size_t n = 0;

    for (unsigned i = 0; i < 4; i++)
        if (offset >> (8 * i) & 0xff) {
            bytes[n++] = (char)(offset >> (8 * i));
            op |= 1u << i;
        }
    for (unsigned i = 0; i < 3; i++)
        if (len != 0x10000 && (len >> (8 * i) & 0xff)) {
            bytes[n++] = (char)(len >> (8 * i));
            op |= 0x10u << i;
        }
    buf_addc(d, (char)op);
    buf_add(d, (str){bytes, n});
}

static inline void delta_insert(struct buf *d, str text)
{
    while (text.len > 0) {
        str piece = str_first(text, 127);

        buf_addc(d, (char)piece.len);
        buf_add(d, piece);
        text = str_from(text, piece.len);
    }
}

/* A delta that gives `text`, whatever the base of this size. */
static inline struct buf delta_of(uint64_t base_size, str text)
{
    struct buf d = delta_begin(base_size, text.len);

    delta_insert(&d, text);
    return d;
}

/* --- packs --- */

struct pack {
    struct buf bytes;
    uint32_t count;
};
#define PACK __attribute__((cleanup(pack_free))) struct pack

static inline void pack_free(struct pack *p)
{
    buf_free(&p->bytes);
}

static inline struct pack pack_begin(void)
{
    struct pack p = {.bytes = BUF(PACK_MAX)};

    buf_add(&p.bytes, STR("PACK\0\0\0\2\0\0\0\0"));
    return p;
}

/* The head of an entry of any type and any claimed size.  Returns its offset. */
static inline uint64_t pack_head(struct pack *p, unsigned type, uint64_t size)
{
    uint64_t at = p->bytes.len;
    unsigned c = (type << 4) | (size & 15);

    for (size >>= 4; size > 0; size >>= 7) {
        buf_addc(&p->bytes, (char)(c | 0x80));
        c = size & 0x7f;
    }
    buf_addc(&p->bytes, (char)c);
    p->count++;
    return at;
}

static inline uint64_t pack_plain(struct pack *p, enum obj_type type, str data)
{
    uint64_t at = pack_head(p, type, data.len);

    obj_deflate(data, &p->bytes);
    return at;
}

static inline void pack_distance(struct pack *p, uint64_t distance)
{
    char digits[10];
    size_t n = sizeof digits;

    digits[--n] = (char)(distance & 0x7f);
    while (distance >>= 7)
        digits[--n] = (char)(0x80 | (--distance & 0x7f));
    buf_add(&p->bytes, (str){digits + n, sizeof digits - n});
}

/* These take over the delta. */
static inline uint64_t pack_ofs(struct pack *p, uint64_t base_at, struct buf delta)
{
    uint64_t at = pack_head(p, 6, delta.len);

    pack_distance(p, at - base_at);
    obj_deflate(buf_str(&delta), &p->bytes);
    buf_free(&delta);
    return at;
}

static inline uint64_t pack_ref(struct pack *p, oid base, struct buf delta)
{
    uint64_t at = pack_head(p, 7, delta.len);

    buf_add(&p->bytes, (str){(const char *)base.b, sizeof base.b});
    obj_deflate(buf_str(&delta), &p->bytes);
    buf_free(&delta);
    return at;
}

/* Writes the count and the checksum. */
static inline void pack_end(struct pack *p)
{
    sha1 sum;

    for (int i = 0; i < 4; i++)
        p->bytes.ptr[8 + i] = (char)(p->count >> (24 - 8 * i));
    sum = sha1_of(p->bytes.ptr, p->bytes.len);
    buf_add(&p->bytes, (str){(const char *)sum.b, sizeof sum.b});
}

/* A file with these bytes. */
static inline int pack_file(str bytes)
{
    int fd = memfd_create("pack", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.ptr, bytes.len), bytes.len);
    return fd;
}

/* Thousands of bytes that unfold to `count` objects of `size` bytes, a multiple of 64 KiB: each is
 * a run of one-byte instructions that copy the same 64 KiB. */
static inline struct pack pack_bomb(unsigned count, uint64_t size, bool as_chain)
{
    struct pack p = pack_begin();
    char *zeros = calloc(1, 0x10000);
    uint64_t base, base_size = 0x10000;

    assert_non_null(zeros);
    base = pack_plain(&p, OBJ_BLOB, (str){zeros, 0x10000});
    free(zeros);
    for (unsigned i = 0; i < count; i++) {
        struct buf d = delta_begin(base_size, size);

        for (uint64_t n = 0; n < size; n += 0x10000)
            delta_copy(&d, 0, 0x10000);
        if (as_chain || i == 0) {
            base = pack_ofs(&p, base, d);
            base_size = size;
        } else {
            (void)pack_ofs(&p, base, d);
        }
    }
    pack_end(&p);
    return p;
}
