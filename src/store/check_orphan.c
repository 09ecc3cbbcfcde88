/* check_orphan.c — blobs that no row names, and parts of uploads that rows name.
 *
 * A blob younger than a day may be about to get its row.  One whose generation some row has is
 * never an orphan, whatever its hash: then the row may be the damaged one.
 */
#include "base/clock.h"
#include "base/text.h"
#include "store/check_private.h"
#include "store/upload_rows.h"
#include <sys/stat.h>

#define OLD_MS 86400000LL
#define ORPHANS_MAX 10000 /* of one kind and run */
#define PAGE 500
#define HOLD_DEAD_MS 60000

static const struct sql XORB_NAMED =
    SQL_INIT("SELECT count(*) FROM xorb WHERE hash = ?1 AND generation = ?2");
static const struct sql XORB_NEAR = SQL_INIT("SELECT count(*) FROM xorb WHERE generation = ?1");
static const struct sql SHARD_NAMED = SQL_INIT("SELECT count(*) FROM shard WHERE hash = ?1");
static const struct sql HELD = SQL_INIT("SELECT count(*) FROM gc_hold WHERE beat_at > ?1");
static const struct sql PARTS =
    SQL_INIT("SELECT upload_id, number, upload_part.size FROM upload_part JOIN upload ON upload.id "
             "= upload_id WHERE (upload_id, number) > (?1, ?2) AND done_at IS NULL ORDER BY "
             "upload_id, number LIMIT ?3");
static const struct sql PART_STILL = SQL_INIT(
    "SELECT count(*) FROM upload_part JOIN upload ON upload.id = upload_id WHERE upload_id = ?1 "
    "AND number = ?2 AND done_at IS NULL");
static const struct sql PART_REMOVE =
    SQL_INIT("DELETE FROM upload_part WHERE upload_id = ?1 AND number = ?2");

/* --- blobs --- */

struct orphans {
    struct check *c;
    struct blob_key *keys;
    size_t count;
};

static err run_count(struct db_stmt *q, int64_t *ret)
{
    *ret = db_next(q) ? db_i64(q, 0) : 0;
    return db_error(q);
}

static err xorb_named(struct check *c, struct blob_key key, bool *ret)
{
    xorb_hash h;
    int64_t count = 0;

    if (!xorb_hash_parse(key.hash, &h))
        return OK;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(c->store->hub, &q, XORB_NAMED));
        db_bind_hash(q, 1, h);
        db_bind_i64(q, 2, key.generation);
        TRY(run_count(q, &count));
    }
    *ret = count > 0;
    return OK;
}

static err shard_named(struct check *c, struct blob_key key, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    chunk_hash h;
    int64_t count;

    if (!chunk_hash_parse(key.hash, &h))
        return OK;
    TRY(db_query(c->store->hub, &q, SHARD_NAMED));
    db_bind_hash(q, 1, h);
    TRY(run_count(q, &count));
    *ret = count > 0;
    return OK;
}

static err is_named(struct check *c, struct blob_key key, bool *ret)
{
    *ret = false;
    return key.kind == BLOB_SHARD ? shard_named(c, key, ret) : xorb_named(c, key, ret);
}

static err is_near(struct check *c, struct blob_key key, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    int64_t count;

    *ret = false;
    if (key.kind == BLOB_SHARD)
        return OK;
    TRY(db_query(c->store->hub, &q, XORB_NEAR));
    db_bind_i64(q, 1, key.generation);
    TRY(run_count(q, &count));
    *ret = count > 0;
    return OK;
}

static err is_old(struct check *c, struct blob_key key, bool *ret)
{
    int64_t now = clock_ms();
    struct blob_stat st;

    TRY(blob_stat(c->store->blobs, c->a, key, &st));
    *ret = st.found && now - st.mtime_ns / 1000000 > OLD_MS &&
           (key.kind == BLOB_SHARD || now - (key.generation >> 20) > OLD_MS);
    return OK;
}

static err look(struct check *c, struct blob_key key, bool *ret_orphan)
{
    struct arena_mark m = arena_mark(c->a);
    bool named, near, old = false;

    *ret_orphan = false;
    TRY(is_named(c, key, &named));
    if (!named)
        TRY(is_old(c, key, &old));
    if (old) {
        TRY(is_near(c, key, &near));
        *ret_orphan = !near;
    }
    arena_rewind(c->a, m);
    return OK;
}

static err note(struct blob_key key, void *arg)
{
    struct orphans *o = arg;
    bool orphan;

    if (o->count == ORPHANS_MAX)
        return OK;
    TRY(look(o->c, key, &orphan));
    if (!orphan)
        return OK;
    key.hash = arena_str(o->c->a, key.hash);
    o->keys[o->count++] = key;
    return OK;
}

/* Nothing is removed while somebody copies blobs, or because of what a damaged database says. */
static err may_remove(struct check *c, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    int64_t count;

    *ret = false;
    if (!c->options.repair || c->rows_doubtful || c->result.damaged > 0)
        return OK;
    TRY(db_query(c->store->hub, &q, HELD));
    db_bind_i64(q, 1, clock_ms() - HOLD_DEAD_MS);
    TRY(run_count(q, &count));
    *ret = count == 0;
    return OK;
}

static err check_kind(struct check *c, enum blob_kind kind, const char *what)
{
    struct orphans o = {c, arena_many(c->a, struct blob_key, ORPHANS_MAX), 0};
    bool remove, orphan;

    TRY(blob_each(c->store->blobs, c->a, kind, note, &o));
    if (o.count)
        check_settle(c);
    TRY(may_remove(c, &remove));
    for (size_t i = 0; i < o.count; i++) {
        struct blob_key key = o.keys[i];
        bool gone;

        TRY(look(c, key, &orphan));
        if (!orphan)
            continue;
        gone = remove && !blob_remove(c->store->blobs, c->a, key);
        check_found(c, gone ? CHECK_REPAIRED : CHECK_REPAIRABLE, what, key.hash,
                    "no row names it; it is removed");
    }
    return OK;
}

/* --- uploads --- */

struct part {
    str id;
    int64_t number;
    uint64_t size;
};

static err read_parts(struct check *c, struct part after, struct part *ret, size_t *ret_count)
{
    size_t count = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(c->store->hub, &q, PARTS));
    db_bind_str(q, 1, after.id);
    db_bind_i64(q, 2, after.number);
    db_bind_i64(q, 3, PAGE);
    while (count < PAGE && db_next(q))
        ret[count++] = (struct part){db_str(q, 0, c->a), db_i64(q, 1), (uint64_t)db_i64(q, 2)};
    *ret_count = count;
    return db_error(q);
}

static bool part_is_there(struct check *c, const struct part *p)
{
    struct stat st;

    return hex_is(p->id, 32) && p->number > 0 && p->number <= UPLOAD_PARTS_MAX &&
           stat(upload_part_path(c->store, c->a, p->id, (unsigned)p->number), &st) == 0 &&
           (uint64_t)st.st_size == p->size;
}

static err part_still(struct check *c, const struct part *p, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    int64_t count;

    TRY(db_query(c->store->hub, &q, PART_STILL));
    db_bind_str(q, 1, p->id);
    db_bind_i64(q, 2, p->number);
    TRY(run_count(q, &count));
    *ret = count > 0;
    return OK;
}

static err remove_part(struct db *tx, void *arg)
{
    const struct part *p = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, PART_REMOVE));
    db_bind_str(q, 1, p->id);
    db_bind_i64(q, 2, p->number);
    return db_run(q);
}

static err check_part(struct check *c, struct part *p)
{
    enum check_state state = CHECK_REPAIRABLE;
    bool still;

    if (part_is_there(c, p))
        return OK;
    check_settle(c);
    TRY(part_still(c, p, &still));
    if (!still || part_is_there(c, p))
        return OK;
    if (!c->rows_doubtful)
        state = check_fix(c, remove_part, p);
    check_found(c, state, "upload part",
                arena_printf(c->a, "%.*s/%lld", STR_FMT(p->id), (long long)p->number),
                "its file is not there or has another size; the client sends it again");
    return OK;
}

static err check_uploads(struct check *c)
{
    struct part *parts = arena_many(c->a, struct part, PAGE);
    struct part after = {STR(""), 0, 0};
    size_t count;

    do {
        TRY(read_parts(c, after, parts, &count));
        for (size_t i = 0; i < count; i++)
            TRY(check_part(c, &parts[i]));
        if (count)
            after = parts[count - 1];
    } while (count == PAGE);
    return OK;
}

err check_orphans(struct check *c)
{
    TRY(check_kind(c, BLOB_XORB, "xorb"));
    TRY(check_kind(c, BLOB_XORB_INDEX, "xorb index"));
    TRY(check_kind(c, BLOB_SHARD, "shard"));
    return check_uploads(c);
}
