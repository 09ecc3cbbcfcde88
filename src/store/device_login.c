/* device_login.c — see device_login.h.
 *
 *     begin ──▶ waiting ──▶ allowed ──poll──▶ used (tokens were made)
 *                  └─────▶ denied
 */
#include "store/device_login.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

#define SECRET_BYTES 32
#define USER_CODE_LEN 8
#define DAY_MS 86400000LL

static const struct sql WAITING =
    SQL_INIT("SELECT count(*) FROM device_login WHERE state = 'waiting' AND expires_at > ?1");
static const struct sql INSERT =
    SQL_INIT("INSERT INTO device_login(hash, user_code, client_id, address, state, created_at, "
             "expires_at) VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?6)");
static const struct sql BY_USER_CODE =
    SQL_INIT("SELECT user_code, client_id, address, state, created_at FROM device_login "
             "WHERE user_code = ?1 AND expires_at > ?2");
static const struct sql ANSWER =
    SQL_INIT("UPDATE device_login SET state = ?2, user_id = ?3 WHERE user_code = ?1 AND "
             "state = 'waiting' AND expires_at > ?4");
static const struct sql POLL =
    SQL_INIT("SELECT state, user_id, polled_at, expires_at FROM device_login "
             "WHERE hash = ?1 AND client_id = ?2");
static const struct sql POLLED = SQL_INIT("UPDATE device_login SET polled_at = ?2 WHERE hash = ?1");
static const struct sql USED = SQL_INIT("UPDATE device_login SET state = 'used' WHERE hash = ?1");
static const struct sql TOKEN_ADD =
    SQL_INIT("INSERT INTO token(user_id, name, role, hash, hint, created_at, expires_at) "
             "VALUES (?1, ?2, 'write', ?3, ?4, ?5, ?6) RETURNING id");
static const struct sql REFRESH_ADD =
    SQL_INIT("INSERT INTO refresh_token(hash, user_id, token_id, client_id, expires_at) "
             "VALUES (?1, ?2, ?3, ?4, ?5)");
static const struct sql REFRESH_FIND =
    SQL_INIT("SELECT refresh_token.user_id, token_id FROM refresh_token "
             "JOIN token ON token.id = token_id "
             "JOIN account ON account.id = refresh_token.user_id "
             "WHERE refresh_token.hash = ?1 AND client_id = ?2 AND refresh_token.expires_at > ?3 "
             "AND account.state = 'active'");
static const struct sql REFRESH_REMOVE = SQL_INIT("DELETE FROM refresh_token WHERE hash = ?1");
static const struct sql TOKEN_REMOVE = SQL_INIT("DELETE FROM token WHERE id = ?1");

static const struct err_info too_many = {
    429,
    NULL,
    STR_INIT("Too many logins are waiting for an answer; try again in a few minutes."),
    NULL,
    {0}};
static const struct err_info gone = {
    404, NULL, STR_INIT("This code was answered or has expired; run the login again."), NULL, {0}};

static str random_secret(struct arena *a)
{
    unsigned char b[SECRET_BYTES];

    random_bytes(b, sizeof b);
    return base64url_encode(a, b, sizeof b);
}

/* Eight letters that are not mistaken for each other and spell no words: "WDJB-MJHT". */
static str random_user_code(struct arena *a)
{
    static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";
    char *p = arena_alloc(a, USER_CODE_LEN + 2);
    size_t n = 0;

    while (n < USER_CODE_LEN + 1) {
        unsigned char b;

        if (n == USER_CODE_LEN / 2)
            p[n++] = '-';
        random_bytes(&b, 1);
        if (b < 240)
            p[n++] = letters[b % 20];
    }
    return (str){p, n};
}

static sha256 hash_of(str secret)
{
    return sha256_of(secret.ptr, secret.len);
}

/* --- the program asks --- */

struct beginning {
    str client_id, address, user_code;
    sha256 hash;
    int64_t now_ms;
};

static err begin_fn(struct db *tx, void *arg)
{
    const struct beginning *x = arg;

    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, WAITING));
        db_bind_i64(q, 1, x->now_ms);
        if (db_next(q) && db_i64(q, 0) >= DEVICE_WAITING_MAX)
            return &too_many;
        TRY(db_error(q));
    }
    AUTO_STMT struct db_stmt *q = NULL;
    TRY(db_query(tx, &q, INSERT));
    db_bind_hash(q, 1, x->hash);
    db_bind_str(q, 2, x->user_code);
    db_bind_str(q, 3, x->client_id);
    db_bind_str(q, 4, x->address);
    db_bind_i64(q, 5, x->now_ms);
    db_bind_i64(q, 6, x->now_ms + DEVICE_LOGIN_SECONDS * 1000);
    return db_run(q);
}

err device_login_begin(struct store *s, struct arena *a, str client_id, str address,
                       str *ret_device_code, str *ret_user_code)
{
    struct beginning x = {.client_id = client_id, .address = address, .now_ms = clock_ms()};
    err e;

    *ret_device_code = random_secret(a);
    x.hash = hash_of(*ret_device_code);
    do { /* another one may have drawn the same letters */
        x.user_code = random_user_code(a);
        e = db_write(s->hub, begin_fn, &x);
    } while (e == &db_unique);
    *ret_user_code = x.user_code;
    return e;
}

/* --- the person answers --- */

/* "wdjb mjht" as it is stored; ptr NULL when it is no code. */
static str normal_code(struct arena *a, str typed)
{
    char *p = arena_alloc(a, USER_CODE_LEN + 2);
    size_t n = 0;

    for (size_t i = 0; i < typed.len; i++) {
        char c = typed.ptr[i];

        if (c == '-' || c == ' ')
            continue;
        if (n == USER_CODE_LEN / 2)
            p[n++] = '-';
        if (n > USER_CODE_LEN)
            return STR_NONE;
        p[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return n == USER_CODE_LEN + 1 ? (str){p, n} : STR_NONE;
}

err device_login_find(struct store *s, struct arena *a, str typed, struct device_login *ret)
{
    str code = normal_code(a, typed);
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct device_login){0};
    if (!code.ptr)
        return OK;
    TRY(db_query(s->hub, &q, BY_USER_CODE));
    db_bind_str(q, 1, code);
    db_bind_i64(q, 2, clock_ms());
    if (db_next(q))
        *ret = (struct device_login){
            .user_code = db_str(q, 0, a),
            .client_id = db_str(q, 1, a),
            .address = db_str(q, 2, a),
            .state = db_str(q, 3, a),
            .created_at_ms = db_i64(q, 4),
        };
    return db_error(q);
}

struct answering {
    str user_code, state;
    int64_t user_id, now_ms;
};

static err answer_fn(struct db *tx, void *arg)
{
    const struct answering *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, ANSWER));
    db_bind_str(q, 1, x->user_code);
    db_bind_str(q, 2, x->state);
    db_bind_i64(q, 3, x->user_id);
    db_bind_i64(q, 4, x->now_ms);
    TRY(db_run(q));
    return db_changes(q) == 1 ? OK : &gone;
}

err device_login_answer(struct store *s, struct arena *a, str user_code, int64_t user_id,
                        bool allow)
{
    struct answering x = {normal_code(a, user_code), allow ? STR("allowed") : STR("denied"),
                          user_id, clock_ms()};

    return x.user_code.ptr ? db_write(s->hub, answer_fn, &x) : &gone;
}

/* --- tokens --- */

struct granting {
    struct arena *a;
    str client_id;
    sha256 asked; /* hash of the device code or the refresh token */
    enum device_state state;
    bool found;
    int64_t now_ms, user_id;
    sha256 access, refresh;
    str access_hint;
};

static err add_token(struct db *tx, const struct granting *x, int64_t *ret_id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, TOKEN_ADD));
    db_bind_i64(q, 1, x->user_id);
    db_bind_str(q, 2, STR("device login"));
    db_bind_hash(q, 3, x->access);
    db_bind_str(q, 4, x->access_hint);
    db_bind_i64(q, 5, x->now_ms);
    db_bind_i64(q, 6, x->now_ms + DEVICE_TOKEN_DAYS * DAY_MS);
    if (!db_next(q))
        return db_error(q);
    *ret_id = db_i64(q, 0);
    return db_run(q);
}

static err grant(struct db *tx, const struct granting *x)
{
    int64_t token_id = 0;

    TRY(add_token(tx, x, &token_id));
    AUTO_STMT struct db_stmt *q = NULL;
    TRY(db_query(tx, &q, REFRESH_ADD));
    db_bind_hash(q, 1, x->refresh);
    db_bind_i64(q, 2, x->user_id);
    db_bind_i64(q, 3, token_id);
    db_bind_str(q, 4, x->client_id);
    db_bind_i64(q, 5, x->now_ms + REFRESH_TOKEN_DAYS * DAY_MS);
    return db_run(q);
}

static err run_hash(struct db *tx, struct sql sql, sha256 h, int64_t second)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_hash(q, 1, h);
    if (second)
        db_bind_i64(q, 2, second);
    return db_run(q);
}

static err read_poll(struct db *tx, struct granting *x)
{
    AUTO_STMT struct db_stmt *q = NULL;
    str state;

    TRY(db_query(tx, &q, POLL));
    db_bind_hash(q, 1, x->asked);
    db_bind_str(q, 2, x->client_id);
    x->state = DEVICE_EXPIRED;
    if (!db_next(q))
        return db_error(q);
    state = db_view(q, 0);
    x->user_id = db_i64(q, 1);
    if (str_eq(state, STR("denied")))
        x->state = DEVICE_DENIED;
    else if (str_eq(state, STR("used")) || db_i64(q, 3) <= x->now_ms)
        x->state = DEVICE_EXPIRED;
    else if (str_eq(state, STR("allowed")))
        x->state = DEVICE_DONE;
    else if (x->now_ms - db_i64(q, 2) < (DEVICE_POLL_SECONDS - 1) * 1000)
        x->state = DEVICE_SLOW_DOWN;
    else
        x->state = DEVICE_PENDING;
    return OK;
}

static err poll_fn(struct db *tx, void *arg)
{
    struct granting *x = arg;

    TRY(read_poll(tx, x));
    if (x->state == DEVICE_PENDING || x->state == DEVICE_SLOW_DOWN)
        return run_hash(tx, POLLED, x->asked, x->now_ms);
    if (x->state != DEVICE_DONE)
        return OK;
    TRY(run_hash(tx, USED, x->asked, 0));
    return grant(tx, x);
}

static void new_tokens(struct granting *x, struct device_grant *ret)
{
    ret->access_token = arena_cat(x->a, STR("hf_oauth_"), random_secret(x->a));
    ret->refresh_token = arena_cat(x->a, STR("hf_refresh_"), random_secret(x->a));
    ret->expires_in_s = DEVICE_TOKEN_DAYS * DAY_MS / 1000;
    x->access = hash_of(ret->access_token);
    x->refresh = hash_of(ret->refresh_token);
    x->access_hint = arena_cat(x->a, str_first(ret->access_token, 11), STR("…"),
                               str_from(ret->access_token, ret->access_token.len - 3));
}

err device_login_poll(struct store *s, struct arena *a, str device_code, str client_id,
                      enum device_state *ret, struct device_grant *grant_ret)
{
    struct granting x = {
        .a = a, .client_id = client_id, .asked = hash_of(device_code), .now_ms = clock_ms()};

    new_tokens(&x, grant_ret);
    TRY(db_write(s->hub, poll_fn, &x));
    *ret = x.state;
    return OK;
}

static err refresh_fn(struct db *tx, void *arg)
{
    struct granting *x = arg;
    int64_t old_token = 0;

    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, REFRESH_FIND));
        db_bind_hash(q, 1, x->asked);
        db_bind_str(q, 2, x->client_id);
        db_bind_i64(q, 3, x->now_ms);
        x->found = db_next(q);
        if (!x->found)
            return db_error(q);
        x->user_id = db_i64(q, 0);
        old_token = db_i64(q, 1);
    }
    TRY(run_hash(tx, REFRESH_REMOVE, x->asked, 0));
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, TOKEN_REMOVE));
        db_bind_i64(q, 1, old_token);
        TRY(db_run(q));
    }
    return grant(tx, x);
}

err device_login_refresh(struct store *s, struct arena *a, str refresh_token, str client_id,
                         struct device_grant *ret, bool *ret_found)
{
    struct granting x = {
        .a = a, .client_id = client_id, .asked = hash_of(refresh_token), .now_ms = clock_ms()};

    new_tokens(&x, ret);
    TRY(db_write(s->hub, refresh_fn, &x));
    *ret_found = x.found;
    return OK;
}

/* --- a job --- */

static err expire_fn(struct db *tx, void *arg)
{
    static const struct sql steps[] = {
        SQL_INIT("DELETE FROM device_login WHERE expires_at <= ?1"),
        SQL_INIT("DELETE FROM refresh_token WHERE expires_at <= ?1"),
        SQL_INIT("DELETE FROM refresh_token WHERE NOT EXISTS "
                 "(SELECT 1 FROM token WHERE token.id = token_id AND ?1 > 0)"),
    };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, steps[i]));
        db_bind_i64(q, 1, *(const int64_t *)arg);
        TRY(db_run(q));
    }
    return OK;
}

err device_login_expire(struct store *s, struct arena *a)
{
    int64_t now = clock_ms();

    (void)a;
    return db_write(s->hub, expire_fn, &now);
}
