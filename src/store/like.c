/* like.c — see like.h. */
#include "store/like.h"
#include "base/clock.h"

static const struct sql ADD =
    SQL_INIT("INSERT INTO repo_like(repo_id, user_id, created_at) VALUES (?1, ?2, ?3) "
             "ON CONFLICT(repo_id, user_id) DO NOTHING");
static const struct sql REMOVE =
    SQL_INIT("DELETE FROM repo_like WHERE repo_id = ?1 AND user_id = ?2");
static const struct sql COUNT = SQL_INIT("UPDATE repo SET likes = likes + ?2 WHERE id = ?1");
static const struct sql LIST =
    SQL_INIT("SELECT created_at, user_id, 0, '' FROM repo_like WHERE repo_id = ?1 "
             "AND (created_at, user_id) < (?2, ?3) "
             "ORDER BY created_at DESC, user_id DESC LIMIT ?4");
static const struct sql LIST_OF =
    SQL_INIT("SELECT repo_like.created_at, repo_id, kind, full_name FROM repo_like "
             "JOIN repo ON repo.id = repo_id WHERE user_id = ?1 "
             "AND (repo_like.created_at, repo_id) < (?2, ?3) "
             "AND state = 'live' AND visibility = 'public' "
             "ORDER BY repo_like.created_at DESC, repo_id DESC LIMIT ?4");

struct setting {
    int64_t repo_id, user_id, now_ms;
    bool likes;
};

static err set_row(struct db *tx, const struct setting *x, bool *ret_changed)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, x->likes ? ADD : REMOVE));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_i64(q, 2, x->user_id);
    if (x->likes)
        db_bind_i64(q, 3, x->now_ms);
    TRY(db_run(q));
    *ret_changed = db_changes(q) > 0;
    return OK;
}

static err set(struct db *tx, void *arg)
{
    const struct setting *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;
    bool changed;

    TRY(set_row(tx, x, &changed));
    if (!changed)
        return OK;
    TRY(db_query(tx, &q, COUNT));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_i64(q, 2, x->likes ? 1 : -1);
    return db_run(q);
}

err like_set(struct store *s, int64_t repo_id, int64_t user_id, bool likes)
{
    struct setting x = {repo_id, user_id, clock_ms(), likes};

    return db_write(s->hub, set, &x);
}

/* --- lists --- */

/* "MILLISECONDS-ID" of the last item; empty: before everything. */
static err cursor_read(struct arena *a, str cursor, int64_t *ret_ms, int64_t *ret_id)
{
    str ms = cursor, id;

    *ret_ms = *ret_id = INT64_MAX;
    if (cursor.len == 0)
        return OK;
    id = cursor;
    ms = str_cut(&id, '-');
    if (!str_i64(ms, ret_ms) || !str_i64(id, ret_id))
        return err_new(a, 400, NULL, "This cursor is not one that a list of likes gave.");
    return OK;
}

/* The second column is the other side's id, which also orders likes of the same millisecond. */
static err page(struct db *db, struct arena *a, struct sql sql, int64_t id, str cursor,
                int64_t limit, struct like_page *ret)
{
    struct like_page p = {.items = arena_many(a, struct like, (size_t)limit)};
    AUTO_STMT struct db_stmt *q = NULL;
    int64_t before_ms, before_id;
    bool more;

    TRY(cursor_read(a, cursor, &before_ms, &before_id));
    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, id);
    db_bind_i64(q, 2, before_ms);
    db_bind_i64(q, 3, before_id);
    db_bind_i64(q, 4, limit + 1);
    while ((more = db_next(q)) && p.count < (size_t)limit) {
        p.items[p.count++] = (struct like){
            .at_ms = db_i64(q, 0),
            .account.id = db_i64(q, 1),
            .kind = (enum repo_kind)db_i64(q, 2),
            .full_name = db_str(q, 3, a),
        };
    }
    TRY(db_error(q));
    if (more) {
        const struct like *last = &p.items[p.count - 1];

        p.cursor =
            arena_printf(a, "%lld-%lld", (long long)last->at_ms, (long long)last->account.id);
    }
    *ret = p;
    return OK;
}

err like_list(struct db *db, struct arena *a, int64_t repo_id, str cursor, int64_t limit,
              struct like_page *ret)
{
    TRY(page(db, a, LIST, repo_id, cursor, limit, ret));
    for (size_t i = 0; i < ret->count; i++)
        TRY(account_by_id(db, a, ret->items[i].account.id, &ret->items[i].account));
    return OK;
}

err like_list_of(struct db *db, struct arena *a, int64_t user_id, str cursor, int64_t limit,
                 struct like_page *ret)
{
    return page(db, a, LIST_OF, user_id, cursor, limit, ret);
}
