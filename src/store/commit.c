/* commit.c — REST commits: edits on a head, replayed when the head moved meanwhile.
 *
 *   lock(repository) → head → edits on its tree → commit object → git.db durable
 *     → one transaction: ref compare-and-swap, branch_file, facts, `also` → unlock
 *
 * The lock is per process and only keeps replays rare; the compare-and-swap is what keeps one
 * branch one line of history.
 */
#include "store/commit.h"
#include "base/clock.h"
#include "base/io.h"
#include "git/object.h"
#include "store/file.h"
#include "store/internal.h"
#include "store/ref_move.h"
#include <stdlib.h>
#include <string.h>

#define REPLAYS_MAX 10
#define LOCK_STRIPES 256
#define SEEN_FOR_MS (15 * 60 * 1000)

static const struct err_info parent_moved = {
    412,
    NULL,
    STR_INIT("The branch was updated since you opened this page. Please refresh and try again."),
    NULL,
    {0}};
static const struct err_info contention = {
    503, NULL, STR_INIT("Too many commits to this branch at once; try again."), NULL, {0}};

struct commit_locks {
    pthread_mutex_t stripe[LOCK_STRIPES];
};

struct commit_locks *commit_locks_new(void)
{
    struct commit_locks *l = calloc(1, sizeof *l);

    if (!l)
        abort();
    for (int i = 0; i < LOCK_STRIPES; i++)
        pthread_mutex_init(&l->stripe[i], NULL);
    return l;
}

void commit_locks_free(struct commit_locks *l)
{
    for (int i = 0; l && i < LOCK_STRIPES; i++)
        pthread_mutex_destroy(&l->stripe[i]);
    free(l);
}

void commit_lock(struct store *s, int64_t repo_id)
{
    pthread_mutex_lock(&s->commit_locks->stripe[repo_id % LOCK_STRIPES]);
}

void commit_unlock(struct store *s, int64_t repo_id)
{
    pthread_mutex_unlock(&s->commit_locks->stripe[repo_id % LOCK_STRIPES]);
}

/* --- one attempt --- */

/* The commit to build on, and the ref's value that the swap expects (zero: it must not exist). */
static err find_parent(struct store *s, struct arena *a, const struct commit_request *q,
                       oid *ret_parent, oid *ret_expected)
{
    struct ref ref;

    TRY(ref_find(s->hub, a, q->repo->id, q->ref, &ref));
    if (ref.id == 0 && !q->may_create_ref)
        return err_new(a, 404, "RevisionNotFound", "Invalid rev id: %.*s", STR_FMT(q->ref));
    *ret_expected = ref.oid;
    *ret_parent = ref.id ? ref.peeled : q->base;
    if (q->has_parent && !sha1_eq(q->parent, *ret_parent))
        return &parent_moved;
    return OK;
}

static str message_of(struct arena *a, const struct commit_request *q)
{
    return q->body.len ? arena_cat(a, q->title, STR("\n\n"), q->body, STR("\n"))
                       : arena_cat(a, q->title, STR("\n"));
}

static err write_commit(struct arena *a, const struct commit_request *q, oid tree,
                        const oid *parent, oid *ret)
{
    struct commit_obj c = {
        .tree = tree,
        .parent_count = parent ? 1 : 0,
        .author = {q->author.name, q->author.email, clock_ms() / 1000, 0},
        .message = message_of(a, q),
    };

    if (parent) {
        c.parents = arena_one(a, oid);
        c.parents[0] = *parent;
    }
    c.committer = c.author;
    return odb_write(q->odb, a, OBJ_COMMIT, commit_format(a, &c), ret);
}

struct commit_also {
    const struct commit_request *q;
    struct arena *a;
    oid commit;
};

static err remember(struct db *tx, const struct commit_request *q, oid commit)
{
    int64_t now = clock_ms();

    {
        AUTO_STMT struct db_stmt *st = NULL;

        TRY(db_query(tx, &st, SQL("DELETE FROM commit_seen WHERE repo_id = ?1 AND at < ?2")));
        db_bind_i64(st, 1, q->repo->id);
        db_bind_i64(st, 2, now - SEEN_FOR_MS);
        TRY(db_run(st));
    }
    AUTO_STMT struct db_stmt *st = NULL;

    TRY(db_query(
        tx, &st,
        SQL("INSERT INTO commit_seen(repo_id, ref, user_id, digest, oid, number, at) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(repo_id, ref, user_id, digest) "
            "DO UPDATE SET oid = excluded.oid, number = excluded.number, at = excluded.at")));
    db_bind_i64(st, 1, q->repo->id);
    db_bind_str(st, 2, q->ref);
    db_bind_i64(st, 3, q->user_id);
    db_bind_hash(st, 4, q->digest);
    db_bind_hash(st, 5, commit);
    db_bind_i64(st, 6, q->pull_request);
    db_bind_i64(st, 7, now);
    return db_run(st);
}

static err also(struct db *tx, void *arg)
{
    struct commit_also *c = arg;

    if (c->q->also)
        TRY(c->q->also(tx, c->commit, c->q->also_arg));
    return c->q->has_digest ? remember(tx, c->q, c->commit) : OK;
}

static err attempt(struct store *s, struct arena *a, const struct commit_request *q,
                   struct commit_result *ret, bool *ret_moved)
{
    struct ref_change change = {.name = q->ref};
    struct commit_also c = {.q = q, .a = a};
    struct ref_move *move;
    const struct tree_edit *edits = q->edits;
    size_t edit_count = q->edit_count;
    struct commit_obj head;
    oid parent, tree;

    TRY(find_parent(s, a, q, &parent, &change.old_oid));
    if (sha1_is_zero(change.old_oid))
        TRY(ref_keep(s, a, q->repo, q->odb, parent));
    TRY(commit_read(q->odb, a, parent, &head));
    if (q->edits_on)
        TRY(q->edits_on(q->odb, a, head.tree, q->edits_arg, &edits, &edit_count));
    TRY(tree_edit_apply(q->odb, a, head.tree, edits, edit_count, &tree));
    if (sha1_eq(tree, head.tree) && !q->may_create_ref) {
        *ret = (struct commit_result){parent, true};
        return OK;
    }
    TRY(write_commit(a, q, tree, &parent, &c.commit));
    change.new_oid = c.commit;
    TRY(ref_move_prepare(s, a, q->repo, q->odb, &change, &move));
    TRY(object_flush(q->odb));
    TRY(ref_move_run(s, &move, 1, also, &c, ret_moved));
    *ret = (struct commit_result){c.commit, false};
    return OK;
}

err commit_apply(struct store *s, struct arena *a, const struct commit_request *q,
                 struct commit_result *ret)
{
    err e = OK;
    bool moved = true;

    for (int n = 0; moved && !e; n++) {
        moved = false;
        if (n == REPLAYS_MAX)
            return &contention;
        commit_lock(s, q->repo->id);
        e = attempt(s, a, q, ret, &moved);
        commit_unlock(s, q->repo->id);
    }
    return e;
}

err commit_seen(struct store *s, struct arena *a, int64_t repo_id, str ref, int64_t user_id,
                sha256 digest, bool *ret_found, oid *ret_commit, int64_t *ret_number)
{
    struct ref now;

    *ret_found = false;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(
            s->hub, &q,
            SQL("SELECT oid, number, ref FROM commit_seen WHERE repo_id = ?1 AND user_id = ?3 "
                "AND digest = ?4 AND at > ?5 AND (ref = ?2 OR number > 0)")));
        db_bind_i64(q, 1, repo_id);
        db_bind_str(q, 2, ref);
        db_bind_i64(q, 3, user_id);
        db_bind_hash(q, 4, digest);
        db_bind_i64(q, 5, clock_ms() - SEEN_FOR_MS);
        if (!db_next(q))
            return db_error(q);
        db_hash(q, 0, ret_commit->b, sizeof ret_commit->b);
        *ret_number = db_i64(q, 1);
        ref = db_str(q, 2, a);
    }
    TRY(ref_find(s->hub, a, repo_id, ref, &now));
    *ret_found = now.id != 0 && sha1_eq(now.peeled, *ret_commit);
    return OK;
}

/* --- the first commit --- */

struct initial_args {
    struct store *s;
    struct arena *a;
    const struct repo_new *n;
    struct repo repo;
};

static err insert_fn(struct db *tx, void *arg)
{
    struct initial_args *x = arg;

    return repo_insert(tx, x->a, x->n, &x->repo);
}

static err write_files(struct odb *o, struct arena *a, const struct first_file *files, size_t count,
                       oid *ret)
{
    struct tree_edit *edits = arena_many(a, struct tree_edit, count);

    for (size_t i = 0; i < count; i++) {
        edits[i] = (struct tree_edit){.path = files[i].path, .mode = MODE_FILE};
        TRY(odb_write(o, a, OBJ_BLOB, files[i].content, &edits[i].id));
    }
    return tree_edit_apply(o, a, OID_ZERO, edits, count, ret);
}

static err mark_pristine(struct db *tx, void *arg)
{
    struct initial_args *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("UPDATE repo SET pristine = 1 WHERE id = ?1")));
    db_bind_i64(q, 1, x->repo.id);
    return db_run(q);
}

static err name_taken(struct arena *a, const struct repo_new *n)
{
    return err_new(a, 409, NULL, "You already created this %.*s repo",
                   STR_FMT(repo_kind_word(n->kind)));
}

static err first_commit(struct initial_args *x, const struct first_file *files, size_t file_count,
                        struct commit_author author)
{
    struct odb *o = object_odb(x->s, x->a, x->repo.id);
    struct commit_request q = {
        .repo = &x->repo, .odb = o, .title = STR("initial commit"), .author = author};
    struct ref_change change = {.name = STR("refs/heads/main")};
    struct ref_move *move;
    bool moved = false;
    oid tree;

    TRY(write_files(o, x->a, files, file_count, &tree));
    TRY(write_commit(x->a, &q, tree, NULL, &change.new_oid));
    TRY(ref_move_prepare(x->s, x->a, &x->repo, o, &change, &move));
    TRY(object_flush(o));
    TRY(ref_move_run(x->s, &move, 1, mark_pristine, x, &moved));
    return moved ? name_taken(x->a, x->n) : OK; /* somebody else was faster */
}

/* A creation that a crash cut off left a row without commits: the next one goes on with it. */
static err find_unfinished(struct initial_args *x)
{
    str name = arena_cat(x->a, x->n->owner->name, STR("/"), x->n->name);

    TRY(repo_find(x->s, x->a, x->n->kind, name, &x->repo, NULL));
    if (x->repo.id == 0 || x->repo.owner_id != x->n->owner->id || !sha1_is_zero(x->repo.head))
        return name_taken(x->a, x->n);
    return OK;
}

/* The row comes first, because objects and refs carry its id; when the first commit fails the row
 * is taken back. */
err commit_initial(struct store *s, struct arena *a, const struct repo_new *n,
                   const struct first_file *files, size_t file_count, struct commit_author author,
                   struct repo *ret)
{
    struct initial_args x = {.s = s, .a = a, .n = n};
    err e = db_write(s->hub, insert_fn, &x);

    if (e == &db_unique)
        e = find_unfinished(&x);
    TRY(e);
    e = first_commit(&x, files, file_count, author);
    if (e && e->status != 409 && repo_hide(s, x.repo.id)) {
        /* the row stays, without commits; creating it again goes on with it */
    }
    TRY(e);
    return repo_by_id(s->hub, a, x.repo.id, ret);
}
