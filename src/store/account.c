/* account.c — see account.h. */
#include "store/account.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/internal.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const struct sql INSERT = SQL_INIT(
    "INSERT INTO account(oid, name, name_key, kind, role, full_name, email, password_hash, "
    "private_by_default, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING "
    "id");
static const struct sql BY_KEY =
    SQL_INIT("SELECT " ACCOUNT_COLS " FROM account WHERE name_key = ?1");
static const struct sql BY_ID = SQL_INIT("SELECT " ACCOUNT_COLS " FROM account WHERE id = ?1");
static const struct sql BY_EMAIL =
    SQL_INIT("SELECT " ACCOUNT_COLS " FROM account WHERE email = ?1 AND kind = 'user' "
             "AND state = 'active' ORDER BY id LIMIT 1");
static const struct sql COUNT = SQL_INIT("SELECT count(*) FROM account WHERE kind = ?1");
static const struct sql LIST =
    SQL_INIT("SELECT " ACCOUNT_COLS " FROM account WHERE kind = ?1 ORDER BY name_key");
static const struct sql SET_PASSWORD =
    SQL_INIT("UPDATE account SET password_hash = ?2, password_kind = 'own' WHERE id = ?1");
static const struct sql SET_STATE = SQL_INIT("UPDATE account SET state = ?2 WHERE id = ?1");
static const struct sql PASSWORD = SQL_INIT(
    "SELECT password_hash FROM account WHERE name_key = ?1 AND kind = 'user' AND state = 'active'");
static const struct sql MEMBER_SET =
    SQL_INIT("INSERT INTO member(org_id, user_id, role, created_at) VALUES (?1, ?2, ?3, ?4) "
             "ON CONFLICT(org_id, user_id) DO UPDATE SET role = excluded.role");
static const struct sql MEMBER_REMOVE =
    SQL_INIT("DELETE FROM member WHERE org_id = ?1 AND user_id = ?2");
static const struct sql MEMBER_ROLE =
    SQL_INIT("SELECT role FROM member WHERE org_id = ?1 AND user_id = ?2");
#define JOINED_COLS                                                                                \
    "account.id, oid, name, kind, account.role, state, full_name, email, private_by_default, "     \
    "quota_bytes, account.created_at"
static const struct sql ORGS =
    SQL_INIT("SELECT " JOINED_COLS ", member.role FROM member JOIN account ON account.id = org_id "
             "WHERE user_id = ?1 ORDER BY name_key");
static const struct sql MEMBERS =
    SQL_INIT("SELECT " JOINED_COLS ", member.role FROM member JOIN account ON account.id = user_id "
             "WHERE org_id = ?1 AND name_key > ?2 ORDER BY name_key LIMIT ?3");

#define ACCOUNT_COLUMN_COUNT 11
#define LIST_MAX 100000

str account_key(struct arena *a, str name)
{
    return text_lower(a, name);
}

struct account account_read(struct db_stmt *q, int c, struct arena *a)
{
    return (struct account){
        .id = db_i64(q, c),
        .oid = db_str(q, c + 1, a),
        .name = db_str(q, c + 2, a),
        .kind = str_eq(db_view(q, c + 3), STR("org")) ? ACCOUNT_ORG : ACCOUNT_USER,
        .is_site_admin = str_eq(db_view(q, c + 4), STR("site-admin")),
        .is_active = str_eq(db_view(q, c + 5), STR("active")),
        .full_name = db_str(q, c + 6, a),
        .email = db_str(q, c + 7, a),
        .is_private_by_default = db_bool(q, c + 8),
        .quota_bytes = db_is_null(q, c + 9) ? -1 : db_i64(q, c + 9),
        .created_at_ms = db_i64(q, c + 10),
    };
}

bool account_name_reserved(str name)
{
    static const str names[] = {
#define NAME(lit) STR_INIT(lit),
#include "store/reserved.def"
#undef NAME
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_ieq(name, names[i]))
            return true;
    return false;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits, single inner dashes; imported names also have '_' and '.'. */
static bool name_shape(str name, bool imported)
{
    bool only_digits = true;

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool edge = i == 0 || i == name.len - 1;

        only_digits = only_digits && c >= '0' && c <= '9';
        if (is_word(c) || (imported && c == '_'))
            continue;
        if (imported ? (c != '.' && c != '-') || edge : c != '-' || edge || name.ptr[i - 1] == '-')
            return false;
    }
    return !only_digits && !hex_is(name, 24);
}

err account_name_check(struct arena *a, str name, bool imported, bool force)
{
    if (name.len < 2 || name.len > 42 || !name_shape(name, imported))
        return err_new(a, 400, NULL,
                       "The name \"%.*s\" does not fit: use 2 to 42 letters, digits and single "
                       "inner dashes, not only digits.",
                       STR_FMT(name));
    if (!force && account_name_reserved(name))
        return err_new(a, 409, NULL, "The name \"%.*s\" is reserved; choose another.",
                       STR_FMT(name));
    return OK;
}

static err hash_password(struct arena *a, str password, str *ret)
{
    char *out;

    *ret = STR_NONE;
    if (password.len == 0)
        return OK;
    if (password.len > 1024)
        return err_new(a, 400, NULL, "A password has at most 1,024 bytes.");
    out = arena_alloc(a, crypto_pwhash_STRBYTES);
    if (sodium_init() < 0 ||
        crypto_pwhash_str(out, password.ptr, password.len, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return err_internal(a, "crypto_pwhash_str");
    *ret = str_c(out);
    return OK;
}

struct add_args {
    struct arena *a;
    const struct account_new *n;
    str oid, password_hash;
    int64_t id;
};

static err add_fn(struct db *tx, void *arg)
{
    struct add_args *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, INSERT));
    db_bind_str(q, 1, x->oid);
    db_bind_str(q, 2, x->n->name);
    db_bind_str(q, 3, account_key(x->a, x->n->name));
    db_bind_str(q, 4, x->n->kind == ACCOUNT_ORG ? STR("org") : STR("user"));
    db_bind_str(q, 5, x->n->is_site_admin ? STR("site-admin") : STR(""));
    db_bind_str(q, 6, x->n->full_name.ptr ? x->n->full_name : STR(""));
    db_bind_str(q, 7, x->n->email);
    db_bind_str(q, 8, x->password_hash);
    db_bind_i64(q, 9, x->n->is_private_by_default);
    db_bind_i64(q, 10, clock_ms());
    if (!db_next(q))
        return db_error(q);
    x->id = db_i64(q, 0);
    return db_run(q);
}

err account_add(struct store *s, struct arena *a, const struct account_new *n, struct account *ret)
{
    struct add_args x = {.a = a, .n = n, .oid = n->oid.len ? n->oid : store_oid24(a)};
    err e;

    TRY(hash_password(a, n->password, &x.password_hash));
    e = db_write(s->hub, add_fn, &x);
    if (e == &db_unique)
        return err_new(a, 409, NULL, "The name \"%.*s\" is already taken.", STR_FMT(n->name));
    TRY(e);
    return account_by_id(s->hub, a, x.id, ret);
}

static err read_one(struct db_stmt *q, struct arena *a, struct account *ret)
{
    if (db_next(q))
        *ret = account_read(q, 0, a);
    else
        *ret = (struct account){0};
    return db_error(q);
}

err account_find(struct db *db, struct arena *a, str name, struct account *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, BY_KEY));
    db_bind_str(q, 1, account_key(a, name));
    return read_one(q, a, ret);
}

err account_by_email(struct db *db, struct arena *a, str email, struct account *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, BY_EMAIL));
    db_bind_str(q, 1, email);
    return read_one(q, a, ret);
}

err account_by_id(struct db *db, struct arena *a, int64_t id, struct account *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, BY_ID));
    db_bind_i64(q, 1, id);
    return read_one(q, a, ret);
}

err account_count(struct db *db, enum account_kind kind, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, COUNT));
    db_bind_str(q, 1, kind == ACCOUNT_ORG ? STR("org") : STR("user"));
    if (!db_next(q))
        return db_error(q);
    *ret = db_i64(q, 0);
    return OK;
}

err account_list(struct db *db, struct arena *a, enum account_kind kind, struct account_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct account *items = NULL;
    size_t count = 0, room = 0;

    TRY(db_query(db, &q, LIST));
    db_bind_str(q, 1, kind == ACCOUNT_ORG ? STR("org") : STR("user"));
    while (count < LIST_MAX && db_next(q)) {
        if (count == room) {
            struct account *wider = arena_many(a, struct account, room = room ? room * 2 : 16);

            if (count)
                memcpy(wider, items, count * sizeof *items);
            items = wider;
        }
        items[count++] = account_read(q, 0, a);
    }
    TRY(db_error(q));
    *ret = (struct account_list){items, count};
    return OK;
}

struct set_args {
    struct sql sql;
    int64_t id;
    str value;
};

static err set_fn(struct db *tx, void *arg)
{
    struct set_args *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, x->sql));
    db_bind_i64(q, 1, x->id);
    db_bind_str(q, 2, x->value);
    return db_run(q);
}

err account_set_password(struct store *s, struct arena *a, int64_t id, str password)
{
    struct set_args x = {SET_PASSWORD, id, STR_NONE};

    TRY(hash_password(a, password, &x.value));
    return db_write(s->hub, set_fn, &x);
}

err account_set_one_time(struct store *s, int64_t id)
{
    static const struct sql one_time =
        SQL_INIT("UPDATE account SET password_kind = ?2 WHERE id = ?1");
    struct set_args x = {one_time, id, STR("one-time")};

    return db_write(s->hub, set_fn, &x);
}

static err profile_fn(struct db *tx, void *arg)
{
    const struct account *u = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("UPDATE account SET full_name = ?2, email = ?3 WHERE id = ?1")));
    db_bind_i64(q, 1, u->id);
    db_bind_str(q, 2, u->full_name);
    db_bind_str(q, 3, u->email.len ? u->email : STR_NONE);
    return db_run(q);
}

err account_set_profile(struct store *s, const struct account *u)
{
    struct account copy = *u;

    return db_write(s->hub, profile_fn, &copy);
}

err account_set_active(struct store *s, int64_t id, bool active)
{
    struct set_args x = {SET_STATE, id, active ? STR("active") : STR("disabled")};

    return db_write(s->hub, set_fn, &x);
}

struct quota_args {
    int64_t id, bytes;
};

static err quota_fn(struct db *tx, void *arg)
{
    struct quota_args *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("UPDATE account SET quota_bytes = ?2 WHERE id = ?1")));
    db_bind_i64(q, 1, x->id);
    if (x->bytes >= 0)
        db_bind_i64(q, 2, x->bytes);
    return db_run(q);
}

err account_set_quota(struct store *s, int64_t id, int64_t bytes)
{
    struct quota_args x = {id, bytes};

    return db_write(s->hub, quota_fn, &x);
}

err account_check_password(struct store *s, struct arena *a, str name, str password, bool *ret)
{
    /* a valid Argon2id string of no password: unknown names take as long as known ones */
    static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$"
                                 "RdescudvJCsgt3ub+b27VIVfMjAZ8E6jxJ2C1XjLqOE";
    AUTO_STMT struct db_stmt *q = NULL;
    str hash = STR_NONE;
    bool fits;

    TRY(db_query(s->hub, &q, PASSWORD));
    db_bind_str(q, 1, account_key(a, name));
    if (db_next(q))
        hash = db_str(q, 0, a);
    TRY(db_error(q));
    db_stmt_close(&q);
    if (sodium_init() < 0)
        return err_internal(a, "sodium_init");
    fits = crypto_pwhash_str_verify(hash.ptr ? hash.ptr : nobody, password.ptr, password.len) == 0;
    *ret = fits && hash.ptr;
    return OK;
}

/* --- members --- */

static const str role_words[] = {STR_INIT(""), STR_INIT("read"), STR_INIT("contributor"),
                                 STR_INIT("write"), STR_INIT("admin")};

str member_role_word(enum member_role r)
{
    return role_words[r];
}

enum member_role member_role_parse(str word)
{
    for (int r = MEMBER_READ; r <= MEMBER_ADMIN; r++)
        if (str_eq(word, role_words[r]))
            return (enum member_role)r;
    return MEMBER_NONE;
}

struct member_args {
    int64_t org_id, user_id;
    enum member_role role;
};

static err member_fn(struct db *tx, void *arg)
{
    struct member_args *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, x->role == MEMBER_NONE ? MEMBER_REMOVE : MEMBER_SET));
    db_bind_i64(q, 1, x->org_id);
    db_bind_i64(q, 2, x->user_id);
    if (x->role != MEMBER_NONE) {
        db_bind_str(q, 3, member_role_word(x->role));
        db_bind_i64(q, 4, clock_ms());
    }
    return db_run(q);
}

err member_set(struct store *s, int64_t org_id, int64_t user_id, enum member_role role)
{
    struct member_args x = {org_id, user_id, role};

    return db_write(s->hub, member_fn, &x);
}

err member_role_of(struct db *db, int64_t org_id, int64_t user_id, enum member_role *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, MEMBER_ROLE));
    db_bind_i64(q, 1, org_id);
    db_bind_i64(q, 2, user_id);
    *ret = db_next(q) ? member_role_parse(db_view(q, 0)) : MEMBER_NONE;
    return db_error(q);
}

static err read_memberships(struct db_stmt *q, struct arena *a, struct membership_list *ret)
{
    struct membership *items = NULL;
    size_t count = 0, room = 0;

    while (count < LIST_MAX && db_next(q)) {
        if (count == room) {
            struct membership *wider = arena_many(a, struct membership, room = room ? room * 2 : 8);

            if (count)
                memcpy(wider, items, count * sizeof *items);
            items = wider;
        }
        items[count++] = (struct membership){account_read(q, 0, a),
                                             member_role_parse(db_view(q, ACCOUNT_COLUMN_COUNT))};
    }
    TRY(db_error(q));
    *ret = (struct membership_list){items, count};
    return OK;
}

err member_orgs(struct db *db, struct arena *a, int64_t user_id, struct membership_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, ORGS));
    db_bind_i64(q, 1, user_id);
    return read_memberships(q, a, ret);
}

err member_list(struct db *db, struct arena *a, int64_t org_id, str after, int64_t limit,
                struct membership_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, MEMBERS));
    db_bind_i64(q, 1, org_id);
    db_bind_str(q, 2, after.ptr ? account_key(a, after) : STR(""));
    db_bind_i64(q, 3, limit);
    return read_memberships(q, a, ret);
}
