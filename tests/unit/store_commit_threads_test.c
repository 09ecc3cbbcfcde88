/* store_commit_threads_test.c — many threads commit to one branch at once: every commit stands, one
 * behind the other.  Half of them go through a second store on the same directory, as another
 * process would, so that the compare-and-swap decides and not only the lock. */
#include "store_world.h"
#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define COMMITS 25 /* of each thread */

static struct account owner;
static struct store *second;

static int begin(void **state)
{
    struct store_config c = {0};
    struct world *w;

    if (world_begin(state) != 0)
        return 1;
    w = *state;
    owner = add_user(w, "owner");
    c.data_dir = w->dir.path;
    check_ok(store_open(w->a, &c, &second));
    return 0;
}

static int end(void **state)
{
    store_close(second);
    return world_end(state);
}

struct crowd {
    struct world *w;
    const struct repo *repo;
    oid parent; /* of contenders */
    int round;
    atomic_int next, done, replayed, conflicts, failures;
};

/* One file by one thread. */
static err commit_one(struct crowd *c, struct store *s, struct arena *a, int me, int n,
                      bool has_parent)
{
    struct odb *o = object_odb(s, a, c->repo->id);
    struct tree_edit edits[2] = {{.mode = MODE_FILE},
                                 {.path = STR("shared/counter"), .mode = MODE_FILE}};
    struct commit_request q = {.repo = c->repo,
                               .odb = o,
                               .ref = STR(MAIN),
                               .title = arena_printf(a, "thread %d commit %d", me, n),
                               .author = AUTHOR,
                               .has_parent = has_parent,
                               .parent = c->parent,
                               .edits = edits,
                               .edit_count = 2};
    struct commit_result r;

    edits[0].path = arena_printf(a, "thread-%d/file-%d.txt", me, n);
    TRY(odb_write(o, a, OBJ_BLOB, q.title, &edits[0].id));
    TRY(odb_write(o, a, OBJ_BLOB, q.title, &edits[1].id));
    return commit_apply(s, a, &q, &r);
}

static void *committer(void *arg)
{
    struct crowd *c = arg;
    int me = atomic_fetch_add(&c->next, 1);
    struct store *s = me % 2 ? second : c->w->s;

    for (int n = 0; n < COMMITS;) {
        struct arena *a = arena_new(0);
        err e = commit_one(c, s, a, me, n, false);

        if (!e) {
            atomic_fetch_add(&c->done, 1);
            n++;
        } else if (e->status == 503) { /* too much contention: a client tries again */
            atomic_fetch_add(&c->replayed, 1);
        } else {
            atomic_fetch_add(&c->failures, 1);
            n++;
        }
        arena_free(a);
    }
    return NULL;
}

static void *contender(void *arg)
{
    struct crowd *c = arg;
    int me = atomic_fetch_add(&c->next, 1);
    struct arena *a = arena_new(0);
    err e = commit_one(c, me % 2 ? second : c->w->s, a, me, c->round, true);

    atomic_fetch_add(!e ? &c->done : e->status == 412 ? &c->conflicts : &c->failures, 1);
    arena_free(a);
    return NULL;
}

/* Looks at the branch all the while: a page is of one moment, and every file of a head is there. */
static void *onlooker(void *arg)
{
    struct crowd *c = arg;

    while (atomic_load(&c->done) + atomic_load(&c->failures) < THREADS * COMMITS) {
        struct arena *a = arena_new(0);
        struct entry_query q = {.path = STR(""), .recursive = true, .limit = 1000};
        struct revision rev;
        struct entry_list kept = {0}, git = {0};
        err e = revision_find(c->w->s, a, c->repo, STR("main"), &rev);

        if (!e)
            e = entry_list(c->w->s, a, c->repo, &rev, &q, &kept);
        rev.branch_id = 0;
        if (!e)
            e = entry_list(c->w->s, a, c->repo, &rev, &q, &git);
        if (e || kept.count != git.count)
            atomic_fetch_add(&c->failures, 1);
        for (size_t i = 0; i < kept.count && i < git.count; i++)
            if (!str_eq(kept.items[i].path, git.items[i].path) ||
                !sha1_eq(kept.items[i].oid, git.items[i].oid))
                atomic_fetch_add(&c->failures, 1);
        arena_free(a);
    }
    return NULL;
}

static void run(struct crowd *c, void *(*each)(void *), void *(*beside)(void *))
{
    pthread_t t[THREADS + 1];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, each, c), 0);
    if (beside)
        assert_int_equal(pthread_create(&t[THREADS], NULL, beside, c), 0);
    for (int i = 0; i < THREADS + (beside != NULL); i++)
        pthread_join(t[i], NULL);
}

static size_t length_of_history(struct world *w, const struct repo *r)
{
    struct odb *o = object_odb(w->s, w->a, r->id);
    size_t n = 1;

    for (oid at = revision(w, r, "main").commit;; n++) {
        struct commit_obj c;

        check_ok(commit_read(o, w->a, at, &c));
        if (c.parent_count == 0)
            return n;
        assert_int_equal(c.parent_count, 1);
        at = c.parents[0];
    }
}

static void every_commit_stands(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "busy");
    struct crowd c = {.w = w, .repo = &r};

    run(&c, committer, onlooker);
    assert_int_equal(atomic_load(&c.failures), 0);
    assert_int_equal(atomic_load(&c.done), THREADS * COMMITS);
    assert_int_equal(length_of_history(w, &r), THREADS * COMMITS + 1);
    for (int t = 0; t < THREADS; t++)
        for (int n = 0; n < COMMITS; n++)
            check_str(text_at(w, &r, "main", arena_printf(w->a, "thread-%d/file-%d.txt", t, n).ptr),
                      arena_printf(w->a, "thread %d commit %d", t, n).ptr);
    assert_true(sha1_eq(reread(w, &r).head, revision(w, &r, "main").commit));
    check_branch(w, &r, "main");
}

static void of_those_on_one_parent_one_wins(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "race");

    for (int round = 0; round < 5; round++) {
        struct crowd c = {
            .w = w, .repo = &r, .parent = revision(w, &r, "main").commit, .round = round};

        run(&c, contender, NULL);
        assert_int_equal(atomic_load(&c.failures), 0);
        assert_int_equal(atomic_load(&c.done), 1);
        assert_int_equal(atomic_load(&c.conflicts), THREADS - 1);
    }
    assert_int_equal(length_of_history(w, &r), 6);
    check_branch(w, &r, "main");
}

static void *creator(void *arg)
{
    struct crowd *c = arg;
    struct repo_new n = {
        .kind = REPO_MODEL, .owner = &owner, .creator_id = owner.id, .name = STR("wanted")};
    struct arena *a = arena_new(0);
    struct repo r;
    err e = commit_initial(atomic_fetch_add(&c->next, 1) % 2 ? second : c->w->s, a, &n, NULL, 0,
                           AUTHOR, &r);

    atomic_fetch_add(!e ? &c->done : e->status == 409 ? &c->conflicts : &c->failures, 1);
    arena_free(a);
    return NULL;
}

static void of_those_who_create_one_name_one_wins(void **state)
{
    struct world *w = *state;
    struct crowd c = {.w = w};

    run(&c, creator, NULL);
    assert_int_equal(atomic_load(&c.failures), 0);
    assert_int_equal(atomic_load(&c.done), 1);
    assert_int_equal(atomic_load(&c.conflicts), THREADS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_commit_stands),
        cmocka_unit_test(of_those_on_one_parent_one_wins),
        cmocka_unit_test(of_those_who_create_one_name_one_wins),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
