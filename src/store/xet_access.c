/* xet_access.c — who may read a content by its file hash, and holds; see xet.h. */
#include "base/clock.h"
#include "store/xet.h"

static const struct sql FILE_BY_HASH = SQL_INIT("SELECT id, size FROM file WHERE hash = ?1");
/* A fact before a claim. */
static const struct sql IN_REPO =
    SQL_INIT("SELECT sha256, state, path, pusher_id FROM repo_file WHERE file_id = ?1 AND "
             "repo_id = ?2 ORDER BY state DESC, path IS NULL LIMIT 1");
static const struct sql IN_BUCKET =
    SQL_INIT("SELECT path FROM bucket_file WHERE file_id = ?1 AND repo_id = ?2 LIMIT 1");
static const struct sql HELD =
    SQL_INIT("SELECT 1 FROM file_hold WHERE repo_id = ?2 AND file_id = ?1 AND until > ?3");
static const struct sql HOLD_ADD =
    SQL_INIT("INSERT INTO file_hold(repo_id, file_id, until) VALUES (?1, ?2, ?3) "
             "ON CONFLICT(repo_id, file_id) DO UPDATE SET until = excluded.until "
             "WHERE file_hold.until < excluded.until");

err file_find(struct db *db, file_hash h, struct content *ret, bool *ret_found)
{
    struct content c = {.hash = h};

    if (file_hash_is_zero(h)) {
        c.sha256 = sha256_of("", 0);
        c.is_verified = true;
        *ret_found = true;
    } else {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(db, &q, FILE_BY_HASH));
        db_bind_hash(q, 1, h);
        *ret_found = db_next(q);
        if (!*ret_found)
            return db_error(q);
        c.file_id = db_i64(q, 0);
        c.size = (uint64_t)db_i64(q, 1);
    }
    *ret = c;
    return OK;
}

static err bound(struct db *db, struct sql sql, const struct content *c, int64_t repo_id,
                 struct db_stmt **ret)
{
    TRY(db_query(db, ret, sql));
    db_bind_i64(*ret, 1, c->file_id);
    db_bind_i64(*ret, 2, repo_id);
    return OK;
}

static err in_repo(struct db *db, struct arena *a, int64_t repo_id, struct content *c,
                   str *ret_path, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(bound(db, IN_REPO, c, repo_id, &q));
    *ret = db_next(q);
    if (!*ret)
        return db_error(q);
    if (!db_hash(q, 0, c->sha256.b, sizeof c->sha256.b))
        c->sha256 = (sha256){{0}};
    c->is_verified = str_eq(db_view(q, 1), STR("verified"));
    *ret_path = db_blob(q, 2, a);
    c->pusher_id = db_is_null(q, 3) ? 0 : db_i64(q, 3);
    return db_error(q);
}

static err in_bucket(struct db *db, struct arena *a, int64_t repo_id, const struct content *c,
                     str *ret_path, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(bound(db, IN_BUCKET, c, repo_id, &q));
    *ret = db_next(q);
    if (*ret)
        *ret_path = db_blob(q, 0, a);
    return db_error(q);
}

static err is_held(struct db *db, int64_t repo_id, const struct content *c, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(bound(db, HELD, c, repo_id, &q));
    db_bind_i64(q, 3, clock_ms());
    *ret = db_next(q);
    return db_error(q);
}

err xet_file_find(struct db *db, struct arena *a, int64_t repo_id, file_hash h, struct content *ret,
                  str *ret_path, bool *ret_found)
{
    struct content c;
    str path = STR_NONE;
    bool found;

    *ret_found = false;
    TRY(file_find(db, h, &c, &found));
    if (!found)
        return OK;
    if (c.file_id) { /* everybody has the empty content */
        TRY(in_repo(db, a, repo_id, &c, &path, &found));
        if (!found)
            TRY(in_bucket(db, a, repo_id, &c, &path, &found));
        if (!found)
            TRY(is_held(db, repo_id, &c, &found));
    }
    if (found) {
        *ret = c;
        *ret_path = path;
    }
    *ret_found = found;
    return OK;
}

struct holding {
    int64_t repo_id, file_id, until_ms;
};

static err hold_fn(struct db *tx, void *arg)
{
    const struct holding *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, HOLD_ADD));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_i64(q, 2, x->file_id);
    db_bind_i64(q, 3, x->until_ms);
    return db_run(q);
}

err file_hold_add(struct db *tx, int64_t repo_id, int64_t file_id, int64_t until_ms)
{
    struct holding x = {repo_id, file_id, until_ms};

    return db_write(tx, hold_fn, &x);
}
