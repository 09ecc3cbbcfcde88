/* shard_rows.c — the rows of a shard that was checked: file, file_part, file_xorb, chunk_key,
 * leases, shard and shard_file, and for the repository of the token file_hold and repo_file.
 *
 * One transaction, unless the shard has very many files: then the first one promises every xorb
 * and makes the shard known, and each of them leaves complete files behind.  A file row that is
 * there and whole stays as it is.
 */
#include "store/shard_rows.h"
#include "base/clock.h"
#include <assert.h>

#define HOLD_MS LEASE_MS /* for the commit to come */

/* --- the repository's rows --- */

static const struct sql CLAIM_FIND =
    SQL_INIT("SELECT repo_file.state, repo_file.size, file_id, file.hash FROM repo_file "
             "LEFT JOIN file ON file.id = file_id WHERE repo_id = ?1 AND sha256 = ?2");
static const struct sql CLAIM_IS_FACT = SQL_INIT(
    "SELECT 1 FROM repo_file WHERE file_id = ?1 AND sha256 = ?2 AND state = 'verified' LIMIT 1");
static const struct sql CLAIM_ADD =
    SQL_INIT("INSERT INTO repo_file(repo_id, sha256, size, file_id, state, pusher_id, pushed_at) "
             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(repo_id, sha256) DO UPDATE SET "
             "size = excluded.size, file_id = excluded.file_id, state = excluded.state");
static const struct sql CLAIM_GROW =
    SQL_INIT("UPDATE repo SET used_storage = used_storage + ?2 WHERE id = ?1");

struct claim_row {
    bool is_there, is_verified;
    struct content content;
};

static err claim_find(struct db *db, int64_t repo_id, sha256 h, struct claim_row *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct claim_row){.content.sha256 = h};
    TRY(db_query(db, &q, CLAIM_FIND));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, h);
    if (!db_next(q))
        return db_error(q);
    ret->is_there = true;
    ret->is_verified = str_eq(db_view(q, 0), STR("verified"));
    ret->content.size = (uint64_t)db_i64(q, 1);
    ret->content.file_id = db_i64(q, 2);
    if (!db_hash(q, 3, ret->content.hash.b, sizeof ret->content.hash.b))
        ret->content.hash = (file_hash){{0}};
    return db_error(q);
}

/* Buckets name contents by their Xet hash and count what they hold themselves. */
static bool has_claims(const struct shard_work *w)
{
    return w->repo->kind != REPO_BUCKET;
}

static struct shard_file file_of(const struct shard_work *w, const struct filing *n)
{
    size_t at = n->at;
    struct shard_file f;

    if (!shard_next_file(w->shard, &at, &f))
        assert(false && "a filing without its file");
    return f;
}

err shard_new_bytes(struct shard_work *w, uint64_t *ret)
{
    uint64_t sum = 0;

    for (size_t i = 0; has_claims(w) && i < w->file_count; i++) {
        const struct filing *n = &w->files[i];
        struct claim_row row;

        if (!n->has_claim)
            continue;
        TRY(claim_find(w->store->hub, w->repo->id, n->sha256, &row));
        sum += row.is_there ? 0 : file_of(w, n).size;
    }
    *ret = sum;
    return OK;
}

/* Another content under this SHA-256 that nobody has proved. */
static bool contradicts(const struct claim_row *row, const struct filing *n)
{
    return row->is_there && !row->is_verified && row->content.file_id &&
           !file_hash_eq(row->content.hash, n->hash);
}

err shard_settle_claims(struct shard_work *w)
{
    for (size_t i = 0; has_claims(w) && i < w->file_count; i++) {
        const struct filing *n = &w->files[i];
        struct claim_row row;
        bool is_true;
        err e;

        if (!n->has_claim)
            continue;
        TRY(claim_find(w->store->hub, w->repo->id, n->sha256, &row));
        if (!contradicts(&row, n))
            continue;
        e = claim_prove(w->store, w->a, &row.content, &is_true);
        if (e && e->code == data_corrupt.code)
            continue; /* ours replaces it */
        TRY(e);
    }
    return OK;
}

static err is_fact(struct db *tx, int64_t file_id, sha256 h, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, CLAIM_IS_FACT));
    db_bind_i64(q, 1, file_id);
    db_bind_hash(q, 2, h);
    *ret = db_next(q);
    return db_error(q);
}

static err claim_put(struct db *tx, const struct shard_work *w, const struct filing *n,
                     const struct shard_file *f, int64_t file_id)
{
    AUTO_STMT struct db_stmt *q = NULL;
    bool verified = file_id == 0; /* no bytes: take_claim() looked */

    if (!verified)
        TRY(is_fact(tx, file_id, n->sha256, &verified));
    TRY(db_query(tx, &q, CLAIM_ADD));
    db_bind_i64(q, 1, w->repo->id);
    db_bind_hash(q, 2, n->sha256);
    db_bind_i64(q, 3, (int64_t)f->size);
    db_bind_i64(q, 4, file_id);
    db_bind_str(q, 5, verified ? STR("verified") : STR("claimed"));
    if (w->user_id)
        db_bind_i64(q, 6, w->user_id);
    else
        db_bind_null(q, 6);
    db_bind_i64(q, 7, w->now_ms);
    return db_run(q);
}

/* A fact stays.  Another claim stays too (it was proved a moment ago, or came since then and will
 * be proved), unless its data is damaged. */
static err claim_add(struct db *tx, const struct shard_work *w, const struct filing *n,
                     const struct shard_file *f, int64_t file_id)
{
    struct claim_row row;
    bool damaged = false;
    size_t missing;

    TRY(claim_find(tx, w->repo->id, n->sha256, &row));
    TRY(repo_file_use(tx, w->repo->id, &n->sha256, 1, &missing)); /* gc leaves it for the commit */
    if (row.is_verified || (row.is_there && row.content.file_id == file_id))
        return OK;
    if (row.is_there)
        TRY(content_is_damaged(tx, &row.content, &damaged));
    if (row.is_there && !damaged)
        return OK;
    if (!row.is_there) {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, CLAIM_GROW));
        db_bind_i64(q, 1, w->repo->id);
        db_bind_i64(q, 2, (int64_t)f->size);
        TRY(db_run(q));
    }
    return claim_put(tx, w, n, f, file_id);
}

/* --- the shard itself --- */

static const struct sql SHARD_FIND = SQL_INIT("SELECT id FROM shard WHERE hash = ?1");
static const struct sql SHARD_ADD =
    SQL_INIT("INSERT INTO shard(hash, size, created_at) VALUES (?1, ?2, ?3) RETURNING id");
static const struct sql SHARD_FILE_ADD =
    SQL_INIT("INSERT INTO shard_file(file_id, shard_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING");

static const struct sql IS_DESCRIBED =
    SQL_INIT("SELECT 1 FROM file JOIN shard_file ON shard_file.file_id = file.id "
             "WHERE file.hash = ?1 LIMIT 1");

static err shard_find(struct db *db, const struct shard_work *w, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    TRY(db_query(db, &q, SHARD_FIND));
    db_bind_hash(q, 1, w->blob);
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

static err is_described(struct db *db, file_hash h, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, IS_DESCRIBED));
    db_bind_hash(q, 1, h);
    *ret = db_next(q);
    return db_error(q);
}

/* Kept shards are there to repair the terms of files from, so one for each file will do: an upload
 * of what is here already leaves nothing. */
err shard_is_needed(struct shard_work *w, bool *ret)
{
    int64_t id;
    bool described = true;

    TRY(shard_find(w->store->hub, w, &id));
    for (size_t i = 0; id == 0 && described && i < w->file_count; i++)
        if (!file_hash_is_zero(w->files[i].hash))
            TRY(is_described(w->store->hub, w->files[i].hash, &described));
    *ret = !described;
    return OK;
}

static err enter_shard(struct db *tx, struct shard_work *w)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(shard_find(tx, w, &w->shard_id));
    w->is_new = w->shard_id == 0 && w->has_blob;
    if (!w->is_new)
        return OK;
    TRY(db_query(tx, &q, SHARD_ADD));
    db_bind_hash(q, 1, w->blob);
    db_bind_i64(q, 2, (int64_t)w->blob_len);
    db_bind_i64(q, 3, w->now_ms);
    if (!db_next(q))
        return db_error(q) ?: &content_changed;
    w->shard_id = db_i64(q, 0);
    return db_run(q);
}

static err add_shard_file(struct db *tx, const struct shard_work *w, int64_t file_id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    if (w->shard_id == 0)
        return OK;
    TRY(db_query(tx, &q, SHARD_FILE_ADD));
    db_bind_i64(q, 1, file_id);
    db_bind_i64(q, 2, w->shard_id);
    return db_run(q);
}

/* --- xorbs and keys --- */

static err lease_refs(struct db *tx, struct shard_work *w)
{
    w->any_revived = false;
    for (size_t i = 0; i < w->ref_count; i++) {
        struct ref *r = &w->refs[i];
        bool is_stored;

        TRY(xorb_row_lease(tx, r->id, w->now_ms, &is_stored, &r->revived));
        if (!is_stored)
            return &content_changed;
        w->any_revived |= r->revived;
    }
    for (size_t i = 0; i < w->flagged_count; i++) {
        const struct flagged *k = &w->flagged[i];

        TRY(chunk_key_add(tx, k->hash, w->refs[k->ref].id, k->chunk));
    }
    return OK;
}

/* --- files --- */

struct packing { /* the terms of a file, on their way into file_part */
    int64_t file_id;
    uint64_t first, offset;
    size_t count;
    unsigned char packed[PART_TERMS * TERM_BYTES];
};

static err pack_term(struct db *tx, struct packing *p, const struct shard_term *t, int64_t xorb_id)
{
    term_pack(p->packed + p->count * TERM_BYTES,
              (struct term){xorb_id, t->first_chunk, t->end_chunk, t->raw_len});
    p->offset += t->raw_len;
    if (++p->count < PART_TERMS)
        return OK;
    TRY(file_part_add(tx, p->file_id, p->first, p->packed, p->count));
    p->first = p->offset;
    p->count = 0;
    return OK;
}

static err add_terms(struct db *tx, struct shard_work *w, const struct shard_file *f, uint32_t mark,
                     int64_t file_id)
{
    struct packing p = {.file_id = file_id};

    for (uint32_t i = 0; i < f->term_count; i++) {
        struct shard_term t = shard_term_at(f, i);
        struct ref *r = &w->refs[shard_ref_find(w, t.xorb)];

        TRY(pack_term(tx, &p, &t, r->id));
        if (r->last_file != mark) {
            r->last_file = mark;
            TRY(file_xorb_add(tx, file_id, r->id));
        }
    }
    assert(p.offset == f->size);
    return p.count ? file_part_add(tx, file_id, p.first, p.packed, p.count) : OK;
}

/* The row of a file that has bytes, whole when this returns. */
static err enter_content(struct db *tx, struct shard_work *w, const struct filing *n,
                         const struct shard_file *f, int64_t *ret_id)
{
    bool whole;

    TRY(file_row_find(tx, n->hash, ret_id, &whole));
    if (whole) {
        TRY(file_row_renew(tx, *ret_id, w->now_ms));
    } else {
        TRY(file_row_begin(tx, n->hash, f->size, w->now_ms, ret_id));
        TRY(add_terms(tx, w, f, (uint32_t)(n - w->files) + 1, *ret_id));
        TRY(file_row_find(tx, n->hash, ret_id, &whole));
        if (!whole)
            return &content_changed; /* a xorb was found damaged meanwhile */
    }
    return chunk_key_add(tx, n->first_chunk, w->refs[n->ref].id, n->chunk);
}

static err enter_file(struct db *tx, struct shard_work *w, const struct filing *n)
{
    struct shard_file f = file_of(w, n);
    int64_t id = 0;

    if (f.term_count > 0) {
        TRY(enter_content(tx, w, n, &f, &id));
        TRY(add_shard_file(tx, w, id));
        TRY(file_hold_add(tx, w->repo->id, id, w->now_ms + HOLD_MS));
    }
    return n->has_claim && has_claims(w) ? claim_add(tx, w, n, &f, id) : OK;
}

/* --- transactions --- */

static err write_fn(struct db *tx, void *arg)
{
    struct shard_work *w = arg;

    if (w->from == 0) {
        TRY(lease_refs(tx, w));
        TRY(enter_shard(tx, w));
    }
    for (size_t i = 0; i < w->ref_count; i++)
        w->refs[i].last_file = 0;
    for (size_t i = w->from; i < w->to; i++)
        TRY(enter_file(tx, w, &w->files[i]));
    return OK;
}

/* Sets w->to: at least one file further, if there is one. */
static void next_batch(struct shard_work *w)
{
    uint64_t terms = 0;

    w->to = w->from;
    while (w->to < w->file_count && w->to - w->from < BATCH_FILES && terms < BATCH_TERMS)
        terms += file_of(w, &w->files[w->to++]).term_count;
}

err shard_write_rows(struct shard_work *w)
{
    do {
        next_batch(w);
        TRY(db_write(w->store->hub, write_fn, w));
        w->from = w->to;
    } while (w->from < w->file_count);
    return OK;
}
