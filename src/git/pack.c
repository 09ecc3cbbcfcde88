/* pack.c — see pack.h. */
#include "git/pack.h"
#include <assert.h>

void pack_writer_init(struct pack_writer *w, struct oid_list *ids)
{
    *w = (struct pack_writer){.ids = *ids, .sha = sha1_new()};
    *ids = (struct oid_list){0};
}

void pack_writer_deinit(struct pack_writer *w)
{
    oid_list_free(&w->ids);
    hasher_free(w->sha);
    w->sha = NULL;
}

size_t pack_object_head(enum obj_type type, uint64_t size, unsigned char ret[10])
{
    size_t n = 0;
    unsigned c = (unsigned)type << 4 | (unsigned)(size & 15);

    for (size >>= 4; size > 0; size >>= 7) {
        ret[n++] = (unsigned char)(c | 0x80);
        c = (unsigned)(size & 0x7f);
    }
    ret[n++] = (unsigned char)c;
    return n;
}

static void emit(struct pack_writer *w, struct buf *out, str bytes)
{
    hasher_add(w->sha, bytes.ptr, bytes.len);
    buf_add(out, bytes);
    if (w->index)
        pack_index_bytes(w->index, bytes);
}

static void emit_start(struct pack_writer *w, struct buf *out)
{
    size_t n = w->ids.count;
    char head[12] = {'P', 'A', 'C', 'K', 0, 0, 0, 2};

    assert(n <= UINT32_MAX);
    for (int i = 0; i < 4; i++)
        head[8 + i] = (char)(unsigned char)(n >> (24 - 8 * i));
    emit(w, out, (str){head, sizeof head});
    w->is_started = true;
}

static void emit_end(struct pack_writer *w, struct buf *out)
{
    sha1 sum = sha1_end(w->sha);

    w->sha = NULL;
    buf_add(out, (str){(const char *)sum.b, sizeof sum.b});
    w->is_done = true;
}

static err emit_part(struct pack_writer *w, struct odb *o, struct arena *scratch, struct buf *out)
{
    struct odb_part part;

    TRY(odb_stored(o, scratch, w->ids.ids[w->next_id], w->next_part, &part));
    if (w->next_part == 0) {
        unsigned char head[10];
        size_t n = pack_object_head(part.type, part.size, head);

        if (w->index)
            pack_index_object(w->index, w->ids.ids[w->next_id]);
        emit(w, out, (str){(const char *)head, n});
    }
    emit(w, out, part.bytes);
    w->next_part = part.is_last ? 0 : w->next_part + 1;
    w->next_id += part.is_last;
    return OK;
}

err pack_writer_step(struct pack_writer *w, struct odb *o, struct arena *scratch, struct buf *out)
{
    size_t start = out->len;

    assert(w->sha && !w->is_done);
    if (!w->is_started)
        emit_start(w, out);
    while (w->next_id < w->ids.count && out->len - start < PACK_PIECE) {
        struct arena_mark m = arena_mark(scratch);

        TRY(emit_part(w, o, scratch, out));
        arena_rewind(scratch, m);
        if (out->full)
            return err_internal(scratch, "the buffer of a pack is too small");
    }
    if (w->next_id == w->ids.count && out->len - start < PACK_PIECE)
        emit_end(w, out);
    return OK;
}
