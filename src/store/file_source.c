/* file_source.c — giving out contents: content_source and content_read of file.h.
 *
 *     file_part row ──terms──▶ xorb ──chunks──▶ parts of a fill
 *                                               stored chunk, xorb verified: a range of its file
 *                                               otherwise: decoded, checked, copied
 *
 * One fill stays within one xorb, whose reference is kept until the next fill, because the parts
 * point at its descriptor.  Between fills a source holds at most one row of terms (16 KiB) and,
 * once something had to be decoded, OUT_BYTES.
 */
#include "store/file.h"
#include "store/xorb.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OUT_BYTES CHUNK_MAX
#define STREAM_MAGIC 0x73747265u
_Static_assert(OUT_BYTES <= SOURCE_BYTES_MAX, "a fill gives at most this many bytes");

/* The index names the row, and the row says itself whose terms these are: a damaged index gives no
 * other content. */
static const struct sql PART =
    SQL_INIT("SELECT t.first, t.terms, t.file_id, i.first FROM file_part AS i LEFT JOIN file_part "
             "AS t ON t.id = i.id WHERE i.file_id = ?1 AND i.first <= ?2 ORDER BY i.first DESC "
             "LIMIT 1");

struct stream {
    struct source source; /* first, so that it is a source */
    unsigned magic;
    struct store *store;
    struct arena *a;
    int64_t file_id;
    uint64_t at, end; /* of the file: what is still to be given */
    char *packed;     /* terms of the current row; heap */
    struct term_list list;
    uint64_t part_first; /* offset of the row in the file */
    struct xorb *xorb;   /* of the last fill */
    bool trusted;        /* its bytes may leave unseen */
    char *out;           /* decoded bytes of the last fill */
    size_t out_used;
    struct source_out *ready; /* the first fill, until it is asked for */
};

/* --- terms --- */

static err read_part(struct stream *s)
{
    AUTO_STMT struct db_stmt *q = NULL;
    str packed;

    TRY(db_query(s->store->hub, &q, PART));
    db_bind_i64(q, 1, s->file_id);
    db_bind_i64(q, 2, (int64_t)s->at);
    if (!db_next(q))
        return db_error(q) ?: &data_corrupt;
    if (db_i64(q, 2) != s->file_id || db_i64(q, 0) != db_i64(q, 3))
        return &data_corrupt;
    packed = db_view(q, 1);
    free(s->packed);
    s->packed = malloc(packed.len + 1);
    if (!s->packed)
        abort();
    if (packed.len)
        memcpy(s->packed, packed.ptr, packed.len);
    s->part_first = (uint64_t)db_i64(q, 0);
    return term_list_open((str){s->packed, packed.len}, &s->list);
}

static err need_part(struct stream *s)
{
    if (s->packed && s->at >= s->part_first && s->at - s->part_first < s->list.size)
        return OK;
    TRY(read_part(s));
    return s->at - s->part_first < s->list.size ? OK : &data_corrupt;
}

/* --- chunks --- */

static err use_xorb(struct stream *s, int64_t id)
{
    if (s->xorb && s->xorb->id == id)
        return OK;
    xorb_unref(s->store, s->xorb);
    s->xorb = NULL;
    TRY(xorb_get(s->store, s->a, id, &s->xorb));
    s->trusted = false;
    if (!s->store->config.verify_reads && s->xorb->has_raw)
        TRY(xorb_trust(s->store, s->a, s->xorb, s->end - s->at, &s->trusted));
    return OK;
}

/* Decodes a chunk and gives `count` bytes of it from `skip` on. */
static err give_decoded(struct stream *s, struct source_out *out, uint32_t chunk, uint32_t skip,
                        uint32_t count)
{
    struct chunk_reader *r;
    str raw;
    err e;

    if (!s->out && !(s->out = malloc(OUT_BYTES)))
        abort();
    r = chunk_reader_get(s->store);
    e = xorb_chunk_read(s->store, s->a, s->xorb, chunk, r, &raw);
    if (!e) {
        memcpy(s->out + s->out_used, raw.ptr + skip, count);
        source_out_bytes(out, s->out + s->out_used, count);
        s->out_used += count;
    }
    chunk_reader_put(s->store, r);
    return e;
}

/* Gives as many of these chunks as fit; *ret_full when some did not. */
static err give_chunks(struct stream *s, struct source_out *out, const struct plan_chunks *c,
                       bool *ret_full)
{
    const struct xorb_index *x = s->xorb->index;
    uint32_t skip = c->skip, left = c->take;

    for (uint32_t i = c->first_chunk; i < c->end_chunk && left > 0; i++) {
        uint32_t room = xorb_raw_len(x, i) - skip, count = room < left ? room : left;
        enum chunk_kind kind = CHUNK_KIND_PACKED;

        if (s->trusted)
            TRY(xorb_chunk_kind(s->xorb, s->a, i, &kind));
        if (out->count == SOURCE_PARTS_MAX ||
            (kind != CHUNK_KIND_RAW && count > OUT_BYTES - s->out_used)) {
            *ret_full = true;
            return OK;
        }
        if (kind == CHUNK_KIND_RAW)
            source_out_file(out, s->xorb->fd, xorb_phys_start(x, i) + CHUNK_HEAD + skip, count);
        else
            TRY(give_decoded(s, out, i, skip, count));
        s->at += count;
        left -= count;
        skip = 0;
    }
    return OK;
}

static err fill_parts(struct stream *s, struct source_out *out)
{
    struct plan plan;
    struct plan_piece piece;
    struct plan_chunks chunks;
    uint64_t skip, count;
    bool full = false;

    TRY(need_part(s));
    skip = s->at - s->part_first;
    count = s->list.size - skip;
    if (count > s->end - s->at)
        count = s->end - s->at;
    plan_begin(&plan, &s->list, skip, count);
    while (!full && plan_next(&plan, &piece)) {
        if (out->count > 0 && piece.term.xorb_id != s->xorb->id)
            break;
        TRY(use_xorb(s, piece.term.xorb_id));
        TRY(plan_chunks(s->xorb->index, &piece, &chunks));
        TRY(give_chunks(s, out, &chunks, &full));
    }
    return out->count > 0 ? OK : err_internal(s->a, "a file row without bytes");
}

static err stream_fill(struct source *source, struct source_out *out, enum source_state *ret)
{
    struct stream *s = (struct stream *)source;
    struct arena_mark m = arena_mark(s->a);

    assert(s->magic == STREAM_MAGIC && s->at <= s->end);
    if (s->ready) {
        *out = *s->ready;
        s->ready = NULL;
    } else if (s->at < s->end) {
        s->out_used = 0;
        TRY(fill_parts(s, out));
        arena_rewind(s->a, m);
    }
    *ret = s->at < s->end ? SOURCE_MORE : SOURCE_END;
    return OK;
}

static void stream_close(struct source *source)
{
    struct stream *s = (struct stream *)source;

    assert(s->magic == STREAM_MAGIC);
    s->magic = 0;
    xorb_unref(s->store, s->xorb);
    free(s->packed);
    free(s->out);
}

err content_source(struct store *s, struct arena *a, const struct content *c, uint64_t first,
                   uint64_t count, struct source **ret)
{
    struct stream *x = arena_one(a, struct stream);

    assert(first <= c->size && count <= c->size - first);
    *x = (struct stream){
        .source = {.fill = stream_fill, .close = stream_close},
        .magic = STREAM_MAGIC,
        .store = s,
        .a = a,
        .file_id = c->file_id,
        .at = first,
        .end = first + count,
    };
    /* The first fill happens here, so that damage answers 500 instead of half a body. */
    if (count > 0) {
        err e;

        x->ready = arena_one(a, struct source_out);
        e = fill_parts(x, x->ready);
        if (e) {
            stream_close(&x->source);
            return e;
        }
    }
    *ret = &x->source;
    return OK;
}

/* --- reading a piece into memory --- */

static err copy_parts(struct arena *a, const struct source_out *out, char *dst, size_t *used)
{
    for (size_t i = 0; i < out->count; i++) {
        const struct source_part *p = &out->part[i];

        if (p->fd < 0)
            memcpy(dst + *used, p->ptr, p->len);
        else if (pread_full(p->fd, dst + *used, p->len, p->offset) != (ssize_t)p->len)
            return err_os(a, "pread", "xorb");
        *used += p->len;
    }
    return OK;
}

err content_read(struct store *s, struct arena *a, const struct content *c, uint64_t first,
                 size_t count, str *ret)
{
    struct source *source;
    struct source_out out;
    enum source_state state = SOURCE_MORE;
    size_t used = 0;
    char *dst;
    err e = OK;

    if (first > c->size)
        first = c->size;
    if (count > c->size - first)
        count = (size_t)(c->size - first);
    dst = arena_alloc(a, count + 1);
    TRY(content_source(s, a, c, first, count, &source));
    while (!e && state == SOURCE_MORE) {
        out.count = 0;
        e = source->fill(source, &out, &state);
        if (!e)
            e = copy_parts(a, &out, dst, &used);
    }
    source->close(source);
    TRY(e);
    assert(used == count);
    *ret = (str){dst, count};
    return OK;
}
