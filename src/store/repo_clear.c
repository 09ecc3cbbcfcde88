/* repo_clear.c — removing what a deleted repository left, a piece per call.
 *
 * Order: its git objects, the files of a bucket, then its rows, its own row last; a crash in
 * between goes on where it stopped.  Contents that no repository has any more are collected by gc.
 */
#include "store/gc.h"
#include "store/object.h"
#include "store/repo.h"

#define CLEAR_OBJECTS 2000 /* per transaction */
#define CLEAR_FILES 5000   /* rows of a bucket per transaction */

static err next_dead(struct db *db, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    /* the first condition is the index's; a state that is neither word is damage, not a deletion */
    TRY(db_query(db, &q,
                 SQL("SELECT id FROM repo WHERE state <> 'live' AND state = 'deleted' LIMIT 1")));
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

static err run_id(struct db *tx, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, id);
    return db_run(q);
}

static err clear_fn(struct db *tx, void *arg)
{
    static const struct sql steps[] = {
        SQL_INIT("DELETE FROM branch_file WHERE ref_id IN (SELECT id FROM ref WHERE repo_id = ?1)"),
        SQL_INIT("DELETE FROM ref WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM repo_file WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM repo_alias WHERE repo_id = ?1"),
        SQL_INIT("UPDATE tag_count SET repos = repos - 1 WHERE (kind, tag) IN "
                 "(SELECT kind, tag FROM repo_tag WHERE repo_id = ?1)"),
        SQL_INIT("DELETE FROM repo_tag WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM commit_seen WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM discussion WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM lfs_lock WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM repo_like WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM upload_part WHERE upload_id IN (SELECT id FROM upload WHERE repo_id "
                 "= ?1)"),
        SQL_INIT("UPDATE upload SET expires_at = 0 WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM file_hold WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM gc_mark WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM bucket WHERE repo_id = ?1"),
        SQL_INIT("DELETE FROM repo WHERE id = ?1 AND state <> 'live'"),
    };
    int64_t id = *(int64_t *)arg;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        TRY(run_id(tx, steps[i], id));
    return OK;
}

/* --- the files of a bucket, a piece at a time --- */

struct piece {
    int64_t id;
    bool more;
};

static err delete_some(struct db *tx, struct sql sql, struct piece *p)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, p->id);
    db_bind_i64(q, 2, CLEAR_FILES);
    TRY(db_run(q));
    p->more = p->more || db_changes(q) >= CLEAR_FILES;
    return OK;
}

static err clear_files_fn(struct db *tx, void *arg)
{
    struct piece *p = arg;

    p->more = false;
    TRY(delete_some(tx,
                    SQL("DELETE FROM bucket_file WHERE repo_id = ?1 AND path IN (SELECT path FROM "
                        "bucket_file WHERE repo_id = ?1 ORDER BY path LIMIT ?2)"),
                    p));
    return delete_some(tx,
                       SQL("DELETE FROM bucket_dir WHERE repo_id = ?1 AND (parent, name) IN "
                           "(SELECT parent, name FROM bucket_dir WHERE repo_id = ?1 "
                           "ORDER BY parent, name LIMIT ?2)"),
                       p);
}

err repo_clear_next(struct store *s, struct arena *a, bool *ret_more)
{
    struct piece files = {0};
    bool objects_left, held;
    int64_t id;

    (void)a;
    TRY(next_dead(s->hub, &id));
    *ret_more = id != 0;
    if (id == 0)
        return OK;
    TRY(gc_is_held(s->hub, &held)); /* a backup that began before the deletion needs it all */
    if (held) {
        *ret_more = false;
        return OK;
    }
    TRY(object_clear(s, id, CLEAR_OBJECTS, &objects_left));
    if (objects_left)
        return OK;
    files.id = id;
    TRY(db_write(s->hub, clear_files_fn, &files));
    return files.more ? OK : db_write(s->hub, clear_fn, &id);
}
