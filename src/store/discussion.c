/* discussion.c — see discussion.h. */
#include "store/discussion.h"
#include "base/clock.h"
#include "base/text.h"

#define EVENTS_MAX 1000

struct number_args {
    int64_t repo_id, number;
};

static err number_fn(struct db *tx, void *arg)
{
    struct number_args *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(
        tx, &q,
        SQL("UPDATE repo SET last_number = last_number + 1 WHERE id = ?1 RETURNING last_number")));
    db_bind_i64(q, 1, x->repo_id);
    if (db_next(q))
        x->number = db_i64(q, 0);
    return db_run(q);
}

err discussion_number_next(struct store *s, int64_t repo_id, int64_t *ret)
{
    struct number_args x = {repo_id, 0};

    TRY(db_write(s->hub, number_fn, &x));
    *ret = x.number;
    return OK;
}

err discussion_add(struct db *tx, struct arena *a, const struct discussion *d)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO discussion(oid, repo_id, number, is_pull_request, status, title, "
                     "description, author_id, base, created_at) "
                     "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")));
    db_bind_str(q, 1, store_oid24(a));
    db_bind_i64(q, 2, d->repo_id);
    db_bind_i64(q, 3, d->number);
    db_bind_i64(q, 4, d->is_pull_request);
    db_bind_str(q, 5, d->status);
    db_bind_str(q, 6, d->title);
    db_bind_str(q, 7, d->description.ptr ? d->description : STR(""));
    db_bind_i64(q, 8, d->author_id);
    db_bind_str(q, 9, d->base);
    db_bind_i64(q, 10, clock_ms());
    return db_run(q);
}

err discussion_find(struct db *db, struct arena *a, int64_t repo_id, int64_t number,
                    struct discussion *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct discussion){0};
    TRY(db_query(db, &q,
                 SQL("SELECT id, oid, is_pull_request, status, title, description, author_id, "
                     "base, created_at, merge_commit "
                     "FROM discussion WHERE repo_id = ?1 AND number = ?2")));
    db_bind_i64(q, 1, repo_id);
    db_bind_i64(q, 2, number);
    if (db_next(q))
        *ret = (struct discussion){
            .id = db_i64(q, 0),
            .oid = db_str(q, 1, a),
            .repo_id = repo_id,
            .number = number,
            .is_pull_request = db_bool(q, 2),
            .status = db_str(q, 3, a),
            .title = db_str(q, 4, a),
            .description = db_str(q, 5, a),
            .author_id = db_i64(q, 6),
            .base = db_str(q, 7, a),
            .created_at_ms = db_i64(q, 8),
        };
    if (ret->id)
        ret->is_merged = db_hash(q, 9, ret->merge_commit.b, sizeof ret->merge_commit.b);
    return db_error(q);
}

/* --- what happens to it --- */

err discussion_events(struct db *db, struct arena *a, int64_t discussion_id,
                      struct discussion_events *ret)
{
    struct discussion_events list = {arena_many(a, struct discussion_event, EVENTS_MAX), 0};
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q,
                 SQL("SELECT oid, type, body, author_id, at FROM discussion_event "
                     "WHERE discussion_id = ?1 ORDER BY id LIMIT 1000")));
    db_bind_i64(q, 1, discussion_id);
    while (list.count < EVENTS_MAX && db_next(q))
        list.items[list.count++] = (struct discussion_event){
            db_str(q, 0, a), db_str(q, 1, a), db_str(q, 2, a), db_i64(q, 3), db_i64(q, 4)};
    TRY(db_error(q));
    *ret = list;
    return OK;
}

err discussion_event_add(struct db *tx, struct arena *a, int64_t discussion_id, int64_t author_id,
                         str type, str body)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO discussion_event(oid, discussion_id, author_id, type, body, at) "
                     "VALUES (?1, ?2, ?3, ?4, ?5, ?6)")));
    db_bind_str(q, 1, store_oid24(a));
    db_bind_i64(q, 2, discussion_id);
    db_bind_i64(q, 3, author_id);
    db_bind_str(q, 4, type);
    db_bind_str(q, 5, body);
    db_bind_i64(q, 6, clock_ms());
    return db_run(q);
}

err discussion_set_status(struct db *tx, struct arena *a, const struct discussion *d,
                          int64_t user_id, str from, str or_from, str to, str comment,
                          const oid *merge_commit)
{
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q,
                     SQL("UPDATE discussion SET status = ?2, updated_at = ?3, "
                         "merge_commit = coalesce(?4, merge_commit) "
                         "WHERE id = ?1 AND status IN (?5, ?6)")));
        db_bind_i64(q, 1, d->id);
        db_bind_str(q, 2, to);
        db_bind_i64(q, 3, clock_ms());
        if (merge_commit)
            db_bind_hash(q, 4, *merge_commit);
        else
            db_bind_null(q, 4);
        db_bind_str(q, 5, from);
        db_bind_str(q, 6, or_from);
        TRY(db_run(q));
        if (db_changes(q) == 0)
            return err_new(a, 409, NULL, "This is not open any more; reload and look again.");
    }
    if (comment.len)
        TRY(discussion_event_add(tx, a, d->id, user_id, STR("comment"), comment));
    return discussion_event_add(tx, a, d->id, user_id, STR("status-change"), to);
}

err discussion_is_author(struct db *db, int64_t repo_id, int64_t user_id, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q,
                 SQL("SELECT 1 FROM discussion WHERE repo_id = ?1 AND author_id = ?2 AND "
                     "is_pull_request = 1 LIMIT 1")));
    db_bind_i64(q, 1, repo_id);
    db_bind_i64(q, 2, user_id);
    *ret = db_next(q);
    return db_error(q);
}

/* --- lists --- */

#define MATCHES                                                                                    \
    " FROM discussion WHERE repo_id = ?1 AND (?2 < 0 OR is_pull_request = ?2) AND (?3 = 'all' "    \
    "OR (?3 = 'open' AND status IN ('open', 'draft')) "                                            \
    "OR (?3 = 'closed' AND status IN ('closed', 'merged'))) "                                      \
    "AND (?4 = 0 OR author_id = ?4) AND lower(title) LIKE ?5 ESCAPE '~'"
#define LIST_COLS "id, oid, number, is_pull_request, status, title, author_id, created_at"

static const struct sql LIST =
    SQL_INIT("SELECT " LIST_COLS MATCHES " ORDER BY number DESC LIMIT ?6 OFFSET ?7");
static const struct sql TOTAL = SQL_INIT("SELECT count(*)" MATCHES);

/* "%text%", in which what LIKE would take for a wildcard is escaped. */
static str like_pattern(struct arena *a, str text)
{
    str lower = text_lower(a, text);
    char *p = arena_alloc(a, 2 * lower.len + 2);
    size_t n = 0;

    p[n++] = '%';
    for (size_t i = 0; i < lower.len; i++) {
        if (lower.ptr[i] == '%' || lower.ptr[i] == '_' || lower.ptr[i] == '~')
            p[n++] = '~';
        p[n++] = lower.ptr[i];
    }
    p[n++] = '%';
    return (str){p, n};
}

static void bind_query(struct db_stmt *q, const struct discussion_query *query, str pattern)
{
    db_bind_i64(q, 1, query->repo_id);
    db_bind_i64(q, 2, query->only);
    db_bind_str(q, 3, query->status);
    db_bind_i64(q, 4, query->author_id);
    db_bind_str(q, 5, pattern);
}

static err total(struct db *db, const struct discussion_query *query, str pattern, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, TOTAL));
    bind_query(q, query, pattern);
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

err discussion_list(struct db *db, struct arena *a, const struct discussion_query *query,
                    struct discussion_list *ret)
{
    struct discussion_list list = {.items = arena_many(a, struct discussion, (size_t)query->limit)};
    str pattern = like_pattern(a, query->search);
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(total(db, query, pattern, &list.total));
    TRY(db_query(db, &q, LIST));
    bind_query(q, query, pattern);
    db_bind_i64(q, 6, query->limit);
    db_bind_i64(q, 7, query->first);
    while (list.count < (size_t)query->limit && db_next(q))
        list.items[list.count++] = (struct discussion){
            .id = db_i64(q, 0),
            .oid = db_str(q, 1, a),
            .repo_id = query->repo_id,
            .number = db_i64(q, 2),
            .is_pull_request = db_bool(q, 3),
            .status = db_str(q, 4, a),
            .title = db_str(q, 5, a),
            .author_id = db_i64(q, 6),
            .created_at_ms = db_i64(q, 7),
        };
    TRY(db_error(q));
    *ret = list;
    return OK;
}
