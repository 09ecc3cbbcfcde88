/* git_attributes_test.c — see git/attributes.h, git/glob.h, git/lfs_pointer.h. */
#include "git/attributes.h"
#include "git/lfs_pointer.h"
#include "git_fixture.h"

static void test_glob(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"a", "a", true},
        {"*.bin", "x.bin", true},
        {"*.bin", "x.bin2", false},
        {"a*b*c", "axxbyyc", true},
        {"?", "\xc3", true},
        {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},
        {"[]x]", "]", true},
        {"[[:space:]]b", " b", true},
        {"[[:digit:]-]", "-", true},
        {"[a", "a", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a/*", "a/b/c", false},
        {"a/**", "a/b/c", true},
        {"a/**", "a", false},
        {"**/b", "b", true},
        {"**/b", "x/y/b", true},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b/*/c", "a/b/b/x/c", true},
        {"saved_model/**/*", "saved_model/x/y", true},
        {"saved_model/**/*", "saved_model/x", true},
        {"a**", "ab", true},
        {"", "", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (glob_path(str_c(cases[i].pattern), str_c(cases[i].path)) != cases[i].matches)
            fail_msg("%s against %s", cases[i].pattern, cases[i].path);
}

static void test_glob_is_fast(void **state)
{
    char pattern[2000], name[4000];

    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 'b';
    assert_false(glob_name((str){pattern, sizeof pattern}, (str){name, sizeof name}));
}

static void test_attributes(void **state)
{
    static const char rules[] = "# comment\n"
                                "*.bin filter=lfs diff=lfs merge=lfs -text\r\n"
                                "saved_model/**/* filter=lfs\n"
                                "*tfevents* filter=lfs\n"
                                "\"with \\\"quote\\\".x\" filter=lfs\n"
                                "a[[:space:]]b.txt filter=lfs\n"
                                "/only_root.z filter=lfs\n"
                                "docs/*.bin -filter\n"
                                "keep.bin !filter\n"
                                "folder/ filter=lfs\n"
                                "!negated filter=lfs\n"
                                "[attr]lfs filter=lfs\n"
                                "*.bin text=auto\n"
                                "other.bin filter=other\n";
    static const struct {
        const char *path;
        enum attr_filter expected;
    } cases[] = {
        {"x.bin", ATTR_LFS},
        {"deep/er/x.bin", ATTR_LFS},
        {"x.binary", ATTR_UNSPECIFIED},
        {"saved_model/a/b", ATTR_LFS},
        {"x/saved_model/a", ATTR_UNSPECIFIED},
        {"runs/events.out.tfevents.1", ATTR_LFS},
        {"with \"quote\".x", ATTR_LFS},
        {"a b.txt", ATTR_LFS},
        {"only_root.z", ATTR_LFS},
        {"sub/only_root.z", ATTR_UNSPECIFIED},
        {"docs/x.bin", ATTR_OTHER},
        {"docs/sub/x.bin", ATTR_LFS},
        {"keep.bin", ATTR_UNSPECIFIED},
        {"folder/x", ATTR_UNSPECIFIED},
        {"negated", ATTR_UNSPECIFIED},
        {"other.bin", ATTR_OTHER},
    };
    FIXTURE f = fixture_new();
    struct attr_rules r = {0};

    (void)state;
    attr_parse(f.a, str_c(rules), STR(""), &r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (attr_filter(&r, str_c(cases[i].path)) != cases[i].expected)
            fail_msg("%s", cases[i].path);
}

static void test_nested_attributes(void **state)
{
    FIXTURE f = fixture_new();
    oid root = put_tree(&f, OID_ZERO, "+x=1"), id;
    struct attr_rules r;
    struct tree_edit edits[] = {
        {.path = STR(".gitattributes"), .mode = MODE_FILE},
        {.path = STR("d/e/.gitattributes"), .mode = MODE_FILE},
    };
    const str paths[] = {STR("a.bin"), STR("d/e/f/a.bin"), STR("d/a.bin")};

    (void)state;
    edits[0].id = put_blob(&f, "*.bin filter=lfs\n");
    edits[1].id = put_blob(&f, "f/*.bin -filter\n/*.txt filter=lfs\n");
    check_ok(tree_edit_apply(f.odb, f.a, root, edits, 2, &id));
    check_ok(attr_load(f.odb, f.a, id, paths, 3, &r));
    assert_int_equal(attr_filter(&r, STR("a.bin")), ATTR_LFS);
    assert_int_equal(attr_filter(&r, STR("d/a.bin")), ATTR_LFS);
    assert_int_equal(attr_filter(&r, STR("d/e/f/a.bin")), ATTR_OTHER);
    assert_int_equal(attr_filter(&r, STR("d/e/x.txt")), ATTR_LFS);
    assert_int_equal(attr_filter(&r, STR("d/x.txt")), ATTR_UNSPECIFIED);
}

static void test_add_line(void **state)
{
    static const char *const paths[] = {"a b.bin", "x/[y].bin", "#x",      "!x",        "\"q\"",
                                        "a*b?",    "tab\there", "back\\x", "\xc3\xbc.z"};
    FIXTURE f = fixture_new();

    (void)state;
    check_str(attr_add_lfs(f.a, STR("*.x text"), STR("my file")),
              "*.x text\nmy[[:space:]]file filter=lfs diff=lfs merge=lfs -text\n");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct attr_rules r = {0};

        attr_parse(f.a, attr_add_lfs(f.a, STR_NONE, str_c(paths[i])), STR(""), &r);
        assert_int_equal(attr_filter(&r, str_c(paths[i])), ATTR_LFS);
    }
}

static void test_ignore(void **state)
{
    static const char rules[] = "# comment\n*.pyc\n__pycache__/\n/build\n!keep.pyc\nlogs/*.txt\n"
                                "trailing   \n\\#hash\ncache\n!cache/keep\n";
    static const struct {
        const char *path;
        bool ignored;
    } cases[] = {
        {"a.pyc", true},         {"x/a.pyc", true},       {"keep.pyc", false},
        {"__pycache__/x", true}, {"__pycache__", false},  {"a/__pycache__/x/y", true},
        {"build", true},         {"build/x", true},       {"sub/build", false},
        {"logs/a.txt", true},    {"logs/b/a.txt", false}, {"trailing", true},
        {"#hash", true},         {"cache/keep", true},    {"plain.py", false},
    };
    FIXTURE f = fixture_new();
    struct ignore_rules r = {0};

    (void)state;
    ignore_parse(f.a, str_c(rules), STR(""), &r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ignore_matches(&r, str_c(cases[i].path)) != cases[i].ignored)
            fail_msg("%s", cases[i].path);
}

#define V "version https://git-lfs.github.com/spec/v1\n"
#define H "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"

static void test_pointer(void **state)
{
    static const struct {
        const char *name, *text;
        bool good;
    } cases[] = {
        {"plain", V H "size 12345\n", true},
        {"no newline at the end", V H "size 12345", true},
        {"empty file", V H "size 0\n", true},
        {"extension", V "ext-0-foo sha256:00\n" H "size 1\n", true},
        {"older version", "version http://git-media.io/v/2\n" H "size 1\n", true},
        {"version unknown", "version https://example.org\n" H "size 1\n", false},
        {"no version", H "size 1\n", false},
        {"keys swapped", V "size 1\n" H, false},
        {"more lines", V H "size 1\nmore x\n", false},
        {"negative size", V H "size -1\n", false},
        {"size too large", V H "size 9223372036854775808\n", false},
        {"capital digits",
         V "oid sha256:4D7A214614AB2935C943F9E0FF69D22EADBB8F32B1258DAAA5E2CA24D1"
           "7E2393\nsize 1\n",
         false},
        {"short hash", V "oid sha256:4d7a\nsize 1\n", false},
        {"unknown key", V "ext-x-foo a\n" H "size 1\n", false},
        {"nothing", "", false},
    };
    FIXTURE f = fixture_new();
    struct lfs_pointer p;
    char long_text[LFS_POINTER_MAX + 200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (lfs_pointer_parse(str_c(cases[i].text), &p) != cases[i].good)
            fail_msg("%s", cases[i].name);
    assert_true(lfs_pointer_parse(STR(V H "size 12345\n"), &p));
    assert_int_equal(p.size, 12345);
    check_str(lfs_pointer_format(f.a, p), V H "size 12345\n");
    memset(long_text, '\n', sizeof long_text);
    memcpy(long_text, V H "size 1\n", strlen(V H "size 1\n"));
    assert_false(lfs_pointer_parse((str){long_text, sizeof long_text}, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glob),       cmocka_unit_test(test_glob_is_fast),
        cmocka_unit_test(test_attributes), cmocka_unit_test(test_nested_attributes),
        cmocka_unit_test(test_add_line),   cmocka_unit_test(test_ignore),
        cmocka_unit_test(test_pointer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
