/* gc, step by step: what goes, what stays, what comes back between the steps. */
#include "base/clock.h"
#include "base/text.h"
#include "blob/blob.h"
#include "git/lfs_pointer.h"
#include "store/content_rows.h"
#include "store/gc.h"
#include "store/xorb.h"
#include "store_large.h"
#include "store_world.h"
#include <dirent.h>
#include <sys/time.h>

#define BIG (400u << 10)
#define LONG_AGO "1000"

struct test {
    struct world w;
    struct account ada;
    struct repo repo;
};

static int begin(void **state)
{
    struct test *t = calloc(1, sizeof *t);

    assert_non_null(t);
    setenv("HEARTH_DB_RERUN", "1", 1);
    t->w.a = arena_new(0);
    temp_dir_make(&t->w.dir);
    world_open(&t->w);
    t->ada = add_user(&t->w, "ada");
    t->repo = add_repo(&t->w, &t->ada, "model");
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct test *t = *state;

    store_close(t->w.s);
    arena_free(t->w.a);
    temp_dir_remove(&t->w.dir);
    free(t);
    return 0;
}

/* --- what the tests do and count --- */

static struct content add_content(struct test *t, uint64_t seed, bool keep)
{
    struct large l = {.a = t->w.a, .s = t->w.s, .random = 88172645463325252ull};
    char *data = random_data(seed, BIG);
    struct content c = must_take_in(&l, data, BIG);

    if (keep)
        check_ok(repo_file_add(t->w.s->hub, t->repo.id, &c, t->ada.id));
    free(data);
    return c;
}

static void check_readable(struct test *t, const struct content *c, uint64_t seed)
{
    struct large l = {.a = t->w.a, .s = t->w.s};
    char *data = random_data(seed, BIG), *got = malloc(BIG);
    struct read_counts counts;

    assert_non_null(got);
    check_ok(read_range(&l, c, 0, BIG, got, &counts));
    assert_memory_equal(data, got, BIG);
    free(data);
    free(got);
}

static struct gc_result collect(struct test *t, void (*change)(struct gc_options *o))
{
    struct gc_options o;
    struct gc_result r;

    gc_defaults(&o);
    if (change)
        change(&o);
    check_ok(gc_run(t->w.s, t->w.a, &o, NULL, &r));
    return r;
}

static void dry(struct gc_options *o)
{
    o->dry_run = true;
}

static void no_wait(struct gc_options *o)
{
    o->xorb_wait_ms = 0;
}

static void contents_only(struct gc_options *o)
{
    o->files = o->xorbs = true;
}

static void no_orphans(struct gc_options *o)
{
    o->orphan_age_ms = 0;
    o->xorb_wait_ms = 0;
}

static int64_t rows(struct test *t, struct sql sql)
{
    return count_rows(&t->w, sql, 0);
}
#define ROWS(t, text) rows(t, SQL("SELECT count(*) FROM " text " AND ?1 = ?1"))

static int64_t git_rows(struct test *t)
{
    int64_t n;

    check_ok(object_count(t->w.s, t->repo.id, &n));
    return n;
}

static void run_git(struct test *t, struct sql sql)
{
    check_ok(db_write(t->w.s->git, run_text_fn, &sql));
}

/* Everything is old and no promise runs any more. */
static void age(struct test *t)
{
    run_sql(&t->w, SQL("UPDATE xorb SET lease_until = " LONG_AGO ", created_at = " LONG_AGO));
    run_sql(&t->w, SQL("UPDATE file SET created_at = " LONG_AGO));
    run_sql(&t->w, SQL("UPDATE repo_file SET pushed_at = " LONG_AGO ", used_at = 0"));
    run_git(t, SQL("UPDATE object SET seen_at = " LONG_AGO));
}

static err count_blob(struct blob_key key, void *arg)
{
    (void)key;
    ++*(size_t *)arg;
    return OK;
}

static size_t blobs(struct test *t, enum blob_kind kind)
{
    size_t n = 0;

    check_ok(blob_each(t->w.s->blobs, t->w.a, kind, count_blob, &n));
    return n;
}

/* --- contents and xorbs --- */

static void test_a_content_goes_in_its_steps(void **state)
{
    struct test *t = *state;
    struct content kept = add_content(t, 1, true), lost = add_content(t, 2, false);
    struct gc_result r;

    commit_main(&t->w, &t->repo, "+x=1");
    r = collect(t, no_orphans);
    assert_int_equal(r.files + r.condemned + r.xorbs + r.orphan_blobs + r.repo_files, 0);

    age(t);
    run_sql(&t->w, SQL("UPDATE repo_file SET pushed_at = 4000000000000")); /* pushed just now */
    r = collect(t, dry);
    assert_int_equal(r.files, 1);
    assert_int_equal(ROWS(t, "file WHERE 1"), 2);

    r = collect(t, no_orphans); /* everything at once, as a wait of 0 allows */
    assert_int_equal(r.files, 1);
    assert_int_equal(r.condemned, 1);
    assert_int_equal(r.xorbs, 1);
    assert_true(r.xorb_bytes > BIG / 2);
    assert_int_equal(ROWS(t, "file WHERE 1"), 1);
    assert_int_equal(ROWS(t, "xorb WHERE 1"), 1);
    assert_int_equal(ROWS(t, "file_part WHERE 1"), 1);
    assert_int_equal(ROWS(t, "file_xorb WHERE 1"), 1);
    assert_int_equal(blobs(t, BLOB_XORB), 1);
    assert_int_equal(blobs(t, BLOB_XORB_INDEX), 1);
    check_readable(t, &kept, 1);
    assert_int_equal(ROWS(t, "chunk_key WHERE xorb_id NOT IN (SELECT id FROM xorb)"), 0);
    (void)lost;
}

static void test_a_wait_lies_between_condemned_and_removed(void **state)
{
    struct test *t = *state;
    struct gc_result r;

    (void)add_content(t, 1, false);
    age(t);
    r = collect(t, NULL);
    assert_int_equal(r.condemned, 1);
    assert_int_equal(r.xorbs, 0);
    assert_int_equal(ROWS(t, "xorb WHERE state = 'condemned'"), 1);
    assert_int_equal(ROWS(t, "chunk_key WHERE 1"), 0);
    r = collect(t, NULL);
    assert_int_equal(r.condemned + r.xorbs, 0);
    run_sql(&t->w, SQL("UPDATE xorb SET condemned_at = condemned_at - 86400001"));
    r = collect(t, dry);
    assert_int_equal(r.xorbs, 1);
    r = collect(t, NULL);
    assert_int_equal(r.xorbs, 1);
    assert_int_equal(blobs(t, BLOB_XORB), 0);
}

static void test_a_lease_keeps_and_brings_back(void **state)
{
    struct test *t = *state;
    struct gc_result r;
    int64_t id;
    bool all;

    (void)add_content(t, 1, false);
    age(t);
    id = rows(t, SQL("SELECT max(id) FROM xorb WHERE ?1 = ?1"));
    check_ok(xorb_lease(t->w.s, &id, 1, &all)); /* before it is condemned */
    r = collect(t, no_wait);
    assert_int_equal(r.files, 1);
    assert_int_equal(r.condemned, 0);

    run_sql(&t->w, SQL("UPDATE xorb SET lease_until = " LONG_AGO));
    r = collect(t, NULL);
    assert_int_equal(r.condemned, 1);
    check_ok(xorb_lease(t->w.s, &id, 1, &all)); /* between the steps */
    assert_true(all);
    r = collect(t, no_wait);
    assert_int_equal(r.condemned + r.xorbs, 0);
    assert_int_equal(ROWS(t, "xorb WHERE state = 'live'"), 1);
}

static void test_an_upload_brings_back(void **state)
{
    struct test *t = *state;
    struct content c;
    struct gc_result r;

    (void)add_content(t, 1, false);
    age(t);
    r = collect(t, NULL);
    assert_int_equal(r.condemned, 1);
    c = add_content(t, 1, true);
    r = collect(t, no_orphans);
    assert_int_equal(r.xorbs, 0);
    assert_int_equal(ROWS(t, "xorb WHERE state = 'live'"), 1);
    assert_int_equal(blobs(t, BLOB_XORB), 1);
    check_readable(t, &c, 1);
}

static void test_a_row_with_a_content_is_never_removed(void **state)
{
    struct test *t = *state;
    struct content c = add_content(t, 1, true);
    struct gc_result r;

    run_sql(&t->w, SQL("UPDATE xorb SET state = 'condemned', condemned_at = 1, lease_until = 1"));
    r = collect(t, no_wait);
    assert_int_equal(r.xorbs, 0);
    assert_int_equal(ROWS(t, "xorb WHERE state = 'live'"), 1);
    check_readable(t, &c, 1);
}

static void test_a_damaged_xorb_goes_too(void **state)
{
    struct test *t = *state;
    struct gc_result r;

    (void)add_content(t, 1, false);
    age(t);
    run_sql(&t->w, SQL("UPDATE xorb SET state = 'damaged'"));
    r = collect(t, no_orphans);
    assert_int_equal(r.xorbs, 1);
    assert_int_equal(ROWS(t, "xorb WHERE 1"), 0);
}

static void test_holds_and_buckets_are_roots(void **state)
{
    struct test *t = *state;
    struct content held = add_content(t, 1, false), in_bucket = add_content(t, 2, false);
    struct gc_result r;

    age(t);
    run_sql(&t->w, SQL("INSERT INTO file_hold(repo_id, file_id, until) VALUES (7, 1, "
                       "4000000000000), (7, 2, 1000)"));
    run_sql(&t->w, SQL("INSERT INTO bucket_file(repo_id, path, file_id, size, mtime, uploaded_at, "
                       "seq) VALUES (7, 'x', 2, 1, 1, 1, 1)"));
    r = collect(t, contents_only);
    assert_int_equal(r.files + r.condemned, 0);
    assert_int_equal(ROWS(t, "file_hold WHERE 1"), 1); /* the other one ran out */
    run_sql(&t->w, SQL("DELETE FROM bucket_file"));
    run_sql(&t->w, SQL("UPDATE file_hold SET until = 1000"));
    r = collect(t, NULL);
    assert_int_equal(r.files, 2);
    (void)held, (void)in_bucket;
}

/* --- holds of the blobs --- */

static void test_nothing_is_unlinked_while_held(void **state)
{
    struct test *t = *state;
    struct gc_result r;
    oid loose;
    bool held;
    str id;

    (void)add_content(t, 1, false);
    loose = loose_commit(&t->w, &t->repo, NULL, 0, "+lost=1");
    age(t);
    check_ok(gc_hold_take(t->w.s, t->w.a, &id));
    check_ok(gc_hold_beat(t->w.s, id));
    r = collect(t, no_orphans);
    assert_true(r.held);
    assert_int_equal(r.git_objects, 0);
    assert_int_equal(r.xorbs, 0);
    assert_int_equal(blobs(t, BLOB_XORB), 1);
    assert_int_equal(ROWS(t, "xorb WHERE 1"), 1);

    run_sql(&t->w, SQL("UPDATE gc_hold SET beat_at = 1000")); /* its holder died */
    check_fails(gc_hold_beat(t->w.s, id), 409);
    check_ok(gc_is_held(t->w.s->hub, &held));
    assert_false(held);
    check_ok(gc_hold_release(t->w.s, id));
    assert_int_equal(ROWS(t, "gc_hold WHERE 1"), 0);
    r = collect(t, no_orphans);
    assert_false(r.held);
    assert_true(r.git_objects > 0);
    assert_int_equal(r.xorbs, 1);
    (void)loose;
}

/* --- blobs without rows --- */

static str put_orphan(struct test *t, enum blob_kind kind, int64_t generation)
{
    struct blob_key key = {kind, random_hex(t->w.a, 32), generation};
    struct blob_writer *w;
    bool is_new;

    check_ok(blob_writer_new(t->w.s->blobs, t->w.a, &w));
    check_ok(blob_write(w, t->w.a, "x", 1));
    check_ok(blob_put(w, t->w.a, key, &is_new));
    return key.hash;
}

static void make_old(struct test *t, const char *place, str hash, const char *rest)
{
    const struct timeval old[2] = {{1000, 0}, {1000, 0}};
    str path = arena_printf(t->w.a, "%s/blob/%s/%.2s/%.*s%s", t->w.dir.path, place, hash.ptr,
                            STR_FMT(hash), rest);

    assert_int_equal(utimes(path.ptr, old), 0);
}

static void test_blobs_without_rows_go_when_they_are_old(void **state)
{
    struct test *t = *state;
    struct content kept = add_content(t, 1, true);
    struct intake *in;
    struct gc_result r;
    str fresh, xorb, shard;

    fresh = put_orphan(t, BLOB_XORB, 5);
    xorb = put_orphan(t, BLOB_XORB, 7);
    shard = put_orphan(t, BLOB_SHARD, 0);
    make_old(t, "xorb", xorb, ".7");
    make_old(t, "shard", shard, "");
    r = collect(t, dry);
    assert_int_equal(r.orphan_blobs, 2);
    assert_int_equal(blobs(t, BLOB_XORB), 3);
    r = collect(t, NULL);
    assert_int_equal(r.orphan_blobs, 2);
    assert_int_equal(blobs(t, BLOB_XORB), 2);
    assert_int_equal(blobs(t, BLOB_SHARD), 0);
    check_readable(t, &kept, 1);

    /* an upload that runs for days has blobs without rows */
    check_ok(intake_new(t->w.s, t->w.a, &in));
    xorb = put_orphan(t, BLOB_XORB, xorb_fresh_generation());
    r = collect(t, no_orphans);
    assert_int_equal(r.orphan_blobs, 1); /* `fresh`, which is older than the upload */
    intake_drop(in);
    r = collect(t, NULL);
    assert_int_equal(r.orphan_blobs, 0); /* a day is not over */
    (void)fresh;
}

/* --- shards --- */

static void test_shards_follow_their_files(void **state)
{
    struct test *t = *state;
    struct gc_result r;

    (void)add_content(t, 1, false);
    run_sql(&t->w, SQL("INSERT INTO shard(id, hash, size, created_at) VALUES (1, x'01', 1, 1000), "
                       "(2, x'02', 1, 1000)"));
    run_sql(&t->w, SQL("INSERT INTO shard_file(file_id, shard_id) VALUES (1, 1)"));
    r = collect(t, NULL);
    assert_int_equal(r.shards, 1);
    age(t);
    r = collect(t, NULL);
    assert_int_equal(r.files, 1);
    assert_int_equal(r.shards, 1);
    assert_int_equal(ROWS(t, "shard_file WHERE 1"), 0);
}

/* --- git --- */

static bool has_object(struct test *t, oid id)
{
    enum obj_type type;
    uint64_t size;
    bool found;

    check_ok(odb_header(object_odb(t->w.s, t->w.a, t->repo.id), t->w.a, id, &type, &size, &found));
    return found;
}

static void test_what_refs_reach_stays(void **state)
{
    struct test *t = *state;
    oid old, proposal, tagged, loose, young;
    struct gc_result r;
    int64_t all;

    old = commit_main(&t->w, &t->repo, "+a=1|+d/b=2");
    proposal = loose_commit(&t->w, &t->repo, &old, 1, "+pr=3");
    assert_null(move_ref(&t->w, &t->repo, "refs/pr/1", OID_ZERO, proposal));
    tagged = loose_commit(&t->w, &t->repo, NULL, 0, "+tag=4");
    assert_null(move_ref(&t->w, &t->repo, "refs/tags/v1", OID_ZERO, tagged));
    commit_main(&t->w, &t->repo, "-a|-d/b|+c=5");
    all = git_rows(t);
    loose = loose_commit(&t->w, &t->repo, NULL, 0, "+lost=6|+more/lost=7");
    age(t);
    young = loose_commit(&t->w, &t->repo, NULL, 0, "+young=8");

    r = collect(t, dry);
    assert_int_equal(r.git_objects, 5);
    assert_true(has_object(t, loose));
    r = collect(t, NULL);
    assert_int_equal(r.repos_marked, 1);
    assert_int_equal(r.git_objects, 5); /* commit, two trees, two blobs */
    assert_int_equal(git_rows(t), all + 3);
    assert_false(has_object(t, loose));
    assert_true(has_object(t, young) && has_object(t, old) && has_object(t, proposal) &&
                has_object(t, tagged));
    check_branch(&t->w, &t->repo, "main");

    r = collect(t, NULL); /* nothing changed, nothing is due */
    assert_int_equal(r.repos_marked, 0);
    run_sql(&t->w, SQL("UPDATE gc_mark SET due_at = 1000"));
    run_git(t, SQL("UPDATE object SET seen_at = " LONG_AGO));
    r = collect(t, NULL);
    assert_int_equal(r.repos_marked, 1);
    assert_int_equal(r.git_objects, 3);
    assert_int_equal(git_rows(t), all);
}

static void test_a_short_grace_spares_what_was_just_seen(void **state)
{
    struct test *t = *state;
    struct gc_options o;
    struct gc_result r;

    (void)loose_commit(&t->w, &t->repo, NULL, 0, "+lost=1");
    gc_defaults(&o);
    o.git_grace_ms = 0;
    check_ok(gc_run(t->w.s, t->w.a, &o, NULL, &r));
    assert_int_equal(r.repos_marked, 1);
    assert_int_equal(r.git_objects, 0);
}

static void test_writing_an_old_object_renews_it(void **state)
{
    struct test *t = *state;
    struct odb *o = object_odb(t->w.s, t->w.a, t->repo.id);
    struct gc_result r;
    oid id;

    check_ok(odb_write(o, t->w.a, OBJ_BLOB, STR("used again"), &id));
    check_ok(object_flush(o));
    age(t);
    check_ok(odb_write(o, t->w.a, OBJ_BLOB, STR("used again"), &id));
    r = collect(t, NULL); /* between the write and the flush: it goes */
    assert_true(r.git_objects > 0);
    check_ok(object_flush(o)); /* and is there all the same */
    assert_true(has_object(t, id));
    r = collect(t, NULL);
    assert_true(has_object(t, id));
}

/* A commit on a commit that no ref has any more, by its id. */
static void test_a_ref_may_return_to_an_old_commit(void **state)
{
    struct test *t = *state;
    oid lost = loose_commit(&t->w, &t->repo, NULL, 0, "+lost=1|+d/lost=2");
    struct odb *o = object_odb(t->w.s, t->w.a, t->repo.id);
    struct gc_result r;
    size_t missing;

    age(t);
    check_ok(ref_keep(t->w.s, t->w.a, &t->repo, o, lost));
    r = collect(t, NULL); /* the ref has not moved yet */
    assert_int_equal(r.git_objects, 0);
    assert_null(move_ref(&t->w, &t->repo, "refs/heads/back", OID_ZERO, lost));
    check_branch(&t->w, &t->repo, "back");

    assert_null(move_ref(&t->w, &t->repo, "refs/heads/back", lost, OID_ZERO));
    age(t);
    run_sql(&t->w, SQL("UPDATE gc_mark SET due_at = 1000"));
    r = collect(t, NULL);
    assert_int_equal(r.git_objects, 5);
    check_fails(ref_keep(t->w.s, t->w.a, &t->repo, o, lost), 404);
    check_ok(object_renew(t->w.s, t->repo.id, &lost, 1, &missing));
    assert_int_equal(missing, 1);
}

/* Refs move while the objects of a repository are looked at. */
#define LOST 30

struct mover {
    struct test *t;
    oid lost[LOST];
    bool moved;
};

/* Some are gone by then; one that is whole becomes a branch. */
static bool move_meanwhile(void *arg, const char *what, uint64_t done)
{
    struct mover *m = arg;
    struct test *t = m->t;
    struct odb *o = object_odb(t->w.s, t->w.a, t->repo.id);

    if (m->moved || done == 0 || !str_eq(str_c(what), STR("git objects removed")))
        return true;
    for (int i = 0; i < LOST && !m->moved; i++) {
        if (ref_keep(t->w.s, t->w.a, &t->repo, o, m->lost[i]))
            continue;
        m->moved = true;
        assert_null(move_ref(&t->w, &t->repo, "refs/heads/back", OID_ZERO, m->lost[i]));
    }
    commit_main(&t->w, &t->repo, "+while=gc|+sub/x=y");
    return true;
}

static void test_refs_move_between_mark_and_sweep(void **state)
{
    struct test *t = *state;
    struct mover m = {.t = t};
    struct gc_watch w = {move_meanwhile, &m};
    struct gc_options o;
    struct gc_result r;

    for (int i = 0; i < 20; i++) { /* more than one page of objects, and several batches */
        char changes[1500] = "";

        for (int k = 0; k < 60; k++)
            (void)snprintf(changes + strlen(changes), sizeof changes - strlen(changes),
                           "%s+f%d=%d of %d", k ? "|" : "", k, k, i);
        (void)loose_commit(&t->w, &t->repo, NULL, 0, changes);
    }
    for (int i = 0; i < LOST; i++)
        m.lost[i] = loose_commit(&t->w, &t->repo, NULL, 0,
                                 arena_printf(t->w.a, "+zz/lost=%d|+yy/lost=2", i).ptr);
    age(t);
    gc_defaults(&o);
    check_ok(gc_run(t->w.s, t->w.a, &o, &w, &r));
    assert_true(m.moved);
    assert_true(r.git_objects > 200);
    check_branch(&t->w, &t->repo, "back");
    check_branch(&t->w, &t->repo, "main");
}

static void test_a_damaged_repository_is_left_alone(void **state)
{
    struct test *t = *state;
    struct gc_result r;
    oid head = commit_main(&t->w, &t->repo, "+a=1");

    (void)loose_commit(&t->w, &t->repo, NULL, 0, "+lost=1");
    age(t);
    run_git(t, SQL("DELETE FROM object WHERE type = 2"));
    r = collect(t, NULL);
    assert_int_equal(r.repos_skipped, 1);
    assert_int_equal(r.git_objects, 0);
    assert_true(has_object(t, head));
}

/* --- large files without a pointer --- */

static void commit_pointer(struct test *t, const struct content *c, const char *path)
{
    str text = lfs_pointer_format(t->w.a, (struct lfs_pointer){c->sha256, c->size});
    struct odb *o = object_odb(t->w.s, t->w.a, t->repo.id);
    struct tree_edit edit = {.path = str_c(path), .mode = MODE_FILE};
    struct commit_request q = {.repo = &t->repo,
                               .odb = o,
                               .ref = STR(MAIN),
                               .title = STR("large"),
                               .author = AUTHOR,
                               .edits = &edit,
                               .edit_count = 1};
    struct commit_result done;

    check_ok(odb_write(o, t->w.a, OBJ_BLOB, text, &edit.id));
    check_ok(commit_apply(t->w.s, t->w.a, &q, &done));
}

static void test_large_files_without_a_pointer_go(void **state)
{
    struct test *t = *state;
    struct content used = add_content(t, 1, true), past = add_content(t, 2, true),
                   never = add_content(t, 3, true), again = add_content(t, 4, true);
    struct gc_result r;
    struct content c;
    size_t missing;
    bool found;

    commit_pointer(t, &used, "now.bin");
    commit_pointer(t, &past, "past.bin");
    commit_main(&t->w, &t->repo, "-past.bin"); /* the history still has it */
    r = collect(t, NULL);
    assert_int_equal(r.repo_files, 0); /* too young */
    age(t);
    run_sql(&t->w, SQL("UPDATE gc_mark SET due_at = 1000"));
    check_ok(repo_file_use(t->w.s->hub, t->repo.id, &again.sha256, 1, &missing));
    assert_int_equal(missing, 0);
    r = collect(t, NULL);
    assert_int_equal(r.repo_files, 1);
    check_ok(repo_file_find(t->w.s->hub, t->repo.id, never.sha256, &c, &found));
    assert_false(found);
    check_ok(repo_file_use(t->w.s->hub, t->repo.id, &never.sha256, 1, &missing));
    assert_int_equal(missing, 1);
    check_ok(repo_file_find(t->w.s->hub, t->repo.id, again.sha256, &c, &found));
    assert_true(found);
    assert_int_equal(reread(&t->w, &t->repo).used_storage, 3 * BIG);
    check_readable(t, &used, 1);
    check_readable(t, &past, 2);
}

/* --- the whole --- */

struct stopper {
    int after, seen;
};

static bool stop_after(void *arg, const char *what, uint64_t done)
{
    struct stopper *s = arg;

    (void)what, (void)done;
    return ++s->seen < s->after;
}

static void test_a_run_may_stop_anywhere(void **state)
{
    struct test *t = *state;
    struct content c = add_content(t, 1, true);
    struct gc_state known;
    struct gc_options o;
    struct gc_result r;

    (void)add_content(t, 2, false);
    (void)loose_commit(&t->w, &t->repo, NULL, 0, "+lost=1");
    commit_pointer(t, &c, "a.bin");
    age(t);
    gc_defaults(&o);
    o.xorb_wait_ms = 0;
    for (int after = 1;; after++) {
        struct stopper s = {.after = after};
        struct gc_watch w = {stop_after, &s};

        check_ok(gc_run(t->w.s, t->w.a, &o, &w, &r));
        check_readable(t, &c, 1);
        check_branch(&t->w, &t->repo, "main");
        if (!r.stopped)
            break;
        check_ok(gc_state_read(t->w.s->hub, &known));
        assert_int_equal(known.last_gc_ms, 0);
    }
    check_ok(gc_state_read(t->w.s->hub, &known));
    assert_true(known.last_gc_ms > 0);
    assert_int_equal(ROWS(t, "xorb WHERE 1"), 1);
}

/* --- scrub --- */

static void test_scrub_reads_and_finds_damage(void **state)
{
    struct test *t = *state;
    struct content bad = add_content(t, 2, true), good = add_content(t, 1, true);
    struct scrub_result r;
    struct gc_state known;
    char byte;
    int fd;
    str path;

    check_ok(gc_state_read(t->w.s->hub, &known));
    assert_true(known.oldest_check_ms > 0); /* when it was written */
    check_ok(scrub_run(t->w.s, t->w.a, 1, NULL, &r));
    assert_int_equal(r.xorbs, 1);
    assert_int_equal(r.damaged, 0);
    assert_int_equal(ROWS(t, "xorb WHERE checked_at > 0"), 1);
    check_ok(scrub_all(t->w.s, t->w.a, 1u << 30, NULL, &r));
    assert_int_equal(r.xorbs, 2);
    assert_true(r.oldest_check_ms > 1000000000000);

    {
        struct db_stmt *q = NULL;
        char hex[HASH_TEXT];
        xorb_hash h;

        check_ok(db_query(t->w.s->hub, &q, SQL("SELECT hash, generation FROM xorb ORDER BY id")));
        assert_true(db_next(q));
        assert_true(db_hash(q, 0, h.b, sizeof h.b));
        xorb_hash_write(hex, h);
        path = arena_printf(t->w.a, "%s/blob/xorb/%.2s/%.64s.%lld", t->w.dir.path, hex, hex,
                            (long long)db_i64(q, 1));
        db_stmt_close(&q);
    }
    fd = open(path.ptr, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, BIG / 2), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, BIG / 2), 1);
    close(fd);
    check_ok(scrub_all(t->w.s, t->w.a, 0, NULL, &r));
    assert_int_equal(r.damaged, 1);
    check_ok(gc_state_read(t->w.s->hub, &known));
    assert_int_equal(known.damaged, 1);
    check_ok(scrub_all(t->w.s, t->w.a, 0, NULL, &r));
    assert_int_equal(r.damaged, 0); /* it is known */
    assert_int_equal(r.xorbs, 1);
    bad = add_content(t, 2, true); /* repaired */
    check_readable(t, &bad, 2);
    check_readable(t, &good, 1);
}

static void test_scrub_throws_a_damaged_shard_away(void **state)
{
    struct test *t = *state;
    struct blob_key key = {BLOB_SHARD, STR_NONE, 0};
    chunk_hash h = chunk_hash_of("shard", 5);
    struct blob_writer *w;
    struct scrub_result r;
    bool is_new;

    key.hash = chunk_hash_text(t->w.a, h);
    check_ok(blob_writer_new(t->w.s->blobs, t->w.a, &w));
    check_ok(blob_write(w, t->w.a, "shard", 5));
    check_ok(blob_put(w, t->w.a, key, &is_new));
    {
        AUTO_STMT struct db_stmt *q = NULL;
        str hex = hex_encode(t->w.a, h.b, sizeof h.b);
        str sql = arena_printf(t->w.a,
                               "INSERT INTO shard(id, hash, size, created_at) VALUES (1, x'%.*s', "
                               "5, 1)",
                               STR_FMT(hex));

        run_sql(&t->w, (struct sql){sql.ptr});
    }
    run_sql(&t->w, SQL("INSERT INTO shard_file(file_id, shard_id) VALUES (9, 1)"));
    check_ok(scrub_all(t->w.s, t->w.a, 0, NULL, &r));
    assert_int_equal(r.damaged, 0);
    assert_int_equal(ROWS(t, "shard WHERE checked_at > 0"), 1);
    check_ok(blob_remove(t->w.s->blobs, t->w.a, key));
    check_ok(scrub_all(t->w.s, t->w.a, 0, NULL, &r));
    assert_int_equal(r.damaged, 1);
    assert_int_equal(ROWS(t, "shard WHERE 1"), 0);
    assert_int_equal(ROWS(t, "shard_file WHERE 1"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_content_goes_in_its_steps),
        TEST(test_a_wait_lies_between_condemned_and_removed),
        TEST(test_a_lease_keeps_and_brings_back),
        TEST(test_an_upload_brings_back),
        TEST(test_a_row_with_a_content_is_never_removed),
        TEST(test_a_damaged_xorb_goes_too),
        TEST(test_holds_and_buckets_are_roots),
        TEST(test_nothing_is_unlinked_while_held),
        TEST(test_blobs_without_rows_go_when_they_are_old),
        TEST(test_shards_follow_their_files),
        TEST(test_what_refs_reach_stays),
        TEST(test_a_short_grace_spares_what_was_just_seen),
        TEST(test_writing_an_old_object_renews_it),
        TEST(test_a_ref_may_return_to_an_old_commit),
        TEST(test_refs_move_between_mark_and_sweep),
        TEST(test_a_damaged_repository_is_left_alone),
        TEST(test_large_files_without_a_pointer_go),
        TEST(test_a_run_may_stop_anywhere),
        TEST(test_scrub_reads_and_finds_damage),
        TEST(test_scrub_throws_a_damaged_shard_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
