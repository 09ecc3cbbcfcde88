/* git_object_test.c — see git/object.h and git/refname.h. */
#include "git/refname.h"
#include "git_fixture.h"

#define TREE "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
#define PARENT "parent ce013625030ba8dba906f756967f9e9ca394464a\n"
#define PEOPLE "author A <a@b> 1700000000 +0100\ncommitter C D <c@d> 1700000001 -0530\n"

static void test_commit(void **state)
{
    FIXTURE f = fixture_new();
    str text = STR(TREE PARENT PARENT PEOPLE "encoding UTF-8\ngpgsig -----BEGIN\n line\n\n"
                                             "Title here\n\nBody one\n\nBody two\n");
    struct commit_obj c;

    (void)state;
    assert_true(commit_parse(f.a, text, &c));
    assert_int_equal(c.parent_count, 2);
    check_str(sha1_hex(f.a, c.parents[1]), "ce013625030ba8dba906f756967f9e9ca394464a");
    check_str(c.author.name, "A");
    check_str(c.author.email, "a@b");
    assert_int_equal(c.author.time_s, 1700000000);
    assert_int_equal(c.author.tz_minutes, 60);
    check_str(c.committer.name, "C D");
    assert_int_equal(c.committer.tz_minutes, -330);
    check_str(c.title, "Title here");
    check_str(c.body, "Body one\n\nBody two");
}

static void test_commit_round_trip(void **state)
{
    FIXTURE f = fixture_new();
    str text = STR(TREE PARENT PEOPLE "\nTitle\n");
    struct commit_obj c;

    (void)state;
    assert_true(commit_parse(f.a, text, &c));
    assert_true(str_eq(commit_format(f.a, &c), text));
    c.author.name = STR("  <Mal\nory>\n");
    c.author.email = STR("");
    c.message = STR("no newline\0and NUL");
    check_str(commit_format(f.a, &c),
              TREE PARENT "author Malory <unknown> 1700000000 +0100\ncommitter C D <c@d> "
                          "1700000001 -0530\n\nno newlineand NUL\n");
}

static void test_odd_commits(void **state)
{
    static const struct {
        const char *name, *text;
        bool good;
    } cases[] = {
        {"no message at all", TREE PEOPLE, true},
        {"empty message", TREE PEOPLE "\n", true},
        {"author without e-mail", TREE "author A\ncommitter B <b> 1 +0000\n\nx", true},
        {"time out of range", TREE "author A <a> 99999999999999999999 +0000\ncommitter B\n\nx",
         true},
        {"nothing", "", false},
        {"tree cut short", "tree 4b825dc642cb6eb9a060e54bf8d69288fbee490\n" PEOPLE "\nx", false},
        {"no committer", TREE "author A <a> 1 +0000\n\nx", false},
        {"parent after author", TREE "author A <a> 1 +0000\n" PARENT "committer B <b> 1 +0000\n\n",
         false},
        {"line does not end", TREE PEOPLE "encoding", false},
        {"just a key", TREE "author\ncommitter\n\n", false},
    };
    FIXTURE f = fixture_new();
    struct commit_obj c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (commit_parse(f.a, str_c(cases[i].text), &c) != cases[i].good)
            fail_msg("%s", cases[i].name);
}

static void test_messages(void **state)
{
    static const struct {
        const char *message, *title, *body;
    } cases[] = {
        {"one line", "one line", ""},     {"t\n\nb\n", "t", "b"}, {"t\nb\n\n", "t", "b"},
        {"\n\nt\r\n\r\nb\r\n", "t", "b"}, {"", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str title, body;

        message_split(str_c(cases[i].message), &title, &body);
        check_str(title, cases[i].title);
        check_str(body, cases[i].body);
    }
}

static void test_tags_and_peeling(void **state)
{
    FIXTURE f = fixture_new();
    oid commit = put_commit(&f, oid_empty_tree, 1, NULL, 0), one, two, id;
    struct tag_obj t = {.target = commit,
                        .type = OBJ_COMMIT,
                        .name = STR("v1"),
                        .tagger = {STR("T"), STR("t@t"), 5, 0},
                        .message = STR("first")};
    struct tag_obj back;
    enum obj_type type;
    bool found;
    str data;

    (void)state;
    check_ok(odb_write(f.odb, f.a, OBJ_TAG, tag_format(f.a, &t), &one));
    t.target = one;
    t.type = OBJ_TAG;
    check_ok(odb_write(f.odb, f.a, OBJ_TAG, tag_format(f.a, &t), &two));
    check_ok(odb_read(f.odb, f.a, two, OBJ_TAG, &data));
    assert_true(tag_parse(data, &back));
    check_str(back.name, "v1");
    check_str(back.message, "first\n");
    assert_true(back.type == OBJ_TAG);
    check_ok(object_peel(f.odb, f.a, two, &id, &type, &found));
    assert_true(found && type == OBJ_COMMIT && sha1_eq(id, commit));
    check_ok(object_peel(f.odb, f.a, oid_empty_tree, &id, &type, &found));
    assert_false(found);
    assert_false(tag_parse(STR("object x\n"), &back));
}

static void test_ref_names(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } cases[] = {
        {"refs/heads/main", true},
        {"refs/heads/a/b.c", true},
        {"refs/pr/7", true},
        {"refs/tags/v1@2", true},
        {"refs/heads/@", true},
        {"refs/heads/\xc3\xa9", true},
        {"refs/heads", false},
        {"refs/heads/", false},
        {"heads/main", false},
        {"refs//heads/main", false},
        {"refs/heads/.x", false},
        {"refs/heads/x.lock", false},
        {"refs/heads/x.lock/y", false},
        {"refs/heads/a..b", false},
        {"refs/heads/a b", false},
        {"refs/heads/a~1", false},
        {"refs/heads/a^", false},
        {"refs/heads/a:b", false},
        {"refs/heads/a?", false},
        {"refs/heads/*", false},
        {"refs/heads/a[", false},
        {"refs/heads/a\\b", false},
        {"refs/heads/a@{b", false},
        {"refs/heads/a.", false},
        {"refs/heads/a\x7f", false},
        {"refs/heads/../../x", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (refname_valid(str_c(cases[i].name)) != cases[i].good)
            fail_msg("%s", cases[i].name);
    assert_true(refname_short_valid(STR("feature/x")));
    assert_false(refname_short_valid(STR("-x")));
    assert_false(refname_short_valid(STR("HEAD")));
    assert_false(refname_short_valid(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit),           cmocka_unit_test(test_commit_round_trip),
        cmocka_unit_test(test_odd_commits),      cmocka_unit_test(test_messages),
        cmocka_unit_test(test_tags_and_peeling), cmocka_unit_test(test_ref_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
