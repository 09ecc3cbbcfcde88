/* check_bucket.c — buckets: files against contents, folders and counts against files.
 *
 * What folders and counts say follows from bucket_file, so all of it is written anew when some of
 * it is wrong.
 */
#include "store/bucket_dirs.h"
#include "store/check_private.h"

#define PAGE 100
#define FILES 1000 /* paths read at a time when folders are written anew */
#define FOUND_MAX 1000

static const struct sql NEXT =
    SQL_INIT("SELECT id FROM repo WHERE kind = 3 AND state = 'live' AND id > ?1 ORDER BY id LIMIT "
             "?2");
static const struct sql HOMELESS =
    SQL_INIT("SELECT count(*) FROM bucket WHERE NOT EXISTS(SELECT 1 FROM repo WHERE id = repo_id)");
static const struct sql HOMELESS_REMOVE =
    SQL_INIT("DELETE FROM bucket WHERE NOT EXISTS(SELECT 1 FROM repo WHERE id = repo_id)");
static const struct sql COUNTS_WRONG = SQL_INIT(
    "SELECT (SELECT count(*) FROM bucket WHERE repo_id = repo.id AND file_count = (SELECT "
    "count(*) FROM bucket_file WHERE repo_id = repo.id)) <> 1 OR used_storage <> (SELECT "
    "coalesce(sum(size), 0) FROM bucket_file WHERE repo_id = repo.id) FROM repo WHERE id = "
    "?1 AND state = 'live'");

/* Path of a folder with the slash at its end, and what sorts behind everything below it. */
#define DIR_PATH                                                                                   \
    "CAST(CASE WHEN length(parent) = 0 THEN name ELSE parent || '/' || name END AS BLOB)"
#define DIRS                                                                                       \
    "(SELECT file_count, size, " DIR_PATH " AS lo, CAST(substr(" DIR_PATH ", 1, length(" DIR_PATH  \
    ") - 1) || '0' AS BLOB) AS hi FROM bucket_dir WHERE repo_id = ?1) AS d"
/* A folder whose sums are not those of the files below it. */
static const struct sql SUMS_WRONG =
    SQL_INIT("SELECT count(*) FROM " DIRS " WHERE (file_count, size) <> (SELECT count(*), "
             "coalesce(sum(f.size), 0) FROM bucket_file AS f WHERE f.repo_id = ?1 AND f.path >= "
             "d.lo AND f.path < d.hi)");
/* A folder that counts more than its files and its folders: one of these has no row. */
static const struct sql DIRS_MISSING =
    SQL_INIT("SELECT count(*) FROM (SELECT file_count, lo, hi FROM " DIRS
             " UNION ALL SELECT (SELECT count(*) FROM bucket_file WHERE repo_id = ?1), x'', x'ff') "
             "AS d WHERE file_count <> (SELECT coalesce(sum(c.file_count), 0) FROM bucket_dir AS c "
             "WHERE c.repo_id = ?1 AND c.parent = coalesce(substr(d.lo, 1, length(d.lo) - 1), "
             "x'')) + (SELECT count(*) FROM bucket_file AS f WHERE f.repo_id = ?1 AND f.path >= "
             "d.lo AND f.path < d.hi AND instr(substr(f.path, length(d.lo) + 1), x'2f') = 0)");
static const struct sql FILES_WRONG = SQL_INIT(
    "SELECT path, CASE WHEN file_id <> 0 AND file.id IS NULL THEN 'its content is gone; upload it "
    "again' WHEN bucket_file.seq > bucket.seq THEN 'it was changed later than its bucket' ELSE "
    "'its size is not that of its content; upload it again' END FROM bucket_file LEFT JOIN file ON "
    "file.id = file_id LEFT JOIN bucket ON bucket.repo_id = bucket_file.repo_id WHERE "
    "bucket_file.repo_id = ?1 AND (bucket_file.size <> coalesce(file.size, -(file_id <> 0)) OR "
    "bucket_file.seq > bucket.seq)");

static err number(struct check *c, struct sql sql, int64_t id, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    TRY(db_query(c->store->hub, &q, sql));
    db_bind_i64(q, 1, id);
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

/* --- writing folders and counts anew --- */

struct rebuild {
    int64_t repo_id;
    struct bucket_dirs *dirs;
    str *paths;
    int64_t *sizes;
    struct arena *a;
};

static err read_paths(struct db *tx, struct rebuild *x, str after, size_t *ret)
{
    size_t count = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("SELECT path, size FROM bucket_file WHERE repo_id = ?1 AND path > ?2 ORDER BY "
                     "path LIMIT ?3")));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_blob(q, 2, after);
    db_bind_i64(q, 3, FILES);
    while (count < FILES && db_next(q)) {
        x->paths[count] = db_blob(q, 0, x->a);
        x->sizes[count++] = db_i64(q, 1);
    }
    *ret = count;
    return db_error(q);
}

static err rebuild_dirs(struct db *tx, struct rebuild *x)
{
    static const struct err_info odd = {500, NULL, STR_INIT("A path is damaged."), NULL, {0}};
    str after = STR("");
    size_t count;

    *x->dirs = (struct bucket_dirs){.tx = tx, .repo_id = x->repo_id};
    do {
        struct arena_mark m = arena_mark(x->a);

        TRY(read_paths(tx, x, after, &count));
        for (size_t i = 0; i < count; i++) {
            if (bucket_path_wrong(x->paths[i]))
                return &odd;
            TRY(bucket_dirs_note(x->dirs, x->paths[i], 1, x->sizes[i], true));
        }
        if (count == FILES) {
            char last[BUCKET_PATH_MAX];
            size_t len = x->paths[count - 1].len;

            for (size_t i = 0; i < len; i++)
                last[i] = x->paths[count - 1].ptr[i];
            arena_rewind(x->a, m);
            after = arena_str(x->a, (str){last, len});
        }
    } while (count == FILES);
    return bucket_dirs_end(x->dirs);
}

static err rebuild_fn(struct db *tx, void *arg)
{
    struct rebuild *x = arg;

    TRY(check_run_id(tx, SQL("DELETE FROM bucket_dir WHERE repo_id = ?1"), x->repo_id));
    TRY(rebuild_dirs(tx, x));
    TRY(check_run_id(tx,
                     SQL("UPDATE bucket_dir SET uploaded_at = (SELECT max(f.uploaded_at) FROM "
                         "bucket_file AS f WHERE f.repo_id = ?1 AND f.path >= " DIR_PATH
                         " AND f.path < CAST(substr(" DIR_PATH ", 1, length(" DIR_PATH
                         ") - 1) || '0' AS BLOB)) WHERE repo_id = ?1"),
                     x->repo_id));
    TRY(check_run_id(tx,
                     SQL("INSERT INTO bucket(repo_id, file_count, seq) SELECT ?1, (SELECT count(*) "
                         "FROM bucket_file WHERE repo_id = ?1), (SELECT coalesce(max(seq), 0) FROM "
                         "bucket_file WHERE repo_id = ?1) WHERE 1 = 1 ON CONFLICT(repo_id) DO "
                         "UPDATE SET file_count = excluded.file_count"),
                     x->repo_id));
    return check_run_id(tx,
                        SQL("UPDATE repo SET used_storage = (SELECT coalesce(sum(size), 0) FROM "
                            "bucket_file WHERE repo_id = ?1) WHERE id = ?1"),
                        x->repo_id);
}

static enum check_state rebuild(struct check *c, int64_t repo_id)
{
    struct rebuild x = {.repo_id = repo_id,
                        .dirs = arena_one(c->a, struct bucket_dirs),
                        .paths = arena_many(c->a, str, FILES),
                        .sizes = arena_many(c->a, int64_t, FILES),
                        .a = c->a};

    return c->rows_doubtful ? CHECK_REPAIRABLE : check_fix(c, rebuild_fn, &x);
}

/* --- looking --- */

struct bad_file {
    str path, why;
};

static err check_contents(struct check *c, int64_t repo_id)
{
    struct bad_file *bad = arena_many(c->a, struct bad_file, FOUND_MAX);
    size_t count = 0;
    str repo;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(c->store->hub, &q, FILES_WRONG));
        db_bind_i64(q, 1, repo_id);
        while (count < FOUND_MAX && db_next(q))
            bad[count++] = (struct bad_file){db_blob(q, 0, c->a), db_str(q, 1, c->a)};
        TRY(db_error(q));
    }
    repo = check_repo_name(c, repo_id);
    for (size_t i = 0; i < count; i++) {
        check_found(c, CHECK_DAMAGED, "bucket file", arena_cat(c->a, repo, STR(": "), bad[i].path),
                    "%.*s", STR_FMT(bad[i].why));
        check_touch(c, repo, STR_NONE, bad[i].path);
    }
    return OK;
}

static err check_one(struct check *c, int64_t repo_id)
{
    const struct sql rules[] = {COUNTS_WRONG, SUMS_WRONG, DIRS_MISSING};
    int64_t wrong = 0;

    TRY(check_contents(c, repo_id));
    for (size_t i = 0; wrong == 0 && i < sizeof rules / sizeof *rules; i++)
        TRY(number(c, rules[i], repo_id, &wrong));
    if (wrong)
        check_found(c, rebuild(c, repo_id), "bucket", check_repo_name(c, repo_id),
                    "its counts or folders are not those of its files");
    return OK;
}

static err remove_fn(struct db *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, HOMELESS_REMOVE);
}

err check_buckets(struct check *c)
{
    struct id_list page;
    int64_t after = INT64_MIN, homeless;

    TRY(check_count(c->store->hub, HOMELESS, &homeless));
    if (homeless)
        check_found(c, c->rows_doubtful ? CHECK_REPAIRABLE : check_fix(c, remove_fn, NULL),
                    "bucket", arena_printf(c->a, "%lld rows", (long long)homeless),
                    "the repository they belong to is gone");
    do {
        struct arena_mark m = arena_mark(c->a);

        TRY(check_page(c, c->store->hub, NEXT, after, PAGE, &page));
        for (size_t i = 0; i < page.count; i++) {
            TRY(check_one(c, page.ids[i]));
            after = page.ids[i];
        }
        arena_rewind(c->a, m);
    } while (page.count == PAGE);
    return OK;
}
