/* compact_swap.c — see compact.h.
 *
 * Transactions of a few contents each: a crash between them leaves some at the old xorbs, and both
 * are complete.  A transaction reads file_xorb and the terms itself, so nothing that another thread
 * registered since the planning is missed.  Runs of chunks keep their order and length, so offsets
 * in the file stay as they are and no part gets longer.
 */
#include "store/compact.h"
#include <assert.h>
#include <string.h>

#define TX_PARTS                                                                                   \
    256 /* rows of terms looked at in one transaction, when no content alone has more */

static const struct sql IS_LIVE = SQL_INIT("SELECT 1 FROM xorb WHERE id = ?1 AND state = 'live'");
static const struct sql FILES =
    SQL_INIT("SELECT file_id FROM file_xorb WHERE file_id > ?1 AND xorb_id = ?2 AND ?3 = 0 "
             "ORDER BY file_id LIMIT ?4");
static const struct sql PARTS =
    SQL_INIT("SELECT first, terms FROM file_part WHERE file_id = ?1 ORDER BY first");
static const struct sql PART_SET =
    SQL_INIT("UPDATE file_part SET terms = ?3 WHERE file_id = ?1 AND first = ?2");
static const struct sql XORBS_OF = SQL_INIT("SELECT xorb_id FROM file_xorb WHERE file_id = ?1");
static const struct sql FILE_XORB_REMOVE =
    SQL_INIT("DELETE FROM file_xorb WHERE xorb_id = ?1 AND file_id = ?2");
static const struct sql USED = SQL_INIT("SELECT 1 FROM file_xorb WHERE xorb_id = ?1 LIMIT 1");
static const struct sql KEYS =
    SQL_INIT("SELECT hash, chunk_index FROM chunk_key WHERE xorb_id = ?1");
static const struct sql KEY_MOVE =
    SQL_INIT("UPDATE chunk_key SET xorb_id = ?2, chunk_index = ?3 WHERE hash = ?1");
static const struct sql KEY_REMOVE = SQL_INIT("DELETE FROM chunk_key WHERE hash = ?1");

struct source_xorb *source_find(struct source_xorb *sources, size_t count, int64_t id)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (sources[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < count && sources[low].id == id ? &sources[low] : NULL;
}

/* --- terms --- */

/* Where the term is in the new xorb; false when that does not hold all of it. */
static bool map_term(const struct swap *w, const struct source_xorb *x, const struct term *t,
                     struct term *ret)
{
    uint32_t first = x->base + live_below(x, t->first_chunk);
    uint32_t count = t->end_chunk - t->first_chunk;

    if (t->end_chunk > x->chunk_count ||
        live_below(x, t->end_chunk) - live_below(x, t->first_chunk) != count)
        return false;
    assert(first + count <= w->index->count);
    if (w->index->raw_end[first + count - 1] - xorb_raw_start(w->index, first) != t->raw_len)
        return false; /* damaged terms: fsck's business */
    *ret = (struct term){w->new_id, first, first + count, t->raw_len};
    return true;
}

/* Appends a term, to the last one where that goes on. */
static size_t put_term(struct term *out, size_t n, struct term t, int64_t new_id)
{
    struct term *last = n ? &out[n - 1] : NULL;

    if (last && t.xorb_id == new_id && last->xorb_id == new_id &&
        last->end_chunk == t.first_chunk && last->raw_len <= UINT32_MAX - t.raw_len) {
        last->end_chunk = t.end_chunk;
        last->raw_len += t.raw_len;
        return n;
    }
    out[n] = t;
    return n + 1;
}

struct part {
    struct part *next;
    int64_t first;
    str packed;
};

/* ret->ptr NULL: nothing to change. */
static err map_part(struct swap *w, const struct part *p, str *ret)
{
    struct term_list list;
    struct term *out;
    bool changed = false;
    uint64_t size = 0;
    size_t n = 0;

    *ret = STR_NONE;
    TRY(term_list_open(p->packed, &list));
    out = arena_many(w->a, struct term, list.count + 1);
    for (uint64_t i = 0; i < list.count; i++) {
        struct term t = term_at(&list, i);
        struct source_xorb *x = source_find(w->sources, w->count, t.xorb_id);

        if (x && map_term(w, x, &t, &t))
            changed = w->moved = true;
        else if (x)
            w->named[x - w->sources] = true;
        n = put_term(out, n, t, w->new_id);
        size += t.raw_len;
    }
    assert(size == list.size && n <= list.count);
    if (changed)
        *ret = term_list_pack(w->a, out, n);
    return OK;
}

static err read_parts(struct db *tx, struct swap *w, int64_t file_id, struct part **ret,
                      size_t *ret_count)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct part *list = NULL, **tail = &list;

    *ret_count = 0;
    TRY(db_query(tx, &q, PARTS));
    db_bind_i64(q, 1, file_id);
    while (db_next(q)) {
        struct part *p = arena_one(w->a, struct part);

        *p = (struct part){NULL, db_i64(q, 0), db_blob(q, 1, w->a)};
        *tail = p;
        tail = &p->next;
        ++*ret_count;
    }
    *ret = list;
    return db_error(q);
}

static err set_part(struct db *tx, int64_t file_id, int64_t first, str packed)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, PART_SET));
    db_bind_i64(q, 1, file_id);
    db_bind_i64(q, 2, first);
    db_bind_blob(q, 3, packed);
    return db_run(q);
}

/* --- one content --- */

static err leave_sources(struct db *tx, struct swap *w, int64_t file_id)
{
    size_t *leave = arena_many(w->a, size_t, w->count), n = 0;
    int64_t changes;

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, XORBS_OF));
        db_bind_i64(q, 1, file_id);
        while (db_next(q)) {
            struct source_xorb *x = source_find(w->sources, w->count, db_i64(q, 0));

            if (x && !w->named[x - w->sources])
                leave[n++] = (size_t)(x - w->sources);
        }
        TRY(db_error(q));
    }
    for (size_t i = 0; i < n; i++)
        TRY(gc_exec(tx, FILE_XORB_REMOVE, w->sources[leave[i]].id, file_id, &changes));
    return w->moved ? file_xorb_add(tx, file_id, w->new_id) : OK;
}

static err swap_file(struct db *tx, struct swap *w, int64_t file_id, size_t *ret_parts)
{
    struct arena_mark m = arena_mark(w->a);
    struct part *parts;

    memset(w->named, 0, sizeof w->named);
    w->moved = false;
    TRY(read_parts(tx, w, file_id, &parts, ret_parts));
    for (struct part *p = parts; p; p = p->next) {
        str packed;

        TRY(map_part(w, p, &packed));
        if (packed.ptr)
            TRY(set_part(tx, file_id, p->first, packed));
    }
    TRY(leave_sources(tx, w, file_id));
    arena_rewind(w->a, m);
    return OK;
}

static err has_row(struct db *db, struct sql sql, int64_t id, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, id);
    *ret = db_next(q);
    return db_error(q);
}

static err swap_fn(struct db *tx, void *arg)
{
    struct swap *w = arg;
    size_t parts = 0;
    bool live;

    w->done = w->from;
    TRY(has_row(tx, IS_LIVE, w->new_id, &live));
    if (!live)
        return &content_changed; /* found damaged already */
    while (w->done < w->files.count && parts < TX_PARTS) {
        size_t n;

        TRY(swap_file(tx, w, w->files.ids[w->done++], &n));
        parts += n;
    }
    return OK;
}

static err swap_files(struct swap *w, int64_t source_id)
{
    int64_t last = 0;

    w->files.count = GC_PAGE;
    while (w->files.count == GC_PAGE) {
        TRY(gc_page(w->g->store->hub, FILES, last, source_id, 0, &w->files));
        if (w->files.count == 0)
            break;
        last = w->files.ids[w->files.count - 1];
        for (w->from = 0; w->from < w->files.count; w->from = w->done)
            TRY(db_write(w->g->store->hub, swap_fn, w));
    }
    return OK;
}

/* --- keys --- */

struct key {
    struct key *next;
    chunk_hash hash;
    uint32_t chunk;
};

static err read_keys(struct db *tx, struct arena *a, int64_t xorb_id, struct key **ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = NULL;
    TRY(db_query(tx, &q, KEYS));
    db_bind_i64(q, 1, xorb_id);
    while (db_next(q)) {
        struct key *k = arena_one(a, struct key);

        k->chunk = (uint32_t)db_i64(q, 1);
        if (!db_hash(q, 0, k->hash.b, sizeof k->hash.b))
            continue;
        k->next = *ret;
        *ret = k;
    }
    return db_error(q);
}

static err set_key(struct db *tx, const struct swap *w, const struct source_xorb *x,
                   const struct key *k, bool used)
{
    bool moves = k->chunk < x->chunk_count && live_at(x, k->chunk);
    AUTO_STMT struct db_stmt *q = NULL;

    if (!moves && used)
        return OK;
    TRY(db_query(tx, &q, moves ? KEY_MOVE : KEY_REMOVE));
    db_bind_hash(q, 1, k->hash);
    if (moves) {
        db_bind_i64(q, 2, w->new_id);
        db_bind_i64(q, 3, x->base + live_below(x, k->chunk));
    }
    return db_run(q);
}

/* Keys of a source point at the new xorb; those of dead chunks go, so that nothing new holds on to
 * the old one, unless a content still does. */
static err keys_fn(struct db *tx, void *arg)
{
    struct swap *w = arg;
    const struct source_xorb *x = source_find(w->sources, w->count, w->source_id);
    struct arena_mark m = arena_mark(w->a);
    struct key *keys;
    bool used;

    TRY(has_row(tx, USED, x->id, &used));
    TRY(read_keys(tx, w->a, x->id, &keys));
    for (const struct key *k = keys; k; k = k->next)
        TRY(set_key(tx, w, x, k, used));
    arena_rewind(w->a, m);
    return OK;
}

err compact_swap(struct swap *w)
{
    for (size_t i = 0; i < w->count; i++)
        TRY(swap_files(w, w->sources[i].id));
    for (size_t i = 0; i < w->count; i++) {
        w->source_id = w->sources[i].id;
        TRY(db_write(w->g->store->hub, keys_fn, w));
    }
    return OK;
}
