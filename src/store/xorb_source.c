/* xorb_source.c — see xorb_source.h. */
#include "store/xorb_source.h"
#include "store/xorb.h"
#include <assert.h>
#include <string.h>

#define OUT_BYTES SOURCE_BYTES_MAX
#define TEXT_BYTES 4096 /* of heads, kept free of OUT_BYTES in one fill */
#define SLICES_MAGIC 0x736c6963u

static const struct sql GENERATION = SQL_INIT("SELECT generation FROM xorb WHERE id = ?1");

struct slices {
    struct source source; /* first, so that it is a source */
    unsigned magic;
    struct store *store;
    struct arena *a;
    struct xorb *xorb;
    bool trusted; /* its bytes may leave unseen */
    const struct xorb_slice *slice;
    size_t count, next; /* slice[next] is being given */
    uint64_t at;        /* how much of it was given */
    str tail;
    char *out; /* copied records of the last fill */
    size_t out_used;
    struct source_out *ready; /* the first fill, until it is asked for */
};

/* --- records --- */

/* The chunk whose record holds this byte of the body. */
static uint32_t chunk_at(const struct xorb_index *x, uint64_t offset)
{
    uint32_t low = 0, high = x->count - 1;

    while (low < high) { /* the first record that ends behind it */
        uint32_t mid = low + (high - low) / 2;

        if (x->phys_end[mid] > offset)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Copies what `room` takes of the slice, record by record; the last one is cut and read again in
 * the next fill only when it is alone. */
static err copy_records(struct slices *x, struct source_out *out, size_t room)
{
    const struct xorb_slice *s = &x->slice[x->next];
    const struct xorb_index *index = x->xorb->index;
    struct chunk_reader *r = chunk_reader_get(x->store);
    uint64_t from = s->first + x->at, end = s->first + s->count;
    size_t used = 0;
    err e = OK;

    for (uint32_t i = chunk_at(index, from); !e && from < end; i++) {
        uint64_t start = xorb_phys_start(index, i), stop = index->phys_end[i];
        size_t count = (size_t)((stop < end ? stop : end) - from);
        str record;

        if (count > room - used && used > 0)
            break;
        if (count > room)
            count = room;
        e = xorb_record_read(x->store, x->a, x->xorb, i, r, &record);
        if (e)
            break;
        memcpy(x->out + x->out_used + used, record.ptr + (from - start), count);
        used += count;
        from += count;
        if (from < stop)
            break; /* cut by the room, or the end of the slice */
    }
    chunk_reader_put(x->store, r);
    TRY(e);
    source_out_bytes(out, x->out + x->out_used, used);
    x->out_used += used;
    x->at += used;
    return OK;
}

static err fill_parts(struct slices *x, struct source_out *out)
{
    size_t text = 0;

    x->out_used = 0;
    while (x->next < x->count && out->count + 2 <= SOURCE_PARTS_MAX) {
        const struct xorb_slice *s = &x->slice[x->next];

        if (text + s->head.len > TEXT_BYTES && text > 0)
            return OK;
        if (x->at == 0) {
            source_out_bytes(out, s->head.ptr, s->head.len);
            text += s->head.len;
        }
        if (x->trusted) {
            source_out_file(out, x->xorb->fd, s->first, s->count);
            x->at = s->count;
        } else {
            TRY(copy_records(x, out, OUT_BYTES - TEXT_BYTES - x->out_used));
        }
        if (x->at < s->count)
            return OK;
        x->next++;
        x->at = 0;
        if (!x->trusted && x->out_used > (OUT_BYTES - TEXT_BYTES) / 2)
            return OK;
    }
    return OK;
}

/* --- the source --- */

static err slices_fill(struct source *source, struct source_out *out, enum source_state *ret)
{
    struct slices *x = (struct slices *)source;
    struct arena_mark m = arena_mark(x->a);

    assert(x->magic == SLICES_MAGIC);
    if (x->ready) {
        *out = *x->ready;
        x->ready = NULL;
    } else {
        TRY(fill_parts(x, out));
        arena_rewind(x->a, m);
    }
    if (x->next == x->count && out->count < SOURCE_PARTS_MAX) {
        source_out_bytes(out, x->tail.ptr, x->tail.len);
        *ret = SOURCE_END;
    } else {
        *ret = SOURCE_MORE;
    }
    return OK;
}

static void slices_close(struct source *source)
{
    struct slices *x = (struct slices *)source;

    assert(x->magic == SLICES_MAGIC);
    x->magic = 0;
    xorb_unref(x->store, x->xorb);
    free(x->out);
}

static err begin(struct slices *x)
{
    uint64_t total = 0;

    for (size_t i = 0; i < x->count; i++) {
        assert(x->slice[i].count > 0 && x->slice[i].first < xorb_body_len(x->xorb->index) &&
               x->slice[i].count <= xorb_body_len(x->xorb->index) - x->slice[i].first);
        assert(x->slice[i].head.len <= TEXT_BYTES);
        total += x->slice[i].count;
    }
    if (!x->store->config.verify_reads)
        TRY(xorb_trust(x->store, x->a, x->xorb, total, &x->trusted));
    if (!x->trusted)
        x->out = need(malloc(OUT_BYTES));
    x->ready = arena_one(x->a, struct source_out);
    return fill_parts(x, x->ready);
}

err xorb_source(struct store *s, struct arena *a, struct xorb *x, const struct xorb_slice *slices,
                size_t count, str tail, struct source **ret)
{
    struct slices *src = arena_one(a, struct slices);
    err e;

    *src = (struct slices){
        .source = {.fill = slices_fill, .close = slices_close},
        .magic = SLICES_MAGIC,
        .store = s,
        .a = a,
        .xorb = x,
        .slice = slices,
        .count = count,
        .tail = tail,
    };
    e = begin(src); /* the first fill happens here, so that damage answers 500 */
    if (e) {
        slices_close(&src->source);
        return e;
    }
    *ret = &src->source;
    return OK;
}

/* --- links --- */

static err has_generation(struct store *s, const struct xorb_link *l, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->hub, &q, GENERATION));
    db_bind_i64(q, 1, l->id);
    *ret = db_next(q) && db_i64(q, 0) == l->generation;
    return db_error(q);
}

err xorb_link_open(struct store *s, struct arena *a, const struct xorb_link *l, struct xorb **ret,
                   uint64_t *ret_size)
{
    struct xorb *x;
    err e = xorb_get(s, a, l->id, &x);

    *ret = NULL;
    if (e) { /* a row that is gone or was replaced is no damage of what the link means */
        bool there = true;

        if (e->code == data_corrupt.code)
            TRY(has_generation(s, l, &there));
        return there ? e : OK;
    }
    *ret_size = xorb_body_len(x->index);
    if (x->generation == l->generation && l->first <= l->last && l->last < *ret_size)
        *ret = x;
    else
        xorb_unref(s, x);
    return OK;
}

void xorb_link_close(struct store *s, struct xorb *x)
{
    xorb_unref(s, x);
}
