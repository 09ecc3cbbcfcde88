/* object.c — see object.h.
 *
 * The zlib stream of an object is cut into rows of OBJECT_ROW_BYTES: the first in `object`, the
 * rest in `object_part`.  New objects wait in a list until object_flush() writes them in one
 * transaction; reads look there first.
 */
#include "store/object.h"
#include "base/buf.h"
#include "base/clock.h"
#include <stdlib.h>
#include <string.h>

#define RENEW_BATCH 1000 /* objects per transaction */

static const struct sql FIND =
    SQL_INIT("SELECT id, type, size, stored, data FROM object WHERE repo_id = ?1 AND oid = ?2");
static const struct sql HEADER =
    SQL_INIT("SELECT type, size, seen_at, id FROM object WHERE repo_id = ?1 AND oid = ?2");
static const struct sql PARTS =
    SQL_INIT("SELECT data FROM object_part WHERE object_id = ?1 ORDER BY n");
static const struct sql PART = SQL_INIT("SELECT type, size, stored, object_part.data FROM object "
                                        "JOIN object_part ON object_id = object.id "
                                        "WHERE repo_id = ?1 AND oid = ?2 AND n = ?3");
static const struct sql INSERT = SQL_INIT("INSERT INTO object(repo_id, oid, type, size, stored, "
                                          "seen_at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                                          "ON CONFLICT(repo_id, oid) DO NOTHING RETURNING id");
static const struct sql INSERT_PART =
    SQL_INIT("INSERT INTO object_part(object_id, n, data) VALUES (?1, ?2, ?3)");
static const struct sql RENEW =
    SQL_INIT("UPDATE object SET seen_at = ?3 WHERE repo_id = ?1 AND oid = ?2");

struct waiting {
    oid id;
    bool was_row; /* an old row is there, unless gc takes it before the flush */
    enum obj_type type;
    uint64_t size;
    struct buf stream;
};

struct object_odb {
    struct odb base;
    struct store *store;
    int64_t repo_id;
    struct waiting *items;
    size_t count, cap, bytes;
    struct oid_map index; /* id → position + 1 in items */
};

static struct object_odb *self(struct odb *o)
{
    return (struct object_odb *)(void *)o;
}

static struct waiting *waiting_find(struct object_odb *o, oid id)
{
    uint32_t *at = oid_map_get(&o->index, id);

    return at && *at ? &o->items[*at - 1] : NULL;
}

/* --- reading --- */

static bool type_known(int64_t type)
{
    return type >= OBJ_COMMIT && type <= OBJ_TAG;
}

struct row {
    int64_t id;
    enum obj_type type;
    uint64_t size, stored;
    str stream;
};

static err row_find(struct object_odb *o, struct arena *a, oid id, struct row *ret, bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret_found = false;
    TRY(db_query(o->store->git, &q, FIND));
    db_bind_i64(q, 1, o->repo_id);
    db_bind_hash(q, 2, id);
    if (!db_next(q))
        return db_error(q);
    *ret = (struct row){db_i64(q, 0), (enum obj_type)db_i64(q, 1), (uint64_t)db_i64(q, 2),
                        (uint64_t)db_i64(q, 3), db_blob(q, 4, a)};
    if (!type_known((int64_t)ret->type))
        return obj_damaged(a, id, "no type of objects");
    *ret_found = true;
    return OK;
}

/* Appends the further rows of a large object to its first one. */
static err row_rest(struct object_odb *o, struct arena *a, oid id, struct row *r)
{
    char *all = arena_alloc(a, r->stored);
    size_t len = r->stream.len;
    AUTO_STMT struct db_stmt *q = NULL;

    if (len > r->stored)
        return obj_damaged(a, id, "row lengths");
    memcpy(all, r->stream.ptr, len);
    TRY(db_query(o->store->git, &q, PARTS));
    db_bind_i64(q, 1, r->id);
    while (db_next(q)) {
        str part = db_view(q, 0);

        if (part.len > r->stored - len)
            return obj_damaged(a, id, "row lengths");
        memcpy(all + len, part.ptr, part.len);
        len += part.len;
    }
    TRY(db_error(q));
    if (len != r->stored)
        return obj_damaged(a, id, "row lengths");
    r->stream = (str){all, len};
    return OK;
}

static err find(struct odb *base, struct arena *a, oid id, enum obj_type *ret_type, str *ret_data,
                bool *ret_found)
{
    struct object_odb *o = self(base);
    struct waiting *w = waiting_find(o, id);
    struct row r;

    if (w) {
        r = (struct row){0, w->type, w->size, w->stream.len, buf_str(&w->stream)};
        *ret_found = true;
    } else {
        TRY(row_find(o, a, id, &r, ret_found));
        if (!*ret_found)
            return OK;
        if (r.size > ODB_MAX_OBJECT)
            return obj_damaged(a, id, "larger than any object");
        if (r.stored > r.stream.len)
            TRY(row_rest(o, a, id, &r));
    }
    if (!obj_inflate(a, r.stream, r.size, ret_data))
        return obj_damaged(a, id, "zlib stream");
    if (!w && !sha1_eq(obj_id(r.type, *ret_data), id)) /* a damaged row, or a damaged index */
        return obj_damaged(a, id, "its content is not what its name says");
    *ret_type = r.type;
    return OK;
}

static err header(struct odb *base, struct arena *a, oid id, enum obj_type *ret_type,
                  uint64_t *ret_size, bool *ret_found)
{
    struct object_odb *o = self(base);
    struct waiting *w = waiting_find(o, id);
    AUTO_STMT struct db_stmt *q = NULL;

    *ret_found = w != NULL;
    if (w) {
        *ret_type = w->type;
        *ret_size = w->size;
        return OK;
    }
    TRY(db_query(o->store->git, &q, HEADER));
    db_bind_i64(q, 1, o->repo_id);
    db_bind_hash(q, 2, id);
    if (!db_next(q))
        return db_error(q);
    if (!type_known(db_i64(q, 0)))
        return obj_damaged(a, id, "no type of objects");
    *ret_type = (enum obj_type)db_i64(q, 0);
    *ret_size = (uint64_t)db_i64(q, 1);
    *ret_found = true;
    return OK;
}

static err stored_waiting(struct waiting *w, unsigned part, struct odb_part *ret, bool *ret_found)
{
    uint64_t from = (uint64_t)part * OBJECT_ROW_BYTES;

    *ret_found = from < w->stream.len;
    if (*ret_found)
        *ret = (struct odb_part){w->type, w->size,
                                 str_first(str_from(buf_str(&w->stream), from), OBJECT_ROW_BYTES),
                                 from + OBJECT_ROW_BYTES >= w->stream.len};
    return OK;
}

static err stored(struct odb *base, struct arena *a, oid id, unsigned part, struct odb_part *ret,
                  bool *ret_found)
{
    struct object_odb *o = self(base);
    struct waiting *w = waiting_find(o, id);
    AUTO_STMT struct db_stmt *q = NULL;
    struct row r;

    if (w)
        return stored_waiting(w, part, ret, ret_found);
    if (part == 0) {
        TRY(row_find(o, a, id, &r, ret_found));
        if (*ret_found)
            *ret = (struct odb_part){r.type, r.size, r.stream, r.stream.len >= r.stored};
        return OK;
    }
    *ret_found = false;
    TRY(db_query(o->store->git, &q, PART));
    db_bind_i64(q, 1, o->repo_id);
    db_bind_hash(q, 2, id);
    db_bind_i64(q, 3, part);
    if (!db_next(q))
        return db_error(q);
    *ret = (struct odb_part){(enum obj_type)db_i64(q, 0), (uint64_t)db_i64(q, 1), db_blob(q, 3, a),
                             (uint64_t)part * OBJECT_ROW_BYTES + db_view(q, 3).len >=
                                 (uint64_t)db_i64(q, 2)};
    *ret_found = true;
    return OK;
}

/* --- writing --- */

enum there { THERE_NOT, THERE_OLD, THERE_FRESH };

/* Is it a row already, and one that was seen a moment ago? */
static err is_row(struct object_odb *o, oid id, enum there *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = THERE_NOT;
    TRY(db_query(o->store->git, &q, HEADER));
    db_bind_i64(q, 1, o->repo_id);
    db_bind_hash(q, 2, id);
    if (!db_next(q))
        return db_error(q);
    *ret = clock_ms() - db_i64(q, 2) > OBJECT_RENEW_MS ? THERE_OLD : THERE_FRESH;
    return OK;
}

static void add_waiting(struct object_odb *o, oid id, bool was_row, enum obj_type type, str data)
{
    struct waiting *w;
    bool is_new;

    if (o->count == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 16;
        o->items = realloc(o->items, o->cap * sizeof *o->items);
        if (!o->items)
            abort();
    }
    w = &o->items[o->count++];
    *w = (struct waiting){id, was_row, type, data.len, BUF(data.len + data.len / 256 + 1024)};
    obj_deflate(data, &w->stream);
    o->bytes += w->stream.len;
    *oid_map_put(&o->index, id, &is_new) = (uint32_t)o->count;
}

static err object_write(struct odb *base, struct arena *a, enum obj_type type, str data, oid *ret)
{
    struct object_odb *o = self(base);
    oid id = obj_id(type, data);
    enum there there;

    (void)a;
    *ret = id;
    if (waiting_find(o, id))
        return OK;
    TRY(is_row(o, id, &there));
    if (there == THERE_FRESH)
        return OK;
    add_waiting(o, id, there == THERE_OLD, type, data);
    return o->bytes > OBJECT_BATCH_BYTES || o->count >= OBJECT_BATCH_ROWS ? object_flush(base) : OK;
}

static err renew_one(struct db *tx, int64_t repo_id, oid id, int64_t now, bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, RENEW));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, id);
    db_bind_i64(q, 3, now);
    TRY(db_run(q));
    *ret_found = db_changes(q) > 0;
    return OK;
}

static err insert_one(struct db *tx, int64_t repo_id, const struct waiting *w, int64_t now)
{
    str all = buf_str(&w->stream);
    bool found = false;
    int64_t id = 0;

    if (w->was_row)
        TRY(renew_one(tx, repo_id, w->id, now, &found));
    if (found)
        return OK;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, INSERT));
        db_bind_i64(q, 1, repo_id);
        db_bind_hash(q, 2, w->id);
        db_bind_i64(q, 3, w->type);
        db_bind_i64(q, 4, (int64_t)w->size);
        db_bind_i64(q, 5, (int64_t)all.len);
        db_bind_i64(q, 6, now);
        db_bind_blob(q, 7, str_first(all, OBJECT_ROW_BYTES));
        if (db_next(q))
            id = db_i64(q, 0);
        TRY(db_run(q));
    }
    for (int64_t n = 1; id && (uint64_t)n * OBJECT_ROW_BYTES < all.len; n++) {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, INSERT_PART));
        db_bind_i64(q, 1, id);
        db_bind_i64(q, 2, n);
        db_bind_blob(q, 3,
                     str_first(str_from(all, (size_t)n * OBJECT_ROW_BYTES), OBJECT_ROW_BYTES));
        TRY(db_run(q));
    }
    return OK;
}

static err flush_fn(struct db *tx, void *arg)
{
    struct object_odb *o = arg;
    int64_t now = clock_ms();

    for (size_t i = 0; i < o->count; i++)
        TRY(insert_one(tx, o->repo_id, &o->items[i], now));
    return OK;
}

static void drop_waiting(struct object_odb *o)
{
    for (size_t i = 0; i < o->count; i++)
        buf_free(&o->items[i].stream);
    o->count = 0;
    o->bytes = 0;
    oid_map_free(&o->index);
    o->index = (struct oid_map){0};
}

/* Also without anything of its own to write this is a barrier: objects that another request wrote
 * and that we rely on are on disk when it returns. */
err object_flush(struct odb *base)
{
    struct object_odb *o = self(base);

    TRY(db_write(o->store->git, flush_fn, o));
    drop_waiting(o);
    return OK;
}

static void object_odb_free(void *p)
{
    struct object_odb *o = p;

    drop_waiting(o);
    free(o->items);
}

static const struct odb_ops ops = {find, header, stored, object_write};

struct odb *object_odb(struct store *s, struct arena *a, int64_t repo_id)
{
    struct object_odb *o = arena_one(a, struct object_odb);

    o->base.ops = &ops;
    o->store = s;
    o->repo_id = repo_id;
    arena_defer(a, object_odb_free, o);
    return &o->base;
}

/* --- objects that are relied on --- */

struct renewing {
    int64_t repo_id, now;
    const oid *ids;
    size_t count, missing;
};

static err renew_fn(struct db *tx, void *arg)
{
    struct renewing *x = arg;
    bool found;

    x->missing = 0;
    for (size_t i = 0; i < x->count; i++) {
        TRY(renew_one(tx, x->repo_id, x->ids[i], x->now, &found));
        x->missing += !found;
    }
    return OK;
}

/* Those of `ids` that were not seen lately. */
static err list_old(struct store *s, int64_t repo_id, const oid *ids, size_t count,
                    struct oid_list *ret)
{
    struct object_odb o = {.store = s, .repo_id = repo_id};
    enum there there;

    for (size_t i = 0; i < count; i++) {
        TRY(is_row(&o, ids[i], &there));
        if (there != THERE_FRESH)
            oid_list_add(ret, ids[i]);
    }
    return OK;
}

err object_renew(struct store *s, int64_t repo_id, const oid *ids, size_t count,
                 size_t *ret_missing)
{
    struct renewing x = {.repo_id = repo_id, .now = clock_ms()};
    AUTO_OIDS struct oid_list old = {0};
    size_t missing = 0;

    TRY(list_old(s, repo_id, ids, count, &old));
    for (size_t i = 0; i < old.count; i += RENEW_BATCH) {
        x.ids = old.ids + i;
        x.count = old.count - i < RENEW_BATCH ? old.count - i : RENEW_BATCH;
        TRY(db_write(s->git, renew_fn, &x));
        missing += x.missing;
    }
    *ret_missing = missing;
    return OK;
}

void object_odb_of(struct odb *o, struct object_proofs **ret, int64_t *ret_repo_id)
{
    *ret = self(o)->store->proofs;
    *ret_repo_id = self(o)->repo_id;
}

/* --- whole repositories --- */

err object_count(struct store *s, int64_t repo_id, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->git, &q, SQL("SELECT count(*) FROM object WHERE repo_id = ?1")));
    db_bind_i64(q, 1, repo_id);
    if (!db_next(q))
        return db_error(q);
    *ret = db_i64(q, 0);
    return OK;
}

#define COPY_BATCH 1000 /* objects per transaction */

struct copy_args {
    int64_t from, to, after, last, copied, now;
};

static err copy_parts(struct db *tx, const struct copy_args *c)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO object_part(object_id, n, data) "
                     "SELECT copy.id, n, object_part.data FROM object AS source "
                     "JOIN object AS copy ON copy.repo_id = ?2 AND copy.oid = source.oid "
                     "JOIN object_part ON object_id = source.id "
                     "WHERE source.repo_id = ?1 AND source.id > ?3 AND source.id <= ?4 "
                     "ON CONFLICT DO NOTHING")));
    db_bind_i64(q, 1, c->from);
    db_bind_i64(q, 2, c->to);
    db_bind_i64(q, 3, c->after);
    db_bind_i64(q, 4, c->last);
    return db_run(q);
}

static err copy_fn(struct db *tx, void *arg)
{
    struct copy_args *c = arg;

    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q,
                     SQL("SELECT coalesce(max(id), 0), count(*) FROM (SELECT id FROM object "
                         "WHERE repo_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3) AS page")));
        db_bind_i64(q, 1, c->from);
        db_bind_i64(q, 2, c->after);
        db_bind_i64(q, 3, COPY_BATCH);
        if (!db_next(q))
            return db_error(q);
        c->last = db_i64(q, 0);
        c->copied = db_i64(q, 1);
    }
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q,
                     SQL("INSERT INTO object(repo_id, oid, type, size, stored, seen_at, data) "
                         "SELECT ?2, oid, type, size, stored, ?5, data FROM object "
                         "WHERE repo_id = ?1 AND id > ?3 AND id <= ?4 ON CONFLICT DO NOTHING")));
        db_bind_i64(q, 1, c->from);
        db_bind_i64(q, 2, c->to);
        db_bind_i64(q, 3, c->after);
        db_bind_i64(q, 4, c->last);
        db_bind_i64(q, 5, c->now);
        TRY(db_run(q));
    }
    return copy_parts(tx, c);
}

err object_copy_all(struct store *s, int64_t from_repo_id, int64_t to_repo_id)
{
    struct copy_args c = {.from = from_repo_id, .to = to_repo_id, .now = clock_ms()};

    do {
        TRY(db_write(s->git, copy_fn, &c));
        c.after = c.last;
    } while (c.copied == COPY_BATCH);
    return OK;
}

struct clear_args {
    int64_t repo_id, limit, removed;
};

static err clear_fn(struct db *tx, void *arg)
{
    struct clear_args *c = arg;

    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q,
                     SQL("DELETE FROM object_part WHERE object_id IN "
                         "(SELECT id FROM object WHERE repo_id = ?1 ORDER BY oid LIMIT ?2)")));
        db_bind_i64(q, 1, c->repo_id);
        db_bind_i64(q, 2, c->limit);
        TRY(db_run(q));
    }
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("DELETE FROM object WHERE id IN "
                     "(SELECT id FROM object WHERE repo_id = ?1 ORDER BY oid LIMIT ?2)")));
    db_bind_i64(q, 1, c->repo_id);
    db_bind_i64(q, 2, c->limit);
    TRY(db_run(q));
    c->removed = db_changes(q);
    return OK;
}

err object_clear(struct store *s, int64_t repo_id, int64_t limit, bool *ret_more)
{
    struct clear_args c = {repo_id, limit, 0};

    TRY(db_write(s->git, clear_fn, &c));
    *ret_more = c.removed == limit;
    return OK;
}
