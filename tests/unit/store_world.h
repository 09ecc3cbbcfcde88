/* store_world.h — what the tests of accounts, repositories and commits share: a store in a
 * temporary directory where every write function runs twice, people, repositories, commits, and
 * the check that what is kept of a branch is what a walk of its git trees finds. */
#pragma once
#include "check.h"
#include "git/tree.h"
#include "git/walk.h"
#include "store/commit.h"
#include "store/repo.h"
#include "temp_dir.h"

struct world {
    struct temp_dir dir;
    struct arena *a;
    struct store *s;
};

static inline void world_open(struct world *w)
{
    struct store_config c = {.data_dir = w->dir.path, .server = true};

    check_ok(store_open(w->a, &c, &w->s));
}

/* Group set-up and its end. */
static inline int world_begin(void **state)
{
    static struct world w;

    setenv("HEARTH_DB_RERUN", "1", 1); /* finds write functions that cannot be repeated */
    w = (struct world){.a = arena_new(0)};
    temp_dir_make(&w.dir);
    world_open(&w);
    *state = &w;
    return 0;
}

static inline int world_end(void **state)
{
    struct world *w = *state;

    store_close(w->s);
    arena_free(w->a);
    temp_dir_remove(&w->dir);
    return 0;
}

/* --- people and repositories --- */

static inline struct account add_account(struct world *w, const char *name, enum account_kind kind)
{
    struct account_new n = {.name = str_c(name), .kind = kind};
    struct account u;

    check_ok(account_add(w->s, w->a, &n, &u));
    return u;
}
#define add_user(w, name) add_account(w, name, ACCOUNT_USER)
#define add_org(w, name) add_account(w, name, ACCOUNT_ORG)

#define AUTHOR ((struct commit_author){STR("Ada"), STR("ada@example.org")})

static inline err try_repo(struct world *w, const struct account *owner, const char *name,
                           const struct first_file *files, size_t file_count, struct repo *ret)
{
    struct repo_new n = {
        .kind = REPO_MODEL, .owner = owner, .creator_id = owner->id, .name = str_c(name)};

    return commit_initial(w->s, w->a, &n, files, file_count, AUTHOR, ret);
}

static inline struct repo add_repo(struct world *w, const struct account *owner, const char *name)
{
    const struct first_file files[] = {{STR("README.md"), STR("# hello\n")},
                                       {STR(".gitattributes"), STR("*.bin filter=lfs\n")}};
    struct repo r;

    check_ok(try_repo(w, owner, name, files, 2, &r));
    return r;
}

static inline struct repo reread(struct world *w, const struct repo *r)
{
    struct repo now;

    check_ok(repo_by_id(w->s->hub, w->a, r->id, &now));
    return now;
}

/* The number that a query with the parameter ?1 gives. */
static inline int64_t count_rows(struct world *w, struct sql sql, int64_t id)
{
    struct db_stmt *q = NULL;
    int64_t n;

    check_ok(db_query(w->s->hub, &q, sql));
    db_bind_i64(q, 1, id);
    assert_true(db_next(q));
    n = db_i64(q, 0);
    db_stmt_close(&q);
    return n;
}

static inline err run_text_fn(struct db *tx, void *arg)
{
    return db_exec(tx, *(struct sql *)arg);
}

/* Changes rows behind the store's back. */
static inline void run_sql(struct world *w, struct sql sql)
{
    check_ok(db_write(w->s->hub, run_text_fn, &sql));
}

/* --- commits --- */

/* "+path=content" puts, "-path" removes; separated by '|'. */
static inline size_t read_changes(struct world *w, struct odb *o, const char *changes,
                                  struct tree_edit **ret)
{
    struct tree_edit *edits = arena_many(w->a, struct tree_edit, 64);
    str rest = str_c(changes);
    size_t count = 0;

    while (rest.ptr && rest.len > 0) {
        str word = str_cut(&rest, '|');
        struct tree_edit *e = &edits[count++];

        assert_true(count <= 64);
        e->is_removal = str_skip(&word, STR("-"));
        str_skip(&word, STR("+"));
        e->path = str_cut(&word, '=');
        e->mode = MODE_FILE;
        if (!e->is_removal)
            check_ok(odb_write(o, w->a, OBJ_BLOB, word, &e->id));
    }
    *ret = edits;
    return count;
}

static inline err try_commit_to(struct world *w, const struct repo *r, const char *ref,
                                const char *changes, struct commit_result *ret)
{
    struct odb *o = object_odb(w->s, w->a, r->id);
    struct tree_edit *edits;
    struct commit_request q = {.repo = r,
                               .odb = o,
                               .ref = str_c(ref),
                               .title = STR("change"),
                               .author = AUTHOR,
                               .edit_count = read_changes(w, o, changes, &edits)};

    q.edits = edits;
    return commit_apply(w->s, w->a, &q, ret);
}

static inline oid commit_to(struct world *w, const struct repo *r, const char *ref,
                            const char *changes)
{
    struct commit_result c;

    check_ok(try_commit_to(w, r, ref, changes, &c));
    return c.commit;
}
#define MAIN "refs/heads/main"
#define commit_main(w, r, changes) commit_to(w, r, MAIN, changes)

/* A commit object with any parents and the tree of the first one (or none) changed.  Not on a ref.
 */
static inline oid loose_commit(struct world *w, const struct repo *r, const oid *parents,
                               size_t parent_count, const char *changes)
{
    struct odb *o = object_odb(w->s, w->a, r->id);
    struct signature who = {STR("Ada"), STR("ada@example.org"), 1700000000, 60};
    oid list[4] = {OID_ZERO}, tree = OID_ZERO, id;
    struct commit_obj c = {.parents = list,
                           .parent_count = parent_count,
                           .author = who,
                           .committer = who,
                           .message = STR("loose\n")},
                      base;
    struct tree_edit *edits;
    size_t count = read_changes(w, o, changes, &edits);

    for (size_t i = 0; i < parent_count; i++)
        list[i] = parents[i];
    if (parent_count > 0) {
        check_ok(commit_read(o, w->a, parents[0], &base));
        tree = base.tree;
    }
    check_ok(tree_edit_apply(o, w->a, tree, edits, count, &c.tree));
    check_ok(odb_write(o, w->a, OBJ_COMMIT, commit_format(w->a, &c), &id));
    check_ok(object_flush(o));
    return id;
}

static inline err move_ref(struct world *w, const struct repo *r, const char *name, oid from,
                           oid to)
{
    struct ref_change c = {str_c(name), from, to};
    struct ref_change_result result = {OK};

    check_ok(ref_update(w->s, w->a, r, &c, 1, false, &result));
    return result.failed;
}

/* --- what stands on a branch --- */

static inline struct revision revision(struct world *w, const struct repo *r, const char *rev)
{
    struct revision v;

    check_ok(revision_find(w->s, w->a, r, str_c(rev), &v));
    return v;
}

/* The key by which a page goes on. */
static inline str entry_key(struct arena *a, const struct entry *e)
{
    return ENTRY_IS_DIR(e) ? arena_cat(a, e->path, STR("/")) : e->path;
}

/* All entries below a folder, page by page. */
static inline struct entry_list all_entries(struct world *w, const struct repo *r,
                                            const struct revision *rev, str path, bool recursive,
                                            size_t limit)
{
    struct entry_query q = {.path = path, .recursive = recursive, .limit = limit};
    struct entry_list all = {arena_many(w->a, struct entry, 4000), 0, true}, page;

    while (all.more) {
        check_ok(entry_list(w->s, w->a, r, rev, &q, &page));
        assert_true(page.count <= limit);
        assert_true(page.count == limit || !page.more);
        assert_true(all.count + page.count <= 4000);
        if (page.count) {
            memcpy(all.items + all.count, page.items, page.count * sizeof *page.items);
            q.after = entry_key(w->a, &page.items[page.count - 1]);
        }
        all.count += page.count;
        all.more = page.more;
    }
    return all;
}

static inline void check_same_entry(const struct entry *x, const struct entry *y)
{
    if (!str_eq(x->path, y->path))
        fail_msg("\"%.*s\" where git has \"%.*s\"", STR_FMT(x->path), STR_FMT(y->path));
    assert_int_equal(x->mode, y->mode);
    assert_true(sha1_eq(x->oid, y->oid));
    assert_int_equal(x->size, y->size);
    assert_int_equal(x->is_lfs, y->is_lfs);
    assert_int_equal(x->pointer_size, y->pointer_size);
    assert_true(!x->is_lfs || sha256_eq(x->lfs, y->lfs));
}

static inline void check_same_entries(const struct entry_list *x, const struct entry_list *y)
{
    for (size_t i = 0; i < x->count && i < y->count; i++)
        check_same_entry(&x->items[i], &y->items[i]);
    assert_int_equal(x->count, y->count);
}

/* The id of what stands at `path` in a commit, zero when nothing does. */
static inline oid id_at(struct world *w, const struct repo *r, oid commit, str path)
{
    struct revision rev = {.commit = commit};
    struct entry e;
    bool found;

    check_ok(entry_find(w->s, w->a, r, &rev, path, &e, &found));
    return found ? e.oid : OID_ZERO;
}

/* The newest commit on the line of first parents whose entry differs from its parent's. */
static inline void check_last_commit(struct world *w, const struct repo *r, oid head,
                                     const struct entry *e)
{
    struct odb *o = object_odb(w->s, w->a, r->id);

    for (oid at = head;;) {
        struct commit_obj c;
        oid before = OID_ZERO;

        check_ok(commit_read(o, w->a, at, &c));
        if (c.parent_count > 0)
            before = id_at(w, r, c.parents[0], e->path);
        if (!sha1_eq(before, e->oid)) {
            if (!sha1_eq(e->last_commit, at))
                fail_msg("\"%.*s\" was last changed by another commit", STR_FMT(e->path));
            return;
        }
        at = c.parents[0];
    }
}

/* Is what is kept of the branch what its git trees hold, all of it and nothing more? */
static inline void check_branch(struct world *w, const struct repo *r, const char *branch)
{
    struct arena_mark m = arena_mark(w->a);
    struct revision rev = revision(w, r, branch), walked = {.commit = rev.commit};
    struct entry_list kept = all_entries(w, r, &rev, STR(""), true, 7), git, folder;

    assert_true(rev.branch_id > 0);
    git = all_entries(w, r, &walked, STR(""), true, 1000);
    check_same_entries(&kept, &git);
    assert_int_equal(
        count_rows(w, SQL("SELECT count(*) FROM branch_file WHERE ref_id = ?1"), rev.branch_id),
        git.count);
    for (size_t i = 0; i < kept.count; i++) {
        assert_true(kept.items[i].has_last_commit);
        check_last_commit(w, r, rev.commit, &kept.items[i]);
        if (!ENTRY_IS_DIR(&kept.items[i]))
            continue;
        folder = all_entries(w, r, &rev, kept.items[i].path, false, 3);
        git = all_entries(w, r, &walked, kept.items[i].path, false, 1000);
        check_same_entries(&folder, &git);
    }
    arena_rewind(w->a, m);
}

/* The text of a file of a branch; ptr NULL when there is none. */
static inline str text_at(struct world *w, const struct repo *r, const char *rev, const char *path)
{
    struct revision v = revision(w, r, rev);
    struct entry e;
    bool found;
    str text;

    check_ok(entry_find(w->s, w->a, r, &v, str_c(path), &e, &found));
    if (!found || ENTRY_IS_DIR(&e))
        return STR_NONE;
    check_ok(odb_read(object_odb(w->s, w->a, r->id), w->a, e.oid, OBJ_BLOB, &text));
    return text;
}
