/* repo.c — names, visibility and access of repositories; lists are in repo_list.c. */
#include "store/repo.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/internal.h"
#include "store/repo_cols.h"
#include <string.h>

static const struct sql BY_KEY =
    SQL_INIT("SELECT " REPO_COLS " FROM repo WHERE kind = ?1 AND full_key = ?2 AND state = 'live'");
static const struct sql BY_ALIAS =
    SQL_INIT("SELECT " REPO_COLS " FROM repo WHERE state = 'live' AND id = "
             "(SELECT repo_id FROM repo_alias WHERE kind = ?1 AND full_key = ?2)");
static const struct sql BY_ID =
    SQL_INIT("SELECT " REPO_COLS " FROM repo WHERE id = ?1 AND state = 'live'");
static const struct sql INSERT = SQL_INIT(
    "INSERT INTO repo(oid, kind, owner_id, full_name, full_key, name_key, visibility, state, "
    "creator_id, created_at, updated_at, head) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'live', ?8, ?9, ?9, x'') RETURNING id");
static const struct sql SEARCH_ADD =
    SQL_INIT("INSERT INTO repo_search(rowid, full_key) VALUES (?1, ?2)");
static const struct sql SEARCH_REMOVE = SQL_INIT(
    "INSERT INTO repo_search(repo_search, rowid, full_key) SELECT 'delete', id, full_key FROM repo "
    "WHERE id = ?1 AND state = 'live'"); /* only once: removing what is not there damages the index
                                          */
static const struct sql ALIAS_REMOVE =
    SQL_INIT("DELETE FROM repo_alias WHERE kind = ?1 AND full_key = ?2");
static const struct sql ALIAS_ADD =
    SQL_INIT("INSERT INTO repo_alias(kind, full_key, repo_id) SELECT kind, full_key, id FROM repo "
             "WHERE id = ?1 "
             "ON CONFLICT(kind, full_key) DO UPDATE SET repo_id = excluded.repo_id");
static const struct sql HIDE = SQL_INIT("UPDATE repo SET state = 'deleted' WHERE id = ?1");
static const struct sql RENAME = SQL_INIT(
    "UPDATE repo SET owner_id = ?2, full_name = ?3, full_key = ?4, name_key = ?5 WHERE id = ?1");
static const struct sql SET_VISIBILITY = SQL_INIT("UPDATE repo SET visibility = ?2 WHERE id = ?1");
static const struct sql LIKE = SQL_INIT("UPDATE repo SET likes = max(0, likes + ?2) WHERE id = ?1");
static const struct sql SET_FACTS = SQL_INIT(
    "UPDATE repo SET card = ?2, tags = ?3, meta = ?4, pipeline_tag = ?5, library_name = ?6, "
    "description = ?7, num_parameters = ?8 WHERE id = ?1");
static const struct sql TAGS_UNCOUNT =
    SQL_INIT("UPDATE tag_count SET repos = repos - 1 WHERE kind = ?2 AND tag IN "
             "(SELECT tag FROM repo_tag WHERE repo_id = ?1)");
static const struct sql TAGS_CLEAR = SQL_INIT("DELETE FROM repo_tag WHERE repo_id = ?1");
static const struct sql TAG_ADD =
    SQL_INIT("INSERT INTO repo_tag(kind, tag, repo_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING");
static const struct sql TAG_COUNT =
    SQL_INIT("INSERT INTO tag_count(kind, tag, repos) VALUES (?1, ?2, 1) "
             "ON CONFLICT(kind, tag) DO UPDATE SET repos = tag_count.repos + 1");
static const struct sql SET_STORAGE =
    SQL_INIT("UPDATE repo SET used_storage = "
             "(SELECT coalesce(sum(size), 0) FROM repo_file WHERE repo_id = ?1) WHERE id = ?1");
static const struct sql OWNER_STORAGE = SQL_INIT(
    "SELECT coalesce(sum(used_storage), 0) FROM repo WHERE owner_id = ?1 AND state = 'live'");

/* --- kinds --- */

static const struct {
    str word, plural, prefix;
} kinds[REPO_KINDS] = {
    {STR_INIT("model"), STR_INIT("models"), STR_INIT("")},
    {STR_INIT("dataset"), STR_INIT("datasets"), STR_INIT("datasets/")},
    {STR_INIT("space"), STR_INIT("spaces"), STR_INIT("spaces/")},
    {STR_INIT("bucket"), STR_INIT("buckets"), STR_INIT("buckets/")},
};

str repo_kind_word(enum repo_kind k)
{
    return kinds[k].word;
}

str repo_kind_plural(enum repo_kind k)
{
    return kinds[k].plural;
}

str repo_kind_prefix(enum repo_kind k)
{
    return kinds[k].prefix;
}

bool repo_kind_parse(str word, enum repo_kind *ret)
{
    for (int k = 0; k < REPO_KINDS; k++)
        if (str_eq(word, kinds[k].word) || str_eq(word, kinds[k].plural)) {
            *ret = (enum repo_kind)k;
            return true;
        }
    return false;
}

/* --- names --- */

str repo_namespace(const struct repo *r)
{
    return str_first(r->full_name, (size_t)str_find(r->full_name, '/'));
}

str repo_name(const struct repo *r)
{
    return str_from(r->full_name, (size_t)str_find(r->full_name, '/') + 1);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

err repo_name_check(struct arena *a, str name)
{
    bool fits = name.len >= 1 && name.len <= 96 && is_word(name.ptr[0]) &&
                is_word(name.ptr[name.len - 1]) && !str_has(name, STR("--")) &&
                !str_has(name, STR("..")) && !str_ends(name, STR(".git"));

    for (size_t i = 0; fits && i < name.len; i++)
        fits = is_word(name.ptr[i]) || name.ptr[i] == '-' || name.ptr[i] == '.';
    if (!fits)
        return err_new(a, 400, NULL,
                       "The repository name \"%.*s\" does not fit: use 1 to 96 letters, digits, "
                       "'_', '-' and '.'; no '--', no '..', no '-' or '.' at the ends, no '.git'.",
                       STR_FMT(str_first(name, 120)));
    return OK;
}

/* --- finding --- */

struct repo repo_read(struct db_stmt *q, struct arena *a)
{
    struct repo r = {
        .id = db_i64(q, 0),
        .oid = db_str(q, 1, a),
        .kind = (enum repo_kind)db_i64(q, 2),
        .owner_id = db_i64(q, 3),
        .creator_id = db_i64(q, 4),
        .full_name = db_str(q, 5, a),
        .is_private = !str_eq(db_view(q, 6), STR("public")),
        .is_pristine = db_bool(q, 7),
        .created_at_ms = db_i64(q, 8),
        .updated_at_ms = db_i64(q, 9),
        .card = db_str(q, 11, a),
        .tags = db_str(q, 12, a),
        .meta = db_str(q, 13, a),
        .pipeline_tag = db_str(q, 14, a),
        .library_name = db_str(q, 15, a),
        .description = db_str(q, 16, a),
        .num_parameters = db_i64(q, 17),
        .used_storage = db_i64(q, 18),
        .likes = db_i64(q, 19),
        .downloads = db_i64(q, 20),
        .downloads_all = db_i64(q, 21),
        .trending = db_i64(q, 22),
    };

    db_hash(q, 10, r.head.b, sizeof r.head.b);
    if (db_i64(q, 2) < 0 || db_i64(q, 2) >= REPO_KINDS) { /* a damaged row: the least, no words */
        r.kind = REPO_MODEL;
        r.is_private = true;
    }
    return r;
}

static err find_by(struct db *db, struct arena *a, struct sql sql, enum repo_kind kind, str key,
                   struct repo *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, kind);
    db_bind_str(q, 2, key);
    if (db_next(q))
        *ret = repo_read(q, a);
    if (ret->id && sql.text == BY_KEY.text && !str_eq(account_key(a, ret->full_name), key))
        *ret = (struct repo){0}; /* a damaged index gives no other repository */
    return db_error(q);
}

err repo_find(struct store *s, struct arena *a, enum repo_kind kind, str full_name,
              struct repo *ret, bool *ret_moved)
{
    uint64_t generation = db_generation(s->hub);
    bool moved = false;
    str key;

    if (!names_get_repo(s, a, kind, full_name, ret, &moved)) {
        *ret = (struct repo){0};
        key = account_key(a, full_name);
        TRY(find_by(s->hub, a, BY_KEY, kind, key, ret));
        if (ret->id == 0)
            TRY(find_by(s->hub, a, BY_ALIAS, kind, key, ret));
        moved = ret->id != 0 && !str_eq(full_name, ret->full_name);
        if (ret->id != 0)
            names_put_repo(s, generation, full_name, ret, moved);
    }
    if (ret_moved)
        *ret_moved = moved;
    return OK;
}

err repo_by_id(struct db *db, struct arena *a, int64_t id, struct repo *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct repo){0};
    TRY(db_query(db, &q, BY_ID));
    db_bind_i64(q, 1, id);
    if (db_next(q))
        *ret = repo_read(q, a);
    return db_error(q);
}

/* --- writing --- */

static err run_id(struct db *tx, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, id);
    return db_run(q);
}

static err run_kind_key(struct db *tx, struct sql sql, enum repo_kind kind, str key)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, kind);
    db_bind_str(q, 2, key);
    return db_run(q);
}

static err run_id_str(struct db *tx, struct sql sql, int64_t id, str value)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, id);
    db_bind_str(q, 2, value);
    return db_run(q);
}

err repo_insert(struct db *tx, struct arena *a, const struct repo_new *n, struct repo *ret)
{
    str full = arena_cat(a, n->owner->name, STR("/"), n->name);
    str key = account_key(a, full);
    int64_t id;

    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, INSERT));
        db_bind_str(q, 1, n->oid.len ? n->oid : store_oid24(a));
        db_bind_i64(q, 2, n->kind);
        db_bind_i64(q, 3, n->owner->id);
        db_bind_str(q, 4, full);
        db_bind_str(q, 5, key);
        db_bind_str(q, 6, account_key(a, n->name));
        db_bind_str(q, 7, n->is_private ? STR("private") : STR("public"));
        db_bind_i64(q, 8, n->creator_id);
        db_bind_i64(q, 9, clock_ms());
        if (!db_next(q))
            return db_error(q);
        id = db_i64(q, 0);
        TRY(db_run(q));
    }
    TRY(run_kind_key(tx, ALIAS_REMOVE, n->kind, key));
    TRY(run_id_str(tx, SEARCH_ADD, id, key));
    return repo_by_id(tx, a, id, ret);
}

static err hide_fn(struct db *tx, void *arg)
{
    int64_t id = *(int64_t *)arg;

    TRY(run_id(tx, SEARCH_REMOVE, id));
    return run_id(tx, HIDE, id);
}

err repo_hide(struct store *s, int64_t id)
{
    return db_write(s->hub, hide_fn, &id);
}

struct move_args {
    struct arena *a;
    const struct repo *r;
    const struct account *owner;
    str full, name;
};

static err move_fn(struct db *tx, void *arg)
{
    static const struct err_info gone = {
        404, "RepoNotFound", STR_INIT("Repository not found"), NULL, {0}};
    struct move_args *m = arg;
    str key = account_key(m->a, m->full);
    struct repo now;

    TRY(repo_by_id(tx, m->a, m->r->id, &now));
    if (now.id == 0)
        return &gone; /* deleted meanwhile */
    TRY(run_id(tx, SEARCH_REMOVE, m->r->id));
    TRY(run_id(tx, ALIAS_ADD, m->r->id));
    TRY(run_kind_key(tx, ALIAS_REMOVE, m->r->kind, key));
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, RENAME));
        db_bind_i64(q, 1, m->r->id);
        db_bind_i64(q, 2, m->owner->id);
        db_bind_str(q, 3, m->full);
        db_bind_str(q, 4, key);
        db_bind_str(q, 5, account_key(m->a, m->name));
        TRY(db_run(q));
    }
    return run_id_str(tx, SEARCH_ADD, m->r->id, key);
}

err repo_move(struct store *s, struct arena *a, const struct repo *r, const struct account *owner,
              str name)
{
    struct move_args m = {a, r, owner, arena_cat(a, owner->name, STR("/"), name), name};
    err e = db_write(s->hub, move_fn, &m);

    if (e == &db_unique)
        return err_new(a, 409, NULL, "A %.*s repository called %.*s already exists.",
                       STR_FMT(repo_kind_word(r->kind)), STR_FMT(m.full));
    return e;
}

struct value_args {
    struct sql sql;
    int64_t id, value;
    str text;
};

static err text_fn(struct db *tx, void *arg)
{
    struct value_args *v = arg;

    return run_id_str(tx, v->sql, v->id, v->text);
}

err repo_set_private(struct store *s, int64_t id, bool is_private)
{
    struct value_args v = {SET_VISIBILITY, id, 0, is_private ? STR("private") : STR("public")};

    return db_write(s->hub, text_fn, &v);
}

static err number_fn(struct db *tx, void *arg)
{
    struct value_args *v = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, v->sql));
    db_bind_i64(q, 1, v->id);
    db_bind_i64(q, 2, v->value);
    return db_run(q);
}

err repo_like(struct store *s, int64_t id, int64_t delta)
{
    struct value_args v = {LIKE, id, delta, STR_NONE};

    return db_write(s->hub, number_fn, &v);
}

static err set_tags(struct db *tx, const struct repo *r, const struct repo_facts *f)
{
    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, TAGS_UNCOUNT));
        db_bind_i64(q, 1, r->id);
        db_bind_i64(q, 2, r->kind);
        TRY(db_run(q));
    }
    TRY(run_id(tx, TAGS_CLEAR, r->id));
    for (size_t i = 0; i < f->tag_count; i++) {
        bool is_new;
        {
            AUTO_STMT struct db_stmt *q = NULL;
            TRY(db_query(tx, &q, TAG_ADD));
            db_bind_i64(q, 1, r->kind);
            db_bind_str(q, 2, f->tag_list[i]);
            db_bind_i64(q, 3, r->id);
            TRY(db_run(q));
            is_new = db_changes(q) > 0;
        }
        if (is_new)
            TRY(run_kind_key(tx, TAG_COUNT, r->kind, f->tag_list[i]));
    }
    return OK;
}

err repo_set_facts(struct db *tx, struct arena *a, const struct repo *r, const struct repo_facts *f)
{
    (void)a;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, SET_FACTS));
        db_bind_i64(q, 1, r->id);
        db_bind_str(q, 2, f->card);
        db_bind_str(q, 3, f->tags.ptr ? f->tags : STR("[]"));
        db_bind_str(q, 4, f->meta.ptr ? f->meta : STR("{}"));
        db_bind_str(q, 5, f->pipeline_tag);
        db_bind_str(q, 6, f->library_name);
        db_bind_str(q, 7, f->description);
        db_bind_i64(q, 8, f->num_parameters);
        TRY(db_run(q));
    }
    return set_tags(tx, r, f);
}

err repo_set_storage(struct db *tx, int64_t id)
{
    return run_id(tx, SET_STORAGE, id);
}

err repo_owner_storage(struct db *db, int64_t owner_id, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, OWNER_STORAGE));
    db_bind_i64(q, 1, owner_id);
    if (!db_next(q))
        return db_error(q);
    *ret = db_i64(q, 0);
    return OK;
}

err repo_quota_check(struct db *db, struct arena *a, const struct repo *r, uint64_t bytes)
{
    struct account owner;
    int64_t used;

    if (bytes == 0)
        return OK;
    TRY(account_by_id(db, a, r->owner_id, &owner));
    if (owner.id == 0 || owner.quota_bytes < 0)
        return OK;
    TRY(repo_owner_storage(db, owner.id, &used));
    if ((uint64_t)used + bytes > (uint64_t)owner.quota_bytes)
        return err_new(a, 413, "QuotaExceeded",
                       "%.*s may store %lld bytes on this hub and these files do not fit; delete "
                       "some, or ask its operator for more.",
                       STR_FMT(owner.name), (long long)owner.quota_bytes);
    return OK;
}

/* --- access (docs/access.md) --- */

static enum access access_of_member(enum member_role role, bool is_creator)
{
    switch (role) {
    case MEMBER_ADMIN:
        return ACCESS_ADMIN;
    case MEMBER_WRITE:
        return ACCESS_WRITE;
    case MEMBER_CONTRIBUTOR:
        return is_creator ? ACCESS_WRITE : ACCESS_CONTRIBUTE;
    case MEMBER_READ:
        return ACCESS_CONTRIBUTE;
    case MEMBER_NONE:
        break;
    }
    return ACCESS_NONE;
}

err repo_access(struct db *db, const struct repo *r, const struct account *user, enum access *ret)
{
    bool is_user = user && user->is_active;
    enum access open = r->is_private ? ACCESS_NONE : is_user ? ACCESS_CONTRIBUTE : ACCESS_READ;
    enum access mine = ACCESS_NONE;
    enum member_role role;

    if (is_user) {
        if (user->id == r->owner_id) {
            mine = ACCESS_ADMIN;
        } else {
            TRY(member_role_of(db, r->owner_id, user->id, &role));
            mine = access_of_member(role, r->creator_id == user->id);
            if (user->is_site_admin && mine < ACCESS_READ)
                mine = ACCESS_READ; /* the site admin reads all; server/auth.c logs it */
        }
    }
    *ret = mine > open ? mine : open;
    return OK;
}

err repo_may_create(struct db *db, const struct account *owner, const struct account *user,
                    bool *ret)
{
    enum member_role role;

    if (owner->kind == ACCOUNT_USER) {
        *ret = owner->id == user->id;
        return OK;
    }
    TRY(member_role_of(db, owner->id, user->id, &role));
    *ret = role >= MEMBER_CONTRIBUTOR;
    return OK;
}
