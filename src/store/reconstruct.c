/* reconstruct.c — see reconstruct.h.
 *
 * The rows of terms are read in one transaction, those of the xorbs in another; no file is read in
 * either.  When a xorb was rewritten in between, its opened index tells what holds now.
 */
#include "store/reconstruct.h"
#include "store/xorb.h"
#include <assert.h>
#include <string.h>

#define IDS_PER_QUERY 16

struct recon_edge { /* which bytes of the first and the last term of a file are wanted */
    uint32_t first_skip, last_take;
    uint32_t last_skip; /* differs from 0 only when there is one term */
};

static const struct sql PARTS =
    SQL_INIT("SELECT first, terms FROM file_part WHERE file_id = ?1 AND first < ?3 AND first >= "
             "(SELECT max(first) FROM file_part WHERE file_id = ?1 AND first <= ?2) "
             "ORDER BY first");
static const struct sql XORBS =
    SQL_INIT("SELECT id, hash, generation, chunk_count, raw_bytes, disk_bytes, state FROM xorb "
             "WHERE id IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)");

static const struct err_info too_many = {
    400,
    NULL,
    STR_INIT("This file is made of more pieces than one answer holds; ask for less of it with a "
             "Range header."),
    NULL,
    {0}};

/* --- memory --- */

static void *grow(void *items, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 64;
    return need(realloc(items, *room * size));
}

static void release(void *p)
{
    struct reconstruction *rc = p;

    free(rc->files);
    free(rc->edges);
    free(rc->terms);
    free(rc->ranges);
    free(rc->xorbs);
    free(rc->slots);
}

struct reconstruction *reconstruction_new(struct arena *a)
{
    struct reconstruction *rc = arena_one(a, struct reconstruction);

    arena_defer(a, release, rc);
    return rc;
}

/* --- which xorbs --- */

static size_t slot_of(const struct reconstruction *rc, int64_t id)
{
    size_t at = (size_t)((uint64_t)id * 0x9E3779B97F4A7C15ull >> 20) & (rc->slot_count - 1);

    while (rc->slots[at] && rc->xorbs[rc->slots[at] - 1].id != id)
        at = (at + 1) & (rc->slot_count - 1);
    return at;
}

static void more_slots(struct reconstruction *rc)
{
    free(rc->slots);
    rc->slot_count = rc->slot_count ? rc->slot_count * 2 : 64;
    rc->slots = need(calloc(rc->slot_count, sizeof *rc->slots));
    for (size_t i = 0; i < rc->xorb_count; i++)
        rc->slots[slot_of(rc, rc->xorbs[i].id)] = (uint32_t)i + 1;
}

/* Index of the xorb with this id, added when it is new. */
static uint32_t xorb_of(struct reconstruction *rc, int64_t id)
{
    size_t at;

    if (rc->term_count > 0 && rc->xorbs[rc->terms[rc->term_count - 1].xorb].id == id)
        return rc->terms[rc->term_count - 1].xorb;
    if (rc->xorb_count * 2 >= rc->slot_count)
        more_slots(rc);
    at = slot_of(rc, id);
    if (rc->slots[at] == 0) {
        rc->xorbs = grow(rc->xorbs, &rc->xorb_room, rc->xorb_count, sizeof *rc->xorbs);
        rc->xorbs[rc->xorb_count] = (struct recon_xorb){.id = id};
        rc->slots[at] = (uint32_t)++rc->xorb_count;
    }
    return rc->slots[at] - 1;
}

/* --- terms --- */

struct adding {
    struct reconstruction *rc;
    const struct content *content;
    uint64_t first, end; /* of the file: what is still wanted */
};

static err add_pieces(struct adding *x, uint64_t part_first, const struct term_list *list)
{
    struct reconstruction *rc = x->rc;
    struct recon_file *f = &rc->files[rc->file_count];
    struct recon_edge *edge = &rc->edges[rc->file_count];
    uint64_t skip = x->first - part_first, count = list->size - skip;
    struct plan plan;
    struct plan_piece p;

    if (count > x->end - x->first)
        count = x->end - x->first;
    plan_begin(&plan, list, skip, count);
    while (plan_next(&plan, &p)) {
        uint32_t xorb;

        if (rc->term_count == RECONSTRUCT_TERMS_MAX)
            return &too_many;
        xorb = xorb_of(rc, p.term.xorb_id);
        rc->terms = grow(rc->terms, &rc->term_room, rc->term_count, sizeof *rc->terms);
        rc->terms[rc->term_count++] = (struct recon_term){
            xorb, (uint16_t)p.term.first_chunk, (uint16_t)p.term.end_chunk, p.term.raw_len};
        if (f->term_count++ == 0)
            edge->first_skip = p.skip;
        edge->last_skip = p.skip;
        edge->last_take = p.take;
    }
    x->first += count;
    return OK;
}

static err add_fn(struct db *tx, void *arg)
{
    struct adding *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, PARTS));
    db_bind_i64(q, 1, x->content->file_id);
    db_bind_i64(q, 2, (int64_t)x->first);
    db_bind_i64(q, 3, (int64_t)x->end);
    while (x->first < x->end && db_next(q)) {
        uint64_t part_first = (uint64_t)db_i64(q, 0);
        struct term_list list;

        TRY(term_list_open(db_view(q, 1), &list));
        if (x->first < part_first || x->first - part_first >= list.size)
            return &data_corrupt;
        TRY(add_pieces(x, part_first, &list));
    }
    TRY(db_error(q));
    return x->first == x->end ? OK : &data_corrupt;
}

err reconstruction_add(struct store *s, struct reconstruction *rc, const struct content *c,
                       uint64_t first, uint64_t count)
{
    struct adding x = {rc, c, first, first + count};
    size_t room = rc->file_room;

    assert(first <= c->size && count <= c->size - first && !rc->ranges);
    rc->files = grow(rc->files, &rc->file_room, rc->file_count, sizeof *rc->files);
    rc->edges = grow(rc->edges, &room, rc->file_count, sizeof *rc->edges);
    rc->files[rc->file_count] = (struct recon_file){.first_term = (uint32_t)rc->term_count};
    rc->edges[rc->file_count] = (struct recon_edge){0};
    if (count > 0)
        TRY(db_read(s->hub, add_fn, &x));
    rc->file_count++;
    return OK;
}

/* --- rows of xorbs --- */

static err read_xorb(const struct reconstruction *rc, struct db_stmt *q)
{
    struct recon_xorb *x = &rc->xorbs[rc->slots[slot_of(rc, db_i64(q, 0))] - 1];

    x->generation = db_i64(q, 2);
    x->chunk_count = (uint32_t)db_i64(q, 3);
    x->raw_bytes = (uint32_t)db_i64(q, 4);
    x->disk_bytes = (uint32_t)db_i64(q, 5);
    if (!db_hash(q, 1, x->hash.b, sizeof x->hash.b) || str_eq(db_view(q, 6), STR("damaged")) ||
        x->chunk_count == 0 || x->chunk_count > XORB_CHUNKS_MAX)
        return &data_corrupt;
    return OK;
}

/* A condemned xorb still serves; one that is gone or damaged does not. */
static err xorbs_fn(struct db *tx, void *arg)
{
    const struct reconstruction *rc = arg;

    for (size_t i = 0; i < rc->xorb_count; i += IDS_PER_QUERY) {
        size_t count = rc->xorb_count - i, found = 0;
        AUTO_STMT struct db_stmt *q = NULL;

        if (count > IDS_PER_QUERY)
            count = IDS_PER_QUERY;
        TRY(db_query(tx, &q, XORBS));
        for (size_t j = 0; j < IDS_PER_QUERY; j++)
            db_bind_i64(q, (int)j + 1, rc->xorbs[i + (j < count ? j : 0)].id);
        for (; db_next(q); found++)
            TRY(read_xorb(rc, q));
        TRY(db_error(q));
        if (found != count)
            return &data_corrupt;
    }
    return OK;
}

/* --- trimming --- */

/* The rows may be older than the file that was opened. */
static err open_xorb(struct store *s, struct arena *a, struct recon_xorb *r, struct xorb **ret)
{
    struct xorb *x;

    TRY(xorb_get(s, a, r->id, &x));
    r->generation = x->generation;
    r->disk_bytes = xorb_body_len(x->index);
    r->chunk_count = x->index->count;
    r->raw_bytes = x->index->raw_end[x->index->count - 1];
    *ret = x;
    return OK;
}

static err trim(struct store *s, struct arena *a, struct reconstruction *rc, struct recon_term *t,
                uint32_t skip, uint32_t take, uint32_t *ret_skip)
{
    struct plan_piece p = {
        .term = {rc->xorbs[t->xorb].id, t->first_chunk, t->end_chunk, t->raw_len},
        .skip = skip,
        .take = take};
    struct plan_chunks c;
    struct xorb *x;
    err e;

    *ret_skip = 0;
    if (skip == 0 && take == t->raw_len)
        return OK;
    TRY(open_xorb(s, a, &rc->xorbs[t->xorb], &x));
    e = plan_chunks(x->index, &p, &c);
    xorb_unref(s, x);
    TRY(e);
    t->first_chunk = (uint16_t)c.first_chunk;
    t->end_chunk = (uint16_t)c.end_chunk;
    t->raw_len = c.raw_len;
    *ret_skip = c.skip;
    return OK;
}

static err trim_file(struct store *s, struct arena *a, struct reconstruction *rc, size_t i)
{
    struct recon_file *f = &rc->files[i];
    const struct recon_edge *edge = &rc->edges[i];
    struct recon_term *first, *last;
    uint32_t none;

    if (f->term_count == 0)
        return OK;
    first = &rc->terms[f->first_term];
    last = first + f->term_count - 1;
    if (f->term_count == 1)
        return trim(s, a, rc, first, edge->first_skip, edge->last_take, &f->skip);
    assert(edge->last_skip == 0);
    TRY(trim(s, a, rc, first, edge->first_skip, first->raw_len - edge->first_skip, &f->skip));
    return trim(s, a, rc, last, 0, edge->last_take, &none);
}

/* --- ranges --- */

static int by_place(const void *x, const void *y)
{
    const struct recon_range *a = x, *b = y;

    if (a->xorb != b->xorb)
        return a->xorb < b->xorb ? -1 : 1;
    if (a->first_chunk != b->first_chunk)
        return a->first_chunk < b->first_chunk ? -1 : 1;
    return (a->end_chunk > b->end_chunk) - (a->end_chunk < b->end_chunk);
}

/* Joins a range to the one before it.  While ranges are made, first_byte is the raw length that
 * their terms claim, 0 when overlaps make that unknown: it is compared with the index. */
static void join(struct recon_range *last, const struct recon_range *r)
{
    if (last->end_chunk == r->first_chunk && last->first_byte)
        last->first_byte += r->first_byte;
    else
        last->first_byte = 0;
    if (last->end_chunk < r->end_chunk)
        last->end_chunk = r->end_chunk;
}

/* All that the terms need, sorted, without overlap. */
static void merge(struct reconstruction *rc)
{
    struct recon_range *r = need(calloc(rc->term_count + 1, sizeof *r)), before = {0}, now;
    size_t kept = 0;

    for (size_t i = 0; i < rc->term_count; i++)
        r[i] = (struct recon_range){rc->terms[i].xorb, rc->terms[i].first_chunk,
                                    rc->terms[i].end_chunk, rc->terms[i].raw_len, 0};
    qsort(r, rc->term_count, sizeof *r, by_place);
    for (size_t i = 0; i < rc->term_count; i++) {
        struct recon_range *last = kept ? &r[kept - 1] : NULL;

        now = r[i];
        if (!last || last->xorb != now.xorb || last->end_chunk < now.first_chunk)
            r[kept++] = now;
        else if (by_place(&before, &now) != 0 || before.first_byte != now.first_byte)
            join(last, &now);
        before = now;
    }
    for (size_t i = kept; i-- > 0;) {
        rc->xorbs[r[i].xorb].first_range = (uint32_t)i;
        rc->xorbs[r[i].xorb].range_count++;
    }
    rc->ranges = r;
    rc->range_count = kept;
}

static err place_one(const struct xorb_index *x, struct recon_range *r)
{
    if (r->end_chunk > x->count ||
        (r->first_byte &&
         r->first_byte != x->raw_end[r->end_chunk - 1] - xorb_raw_start(x, r->first_chunk)))
        return &data_corrupt;
    r->first_byte = xorb_phys_start(x, r->first_chunk);
    r->end_byte = x->phys_end[r->end_chunk - 1];
    return OK;
}

static err place_by_index(struct store *s, struct arena *a, struct reconstruction *rc,
                          struct recon_xorb *x)
{
    struct xorb *opened;
    err e = OK;

    TRY(open_xorb(s, a, x, &opened));
    for (uint32_t i = 0; !e && i < x->range_count; i++)
        e = place_one(opened->index, &rc->ranges[x->first_range + i]);
    xorb_unref(s, opened);
    return e;
}

static err place(struct store *s, struct arena *a, struct reconstruction *rc, struct recon_xorb *x)
{
    struct recon_range *r = &rc->ranges[x->first_range];

    assert(x->range_count > 0);
    if (r->first_chunk > 0 || r->end_chunk != x->chunk_count)
        return place_by_index(s, a, rc, x);
    if (x->disk_bytes == 0 || (r->first_byte && r->first_byte != x->raw_bytes))
        return &data_corrupt;
    r->first_byte = 0;
    r->end_byte = x->disk_bytes;
    return OK;
}

err reconstruction_end(struct store *s, struct arena *a, struct reconstruction *rc)
{
    assert(!rc->ranges);
    if (rc->xorb_count > 0)
        TRY(db_read(s->hub, xorbs_fn, rc));
    for (size_t i = 0; i < rc->file_count; i++)
        TRY(trim_file(s, a, rc, i));
    merge(rc);
    for (size_t i = 0; i < rc->xorb_count; i++) {
        struct arena_mark m = arena_mark(a);

        TRY(place(s, a, rc, &rc->xorbs[i]));
        arena_rewind(a, m);
    }
    return OK;
}
