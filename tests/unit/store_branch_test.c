/* store_branch_test.c — branches and tags made, moved, forced and removed; revisions as clients
 * name them; and what is left of a deleted repository. */
#include "store_world.h"

static struct account owner;

static int begin(void **state)
{
    if (world_begin(state) != 0)
        return 1;
    owner = add_user(*state, "owner");
    return 0;
}

/* A repository with a short history; commits[0] is the initial one. */
static struct repo with_history(struct world *w, const char *name, oid commits[5])
{
    static const char *const changes[] = {"+a/b=1|+a/c=1", "+d=2|+a/b=2", "-a/c|+e/f/g=3",
                                          "+d=4|+e/h=4"};
    struct repo r = add_repo(w, &owner, name);

    commits[0] = r.head;
    for (int i = 0; i < 4; i++)
        commits[i + 1] = commit_main(w, &r, changes[i]);
    return reread(w, &r);
}

#define DEV "refs/heads/dev"
#define FILES(w, rev)                                                                              \
    count_rows(w, SQL("SELECT count(*) FROM branch_file WHERE ref_id = ?1"), (rev).branch_id)

static void a_branch_is_a_copy(void **state)
{
    struct world *w = *state;
    oid c[5], dev;
    struct repo r = with_history(w, "copied", c);
    struct revision m, d;

    check_ok(move_ref(w, &r, DEV, OID_ZERO, c[4]));
    m = revision(w, &r, "main");
    d = revision(w, &r, "dev");
    assert_true(sha1_eq(m.commit, d.commit));
    assert_int_not_equal(m.branch_id, d.branch_id);
    assert_true(FILES(w, m) > 0);
    assert_int_equal(FILES(w, m), FILES(w, d));
    check_branch(w, &r, "dev");
    dev = commit_to(w, &r, DEV, "+only/dev=1|-d");
    (void)commit_main(w, &r, "+only/main=1");
    check_branch(w, &r, "dev");
    check_branch(w, &r, "main");
    assert_null(text_at(w, &r, "main", "only/dev").ptr);
    assert_null(text_at(w, &r, "dev", "only/main").ptr);
    assert_false(sha1_eq(reread(w, &r).head, dev));
}

/* No branch stands there: its files come from git, and who changed them last from the history. */
static void a_branch_from_an_older_commit(void **state)
{
    struct world *w = *state;
    oid c[5];
    struct repo r = with_history(w, "older", c);

    for (int i = 0; i < 4; i++) {
        str name = arena_printf(w->a, "refs/heads/at-%d", i);

        check_ok(move_ref(w, &r, name.ptr, OID_ZERO, c[i]));
        check_branch(w, &r, name.ptr);
    }
    check_branch(w, &r, "main");
}

static void forced_moves(void **state)
{
    struct world *w = *state;
    oid c[5], alone;
    struct repo r = with_history(w, "forced", c);

    check_ok(move_ref(w, &r, MAIN, c[4], c[1])); /* back */
    check_branch(w, &r, "main");
    assert_true(sha1_eq(reread(w, &r).head, c[1]));
    check_ok(move_ref(w, &r, MAIN, c[1], c[4])); /* forward over several commits */
    check_branch(w, &r, "main");
    alone = loose_commit(w, &r, NULL, 0, "+x/y=1|+a=now a file");
    check_ok(move_ref(w, &r, MAIN, c[4], alone)); /* another history */
    check_branch(w, &r, "main");
    check_ok(move_ref(w, &r, MAIN, alone, c[3])); /* and back again */
    check_branch(w, &r, "main");
}

/* Where two lines meet, what came from the side is last changed by the merge. */
static void merges(void **state)
{
    struct world *w = *state;
    oid c[5], side[3], merge[2];
    struct repo r = with_history(w, "merged", c);

    side[0] = loose_commit(w, &r, &c[1], 1, "+s/1=1|+a/b=side");
    side[1] = loose_commit(w, &r, &side[0], 1, "+s/2=1");
    merge[0] = loose_commit(w, &r, (oid[]){c[4], side[1]}, 2, "+s/1=1|+s/2=1|+a/b=merged");
    check_ok(move_ref(w, &r, MAIN, c[4], merge[0]));
    check_branch(w, &r, "main");
    /* fast-forward to a merge whose first parent is not where the branch was */
    side[2] = loose_commit(w, &r, &side[1], 1, "+s/3=1");
    merge[1] = loose_commit(w, &r, (oid[]){side[2], merge[0]}, 2, "+d=x");
    check_ok(move_ref(w, &r, MAIN, merge[0], merge[1]));
    check_branch(w, &r, "main");
}

static void super_squash(void **state)
{
    struct world *w = *state;
    oid c[5], squashed;
    struct repo r = with_history(w, "squashed", c);
    struct odb *o = object_odb(w->s, w->a, r.id);
    struct commit_obj head, new = {.message = STR("Super-squash branch 'main'\n")};
    struct revision rev = revision(w, &r, "main");
    struct entry_list l;

    check_ok(commit_read(o, w->a, rev.commit, &head));
    new.tree = head.tree;
    new.author = new.committer = head.author;
    check_ok(odb_write(o, w->a, OBJ_COMMIT, commit_format(w->a, &new), &squashed));
    check_ok(object_flush(o));
    check_ok(move_ref(w, &r, MAIN, rev.commit, squashed));
    check_branch(w, &r, "main");
    rev = revision(w, &r, "main");
    l = all_entries(w, &r, &rev, STR(""), true, 100);
    assert_true(l.count > 5);
    for (size_t i = 0; i < l.count; i++)
        assert_true(sha1_eq(l.items[i].last_commit, squashed));
}

static void not_found(struct world *w, const struct repo *r, const char *rev)
{
    struct revision v;
    err e = revision_find(w->s, w->a, r, str_c(rev), &v);

    if (!e)
        fail_msg("%s is there", rev);
    assert_int_equal(e->status, 404);
    assert_string_equal(e->code, "RevisionNotFound");
}

static void removal(void **state)
{
    struct world *w = *state;
    oid c[5];
    struct repo r = with_history(w, "removed", c);
    struct revision d;

    check_ok(move_ref(w, &r, DEV, OID_ZERO, c[4]));
    d = revision(w, &r, "dev");
    check_fails(move_ref(w, &r, DEV, c[3], OID_ZERO), 409);
    assert_true(FILES(w, d) > 0);
    check_ok(move_ref(w, &r, DEV, c[4], OID_ZERO));
    assert_int_equal(FILES(w, d), 0);
    not_found(w, &r, "dev");
    check_fails(move_ref(w, &r, DEV, c[4], OID_ZERO), 409);
    check_branch(w, &r, "main");
    check_ok(move_ref(w, &r, DEV, OID_ZERO, c[2])); /* the name is free */
    check_branch(w, &r, "dev");
}

static void what_stands_elsewhere_is_not_moved(void **state)
{
    struct world *w = *state;
    oid c[5];
    struct repo r = with_history(w, "stale", c);

    check_fails(move_ref(w, &r, MAIN, c[3], c[2]), 409);
    check_fails(move_ref(w, &r, MAIN, OID_ZERO, c[2]), 409);
    check_fails(move_ref(w, &r, DEV, c[3], c[2]), 409);
    assert_true(sha1_eq(revision(w, &r, "main").commit, c[4]));
    not_found(w, &r, "dev");
    check_branch(w, &r, "main");
}

static void several_at_once(void **state)
{
    struct world *w = *state;
    oid c[5];
    struct repo r = with_history(w, "several", c);
    struct ref_change changes[] = {{STR("refs/heads/one"), OID_ZERO, c[1]},
                                   {STR(MAIN), c[0], c[1]},
                                   {STR("refs/tags/t"), OID_ZERO, c[2]}};
    struct ref_change_result results[3];

    check_ok(ref_update(w->s, w->a, &r, changes, 3, true, results));
    for (int i = 0; i < 3; i++)
        assert_non_null(results[i].failed);
    not_found(w, &r, "one");
    not_found(w, &r, "t");
    check_ok(ref_update(w->s, w->a, &r, changes, 3, false, results));
    assert_null(results[0].failed);
    check_fails(results[1].failed, 409);
    assert_null(results[2].failed);
    check_branch(w, &r, "one");
    changes[0] = (struct ref_change){STR("refs/heads/one"), c[1], OID_ZERO};
    changes[1] = (struct ref_change){STR(MAIN), c[4], c[3]};
    changes[2] =
        (struct ref_change){STR("refs/heads/two"), OID_ZERO, c[4]}; /* a copy of what moves away */
    check_ok(ref_update(w->s, w->a, &r, changes, 3, true, results));
    if (results[0].failed) { /* then nothing happened, and a second time it does */
        check_branch(w, &r, "main");
        check_branch(w, &r, "one");
        check_ok(ref_update(w->s, w->a, &r, changes, 2, true, results));
        check_ok(results[0].failed);
        check_ok(results[1].failed);
        check_ok(ref_update(w->s, w->a, &r, &changes[2], 1, true, results));
        check_ok(results[0].failed);
    }
    check_branch(w, &r, "main");
    check_branch(w, &r, "two");
    not_found(w, &r, "one");
}

static void names_that_git_refuses(void **state)
{
    static const char *const names[] = {"refs/heads/",     "refs/heads/a b",    "refs/heads/a..b",
                                        "refs/heads/.a",   "refs/heads/a.lock", "refs/heads/a~1",
                                        "refs/heads/a//b", "refs/heads/-\x01",  "main",
                                        "refs/heads/a/",   "refs/heads/a:b",    "refs/heads/@{x"};
    struct world *w = *state;
    oid c[5];
    struct repo r = with_history(w, "badnames", c);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        err e = move_ref(w, &r, names[i], OID_ZERO, c[1]);

        if (!e)
            fail_msg("%s was made", names[i]);
        assert_int_equal(e->status, 400);
    }
}

static oid tag_object(struct world *w, const struct repo *r, oid target, enum obj_type type,
                      const char *name)
{
    struct odb *o = object_odb(w->s, w->a, r->id);
    struct tag_obj t = {.target = target,
                        .type = type,
                        .name = str_c(name),
                        .tagger = {STR("Ada"), STR("ada@example.org"), 1700000000, 0},
                        .message = STR("a tag\n")};
    oid id;

    check_ok(odb_write(o, w->a, OBJ_TAG, tag_format(w->a, &t), &id));
    check_ok(object_flush(o));
    return id;
}

static void tags(void **state)
{
    struct world *w = *state;
    oid c[5], tag, tag_of_tag, blob;
    struct repo r = with_history(w, "tagged", c);
    struct ref ref;

    check_ok(move_ref(w, &r, "refs/tags/light", OID_ZERO, c[2]));
    assert_true(sha1_eq(revision(w, &r, "light").commit, c[2]));
    assert_int_equal(revision(w, &r, "light").branch_id, 0);
    tag = tag_object(w, &r, c[3], OBJ_COMMIT, "v1");
    check_ok(move_ref(w, &r, "refs/tags/v1", OID_ZERO, tag));
    tag_of_tag = tag_object(w, &r, tag, OBJ_TAG, "v1.0");
    check_ok(move_ref(w, &r, "refs/tags/v1.0", OID_ZERO, tag_of_tag));
    check_ok(ref_find(w->s->hub, w->a, r.id, STR("refs/tags/v1.0"), &ref));
    assert_true(sha1_eq(ref.oid, tag_of_tag));
    assert_true(sha1_eq(ref.peeled, c[3]));
    assert_true(sha1_eq(revision(w, &r, "v1").commit, c[3]));
    check_str(text_at(w, &r, "v1.0", "a/b"), "2");
    blob = id_at(w, &r, c[4], STR("d"));
    check_fails(move_ref(w, &r, "refs/tags/blob", OID_ZERO, blob), 404);
    check_fails(move_ref(w, &r, "refs/tags/none", OID_ZERO, (oid){{1}}), 404);
    check_fails(move_ref(w, &r, "refs/tags/v1", c[3], OID_ZERO),
                409); /* it is the tag object that stands there */
    check_ok(move_ref(w, &r, "refs/tags/v1", tag, OID_ZERO));
    not_found(w, &r, "v1");
}

static void revisions(void **state)
{
    struct world *w = *state;
    oid c[5];
    struct repo r = with_history(w, "revisions", c), other = add_repo(w, &owner, "stranger");
    const char *old = sha1_hex(w->a, c[2]).ptr, *head = sha1_hex(w->a, c[4]).ptr;
    oid foreign = commit_main(w, &other, "+only here=1"); /* the first one may be the same */
    struct ref_list l;

    check_ok(move_ref(w, &r, "refs/heads/both", OID_ZERO, c[3]));
    check_ok(move_ref(w, &r, "refs/tags/both", OID_ZERO, c[2]));
    check_ok(move_ref(w, &r, "refs/heads/dir/name", OID_ZERO, c[1]));
    check_ok(move_ref(w, &r, "refs/heads/abcdef", OID_ZERO, c[1]));
    check_ok(move_ref(w, &r, "refs/pr/1", OID_ZERO, c[3]));
    assert_true(sha1_eq(revision(w, &r, "main").commit, c[4]));
    assert_true(sha1_eq(revision(w, &r, "HEAD").commit, c[4]));
    assert_true(sha1_eq(revision(w, &r, MAIN).commit, c[4]));
    assert_true(revision(w, &r, head).branch_id > 0); /* answered from the branch */
    assert_true(sha1_eq(revision(w, &r, old).commit, c[2]));
    assert_int_equal(revision(w, &r, old).branch_id, 0);
    assert_true(sha1_eq(revision(w, &r, str_z(w->a, str_first(str_c(old), 10))).commit, c[2]));
    assert_true(sha1_eq(revision(w, &r, str_z(w->a, str_first(str_c(head), 7))).commit, c[4]));
    assert_true(sha1_eq(revision(w, &r, "both").commit, c[3])); /* a branch before a tag */
    assert_true(sha1_eq(revision(w, &r, "refs/tags/both").commit, c[2]));
    assert_true(sha1_eq(revision(w, &r, "dir/name").commit, c[1]));
    assert_true(sha1_eq(revision(w, &r, "abcdef").commit, c[1]));
    assert_true(sha1_eq(revision(w, &r, "refs/pr/1").commit, c[3]));
    not_found(w, &r, "none");
    not_found(w, &r, "");
    not_found(w, &r, "pr/1");
    not_found(w, &r, "refs/heads/none");
    not_found(w, &r, "refs/heads");
    not_found(w, &r, str_z(w->a, str_first(str_c(old), 3)));
    not_found(w, &r, "0000000000000000000000000000000000000000");
    not_found(w, &r, sha1_hex(w->a, foreign).ptr); /* a commit of another repository */
    not_found(w, &r, sha1_hex(w->a, id_at(w, &r, c[4], STR("d"))).ptr);
    check_ok(ref_list(w->s->hub, w->a, r.id, &l));
    assert_int_equal(l.count, 6);
    check_str(l.items[0].name, "refs/heads/abcdef");
    check_str(l.items[3].name, MAIN);
    check_str(l.items[5].name, "refs/tags/both");
}

static void nothing_is_left_of_a_deleted_repository(void **state)
{
    struct world *w = *state;
    oid c[5];
    struct repo r = with_history(w, "cleared", c), kept = with_history(w, "kept", c);
    struct revision d;
    int64_t objects;
    bool more = true;
    int rounds = 0;

    check_ok(move_ref(w, &r, DEV, OID_ZERO, reread(w, &r).head));
    d = revision(w, &r, "dev");
    check_ok(repo_hide(w->s, r.id));
    while (more) {
        check_ok(repo_clear_next(w->s, w->a, &more));
        assert_true(++rounds < 20);
    }
    check_ok(object_count(w->s, r.id, &objects));
    assert_int_equal(objects, 0);
    assert_int_equal(FILES(w, d), 0);
    assert_int_equal(count_rows(w, SQL("SELECT count(*) FROM ref WHERE repo_id = ?1"), r.id), 0);
    assert_int_equal(count_rows(w, SQL("SELECT count(*) FROM repo WHERE id = ?1"), r.id), 0);
    check_branch(w, &kept, "main");
    check_str(text_at(w, &kept, "main", "d"), "4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_branch_is_a_copy),
        cmocka_unit_test(a_branch_from_an_older_commit),
        cmocka_unit_test(forced_moves),
        cmocka_unit_test(merges),
        cmocka_unit_test(super_squash),
        cmocka_unit_test(removal),
        cmocka_unit_test(what_stands_elsewhere_is_not_moved),
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(names_that_git_refuses),
        cmocka_unit_test(tags),
        cmocka_unit_test(revisions),
        cmocka_unit_test(nothing_is_left_of_a_deleted_repository),
    };

    return cmocka_run_group_tests(tests, begin, world_end);
}
