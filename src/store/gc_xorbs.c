/* gc_xorbs.c — xorbs that no content needs, and blobs that no row names.
 *
 *   live ── no file_xorb, lease over ──▶ condemned ── a day ──▶ row gone ──▶ blob unlinked
 *     ▲                                      │
 *     └── upload, shard, lease, content ─────┘
 *
 * Every step decides inside its transaction.  Blobs are named by generation, and none is used
 * twice, so a name that no row has is garbage for good: an unlink after the commit cannot hit what
 * came back.  A crash in between leaves a blob without a row, which the last part finds.
 *
 * A xorb waiting for its row is younger than the upload that wrote it, so blobs younger than the
 * oldest running upload stay, and those younger than a day.  Shards have no generations: their row
 * is looked for, and the blob unlinked, with the writer's lock held; whoever registers that shard
 * looks at its blob again after its own transaction (shard_register.c).
 */
#include "store/gc_private.h"
#include "store/xorb.h"

#define UNUSED "NOT EXISTS (SELECT 1 FROM file_xorb WHERE xorb_id = xorb.id)"

static const struct sql TO_CONDEMN =
    SQL_INIT("SELECT id FROM xorb WHERE id > ?1 AND state = 'live' AND lease_until <= ?2 AND "
             "?3 = 0 AND " UNUSED " ORDER BY id LIMIT ?4");
static const struct sql CONDEMN =
    SQL_INIT("UPDATE xorb SET state = 'condemned', condemned_at = ?3 WHERE id = ?1 AND state = "
             "'live' AND lease_until <= ?2 AND " UNUSED);
static const struct sql KEYS_REMOVE = SQL_INIT("DELETE FROM chunk_key WHERE xorb_id = ?1");
/* Whoever needs a condemned one makes it live; this is for what a fault left. */
static const struct sql REVIVE =
    SQL_INIT("UPDATE xorb SET state = 'live', condemned_at = NULL WHERE state <> 'live' AND state "
             "= 'condemned' AND EXISTS (SELECT 1 FROM file_xorb WHERE xorb_id = xorb.id) AND "
             "?1 = ?2");
/* The blob of a damaged one is in quarantine already. */
#define TO_REMOVE_IF                                                                               \
    "state <> 'live' AND ((state = 'condemned' AND condemned_at <= ?3) OR state = 'damaged') AND " \
    "lease_until <= ?2 AND " UNUSED
static const struct sql TO_REMOVE =
    SQL_INIT("SELECT id FROM xorb WHERE id > ?1 AND " TO_REMOVE_IF " ORDER BY id LIMIT ?4");
static const struct sql REMOVE = SQL_INIT("DELETE FROM xorb WHERE id = ?1 AND " TO_REMOVE_IF
                                          " RETURNING hash, generation, disk_bytes");
static const struct sql HAS_XORB =
    SQL_INIT("SELECT 1 FROM xorb WHERE hash = ?1 AND generation = ?2");
static const struct sql HAS_SHARD = SQL_INIT("SELECT 1 FROM shard WHERE hash = ?1");

struct gone {
    int64_t id, generation;
    xorb_hash hash;
    uint64_t bytes;
};

struct batch {
    struct gc *g;
    struct gc_ids page;
    int64_t condemned_before;
    uint64_t done;
    bool held;
    struct gone gone[GC_PAGE];
    size_t gone_count;
};

/* --- condemning --- */

static err condemn_fn(struct db *tx, void *arg)
{
    struct batch *b = arg;

    b->done = 0;
    for (size_t i = 0; i < b->page.count; i++) {
        {
            AUTO_STMT struct db_stmt *q = NULL;
            TRY(db_query(tx, &q, CONDEMN));
            db_bind_i64(q, 1, b->page.ids[i]);
            db_bind_i64(q, 2, gc_lease_limit(b->g));
            db_bind_i64(q, 3, b->g->now_ms);
            TRY(db_run(q));
            if (db_changes(q) == 0)
                continue;
        }
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, KEYS_REMOVE));
        db_bind_i64(q, 1, b->page.ids[i]);
        TRY(db_run(q));
        b->done++;
    }
    return OK;
}

static err condemn(struct gc *g, struct batch *b)
{
    int64_t last = 0;

    b->page.count = GC_PAGE;
    while (b->page.count == GC_PAGE) {
        TRY(gc_page(g->store->hub, TO_CONDEMN, last, gc_lease_limit(g), 0, &b->page));
        if (b->page.count == 0)
            break;
        last = b->page.ids[b->page.count - 1];
        b->done = b->page.count;
        if (!g->options->dry_run)
            TRY(db_write(g->store->hub, condemn_fn, b));
        g->result->condemned += b->done;
        TRY(gc_tell(g, "xorbs condemned", g->result->condemned));
    }
    return OK;
}

/* --- removing --- */

static err revive_fn(struct db *tx, void *arg)
{
    int64_t changes;

    (void)arg;
    return gc_exec(tx, REVIVE, 0, 0, &changes);
}

static err remove_one(struct db *tx, struct batch *b, int64_t id)
{
    struct gone *x = &b->gone[b->gone_count];

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, REMOVE));
        db_bind_i64(q, 1, id);
        db_bind_i64(q, 2, gc_lease_limit(b->g));
        db_bind_i64(q, 3, b->condemned_before);
        if (!db_next(q))
            return db_error(q); /* it lives again */
        x->id = id;
        (void)db_hash(q, 0, x->hash.b, sizeof x->hash.b);
        x->generation = db_i64(q, 1);
        x->bytes = (uint64_t)db_i64(q, 2);
        TRY(db_run(q));
    }
    b->gone_count++;
    AUTO_STMT struct db_stmt *q = NULL;
    TRY(db_query(tx, &q, KEYS_REMOVE));
    db_bind_i64(q, 1, id);
    return db_run(q);
}

static err remove_fn(struct db *tx, void *arg)
{
    struct batch *b = arg;

    b->gone_count = 0;
    TRY(gc_is_held(tx, &b->held));
    for (size_t i = 0; !b->held && i < b->page.count; i++)
        TRY(remove_one(tx, b, b->page.ids[i]));
    return OK;
}

static err unlink_xorb(struct gc *g, xorb_hash hash, int64_t generation)
{
    struct arena_mark m = arena_mark(g->a);

    TRY(blob_remove(g->store->blobs, g->a, xorb_key(g->a, BLOB_XORB, hash, generation)));
    TRY(blob_remove(g->store->blobs, g->a, xorb_key(g->a, BLOB_XORB_INDEX, hash, generation)));
    arena_rewind(g->a, m);
    return OK;
}

static err unlink_gone(struct gc *g, const struct batch *b)
{
    for (size_t i = 0; i < b->gone_count; i++) {
        const struct gone *x = &b->gone[i];

        xorb_forget(g->store, x->id);
        TRY(unlink_xorb(g, x->hash, x->generation));
        g->result->xorbs++;
        g->result->xorb_bytes += x->bytes;
    }
    return OK;
}

static err count_removable(struct gc *g, struct batch *b)
{
    static const struct sql count =
        SQL_INIT("SELECT count(*), coalesce(sum(disk_bytes), 0) FROM xorb WHERE ?1 = ?1 "
                 "AND " TO_REMOVE_IF);
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(g->store->hub, &q, count));
    db_bind_i64(q, 1, 0);
    db_bind_i64(q, 2, gc_lease_limit(g));
    db_bind_i64(q, 3, b->condemned_before);
    if (db_next(q)) {
        g->result->xorbs = (uint64_t)db_i64(q, 0);
        g->result->xorb_bytes = (uint64_t)db_i64(q, 1);
    }
    return db_error(q);
}

static err remove_condemned(struct gc *g, struct batch *b)
{
    int64_t last = 0;

    b->condemned_before = g->now_ms - g->options->xorb_wait_ms;
    if (g->options->dry_run)
        return count_removable(g, b);
    TRY(db_write(g->store->hub, revive_fn, NULL));
    b->page.count = GC_PAGE;
    while (b->page.count == GC_PAGE) {
        TRY(gc_page(g->store->hub, TO_REMOVE, last, gc_lease_limit(g), b->condemned_before,
                    &b->page));
        if (b->page.count == 0)
            break;
        last = b->page.ids[b->page.count - 1];
        TRY(db_write(g->store->hub, remove_fn, b));
        if (b->held)
            return &gc_held;
        TRY(unlink_gone(g, b));
        TRY(gc_tell(g, "xorbs removed", g->result->xorbs));
    }
    return OK;
}

/* --- blobs without rows --- */

struct orphans {
    struct gc *g;
    int64_t before_ms; /* younger ones may be waiting for their row */
    uint64_t seen;
};

static err has_xorb(struct gc *g, xorb_hash h, int64_t generation, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(g->store->hub, &q, HAS_XORB));
    db_bind_hash(q, 1, h);
    db_bind_i64(q, 2, generation);
    *ret = db_next(q);
    return db_error(q);
}

static err is_old(struct orphans *o, struct blob_key key, bool *ret)
{
    struct blob_stat st;

    TRY(blob_stat(o->g->store->blobs, o->g->a, key, &st));
    *ret = st.found && st.mtime_ns / 1000000 < o->before_ms;
    return OK;
}

static err look_at_xorb(struct orphans *o, struct blob_key key)
{
    bool named, old;
    xorb_hash h;

    if (!xorb_hash_parse(key.hash, &h) || key.generation >> 20 >= o->before_ms)
        return OK;
    TRY(has_xorb(o->g, h, key.generation, &named));
    if (named)
        return OK;
    TRY(is_old(o, key, &old));
    if (!old)
        return OK;
    TRY(gc_check_hold(o->g)); /* after the row: see gc_check_hold() */
    o->g->result->orphan_blobs += key.kind == BLOB_XORB;
    return o->g->options->dry_run ? OK : blob_remove(o->g->store->blobs, o->g->a, key);
}

static err each_xorb(struct blob_key key, void *arg)
{
    struct orphans *o = arg;
    struct arena_mark m = arena_mark(o->g->a);

    TRY(look_at_xorb(o, key));
    arena_rewind(o->g->a, m);
    return ++o->seen % 1000 == 0 ? gc_tell(o->g, "blobs looked at", o->seen) : OK;
}

struct orphan_shard {
    struct orphans *o;
    struct blob_key key;
    chunk_hash hash;
    bool removed, held;
};

static err has_shard(struct db *db, chunk_hash h, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, HAS_SHARD));
    db_bind_hash(q, 1, h);
    *ret = db_next(q);
    return db_error(q);
}

/* The one place that touches a blob inside a transaction: it keeps a registration of this very
 * shard from committing in between.  Unlinking twice is harmless. */
static err shard_fn(struct db *tx, void *arg)
{
    struct orphan_shard *x = arg;
    bool named;

    TRY(has_shard(tx, x->hash, &named));
    TRY(gc_is_held(tx, &x->held));
    if (named || x->held)
        return OK;
    TRY(blob_remove(x->o->g->store->blobs, x->o->g->a, x->key));
    x->removed = true;
    return OK;
}

static err look_at_shard(struct orphans *o, struct blob_key key)
{
    struct orphan_shard x = {.o = o, .key = key};
    bool named, old;

    if (!chunk_hash_parse(key.hash, &x.hash))
        return OK;
    TRY(has_shard(o->g->store->hub, x.hash, &named));
    if (named)
        return OK;
    TRY(is_old(o, key, &old));
    if (!old)
        return OK;
    x.removed = o->g->options->dry_run;
    if (!x.removed)
        TRY(db_write(o->g->store->hub, shard_fn, &x));
    o->g->result->orphan_blobs += x.removed;
    return x.held ? &gc_held : OK;
}

static err each_shard(struct blob_key key, void *arg)
{
    struct orphans *o = arg;
    struct arena_mark m = arena_mark(o->g->a);

    TRY(look_at_shard(o, key));
    arena_rewind(o->g->a, m);
    return ++o->seen % 1000 == 0 ? gc_tell(o->g, "blobs looked at", o->seen) : OK;
}

static err remove_orphans(struct gc *g)
{
    struct orphans o = {.g = g, .before_ms = g->now_ms - g->options->orphan_age_ms};
    int64_t oldest = gc_oldest_writer(g->store);
    struct blobs *b = g->store->blobs;

    if (oldest < o.before_ms)
        o.before_ms = oldest;
    TRY(blob_each(b, g->a, BLOB_XORB, each_xorb, &o));
    TRY(blob_each(b, g->a, BLOB_XORB_INDEX, each_xorb, &o));
    return blob_each(b, g->a, BLOB_SHARD, each_shard, &o);
}

err gc_xorbs(struct gc *g)
{
    struct batch *b = need(calloc(1, sizeof *b));
    err e;

    b->g = g;
    e = condemn(g, b);
    if (!e)
        e = remove_condemned(g, b);
    free(b);
    TRY(e);
    return remove_orphans(g);
}
