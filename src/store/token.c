/* token.c — see token.h. */
#include "store/token.h"
#include "base/clock.h"
#include "base/io.h"
#include "store/internal.h"
#include <string.h>

#define TOKEN_COLS                                                                                 \
    "token.id, token.user_id, token.name, token.role, token.hint, token.scopes, "                  \
    "token.created_at, token.last_used_at, token.expires_at"
#define TOKEN_COLUMN_COUNT 9
static const struct sql INSERT =
    SQL_INIT("INSERT INTO token(user_id, name, role, hash, hint, scopes, created_at) VALUES (?1, "
             "?2, ?3, ?4, ?5, ?6, ?7)");
/* The index names the row, and the row says itself which token it is: a damaged index makes nobody
 * somebody else. */
static const struct sql FIND =
    SQL_INIT("SELECT " TOKEN_COLS
             ", account.id, oid, account.name, kind, account.role, state, full_name, email, "
             "private_by_default, quota_bytes, account.created_at, token.hash "
             "FROM token AS named JOIN token ON token.id = named.id JOIN account ON account.id = "
             "token.user_id WHERE named.hash = ?1 AND state = 'active' AND "
             "(token.expires_at IS NULL OR token.expires_at > ?2)");
static const struct sql LIST =
    SQL_INIT("SELECT " TOKEN_COLS " FROM token WHERE user_id = ?1 ORDER BY id");
static const struct sql REVOKE = SQL_INIT("DELETE FROM token WHERE user_id = ?1 AND id = ?2");

static const str words[] = {STR_INIT(""), STR_INIT("read"), STR_INIT("write"),
                            STR_INIT("fineGrained")};

str token_role_word(enum token_role r)
{
    return words[r];
}

enum token_role token_role_parse(str word)
{
    for (int r = TOKEN_READ; r <= TOKEN_FINE; r++)
        if (str_eq(word, words[r]))
            return (enum token_role)r;
    return TOKEN_NONE;
}

static struct token read_token(struct db_stmt *q, struct arena *a)
{
    return (struct token){
        .id = db_i64(q, 0),
        .user_id = db_i64(q, 1),
        .name = db_str(q, 2, a),
        .role = token_role_parse(db_view(q, 3)),
        .hint = db_str(q, 4, a),
        .scopes = db_str(q, 5, a),
        .created_at_ms = db_i64(q, 6),
        .last_used_at_ms = db_i64(q, 7),
        .expires_at_ms = db_i64(q, 8),
    };
}

/* 34 letters and digits, without modulo bias. */
static str random_token(struct arena *a)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char *p = arena_alloc(a, 3 + 34 + 1);

    memcpy(p, "hf_", 3);
    for (size_t n = 0; n < 34;) {
        unsigned char b[64];

        random_bytes(b, sizeof b);
        for (size_t i = 0; i < sizeof b && n < 34; i++)
            if (b[i] < 248)
                p[3 + n++] = letters[b[i] % 62];
    }
    return (str){p, 37};
}

static str hint_of(struct arena *a, str text)
{
    if (text.len < 12)
        return STR("hf_…");
    return arena_cat(a, str_first(text, 5), STR("…"), str_from(text, text.len - 3));
}

struct add_args {
    struct arena *a;
    int64_t user_id;
    str name, scopes, text;
    enum token_role role;
};

static err add_fn(struct db *tx, void *arg)
{
    struct add_args *x = arg;
    sha256 hash = sha256_of(x->text.ptr, x->text.len);
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, INSERT));
    db_bind_i64(q, 1, x->user_id);
    db_bind_str(q, 2, x->name);
    db_bind_str(q, 3, token_role_word(x->role));
    db_bind_hash(q, 4, hash);
    db_bind_str(q, 5, hint_of(x->a, x->text));
    db_bind_str(q, 6, x->scopes);
    db_bind_i64(q, 7, clock_ms());
    return db_run(q);
}

err token_add(struct store *s, struct arena *a, int64_t user_id, str name, enum token_role role,
              str scopes, str value, str *ret_text)
{
    struct add_args x = {
        a,   user_id, name.len ? name : STR("token"), scopes, value.len ? value : random_token(a),
        role};
    err e;

    if (x.text.len > 200)
        return err_new(a, 400, NULL, "A token has at most 200 characters.");
    for (size_t i = 0; i < x.text.len; i++)
        if (x.text.ptr[i] <= ' ' || x.text.ptr[i] > '~')
            return err_new(a, 400, NULL, "A token consists of visible ASCII characters.");
    e = db_write(s->hub, add_fn, &x);
    if (e == &db_unique)
        return err_new(a, 409, NULL, "This token exists already.");
    TRY(e);
    *ret_text = x.text;
    return OK;
}

err token_find(struct store *s, struct arena *a, str text, struct token *ret,
               struct account *ret_user)
{
    uint64_t generation = db_generation(s->hub);
    sha256 hash = sha256_of(text.ptr, text.len);
    AUTO_STMT struct db_stmt *q = NULL;

    if (names_get_token(s, a, hash, ret, ret_user) &&
        (ret->expires_at_ms == 0 || ret->expires_at_ms > clock_ms()))
        return OK;
    *ret = (struct token){0};
    *ret_user = (struct account){0};
    TRY(db_query(s->hub, &q, FIND));
    db_bind_hash(q, 1, hash);
    db_bind_i64(q, 2, clock_ms());
    if (!db_next(q))
        return db_error(q);
    if (!str_eq(db_view(q, TOKEN_COLUMN_COUNT + ACCOUNT_COLUMN_COUNT),
                (str){(char *)hash.b, sizeof hash.b}))
        return OK;
    *ret = read_token(q, a);
    *ret_user = account_read(q, TOKEN_COLUMN_COUNT, a);
    names_put_token(s, generation, hash, ret, ret_user);
    return OK;
}

err token_list(struct db *db, struct arena *a, int64_t user_id, struct token_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct token *items = NULL;
    size_t count = 0, room = 0;

    TRY(db_query(db, &q, LIST));
    db_bind_i64(q, 1, user_id);
    while (db_next(q)) {
        if (count == room) {
            struct token *wider = arena_many(a, struct token, room = room ? room * 2 : 8);

            if (count)
                memcpy(wider, items, count * sizeof *items);
            items = wider;
        }
        items[count++] = read_token(q, a);
    }
    TRY(db_error(q));
    *ret = (struct token_list){items, count};
    return OK;
}

struct revoke_args {
    int64_t user_id, id, changed;
};

static err revoke_fn(struct db *tx, void *arg)
{
    struct revoke_args *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, REVOKE));
    db_bind_i64(q, 1, x->user_id);
    db_bind_i64(q, 2, x->id);
    TRY(db_run(q));
    x->changed = db_changes(q);
    return OK;
}

err token_revoke(struct store *s, int64_t user_id, int64_t id, bool *ret_found)
{
    struct revoke_args x = {user_id, id, 0};

    TRY(db_write(s->hub, revoke_fn, &x));
    *ret_found = x.changed > 0;
    return OK;
}
