/* shard_register.c — a shard comes in: everything it says is checked against stored xorbs, then it
 * is registered; see xet.h.
 *
 *     1  every xorb it names has a stored row            cheap: 400 before anything else is done
 *     2  every file: term lengths, range hashes, and the file hash made again from chunk lists
 *     3  the xorb section agrees with the stored indexes
 *     4  quota; claims that contradict ours are proved
 *     5  the blob of the shard, then the rows (shard_rows.c)
 *
 * The range hashes are the proof that the uploader knows the chunks of every term: without them a
 * writer could name somebody else's xorb and read it back.  After 2 a file hash stands for one
 * content, whoever sent it, so that file rows may be shared by all repositories.
 *
 * The shard is walked in place (a map of a spooled file).  Beside it an upload holds 56 bytes per
 * xorb, 120 per file and the opened xorb of the current term.
 */
#include "base/clock.h"
#include "store/shard_rows.h"
#include <assert.h>
#include <string.h>

#define STEP_TERMS 64 /* between two reports of progress */
#define BAD(name, words)                                                                           \
    static const struct err_info name = {400, "BadShard", STR_INIT(words), NULL, {0}}
BAD(no_ranges, "The shard describes a file without verification hashes; use a newer client.");
BAD(bad_range, "A verification hash of the shard does not agree with the chunks it stands for.");
BAD(bad_chunks, "A term of the shard names chunks that its xorb does not have.");
BAD(bad_length, "A term of the shard has another length than its chunks.");
BAD(bad_hash, "A file of the shard has another hash than its chunks make.");
BAD(bad_list, "The shard lists other chunks for a xorb than the stored one has.");
BAD(bad_empty, "The shard names a SHA-256 for the empty file that is not that of no bytes.");
static const struct err_info too_long = {
    413,
    NULL,
    STR_INIT("The files of this shard are too large together; upload fewer at once."),
    NULL,
    {0}};

static const struct err_info given_up = {
    503, NULL, STR_INIT("The check of this shard was given up; upload it again."), NULL, {0}};

/* --- tables --- */

static void *grow(void *p, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return p;
    *room = *room ? *room * 2 : 64;
    return need(reallocarray(p, *room, size));
}

static const unsigned char *hash_at(const void *items, size_t item_size, uint32_t index)
{
    return (const unsigned char *)items + (size_t)index * item_size;
}

uint32_t hash_table_find(const struct hash_table *t, const void *items, size_t item_size,
                         const unsigned char hash[32])
{
    if (!t->slots)
        return TABLE_NONE;
    for (uint32_t i = load_u32(hash) & t->mask; t->slots[i]; i = (i + 1) & t->mask)
        if (memcmp(hash_at(items, item_size, t->slots[i] - 1), hash, 32) == 0)
            return t->slots[i] - 1;
    return TABLE_NONE;
}

static void put_slot(struct hash_table *t, const unsigned char *hash, uint32_t index)
{
    uint32_t i = load_u32(hash) & t->mask;

    while (t->slots[i])
        i = (i + 1) & t->mask;
    t->slots[i] = index + 1;
}

void hash_table_add(struct hash_table *t, const void *items, size_t item_size, uint32_t index)
{
    assert(t->count == index);
    if (!t->slots || t->count * 2 > t->mask) {
        uint32_t slots = t->slots ? (t->mask + 1) * 2 : 128;

        free(t->slots);
        t->slots = need(calloc(slots, sizeof *t->slots));
        t->mask = slots - 1;
        for (uint32_t i = 0; i < index; i++)
            put_slot(t, hash_at(items, item_size, i), i);
    }
    put_slot(t, hash_at(items, item_size, index), index);
    t->count++;
}

uint32_t shard_ref_find(const struct shard_work *w, xorb_hash h)
{
    return hash_table_find(&w->ref_table, w->refs, sizeof *w->refs, h.b);
}

/* --- 1: the xorbs --- */

static err unknown_xorb(struct arena *a, xorb_hash h)
{
    return err_new(a, 400, "UnknownXorb",
                   "This upload refers to xorb %.*s, which is not stored here: a client's cache is "
                   "older than this hub's data.  Delete that cache (rm -r "
                   "~/.cache/huggingface/xet) and upload again.",
                   STR_FMT(xorb_hash_text(a, h)));
}

static err add_ref(struct shard_work *w, xorb_hash h)
{
    struct xorb_row row;

    if (shard_ref_find(w, h) != TABLE_NONE)
        return OK;
    TRY(xorb_row_find(w->store->hub, h, &row));
    if (!row.is_stored)
        return unknown_xorb(w->a, h);
    w->refs = grow(w->refs, &w->ref_room, w->ref_count, sizeof *w->refs);
    w->refs[w->ref_count] = (struct ref){.hash = h, .id = row.id};
    hash_table_add(&w->ref_table, w->refs, sizeof *w->refs, (uint32_t)w->ref_count++);
    return OK;
}

static err find_xorbs(struct shard_work *w)
{
    struct shard_file f;
    struct shard_xorb x;

    for (size_t at = 0; shard_next_file(w->shard, &at, &f);)
        for (uint32_t i = 0; i < f.term_count; i++) {
            struct shard_term t = shard_term_at(&f, i);

            w->chunks_done += t.end_chunk - t.first_chunk;
            TRY(add_ref(w, t.xorb));
        }
    for (size_t at = 0; shard_next_xorb(w->shard, &at, &x);)
        TRY(add_ref(w, x.hash));
    return w->chunks_done > SHARD_CHUNKS_MAX ? &too_long : OK;
}

/* Opens the xorb of a ref in place of *x.  One that is damaged is as good as none. */
static err use_xorb(struct shard_work *w, uint32_t ref, struct xorb **x)
{
    struct arena_mark m = arena_mark(w->a);
    err e;

    if (*x && (*x)->id == w->refs[ref].id)
        return OK;
    xorb_unref(w->store, *x);
    *x = NULL;
    e = xorb_get(w->store, w->a, w->refs[ref].id, x);
    if (!e)
        arena_rewind(w->a, m);
    return e && e->code == data_corrupt.code ? unknown_xorb(w->a, w->refs[ref].hash) : e;
}

/* --- 2: the files --- */

static err step(struct shard_work *w, uint64_t done)
{
    const struct shard_progress *p = w->progress;

    if (!p || !p->step || (done % STEP_TERMS && done < w->shard->term_count))
        return OK;
    return p->step(p->arg, done, w->shard->term_count) ? OK : &given_up;
}

static err check_term(const struct shard_file *f, uint32_t i, const struct xorb_index *x,
                      struct merkle *tree)
{
    struct shard_term t = shard_term_at(f, i);

    if (t.end_chunk > x->count)
        return &bad_chunks;
    if (x->raw_end[t.end_chunk - 1] - xorb_raw_start(x, t.first_chunk) != t.raw_len)
        return &bad_length;
    if (!range_hash_eq(range_hash_of(x->chunks + t.first_chunk, t.end_chunk - t.first_chunk),
                       shard_range_at(f, i)))
        return &bad_range;
    for (uint32_t c = t.first_chunk; c < t.end_chunk; c++)
        merkle_add(tree, x->chunks[c], xorb_raw_len(x, c));
    return OK;
}

static err check_terms(struct shard_work *w, const struct shard_file *f, struct filing *ret,
                       struct xorb **x, struct merkle *tree)
{
    merkle_init(tree);
    for (uint32_t i = 0; i < f->term_count; i++, w->terms_done++) {
        struct shard_term t = shard_term_at(f, i);
        uint32_t ref = shard_ref_find(w, t.xorb);

        assert(ref != TABLE_NONE);
        TRY(use_xorb(w, ref, x));
        TRY(check_term(f, i, (*x)->index, tree));
        if (i == 0) {
            ret->ref = ref;
            ret->chunk = t.first_chunk;
            ret->first_chunk = (*x)->index->chunks[t.first_chunk];
        }
        TRY(step(w, w->terms_done));
    }
    return file_hash_eq(merkle_file_hash(tree), f->hash) ? OK : &bad_hash;
}

/* hf_xet says zero where it has no SHA-256, and also for no bytes. */
static err take_claim(const struct shard_file *f, struct filing *ret)
{
    static const sha256 none;

    if (!f->has_sha256 || sha256_eq(f->sha256, none))
        return OK;
    if (f->term_count == 0 && !sha256_eq(f->sha256, sha256_of("", 0)))
        return &bad_empty;
    ret->sha256 = f->sha256;
    ret->has_claim = true;
    return OK;
}

static err check_files(struct shard_work *w, struct xorb **x, struct merkle *tree)
{
    struct shard_file f;

    for (size_t at = 0, start = 0; shard_next_file(w->shard, &at, &f); start = at) {
        struct filing n = {.hash = f.hash, .at = start};
        uint32_t known = hash_table_find(&w->file_table, w->files, sizeof n, f.hash.b);

        if (f.term_count > 0 && !f.has_ranges)
            return &no_ranges;
        TRY(take_claim(&f, &n));
        if (known != TABLE_NONE) { /* the same again: the first one counts */
            w->terms_done += f.term_count;
            continue;
        }
        if (f.term_count > 0)
            TRY(check_terms(w, &f, &n, x, tree));
        w->files = grow(w->files, &w->file_room, w->file_count, sizeof n);
        w->files[w->file_count] = n;
        hash_table_add(&w->file_table, w->files, sizeof n, (uint32_t)w->file_count++);
    }
    return OK;
}

/* --- 3: the xorb section --- */

static err check_list(struct shard_work *w, const struct shard_xorb *l, uint32_t ref,
                      const struct xorb_index *x)
{
    if (l->chunk_count != x->count)
        return &bad_list;
    for (uint32_t i = 0; i < l->chunk_count; i++) {
        struct shard_chunk c = shard_chunk_at(l, i);

        if (!chunk_hash_eq(c.hash, x->chunks[i]))
            return &bad_list;
        if (!c.starts_a_file || w->flagged_count == FLAGGED_MAX)
            continue;
        w->flagged = grow(w->flagged, &w->flagged_room, w->flagged_count, sizeof *w->flagged);
        w->flagged[w->flagged_count++] = (struct flagged){c.hash, ref, i};
    }
    return OK;
}

static err check_lists(struct shard_work *w, struct xorb **x)
{
    struct shard_xorb l;

    for (size_t at = 0; shard_next_xorb(w->shard, &at, &l);) {
        uint32_t ref = shard_ref_find(w, l.hash);

        TRY(use_xorb(w, ref, x));
        TRY(check_list(w, &l, ref, (*x)->index));
    }
    return OK;
}

static err check_all(struct shard_work *w)
{
    struct merkle *tree;
    struct xorb *x = NULL;
    err e;

    TRY(find_xorbs(w));
    tree = need(malloc(sizeof *tree));
    e = check_files(w, &x, tree);
    if (!e)
        e = check_lists(w, &x);
    free(tree);
    xorb_unref(w->store, x);
    return e ? e : step(w, w->shard->term_count);
}

/* --- 4 and 5 --- */

static err put_blob(struct shard_work *w)
{
    struct blob_key key = {BLOB_SHARD, chunk_hash_text(w->a, w->blob), 0};
    struct blob_writer *bw;
    bool is_new;
    err e;

    TRY(blob_writer_new(w->store->blobs, w->a, &bw));
    e = blob_write(bw, w->a, w->shard->bytes.ptr, w->blob_len);
    if (e) {
        blob_drop(bw);
        return e;
    }
    return blob_put(bw, w->a, key, &is_new);
}

/* A shard has no generations: a collection that removed its blob as garbage while we took it for
 * one that is there is made good here. */
static err look_at_blob(struct shard_work *w)
{
    struct blob_key key = {BLOB_SHARD, chunk_hash_text(w->a, w->blob), 0};
    struct blob_stat st;

    TRY(blob_stat(w->store->blobs, w->a, key, &st));
    return st.found ? OK : put_blob(w);
}

static err late_keys_fn(struct db *tx, void *arg)
{
    const struct xorb *x = arg;

    return chunk_keys_add(tx, x->id, x->index);
}

/* Keys only make later uploads smaller: a failure here is nobody's. */
static void add_revived_keys(struct shard_work *w)
{
    for (size_t i = 0; i < w->ref_count; i++) {
        struct xorb *x;

        if (!w->refs[i].revived || xorb_get(w->store, w->a, w->refs[i].id, &x))
            continue;
        if (db_write(w->store->hub, late_keys_fn, x)) {
            /* see above */
        }
        xorb_unref(w->store, x);
    }
}

static err enter(struct shard_work *w, bool *ret_new)
{
    uint64_t bytes;

    TRY(shard_new_bytes(w, &bytes));
    TRY(repo_quota_check(w->store->hub, w->a, w->repo, bytes));
    TRY(shard_settle_claims(w));
    w->blob_len = w->shard->end;
    w->blob = chunk_hash_of(w->shard->bytes.ptr, w->blob_len);
    TRY(shard_is_needed(w, &w->has_blob));
    if (w->has_blob)
        TRY(put_blob(w));
    TRY(shard_write_rows(w));
    if (w->shard_id)
        TRY(look_at_blob(w));
    if (w->any_revived)
        add_revived_keys(w);
    *ret_new = w->is_new;
    return OK;
}

err shard_register(struct store *s, struct arena *a, str bytes, const struct repo *repo,
                   int64_t user_id, const struct shard_progress *p, bool *ret_new)
{
    struct shard shard;
    struct shard_work w = {.store = s,
                           .a = a,
                           .shard = &shard,
                           .repo = repo,
                           .user_id = user_id,
                           .now_ms = clock_ms(),
                           .progress = p};
    err e;

    TRY(shard_open(bytes, &shard));
    e = check_all(&w);
    if (!e)
        e = enter(&w, ret_new);
    free(w.refs);
    free(w.files);
    free(w.flagged);
    free(w.ref_table.slots);
    free(w.file_table.slots);
    return e;
}
