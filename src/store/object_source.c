/* object_source.c — a git blob as a response body, inflated as it leaves. */
#include "store/object.h"
#include <stdlib.h>
#include <zlib.h>

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

err object_source(struct odb *o, struct arena *a, oid id, uint64_t first, uint64_t count,
                  struct source **ret)
{
    struct object_source *s = calloc(1, sizeof *s);

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
    *ret = &s->base;
    return OK;
}
