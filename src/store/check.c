/* check.c — see check.h: the order of steps, and telling what was found. */
#include "base/clock.h"
#include "store/check_private.h"
#include <string.h>
#include <unistd.h>

#define SETTLES_MAX 40 /* per step */
#define PLACES_MAX 200 /* repositories named per content */

/* --- telling --- */

void check_found(struct check *c, enum check_state state, const char *what, str name,
                 const char *fmt, ...)
{
    struct check_finding f = {.state = state, .what = what, .name = name};
    va_list ap;

    va_start(ap, fmt);
    f.why = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    c->touched = 0;
    if (state == CHECK_REPAIRABLE)
        c->result.repairable++;
    else if (state == CHECK_REPAIRED)
        c->result.repaired++;
    else
        c->result.damaged++;
    if (c->watch.found)
        c->watch.found(c->watch.arg, &f);
}

enum check_state check_fix(struct check *c, db_fn fix, void *arg)
{
    if (!c->options.repair)
        return CHECK_REPAIRABLE;
    return db_write(c->store->hub, fix, arg) ? CHECK_REPAIRABLE : CHECK_REPAIRED;
}

void check_touch(struct check *c, str repo, str revision, str path)
{
    struct check_place p = {repo, revision, path};

    if (c->touched++ < CHECK_TOUCHES_MAX && c->watch.touches)
        c->watch.touches(c->watch.arg, &p);
}

void check_progress(struct check *c, const char *step, uint64_t done)
{
    if (c->watch.progress)
        c->watch.progress(c->watch.arg, step, done);
}

/* Where much is damaged, not everything is waited for. */
void check_settle(struct check *c)
{
    if (c->options.settle_ms > 0 && c->settles++ < SETTLES_MAX)
        usleep((useconds_t)c->options.settle_ms * 1000);
}

/* --- queries --- */

err check_page(struct check *c, struct db *db, struct sql sql, int64_t after, int64_t limit,
               struct id_list *ret)
{
    struct id_list list = {arena_many(c->a, int64_t, (size_t)limit), 0};
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, after);
    db_bind_i64(q, 2, limit);
    while (list.count < (size_t)limit && db_next(q))
        list.ids[list.count++] = db_i64(q, 0);
    TRY(db_error(q));
    *ret = list;
    return OK;
}

err check_run_id(struct db *tx, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, id);
    return db_run(q);
}

err check_count(struct db *db, struct sql sql, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    TRY(db_query(db, &q, sql));
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

str check_repo_name(struct check *c, int64_t repo_id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    if (!db_query(c->store->hub, &q, SQL("SELECT kind, full_name FROM repo WHERE id = ?1"))) {
        db_bind_i64(q, 1, repo_id);
        if (db_next(q) && db_i64(q, 0) >= 0 && db_i64(q, 0) < REPO_KINDS)
            return arena_cat(c->a, repo_kind_plural((enum repo_kind)db_i64(q, 0)), STR("/"),
                             db_view(q, 1));
    }
    return arena_printf(c->a, "repository %lld", (long long)repo_id);
}

/* --- which files does it touch? --- */

struct place {
    int64_t repo_id;
    str revision, path;
    sha256 sha256;
};

static err places_of(struct check *c, struct sql sql, int64_t id, struct place *ret,
                     size_t *ret_count)
{
    size_t count = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(c->store->hub, &q, sql));
    db_bind_i64(q, 1, id);
    while (count < PLACES_MAX && db_next(q)) {
        struct place *p = &ret[count++];

        p->repo_id = db_i64(q, 0);
        p->path = db_blob(q, 1, c->a);
        db_hash(q, 2, p->sha256.b, sizeof p->sha256.b);
    }
    *ret_count = count;
    return db_error(q);
}

/* Where a large file stands on branches; false: on none. */
static err on_branches(struct check *c, const struct place *p, bool *ret)
{
    struct place *at = arena_many(c->a, struct place, PLACES_MAX);
    size_t count = 0;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(c->store->hub, &q,
                     SQL("SELECT name, key FROM branch_file JOIN ref ON ref.id = ref_id "
                         "WHERE branch_file.sha256 = ?2 AND repo_id = ?1")));
        db_bind_i64(q, 1, p->repo_id);
        db_bind_hash(q, 2, p->sha256);
        while (count < PLACES_MAX && db_next(q)) {
            at[count].revision = db_str(q, 0, c->a);
            at[count++].path = db_blob(q, 1, c->a);
        }
        TRY(db_error(q));
    }
    for (size_t i = 0; i < count; i++) {
        str_skip(&at[i].revision, STR("refs/heads/"));
        check_touch(c, check_repo_name(c, p->repo_id), at[i].revision, at[i].path);
    }
    *ret = count > 0;
    return OK;
}

static err touch_file(struct check *c, int64_t file_id)
{
    struct place *at = arena_many(c->a, struct place, PLACES_MAX);
    size_t count = 0;
    bool found;

    TRY(places_of(c, SQL("SELECT repo_id, path, sha256 FROM repo_file WHERE file_id = ?1"), file_id,
                  at, &count));
    for (size_t i = 0; i < count; i++) {
        TRY(on_branches(c, &at[i], &found));
        if (!found)
            check_touch(c, check_repo_name(c, at[i].repo_id), STR_NONE, at[i].path);
    }
    TRY(places_of(c, SQL("SELECT repo_id, path, NULL FROM bucket_file WHERE file_id = ?1"), file_id,
                  at, &count));
    for (size_t i = 0; i < count; i++)
        check_touch(c, check_repo_name(c, at[i].repo_id), STR_NONE, at[i].path);
    return OK;
}

/* Names are a service: an error while looking for them is told where it belongs. */
void check_touch_file(struct check *c, int64_t file_id)
{
    if (touch_file(c, file_id))
        return;
}

void check_touch_xorb(struct check *c, int64_t xorb_id)
{
    struct id_list files;
    int64_t after = 0;

    do {
        AUTO_STMT struct db_stmt *q = NULL;

        files = (struct id_list){arena_many(c->a, int64_t, 100), 0};
        if (db_query(c->store->hub, &q,
                     SQL("SELECT file_id FROM file_xorb WHERE xorb_id = ?1 AND file_id > ?2 "
                         "ORDER BY file_id LIMIT 100")))
            return;
        db_bind_i64(q, 1, xorb_id);
        db_bind_i64(q, 2, after);
        while (files.count < 100 && db_next(q))
            files.ids[files.count++] = db_i64(q, 0);
        db_stmt_close(&q);
        for (size_t i = 0; i < files.count; i++)
            check_touch_file(c, after = files.ids[i]);
    } while (files.count == 100 && c->touched < CHECK_TOUCHES_MAX);
}

static err touch_object(struct check *c, int64_t repo_id, oid id, bool *ret_found)
{
    struct place *at = arena_many(c->a, struct place, PLACES_MAX);
    size_t count = 0;
    str repo = check_repo_name(c, repo_id);
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(c->store->hub, &q,
                 SQL("SELECT name, key FROM ref JOIN branch_file ON ref_id = ref.id "
                     "WHERE repo_id = ?1 AND branch_file.oid = ?2")));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, id);
    while (count < PLACES_MAX && db_next(q)) {
        at[count].revision = db_str(q, 0, c->a);
        at[count++].path = db_blob(q, 1, c->a);
    }
    TRY(db_error(q));
    for (size_t i = 0; i < count; i++) {
        str_skip(&at[i].revision, STR("refs/heads/"));
        check_touch(c, repo, at[i].revision, at[i].path);
    }
    *ret_found = count > 0;
    return OK;
}

void check_touch_object(struct check *c, int64_t repo_id, oid id, str known_path)
{
    bool found = false;

    if (touch_object(c, repo_id, id, &found) || !found)
        check_touch(c, check_repo_name(c, repo_id), STR_NONE, known_path);
}

/* --- all of it --- */

struct step {
    const char *name;
    err (*run)(struct check *c);
    bool reads_contents;
};

/* Structure first: what follows believes in it.  Xorbs before files, because a damaged one
 * explains what is wrong with its files; orphans after everything that may doubt rows. */
static const struct step steps[] = {
    {"databases", check_databases, false}, {"rows", check_rows, false},
    {"buckets", check_buckets, false},     {"search index", check_search, false},
    {"git objects", check_objects, true},  {"branches", check_refs, false},
    {"xorbs", check_xorbs, false},         {"shards", check_shards, false},
    {"files", check_files, false},         {"blobs and uploads", check_orphans, false},
};

static void run_step(struct check *c, const struct step *s)
{
    struct arena_mark m = arena_mark(c->a);
    err e;

    c->settles = 0;
    check_progress(c, s->name, 0);
    e = s->run(c);
    if (e) {
        str words = e->detail.len ? e->detail : e->text;

        c->rows_doubtful = true;
        check_found(c, CHECK_DAMAGED, "check", str_c(s->name), "broke off: %.*s", STR_FMT(words));
    }
    arena_rewind(c->a, m);
}

err check_run(struct store *s, struct arena *a, const struct check_options *o,
              const struct check_watch *w, struct check_result *ret)
{
    struct check c = {.store = s, .a = arena_new(0), .options = *o};

    (void)a;
    if (w)
        c.watch = *w;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (!steps[i].reads_contents || !o->fast)
            run_step(&c, &steps[i]);
    check_indexes_free(&c);
    arena_free(c.a);
    *ret = c.result;
    return OK;
}
