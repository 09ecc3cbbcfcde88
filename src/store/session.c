/* session.c — see session.h. */
#include "store/session.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "store/internal.h"

#define SECRET_BYTES 32
#define SESSION_COLS "session.id, user_id, agent, address, session.created_at, used_at, expires_at"
#define SESSION_COLUMN_COUNT 7
#define LIST_MAX 200

static const struct sql INSERT =
    SQL_INIT("INSERT INTO session(hash, user_id, agent, address, created_at, used_at, expires_at) "
             "VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)");
static const struct sql FIND =
    SQL_INIT("SELECT " SESSION_COLS
             ", account.id, oid, account.name, kind, account.role, state, full_name, email, "
             "private_by_default, quota_bytes, account.created_at, password_kind "
             "FROM session JOIN account ON account.id = user_id "
             "WHERE hash = ?1 AND state = 'active' AND expires_at > ?2");
static const struct sql TOUCH =
    SQL_INIT("UPDATE session SET used_at = ?2, expires_at = ?3 WHERE id = ?1");
static const struct sql LIST =
    SQL_INIT("SELECT " SESSION_COLS " FROM session WHERE user_id = ?1 AND expires_at > ?2 "
             "ORDER BY used_at DESC, id DESC LIMIT 200");
static const struct sql END = SQL_INIT("DELETE FROM session WHERE user_id = ?1 AND id = ?2");
static const struct sql END_OTHERS =
    SQL_INIT("DELETE FROM session WHERE user_id = ?1 AND id <> ?2");
static const struct sql EXPIRE = SQL_INIT("DELETE FROM session WHERE expires_at <= ?1");

struct writing {
    struct sql sql;
    sha256 hash;
    int64_t first, second, third;
    str agent, address;
};

static err insert_fn(struct db *tx, void *arg)
{
    const struct writing *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, INSERT));
    db_bind_hash(q, 1, x->hash);
    db_bind_i64(q, 2, x->first);
    db_bind_str(q, 3, x->agent);
    db_bind_str(q, 4, x->address);
    db_bind_i64(q, 5, x->second);
    db_bind_i64(q, 6, x->second + SESSION_MS);
    return db_run(q);
}

static err run_fn(struct db *tx, void *arg)
{
    const struct writing *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, x->sql));
    db_bind_i64(q, 1, x->first);
    if (x->second)
        db_bind_i64(q, 2, x->second);
    if (x->third)
        db_bind_i64(q, 3, x->third);
    return db_run(q);
}

err session_add(struct store *s, struct arena *a, int64_t user_id, str agent, str address,
                str *ret_secret)
{
    struct writing x = {.first = user_id, .second = clock_ms(), .address = address};
    unsigned char secret[SECRET_BYTES];

    random_bytes(secret, sizeof secret);
    *ret_secret = base64url_encode(a, secret, sizeof secret);
    x.hash = sha256_of(ret_secret->ptr, ret_secret->len);
    x.agent = agent.ptr ? str_first(agent, agent.len < 300 ? agent.len : 300) : STR("");
    return db_write(s->hub, insert_fn, &x);
}

static struct session read_session(struct db_stmt *q, struct arena *a)
{
    return (struct session){
        .id = db_i64(q, 0),
        .user_id = db_i64(q, 1),
        .agent = db_str(q, 2, a),
        .address = db_str(q, 3, a),
        .created_at_ms = db_i64(q, 4),
        .used_at_ms = db_i64(q, 5),
        .expires_at_ms = db_i64(q, 6),
    };
}

static err find(struct store *s, struct arena *a, sha256 hash, struct session *ret,
                struct account *ret_user)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->hub, &q, FIND));
    db_bind_hash(q, 1, hash);
    db_bind_i64(q, 2, clock_ms());
    if (!db_next(q))
        return db_error(q);
    *ret = read_session(q, a);
    *ret_user = account_read(q, SESSION_COLUMN_COUNT, a);
    ret->must_change = !str_eq(db_view(q, SESSION_COLUMN_COUNT + ACCOUNT_COLUMN_COUNT), STR("own"));
    return OK;
}

err session_find(struct store *s, struct arena *a, str secret, struct session *ret,
                 struct account *ret_user)
{
    int64_t now = clock_ms();

    *ret = (struct session){0};
    *ret_user = (struct account){0};
    TRY(find(s, a, sha256_of(secret.ptr, secret.len), ret, ret_user));
    if (ret->id && now - ret->used_at_ms > SESSION_TOUCH_MS) {
        struct writing x = {
            .sql = TOUCH, .first = ret->id, .second = now, .third = now + SESSION_MS};

        TRY(db_write(s->hub, run_fn, &x));
    }
    return OK;
}

err session_list(struct db *db, struct arena *a, int64_t user_id, struct session_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct session_list list = {arena_many(a, struct session, LIST_MAX), 0};

    TRY(db_query(db, &q, LIST));
    db_bind_i64(q, 1, user_id);
    db_bind_i64(q, 2, clock_ms());
    while (list.count < LIST_MAX && db_next(q))
        list.items[list.count++] = read_session(q, a);
    TRY(db_error(q));
    *ret = list;
    return OK;
}

err session_end(struct store *s, int64_t user_id, int64_t id)
{
    struct writing x = {.sql = END, .first = user_id, .second = id};

    return db_write(s->hub, run_fn, &x);
}

static err end_others_fn(struct db *tx, void *arg)
{
    const struct writing *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, END_OTHERS));
    db_bind_i64(q, 1, x->first);
    db_bind_i64(q, 2, x->second);
    return db_run(q);
}

err session_end_others(struct store *s, int64_t user_id, int64_t keep_id)
{
    struct writing x = {.first = user_id, .second = keep_id};

    return db_write(s->hub, end_others_fn, &x);
}

err session_expire(struct store *s, struct arena *a)
{
    struct writing x = {.sql = EXPIRE, .first = clock_ms()};

    (void)a;
    return db_write(s->hub, run_fn, &x);
}
