/* content_rows.c — see content_rows.h. */
#include "store/content_rows.h"
#include "base/clock.h"
#include "store/xet.h"
#include "store/xorb.h"
#include <assert.h>

const struct err_info content_changed = {
    503,
    NULL,
    STR_INIT("Stored data that this upload shares was removed meanwhile; upload it again."),
    NULL,
    {0}};

static err run2(struct db *tx, struct sql sql, int64_t first, int64_t second)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, first);
    db_bind_i64(q, 2, second);
    return db_run(q);
}

static err run1(struct db *tx, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, id);
    return db_run(q);
}

static err returned_id(struct db_stmt *q, int64_t *ret)
{
    if (!db_next(q))
        return db_error(q) ?: &content_changed;
    *ret = db_i64(q, 0);
    return db_run(q);
}

/* --- xorbs --- */

static const struct sql XORB_BY_HASH =
    SQL_INIT("SELECT id, generation, state, disk_bytes FROM xorb WHERE hash = ?1");
static const struct sql XORB_ADD =
    SQL_INIT("INSERT INTO xorb(hash, generation, chunk_count, raw_bytes, disk_bytes, state, "
             "lease_until, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 'live', ?6, ?7) RETURNING id");
static const struct sql XORB_REPLACE =
    SQL_INIT("UPDATE xorb SET generation = ?2, chunk_count = ?3, raw_bytes = ?4, disk_bytes = ?5, "
             "state = 'live', condemned_at = NULL, checked_at = 0, lease_until = ?6 "
             "WHERE id = ?1 RETURNING id");
static const struct sql XORB_LEASE_STATE =
    SQL_INIT("SELECT state, lease_until FROM xorb WHERE id = ?1");
static const struct sql XORB_LEASE =
    SQL_INIT("UPDATE xorb SET state = 'live', condemned_at = NULL, lease_until = ?2 WHERE id = ?1");

err xorb_row_find(struct db *db, xorb_hash h, struct xorb_row *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, XORB_BY_HASH));
    db_bind_hash(q, 1, h);
    *ret = (struct xorb_row){0};
    if (db_next(q)) {
        ret->id = db_i64(q, 0);
        ret->generation = db_i64(q, 1);
        ret->live = str_eq(db_view(q, 2), STR("live"));
        ret->is_stored = ret->live || str_eq(db_view(q, 2), STR("condemned"));
        ret->disk_bytes = (uint64_t)db_i64(q, 3);
    }
    return db_error(q);
}

struct xorb_facts xorb_facts_of(const struct xorb_index *x, int64_t generation)
{
    return (struct xorb_facts){.hash = x->hash,
                               .generation = generation,
                               .chunk_count = x->count,
                               .raw_bytes = x->raw_end[x->count - 1],
                               .disk_bytes = xorb_body_len(x)};
}

static err xorb_row_add(struct db *tx, const struct xorb_facts *x, int64_t now_ms, int64_t *ret_id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, XORB_ADD));
    db_bind_hash(q, 1, x->hash);
    db_bind_i64(q, 2, x->generation);
    db_bind_i64(q, 3, x->chunk_count);
    db_bind_i64(q, 4, x->raw_bytes);
    db_bind_i64(q, 5, x->disk_bytes);
    db_bind_i64(q, 6, now_ms + LEASE_MS);
    db_bind_i64(q, 7, now_ms);
    return returned_id(q, ret_id);
}

err xorb_row_put(struct db *tx, const struct xorb_facts *x, int64_t id, int64_t now_ms,
                 int64_t *ret_id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    if (id == 0)
        return xorb_row_add(tx, x, now_ms, ret_id);
    TRY(db_query(tx, &q, XORB_REPLACE));
    db_bind_i64(q, 1, id);
    db_bind_i64(q, 2, x->generation);
    db_bind_i64(q, 3, x->chunk_count);
    db_bind_i64(q, 4, x->raw_bytes);
    db_bind_i64(q, 5, x->disk_bytes);
    db_bind_i64(q, 6, now_ms + LEASE_MS);
    return returned_id(q, ret_id);
}

err xorb_row_lease(struct db *tx, int64_t id, int64_t now_ms, bool *ret_stored, bool *ret_revived)
{
    bool live = false;
    int64_t until = 0;

    *ret_stored = *ret_revived = false;
    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, XORB_LEASE_STATE));
        db_bind_i64(q, 1, id);
        if (db_next(q)) {
            live = str_eq(db_view(q, 0), STR("live"));
            *ret_revived = str_eq(db_view(q, 0), STR("condemned"));
            *ret_stored = live || *ret_revived;
            until = db_i64(q, 1);
        }
        TRY(db_error(q));
    }
    if (!*ret_stored || (live && until >= now_ms + LEASE_RENEW_MS))
        return OK;
    return run2(tx, XORB_LEASE, id, now_ms + LEASE_MS);
}

int64_t xorb_fresh_generation(void)
{
    uint32_t r;

    random_bytes(&r, sizeof r);
    return (clock_ms() << 20) | (int64_t)(r & 0xfffff);
}

err xorb_sidecar_put(struct store *s, struct arena *a, const struct xorb_index *x,
                     int64_t generation)
{
    struct blob_writer *w;
    str file = xorb_index_write(a, x);
    bool is_new;
    err e;

    TRY(blob_writer_new(s->blobs, a, &w));
    e = blob_write(w, a, file.ptr, file.len);
    if (e) {
        blob_drop(w);
        return e;
    }
    return blob_put(w, a, xorb_key(a, BLOB_XORB_INDEX, x->hash, generation), &is_new);
}

/* --- keys --- */

static const struct sql KEY_ADD = SQL_INIT(
    "INSERT INTO chunk_key(hash, xorb_id, chunk_index) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING");

err chunk_key_add(struct db *tx, chunk_hash h, int64_t xorb_id, uint32_t chunk)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, KEY_ADD));
    db_bind_hash(q, 1, h);
    db_bind_i64(q, 2, xorb_id);
    db_bind_i64(q, 3, chunk);
    return db_run(q);
}

err chunk_keys_add(struct db *tx, int64_t xorb_id, const struct xorb_index *x)
{
    for (uint32_t i = 0; i < x->count; i++)
        if (i == 0 || chunk_is_sampled(x->chunks[i]))
            TRY(chunk_key_add(tx, x->chunks[i], xorb_id, i));
    return OK;
}

/* --- files --- */

static const struct sql FILE_BY_HASH = SQL_INIT("SELECT id FROM file WHERE hash = ?1");
static const struct sql FILE_BROKEN =
    SQL_INIT("SELECT 1 FROM file_xorb LEFT JOIN xorb ON xorb.id = xorb_id "
             "WHERE file_id = ?1 AND coalesce(state, '') NOT IN ('live', 'condemned') LIMIT 1");
static const struct sql FILE_REVIVE =
    SQL_INIT("UPDATE xorb SET state = 'live', condemned_at = NULL WHERE state = 'condemned' AND "
             "id IN (SELECT xorb_id FROM file_xorb WHERE file_id = ?1)");
static const struct sql FILE_RENEW = SQL_INIT("UPDATE file SET created_at = ?2 WHERE id = ?1");
static const struct sql FILE_ADD =
    SQL_INIT("INSERT INTO file(hash, size, created_at) VALUES (?1, ?2, ?3) RETURNING id");
static const struct sql PARTS_REMOVE = SQL_INIT("DELETE FROM file_part WHERE file_id = ?1");
static const struct sql XORBS_REMOVE = SQL_INIT("DELETE FROM file_xorb WHERE file_id = ?1");
static const struct sql PART_ADD =
    SQL_INIT("INSERT INTO file_part(file_id, first, terms) VALUES (?1, ?2, ?3)");
static const struct sql FILE_XORB_ADD =
    SQL_INIT("INSERT INTO file_xorb(xorb_id, file_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING");

static err is_broken(struct db *db, int64_t id, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, FILE_BROKEN));
    db_bind_i64(q, 1, id);
    *ret = db_next(q);
    return db_error(q);
}

err file_row_find(struct db *db, file_hash h, int64_t *ret_id, bool *ret_whole)
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
        TRY(is_broken(db, *ret_id, &broken));
    *ret_whole = *ret_id && !broken;
    return OK;
}

err file_row_renew(struct db *tx, int64_t id, int64_t now_ms)
{
    TRY(run1(tx, FILE_REVIVE, id));
    return run2(tx, FILE_RENEW, id, now_ms);
}

err file_row_begin(struct db *tx, file_hash h, uint64_t size, int64_t now_ms, int64_t *id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    if (*id) {
        TRY(run1(tx, PARTS_REMOVE, *id));
        TRY(run1(tx, XORBS_REMOVE, *id));
        return run2(tx, FILE_RENEW, *id, now_ms);
    }
    TRY(db_query(tx, &q, FILE_ADD));
    db_bind_hash(q, 1, h);
    db_bind_i64(q, 2, (int64_t)size);
    db_bind_i64(q, 3, now_ms);
    return returned_id(q, id);
}

err file_part_add(struct db *tx, int64_t id, uint64_t first, const unsigned char *packed,
                  size_t count)
{
    AUTO_STMT struct db_stmt *q = NULL;

    assert(count > 0 && count <= PART_TERMS);
    TRY(db_query(tx, &q, PART_ADD));
    db_bind_i64(q, 1, id);
    db_bind_i64(q, 2, (int64_t)first);
    db_bind_blob(q, 3, (str){(const char *)packed, count * TERM_BYTES});
    return db_run(q);
}

err file_xorb_add(struct db *tx, int64_t id, int64_t xorb_id)
{
    return run2(tx, FILE_XORB_ADD, xorb_id, id);
}
