/* file.c — which repository has which content; see file.h. */
#include "store/file.h"
#include "base/clock.h"
#include "base/io.h"
#include "store/xorb.h"

#define REPO_FILE_PAGE_MAX 1000
#define USE_RENEW_MS 86400000 /* how old a promise may be before it is written again */
#define USE_BATCH 1000

static const struct sql FIND = SQL_INIT(
    "SELECT repo_file.size, file_id, state, file.hash, pusher_id, file.size FROM repo_file "
    "LEFT JOIN file ON file.id = file_id WHERE repo_id = ?1 AND sha256 = ?2");
static const struct sql TOUCH =
    SQL_INIT("UPDATE repo_file SET used_at = ?3 WHERE repo_id = ?1 AND sha256 = ?2");
static const struct sql USED_AT = SQL_INIT("SELECT CASE WHEN used_at > pushed_at THEN used_at ELSE "
                                           "pushed_at END FROM repo_file WHERE repo_id = ?1 AND "
                                           "sha256 = ?2");
static const struct sql HAS_FILE = SQL_INIT("SELECT 1 FROM file WHERE id = ?1");
/* Bytes that were verified replace a claim, or the same bytes that were cut in another way. */
static const struct sql ADD =
    SQL_INIT("INSERT INTO repo_file(repo_id, sha256, size, file_id, state, pusher_id, pushed_at) "
             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(repo_id, sha256) DO UPDATE SET "
             "size = excluded.size, file_id = excluded.file_id, state = excluded.state "
             "WHERE excluded.state = 'verified' AND (repo_file.state <> 'verified' OR "
             "repo_file.file_id <> excluded.file_id)");
static const struct sql HAS =
    SQL_INIT("SELECT 1 FROM repo_file WHERE repo_id = ?1 AND sha256 = ?2");
static const struct sql GROW =
    SQL_INIT("UPDATE repo SET used_storage = used_storage + ?2 WHERE id = ?1");
static const struct sql DAMAGED =
    SQL_INIT("SELECT 1 FROM file_xorb LEFT JOIN xorb ON xorb.id = xorb_id "
             "WHERE file_id = ?1 AND coalesce(state, 'damaged') = 'damaged' LIMIT 1");
static const struct sql SET_PATH =
    SQL_INIT("UPDATE repo_file SET path = ?3 WHERE repo_id = ?1 AND sha256 = ?2");
static const struct sql REMOVE =
    SQL_INIT("DELETE FROM repo_file WHERE repo_id = ?1 AND sha256 = ?2");
static const struct sql COPY_ALL = SQL_INIT(
    "INSERT INTO repo_file(repo_id, sha256, size, file_id, state, path, pusher_id, pushed_at) "
    "SELECT ?2, sha256, size, file_id, state, path, pusher_id, pushed_at FROM repo_file "
    "WHERE repo_id = ?1 ON CONFLICT DO NOTHING");
static const struct sql LIST =
    SQL_INIT("SELECT sha256, size, path, pusher_id, pushed_at FROM repo_file "
             "WHERE repo_id = ?1 AND sha256 > ?2 ORDER BY sha256 LIMIT ?3");

static const struct sql PLACE = SQL_INIT(
    "SELECT name, key FROM branch_file JOIN ref ON ref.id = ref_id "
    "WHERE branch_file.sha256 = ?2 AND repo_id = ?1 ORDER BY name <> 'refs/heads/main', name, key "
    "LIMIT 1");

static const struct err_info vanished = {
    503,
    NULL,
    STR_INIT("This object was removed while it was uploaded; upload it again."),
    NULL,
    {0}};

err repo_file_find(struct db *db, int64_t repo_id, sha256 h, struct content *ret, bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct content c = {.sha256 = h};

    TRY(db_query(db, &q, FIND));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, h);
    *ret_found = db_next(q);
    if (!*ret_found)
        return db_error(q);
    c.size = (uint64_t)db_i64(q, 0);
    c.file_id = db_i64(q, 1);
    c.is_verified = str_eq(db_view(q, 2), STR("verified"));
    c.pusher_id = db_is_null(q, 4) ? 0 : db_i64(q, 4);
    if (c.file_id && !db_is_null(q, 5) && db_i64(q, 5) != (int64_t)c.size)
        return &data_corrupt; /* one of the two rows is damaged */
    if (c.file_id && !db_hash(q, 3, c.hash.b, sizeof c.hash.b))
        *ret_found = false; /* its file row is gone: the repository has to get the bytes again */
    else
        *ret = c;
    return OK;
}

struct using
{
    int64_t repo_id, now_ms;
    const sha256 *files; /* of one batch */
    size_t count, missing, old;
};

static err used_at(struct db *db, int64_t repo_id, sha256 h, int64_t *ret, bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, USED_AT));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, h);
    *ret_found = db_next(q);
    *ret = *ret_found ? db_i64(q, 0) : 0;
    return db_error(q);
}

static err touch(struct db *tx, int64_t repo_id, sha256 h, int64_t now_ms)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, TOUCH));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, h);
    db_bind_i64(q, 3, now_ms);
    return db_run(q);
}

static err count_old(struct db *db, void *arg)
{
    struct using *x = arg;
    bool found;
    int64_t at;

    x->missing = x->old = 0;
    for (size_t i = 0; i < x->count; i++) {
        TRY(used_at(db, x->repo_id, x->files[i], &at, &found));
        x->missing += !found;
        x->old += found && x->now_ms - at >= USE_RENEW_MS;
    }
    return OK;
}

static err use_fn(struct db *tx, void *arg)
{
    struct using *x = arg;

    TRY(count_old(tx, x));
    for (size_t i = 0; i < x->count; i++)
        TRY(touch(tx, x->repo_id, x->files[i], x->now_ms));
    return OK;
}

err repo_file_use(struct db *db, int64_t repo_id, const sha256 *files, size_t count,
                  size_t *ret_missing)
{
    struct using x = {.repo_id = repo_id, .now_ms = clock_ms()};

    *ret_missing = 0;
    for (size_t i = 0; i < count; i += USE_BATCH) {
        x.files = files + i;
        x.count = count - i < USE_BATCH ? count - i : USE_BATCH;
        TRY(db_read(db, count_old, &x));
        if (x.old > 0)
            TRY(db_write(db, use_fn, &x));
        *ret_missing += x.missing;
    }
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

err content_is_damaged(struct db *db, const struct content *c, bool *ret)
{
    return has_row(db, DAMAGED, c->file_id, ret);
}

struct adding {
    int64_t repo_id, user_id, now_ms;
    const struct content *content;
};

static err has(struct db *tx, int64_t repo_id, sha256 h, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, HAS));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, h);
    *ret = db_next(q);
    return db_error(q);
}

static err grow(struct db *tx, int64_t repo_id, uint64_t bytes)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, GROW));
    db_bind_i64(q, 1, repo_id);
    db_bind_i64(q, 2, (int64_t)bytes);
    return db_run(q);
}

static err add(struct db *tx, void *arg)
{
    const struct adding *x = arg;
    const struct content *c = x->content;
    AUTO_STMT struct db_stmt *q = NULL;
    bool there = true, had;

    if (c->file_id)
        TRY(has_row(tx, HAS_FILE, c->file_id, &there));
    if (!there)
        return &vanished;
    TRY(has(tx, x->repo_id, c->sha256, &had));
    if (had)
        TRY(touch(tx, x->repo_id, c->sha256, x->now_ms));
    else
        TRY(grow(tx, x->repo_id, c->size)); /* quotas and lists count it from here on */
    TRY(db_query(tx, &q, ADD));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_hash(q, 2, c->sha256);
    db_bind_i64(q, 3, (int64_t)c->size);
    db_bind_i64(q, 4, c->file_id);
    db_bind_str(q, 5, c->is_verified ? STR("verified") : STR("claimed"));
    if (x->user_id)
        db_bind_i64(q, 6, x->user_id);
    else
        db_bind_null(q, 6);
    db_bind_i64(q, 7, x->now_ms);
    return db_run(q);
}

err repo_file_add(struct db *db, int64_t repo_id, const struct content *c, int64_t user_id)
{
    struct adding x = {repo_id, user_id, clock_ms(), c};

    return db_write(db, add, &x);
}

struct one {
    int64_t repo_id;
    sha256 sha256;
    str path;
};

static err set_path(struct db *tx, void *arg)
{
    const struct one *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SET_PATH));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_hash(q, 2, x->sha256);
    db_bind_blob(q, 3, x->path);
    return db_run(q);
}

err repo_file_set_path(struct db *tx, int64_t repo_id, sha256 h, str path)
{
    struct one x = {repo_id, h, path};

    return db_write(tx, set_path, &x);
}

static err remove_one(struct db *tx, void *arg)
{
    const struct one *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, REMOVE));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_hash(q, 2, x->sha256);
    return db_run(q);
}

err repo_file_remove(struct db *tx, int64_t repo_id, sha256 h)
{
    struct one x = {repo_id, h, STR_NONE};

    return db_write(tx, remove_one, &x);
}

struct many {
    int64_t repo_id;
    const sha256 *files;
    size_t count;
};

static err forget(struct db *tx, void *arg)
{
    const struct many *x = arg;

    for (size_t i = 0; i < x->count; i++)
        TRY(repo_file_remove(tx, x->repo_id, x->files[i]));
    return repo_set_storage(tx, x->repo_id);
}

err repo_file_forget(struct db *db, int64_t repo_id, const sha256 *files, size_t count)
{
    struct many x = {repo_id, files, count};

    return db_write(db, forget, &x);
}

struct copying {
    int64_t from, to;
};

static err copy_all(struct db *tx, void *arg)
{
    const struct copying *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, COPY_ALL));
    db_bind_i64(q, 1, x->from);
    db_bind_i64(q, 2, x->to);
    return db_run(q);
}

err repo_file_copy_all(struct db *tx, int64_t from_repo_id, int64_t to_repo_id)
{
    struct copying x = {from_repo_id, to_repo_id};

    return db_write(tx, copy_all, &x);
}

err repo_file_list(struct db *db, struct arena *a, int64_t repo_id, str after_sha256_hex,
                   int64_t limit, struct repo_file_list *ret)
{
    size_t max = limit < 1 || limit > REPO_FILE_PAGE_MAX ? REPO_FILE_PAGE_MAX : (size_t)limit;
    struct repo_file_list list = {.items = arena_many(a, struct repo_file, max)};
    AUTO_STMT struct db_stmt *q = NULL;
    sha256 after = {{0}};

    if (after_sha256_hex.len && !sha256_from_hex(after_sha256_hex, &after))
        return err_new(a, 400, NULL, "This cursor is not one that a list of files gave.");
    TRY(db_query(db, &q, LIST));
    db_bind_i64(q, 1, repo_id);
    db_bind_blob(q, 2, (str){(const char *)after.b, after_sha256_hex.len ? sizeof after.b : 0});
    db_bind_i64(q, 3, (int64_t)max);
    while (list.count < max && db_next(q)) {
        struct repo_file *f = &list.items[list.count];

        if (!db_hash(q, 0, f->sha256.b, sizeof f->sha256.b))
            continue;
        f->size = (uint64_t)db_i64(q, 1);
        f->path = db_blob(q, 2, a);
        f->pusher_id = db_is_null(q, 3) ? 0 : db_i64(q, 3);
        f->pushed_at_ms = db_i64(q, 4);
        list.count++;
    }
    TRY(db_error(q));
    *ret = list;
    return OK;
}

err repo_file_place(struct db *db, struct arena *a, int64_t repo_id, sha256 h, str *ret_ref,
                    str *ret_path)
{
    AUTO_STMT struct db_stmt *q = NULL;
    bool found;

    TRY(db_query(db, &q, PLACE));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, h);
    found = db_next(q);
    *ret_ref = found ? db_str(q, 0, a) : STR_NONE;
    *ret_path = found ? db_blob(q, 1, a) : STR_NONE;
    return db_error(q);
}
