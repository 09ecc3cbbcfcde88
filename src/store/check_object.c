/* check_object.c — every git object against its id, in the order of rows: inflate, hash, compare.
 *
 * What the zlib stream still gives is hashed even when something beside it is wrong (its checksum,
 * the type, a length): when that is the object, its row is written anew.
 */
#include "base/buf.h"
#include "git/odb.h"
#include "store/check_private.h"
#include "store/object.h"
#include <string.h>
#include <zlib.h>

#define PAGE 256
#define PAGE_BYTES (8u << 20) /* of rows read at a time */
#define OUT_BYTES (64u << 10)

static const struct sql NEXT =
    SQL_INIT("SELECT id, repo_id, oid, type, size, stored, data FROM object WHERE id > ?1 ORDER BY "
             "id LIMIT ?2");
static const struct sql PART =
    SQL_INIT("SELECT data FROM object_part WHERE object_id = ?1 AND n = ?2");
static const struct sql HOMELESS =
    SQL_INIT("SELECT count(*) FROM object_part WHERE NOT EXISTS(SELECT 1 FROM object WHERE id = "
             "object_id)");
static const struct sql SET =
    SQL_INIT("UPDATE object SET type = ?2, size = ?3, stored = ?4, data = ?5 WHERE id = ?1");
static const struct sql PARTS_REMOVE = SQL_INIT("DELETE FROM object_part WHERE object_id = ?1");
static const struct sql PART_ADD =
    SQL_INIT("INSERT INTO object_part(object_id, n, data) VALUES (?1, ?2, ?3)");

struct row {
    int64_t id, repo_id, type, size, stored;
    oid oid;
    bool is_named;
    str data;
};

struct page {
    struct row *rows;
    size_t count;
    bool more;
};

static struct row read_row(struct db_stmt *q, struct arena *a)
{
    struct row r = {.id = db_i64(q, 0),
                    .repo_id = db_i64(q, 1),
                    .type = db_i64(q, 3),
                    .size = db_i64(q, 4),
                    .stored = db_i64(q, 5),
                    .data = db_blob(q, 6, a)};

    r.is_named = db_hash(q, 2, r.oid.b, sizeof r.oid.b);
    return r;
}

static err read_page(struct check *c, int64_t after, struct page *ret)
{
    size_t bytes = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct page){.rows = arena_many(c->a, struct row, PAGE)};
    TRY(db_query(c->store->git, &q, NEXT));
    db_bind_i64(q, 1, after);
    db_bind_i64(q, 2, PAGE);
    while (ret->count < PAGE && bytes < PAGE_BYTES && (ret->more = db_next(q))) {
        ret->rows[ret->count] = read_row(q, c->a);
        bytes += ret->rows[ret->count++].data.len;
    }
    return db_error(q);
}

/* --- the stream of one object --- */

struct stream {
    struct check *c;
    const struct row *row;
    int64_t next_part;
    uint64_t stored; /* bytes given so far */
    z_stream z;
    unsigned char out[OUT_BYTES];
};

static void give(struct stream *s, str bytes)
{
    union { /* zlib takes its input without const and never writes to it */
        const char *in;
        unsigned char *z;
    } p = {bytes.ptr};

    s->z.next_in = p.z;
    s->z.avail_in = (unsigned)bytes.len;
    s->stored += bytes.len;
}

/* False: there are no more parts. */
static err give_part(struct stream *s, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->c->store->git, &q, PART));
    db_bind_i64(q, 1, s->row->id);
    db_bind_i64(q, 2, ++s->next_part);
    *ret = db_next(q);
    if (*ret)
        give(s, db_blob(q, 0, s->c->a));
    return db_error(q);
}

/* Inflates all there is; `take` gets the pieces.  *ret_clean: the stream ended where it should. */
static err inflate_all(struct stream *s, void (*take)(void *arg, str piece), void *arg,
                       uint64_t *ret_size, bool *ret_clean)
{
    int rc = Z_OK;
    bool more = true;

    *ret_size = 0;
    give(s, s->row->data);
    while (rc == Z_OK || (rc == Z_BUF_ERROR && more)) {
        if (s->z.avail_in == 0 && more) {
            TRY(give_part(s, &more));
            if (!more)
                break;
        }
        s->z.next_out = s->out;
        s->z.avail_out = OUT_BYTES;
        rc = inflate(&s->z, Z_NO_FLUSH);
        take(arg, (str){(char *)s->out, OUT_BYTES - s->z.avail_out});
        *ret_size += OUT_BYTES - s->z.avail_out;
        if (*ret_size > ODB_MAX_OBJECT)
            break;
    }
    *ret_clean = rc == Z_STREAM_END && s->z.avail_in == 0 && s->stored == (uint64_t)s->row->stored;
    if (*ret_clean && more) {
        TRY(give_part(s, &more));
        *ret_clean = !more;
    }
    return OK;
}

static err run_stream(struct check *c, const struct row *r, void (*take)(void *arg, str piece),
                      void *arg, uint64_t *ret_size, bool *ret_clean)
{
    struct stream *s = arena_one(c->a, struct stream);
    err e;

    s->c = c;
    s->row = r;
    if (inflateInit(&s->z) != Z_OK)
        return err_internal(c->a, "inflateInit");
    e = inflate_all(s, take, arg, ret_size, ret_clean);
    inflateEnd(&s->z);
    return e;
}

static void take_hash(void *arg, str piece)
{
    hasher_add(arg, piece.ptr, piece.len);
}

static bool type_known(int64_t type)
{
    return type >= OBJ_COMMIT && type <= OBJ_TAG;
}

/* Is the row the object that it is named after? */
static err is_right(struct check *c, const struct row *r, bool *ret)
{
    struct arena_mark m = arena_mark(c->a);
    struct hasher *h;
    uint64_t size;
    str head;
    sha1 id;
    err e;

    *ret = false;
    if (!r->is_named || !type_known(r->type) || r->size < 0 || r->size > ODB_MAX_OBJECT)
        return OK;
    h = sha1_new();
    head = arena_printf(c->a, "%s %lld", obj_type_name((enum obj_type)r->type), (long long)r->size);
    hasher_add(h, head.ptr, head.len + 1);
    e = run_stream(c, r, take_hash, h, &size, ret);
    id = sha1_end(h);
    *ret = *ret && !e && size == (uint64_t)r->size && sha1_eq(id, r->oid);
    arena_rewind(c->a, m);
    return e;
}

/* --- what can be saved --- */

static void take_bytes(void *arg, str piece)
{
    buf_add(arg, piece);
}

struct saved {
    const struct row *row;
    enum obj_type type;
    uint64_t size;
    struct buf stream;
};

static err save_fn(struct db *tx, void *arg)
{
    const struct saved *s = arg;
    str all = buf_str(&s->stream);

    TRY(check_run_id(tx, PARTS_REMOVE, s->row->id));
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, SET));
        db_bind_i64(q, 1, s->row->id);
        db_bind_i64(q, 2, s->type);
        db_bind_i64(q, 3, (int64_t)s->size);
        db_bind_i64(q, 4, (int64_t)all.len);
        db_bind_blob(q, 5, str_first(all, OBJECT_ROW_BYTES));
        TRY(db_run(q));
    }
    for (int64_t n = 1; (uint64_t)n * OBJECT_ROW_BYTES < all.len; n++) {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, PART_ADD));
        db_bind_i64(q, 1, s->row->id);
        db_bind_i64(q, 2, n);
        db_bind_blob(q, 3,
                     str_first(str_from(all, (size_t)n * OBJECT_ROW_BYTES), OBJECT_ROW_BYTES));
        TRY(db_run(q));
    }
    return OK;
}

static err try_save(struct check *c, const struct row *r, struct buf *content,
                    enum check_state *ret)
{
    struct saved s = {.row = r};
    uint64_t size;
    bool clean;

    *ret = CHECK_DAMAGED;
    TRY(run_stream(c, r, take_bytes, content, &size, &clean));
    if (content->full || !r->is_named)
        return OK;
    for (int64_t type = OBJ_COMMIT; type <= OBJ_TAG; type++)
        if (sha1_eq(obj_id((enum obj_type)type, buf_str(content)), r->oid)) {
            s.type = (enum obj_type)type;
            s.size = content->len;
            *ret = CHECK_REPAIRABLE;
        }
    if (*ret != CHECK_REPAIRABLE || !c->options.repair)
        return OK;
    s.stream = BUF(content->len + content->len / 256 + 1024);
    obj_deflate(buf_str(content), &s.stream);
    if (!db_write(c->store->git, save_fn, &s))
        *ret = CHECK_REPAIRED;
    buf_free(&s.stream);
    return OK;
}

static err tell(struct check *c, const struct row *r)
{
    AUTO_BUF struct buf content = BUF(ODB_MAX_OBJECT + OUT_BYTES);
    enum check_state state;

    TRY(try_save(c, r, &content, &state));
    check_found(c, state, "git object", sha1_hex(c->a, r->oid), "in %.*s: %s",
                STR_FMT(check_repo_name(c, r->repo_id)),
                state == CHECK_DAMAGED
                    ? "its content does not match its name; push it again or restore a backup"
                    : "its content is whole, what stands beside it is not; it is written anew");
    check_touch_object(c, r->repo_id, r->oid, STR_NONE);
    return OK;
}

/* --- all of them --- */

static err check_one(struct check *c, const struct row *r)
{
    struct page again;
    bool right;

    TRY(is_right(c, r, &right));
    if (right)
        return OK;
    check_settle(c);
    TRY(read_page(c, r->id - 1, &again));
    if (again.count == 0 || again.rows[0].id != r->id)
        return OK; /* collected meanwhile */
    TRY(is_right(c, &again.rows[0], &right));
    return right ? OK : tell(c, &again.rows[0]);
}

err check_objects(struct check *c)
{
    struct page page;
    int64_t after = INT64_MIN, homeless;

    do {
        struct arena_mark m = arena_mark(c->a);

        TRY(read_page(c, after, &page));
        for (size_t i = 0; i < page.count; i++) {
            TRY(check_one(c, &page.rows[i]));
            after = page.rows[i].id;
        }
        c->result.objects += page.count;
        check_progress(c, "git objects", c->result.objects);
        arena_rewind(c->a, m);
    } while (page.count > 0);
    TRY(check_count(c->store->git, HOMELESS, &homeless));
    if (homeless)
        check_found(c, CHECK_DAMAGED, "git object",
                    arena_printf(c->a, "%lld parts", (long long)homeless),
                    "the objects they belong to are not there");
    return OK;
}
