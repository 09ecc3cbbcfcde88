/* ref_move.c — see ref_move.h. */
#include "store/ref_move.h"
#include "base/clock.h"
#include "git/lfs_pointer.h"
#include "git/object.h"
#include "git/refname.h"
#include "git/tree_diff.h"
#include "git/walk.h"
#include "store/file.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct sql REF_SET = SQL_INIT("UPDATE ref SET oid = ?3, peeled = ?4, updated_at = ?5 "
                                           "WHERE repo_id = ?1 AND name = ?2 AND oid = ?6 "
                                           "RETURNING id");
static const struct sql REF_ADD =
    SQL_INIT("INSERT INTO ref(repo_id, name, oid, peeled, updated_at) VALUES (?1, ?2, ?3, ?4, ?5) "
             "ON CONFLICT(repo_id, name) DO NOTHING RETURNING id");
static const struct sql REF_REMOVE =
    SQL_INIT("DELETE FROM ref WHERE repo_id = ?1 AND name = ?2 AND oid = ?3 RETURNING id");
static const struct sql FILES_CLEAR = SQL_INIT("DELETE FROM branch_file WHERE ref_id = ?1");
static const struct sql FILES_COPY =
    SQL_INIT("INSERT INTO branch_file(ref_id, key, parent, mode, oid, size, sha256, pointer_size, "
             "last_commit) "
             "SELECT ?1, key, parent, mode, oid, size, sha256, pointer_size, last_commit FROM "
             "branch_file WHERE ref_id = "
             "(SELECT id FROM ref WHERE id = ?2 AND peeled = ?3)");
static const struct sql FILE_REMOVE =
    SQL_INIT("DELETE FROM branch_file WHERE ref_id = ?1 AND key = ?2");
static const struct sql FILE_SET = SQL_INIT(
    "INSERT INTO branch_file(ref_id, key, parent, mode, oid, size, sha256, pointer_size, "
    "last_commit) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(ref_id, key) DO UPDATE SET "
    "mode = excluded.mode, oid = excluded.oid, size = excluded.size, sha256 = excluded.sha256, "
    "pointer_size = excluded.pointer_size, last_commit = excluded.last_commit");
static const struct sql HEAD_SET =
    SQL_INIT("UPDATE repo SET head = ?2, updated_at = ?3, pristine = 0 WHERE id = ?1");

#define HISTORY_MAX 100000 /* commits looked at to say which one last changed a path */

err (*commit_facts)(struct store *s, struct arena *a, const struct repo *r, struct odb *odb,
                    oid head, struct repo_facts *ret);

struct row { /* one changed row of branch_file */
    struct row *next;
    str path;
    bool is_removal;
    unsigned mode;
    oid id;
    uint64_t size, pointer_size;
    bool is_lfs;
    sha256 lfs;
    oid last_commit;
};

struct ref_move {
    const struct repo *repo;
    struct ref_change change;
    struct arena *a;
    oid peeled;
    int64_t updated_at_ms; /* what lists sort by: the commit's time */
    bool is_branch, is_main;
    bool rebuild;        /* clear branch_file first: another line of history */
    int64_t copy_ref_id; /* > 0: the files of this branch, whose head is `copy_head` */
    oid copy_head;
    struct row *rows, **tail;
    bool has_facts;
    struct repo_facts facts;
};

/* --- preparing --- */

/* Path → the last commit that changed it, while the commits go by oldest first. */
struct last {
    struct arena *a;
    struct last_slot {
        str path;
        oid commit;
    } * slots;
    size_t cap, count;
    oid now;
};

static struct last_slot *last_slot(struct last *l, str path)
{
    size_t i = str_hash(path) & (l->cap - 1);

    while (l->slots[i].path.ptr && !str_eq(l->slots[i].path, path))
        i = (i + 1) & (l->cap - 1);
    return &l->slots[i];
}

static void last_grow(struct last *l)
{
    struct last old = *l;

    l->cap = old.cap ? old.cap * 2 : 256;
    l->slots = arena_many(l->a, struct last_slot, l->cap);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].path.ptr)
            *last_slot(l, old.slots[i].path) = old.slots[i];
}

static err note_change(void *ctx, const struct tree_change *c)
{
    struct last *l = ctx;
    struct last_slot *s;

    if (l->count * 2 >= l->cap)
        last_grow(l);
    s = last_slot(l, c->path);
    if (!s->path.ptr) {
        s->path = arena_str(l->a, c->path);
        l->count++;
    }
    s->commit = l->now;
    return OK;
}

static err tree_of(struct odb *o, struct arena *a, oid commit, oid *ret)
{
    struct commit_obj c;

    *ret = OID_ZERO;
    if (sha1_is_zero(commit))
        return OK;
    TRY(commit_read(o, a, commit, &c));
    *ret = c.tree;
    return OK;
}

/* Which commit of `line` (oldest first) last changed each path. */
static err attribute(struct odb *o, struct arena *scratch, const struct oid_list *line,
                     struct last *l)
{
    size_t from = line->count > HISTORY_MAX ? line->count - HISTORY_MAX : 0;

    for (size_t i = from; i < line->count; i++) {
        struct commit_obj c;
        oid before = OID_ZERO;

        arena_reset(scratch);
        TRY(commit_read(o, scratch, line->ids[i], &c));
        if (c.parent_count > 0)
            TRY(tree_of(o, scratch, c.parents[0], &before));
        l->now = line->ids[i];
        TRY(tree_diff(o, scratch, before, c.tree, note_change, l));
    }
    return OK;
}

struct rows_args {
    struct ref_move *m;
    struct odb *o;
    struct last *last; /* cap 0: one commit, the new tip */
};

static err row_size(struct odb *o, struct arena *a, struct row *r)
{
    enum obj_type type;
    struct lfs_pointer p;
    bool found;
    str data;

    if (!mode_is_blob(r->mode))
        return OK;
    TRY(odb_header(o, a, r->id, &type, &r->size, &found));
    if (!found)
        return obj_missing(a, r->id);
    if (r->size > LFS_POINTER_MAX || (r->mode & 0170000) == MODE_LINK)
        return OK;
    TRY(odb_read(o, a, r->id, OBJ_BLOB, &data));
    if (lfs_pointer_parse(data, &p)) {
        r->is_lfs = true;
        r->lfs = p.oid;
        r->pointer_size = r->size;
        r->size = p.size;
    }
    return OK;
}

static err add_row(void *ctx, const struct tree_change *c)
{
    struct rows_args *x = ctx;
    struct ref_move *m = x->m;
    struct row *r = arena_one(m->a, struct row);
    struct last_slot *l;

    r->is_removal = c->kind == CHANGE_REMOVED;
    r->mode = r->is_removal ? c->old_mode : c->new_mode;
    r->id = c->new_id;
    r->path = arena_str(m->a, c->path);
    r->last_commit = m->peeled;
    if (x->last->cap) {
        l = last_slot(x->last, r->path);
        if (l->path.ptr)
            r->last_commit = l->commit;
    }
    *m->tail = r;
    m->tail = &r->next;
    return r->is_removal ? OK : row_size(x->o, m->a, r);
}

/* The rows between the old tip's tree and the new one's. */
static err prepare_files(struct ref_move *m, struct odb *o, struct arena *scratch, oid old)
{
    struct last last = {.a = m->a};
    struct rows_args x = {m, o, &last};
    AUTO_OIDS struct oid_list line = {0};
    bool met = true;
    oid before, after;

    TRY(history_line(o, scratch, old, m->peeled, &line, &met));
    m->rebuild = !met && !sha1_is_zero(old);
    if (!met)
        old = OID_ZERO;
    TRY(tree_of(o, m->a, old, &before));
    TRY(tree_of(o, m->a, m->peeled, &after));
    if (line.count > 1)
        TRY(attribute(o, scratch, &line, &last));
    arena_reset(scratch);
    return tree_diff(o, scratch, before, after, add_row, &x);
}

static err find_copy(struct store *s, struct ref_move *m)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(
        s->hub, &q,
        SQL("SELECT id FROM ref WHERE repo_id = ?1 AND peeled = ?2 AND name >= 'refs/heads/' "
            "AND name < 'refs/heads0' AND name <> ?3 LIMIT 1")));
    db_bind_i64(q, 1, m->repo->id);
    db_bind_hash(q, 2, m->peeled);
    db_bind_str(q, 3, m->change.name);
    if (db_next(q)) {
        m->copy_ref_id = db_i64(q, 0);
        m->copy_head = m->peeled;
    }
    return db_error(q);
}

static err peel(struct odb *o, struct arena *a, oid id, struct ref_move *m)
{
    enum obj_type type;
    struct commit_obj c;
    bool found;

    TRY(object_peel(o, a, id, &m->peeled, &type, &found));
    if (!found || type != OBJ_COMMIT)
        return err_new(a, 404, "RevisionNotFound", "%.*s does not point at a commit.",
                       STR_FMT(m->change.name));
    TRY(commit_read(o, a, m->peeled, &c));
    m->updated_at_ms = c.committer.time_s * 1000;
    if (llabs(clock_ms() - m->updated_at_ms) < 2000)
        m->updated_at_ms = clock_ms(); /* made just now: git's seconds would tie in sorted lists */
    return OK;
}

err ref_move_prepare(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                     const struct ref_change *change, struct ref_move **ret)
{
    struct ref_move *m = arena_one(a, struct ref_move);

    *m = (struct ref_move){.repo = r, .change = *change, .a = a};
    m->tail = &m->rows;
    m->is_branch = str_starts(change->name, STR("refs/heads/"));
    m->is_main = str_eq(change->name, STR("refs/heads/main"));
    if (!refname_valid(change->name))
        return err_new(a, 400, NULL, "\"%.*s\" is no valid name for a branch or tag.",
                       STR_FMT(str_first(change->name, 200)));
    *ret = m;
    if (sha1_is_zero(change->new_oid))
        return OK;
    TRY(peel(o, a, change->new_oid, m));
    if (m->is_branch && sha1_is_zero(change->old_oid))
        TRY(find_copy(s, m));
    if (m->is_branch && !m->copy_ref_id) {
        struct arena *scratch = arena_new(0);
        err e = err_copy(a, prepare_files(m, o, scratch, change->old_oid));

        arena_free(scratch);
        TRY(e);
    }
    if (m->is_main && commit_facts) {
        TRY(commit_facts(s, a, r, o, m->peeled, &m->facts));
        m->has_facts = true;
    }
    return OK;
}

/* --- in the transaction --- */

/* Compare-and-swap.  *ret_id 0: the ref was not where it should be. */
static err swap_ref(struct db *tx, struct ref_move *m, int64_t *ret_id)
{
    bool is_new = sha1_is_zero(m->change.old_oid), is_gone = sha1_is_zero(m->change.new_oid);
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, is_gone ? REF_REMOVE : is_new ? REF_ADD : REF_SET));
    db_bind_i64(q, 1, m->repo->id);
    db_bind_str(q, 2, m->change.name);
    if (is_gone) {
        db_bind_hash(q, 3, m->change.old_oid);
    } else {
        db_bind_hash(q, 3, m->change.new_oid);
        db_bind_hash(q, 4, m->peeled);
        db_bind_i64(q, 5, clock_ms());
        if (!is_new)
            db_bind_hash(q, 6, m->change.old_oid);
    }
    *ret_id = db_next(q) ? db_i64(q, 0) : 0;
    return db_run(q);
}

static err clear_files(struct db *tx, int64_t ref_id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, FILES_CLEAR));
    db_bind_i64(q, 1, ref_id);
    return db_run(q);
}

static str row_key(const struct ref_move *m, const struct row *r)
{
    return mode_is_dir(r->mode) ? arena_cat(m->a, r->path, STR("/")) : r->path;
}

static err remove_row(struct db *tx, struct ref_move *m, int64_t ref_id, const struct row *r)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, FILE_REMOVE));
    db_bind_i64(q, 1, ref_id);
    db_bind_blob(q, 2, row_key(m, r));
    return db_run(q);
}

static err set_row(struct db *tx, struct ref_move *m, int64_t ref_id, const struct row *r)
{
    ptrdiff_t slash = str_rfind(r->path, '/');
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, FILE_SET));
    db_bind_i64(q, 1, ref_id);
    db_bind_blob(q, 2, row_key(m, r));
    db_bind_blob(q, 3, slash < 0 ? STR("") : str_first(r->path, (size_t)slash));
    db_bind_i64(q, 4, r->mode);
    db_bind_hash(q, 5, r->id);
    db_bind_i64(q, 6, (int64_t)r->size);
    if (r->is_lfs) {
        db_bind_hash(q, 7, r->lfs);
        db_bind_i64(q, 8, (int64_t)r->pointer_size);
    }
    db_bind_hash(q, 9, r->last_commit);
    return db_run(q);
}

static err still_at(struct db *tx, const struct ref_move *m, bool *ret_moved)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("SELECT 1 FROM ref WHERE id = ?1 AND peeled = ?2")));
    db_bind_i64(q, 1, m->copy_ref_id);
    db_bind_hash(q, 2, m->copy_head);
    *ret_moved = !db_next(q);
    return db_error(q);
}

static err copy_files(struct db *tx, struct ref_move *m, int64_t ref_id, bool *ret_moved)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, FILES_COPY));
    db_bind_i64(q, 1, ref_id);
    db_bind_i64(q, 2, m->copy_ref_id);
    db_bind_hash(q, 3, m->copy_head);
    TRY(db_run(q));
    *ret_moved = false;
    if (db_changes(q) > 0)
        return OK;
    db_stmt_close(&q);
    return still_at(tx, m, ret_moved); /* it moved away, or has no files */
}

static err apply_files(struct db *tx, struct ref_move *m, int64_t ref_id, bool *ret_moved)
{
    if (m->rebuild || sha1_is_zero(m->change.new_oid))
        TRY(clear_files(tx, ref_id));
    if (m->copy_ref_id)
        return copy_files(tx, m, ref_id, ret_moved);
    for (struct row *r = m->rows; r; r = r->next) {
        if (r->is_removal) {
            TRY(remove_row(tx, m, ref_id, r));
            continue;
        }
        TRY(set_row(tx, m, ref_id, r));
        if (r->is_lfs)
            TRY(repo_file_set_path(tx, m->repo->id, r->lfs, r->path));
    }
    return OK;
}

static err set_head(struct db *tx, const struct ref_move *m)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, HEAD_SET));
    db_bind_i64(q, 1, m->repo->id);
    db_bind_hash(q, 2, m->peeled);
    db_bind_i64(q, 3, m->updated_at_ms);
    return db_run(q);
}

/* The repository as it is now: it may have been hidden meanwhile. */
static err check_live(struct db *tx, const struct repo *r)
{
    static const struct err_info gone = {
        404, "RepoNotFound", STR_INIT("Repository not found"), NULL, {0}};
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("SELECT 1 FROM repo WHERE id = ?1 AND state = 'live'")));
    db_bind_i64(q, 1, r->id);
    if (db_next(q))
        return OK;
    return db_error(q) ?: &gone;
}

static const struct err_info ref_moved = {409, NULL, STR_INIT("The reference moved."), NULL, {0}};

static err run_one(struct db *tx, struct ref_move *m)
{
    bool moved = false;
    int64_t ref_id;

    TRY(check_live(tx, m->repo));
    TRY(swap_ref(tx, m, &ref_id));
    if (ref_id == 0)
        return &ref_moved;
    if (m->is_branch)
        TRY(apply_files(tx, m, ref_id, &moved));
    if (moved)
        return &ref_moved;
    if (m->is_main && !sha1_is_zero(m->change.new_oid))
        TRY(set_head(tx, m));
    if (m->has_facts)
        TRY(repo_set_facts(tx, m->a, m->repo, &m->facts));
    return OK;
}

struct run_args {
    struct ref_move **moves;
    size_t count;
    db_fn also;
    void *also_arg;
};

static err run_fn(struct db *tx, void *arg)
{
    struct run_args *x = arg;

    for (size_t i = 0; i < x->count; i++)
        TRY(run_one(tx, x->moves[i]));
    return x->also ? x->also(tx, x->also_arg) : OK;
}

err ref_move_run(struct store *s, struct ref_move **moves, size_t count, db_fn also, void *also_arg,
                 bool *ret_moved)
{
    struct run_args x = {moves, count, also, also_arg};
    err e = db_write(s->hub, run_fn, &x);

    *ret_moved = e == &ref_moved;
    return *ret_moved ? OK : e;
}

/* --- refs moved by pushes and by the branch and tag routes --- */

static const struct err_info stale = {
    409,
    NULL,
    STR_INIT("The reference was updated by someone else; fetch first, then try again."),
    NULL,
    {0}};

static err update_one(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                      const struct ref_change *c)
{
    struct ref_move *m;
    bool moved = false;

    for (int attempt = 0; attempt < 2; attempt++) {
        TRY(ref_move_prepare(s, a, r, o, c, &m));
        TRY(ref_move_run(s, &m, 1, NULL, NULL, &moved));
        if (!moved)
            return OK;
    }
    return &stale;
}

err ref_update(struct store *s, struct arena *a, const struct repo *r,
               const struct ref_change *changes, size_t count, bool atomic,
               struct ref_change_result *results)
{
    struct odb *o = object_odb(s, a, r->id);
    struct ref_move **moves = arena_many(a, struct ref_move *, count);
    bool moved = false;
    err e = OK;

    if (!atomic) {
        for (size_t i = 0; i < count; i++)
            results[i].failed = update_one(s, a, r, o, &changes[i]);
        return OK;
    }
    for (size_t i = 0; i < count && !e; i++)
        e = ref_move_prepare(s, a, r, o, &changes[i], &moves[i]);
    if (!e)
        e = ref_move_run(s, moves, count, NULL, NULL, &moved);
    if (!e && moved)
        e = &stale;
    for (size_t i = 0; i < count; i++)
        results[i].failed = e;
    return OK;
}

/* --- anew --- */

struct rebuild {
    struct ref_move *move;
    int64_t ref_id;
    bool moved;
};

static err rebuild_fn(struct db *tx, void *arg)
{
    struct rebuild *x = arg;

    x->move->copy_ref_id = x->ref_id;
    TRY(still_at(tx, x->move, &x->moved));
    x->move->copy_ref_id = 0;
    return x->moved ? OK : apply_files(tx, x->move, x->ref_id, &x->moved);
}

err ref_files_rebuild(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                      const struct ref *ref, bool *ret_moved)
{
    struct ref_move *m = arena_one(a, struct ref_move);
    struct rebuild x = {.move = m, .ref_id = ref->id};
    struct arena *scratch = arena_new(0);
    err e;

    *m = (struct ref_move){.repo = r,
                           .change = {ref->name, OID_ZERO, ref->oid},
                           .a = a,
                           .peeled = ref->peeled,
                           .copy_head = ref->peeled,
                           .is_branch = true};
    m->tail = &m->rows;
    e = err_copy(a, prepare_files(m, o, scratch, OID_ZERO));
    arena_free(scratch);
    TRY(e);
    m->rebuild = true;
    e = db_write(s->hub, rebuild_fn, &x);
    *ret_moved = x.moved;
    return e;
}
