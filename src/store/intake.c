/* intake.c — taking in large files; see file.h.
 *
 *     bytes ─┬─▶ SHA-256
 *            └─▶ chunker ─▶ chunk hash ─▶ known? ─yes─▶ a term names it
 *                                            └──no──▶ encoder ─▶ xorb builder ─▶ blob writer
 *
 * A chunk is looked for, in this order: where the run of known chunks before it goes on; in the
 * xorb being built; in the few xorbs this upload finished or matched last; in the table chunk_key.
 * The table holds few chunks (chunk_is_sampled), so it is asked only for chunks that may be in it.
 *
 * Nothing is visible before intake_end(): finished xorbs are files without rows, each under a
 * generation of its own, so that they can be removed when the upload fails, whatever others do.
 * One transaction then writes xorb, chunk_key, file, file_part and file_xorb.  Where somebody else
 * was faster, their rows win and our files are removed.
 *
 * Memory: builder, encoder and pending chunk, about 500 KiB; a term is 12 bytes and a xorb 88, so
 * a terabyte of fresh data needs under 2 MiB of these.
 */
#include "store/intake.h"
#include "base/clock.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- memory --- */

static void *grow(void *p, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return p;
    *room = *room ? *room * 2 : 16;
    return need(reallocarray(p, *room, size));
}

static uint32_t add_used(struct intake *in, struct used u)
{
    in->used = grow(in->used, &in->used_room, in->used_count, sizeof *in->used);
    in->used[in->used_count] = u;
    return (uint32_t)in->used_count++;
}

static void forget_known(struct intake *in, struct known *k)
{
    xorb_unref(in->store, k->xorb);
    if (!k->xorb)
        xorb_index_free(k->index);
    chunk_map_clear(&k->map);
    *k = (struct known){0};
}

static void add_known(struct intake *in, struct known k)
{
    forget_known(in, &in->known[in->known_next]);
    in->known[in->known_next] = k;
    in->known_next = (in->known_next + 1) % KNOWN_MAX;
}

static err sink(void *arg, const void *p, size_t len)
{
    struct intake *in = arg;

    return blob_write(in->writer, in->a, p, len);
}

err intake_new(struct store *s, struct arena *a, struct intake **ret)
{
    struct intake *in = need(calloc(1, sizeof *in));

    (void)a;
    in->magic = INTAKE_MAGIC;
    in->store = s;
    in->sha = sha256_new();
    in->pending = need(malloc(CHUNK_MAX));
    merkle_init(&in->tree);
    in->encoder = chunk_encoder_new();
    in->builder = xorb_builder_new(sink, in);
    gc_writer_enter(s, &in->writer_entry);
    *ret = in;
    return OK;
}

static void intake_free(struct intake *in)
{
    gc_writer_leave(in->store, &in->writer_entry);
    for (unsigned i = 0; i < KNOWN_MAX; i++)
        forget_known(in, &in->known[i]);
    blob_drop(in->writer);
    xorb_builder_free(in->builder);
    chunk_encoder_free(in->encoder);
    chunk_map_clear(&in->map);
    hasher_free(in->sha);
    free(in->pending);
    free(in->used);
    free(in->runs);
    free(in->keys);
    in->magic = 0;
    free(in);
}

/* Removes the files of xorbs that no row names.  A file that stays is garbage, found by gc. */
static void remove_files(struct intake *in)
{
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < in->used_count; i++) {
        const struct used *u = &in->used[i];
        struct arena_mark m = arena_mark(a);

        if (!u->fresh || u->kept)
            continue;
        if (blob_remove(in->store->blobs, a, xorb_key(a, BLOB_XORB, u->hash, u->generation)) ||
            blob_remove(in->store->blobs, a,
                        xorb_key(a, BLOB_XORB_INDEX, u->hash, u->generation))) {
            /* nobody waits for this */
        }
        arena_rewind(a, m);
    }
    arena_free(a);
}

void intake_drop(struct intake *in)
{
    if (!in)
        return;
    assert(in->magic == INTAKE_MAGIC);
    remove_files(in);
    intake_free(in);
}

/* --- keys --- */

static void add_key(struct intake *in, chunk_hash h, uint32_t slot, uint32_t chunk)
{
    if (in->key_count == KEYS_MAX) {
        in->used[slot].keys_left = true;
        return;
    }
    in->keys = grow(in->keys, &in->key_room, in->key_count, sizeof *in->keys);
    in->keys[in->key_count++] = (struct key){h, slot, chunk};
}

/* --- xorbs --- */

/* Makes the finished body durable, unless the store has this xorb already. */
static err put_xorb(struct intake *in, const struct xorb_index *index)
{
    struct used *u = &in->used[in->slot];
    struct blob_writer *w = in->writer;
    struct xorb_row row;
    bool is_new;

    u->hash = index->hash;
    u->chunk_count = index->count;
    u->raw_bytes = index->raw_end[index->count - 1];
    u->disk_bytes = xorb_body_len(index);
    TRY(xorb_row_find(in->store->hub, index->hash, &row));
    in->writer = NULL;
    if (row.live) {
        u->row_id = row.id;
        blob_drop(w);
        return OK;
    }
    u->generation = xorb_fresh_generation();
    TRY(blob_put(w, in->a, xorb_key(in->a, BLOB_XORB, u->hash, u->generation), &is_new));
    if (!is_new)
        return err_internal(in->a, "two xorbs of one name and generation");
    u->fresh = true;
    return xorb_sidecar_put(in->store, in->a, index, u->generation);
}

static err finish_xorb(struct intake *in)
{
    struct xorb_index *index;
    err e;

    if (xorb_builder_count(in->builder) == 0)
        return OK;
    index = xorb_builder_end(in->builder);
    e = put_xorb(in, index);
    if (e) {
        xorb_index_free(index);
        return e;
    }
    add_known(in, (struct known){in->slot, NULL, index, in->map});
    in->map = (struct chunk_map){0};
    in->copies = 0;
    return OK;
}

/* --- chunks --- */

static struct run *last_run(struct intake *in)
{
    return in->run_count ? &in->runs[in->run_count - 1] : NULL;
}

/* The chunk `chunk` of the xorb in `slot` comes next in the file. */
static void add_to_runs(struct intake *in, uint32_t slot, uint32_t chunk, size_t len)
{
    struct run *r = last_run(in);

    if (r && r->slot == slot && r->first + r->count == chunk) {
        r->count++;
        r->raw_len += (uint32_t)len;
        return;
    }
    in->runs = grow(in->runs, &in->run_room, in->run_count, sizeof *in->runs);
    in->runs[in->run_count++] = (struct run){slot, (uint16_t)chunk, 1, (uint32_t)len};
}

/* The chunk that follows the last run, where it can be looked at. */
static const chunk_hash *chunk_after(struct intake *in, const struct run *r)
{
    uint32_t next = r->first + r->count;

    if (in->writer && r->slot == in->slot)
        return next < xorb_builder_count(in->builder) ? xorb_builder_chunks(in->builder) + next
                                                      : NULL;
    for (unsigned i = 0; i < KNOWN_MAX; i++)
        if (in->known[i].index && in->known[i].slot == r->slot)
            return next < in->known[i].index->count ? in->known[i].index->chunks + next : NULL;
    return NULL;
}

static bool find_here(struct intake *in, chunk_hash h, uint32_t *ret_slot, uint32_t *ret_chunk)
{
    if (in->writer) {
        const chunk_hash *chunks = xorb_builder_chunks(in->builder);
        uint32_t count = xorb_builder_count(in->builder);

        if (count && in->copies < COPIES_MAX && chunk_hash_eq(chunks[count - 1], h))
            return false; /* one more copy, so that the term goes on */
        *ret_chunk = chunk_map_find(&in->map, chunks, h);
        *ret_slot = in->slot;
        if (*ret_chunk != CHUNK_NONE)
            return true;
    }
    for (unsigned i = 0; i < KNOWN_MAX; i++) {
        struct known *k = &in->known[i];

        if (!k->index)
            continue;
        *ret_chunk =
            k->xorb ? xorb_chunk_find(k->xorb, h) : chunk_map_find(&k->map, k->index->chunks, h);
        *ret_slot = k->slot;
        if (*ret_chunk != CHUNK_NONE)
            return true;
    }
    return false;
}

static const struct sql BY_KEY =
    SQL_INIT("SELECT xorb_id, chunk_index FROM chunk_key JOIN xorb ON xorb.id = xorb_id "
             "WHERE chunk_key.hash = ?1 AND state = 'live'");

static err ask_keys(struct intake *in, chunk_hash h, int64_t *ret_id, uint32_t *ret_chunk)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(in->store->hub, &q, BY_KEY));
    db_bind_hash(q, 1, h);
    *ret_id = 0;
    if (db_next(q)) {
        *ret_id = db_i64(q, 0);
        *ret_chunk = (uint32_t)db_i64(q, 1);
    }
    return db_error(q);
}

static uint32_t slot_of(struct intake *in, const struct xorb *x)
{
    for (size_t i = in->used_count; i-- > 0;)
        if (in->used[i].row_id == x->id)
            return (uint32_t)i;
    return add_used(in, (struct used){.row_id = x->id,
                                      .hash = x->hash,
                                      .chunk_count = x->index->count,
                                      .raw_bytes = x->index->raw_end[x->index->count - 1],
                                      .disk_bytes = xorb_body_len(x->index)});
}

/* Looks in the table, and keeps the xorb it names at hand.  A damaged one is as good as none. */
static err find_stored(struct intake *in, chunk_hash h, bool *ret, uint32_t *ret_slot,
                       uint32_t *ret_chunk)
{
    struct xorb *x;
    int64_t id;
    uint32_t chunk = 0;
    err e;

    TRY(ask_keys(in, h, &id, &chunk));
    if (id == 0)
        return OK;
    e = xorb_get(in->store, in->a, id, &x);
    if (e && e->code == data_corrupt.code)
        return OK;
    TRY(e);
    if (chunk >= x->index->count || !chunk_hash_eq(x->index->chunks[chunk], h)) {
        xorb_unref(in->store, x);
        return OK;
    }
    *ret_slot = slot_of(in, x);
    *ret_chunk = chunk;
    *ret = true;
    add_known(in, (struct known){*ret_slot, x, x->index, {0}});
    return OK;
}

static err find_chunk(struct intake *in, chunk_hash h, bool *ret, uint32_t *ret_slot,
                      uint32_t *ret_chunk)
{
    const struct run *r = last_run(in);
    const chunk_hash *next = r ? chunk_after(in, r) : NULL;

    *ret = false;
    if (next && chunk_hash_eq(*next, h)) {
        *ret = true;
        *ret_slot = r->slot;
        *ret_chunk = r->first + r->count;
        return OK;
    }
    if (in->run_count >= TERMS_FREE && in->chunk_count / in->run_count < CHUNKS_PER_TERM)
        return OK;
    *ret = find_here(in, h, ret_slot, ret_chunk);
    if (*ret || !(in->chunk_count == 0 || in->was_known || chunk_is_sampled(h)))
        return OK;
    return find_stored(in, h, ret, ret_slot, ret_chunk);
}

static err store_chunk(struct intake *in, chunk_hash h, const void *p, size_t len)
{
    struct chunk_packed packed;
    const chunk_hash *chunks;
    uint32_t chunk;

    if (!xorb_builder_fits(in->builder, len))
        TRY(finish_xorb(in));
    if (!in->writer) {
        TRY(blob_writer_new(in->store->blobs, in->a, &in->writer));
        in->slot = add_used(in, (struct used){0});
        in->copies = 0;
    }
    packed = chunk_encode(in->encoder, p, len);
    TRY(xorb_builder_add(in->builder, h, &packed, &chunk));
    chunks = xorb_builder_chunks(in->builder);
    chunk_map_add(&in->map, chunks, chunk);
    in->copies = chunk && chunk_hash_eq(chunks[chunk - 1], h) ? in->copies + 1 : 1;
    if (chunk == 0 || in->chunk_count == 0 || chunk_is_sampled(h))
        add_key(in, h, in->slot, chunk);
    add_to_runs(in, in->slot, chunk, len);
    return OK;
}

static err take_chunk(struct intake *in, const void *p, size_t len)
{
    chunk_hash h = chunk_hash_of(p, len);
    uint32_t slot = 0, chunk = 0;
    bool known;

    merkle_add(&in->tree, h, len);
    TRY(find_chunk(in, h, &known, &slot, &chunk));
    if (known) {
        size_t before = in->run_count;

        add_to_runs(in, slot, chunk, len);
        if (in->run_count > before)
            add_key(in, h, slot, chunk); /* the same file finds its way here again */
    } else {
        TRY(store_chunk(in, h, p, len));
    }
    in->was_known = known;
    in->chunk_count++;
    return OK;
}

err intake_feed(struct intake *in, struct arena *a, const void *p, size_t len)
{
    const unsigned char *at = p;
    struct arena_mark m = arena_mark(a);

    assert(in->magic == INTAKE_MAGIC);
    in->a = a;
    in->size += len;
    hasher_add(in->sha, p, len);
    while (len > 0) {
        size_t had = in->chunker.len;
        bool cut;
        size_t n = chunker_next(&in->chunker, at, len, &cut);

        assert(had + n <= CHUNK_MAX);
        if (!cut || had > 0)
            memcpy(in->pending + had, at, n);
        if (cut)
            TRY(take_chunk(in, had > 0 ? in->pending : at, had + n));
        at += n;
        len -= n;
    }
    arena_rewind(a, m);
    return OK;
}

/* --- ending --- */

static err check_sum(struct intake *in, sha256 expected, uint64_t expected_size)
{
    sha256 got = sha256_end(in->sha);

    in->sha = NULL;
    if (in->size != expected_size)
        return err_new(in->a, 400, "SizeMismatch",
                       "%llu bytes arrived where %llu were announced; upload the file again.",
                       (unsigned long long)in->size, (unsigned long long)expected_size);
    if (!sha256_eq(got, expected))
        return err_new(in->a, 400, "HashMismatch",
                       "The bytes that arrived do not have the announced SHA-256; upload the file "
                       "again.");
    return OK;
}

static err end(struct intake *in, sha256 expected, uint64_t expected_size, struct content *ret)
{
    struct ending x = {.in = in, .now_ms = clock_ms()};
    struct content c = {.sha256 = expected, .size = expected_size, .is_verified = true};
    bool whole;

    TRY(check_sum(in, expected, expected_size));
    if (in->chunker.len > 0) {
        TRY(take_chunk(in, in->pending, in->chunker.len));
        in->chunker = (struct chunker){0};
    }
    x.hash = c.hash = merkle_file_hash(&in->tree);
    if (in->size == 0) {
        *ret = c;
        return OK;
    }
    TRY(file_row_find(in->store->hub, x.hash, &x.file_id, &whole));
    x.complete = !whole;
    if (!whole)
        TRY(finish_xorb(in));
    TRY(intake_write_rows(&x));
    if (!x.existed)
        intake_add_late_keys(in);
    c.file_id = x.file_id;
    *ret = c;
    return OK;
}

err intake_end(struct intake *in, struct arena *a, sha256 expected, uint64_t expected_size,
               struct content *ret)
{
    err e;

    assert(in->magic == INTAKE_MAGIC);
    in->a = a;
    e = end(in, expected, expected_size, ret);
    remove_files(in);
    intake_free(in);
    return e;
}
