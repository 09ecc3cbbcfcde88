/* check_ref.c — what refs reach: commits, trees and blobs are there and of the right type; refs
 * point at commits; what is kept of a branch (branch_file) is what its trees hold.
 *
 * Content was checked object by object before; this is about what names what.  Memory: the ids of
 * one repository's reachable objects.
 */
#include "git/lfs_pointer.h"
#include "git/object.h"
#include "git/refname.h"
#include "git/tree.h"
#include "store/check_private.h"
#include "store/object.h"
#include "store/ref_move.h"
#include <string.h>

#define PAGE 200
#define ROWS 256         /* of branch_file at a time */
#define TRIES 3          /* a branch that moves while it is compared is compared again */
#define MISSING_MAX 1000 /* told per repository */

static const struct sql NEXT =
    SQL_INIT("SELECT id FROM repo WHERE kind <> 3 AND state = 'live' AND id > ?1 ORDER BY id LIMIT "
             "?2");
static const struct sql BRANCH_ROWS =
    SQL_INIT("SELECT key, parent, mode, oid, size, sha256, pointer_size, last_commit FROM "
             "branch_file WHERE ref_id = ?1 AND key > ?2 ORDER BY key LIMIT ?3");
static const struct sql REF_SET = SQL_INIT("UPDATE ref SET oid = ?2, peeled = ?3 WHERE id = ?1");

struct repo_walk {
    struct check *c;
    int64_t repo_id;
    str name;
    struct odb *odb;
    struct oid_map seen;
    struct oid_list commits; /* to be looked at */
    uint64_t missing;
};

/* --- objects --- */

static bool is_damage(err e)
{
    return e && e->code && str_starts(str_c(e->code), STR("Object"));
}

static err lookup(struct repo_walk *w, oid id, enum obj_type want, bool *ret_there)
{
    enum obj_type type;
    uint64_t size;
    bool found;
    err e;

    e = odb_header(w->odb, w->c->a, id, &type, &size, &found);
    *ret_there = true;
    if (is_damage(e))
        return OK; /* told with the objects */
    TRY(e);
    *ret_there = found && type == want;
    return OK;
}

/* Is it there, at the second look at the latest?  Else it is told. */
static err need_object(struct repo_walk *w, oid id, enum obj_type type, str path, bool *ret_there)
{
    TRY(lookup(w, id, type, ret_there));
    if (*ret_there)
        return OK;
    check_settle(w->c);
    TRY(lookup(w, id, type, ret_there));
    if (*ret_there || w->missing++ >= MISSING_MAX)
        return OK;
    check_found(w->c, CHECK_DAMAGED, "git object", sha1_hex(w->c->a, id),
                "in %.*s: the %s is not there; push it again or restore a backup", STR_FMT(w->name),
                obj_type_name(type));
    check_touch_object(w->c, w->repo_id, id, path);
    return OK;
}

static err walk_tree(struct repo_walk *w, oid tree, str path, unsigned depth);

static err walk_entry(struct repo_walk *w, const struct tree_entry *e, str path, unsigned depth)
{
    str at = path.len ? arena_cat(w->c->a, path, STR("/"), e->name) : e->name;
    bool there;

    if (mode_is_dir(e->mode))
        return walk_tree(w, e->id, at, depth + 1);
    return need_object(w, e->id, OBJ_BLOB, at, &there);
}

static err walk_tree(struct repo_walk *w, oid tree, str path, unsigned depth)
{
    struct arena_mark m;
    struct tree_entry *entries;
    size_t count;
    bool there;

    if (sha1_eq(tree, oid_empty_tree) || !oid_set_add(&w->seen, tree))
        return OK;
    TRY(need_object(w, tree, OBJ_TREE, path, &there));
    if (!there || depth > TREE_MAX_DEPTH)
        return OK;
    m = arena_mark(w->c->a);
    if (tree_entries(w->odb, w->c->a, tree, &entries, &count))
        return OK; /* unreadable: told with the objects */
    for (size_t i = 0; i < count; i++) {
        struct arena_mark one = arena_mark(w->c->a);

        if (entries[i].mode == MODE_MODULE ||
            (!mode_is_dir(entries[i].mode) && !oid_set_add(&w->seen, entries[i].id)))
            continue;
        TRY(walk_entry(w, &entries[i], path, depth));
        arena_rewind(w->c->a, one);
    }
    arena_rewind(w->c->a, m);
    return OK;
}

static err walk_commit(struct repo_walk *w, oid id)
{
    struct commit_obj commit;
    bool there;

    TRY(need_object(w, id, OBJ_COMMIT, STR_NONE, &there));
    if (!there || commit_read(w->odb, w->c->a, id, &commit))
        return OK;
    for (size_t i = 0; i < commit.parent_count; i++)
        if (oid_set_add(&w->seen, commit.parents[i]))
            oid_list_add(&w->commits, commit.parents[i]);
    return walk_tree(w, commit.tree, STR_NONE, 0);
}

static err walk_commits(struct repo_walk *w)
{
    while (w->commits.count > 0) {
        struct arena_mark m = arena_mark(w->c->a);
        oid id = w->commits.ids[--w->commits.count];

        TRY(walk_commit(w, id));
        arena_rewind(w->c->a, m);
    }
    return OK;
}

/* --- refs --- */

struct mending {
    const struct ref *ref;
    oid oid, peeled;
};

static err mend_fn(struct db *tx, void *arg)
{
    const struct mending *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, REF_SET));
    db_bind_i64(q, 1, x->ref->id);
    db_bind_hash(q, 2, x->oid);
    db_bind_hash(q, 3, x->peeled);
    return db_run(q);
}

struct ref_look {
    bool oid_peels, peeled_is_commit;
    oid peeled; /* where the oid leads */
};

static err look_at_ref(struct repo_walk *w, const struct ref *r, struct ref_look *ret)
{
    enum obj_type type = OBJ_BLOB;
    bool found;

    *ret = (struct ref_look){0};
    if (object_peel(w->odb, w->c->a, r->oid, &ret->peeled, &type, &found))
        found = false; /* an unreadable tag */
    ret->oid_peels = found && type == OBJ_COMMIT;
    return lookup(w, r->peeled, OBJ_COMMIT, &ret->peeled_is_commit);
}

static bool ref_is_right(const struct ref *r, const struct ref_look *l)
{
    return l->oid_peels && sha1_eq(l->peeled, r->peeled);
}

static err tell_ref(struct repo_walk *w, const struct ref *r, const struct ref_look *l)
{
    struct mending x = {r, r->oid, l->peeled};
    enum check_state state = CHECK_DAMAGED;
    struct check *c = w->c;

    if (!l->oid_peels && l->peeled_is_commit && str_starts(r->name, STR("refs/heads/"))) {
        x.oid = x.peeled = r->peeled;
        state = CHECK_REPAIRABLE;
    } else if (l->oid_peels) {
        state = CHECK_REPAIRABLE;
    }
    if (state == CHECK_REPAIRABLE && !c->rows_doubtful)
        state = check_fix(c, mend_fn, &x);
    check_found(c, state, "reference", arena_cat(c->a, w->name, STR(" "), r->name), "%.*s",
                STR_FMT(state == CHECK_DAMAGED
                            ? STR("it names an object that is not there; push it again")
                            : STR("its two ids do not belong together")));
    check_touch(c, w->name, r->name, STR_NONE);
    return OK;
}

static err check_ref(struct repo_walk *w, const struct ref *r)
{
    struct ref_look l;
    struct ref now = *r;

    TRY(look_at_ref(w, r, &l));
    if (!ref_is_right(r, &l)) {
        check_settle(w->c);
        TRY(ref_find(w->c->store->hub, w->c->a, w->repo_id, r->name, &now));
        if (now.id == 0)
            return OK;
        TRY(look_at_ref(w, &now, &l));
        if (!ref_is_right(&now, &l))
            TRY(tell_ref(w, &now, &l));
    }
    if (!refname_valid(r->name))
        check_found(w->c, CHECK_DAMAGED, "reference",
                    arena_cat(w->c->a, w->name, STR(" "), r->name), "git does not take this name");
    if (l.oid_peels) {
        oid_set_add(&w->seen, now.oid);
        if (sha1_eq(now.oid, l.peeled) || oid_set_add(&w->seen, l.peeled))
            oid_list_add(&w->commits, l.peeled);
    }
    return OK;
}

/* --- what is kept of a branch --- */

struct kept { /* a row of branch_file */
    str key, parent;
    uint32_t mode;
    oid id, last_commit;
    uint64_t size, pointer_size;
    bool is_lfs, is_sane;
    sha256 lfs;
};

struct compare {
    struct repo_walk *w;
    int64_t ref_id;
    struct arena *a; /* of the page of rows */
    struct kept rows[ROWS];
    size_t count, next;
    str last_key;
    bool wrong;
    str where;
};

static struct kept read_kept(struct db_stmt *q, struct arena *a)
{
    struct kept k = {.key = db_blob(q, 0, a),
                     .parent = db_blob(q, 1, a),
                     .mode = (uint32_t)db_i64(q, 2),
                     .size = (uint64_t)db_i64(q, 4),
                     .is_lfs = !db_is_null(q, 5),
                     .pointer_size = (uint64_t)db_i64(q, 6)};

    k.is_sane = db_hash(q, 3, k.id.b, sizeof k.id.b);
    k.is_sane &= db_hash(q, 7, k.last_commit.b, sizeof k.last_commit.b);
    if (k.is_lfs)
        k.is_sane &= db_hash(q, 5, k.lfs.b, sizeof k.lfs.b);
    return k;
}

static err next_rows(struct compare *x)
{
    char *last = need(malloc(x->last_key.len + 1));
    str after = {last, x->last_key.len};
    err e;

    if (after.len)
        memcpy(last, x->last_key.ptr, after.len);
    arena_reset(x->a);
    x->count = x->next = 0;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        e = db_query(x->w->c->store->hub, &q, BRANCH_ROWS);
        if (!e) {
            db_bind_i64(q, 1, x->ref_id);
            db_bind_blob(q, 2, after);
            db_bind_i64(q, 3, ROWS);
            while (x->count < ROWS && db_next(q))
                x->rows[x->count++] = read_kept(q, x->a);
            e = db_error(q);
        }
    }
    if (x->count)
        x->last_key = x->rows[x->count - 1].key;
    free(last);
    return e;
}

/* The next row; NULL at the end. */
static err next_row(struct compare *x, const struct kept **ret)
{
    if (x->next == x->count)
        TRY(next_rows(x));
    *ret = x->next < x->count ? &x->rows[x->next++] : NULL;
    return OK;
}

/* What the row of a blob should say beside its id. */
static err look_closer(struct repo_walk *w, const struct tree_entry *e, struct kept *want)
{
    enum obj_type type;
    struct lfs_pointer p;
    bool found;
    str data;

    if (!mode_is_blob(e->mode))
        return OK;
    if (odb_header(w->odb, w->c->a, e->id, &type, &want->size, &found) || !found ||
        want->size > LFS_POINTER_MAX || (e->mode & 0170000) == MODE_LINK ||
        odb_read(w->odb, w->c->a, e->id, OBJ_BLOB, &data))
        return OK;
    if (lfs_pointer_parse(data, &p)) {
        want->is_lfs = true;
        want->lfs = p.oid;
        want->pointer_size = want->size;
        want->size = p.size;
    }
    return OK;
}

static bool same(const struct kept *x, const struct kept *y)
{
    return x && x->is_sane && str_eq(x->key, y->key) && str_eq(x->parent, y->parent) &&
           x->mode == y->mode && sha1_eq(x->id, y->id) && x->size == y->size &&
           x->is_lfs == y->is_lfs && x->pointer_size == y->pointer_size &&
           (!x->is_lfs || sha256_eq(x->lfs, y->lfs));
}

static err compare_tree(struct compare *x, oid tree, str path, unsigned depth);

static err compare_entry(struct compare *x, const struct tree_entry *e, str path, unsigned depth)
{
    struct arena *a = x->w->c->a;
    str at = path.len ? arena_cat(a, path, STR("/"), e->name) : e->name;
    bool is_dir = mode_is_dir(e->mode);
    struct kept want = {.parent = path, .mode = e->mode, .id = e->id};
    const struct kept *row;

    want.key = is_dir ? arena_cat(a, at, STR("/")) : at;
    TRY(look_closer(x->w, e, &want));
    TRY(next_row(x, &row));
    if (!same(row, &want) || !oid_set_has(&x->w->seen, row->last_commit)) {
        x->wrong = true;
        x->where = at; /* kept: the walk stops here and nothing is rewound */
        return OK;
    }
    return is_dir ? compare_tree(x, e->id, at, depth + 1) : OK;
}

static err compare_tree(struct compare *x, oid tree, str path, unsigned depth)
{
    struct arena *a = x->w->c->a;
    struct tree_entry *entries;
    size_t count;

    if (sha1_is_zero(tree) || sha1_eq(tree, oid_empty_tree) || depth > TREE_MAX_DEPTH)
        return OK;
    TRY(tree_entries(x->w->odb, a, tree, &entries, &count));
    for (size_t i = 0; i < count && !x->wrong; i++) {
        struct arena_mark m = arena_mark(a);

        TRY(compare_entry(x, &entries[i], path, depth));
        if (!x->wrong)
            arena_rewind(a, m);
    }
    return OK;
}

static err compare_branch(struct compare *x, const struct ref *r)
{
    struct commit_obj commit;
    const struct kept *row;

    x->count = x->next = 0;
    x->last_key = STR_NONE;
    x->wrong = false;
    x->ref_id = r->id;
    TRY(commit_read(x->w->odb, x->w->c->a, r->peeled, &commit));
    TRY(compare_tree(x, commit.tree, STR_NONE, 0));
    if (x->wrong)
        return OK;
    TRY(next_row(x, &row));
    if (row) {
        x->wrong = true;
        x->where = arena_str(x->w->c->a, row->key);
    }
    return OK;
}

/* Compares; `ret->id` 0 or another head: it moved or went away meanwhile. */
static err compare_still(struct compare *x, const struct ref *r, struct ref *ret)
{
    TRY(compare_branch(x, r));
    return ref_find(x->w->c->store->hub, x->w->c->a, x->w->repo_id, r->name, ret);
}

static err tell_branch(struct compare *x, const struct ref *r)
{
    struct check *c = x->w->c;
    enum check_state state = CHECK_REPAIRABLE;
    str branch = r->name;
    struct repo repo;
    bool moved = false;

    TRY(repo_by_id(c->store->hub, c->a, x->w->repo_id, &repo));
    if (repo.id && c->options.repair &&
        !ref_files_rebuild(c->store, c->a, &repo, x->w->odb, r, &moved) && !moved)
        state = CHECK_REPAIRED;
    str_skip(&branch, STR("refs/heads/"));
    check_found(c, state, "branch", arena_cat(c->a, x->w->name, STR(" "), branch),
                "the list of its files is not what its head holds (first at \"%.*s\"); it is made "
                "anew",
                STR_FMT(x->where));
    check_touch(c, x->w->name, branch, x->where);
    return OK;
}

static err check_branch(struct repo_walk *w, struct compare *x, const struct ref *first)
{
    struct ref r = *first, now = {0};
    bool wrong_before = false;

    for (int i = 0; i < TRIES; i++) {
        TRY(compare_still(x, &r, &now));
        if (now.id != r.id)
            return OK;
        if (sha1_eq(now.peeled, r.peeled)) {
            if (!x->wrong)
                return OK;
            if (wrong_before)
                return tell_branch(x, &r);
            wrong_before = true;
        } else { /* commits that came meanwhile were not walked */
            oid_set_add(&w->seen, now.peeled);
            oid_list_add(&w->commits, now.peeled);
            TRY(walk_commits(w));
        }
        r = now;
        check_settle(w->c);
    }
    return OK;
}

/* --- repositories --- */

static err check_repo(struct check *c, struct repo_walk *w, struct compare *x)
{
    struct ref_list refs;

    TRY(ref_list(c->store->hub, c->a, w->repo_id, &refs));
    for (size_t i = 0; i < refs.count; i++)
        TRY(check_ref(w, &refs.items[i]));
    if (c->options.fast)
        return OK;
    TRY(walk_commits(w));
    for (size_t i = 0; i < refs.count; i++) {
        err e = OK;

        if (str_starts(refs.items[i].name, STR("refs/heads/")))
            e = check_branch(w, x, &refs.items[i]);
        if (e && !is_damage(e))
            return e;
    }
    return OK;
}

static err check_one(struct check *c, int64_t repo_id, struct compare *x)
{
    struct arena_mark m = arena_mark(c->a);
    struct repo_walk w = {.c = c, .repo_id = repo_id, .name = check_repo_name(c, repo_id)};
    err e;

    w.odb = object_odb(c->store, c->a, repo_id);
    x->w = &w;
    e = check_repo(c, &w, x);
    oid_map_free(&w.seen);
    oid_list_free(&w.commits);
    arena_rewind(c->a, m);
    return e;
}

err check_refs(struct check *c)
{
    struct compare *x = arena_one(c->a, struct compare);
    struct id_list page;
    int64_t after = INT64_MIN;
    uint64_t done = 0;
    err e = OK;

    x->a = arena_new(0);
    do {
        struct arena_mark m = arena_mark(c->a);

        e = check_page(c, c->store->hub, NEXT, after, PAGE, &page);
        for (size_t i = 0; !e && i < page.count; i++) {
            e = check_one(c, after = page.ids[i], x);
            check_progress(c, "branches", ++done);
        }
        if (!e)
            arena_rewind(c->a, m);
    } while (!e && page.count == PAGE);
    arena_free(x->a);
    return e;
}
