/* store_commit_test.c — commits through the store: after every one, what is kept of the branch is
 * what its git trees hold, and who changed each path last is what the history says. */
#include "base/clock.h"
#include "store/stat.h"
#include "store_world.h"

static struct account owner;

static int begin(void **state)
{
    if (world_begin(state) != 0)
        return 1;
    owner = add_user(*state, "owner");
    return 0;
}

/* --- the first commit --- */

static void the_first_commit(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "first");
    struct revision rev = revision(w, &r, "main");
    struct commit_obj c;
    oid commit = rev.commit;

    assert_true(r.is_pristine);
    assert_true(sha1_eq(r.head, commit));
    assert_true(r.updated_at_ms > 0 && r.updated_at_ms <= clock_ms());
    check_ok(commit_read(object_odb(w->s, w->a, r.id), w->a, commit, &c));
    assert_int_equal(c.parent_count, 0);
    check_str(c.message, "initial commit\n");
    check_str(c.author.name, "Ada");
    check_str(c.author.email, "ada@example.org");
    check_branch(w, &r, "main");
    check_str(text_at(w, &r, "main", "README.md"), "# hello\n");
    (void)commit_main(w, &r, "+a=1");
    assert_false(reread(w, &r).is_pristine);
    assert_false(sha1_eq(reread(w, &r).head, commit));
}

static void without_files(void **state)
{
    struct world *w = *state;
    struct revision rev;
    struct entry e;
    struct repo r;
    bool found;

    check_ok(try_repo(w, &owner, "empty", NULL, 0, &r));
    check_branch(w, &r, "main");
    rev = revision(w, &r, "main");
    check_ok(entry_find(w->s, w->a, &r, &rev, STR(""), &e, &found));
    assert_true(found && sha1_eq(e.oid, oid_empty_tree));
    (void)commit_main(w, &r, "+a/b=1");
    check_branch(w, &r, "main");
    (void)commit_main(w, &r, "-a/b"); /* empty again */
    check_branch(w, &r, "main");
}

static void a_first_commit_that_fails_leaves_no_repository(void **state)
{
    struct world *w = *state;
    const struct first_file bad[] = {{STR("a/../b"), STR("x")}};
    struct repo r;

    check_fails(try_repo(w, &owner, "undone", bad, 1, &r), 400);
    check_ok(repo_find(w->s, w->a, REPO_MODEL, STR("owner/undone"), &r, NULL));
    assert_int_equal(r.id, 0);
    check_ok(try_repo(w, &owner, "undone", NULL, 0, &r));
}

/* --- edits --- */

static err only_the_row(struct db *tx, void *arg)
{
    struct repo r;
    struct repo_new *n = arg;
    struct arena *a = arena_new(0);
    err e = repo_insert(tx, a, n, &r);

    arena_free(a);
    return e;
}

/* A crash between the row and the first commit: creating it again goes on with it, once. */
static void an_unfinished_creation_is_continued(void **state)
{
    struct world *w = *state;
    struct account u = add_user(w, "unfinished");
    struct repo_new n = {.owner = &u, .creator_id = u.id, .name = STR("half")};
    struct first_file f = {STR("a.txt"), STR("a")};
    struct commit_author by = {STR("unfinished"), STR("u@x")};
    struct repo r;

    check_ok(db_write(w->s->hub, only_the_row, &n));
    check_ok(commit_initial(w->s, w->a, &n, &f, 1, by, &r));
    assert_false(sha1_is_zero(r.head));
    check_fails(commit_initial(w->s, w->a, &n, &f, 1, by, &r), 409);
}

static void files_become_folders_and_back(void **state)
{
    static const char *const steps[] = {
        "+a=file",
        "+a/b=1|+a/c=2",                 /* the file a gives way to a folder */
        "+a.txt=3|+a-b=4|+a0=5|+ab/x=6", /* neighbours of "a/" in byte order */
        "+a/b/deep/er=7",                /* and again, one level down */
        "-a/b/deep/er",                  /* its folders go with it */
        "+a=file again",                 /* a folder gives way to a file */
        "-a",
        "+a/x=1|+a/y=1|+a/z/q=1",
        "-a/", /* a folder with a slash, as clients say it */
        "+x y/\xc3\xa9 \xe6\x97\xa5.txt=1|+x y/[b]*?.txt=2|+x%20y=3",
        "+k=1|-k|+k=2", /* the last one wins */
        "+p/q=1|-p/q|+p/r=2",
        "-x y/\xc3\xa9 \xe6\x97\xa5.txt",
        "+README.md=# new\n|-.gitattributes",
    };
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "shapes");

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        (void)commit_main(w, &r, steps[i]);
        check_branch(w, &r, "main");
    }
    check_str(text_at(w, &r, "main", "k"), "2");
    check_str(text_at(w, &r, "main", "x y/[b]*?.txt"), "2");
    assert_null(text_at(w, &r, "main", "p/q").ptr);
}

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 9;
}

/* A change of one to four paths out of few, so that they collide. */
static str random_changes(struct world *w, uint32_t *random)
{
    static const char *const paths[] = {"a",   "a/b",  "a/b/c", "a/b/d",  "a/e", "a.b",
                                        "a-",  "b/a",  "b/b/b", "c",      "c/c", "d/1",
                                        "d/2", "d/10", "e f/g", "z/y/x/w"};
    str text = STR("");

    for (unsigned n = 1 + next(random) % 4; n > 0; n--)
        text = arena_cat(w->a, text, text.len ? STR("|") : STR(""),
                         arena_printf(w->a, next(random) % 3 ? "+%s=%u" : "-%s",
                                      paths[next(random) % (sizeof paths / sizeof *paths)],
                                      next(random) % 50));
    return text;
}

static void random_edits(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "random");
    uint32_t random = 2024;
    int done = 0, refused = 0;

    for (int i = 0; i < 120; i++) {
        struct commit_result c;
        err e = try_commit_to(w, &r, MAIN, random_changes(w, &random).ptr, &c);

        if (e) {
            assert_int_equal(e->status, 404);
            assert_string_equal(e->code, "EntryNotFound");
            refused++;
        } else {
            done++;
        }
        check_branch(w, &r, "main");
    }
    assert_true(done > 30 && refused > 5);
}

static void nothing_to_change(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "same");
    oid head = commit_main(w, &r, "+a=1");
    struct commit_result c;

    check_ok(try_commit_to(w, &r, MAIN, "+a=1", &c));
    assert_true(c.unchanged);
    assert_true(sha1_eq(c.commit, head));
    check_ok(try_commit_to(w, &r, MAIN, "+b=1|-b", &c));
    assert_true(c.unchanged);
    check_ok(try_commit_to(w, &r, MAIN, "+b=1", &c));
    assert_false(c.unchanged);
    check_ok(try_commit_to(w, &r, MAIN, "", &c));
    assert_true(c.unchanged);
}

static void a_missing_path_changes_nothing(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "missing");
    struct commit_result c;
    err e = try_commit_to(w, &r, MAIN, "+new=1|-old", &c);

    check_fails(e, 404);
    assert_string_equal(e->code, "EntryNotFound");
    assert_null(text_at(w, &r, "main", "new").ptr);
    assert_true(sha1_eq(revision(w, &r, "main").commit, r.head));
}

static void messages(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "messages");
    struct odb *o = object_odb(w->s, w->a, r.id);
    struct tree_edit *edits;
    struct commit_request q = {.repo = &r,
                               .odb = o,
                               .ref = STR(MAIN),
                               .title = STR("Title"),
                               .body = STR("Two\nlines"),
                               .author = {STR("A <b>\n"), STR("")}};
    struct commit_result c;
    struct commit_obj made;

    q.edit_count = read_changes(w, o, "+a=1", &edits);
    q.edits = edits;
    check_ok(commit_apply(w->s, w->a, &q, &c));
    check_ok(commit_read(o, w->a, c.commit, &made));
    check_str(made.message, "Title\n\nTwo\nlines\n");
    assert_false(str_has(made.author.name, STR("<")));
    assert_int_equal(made.parent_count, 1);
    assert_true(sha1_eq(made.parents[0], r.head));
}

static oid sha(const char *hex)
{
    oid id;

    assert_true(sha1_from_hex(str_c(hex), &id));
    return id;
}

/* One file put on top of `parent`. */
static err commit_on(struct world *w, const struct repo *r, oid parent, const char *changes,
                     struct commit_result *ret)
{
    struct odb *o = object_odb(w->s, w->a, r->id);
    struct tree_edit *edits;
    struct commit_request q = {.repo = r,
                               .odb = o,
                               .ref = STR(MAIN),
                               .title = STR("t"),
                               .author = AUTHOR,
                               .has_parent = true,
                               .parent = parent};

    q.edit_count = read_changes(w, o, changes, &edits);
    q.edits = edits;
    return commit_apply(w->s, w->a, &q, ret);
}

static void an_old_parent_is_a_conflict(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "conflict");
    struct commit_result one, two;

    check_ok(commit_on(w, &r, r.head, "+a=1", &one));
    check_fails(commit_on(w, &r, r.head, "+b=1", &two), 412);
    check_fails(commit_on(w, &r, r.head, "+a=1", &two),
                412); /* also when it would change nothing */
    check_fails(commit_on(w, &r, OID_ZERO, "+b=1", &two), 412);
    check_fails(commit_on(w, &r, sha("1111111111111111111111111111111111111111"), "+b=1", &two),
                412);
    check_ok(commit_on(w, &r, one.commit, "+b=1", &two));
    check_branch(w, &r, "main");
}

static void refs_that_are_not_there(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "norefs");
    struct commit_result c;
    err e = try_commit_to(w, &r, "refs/heads/none", "+a=1", &c);

    check_fails(e, 404);
    assert_string_equal(e->code, "RevisionNotFound");
    check_ok(repo_hide(w->s, r.id));
    e = try_commit_to(w, &r, MAIN, "+a=1", &c);
    check_fails(e, 404);
    assert_string_equal(e->code, "RepoNotFound");
}

static void a_pull_request_begins_at_its_base(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "pulled");
    struct odb *o = object_odb(w->s, w->a, r.id);
    struct tree_edit *edits;
    struct commit_request q = {.repo = &r,
                               .odb = o,
                               .ref = STR("refs/pr/1"),
                               .title = STR("t"),
                               .author = AUTHOR,
                               .may_create_ref = true,
                               .base = r.head};
    struct commit_result c;
    struct commit_obj made;
    struct revision rev;

    (void)commit_main(w, &r, "+later=1");
    q.edit_count = read_changes(w, o, "+a=1", &edits);
    q.edits = edits;
    check_ok(commit_apply(w->s, w->a, &q, &c));
    check_ok(commit_read(o, w->a, c.commit, &made));
    assert_true(sha1_eq(made.parents[0], r.head));
    rev = revision(w, &r, "refs/pr/1");
    assert_true(sha1_eq(rev.commit, c.commit));
    assert_int_equal(rev.branch_id, 0); /* git is walked */
    check_str(text_at(w, &r, "refs/pr/1", "a"), "1");
    assert_null(text_at(w, &r, "refs/pr/1", "later").ptr);
    (void)commit_to(w, &r, "refs/pr/1", "+b=2");
    check_str(text_at(w, &r, "refs/pr/1", "b"), "2");
    assert_null(text_at(w, &r, "main", "b").ptr);
    check_branch(w, &r, "main");
}

/* --- what belongs to the same transaction --- */

static err note_also(struct db *tx, oid commit, void *arg)
{
    (void)commit;
    if (arg)
        return arg;
    return db_exec(tx, SQL("UPDATE repo SET likes = 77 WHERE full_key = 'owner/also'"));
}

static void also_is_all_or_nothing(void **state)
{
    static struct err_info no = {418, NULL, STR_INIT("No."), NULL, {0}};
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "also");
    struct odb *o = object_odb(w->s, w->a, r.id);
    struct tree_edit *edits;
    struct commit_request q = {.repo = &r,
                               .odb = o,
                               .ref = STR(MAIN),
                               .title = STR("t"),
                               .author = AUTHOR,
                               .also = note_also,
                               .also_arg = &no};
    struct commit_result c;

    q.edit_count = read_changes(w, o, "+a=1", &edits);
    q.edits = edits;
    assert_ptr_equal(commit_apply(w->s, w->a, &q, &c), &no);
    assert_true(sha1_eq(reread(w, &r).head, r.head));
    assert_true(sha1_eq(revision(w, &r, "main").commit, r.head));
    check_branch(w, &r, "main");
    q.also_arg = NULL;
    check_ok(commit_apply(w->s, w->a, &q, &c));
    assert_int_equal(reread(w, &r).likes, 77);
    check_branch(w, &r, "main");
}

static bool seen(struct world *w, const struct repo *r, const char *ref, int64_t user_id,
                 sha256 digest, oid *ret)
{
    bool found;
    int64_t number;

    check_ok(commit_seen(w->s, w->a, r->id, str_c(ref), user_id, digest, &found, ret, &number));
    return found;
}

static void a_repeated_request_is_recognised(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "repeated");
    struct odb *o = object_odb(w->s, w->a, r.id);
    sha256 digest = sha256_of("body", 4), other = sha256_of("others", 6);
    struct tree_edit *edits;
    struct commit_request q = {.repo = &r,
                               .odb = o,
                               .ref = STR(MAIN),
                               .title = STR("t"),
                               .author = AUTHOR,
                               .user_id = owner.id,
                               .has_digest = true,
                               .digest = digest};
    struct commit_result c;
    oid commit;

    q.edit_count = read_changes(w, o, "+a=1", &edits);
    q.edits = edits;
    assert_false(seen(w, &r, MAIN, owner.id, digest, &commit));
    check_ok(commit_apply(w->s, w->a, &q, &c));
    assert_true(seen(w, &r, MAIN, owner.id, digest, &commit));
    assert_true(sha1_eq(commit, c.commit));
    assert_false(seen(w, &r, MAIN, owner.id, other, &commit));
    assert_false(seen(w, &r, MAIN, owner.id + 1, digest, &commit));
    assert_false(seen(w, &r, "refs/heads/other", owner.id, digest, &commit));
    (void)commit_main(w, &r, "+b=1"); /* it is not the head any more */
    assert_false(seen(w, &r, MAIN, owner.id, digest, &commit));
}

static err some_facts(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                      oid head, struct repo_facts *ret)
{
    static const str tags[] = {STR_INIT("gguf")};
    struct commit_obj c;

    (void)s, (void)r;
    TRY(commit_read(o, a, head, &c)); /* the new head can be read before it is durable */
    *ret = (struct repo_facts){.card = STR("{\"x\":1}"),
                               .tags = STR("[\"gguf\"]"),
                               .tag_list = tags,
                               .tag_count = 1,
                               .num_parameters = 42};
    return OK;
}

static void facts_follow_main(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "facts"), now;

    check_ok(move_ref(w, &r, "refs/heads/other", OID_ZERO, r.head));
    commit_facts = some_facts;
    (void)commit_to(w, &r, "refs/heads/other", "+a=1");
    now = reread(w, &r);
    assert_null(now.card.ptr);
    assert_true(sha1_eq(now.head, r.head));
    (void)commit_main(w, &r, "+a=1");
    commit_facts = NULL;
    now = reread(w, &r);
    check_str(now.card, "{\"x\":1}");
    check_str(now.tags, "[\"gguf\"]");
    assert_int_equal(now.num_parameters, 42);
}

static void pointers_to_large_files(void **state)
{
    static const char pointer[] =
        "+m/w.bin=version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:cd00e292c5970d3c5e2f0ffa5171e555bc46bfc4faddfb4a418b6840b86e79a3\nsize "
        "536063208\n";
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "large");
    struct revision rev;
    struct entry e;
    bool found;

    (void)commit_main(w, &r, pointer);
    check_branch(w, &r, "main");
    rev = revision(w, &r, "main");
    check_ok(entry_find(w->s, w->a, &r, &rev, STR("m/w.bin"), &e, &found));
    assert_true(found && e.is_lfs);
    assert_int_equal(e.size, 536063208);
    assert_int_equal(e.pointer_size, 134);
    (void)commit_main(w, &r, "+m/w.bin=not any more");
    check_branch(w, &r, "main");
    rev = revision(w, &r, "main");
    check_ok(entry_find(w->s, w->a, &r, &rev, STR("m/w.bin"), &e, &found));
    assert_false(e.is_lfs);
    assert_int_equal(e.size, 12);
}

/* Everything is there after closing and opening. */
static void it_is_on_disk(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "kept");
    oid head = commit_main(w, &r, "+a/b=1|+c=2");

    store_close(w->s);
    world_open(w);
    check_ok(repo_find(w->s, w->a, REPO_MODEL, STR("owner/kept"), &r, NULL));
    assert_true(sha1_eq(r.head, head));
    check_branch(w, &r, "main");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_commit),
        cmocka_unit_test(without_files),
        cmocka_unit_test(a_first_commit_that_fails_leaves_no_repository),
        cmocka_unit_test(an_unfinished_creation_is_continued),
        cmocka_unit_test(files_become_folders_and_back),
        cmocka_unit_test(random_edits),
        cmocka_unit_test(nothing_to_change),
        cmocka_unit_test(a_missing_path_changes_nothing),
        cmocka_unit_test(messages),
        cmocka_unit_test(an_old_parent_is_a_conflict),
        cmocka_unit_test(refs_that_are_not_there),
        cmocka_unit_test(a_pull_request_begins_at_its_base),
        cmocka_unit_test(also_is_all_or_nothing),
        cmocka_unit_test(a_repeated_request_is_recognised),
        cmocka_unit_test(facts_follow_main),
        cmocka_unit_test(pointers_to_large_files),
        cmocka_unit_test(it_is_on_disk),
    };

    return cmocka_run_group_tests(tests, begin, world_end);
}
