/* store_entry_test.c — what stands at a revision: pages, order, folders beside files, sizes, read
 * from the branch and walked in git, which must not differ. */
#include "store_world.h"

static struct account owner;
static struct repo repo;
static oid first; /* the commit before the last one, which no branch has */

/* Names around '/' (2f) and '0' (30), spaces, quotes, UTF-8, long ones. */
static const char *const paths[] = {
    "a",
    "a b/c d",
    "dir/file",
    "dir!/file",
    "dir-/file",
    "dir.txt",
    "dir.d/x",
    "dir/.hidden",
    "dir/sub/1",
    "dir/sub/10",
    "dir/sub/2",
    "dir/sub/deep/er/and/deeper",
    "dir/sub.x",
    "dir/sub0",
    "dir/sub-",
    "dir0",
    "dir0/file",
    "dir00",
    "\xc3\xa9t\xc3\xa9/\xe6\x97\xa5\xe6\x9c\xac.txt",
    "\xf0\x9f\x98\x80",
    "%20/+&?#",
    "'quoted'/\"twice\"",
    "_/%",
    "~/\x7f",
    "z/long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-name",
};
#define PATHS (sizeof paths / sizeof *paths)

static int begin(void **state)
{
    struct world *w;

    if (world_begin(state) != 0)
        return 1;
    w = *state;
    owner = add_user(w, "owner");
    check_ok(try_repo(w, &owner, "tree", NULL, 0, &repo));
    for (size_t i = 0; i < PATHS; i++)
        if (strcmp(paths[i], "dir0") != 0) /* is a folder, too: not both */
            (void)commit_main(w, &repo,
                              arena_printf(w->a, "+%s=%zu %*s", paths[i], i, (int)i, "").ptr);
    first = revision(w, &repo, "main").commit;
    (void)commit_main(w, &repo, "+last=1");
    return 0;
}

/* Three ways to the same tree but for the last file: the branch, its commit, an older commit. */
static size_t ways(struct world *w, struct revision ret[3])
{
    ret[0] = revision(w, &repo, "main");
    ret[1] = (struct revision){.commit = ret[0].commit};
    ret[2] = revision(w, &repo, sha1_hex(w->a, first).ptr);
    assert_true(ret[0].branch_id > 0);
    assert_int_equal(ret[2].branch_id, 0);
    return 3;
}

static void every_way_agrees(void **state)
{
    struct world *w = *state;
    struct revision rev[3];
    struct entry_list l[3];

    for (size_t i = 0; i < ways(w, rev); i++)
        l[i] = all_entries(w, &repo, &rev[i], STR(""), true, 1000);
    check_same_entries(&l[0], &l[1]);
    assert_int_equal(l[2].count, l[0].count - 1);
    check_branch(w, &repo, "main");
}

static void pages_of_every_size(void **state)
{
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++)
        for (int recursive = 0; recursive < 2; recursive++) {
            struct entry_list all = all_entries(w, &repo, &rev[i], STR(""), recursive, 1000);

            for (size_t limit = 1; limit <= all.count + 1; limit++) {
                struct entry_list paged = all_entries(w, &repo, &rev[i], STR(""), recursive, limit);

                check_same_entries(&paged, &all);
            }
        }
}

static void in_gits_order(void **state)
{
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++) {
        struct entry_list all = all_entries(w, &repo, &rev[i], STR(""), true, 1000);

        for (size_t k = 1; k < all.count; k++)
            assert_true(
                str_cmp(entry_key(w->a, &all.items[k - 1]), entry_key(w->a, &all.items[k])) < 0);
    }
}

static bool in_list(const struct entry_list *l, str path)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->items[i].path, path))
            return true;
    return false;
}

/* Below "dir" is not below "dir0", "dir." or "dir-". */
static void neighbours_stay_outside(void **state)
{
    static const char *const direct[] = {"dir/.hidden", "dir/file",  "dir/sub",
                                         "dir/sub-",    "dir/sub.x", "dir/sub0"};
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++) {
        struct entry_list l = all_entries(w, &repo, &rev[i], STR("dir"), false, 2), below;

        assert_int_equal(l.count, 6);
        for (size_t k = 0; k < 6; k++)
            assert_true(in_list(&l, str_c(direct[k])));
        below = all_entries(w, &repo, &rev[i], STR("dir"), true, 3);
        assert_int_equal(below.count, 13);
        for (size_t k = 0; k < below.count; k++)
            assert_true(str_starts(below.items[k].path, STR("dir/")));
        below = all_entries(w, &repo, &rev[i], STR("dir/sub"), true, 3);
        assert_int_equal(below.count, 7);
        below = all_entries(w, &repo, &rev[i], STR("a b"), true, 3);
        assert_int_equal(below.count, 1);
        check_str(below.items[0].path, "a b/c d");
    }
}

static void a_cursor_may_name_anything(void **state)
{
    static const char *const after[] = {"",         "!",         "dir",        "dir/",    "dir/s",
                                        "dir/sub/", "dir/sub/1", "dir/sub/99", "dir/zzz", "dir0/",
                                        "dir1",     "zzzz",      "\xff"};
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++)
        for (size_t k = 0; k < sizeof after / sizeof *after; k++)
            for (int recursive = 0; recursive < 2; recursive++) {
                struct entry_list all = all_entries(w, &repo, &rev[i], STR(""), recursive, 1000),
                                  page;
                struct entry_query q = {
                    .recursive = recursive, .after = str_c(after[k]), .limit = 4};
                size_t from = 0;

                while (from < all.count && str_cmp(entry_key(w->a, &all.items[from]), q.after) <= 0)
                    from++;
                check_ok(entry_list(w->s, w->a, &repo, &rev[i], &q, &page));
                assert_int_equal(page.count, all.count - from < 4 ? all.count - from : 4);
                assert_int_equal(page.more, all.count - from > 4);
                for (size_t n = 0; n < page.count; n++)
                    check_same_entry(&page.items[n], &all.items[from + n]);
            }
}

static void each_path_is_found(void **state)
{
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++) {
        struct entry_list all = all_entries(w, &repo, &rev[i], STR(""), true, 1000);
        struct entry e;
        bool found;

        for (size_t k = 0; k < all.count; k++) {
            check_ok(entry_find(w->s, w->a, &repo, &rev[i], all.items[k].path, &e, &found));
            assert_true(found);
            check_same_entry(&e, &all.items[k]);
        }
        check_ok(entry_find(w->s, w->a, &repo, &rev[i], STR(""), &e, &found));
        assert_true(found && ENTRY_IS_DIR(&e));
    }
}

static void what_is_not_there(void **state)
{
    static const char *const none[] = {
        "b",         "di",  "dir/sub/",   "dir/", "/dir",
        "dir//file", "a/b", "dir/file/x", "DIR",  "dir/sub/deep/er/and",
        "..",        ".",   "\xff"};
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++)
        for (size_t k = 0; k < sizeof none / sizeof *none; k++) {
            struct entry_query q = {.path = str_c(none[k]), .limit = 10};
            struct entry_list l;
            uint64_t bytes;
            struct entry e;
            bool found;
            err failed;

            check_ok(entry_find(w->s, w->a, &repo, &rev[i], q.path, &e, &found));
            if (found != (strcmp(none[k], "dir/sub/deep/er/and") == 0))
                fail_msg("way %zu: \"%s\" is %sthere", i, none[k], found ? "" : "not ");
            if (found)
                continue;
            failed = entry_list(w->s, w->a, &repo, &rev[i], &q, &l);
            check_fails(failed, 404);
            assert_string_equal(failed->code, "EntryNotFound");
            check_fails(entry_size(w->s, w->a, &repo, &rev[i], q.path, &bytes), 404);
        }
}

static void a_file_is_no_folder(void **state)
{
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++) {
        struct entry_query q = {.path = STR("dir/file"), .limit = 10};
        struct entry_list l;

        for (int recursive = 0; recursive < 2; recursive++) {
            q.recursive = recursive;
            check_fails(entry_list(w->s, w->a, &repo, &rev[i], &q, &l), 404);
        }
        q.path = STR("dir"); /* the page after the last entry is empty, but there */
        q.after = STR("dir/zzz");
        check_ok(entry_list(w->s, w->a, &repo, &rev[i], &q, &l));
        assert_int_equal(l.count, 0);
        assert_false(l.more);
    }
}

static void sizes(void **state)
{
    struct world *w = *state;
    struct revision rev[3];

    for (size_t i = 0; i < ways(w, rev); i++) {
        struct entry_list all = all_entries(w, &repo, &rev[i], STR(""), true, 1000);

        for (size_t k = 0; k <= all.count; k++) {
            str folder = k < all.count ? all.items[k].path : STR("");
            str prefix = folder.len ? arena_cat(w->a, folder, STR("/")) : folder;
            uint64_t bytes, sum = 0;

            for (size_t n = 0; n < all.count; n++)
                if (str_eq(all.items[n].path, folder) || str_starts(all.items[n].path, prefix))
                    sum += all.items[n].size;
            check_ok(entry_size(w->s, w->a, &repo, &rev[i], folder, &bytes));
            assert_int_equal(bytes, sum);
        }
    }
}

/* More files than a page of the walk behind entry_size. */
static void the_size_of_many_files(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "many");
    struct odb *o = object_odb(w->s, w->a, r.id);
    struct tree_edit *edits = arena_many(w->a, struct tree_edit, 3000);
    struct commit_request q = {.repo = &r,
                               .odb = o,
                               .ref = STR(MAIN),
                               .title = STR("many"),
                               .author = AUTHOR,
                               .edits = edits,
                               .edit_count = 3000};
    struct revision rev, walked;
    struct commit_result c;
    struct entry_list l, git;
    uint64_t bytes;
    oid blob;

    check_ok(odb_write(o, w->a, OBJ_BLOB, STR("ten bytes!"), &blob));
    for (int i = 0; i < 3000; i++)
        edits[i] = (struct tree_edit){.path = arena_printf(w->a, "d%d/e%d/f%d", i % 7, i % 41, i),
                                      .mode = MODE_EXEC,
                                      .id = blob};
    check_ok(commit_apply(w->s, w->a, &q, &c));
    rev = revision(w, &r, "main");
    walked = (struct revision){.commit = rev.commit};
    check_ok(entry_size(w->s, w->a, &r, &rev, STR(""), &bytes));
    assert_int_equal(bytes, 30000 + 8 + 17);
    check_ok(entry_size(w->s, w->a, &r, &walked, STR(""), &bytes));
    assert_int_equal(bytes, 30000 + 8 + 17);
    check_ok(entry_size(w->s, w->a, &r, &walked, STR("d3"), &bytes));
    assert_int_equal(bytes, 10 * (3000 / 7 + 1));
    l = all_entries(w, &r, &rev, STR(""), true, 100);
    git = all_entries(w, &r, &walked, STR(""), true, 999);
    check_same_entries(&l, &git);
}

/* The branch moves between two pages: the second one is of the revision that was asked for. */
static void a_branch_that_moves_meanwhile(void **state)
{
    struct world *w = *state;
    struct repo r = add_repo(w, &owner, "moving");
    struct entry_query q = {.path = STR(""), .recursive = true, .limit = 2};
    struct revision rev;
    struct entry_list page;
    struct entry e;
    uint64_t bytes;
    bool found;

    (void)commit_main(w, &r, "+a=1|+b=2|+c=3");
    rev = revision(w, &r, "main");
    check_ok(entry_list(w->s, w->a, &r, &rev, &q, &page));
    q.after = entry_key(w->a, &page.items[1]);
    (void)commit_main(w, &r, "-a|-b|-c|+bb=new");
    check_ok(entry_list(w->s, w->a, &r, &rev, &q, &page));
    assert_int_equal(page.count, 2);
    check_str(page.items[0].path, "a");
    check_str(page.items[1].path, "b");
    assert_true(page.more);
    check_ok(entry_find(w->s, w->a, &r, &rev, STR("c"), &e, &found));
    assert_true(found);
    check_ok(entry_find(w->s, w->a, &r, &rev, STR("bb"), &e, &found));
    assert_false(found);
    check_ok(entry_size(w->s, w->a, &r, &rev, STR(""), &bytes));
    assert_int_equal(bytes, 8 + 17 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_agrees),
        cmocka_unit_test(pages_of_every_size),
        cmocka_unit_test(in_gits_order),
        cmocka_unit_test(neighbours_stay_outside),
        cmocka_unit_test(a_cursor_may_name_anything),
        cmocka_unit_test(each_path_is_found),
        cmocka_unit_test(what_is_not_there),
        cmocka_unit_test(a_file_is_no_folder),
        cmocka_unit_test(sizes),
        cmocka_unit_test(the_size_of_many_files),
        cmocka_unit_test(a_branch_that_moves_meanwhile),
    };

    return cmocka_run_group_tests(tests, begin, world_end);
}
