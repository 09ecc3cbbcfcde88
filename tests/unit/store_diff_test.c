/* store_diff_test.c — the text of a comparison, against what git prints. */
#include "check.h"
#include "store/diff.h"

#include "git/object.h"
#include "git/odb_mem.h"
#include "git/tree_edit.h"

static struct arena *a;
static struct odb_mem *m;

struct given {
    const char *path;
    str content;
    unsigned mode;
};

static oid commit_of(const struct given *files, size_t count)
{
    struct odb *o = odb_mem_odb(m);
    struct tree_edit *edits = arena_many(a, struct tree_edit, count + 1);
    struct commit_obj c = {.message = STR("x")};
    oid head;

    for (size_t i = 0; i < count; i++) {
        edits[i] = (struct tree_edit){.path = str_c(files[i].path), .mode = files[i].mode};
        check_ok(odb_write(o, a, OBJ_BLOB, files[i].content, &edits[i].id));
    }
    check_ok(tree_edit_apply(o, a, OID_ZERO, edits, count, &c.tree));
    c.author = c.committer = (struct signature){STR("x"), STR("x@x"), 1, 0};
    check_ok(odb_write(o, a, OBJ_COMMIT, commit_format(a, &c), &head));
    return head;
}

static void test_all_kinds(void **state)
{
    const struct given before[] = {
        {"bin", STR("a\0b"), MODE_FILE},
        {"changed.txt", STR("one\ntwo\nthree\n"), MODE_FILE},
        {"gone.txt", STR("bye\n"), MODE_FILE},
        {"run.sh", STR("x\n"), MODE_FILE},
        {"same.txt", STR("same\n"), MODE_FILE},
    };
    const struct given after[] = {
        {"bin", STR("a\0c"), MODE_FILE},
        {"changed.txt", STR("one\n2\nthree\n"), MODE_FILE},
        {"d\xc3\xa9/\"q\".txt", STR("hi"), MODE_FILE},
        {"empty", STR(""), MODE_FILE},
        {"run.sh", STR("x\n"), MODE_EXEC},
        {"same.txt", STR("same\n"), MODE_FILE},
    };
    str text;

    (void)state;
    check_ok(diff_text(odb_mem_odb(m), a, commit_of(before, 5), commit_of(after, 6), DIFF_TEXT_MAX,
                       &text));
    check_str(text,
              "diff --git a/bin b/bin\nindex 20b5be9..88f3700 100644\n"
              "Binary files a/bin and b/bin differ\n"
              "diff --git a/changed.txt b/changed.txt\nindex 4cb29ea..f04eb26 100644\n"
              "--- a/changed.txt\n+++ b/changed.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
              "diff --git \"a/d\\303\\251/\\\"q\\\".txt\" \"b/d\\303\\251/\\\"q\\\".txt\"\n"
              "new file mode 100644\nindex 0000000..32f95c0\n"
              "--- /dev/null\n+++ \"b/d\\303\\251/\\\"q\\\".txt\"\n@@ -0,0 +1 @@\n+hi\n"
              "\\ No newline at end of file\n"
              "diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n"
              "diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\nindex b023018..0000000\n"
              "--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-bye\n"
              "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n");
}

static void test_limits(void **state)
{
    const struct given one[] = {{"a.txt", STR("hello\n"), MODE_FILE}};
    oid head = commit_of(one, 1);
    str text;

    (void)state;
    check_ok(diff_text(odb_mem_odb(m), a, head, head, 10, &text));
    check_str(text, "");
    check_ok(diff_text(odb_mem_odb(m), a, OID_ZERO, head, 1000, &text));
    assert_true(str_has(text, STR("+hello\n")));
    check_fails(diff_text(odb_mem_odb(m), a, OID_ZERO, head, 50, &text), 413);
    check_fails(diff_text(odb_mem_odb(m), a, OID_ZERO, sha1_of("x", 1), 1000, &text), 500);
}

static int setup(void **state)
{
    (void)state;
    a = arena_new(0);
    m = odb_mem_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    odb_mem_free(m);
    arena_free(a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
