/* compact.c — the compact step of gc: xorbs under 4 MiB are packed together, and of xorbs of which
 * less than 30 % of the chunks are in use the rest is left behind.
 *
 *   a window of xorbs ─▶ which chunks do terms use? ─▶ picked ones, in order of age
 *     ─▶ chunks copied as they are stored, each checked ─▶ a new xorb, durable
 *     ─▶ its row ─▶ contents and keys swapped (compact_swap.c)
 *
 * The old xorbs keep their leases; when those are over they go the way of all xorbs that no content
 * needs.  So whoever reads by old terms, or was promised an old xorb, finds it.
 */
#include "store/compact.h"
#include <assert.h>
#include <string.h>

#define WINDOW 1024 /* xorbs whose use is looked up together: 1 MiB of bits */

static const struct sql WINDOW_AT =
    SQL_INIT("SELECT id, chunk_count, disk_bytes FROM xorb WHERE id > ?1 AND state = 'live' AND "
             "created_at < ?2 AND EXISTS (SELECT 1 FROM file_xorb WHERE xorb_id = xorb.id) "
             "ORDER BY id LIMIT ?3");
static const struct sql FILES =
    SQL_INIT("SELECT file_id FROM file_xorb WHERE file_id > ?1 AND xorb_id = ?2 AND ?3 = 0 "
             "ORDER BY file_id LIMIT ?4");
static const struct sql TERMS = SQL_INIT("SELECT terms FROM file_part WHERE file_id = ?1");

struct compact {
    struct gc *g;
    struct source_xorb *window;
    size_t window_count;

    /* ids of contents whose terms were looked at for this window: open addressing, 0 empty */
    int64_t *met;
    size_t met_cap, met_count;

    /* the new xorb that is being filled */
    struct xorb_builder *builder;
    struct blob_writer *writer; /* NULL: none is begun */
    struct chunk_reader *reader;
    struct source_xorb *sources;
    size_t count;
    uint64_t old_bytes;
    bool shrinks; /* one of the sources has dead chunks enough */
};

/* --- which chunks are in use --- */

static bool meet(struct compact *c, int64_t file_id)
{
    size_t i;

    if (c->met_count * 2 >= c->met_cap) {
        int64_t *old = c->met;
        size_t old_cap = c->met_cap;

        c->met_cap = old_cap ? old_cap * 2 : 1024;
        c->met = need(calloc(c->met_cap, sizeof *c->met));
        c->met_count = 0;
        for (size_t k = 0; k < old_cap; k++)
            if (old[k])
                (void)meet(c, old[k]);
        free(old);
    }
    i = (size_t)((uint64_t)file_id * 0x9e3779b97f4a7c15u >> 20) & (c->met_cap - 1);
    for (; c->met[i]; i = (i + 1) & (c->met_cap - 1))
        if (c->met[i] == file_id)
            return false;
    c->met[i] = file_id;
    c->met_count++;
    return true;
}

static void use_term(struct compact *c, const struct term *t)
{
    struct source_xorb *x = source_find(c->window, c->window_count, t->xorb_id);

    for (uint32_t i = t->first_chunk; x && i < t->end_chunk && i < x->chunk_count; i++)
        x->live[i / 64] |= 1ull << i % 64;
}

static err use_file(struct compact *c, int64_t file_id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(c->g->store->hub, &q, TERMS));
    db_bind_i64(q, 1, file_id);
    while (db_next(q)) {
        struct term_list list;

        TRY(term_list_open(db_view(q, 0), &list));
        for (uint64_t i = 0; i < list.count; i++) {
            struct term t = term_at(&list, i);

            use_term(c, &t);
        }
    }
    return db_error(q);
}

static err use_files(struct compact *c, int64_t xorb_id)
{
    struct gc_ids page = {.count = GC_PAGE};
    int64_t last = 0;

    while (page.count == GC_PAGE) {
        TRY(gc_page(c->g->store->hub, FILES, last, xorb_id, 0, &page));
        for (size_t i = 0; i < page.count; i++) {
            err e = meet(c, page.ids[i]) ? use_file(c, page.ids[i]) : OK;

            if (e && e->code != data_corrupt.code)
                return e; /* damaged terms use nothing that could be kept */
        }
        if (page.count)
            last = page.ids[page.count - 1];
    }
    return OK;
}

static err read_window(struct compact *c, int64_t after)
{
    AUTO_STMT struct db_stmt *q = NULL;

    c->window_count = 0;
    TRY(db_query(c->g->store->hub, &q, WINDOW_AT));
    db_bind_i64(q, 1, after);
    db_bind_i64(q, 2, c->g->now_ms - c->g->options->compact_age_ms);
    db_bind_i64(q, 3, WINDOW);
    while (c->window_count < WINDOW && db_next(q)) {
        struct source_xorb *x = &c->window[c->window_count++];

        memset(x, 0, sizeof *x);
        x->id = db_i64(q, 0);
        x->chunk_count = (uint32_t)db_i64(q, 1);
        x->disk_bytes = (uint32_t)db_i64(q, 2);
        if (x->chunk_count > XORB_CHUNKS_MAX)
            c->window_count--; /* a damaged row */
    }
    return db_error(q);
}

/* --- the new xorb --- */

static err sink(void *arg, const void *p, size_t len)
{
    struct compact *c = arg;

    return blob_write(c->writer, c->g->a, p, len);
}

static void drop(struct compact *c)
{
    blob_drop(c->writer);
    c->writer = NULL;
    xorb_builder_reset(c->builder);
    c->count = 0;
    c->old_bytes = 0;
    c->shrinks = false;
}

static err begin(struct compact *c)
{
    TRY(gc_check_hold(c->g));
    TRY(store_disk_check(c->g->store, c->g->a, XORB_CUT_BODY));
    return blob_writer_new(c->g->store->blobs, c->g->a, &c->writer);
}

/* One chunk, as it is stored; what a strange encoder made longer is stored plain. */
static err copy_chunk(struct compact *c, struct xorb *x, uint32_t chunk)
{
    struct arena_mark m = arena_mark(c->g->a);
    struct chunk_packed packed;
    str raw, record;
    uint32_t at;

    TRY(xorb_record_read(c->g->store, c->g->a, x, chunk, c->reader, &record));
    memcpy(packed.head, record.ptr, CHUNK_HEAD);
    packed.payload = str_from(record, CHUNK_HEAD);
    if (packed.payload.len > xorb_raw_len(x->index, chunk)) {
        TRY(xorb_chunk_read(c->g->store, c->g->a, x, chunk, c->reader, &raw));
        chunk_head_write(packed.head,
                         (struct chunk_head){CHUNK_STORED, (uint32_t)raw.len, (uint32_t)raw.len});
        packed.payload = raw;
    }
    TRY(xorb_builder_add(c->builder, x->index->chunks[chunk], &packed, &at));
    arena_rewind(c->g->a, m);
    return OK;
}

static uint64_t live_raw(const struct source_xorb *s, const struct xorb_index *x)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < x->count; i++)
        sum += live_at(s, i) ? xorb_raw_len(x, i) : 0;
    return sum;
}

/* --- its row, and who uses it --- */

struct entering {
    struct xorb_facts facts;
    int64_t id, now_ms;
    bool kept; /* the row names our body */
};

static err enter_fn(struct db *tx, void *arg)
{
    struct entering *x = arg;
    struct xorb_row row;
    bool stored, revived;

    x->kept = false;
    TRY(xorb_row_find(tx, x->facts.hash, &row));
    x->id = row.id;
    if (row.live)
        return xorb_row_lease(tx, row.id, x->now_ms, &stored, &revived);
    x->kept = true;
    return xorb_row_put(tx, &x->facts, row.id, x->now_ms, &x->id);
}

static err put_files(struct compact *c, const struct xorb_index *index, int64_t generation)
{
    struct blob_writer *w = c->writer;
    struct arena *a = c->g->a;
    bool is_new;

    c->writer = NULL;
    TRY(blob_put(w, a, xorb_key(a, BLOB_XORB, index->hash, generation), &is_new));
    if (!is_new)
        return err_internal(a, "two xorbs of one name and generation");
    return xorb_sidecar_put(c->g->store, a, index, generation);
}

static void remove_files(struct compact *c, const struct xorb_facts *f)
{
    struct arena *a = c->g->a;

    if (blob_remove(c->g->store->blobs, a, xorb_key(a, BLOB_XORB, f->hash, f->generation)) ||
        blob_remove(c->g->store->blobs, a, xorb_key(a, BLOB_XORB_INDEX, f->hash, f->generation))) {
        /* a blob without a row, found later */
    }
}

/* Body and sidecar are durable before the row names them. */
static err enter(struct compact *c, const struct xorb_index *index, int64_t *ret_id)
{
    struct entering x = {.facts = xorb_facts_of(index, xorb_fresh_generation()),
                         .now_ms = clock_ms()};
    err e;

    TRY(put_files(c, index, x.facts.generation));
    e = db_write(c->g->store->hub, enter_fn, &x);
    if (e ? e->status != 503 : !x.kept)
        remove_files(c, &x.facts);
    TRY(e);
    *ret_id = x.id;
    return OK;
}

static err swap_in(struct compact *c, const struct xorb_index *index)
{
    struct gc_result *r = c->g->result;
    struct swap *w = need(calloc(1, sizeof *w));
    uint64_t new_bytes = xorb_body_len(index);
    err e;

    *w = (struct swap){.g = c->g, .sources = c->sources, .count = c->count, .index = index};
    w->a = arena_new(0);
    e = enter(c, index, &w->new_id);
    if (!e)
        e = compact_swap(w);
    if (e && e != &content_changed)
        e = err_copy(c->g->a, e);
    arena_free(w->a);
    free(w);
    if (e == &content_changed)
        return OK; /* the next run tries again */
    TRY(e);
    r->compacted_xorbs += c->count;
    r->compacted_into++;
    r->compacted_bytes_saved += c->old_bytes > new_bytes ? c->old_bytes - new_bytes : 0;
    return gc_tell(c->g, "xorbs packed anew", r->compacted_xorbs);
}

/* A single small xorb that is all in use is left as it is. */
static err finish(struct compact *c)
{
    struct arena_mark m = arena_mark(c->g->a);
    struct xorb_index *index;
    err e;

    if (!c->writer || c->count == 0 || (c->count == 1 && !c->shrinks)) {
        drop(c);
        return OK;
    }
    e = gc_check_hold(c->g);
    if (!e) {
        index = xorb_builder_end(c->builder);
        e = swap_in(c, index);
        xorb_index_free(index);
    }
    drop(c);
    TRY(e);
    arena_rewind(c->g->a, m);
    return OK;
}

/* --- picking --- */

static bool fits(const struct compact *c, uint32_t chunks, uint64_t raw)
{
    return c->count < COMPACT_SOURCES_MAX && xorb_builder_has_room(c->builder, chunks, raw);
}

static err copy_live(struct compact *c, const struct source_xorb *s, struct xorb *x)
{
    uint32_t chunks = live_below(s, s->chunk_count);
    struct source_xorb *mine;
    uint64_t raw;

    if (s->chunk_count != x->index->count)
        return OK;
    raw = live_raw(s, x->index);
    if (c->writer && !fits(c, chunks, raw))
        TRY(finish(c));
    if (!c->writer)
        TRY(begin(c));
    if (!fits(c, chunks, raw))
        return OK; /* more than one xorb of ours can hold: a strange client's */
    mine = &c->sources[c->count];
    *mine = *s;
    mine->base = xorb_builder_count(c->builder);
    for (uint32_t i = 0; i < x->index->count; i++)
        if (live_at(s, i))
            TRY(copy_chunk(c, x, i));
    c->count++;
    c->old_bytes += s->disk_bytes;
    return OK;
}

/* A damaged source is in quarantine afterwards; what was gathered with it is left for the next
 * run. */
static err take(struct compact *c, const struct source_xorb *s)
{
    struct xorb *x;
    err e = xorb_get(c->g->store, c->g->a, s->id, &x);

    if (!e) {
        e = copy_live(c, s, x);
        xorb_unref(c->g->store, x);
    }
    if (!e)
        return OK;
    if (e != &gc_held)
        drop(c);
    return e->code == data_corrupt.code ? OK : e;
}

static bool is_sparse(const struct source_xorb *x, uint32_t live)
{
    return (uint64_t)live * 100 < (uint64_t)x->chunk_count * COMPACT_LIVE_PERCENT;
}

static err pick(struct compact *c, const struct source_xorb *x)
{
    uint32_t live = live_below(x, x->chunk_count);
    bool sparse = is_sparse(x, live);

    if (live == 0 || (!sparse && x->disk_bytes >= COMPACT_SMALL_BYTES))
        return OK;
    if (c->g->options->dry_run) {
        c->g->result->compacted_xorbs++;
        c->g->result->compacted_bytes_saved +=
            (uint64_t)x->disk_bytes * (x->chunk_count - live) / x->chunk_count;
        return OK;
    }
    TRY(take(c, x));
    c->shrinks |= sparse && c->count > 0;
    return OK;
}

static err run(struct compact *c)
{
    int64_t last = 0;

    c->window_count = WINDOW;
    while (c->window_count == WINDOW) {
        TRY(read_window(c, last));
        if (c->window_count == 0)
            break;
        last = c->window[c->window_count - 1].id;
        if (c->met)
            memset(c->met, 0, c->met_cap * sizeof *c->met);
        c->met_count = 0;
        for (size_t i = 0; i < c->window_count; i++)
            TRY(use_files(c, c->window[i].id));
        for (size_t i = 0; i < c->window_count; i++) {
            TRY(pick(c, &c->window[i]));
            TRY(gc_tell(c->g, "xorbs packed anew", c->g->result->compacted_xorbs));
        }
    }
    return finish(c);
}

err gc_compact(struct gc *g)
{
    struct compact c = {.g = g};
    err e;

    c.window = need(calloc(WINDOW, sizeof *c.window));
    c.sources = need(calloc(COMPACT_SOURCES_MAX, sizeof *c.sources));
    c.builder = xorb_builder_new(sink, &c);
    c.reader = chunk_reader_get(g->store);
    e = run(&c);
    drop(&c);
    chunk_reader_put(g->store, c.reader);
    xorb_builder_free(c.builder);
    free(c.sources);
    free(c.window);
    free(c.met);
    return e;
}
