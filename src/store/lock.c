/* lock.c — see lock.h. */
#include "store/lock.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

#define LOCK_COLS "lfs_lock.id, path, ref, owner_id, account.name, locked_at"
#define LOCK_FROM " FROM lfs_lock LEFT JOIN account ON account.id = owner_id "
static const struct sql INSERT = SQL_INIT(
    "INSERT INTO lfs_lock(id, repo_id, path, owner_id, ref, locked_at) VALUES (?1, ?2, ?3, "
    "?4, ?5, ?6) ON CONFLICT DO NOTHING");
static const struct sql BY_ID =
    SQL_INIT("SELECT " LOCK_COLS LOCK_FROM "WHERE repo_id = ?1 AND lfs_lock.id = ?2");
static const struct sql BY_PATH =
    SQL_INIT("SELECT " LOCK_COLS LOCK_FROM "WHERE repo_id = ?1 AND path = ?2");
static const struct sql PAGE =
    SQL_INIT("SELECT " LOCK_COLS LOCK_FROM "WHERE repo_id = ?1 AND path > ?2 AND "
             "(?3 IS NULL OR path = ?3) AND (?4 IS NULL OR lfs_lock.id = ?4) "
             "ORDER BY path LIMIT ?5");
static const struct sql REMOVE = SQL_INIT("DELETE FROM lfs_lock WHERE repo_id = ?1 AND id = ?2");

static struct lfs_lock read_lock(struct db_stmt *q, struct arena *a)
{
    return (struct lfs_lock){
        .id = db_str(q, 0, a),
        .path = db_str(q, 1, a),
        .ref = db_str(q, 2, a),
        .owner_id = db_i64(q, 3),
        .owner = db_str(q, 4, a),
        .locked_at_ms = db_i64(q, 5),
    };
}

static err find(struct db *db, struct arena *a, struct sql sql, int64_t repo_id, str key,
                struct lfs_lock *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, repo_id);
    db_bind_str(q, 2, key);
    *ret = db_next(q) ? read_lock(q, a) : (struct lfs_lock){0};
    return db_error(q);
}

struct adding {
    struct arena *a;
    int64_t repo_id, user_id, now_ms;
    str id, path, ref;
    struct lfs_lock lock;
    bool added;
};

static err add(struct db *tx, void *arg)
{
    struct adding *x = arg;

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, INSERT));
        db_bind_str(q, 1, x->id);
        db_bind_i64(q, 2, x->repo_id);
        db_bind_str(q, 3, x->path);
        db_bind_i64(q, 4, x->user_id);
        db_bind_str(q, 5, x->ref);
        db_bind_i64(q, 6, x->now_ms);
        TRY(db_run(q));
        x->added = db_changes(q) > 0;
    }
    return find(tx, x->a, BY_PATH, x->repo_id, x->path, &x->lock);
}

err lfs_lock_add(struct store *s, struct arena *a, int64_t repo_id, int64_t user_id, str path,
                 str ref, struct lfs_lock *ret, bool *ret_new)
{
    struct adding x = {.a = a,
                       .repo_id = repo_id,
                       .user_id = user_id,
                       .now_ms = clock_ms(),
                       .id = random_hex(a, 16),
                       .path = path,
                       .ref = ref};

    if (path.len == 0 || path.len > LFS_LOCK_PATH_MAX || str_find(path, '\0') >= 0 ||
        !utf8_valid(path))
        return err_new(a, 400, NULL, "A lock needs the path of a file, of at most %u bytes.",
                       LFS_LOCK_PATH_MAX);
    if (ref.ptr && (ref.len > LFS_LOCK_PATH_MAX || !utf8_valid(ref)))
        return err_new(a, 400, NULL, "The name of the ref is too long or not UTF-8.");
    TRY(db_write(s->hub, add, &x));
    *ret = x.lock;
    *ret_new = x.added;
    return OK;
}

err lfs_lock_find(struct db *db, struct arena *a, int64_t repo_id, str id, struct lfs_lock *ret)
{
    return find(db, a, BY_ID, repo_id, id, ret);
}

struct removing {
    int64_t repo_id;
    str id;
};

static err remove_fn(struct db *tx, void *arg)
{
    struct removing *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, REMOVE));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_str(q, 2, x->id);
    return db_run(q);
}

err lfs_lock_remove(struct store *s, int64_t repo_id, str id)
{
    struct removing x = {repo_id, id};

    return db_write(s->hub, remove_fn, &x);
}

err lfs_lock_list(struct db *db, struct arena *a, int64_t repo_id,
                  const struct lfs_lock_query *query, struct lfs_lock_list *ret)
{
    int64_t limit =
        query->limit > 0 && query->limit < LFS_LOCK_PAGE_MAX ? query->limit : LFS_LOCK_PAGE_MAX;
    struct lfs_lock_list list = {.items = arena_many(a, struct lfs_lock, (size_t)limit + 1)};
    AUTO_STMT struct db_stmt *q = NULL;
    str after = STR("");

    if (query->cursor.ptr && (!base64_decode(a, query->cursor, &after) || !utf8_valid(after)))
        return err_new(a, 400, NULL, "This cursor is not one that a list of locks gave.");
    TRY(db_query(db, &q, PAGE));
    db_bind_i64(q, 1, repo_id);
    db_bind_str(q, 2, after.ptr ? after : STR(""));
    db_bind_str(q, 3, query->path);
    db_bind_str(q, 4, query->id);
    db_bind_i64(q, 5, limit + 1);
    while (list.count <= (size_t)limit && db_next(q))
        list.items[list.count++] = read_lock(q, a);
    TRY(db_error(q));
    if (list.count > (size_t)limit) {
        str last = list.items[--list.count - 1].path;

        list.cursor = base64url_encode(a, last.ptr, last.len);
    }
    *ret = list;
    return OK;
}
