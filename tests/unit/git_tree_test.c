/* git_tree_test.c — see git/tree.h, git/tree_edit.h, git/tree_diff.h. */
#include "base/buf.h"
#include "git/tree_diff.h"
#include "git_fixture.h"
#include <stdio.h>

static void test_safe_names(void **state)
{
    static const struct {
        const char *name;
        bool safe;
    } cases[] = {
        {"model.safetensors", true},
        {".gitattributes", true},
        {".github", true},
        {"git", true},
        {"...", true},
        {"git~2", true},
        {".git2", true},
        {"a\\b", true},
        {".gitx\\y", true},
        {"", false},
        {".", false},
        {"..", false},
        {"a/b", false},
        {".git", false},
        {".GIT", false},
        {".Git ", false},
        {".git. .", false},
        {"git~1", false},
        {"GIT~1.", false},
        {".git::$INDEX_ALLOCATION", false},
        {".git\\hooks", false},
        {"x\\.git", false},
        {".g\xe2\x80\x8cit", false},
        {"\xef\xbb\xbf.git", false},
        {".git\xe2\x81\xaf", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tree_name_safe(str_c(cases[i].name)) != cases[i].safe)
            fail_msg("%s", cases[i].name);
    assert_false(tree_name_safe(STR("a\0b")));
    assert_true(tree_path_safe(STR("a/b/c.txt")));
    assert_false(tree_path_safe(STR("a//b")));
    assert_false(tree_path_safe(STR("/a")));
    assert_false(tree_path_safe(STR("a/")));
    assert_false(tree_path_safe(STR("a/../b")));
    assert_false(tree_path_safe(STR("a/.git/config")));
}

/* "mode name" lines as a tree, every entry with the same id. */
static str tree_of(struct arena *a, const char *lines)
{
    str rest = str_c(lines), out = STR_NONE;

    while (rest.ptr) {
        str line = str_cut(&rest, '\n');

        out = arena_cat(a, out, line, STR("\0ABCDEFGHIJKLMNOPQRST"));
    }
    return out;
}

static void test_check(void **state)
{
    static const struct {
        const char *name, *lines;
        bool good;
    } cases[] = {
        {"one of each", "100644 a\n100755 b\n120000 c\n40000 d\n160000 e", true},
        {"file before folder", "100644 a.b\n40000 a", true},
        {"folder sorts as with slash", "40000 a\n100644 a0", true},
        {"old mode", "100664 a", true},
        {"out of order", "100644 b\n100644 a", false},
        {"folder out of order", "40000 a\n100644 a.b", false},
        {"twice", "100644 a\n100644 a", false},
        {"file and folder at once", "100644 a\n100644 a.b\n40000 a", false},
        {"file and folder far apart", "100644 a\n100644 a-\n100644 a-b\n100644 a.\n40000 a", false},
        {"zero-padded mode", "040000 a", false},
        {"odd mode", "100600 a", false},
        {"empty name", "100644 ", false},
        {"dot git", "40000 .git", false},
        {"dot dot", "40000 ..", false},
        {"slash", "100644 a/b", false},
        {"gitmodules as a link", "120000 .GitModules", false},
        {"gitmodules as a file", "100644 .gitmodules", true},
        {"no mode", " a", false},
    };
    FIXTURE f = fixture_new();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = tree_check(f.a, tree_of(f.a, cases[i].lines));

        if ((e == OK) != cases[i].good)
            fail_msg("%s: %.*s", cases[i].name, STR_FMT(e ? e->text : STR("accepted")));
    }
    check_ok(tree_check(f.a, STR_NONE));
    check_fails(tree_check(f.a, STR("100644 a\0short")), 422);
    check_fails(tree_check(f.a, STR("100644 a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")), 422);
}

static void test_find(void **state)
{
    FIXTURE f = fixture_new();
    oid root = put_tree(&f, OID_ZERO, "+a=1 +d/e/f=2 +d.x=3");
    struct tree_entry e;
    bool found;

    (void)state;
    check_ok(tree_find(f.odb, f.a, root, STR("d/e/f"), &e, &found));
    assert_true(found && e.mode == MODE_FILE && sha1_eq(e.id, obj_id(OBJ_BLOB, STR("2"))));
    check_ok(tree_find(f.odb, f.a, root, STR("d/e"), &e, &found));
    assert_true(found && mode_is_dir(e.mode));
    check_ok(tree_find(f.odb, f.a, root, STR("a/b"), &e, &found));
    assert_false(found);
    check_ok(tree_find(f.odb, f.a, root, STR("d/x"), &e, &found));
    assert_false(found);
    check_ok(tree_find(f.odb, f.a, root, STR(""), &e, &found));
    assert_false(found);
}

/* Each row: start, changes, and the tree that must come out. */
static void test_edit(void **state)
{
    static const struct {
        const char *name, *start, *changes, *expected;
    } cases[] = {
        {"add to nothing", "", "+a=1", "+a=1"},
        {"nothing changes", "+a=1 +b/c=2", "", "+a=1 +b/c=2"},
        {"new folder", "+a=1", "+b/c/d=2", "+a=1 +b/c/d=2"},
        {"last of the same path wins", "", "+a=1 +a=2", "+a=2"},
        {"folder disappears when empty", "+a=1 +b/c/d=2", "-b/c/d", "+a=1"},
        {"folder removed as one", "+a=1 +b/c=2 +b/d=3", "-b", "+a=1"},
        {"slash at the end", "+a=1 +b/c=2", "-b/", "+a=1"},
        {"everything removed", "+a=1", "-a", ""},
        {"removed and set again", "+a=1", "-a +a=2", "+a=2"},
        {"set and removed", "+a=1", "+b=2 -b", "+a=1"},
        {"removed twice", "+a=1 +b=2", "-b -b", "+a=1"},
        {"folder removed, then one of its files", "+a=1 +b/c=2", "-b -b/c", "+a=1"},
        {"folder emptied and filled", "+b/c=1 +b/d=2", "-b +b/e=3", "+b/e=3"},
        {"file becomes folder", "+a=1 +a.b=2", "+a/b=3", "+a.b=2 +a/b=3"},
        {"folder becomes file", "+a/b=1 +a.b=2", "+a=3", "+a=3 +a.b=2"},
        {"file, folder, nothing", "+a=1 +b=1", "+a/b=3 -a/b", "+b=1"},
        {"folder, file, folder", "+a/b=1", "+a=2 +a/c=3", "+a/c=3"},
        {"order of folders", "", "+a0=1 +a/x=2 +a.b=3 +a-b/c=4", "+a-b/c=4 +a.b=3 +a/x=2 +a0=1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FIXTURE f = fixture_new();
        oid start = put_tree(&f, OID_ZERO, cases[i].start);
        oid got = put_tree(&f, start, cases[i].changes);
        oid expected = put_tree(&f, OID_ZERO, cases[i].expected);
        str data;

        if (!sha1_eq(got, expected))
            fail_msg("%s", cases[i].name);
        check_ok(odb_read(f.odb, f.a, got, OBJ_TREE, &data));
        check_ok(tree_check(f.a, data));
    }
}

static void test_edit_puts_trees(void **state)
{
    FIXTURE f = fixture_new();
    oid sub = put_tree(&f, OID_ZERO, "+x=1 +y=2"), got, x = put_blob(&f, "9");
    const struct tree_edit edits[] = {
        {.path = STR("copy"), .mode = MODE_DIR, .id = sub},
        {.path = STR("copy/x"), .is_removal = true},
        {.path = STR("copy/z"), .mode = MODE_FILE, .id = x},
    };
    const struct tree_edit missing[] = {
        {.path = STR("copy"), .mode = MODE_DIR, .id = sub},
        {.path = STR("copy/nope"), .is_removal = true},
    };

    (void)state;
    check_ok(tree_edit_apply(f.odb, f.a, OID_ZERO, edits, 3, &got));
    assert_true(sha1_eq(got, put_tree(&f, OID_ZERO, "+copy/y=2 +copy/z=9")));
    check_fails(tree_edit_apply(f.odb, f.a, OID_ZERO, missing, 2, &got), 404);
}

static void test_edit_refuses(void **state)
{
    static const struct {
        const char *name, *path;
        bool is_removal;
        int status;
    } cases[] = {
        {"missing file", "nope", true, 404},     {"missing in folder", "d/nope", true, 404},
        {"below a file", "a/b", true, 404},      {"unsafe", "x/.git/y", false, 400},
        {"dot dot", "../x", false, 400},         {"empty", "", false, 400},
        {"absolute", "/etc/passwd", false, 400},
    };
    FIXTURE f = fixture_new();
    oid root = put_tree(&f, OID_ZERO, "+a=1 +d/e=2"), got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tree_edit e = {.path = str_c(cases[i].path),
                              .is_removal = cases[i].is_removal,
                              .mode = MODE_FILE,
                              .id = oid_empty_tree};
        err failure = tree_edit_apply(f.odb, f.a, root, &e, 1, &got);

        if (!failure || failure->status != cases[i].status)
            fail_msg("%s", cases[i].name);
        if (cases[i].status == 404)
            assert_true(str_has(failure->text, STR("A file with this name doesn't exist")));
    }
}

static err note(void *ctx, const struct tree_change *c)
{
    struct buf *b = ctx;

    buf_printf(b, "%c%.*s%s ", "+-*"[c->kind], STR_FMT(c->path), change_is_dir(c) ? "/" : "");
    return OK;
}

static void test_diff(void **state)
{
    static const struct {
        const char *name, *start, *changes, *expected;
    } cases[] = {
        {"same", "+a=1", "", ""},
        {"added, removed, modified", "+a=1 +b=2", "-a +b=3 +c=4", "-a *b +c "},
        {"folders are named too", "+a=1 +d/e=2", "+d/e=3 +n/m/o=1", "*d/ *d/e +n/ +n/m/ +n/m/o "},
        {"unchanged folders are not entered", "+d/e=1 +x/y=2", "+x/y=3", "*x/ *x/y "},
        {"file becomes folder", "+a=1 +a.b=2", "+a/c=1", "-a +a/ +a/c "},
        {"whole folder gone", "+d/e=1 +d/f/g=2 +z=1", "-d", "-d/ -d/e -d/f/ -d/f/g "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FIXTURE f = fixture_new();
        AUTO_BUF struct buf seen = BUF(10000);
        oid start = put_tree(&f, OID_ZERO, cases[i].start);
        oid end = put_tree(&f, start, cases[i].changes);

        check_ok(tree_diff(f.odb, f.a, start, end, note, &seen));
        check_str(buf_str(&seen), cases[i].expected);
    }
}

static void test_diff_against_nothing(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf seen = BUF(10000);
    oid root = put_tree(&f, OID_ZERO, "+a=1 +d/e=2");

    (void)state;
    check_ok(tree_diff(f.odb, f.a, OID_ZERO, root, note, &seen));
    check_ok(tree_diff(f.odb, f.a, root, OID_ZERO, note, &seen));
    check_str(buf_str(&seen), "+a +d/ +d/e -a -d/ -d/e ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe_names),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_edit),
        cmocka_unit_test(test_edit_puts_trees),
        cmocka_unit_test(test_edit_refuses),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_against_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
