/* gc_files.c — contents that nothing names, and shards that describe none that is left.
 *
 * A content stays while a repository or a bucket has it, while a hold on it runs, and for the grace
 * period after it was last taken in (file.created_at).  The statement that deletes it looks at all
 * of that once more.  Its xorbs are left to the next step.
 */
#include "store/gc_private.h"
#include "store/xorb.h"

#define NAMED                                                                                      \
    "EXISTS (SELECT 1 FROM repo_file WHERE file_id = file.id) OR "                                 \
    "EXISTS (SELECT 1 FROM bucket_file WHERE file_id = file.id) OR "                               \
    "EXISTS (SELECT 1 FROM file_hold WHERE file_id = file.id AND until > ?3)"
#define GC_SHARD_AGE_MS GC_DAY_MS /* a shard's files may be entered in several transactions */

static const struct sql HOLDS_REMOVE =
    SQL_INIT("DELETE FROM file_hold WHERE (repo_id, file_id) IN (SELECT repo_id, file_id FROM "
             "file_hold WHERE until <= ?1 ORDER BY until LIMIT ?2)");
static const struct sql FILES =
    SQL_INIT("SELECT id FROM file WHERE id > ?1 AND created_at < ?2 AND NOT (" NAMED
             ") ORDER BY id LIMIT ?4");
static const struct sql FILE_REMOVE =
    SQL_INIT("DELETE FROM file WHERE id = ?1 AND created_at < ?2 AND NOT (" NAMED ")");
static const struct sql PARTS_REMOVE = SQL_INIT("DELETE FROM file_part WHERE file_id = ?1");
static const struct sql XORBS_REMOVE = SQL_INIT("DELETE FROM file_xorb WHERE file_id = ?1");
static const struct sql SHARDS_LEAVE = SQL_INIT("DELETE FROM shard_file WHERE file_id = ?1");
static const struct sql SHARDS =
    SQL_INIT("SELECT id FROM shard WHERE id > ?1 AND created_at < ?2 AND ?3 = 0 AND NOT EXISTS "
             "(SELECT 1 FROM shard_file WHERE shard_id = shard.id) ORDER BY id LIMIT ?4");
static const struct sql SHARD_REMOVE =
    SQL_INIT("DELETE FROM shard WHERE id = ?1 AND created_at < ?2 AND NOT EXISTS "
             "(SELECT 1 FROM shard_file WHERE shard_id = shard.id)");

struct batch {
    struct gc *g;
    struct gc_ids page;
    int64_t limit_ms; /* what is younger stays */
    uint64_t removed;
    bool held;
};

/* --- holds that ran out --- */

static err holds_fn(struct db *tx, void *arg)
{
    struct batch *b = arg;
    int64_t changes;

    TRY(gc_exec(tx, HOLDS_REMOVE, b->g->now_ms, GC_PAGE, &changes));
    b->removed = (uint64_t)changes;
    return OK;
}

static err remove_holds(struct gc *g)
{
    struct batch b = {.g = g, .removed = GC_PAGE};

    while (!g->options->dry_run && b.removed == GC_PAGE)
        TRY(db_write(g->store->hub, holds_fn, &b));
    return OK;
}

/* --- contents --- */

static err remove_file(struct db *tx, struct batch *b, int64_t id)
{
    const struct sql rest[] = {PARTS_REMOVE, XORBS_REMOVE, SHARDS_LEAVE};

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, FILE_REMOVE));
        db_bind_i64(q, 1, id);
        db_bind_i64(q, 2, b->limit_ms);
        db_bind_i64(q, 3, b->g->now_ms);
        TRY(db_run(q));
        if (db_changes(q) == 0)
            return OK; /* it was meant again */
    }
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, rest[i]));
        db_bind_i64(q, 1, id);
        TRY(db_run(q));
    }
    b->removed++;
    return OK;
}

static err files_fn(struct db *tx, void *arg)
{
    struct batch *b = arg;

    b->removed = 0;
    for (size_t i = 0; i < b->page.count; i++)
        TRY(remove_file(tx, b, b->page.ids[i]));
    return OK;
}

static err remove_files(struct gc *g)
{
    struct batch b = {
        .g = g, .page.count = GC_PAGE, .limit_ms = g->now_ms - g->options->file_grace_ms};
    int64_t last = 0;

    while (b.page.count == GC_PAGE) {
        TRY(gc_page(g->store->hub, FILES, last, b.limit_ms, g->now_ms, &b.page));
        if (b.page.count == 0)
            break;
        last = b.page.ids[b.page.count - 1];
        b.removed = b.page.count;
        if (!g->options->dry_run)
            TRY(db_write(g->store->hub, files_fn, &b));
        g->result->files += b.removed;
        TRY(gc_tell(g, "contents removed", g->result->files));
    }
    return OK;
}

/* --- shards --- */

static err shards_fn(struct db *tx, void *arg)
{
    struct batch *b = arg;
    int64_t changes;

    b->removed = 0;
    TRY(gc_is_held(tx, &b->held)); /* a copy of the rows names their blobs */
    for (size_t i = 0; !b->held && i < b->page.count; i++) {
        TRY(gc_exec(tx, SHARD_REMOVE, b->page.ids[i], b->limit_ms, &changes));
        b->removed += changes > 0;
    }
    return OK;
}

/* Rows only: their blobs are blobs without rows then (gc_xorbs.c). */
static err remove_shards(struct gc *g)
{
    int64_t age =
        g->options->orphan_age_ms < GC_SHARD_AGE_MS ? g->options->orphan_age_ms : GC_SHARD_AGE_MS;
    struct batch b = {.g = g, .page.count = GC_PAGE, .limit_ms = g->now_ms - age};
    int64_t last = 0;

    while (b.page.count == GC_PAGE) {
        TRY(gc_page(g->store->hub, SHARDS, last, b.limit_ms, 0, &b.page));
        if (b.page.count == 0)
            break;
        last = b.page.ids[b.page.count - 1];
        b.removed = b.page.count;
        if (!g->options->dry_run)
            TRY(db_write(g->store->hub, shards_fn, &b));
        g->result->shards += b.removed;
        if (b.held)
            return &gc_held;
        TRY(gc_tell(g, "shards removed", g->result->shards));
    }
    return OK;
}

err gc_files(struct gc *g)
{
    TRY(remove_holds(g));
    TRY(remove_files(g));
    return remove_shards(g);
}
