/* intake_rows.c — the transaction that makes an upload visible: xorb, chunk_key, file, file_part
 * and file_xorb.  Where somebody else was faster, their rows win.
 */
#include "base/clock.h"
#include "store/intake.h"
#include "store/xet.h"
#include <assert.h>

#define PART_TERMS 1024 /* in one row of file_part */

static const struct sql FILE_BY_HASH = SQL_INIT("SELECT id FROM file WHERE hash = ?1");
static const struct sql FILE_REVIVE =
    SQL_INIT("UPDATE xorb SET state = 'live' WHERE state = 'condemned' AND id IN "
             "(SELECT xorb_id FROM file_xorb WHERE file_id = ?1)");
static const struct sql FILE_BROKEN =
    SQL_INIT("SELECT 1 FROM file_xorb LEFT JOIN xorb ON xorb.id = xorb_id "
             "WHERE file_id = ?1 AND coalesce(state, '') NOT IN ('live', 'condemned') LIMIT 1");
static const struct sql FILE_RENEW = SQL_INIT("UPDATE file SET created_at = ?2 WHERE id = ?1");
static const struct sql FILE_ADD =
    SQL_INIT("INSERT INTO file(hash, size, created_at) VALUES (?1, ?2, ?3) RETURNING id");
static const struct sql PARTS_REMOVE = SQL_INIT("DELETE FROM file_part WHERE file_id = ?1");
static const struct sql XORBS_REMOVE = SQL_INIT("DELETE FROM file_xorb WHERE file_id = ?1");
static const struct sql PART_ADD =
    SQL_INIT("INSERT INTO file_part(file_id, first, terms) VALUES (?1, ?2, ?3)");
static const struct sql FILE_XORB_ADD =
    SQL_INIT("INSERT INTO file_xorb(xorb_id, file_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
static const struct sql XORB_ADD =
    SQL_INIT("INSERT INTO xorb(hash, generation, chunk_count, raw_bytes, disk_bytes, state, "
             "lease_until, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 'live', ?6, ?7) RETURNING id");
static const struct sql XORB_RENEW =
    SQL_INIT("UPDATE xorb SET generation = ?2, chunk_count = ?3, raw_bytes = ?4, disk_bytes = ?5, "
             "state = 'live', lease_until = ?6 WHERE id = ?1");
/* A xorb we only refer to: it must still be there, and collection must leave it alone again. */
static const struct sql XORB_LEASE =
    SQL_INIT("UPDATE xorb SET state = 'live', lease_until = ?2 WHERE id = ?1 AND "
             "state IN ('live', 'condemned')");
static const struct sql KEY_ADD = SQL_INIT(
    "INSERT INTO chunk_key(hash, xorb_id, chunk_index) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING");

static const struct err_info changed = {
    503,
    NULL,
    STR_INIT("Stored data that this upload shares was removed meanwhile; upload it again."),
    NULL,
    {0}};
static const struct sql XORB_BY_HASH =
    SQL_INIT("SELECT id, generation, state FROM xorb WHERE hash = ?1");

err intake_find_xorb(struct db *db, xorb_hash h, struct xorb_row *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, XORB_BY_HASH));
    db_bind_hash(q, 1, h);
    *ret = (struct xorb_row){0};
    if (db_next(q))
        *ret = (struct xorb_row){db_i64(q, 0), db_i64(q, 1), str_eq(db_view(q, 2), STR("live"))};
    return db_error(q);
}

static err run2(struct db *tx, struct sql sql, int64_t first, int64_t second)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, first);
    if (second)
        db_bind_i64(q, 2, second);
    return db_run(q);
}

static err has_row(struct db *db, struct sql sql, int64_t id, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, id);
    *ret = db_next(q);
    return db_error(q);
}

err intake_find_file(struct db *db, file_hash h, int64_t *ret_id, bool *ret_whole)
{
    bool broken = false;

    *ret_id = 0;
    *ret_whole = false;
    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(db, &q, FILE_BY_HASH));
        db_bind_hash(q, 1, h);
        if (db_next(q))
            *ret_id = db_i64(q, 0);
        TRY(db_error(q));
    }
    if (*ret_id)
        TRY(has_row(db, FILE_BROKEN, *ret_id, &broken));
    *ret_whole = *ret_id && !broken;
    return OK;
}

static err returned_id(struct db_stmt *q, int64_t *ret)
{
    if (!db_next(q))
        return db_error(q) ?: &changed;
    *ret = db_i64(q, 0);
    return db_run(q);
}

static err add_xorb_row(struct db *tx, const struct ending *x, const struct used *u, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, XORB_ADD));
    db_bind_hash(q, 1, u->hash);
    db_bind_i64(q, 2, u->generation);
    db_bind_i64(q, 3, u->chunk_count);
    db_bind_i64(q, 4, u->raw_bytes);
    db_bind_i64(q, 5, u->disk_bytes);
    db_bind_i64(q, 6, x->now_ms + LEASE_MS);
    db_bind_i64(q, 7, x->now_ms);
    return returned_id(q, ret);
}

static err renew_xorb_row(struct db *tx, const struct ending *x, const struct used *u, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, XORB_RENEW));
    db_bind_i64(q, 1, id);
    db_bind_i64(q, 2, u->generation);
    db_bind_i64(q, 3, u->chunk_count);
    db_bind_i64(q, 4, u->raw_bytes);
    db_bind_i64(q, 5, u->disk_bytes);
    db_bind_i64(q, 6, x->now_ms + LEASE_MS);
    return db_run(q);
}

static err lease_xorb(struct db *tx, const struct ending *x, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, XORB_LEASE));
    db_bind_i64(q, 1, id);
    db_bind_i64(q, 2, x->now_ms + LEASE_MS);
    TRY(db_run(q));
    return db_changes(q) > 0 ? OK : &changed;
}

/* After this the xorb has a live row; u->kept tells whether that names our file. */
static err settle_xorb(struct db *tx, const struct ending *x, struct used *u)
{
    struct xorb_row row;

    u->kept = false;
    if (!u->fresh)
        return lease_xorb(tx, x, u->row_id);
    TRY(intake_find_xorb(tx, u->hash, &row));
    u->row_id = row.id;
    if (row.live)
        return lease_xorb(tx, x, row.id);
    u->kept = true;
    return row.id ? renew_xorb_row(tx, x, u, row.id) : add_xorb_row(tx, x, u, &u->row_id);
}

static err add_file_row(struct db *tx, struct ending *x)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, FILE_ADD));
    db_bind_hash(q, 1, x->hash);
    db_bind_i64(q, 2, (int64_t)x->in->size);
    db_bind_i64(q, 3, x->now_ms);
    return returned_id(q, &x->file_id);
}

static err add_part(struct db *tx, const struct ending *x, size_t from, size_t count,
                    uint64_t *offset)
{
    unsigned char packed[PART_TERMS * TERM_BYTES];
    uint64_t first = *offset;
    AUTO_STMT struct db_stmt *q = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct run *r = &x->in->runs[from + i];

        term_pack(packed + i * TERM_BYTES, (struct term){x->in->used[r->slot].row_id, r->first,
                                                         r->first + r->count, r->raw_len});
        *offset += r->raw_len;
    }
    TRY(db_query(tx, &q, PART_ADD));
    db_bind_i64(q, 1, x->file_id);
    db_bind_i64(q, 2, (int64_t)first);
    db_bind_blob(q, 3, (str){(const char *)packed, count * TERM_BYTES});
    return db_run(q);
}

static err add_parts(struct db *tx, const struct ending *x)
{
    const struct intake *in = x->in;
    uint64_t offset = 0;

    for (size_t i = 0; i < in->run_count; i += PART_TERMS) {
        size_t left = in->run_count - i;

        TRY(add_part(tx, x, i, left < PART_TERMS ? left : PART_TERMS, &offset));
    }
    assert(offset == in->size);
    for (size_t i = 0; i < in->used_count; i++)
        TRY(run2(tx, FILE_XORB_ADD, in->used[i].row_id, x->file_id));
    return OK;
}

static err add_key_row(struct db *tx, chunk_hash h, int64_t xorb_id, uint32_t chunk)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, KEY_ADD));
    db_bind_hash(q, 1, h);
    db_bind_i64(q, 2, xorb_id);
    db_bind_i64(q, 3, chunk);
    return db_run(q);
}

static err end_fn(struct db *tx, void *arg)
{
    struct ending *x = arg;
    struct intake *in = x->in;
    bool whole;

    TRY(intake_find_file(tx, x->hash, &x->file_id, &whole));
    x->existed = whole;
    if (whole) {
        TRY(run2(tx, FILE_REVIVE, x->file_id, 0));
        return run2(tx, FILE_RENEW, x->file_id, x->now_ms);
    }
    if (!x->complete)
        return &changed;
    for (size_t i = 0; i < in->used_count; i++)
        TRY(settle_xorb(tx, x, &in->used[i]));
    if (x->file_id) { /* damaged: it gets the terms of this upload */
        TRY(run2(tx, PARTS_REMOVE, x->file_id, 0));
        TRY(run2(tx, XORBS_REMOVE, x->file_id, 0));
        TRY(run2(tx, FILE_RENEW, x->file_id, x->now_ms));
    } else {
        TRY(add_file_row(tx, x));
    }
    TRY(add_parts(tx, x));
    for (size_t i = 0; i < in->key_count; i++)
        TRY(add_key_row(tx, in->keys[i].hash, in->used[in->keys[i].slot].row_id,
                        in->keys[i].chunk));
    return OK;
}

static void keep_files(struct intake *in, bool keep)
{
    for (size_t i = 0; i < in->used_count; i++)
        in->used[i].kept = keep;
}

/* When the commit may have happened although it failed (its sync did), our files stay: garbage is
 * better than a row without its blob. */
err intake_write_rows(struct ending *x)
{
    err e = db_write(x->in->store->hub, end_fn, x);

    if (e)
        keep_files(x->in, e->status == 503 && e != &changed);
    else if (x->existed)
        keep_files(x->in, false);
    return e;
}

/* --- after it --- */

static err late_keys_fn(struct db *tx, void *arg)
{
    const struct xorb *x = arg;

    for (uint32_t i = 0; i < x->index->count; i++)
        if (i == 0 || intake_is_sampled(x->index->chunks[i]))
            TRY(add_key_row(tx, x->index->chunks[i], x->id, i));
    return OK;
}

void intake_add_late_keys(struct intake *in)
{
    struct arena *a = arena_new(0);
    bool going = true;

    for (size_t i = 0; going && i < in->used_count; i++) {
        struct arena_mark m = arena_mark(a);
        struct xorb *x;

        if (!in->used[i].keys_left || !in->used[i].kept)
            continue;
        going = !xorb_get(in->store, a, in->used[i].row_id, &x);
        if (going) {
            going = !db_write(in->store->hub, late_keys_fn, x);
            xorb_unref(in->store, x);
        }
        arena_rewind(a, m);
    }
    arena_free(a);
}
