/* bucket.c — see bucket.h: rows, rules for paths, single files. */
#include "store/bucket.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/bucket_cols.h"

static const struct sql INSERT = SQL_INIT("INSERT INTO bucket(repo_id) VALUES (?1)");
static const struct sql FIND = SQL_INIT("SELECT file_count, seq FROM bucket WHERE repo_id = ?1");
static const struct sql TOUCH =
    SQL_INIT("UPDATE repo SET updated_at = CASE WHEN updated_at < ?2 THEN ?2 ELSE updated_at + 1 "
             "END WHERE id = ?1");
static const struct sql SET_VISIBILITY = SQL_INIT("UPDATE repo SET visibility = ?2 WHERE id = ?1");
static const struct sql FILE_FIND =
    SQL_INIT("SELECT " BUCKET_FILE_COLS BUCKET_FILE_FROM "WHERE repo_id = ?1 AND path = ?2");
static const struct sql DIR_FIND = SQL_INIT("SELECT file_count, size, uploaded_at FROM bucket_dir "
                                            "WHERE repo_id = ?1 AND parent = ?2 AND name = ?3");
static const struct sql SUM_KNOWN = SQL_INIT("SELECT 1 FROM repo_file WHERE file_id = ?1 AND "
                                             "sha256 = ?2 AND state = 'verified' LIMIT 1");

/* --- paths --- */

const char *bucket_path_wrong(str path)
{
    if (path.len == 0)
        return "a path is not empty";
    if (path.len > BUCKET_PATH_MAX)
        return "a path has at most 1024 bytes";
    if (!utf8_valid(path))
        return "a path is UTF-8";
    if (path.ptr[0] == '/' || path.ptr[path.len - 1] == '/')
        return "a path has no '/' at its ends";
    if (str_has(path, STR("//")))
        return "a path has no \"//\"";
    if (str_starts(path, STR("./")) || str_has(path, STR("../")) || str_ends(path, STR("..")))
        return "a path does not begin with \"./\", end with \"..\" or hold \"../\"";
    if (str_find(path, '\\') >= 0 || str_find(path, '\0') >= 0)
        return "a path has no '\\' and no NUL";
    return NULL;
}

/* --- life --- */

struct making {
    struct arena *a;
    const struct repo_new *n;
    struct repo made;
};

static err run_id(struct db *tx, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, id);
    return db_run(q);
}

static err create_fn(struct db *tx, void *arg)
{
    struct making *m = arg;

    TRY(repo_insert(tx, m->a, m->n, &m->made));
    return run_id(tx, INSERT, m->made.id);
}

err bucket_create(struct store *s, struct arena *a, const struct repo_new *n, struct repo *ret)
{
    struct making m = {.a = a, .n = n};
    err e = db_write(s->hub, create_fn, &m);

    if (e == &db_unique)
        return err_new(a, 409, NULL, "You already created this bucket: %.*s/%.*s",
                       STR_FMT(n->owner->name), STR_FMT(n->name));
    TRY(e);
    *ret = m.made;
    return OK;
}

err bucket_find(struct db *db, int64_t repo_id, struct bucket *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct bucket){0};
    TRY(db_query(db, &q, FIND));
    db_bind_i64(q, 1, repo_id);
    if (db_next(q))
        *ret = (struct bucket){db_i64(q, 0), db_i64(q, 1)};
    return db_error(q);
}

err bucket_touch(struct db *tx, int64_t repo_id, int64_t now_ms)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, TOUCH));
    db_bind_i64(q, 1, repo_id);
    db_bind_i64(q, 2, now_ms);
    return db_run(q);
}

struct setting {
    int64_t repo_id;
    bool is_private;
};

static err set_fn(struct db *tx, void *arg)
{
    const struct setting *x = arg;

    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, SET_VISIBILITY));
        db_bind_i64(q, 1, x->repo_id);
        db_bind_str(q, 2, x->is_private ? STR("private") : STR("public"));
        TRY(db_run(q));
    }
    return bucket_touch(tx, x->repo_id, clock_ms());
}

err bucket_set_private(struct store *s, int64_t repo_id, bool is_private)
{
    struct setting x = {repo_id, is_private};

    return db_write(s->hub, set_fn, &x);
}

/* --- single files --- */

struct bucket_file bucket_file_read(struct db_stmt *q, struct arena *a)
{
    struct bucket_file f = {
        .path = db_blob(q, 0, a),
        .file_id = db_i64(q, 1),
        .size = (uint64_t)db_i64(q, 3),
        .mtime_ms = db_i64(q, 4),
        .mtime_ns = db_is_null(q, 5) ? -1 : (int32_t)db_i64(q, 5),
        .uploaded_at_ms = db_i64(q, 6),
        .content_type = db_str(q, 7, a),
        .seq = db_i64(q, 8),
    };

    db_hash(q, 2, f.hash.b, sizeof f.hash.b); /* the empty content has no row: zeros */
    return f;
}

err bucket_file_find(struct db *db, struct arena *a, int64_t repo_id, str path,
                     struct bucket_file *ret, bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, FILE_FIND));
    db_bind_i64(q, 1, repo_id);
    db_bind_blob(q, 2, path.ptr ? path : STR(""));
    *ret_found = db_next(q);
    if (*ret_found)
        *ret = bucket_file_read(q, a);
    return db_error(q);
}

err bucket_dir_find(struct db *db, int64_t repo_id, str path, struct bucket_dir *ret,
                    bool *ret_found)
{
    ptrdiff_t slash = str_rfind(path, '/');
    char name[BUCKET_PATH_MAX + 1];
    str last = str_from(path, (size_t)(slash + 1));
    AUTO_STMT struct db_stmt *q = NULL;

    *ret_found = false;
    if (last.len == 0 || last.len > BUCKET_PATH_MAX)
        return OK;
    for (size_t i = 0; i < last.len; i++)
        name[i] = last.ptr[i];
    name[last.len] = '/';
    TRY(db_query(db, &q, DIR_FIND));
    db_bind_i64(q, 1, repo_id);
    db_bind_blob(q, 2, slash < 0 ? STR("") : str_first(path, (size_t)slash));
    db_bind_blob(q, 3, (str){name, last.len + 1});
    *ret_found = db_next(q);
    if (*ret_found)
        *ret = (struct bucket_dir){db_i64(q, 0), db_i64(q, 1), db_i64(q, 2)};
    return db_error(q);
}

err bucket_sum_known(struct db *db, const struct content *c, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, SUM_KNOWN));
    db_bind_i64(q, 1, c->file_id);
    db_bind_hash(q, 2, c->sha256);
    *ret = db_next(q);
    return db_error(q);
}

err bucket_quota_check(struct db *db, struct arena *a, const struct repo *r, uint64_t bytes,
                       int status)
{
    struct account owner;
    int64_t used;

    TRY(account_by_id(db, a, r->owner_id, &owner));
    if (owner.id == 0 || owner.quota_bytes < 0)
        return OK;
    TRY(repo_owner_storage(db, owner.id, &used));
    if ((uint64_t)used + bytes <= (uint64_t)owner.quota_bytes)
        return OK;
    return err_new(a, status, "QuotaExceeded",
                   "%.*s may store %lld bytes on this hub and these files do not fit; delete some, "
                   "or ask its operator for more.",
                   STR_FMT(owner.name), (long long)owner.quota_bytes);
}
