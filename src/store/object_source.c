/* object_source.c — a git blob as a response body, inflated as it leaves.
 *
 * Before the first byte leaves, all of it was inflated and hashed once since the start of the
 * program: a damaged row or index answers 500 and never gives other bytes.  Which objects were
 * proved is remembered in a table of fixed size, where a later one replaces an earlier one.
 */
#include "store/internal.h"
#include "store/object.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PROOFS 16384 /* remembered; a power of two */

#define PIECE_BYTES (32u << 10) /* with one stored part and zlib's window: below 256 KiB */

struct object_source {
    struct source base;
    struct odb *odb;
    struct arena *scratch; /* one stored part */
    oid id;
    unsigned next_part;
    bool last_part, ended;
    uint64_t skip, left;
    z_stream z;
    unsigned char piece[PIECE_BYTES];
};

static err next_part(struct object_source *s)
{
    struct odb_part part;
    union { /* zlib takes its input without const and never writes to it */
        const char *in;
        unsigned char *z;
    } bytes;

    arena_reset(s->scratch);
    TRY(odb_stored(s->odb, s->scratch, s->id, s->next_part++, &part));
    bytes.in = part.bytes.ptr;
    s->z.next_in = bytes.z;
    s->z.avail_in = (unsigned)part.bytes.len;
    s->last_part = part.is_last;
    return OK;
}

/* Inflates one piece; *ret_len 0 only at the end of the stream. */
static err inflate_piece(struct object_source *s, size_t *ret_len)
{
    int rc = Z_OK;

    s->z.next_out = s->piece;
    s->z.avail_out = sizeof s->piece;
    while (s->z.avail_out == sizeof s->piece && rc != Z_STREAM_END) {
        if (s->z.avail_in == 0 && !s->last_part)
            TRY(next_part(s));
        rc = inflate(&s->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END)
            return obj_damaged(s->scratch, s->id, "zlib stream");
    }
    s->ended = rc == Z_STREAM_END;
    *ret_len = sizeof s->piece - s->z.avail_out;
    return OK;
}

static err fill(struct source *base, struct source_out *out, enum source_state *ret)
{
    struct object_source *s = (struct object_source *)(void *)base;
    size_t len = 0, from;

    while (s->left > 0 && out->count == 0) {
        if (s->ended)
            return obj_damaged(s->scratch, s->id, "shorter than its size");
        TRY(inflate_piece(s, &len));
        from = s->skip < len ? (size_t)s->skip : len;
        s->skip -= from;
        len -= from;
        if (len > s->left)
            len = (size_t)s->left;
        s->left -= len;
        source_out_bytes(out, s->piece + from, len);
    }
    *ret = s->left > 0 ? SOURCE_MORE : SOURCE_END;
    return OK;
}

static void close_source(struct source *base)
{
    struct object_source *s = (struct object_source *)(void *)base;

    inflateEnd(&s->z);
    arena_free(s->scratch);
    free(s);
}

/* --- is it what its name says? --- */

struct object_proofs {
    atomic_uint_fast64_t slots[PROOFS]; /* 0: empty */
};

struct object_proofs *object_proofs_new(void)
{
    struct object_proofs *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    return p;
}

void object_proofs_free(struct object_proofs *p)
{
    free(p);
}

static uint64_t proof_of(int64_t repo_id, oid id)
{
    uint64_t x;

    memcpy(&x, id.b, sizeof x);
    x ^= (uint64_t)repo_id * 0x9e3779b97f4a7c15ull;
    return x ? x : 1;
}

/* Inflates and hashes all of it, in the memory of the source. */
static err prove(struct object_source *s, struct arena *a, uint64_t size)
{
    struct hasher *h = sha1_new();
    str head = arena_printf(a, "blob %llu", (unsigned long long)size);
    uint64_t seen = 0;
    size_t len = 1;
    err e = OK;

    hasher_add(h, head.ptr, head.len + 1);
    while (!e && !s->ended && seen <= size) {
        e = inflate_piece(s, &len);
        if (!e)
            hasher_add(h, s->piece, len);
        seen += len;
    }
    if (!sha1_eq(sha1_end(h), s->id) && !e)
        e = obj_damaged(a, s->id, "its content or size is not what its name says");
    s->next_part = 0;
    s->last_part = s->ended = false;
    s->z.avail_in = 0;
    return e ? err_copy(a, e) : inflateReset(&s->z) == Z_OK ? OK : err_internal(a, "inflateReset");
}

static err prove_once(struct object_source *s, struct arena *a, uint64_t size)
{
    struct object_proofs *proofs;
    int64_t repo_id;
    uint64_t proof;

    object_odb_of(s->odb, &proofs, &repo_id);
    proof = proof_of(repo_id, s->id) ^ size << 1;
    if (atomic_load(&proofs->slots[proof % PROOFS]) == proof)
        return OK;
    TRY(prove(s, a, size));
    atomic_store(&proofs->slots[proof % PROOFS], proof);
    return OK;
}

err object_source(struct odb *o, struct arena *a, oid id, uint64_t size, uint64_t first,
                  uint64_t count, struct source **ret)
{
    struct object_source *s = calloc(1, sizeof *s);
    err e;

    if (!s)
        abort();
    s->base.fill = fill;
    s->base.close = close_source;
    s->odb = o;
    s->id = id;
    s->skip = first;
    s->left = count;
    s->scratch = arena_new(0);
    if (inflateInit(&s->z) != Z_OK) {
        close_source(&s->base);
        return err_internal(a, "inflateInit");
    }
    e = prove_once(s, a, size);
    if (e) {
        close_source(&s->base);
        return e;
    }
    *ret = &s->base;
    return OK;
}
