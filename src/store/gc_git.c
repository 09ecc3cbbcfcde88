/* gc_git.c — the git step of gc: objects that no ref reaches, and repo_file rows that no reachable
 * pointer names.
 *
 * A repository whose refs did not change since its last marking is passed over until something of
 * it may have come of age (gc_mark).  Otherwise everything that the refs reach is marked, and
 * unmarked objects unseen for the grace period go in small batches.
 *
 * Why this is safe beside commits and pushes.  Whoever sets a ref has either written what it leads
 * to, which renews seen_at, or renewed it (object_renew, ref_keep), or found it below another ref.
 * The last case is why a batch is removed under commit_lock(), after the refs were read again and
 * what is new in them was marked.  That work is done without the lock first, so that hardly any is
 * left under it.  The row's seen_at is looked at once more by the statement that deletes it.  What
 * a request has seen in the last hours is never touched, however short the grace period.
 *
 * A repository that cannot be marked, because an object is missing or damaged, is skipped whole.
 */
#include "base/io.h"
#include "store/commit.h"
#include "store/gc_mark.h"
#include "store/gc_private.h"
#include "store/object.h"
#include <string.h>

#define SCAN_PAGE 1000         /* rows looked at in one query */
#define BATCH_OBJECTS 200      /* removed in one transaction … */
#define BATCH_BYTES (8u << 20) /* … or so many stored bytes */
#define SEEN_LATELY_MS (2 * OBJECT_RENEW_MS)
#define LOOK_AGAIN_MS (30 * GC_DAY_MS) /* pushes that failed leave objects and change no ref */
#define FILES_PAGE 500

static const struct sql REPOS =
    SQL_INIT("SELECT id FROM repo WHERE id > ?1 AND state = 'live' AND kind <> ?2 AND ?3 = 0 "
             "ORDER BY id LIMIT ?4");
static const struct sql MARK_FIND =
    SQL_INIT("SELECT digest, due_at FROM gc_mark WHERE repo_id = ?1");
static const struct sql MARK_PUT =
    SQL_INIT("INSERT INTO gc_mark(repo_id, digest, due_at) VALUES (?1, ?2, ?3) "
             "ON CONFLICT(repo_id) DO UPDATE SET digest = excluded.digest, due_at = "
             "excluded.due_at");
static const struct sql SCAN =
    SQL_INIT("SELECT oid, seen_at, stored FROM object WHERE repo_id = ?1 AND oid > ?2 "
             "ORDER BY oid LIMIT ?3");
static const struct sql PARTS_REMOVE =
    SQL_INIT("DELETE FROM object_part WHERE object_id IN (SELECT id FROM object WHERE repo_id = "
             "?1 AND oid = ?2 AND seen_at < ?3)");
static const struct sql OBJECT_REMOVE =
    SQL_INIT("DELETE FROM object WHERE repo_id = ?1 AND oid = ?2 AND seen_at < ?3");
static const struct sql FILES =
    SQL_INIT("SELECT sha256, CASE WHEN used_at > pushed_at THEN used_at ELSE pushed_at END "
             "FROM repo_file WHERE repo_id = ?1 AND sha256 > ?2 ORDER BY sha256 LIMIT ?3");
static const struct sql FILE_REMOVE =
    SQL_INIT("DELETE FROM repo_file WHERE repo_id = ?1 AND sha256 = ?2 AND pushed_at < ?3 AND "
             "used_at < ?3");

struct old { /* an unmarked object of age */
    oid id;
    uint64_t stored;
};

struct sweep {
    struct gc *g;
    struct mark m;
    int64_t object_limit, file_limit; /* what was seen before goes */
    int64_t due_ms;                   /* when something younger comes of age */
    uint64_t objects, bytes, files;

    /* the batch */
    struct old batch[BATCH_OBJECTS];
    size_t count;
    uint64_t batch_bytes;
    uint64_t removed, removed_bytes; /* by the transaction */
};

static void comes_of_age(struct sweep *w, int64_t at_ms)
{
    if (at_ms < w->due_ms)
        w->due_ms = at_ms;
}

/* --- objects --- */

static err remove_one(struct db *tx, struct sweep *w, const struct old *o)
{
    const struct sql steps[] = {PARTS_REMOVE, OBJECT_REMOVE};
    int64_t changes = 0;

    for (size_t i = 0; i < 2; i++) {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, steps[i]));
        db_bind_i64(q, 1, w->m.repo_id);
        db_bind_hash(q, 2, o->id);
        db_bind_i64(q, 3, w->object_limit);
        TRY(db_run(q));
        changes = db_changes(q);
    }
    w->removed += changes > 0;
    w->removed_bytes += changes > 0 ? o->stored : 0;
    return OK;
}

static err remove_fn(struct db *tx, void *arg)
{
    struct sweep *w = arg;

    w->removed = w->removed_bytes = 0;
    for (size_t i = 0; i < w->count; i++)
        if (!oid_bag_has(&w->m.seen, w->batch[i].id))
            TRY(remove_one(tx, w, &w->batch[i]));
    return OK;
}

static err remove_locked(struct sweep *w)
{
    TRY(mark_refs(&w->m)); /* hardly ever anything */
    TRY(gc_check_hold(w->g));
    return db_write(w->g->store->git, remove_fn, w);
}

static err remove_batch(struct sweep *w)
{
    err e;

    if (w->count == 0)
        return OK;
    TRY(mark_refs(&w->m));
    commit_lock(w->g->store, w->m.repo_id);
    e = remove_locked(w);
    commit_unlock(w->g->store, w->m.repo_id);
    w->count = 0;
    w->batch_bytes = 0;
    TRY(e);
    w->objects += w->removed;
    w->bytes += w->removed_bytes;
    w->g->result->git_objects += w->removed;
    w->g->result->git_bytes += w->removed_bytes;
    return gc_tell(w->g, "git objects removed", w->g->result->git_objects);
}

struct scanned {
    oid id;
    int64_t seen_at;
    uint64_t stored;
};

static err scan(struct sweep *w, oid after, bool is_first, struct scanned *page, size_t *ret_count)
{
    AUTO_STMT struct db_stmt *q = NULL;
    size_t n = 0;

    TRY(db_query(w->g->store->git, &q, SCAN));
    db_bind_i64(q, 1, w->m.repo_id);
    db_bind_blob(q, 2, (str){(const char *)after.b, is_first ? 0 : sizeof after.b});
    db_bind_i64(q, 3, SCAN_PAGE);
    for (; n < SCAN_PAGE && db_next(q); n++) {
        (void)db_hash(q, 0, page[n].id.b, sizeof page[n].id.b);
        page[n].seen_at = db_i64(q, 1);
        page[n].stored = (uint64_t)db_i64(q, 2);
    }
    *ret_count = n;
    return db_error(q);
}

static err meet_object(struct sweep *w, const struct scanned *o)
{
    if (oid_bag_has(&w->m.seen, o->id) || sha1_is_zero(o->id))
        return OK;
    if (o->seen_at >= w->object_limit) {
        comes_of_age(w, o->seen_at + (w->g->now_ms - w->object_limit) + 1);
        return OK;
    }
    if (w->g->options->dry_run) {
        w->g->result->git_objects++;
        w->g->result->git_bytes += o->stored;
        return OK;
    }
    w->batch[w->count++] = (struct old){o->id, o->stored};
    w->batch_bytes += o->stored;
    return w->count == BATCH_OBJECTS || w->batch_bytes >= BATCH_BYTES ? remove_batch(w) : OK;
}

static err sweep_objects(struct sweep *w)
{
    struct scanned *page = arena_many(w->m.a, struct scanned, SCAN_PAGE);
    size_t count = SCAN_PAGE;
    oid last = OID_ZERO;

    for (bool is_first = true; count == SCAN_PAGE; is_first = false) {
        TRY(scan(w, last, is_first, page, &count));
        for (size_t i = 0; i < count; i++)
            TRY(meet_object(w, &page[i]));
        if (count > 0)
            last = page[count - 1].id;
        TRY(gc_tell(w->g, "git objects removed", w->g->result->git_objects));
    }
    return remove_batch(w);
}

/* --- repo_file rows --- */

struct forget {
    struct sweep *w;
    sha256 files[FILES_PAGE];
    size_t count;
    uint64_t removed;
};

static err forget_fn(struct db *tx, void *arg)
{
    struct forget *f = arg;

    f->removed = 0;
    for (size_t i = 0; i < f->count; i++) {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(tx, &q, FILE_REMOVE));
        db_bind_i64(q, 1, f->w->m.repo_id);
        db_bind_hash(q, 2, f->files[i]);
        db_bind_i64(q, 3, f->w->file_limit);
        TRY(db_run(q));
        f->removed += db_changes(q) > 0;
    }
    return repo_set_storage(tx, f->w->m.repo_id);
}

/* Reads a page; those that may go are in f->files then. */
static err files_page(struct sweep *w, struct forget *f, sha256 *last, bool is_first,
                      size_t *ret_count)
{
    AUTO_STMT struct db_stmt *q = NULL;
    size_t n = 0;

    f->count = 0;
    TRY(db_query(w->g->store->hub, &q, FILES));
    db_bind_i64(q, 1, w->m.repo_id);
    db_bind_blob(q, 2, (str){(const char *)last->b, is_first ? 0 : sizeof last->b});
    db_bind_i64(q, 3, FILES_PAGE);
    for (; n < FILES_PAGE && db_next(q); n++) {
        if (!db_hash(q, 0, last->b, sizeof last->b) || mark_has_file(&w->m, *last))
            continue;
        if (db_i64(q, 1) < w->file_limit)
            f->files[f->count++] = *last;
        else
            comes_of_age(w, db_i64(q, 1) + w->g->options->file_grace_ms + 1);
    }
    *ret_count = n;
    return db_error(q);
}

/* The pointers were read after the refs; a commit that brings an old content back renews used_at
 * before its ref moves, and that is what the statement looks at. */
static err sweep_files(struct sweep *w)
{
    struct forget *f = arena_one(w->m.a, struct forget);
    size_t count = FILES_PAGE;
    sha256 last = {{0}};

    TRY(mark_files(&w->m));
    f->w = w;
    for (bool is_first = true; count == FILES_PAGE; is_first = false) {
        TRY(files_page(w, f, &last, is_first, &count));
        f->removed = f->count;
        if (f->count > 0 && !w->g->options->dry_run)
            TRY(db_write(w->g->store->hub, forget_fn, f));
        w->g->result->repo_files += f->count > 0 ? f->removed : 0;
    }
    return OK;
}

/* --- repositories --- */

struct mark_row {
    int64_t repo_id, due_ms;
    sha256 digest;
};

static err mark_put(struct db *tx, void *arg)
{
    const struct mark_row *row = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, MARK_PUT));
    db_bind_i64(q, 1, row->repo_id);
    db_bind_hash(q, 2, row->digest);
    db_bind_i64(q, 3, row->due_ms);
    return db_run(q);
}

/* Is there anything to look for? */
static err is_due(struct gc *g, int64_t repo_id, bool *ret)
{
    AUTO_OIDS struct oid_list tips = {0};
    sha256 now, then = {{0}};
    int64_t due = 0;

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(g->store->hub, &q, MARK_FIND));
        db_bind_i64(q, 1, repo_id);
        if (db_next(q) && db_hash(q, 0, then.b, sizeof then.b))
            due = db_i64(q, 1);
        TRY(db_error(q));
    }
    TRY(refs_read(g->store, repo_id, NULL, &now, &tips));
    *ret = !sha256_eq(now, then) || due <= g->now_ms ||
           g->options->git_grace_ms < GC_GIT_GRACE_MS ||
           g->options->file_grace_ms < GC_FILE_GRACE_MS;
    return OK;
}

static err sweep_repo(struct sweep *w)
{
    struct gc *g = w->g;
    struct mark_row row;

    TRY(mark_refs(&w->m));
    g->result->repos_marked++;
    TRY(sweep_objects(w));
    TRY(sweep_files(w));
    if (g->options->dry_run)
        return OK;
    row = (struct mark_row){w->m.repo_id, w->due_ms, w->m.refs};
    return db_write(g->store->hub, mark_put, &row);
}

static err collect(struct gc *g, struct arena *a, int64_t repo_id)
{
    int64_t grace = g->options->git_grace_ms;
    struct sweep *w = arena_one(a, struct sweep);
    bool due;
    err e;

    TRY(is_due(g, repo_id, &due));
    if (!due)
        return OK;
    grace = grace > SEEN_LATELY_MS ? grace : SEEN_LATELY_MS;
    *w = (struct sweep){
        .g = g,
        .m = {.store = g->store, .a = a, .repo_id = repo_id},
        .object_limit = g->now_ms - grace,
        .file_limit = g->now_ms - g->options->file_grace_ms,
        .due_ms = g->now_ms + LOOK_AGAIN_MS,
    };
    w->m.odb = object_odb(g->store, a, repo_id);
    e = sweep_repo(w);
    mark_free(&w->m);
    return e;
}

static bool is_damage(err e)
{
    return e->code &&
           (strcmp(e->code, "ObjectMissing") == 0 || strcmp(e->code, "ObjectDamaged") == 0);
}

err gc_git(struct gc *g)
{
    struct gc_ids page = {.count = GC_PAGE};
    int64_t last = 0;

    while (page.count == GC_PAGE) {
        TRY(gc_page(g->store->hub, REPOS, last, REPO_BUCKET, 0, &page));
        for (size_t i = 0; i < page.count; i++) {
            struct arena *a = arena_new(0);
            err e = collect(g, a, page.ids[i]);

            if (e && e != &gc_held && e != &gc_stopped)
                e = err_copy(g->a, e);
            arena_free(a);
            if (e && is_damage(e)) {
                g->result->repos_skipped++;
                e = OK;
            }
            TRY(e);
            TRY(gc_tell(g, "repositories marked", g->result->repos_marked));
            last = page.ids[i];
        }
    }
    return OK;
}
