/* dedup.c — see dedup.h.
 *
 *     chunk_key ─▶ xorb ─▶ files that use it ─▶ those the user may read ─▶ their terms
 *                   │                                                        │
 *                   └──── first xorb of the answer        named chunks, following xorbs
 *
 * All rows are read in one transaction; xorbs are opened, and leased, after it.
 */
#include "store/dedup.h"
#include "base/clock.h"
#include "store/content_rows.h"
#include "store/xorb.h"
#include <assert.h>
#include <string.h>

#define ANSWER_MAX                                                                                 \
    ((size_t)SHARD_ROW * (XORB_CHUNKS_MAX + DEDUP_CHUNKS_MAX + DEDUP_XORBS_MAX + 3) + SHARD_FOOTER)

static const struct sql KEY =
    SQL_INIT("SELECT xorb_id, chunk_index FROM chunk_key JOIN xorb ON xorb.id = xorb_id "
             "WHERE chunk_key.hash = ?1 AND state = 'live'");
#define FILES                                                                                      \
    "(SELECT file_id FROM file_xorb WHERE xorb_id = ?1 ORDER BY file_id DESC LIMIT " ERR_STR(      \
        DEDUP_FILES_MAX) ") AS f"
#define PLACES(table, condition)                                                                   \
    "SELECT f.file_id, repo.id, owner_id, creator_id, visibility FROM " FILES " JOIN " table       \
    " AS t ON t.file_id = f.file_id JOIN repo ON repo.id = t.repo_id "                             \
    "WHERE repo.state = 'live'" condition " LIMIT " ERR_STR(DEDUP_PLACES_MAX)
static const struct sql BY_WAY[] = {
    SQL_INIT(PLACES("repo_file", "")),
    SQL_INIT(PLACES("bucket_file", "")),
    SQL_INIT(PLACES("file_hold", " AND until > ?2")),
};
static const struct sql ALL_FILES = SQL_INIT("SELECT file_id FROM " FILES);
static const struct sql PARTS =
    SQL_INIT("SELECT terms FROM file_part WHERE file_id = ?1 ORDER BY first");

struct place { /* a repository that has a file */
    int64_t file_id;
    struct repo repo; /* as much of it as access needs */
};
struct pick { /* a xorb of the answer */
    int64_t id;
    struct xorb *xorb;
    unsigned char named[XORB_CHUNKS_MAX / 8];
};
struct span { /* a run of chunks, in the order of the file, from the one asked for on */
    uint32_t pick;
    uint16_t first, end;
};
struct dedup {
    struct store *store;
    struct arena *a;
    const struct dedup_query *q;
    int64_t now_ms;
    uint32_t chunk; /* number in the first pick */
    int64_t files[DEDUP_FILES_MAX];
    size_t file_count;
    size_t terms_read;
    bool found;    /* a file that counts has the chunk */
    bool is_start; /* … and one of them begins with it */
    bool cut;      /* the file goes on behind the last span */
    uint32_t row_count;
    size_t pick_count, span_count;
    struct pick *picks;
    struct span *spans;
};

/* --- who may read what --- */

struct asked { /* the organizations whose members were asked for */
    int64_t owner_id[DEDUP_MEMBERS_MAX], creator_id[DEDUP_MEMBERS_MAX];
    enum access access[DEDUP_MEMBERS_MAX];
    size_t count;
};

static err may_read(struct db *tx, const struct dedup *d, struct asked *m, const struct repo *r,
                    bool *ret)
{
    int64_t user_id = d->q->user ? d->q->user->id : 0;
    bool asks = r->is_private && user_id && user_id != r->owner_id;
    enum access access;

    *ret = false;
    for (size_t i = 0; asks && i < m->count; i++)
        if (m->owner_id[i] == r->owner_id && m->creator_id[i] == r->creator_id) {
            *ret = m->access[i] >= ACCESS_READ;
            return OK;
        }
    if (asks && m->count == DEDUP_MEMBERS_MAX)
        return OK;
    TRY(repo_access(tx, r, d->q->user, &access));
    *ret = access >= ACCESS_READ;
    if (asks) {
        m->owner_id[m->count] = r->owner_id;
        m->creator_id[m->count] = r->creator_id;
        m->access[m->count++] = access;
    }
    return OK;
}

static err read_places(struct db *tx, struct dedup *d, struct sql sql, bool with_time,
                       struct place *places, size_t *ret_count)
{
    AUTO_STMT struct db_stmt *q = NULL;
    size_t n = 0;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, d->picks[0].id);
    if (with_time)
        db_bind_i64(q, 2, d->now_ms);
    for (; n < DEDUP_PLACES_MAX && db_next(q); n++)
        places[n] = (struct place){
            .file_id = db_i64(q, 0),
            .repo = {.id = db_i64(q, 1),
                     .owner_id = db_i64(q, 2),
                     .creator_id = db_i64(q, 3),
                     .is_private = !str_eq(db_view(q, 4), STR("public"))},
        };
    *ret_count = n;
    return db_error(q);
}

static bool has_file(const struct dedup *d, int64_t id)
{
    for (size_t i = 0; i < d->file_count; i++)
        if (d->files[i] == id)
            return true;
    return false;
}

static err find_readable(struct db *tx, struct dedup *d)
{
    struct place *places = arena_many(d->a, struct place, DEDUP_PLACES_MAX);
    struct asked members = {.count = 0};

    for (size_t way = 0; way < sizeof BY_WAY / sizeof *BY_WAY; way++) {
        size_t count;

        TRY(read_places(tx, d, BY_WAY[way], way == 2, places, &count));
        for (size_t i = 0; i < count; i++) {
            bool readable;

            if (d->file_count == DEDUP_FILES_MAX || has_file(d, places[i].file_id))
                continue;
            TRY(may_read(tx, d, &members, &places[i].repo, &readable));
            if (readable)
                d->files[d->file_count++] = places[i].file_id;
        }
    }
    return OK;
}

static err find_all(struct db *tx, struct dedup *d)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, ALL_FILES));
    db_bind_i64(q, 1, d->picks[0].id);
    while (d->file_count < DEDUP_FILES_MAX && db_next(q))
        d->files[d->file_count++] = db_i64(q, 0);
    return db_error(q);
}

/* --- terms --- */

static void name(struct pick *p, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        p->named[i / 8] = (unsigned char)(p->named[i / 8] | 1u << i % 8);
}

static bool is_named(const struct pick *p, uint32_t chunk)
{
    return p->named[chunk / 8] >> chunk % 8 & 1;
}

/* The pick of this xorb, added when there is room; DEDUP_XORBS_MAX when there is none. */
static uint32_t pick_of(struct dedup *d, int64_t id)
{
    for (size_t i = d->pick_count; i-- > 0;)
        if (d->picks[i].id == id)
            return (uint32_t)i;
    if (d->pick_count < DEDUP_XORBS_MAX)
        d->picks[d->pick_count].id = id;
    else
        return DEDUP_XORBS_MAX;
    return (uint32_t)d->pick_count++;
}

struct walk {     /* through the terms of one file */
    bool begun;   /* past its first term */
    bool follows; /* past the chunk, and nobody else's spans are there */
};

/* One more term of a file; false when the rest of the file is of no interest. */
static bool take_term(struct dedup *d, struct walk *w, struct term t)
{
    bool here = t.xorb_id == d->picks[0].id && t.first_chunk <= d->chunk && d->chunk < t.end_chunk;
    uint32_t pick;

    if (here && !w->begun && t.first_chunk == d->chunk)
        d->is_start = true;
    w->begun = true;
    if (t.xorb_id == d->picks[0].id)
        name(&d->picks[0], t.first_chunk, t.end_chunk);
    if (here && !d->found) {
        d->found = w->follows = true;
        t.first_chunk = d->chunk;
    }
    if (!w->follows)
        return true;
    pick = pick_of(d, t.xorb_id);
    if (pick == DEDUP_XORBS_MAX || d->span_count == DEDUP_SPANS_MAX) {
        d->cut = true;
        return false;
    }
    name(&d->picks[pick], t.first_chunk, t.end_chunk);
    d->spans[d->span_count++] = (struct span){pick, (uint16_t)t.first_chunk, (uint16_t)t.end_chunk};
    return true;
}

static err walk_file(struct db *tx, struct dedup *d, int64_t file_id)
{
    struct walk w = {false, false};
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, PARTS));
    db_bind_i64(q, 1, file_id);
    while (d->terms_read < DEDUP_TERMS_MAX && db_next(q)) {
        struct term_list list;

        TRY(term_list_open(db_view(q, 0), &list));
        for (uint64_t i = 0; i < list.count; i++)
            if (!take_term(d, &w, term_at(&list, i)))
                return OK;
        d->terms_read += list.count;
    }
    d->cut |= w.follows && d->terms_read >= DEDUP_TERMS_MAX;
    return db_error(q);
}

static err find_key(struct db *tx, struct dedup *d, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, KEY));
    db_bind_hash(q, 1, d->q->chunk);
    *ret = db_next(q);
    if (*ret) {
        d->picks[0].id = db_i64(q, 0);
        d->chunk = (uint32_t)db_i64(q, 1);
        d->pick_count = 1;
        *ret = d->chunk < XORB_CHUNKS_MAX;
    }
    return db_error(q);
}

/* All that needs the database.  Sets d->found. */
static err plan_fn(struct db *tx, void *arg)
{
    struct dedup *d = arg;
    bool is_key;

    TRY(find_key(tx, d, &is_key));
    if (!is_key)
        return OK;
    TRY(d->q->all ? find_all(tx, d) : find_readable(tx, d));
    for (size_t i = 0; i < d->file_count && d->terms_read < DEDUP_TERMS_MAX; i++)
        TRY(walk_file(tx, d, d->files[i]));
    return OK;
}

/* --- the answer --- */

/* Drops the picks from `count` on; the spans end before the first that needs one of them. */
static void keep_picks(struct dedup *d, size_t count)
{
    if (count < d->pick_count)
        d->cut = true;
    d->pick_count = count;
    for (size_t i = 0; i < d->span_count; i++)
        if (d->spans[i].pick >= count)
            d->span_count = i;
}

/* Is there a chunk to end before in the spans from *at on that need only the first `picks`? */
static bool has_eligible(const struct dedup *d, size_t *at, size_t picks)
{
    for (; *at < d->span_count && d->spans[*at].pick < picks; ++*at) {
        const struct span *s = &d->spans[*at];
        const struct xorb_index *x = d->picks[s->pick].xorb->index;

        for (uint32_t c = s->first; c < s->end && c < x->count; c++)
            if (chunk_hash_is_eligible(x->chunks[c]) && (s->pick > 0 || c != d->chunk))
                return true;
    }
    return false;
}

/* Opens as many xorbs as the answer takes.  *ret false: the first one is not what it was. */
static err open_picks(struct dedup *d, bool *ret)
{
    size_t i = 0, span = 0;
    bool may_end = false;

    for (; i < d->pick_count; i++) {
        struct pick *p = &d->picks[i];
        err e = xorb_get(d->store, d->a, p->id, &p->xorb);

        if (e && e->code == data_corrupt.code)
            break;
        TRY(e);
        may_end = may_end || has_eligible(d, &span, i);
        if (i > 0 && d->row_count + p->xorb->index->count >
                         (may_end ? DEDUP_CHUNKS_SOFT : DEDUP_CHUNKS_MAX)) {
            xorb_unref(d->store, p->xorb);
            p->xorb = NULL;
            break;
        }
        d->row_count += p->xorb->index->count;
        if (d->q->all)
            name(p, 0, p->xorb->index->count);
    }
    keep_picks(d, i);
    *ret = i > 0 && d->chunk < d->picks[0].xorb->index->count &&
           chunk_hash_eq(d->picks[0].xorb->index->chunks[d->chunk], d->q->chunk);
    return OK;
}

static void unname(struct dedup *d, const struct span *s, uint32_t from)
{
    struct pick *p = &d->picks[s->pick];

    for (uint32_t i = from; i < s->end; i++)
        p->named[i / 8] = (unsigned char)(p->named[i / 8] & ~(1u << i % 8));
}

/* Ends the named chunks right before one that clients ask for; without such a one they end where
 * they end, and the client sends what it has to. */
static void end_before_eligible(struct dedup *d)
{
    for (size_t i = d->span_count; i-- > 0;) {
        const struct span *s = &d->spans[i];
        const struct xorb_index *x = d->picks[s->pick].xorb->index;

        for (uint32_t c = s->end < x->count ? s->end : x->count; c-- > s->first;) {
            if (!chunk_hash_is_eligible(x->chunks[c]) || (s->pick == 0 && c == d->chunk))
                continue;
            for (size_t j = i + 1; j < d->span_count; j++)
                unname(d, &d->spans[j], d->spans[j].first);
            unname(d, s, c);
            name(&d->picks[0], d->chunk, d->chunk + 1);
            return;
        }
    }
}

/* Promises the xorbs; when one of them is gone, only the first.  *ret false: not even that. */
static err lease(struct dedup *d, bool *ret)
{
    int64_t ids[DEDUP_XORBS_MAX];

    for (size_t i = 0; i < d->pick_count; i++)
        ids[i] = d->picks[i].id;
    TRY(xorb_lease(d->store, ids, d->pick_count, ret));
    if (*ret || d->pick_count == 1)
        return OK;
    for (size_t i = 1; i < d->pick_count; i++)
        xorb_unref(d->store, d->picks[i].xorb);
    keep_picks(d, 1);
    return xorb_lease(d->store, ids, 1, ret);
}

static void write_xorb(struct shard_writer *w, struct arena *a, const struct pick *p)
{
    const struct xorb_index *x = p->xorb->index;
    uint32_t raw_len = 0, masked = 0;
    chunk_hash *noise;

    for (uint32_t i = 0; i < x->count; i++) {
        masked += !is_named(p, i);
        raw_len += is_named(p, i) ? xorb_raw_len(x, i) : DEDUP_MASKED_LEN;
    }
    noise = arena_many(a, chunk_hash, masked);
    random_bytes(noise, masked * sizeof *noise);
    shard_add_xorb(w, x->hash, x->count, raw_len);
    for (uint32_t i = 0; i < x->count; i++)
        if (is_named(p, i))
            shard_add_chunk(w, x->chunks[i], xorb_raw_len(x, i), false);
        else
            shard_add_chunk(w, noise[--masked], DEDUP_MASKED_LEN, false);
}

static void free_buf(void *p)
{
    buf_free(p);
}

static str write_answer(struct dedup *d)
{
    struct shard_footer footer = {.created_s = d->now_ms / 1000,
                                  .expires_s = (d->now_ms + DEDUP_KEY_MS) / 1000};
    struct buf *out = arena_one(d->a, struct buf);
    struct shard_writer w;

    *out = BUF(ANSWER_MAX);
    arena_defer(d->a, free_buf, out);
    random_bytes(footer.key, sizeof footer.key);
    shard_begin(&w, out, &footer);
    shard_files_end(&w);
    for (size_t i = 0; i < d->pick_count; i++)
        write_xorb(&w, d->a, &d->picks[i]);
    shard_xorbs_end(&w);
    assert(!out->full);
    return buf_str(out);
}

static err answer(struct dedup *d, str *ret)
{
    chunk_hash h = d->q->chunk;
    bool fine;

    TRY(db_read(d->store->hub, plan_fn, d));
    if (d->pick_count == 0 || !(d->found || d->q->all) ||
        !(chunk_hash_is_eligible(h) || !chunk_is_sampled(h) || d->is_start))
        return OK;
    TRY(open_picks(d, &fine));
    if (!fine)
        return OK;
    if (d->cut)
        end_before_eligible(d);
    TRY(lease(d, &fine));
    if (fine)
        *ret = write_answer(d);
    return OK;
}

err dedup_answer(struct store *s, struct arena *a, const struct dedup_query *q, str *ret)
{
    struct dedup d = {.store = s,
                      .a = a,
                      .q = q,
                      .now_ms = clock_ms(),
                      .picks = arena_many(a, struct pick, DEDUP_XORBS_MAX),
                      .spans = arena_many(a, struct span, DEDUP_SPANS_MAX)};
    err e;

    *ret = STR_NONE;
    e = answer(&d, ret);
    for (size_t i = 0; i < d.pick_count; i++)
        xorb_unref(s, d.picks[i].xorb);
    return e;
}
