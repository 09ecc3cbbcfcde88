/* hub_commit_line_test.c — the lines of an NDJSON commit in every shape that clients send, and in
 * those that they must not send; and which paths may be committed. */
#include "base/arena.h"
#include "base/text.h"
#include "check.h"
#include "hub/commit_line.h"
#include <stdlib.h>

static int begin(void **state)
{
    *state = arena_new(0);
    return 0;
}

static int end(void **state)
{
    arena_free(*state);
    return 0;
}

/* The line in memory of exactly its length, until the arena goes. */
static err parse(struct arena *a, str text, struct commit_line *ret)
{
    char *exact = malloc(text.len);

    if (text.len)
        memcpy(exact, text.ptr, text.len);
    arena_defer(a, free, exact);
    return commit_line_parse(a, exact, text.len, ret);
}

static struct commit_line must(struct arena *a, const char *text)
{
    struct commit_line l;

    check_ok(parse(a, str_c(text), &l));
    return l;
}

static void refuse(struct arena *a, const char *text)
{
    struct commit_line l;
    err e = parse(a, str_c(text), &l);

    if (!e)
        fail_msg("accepted: %s", text);
    assert_int_equal(e->status, 400);
    assert_true(e->text.len > 0);
}

/* --- shapes --- */

static void headers(void **state)
{
    struct commit_line l = must(
        *state, "{\"key\": \"header\", \"value\": {\"summary\": \"m1\", \"description\": \"desc\", "
                "\"parentCommit\": \"1111111111111111111111111111111111111111\"}}");

    assert_int_equal(l.key, COMMIT_HEADER);
    check_str(l.summary, "m1");
    check_str(l.description, "desc");
    check_str(l.parent, "1111111111111111111111111111111111111111");
    l = must(*state,
             "{\"key\":\"header\",\"value\":{\"summary\":\"Add 1 files \\u00e9 \\\"x\\\"\"}}");
    check_str(l.summary, "Add 1 files é \"x\"");
    assert_null(l.description.ptr);
    assert_null(l.parent.ptr);
    l = must(*state, "{\"key\":\"header\",\"value\":{\"summary\":5,\"content\":\"AAAA\"}}");
    assert_null(l.summary.ptr);
    assert_false(l.has_content);
}

static void check_content(struct arena *a, const char *line, const char *path, const char *content)
{
    struct commit_line l = must(a, line);

    assert_int_equal(l.key, COMMIT_FILE);
    check_str(l.path, path);
    assert_true(l.has_content);
    check_str(l.content, content);
}

static void files_in_base64(void **state)
{
    check_content(*state,
                  "{\"key\": \"file\", \"value\": {\"content\": \"aGVsbG8=\", \"path\": \"e.txt\", "
                  "\"encoding\": \"base64\"}}",
                  "e.txt", "hello");
    check_content(
        *state,
        "{\"key\":\"file\",\"value\":{\"path\":\"e.txt\",\"encoding\":\"base64\",\"content\":"
        "\"aGVsbG8=\"}}",
        "e.txt", "hello");
    check_content(
        *state,
        " {\t\"value\" : { \"encoding\" : \"base64\" , \"content\" : \"aGVsbG8=\" , \"path\" "
        ": \"e.txt\" } ,\r\"key\" : \"file\" } ",
        "e.txt", "hello");
    check_content(
        *state,
        "{\"key\":\"file\",\"value\":{\"content\":\"\",\"path\":\"e\",\"encoding\":\"base64\"}}",
        "e", "");
    /* without padding, and in the alphabet of URLs */
    check_content(
        *state,
        "{\"key\":\"file\",\"value\":{\"content\":\"aGVsbG8\",\"path\":\"e\",\"encoding\":"
        "\"base64\"}}",
        "e", "hello");
    check_content(
        *state,
        "{\"key\":\"file\",\"value\":{\"content\":\"fn5-fn4_\",\"path\":\"e\",\"encoding\":"
        "\"base64\"}}",
        "e", "~~~~~?");
}

static void escapes_in_base64(void **state)
{
    static const char *const same[] = {
        "Pz8/Pz8+/w==", "Pz8\\/Pz8+\\/w==", "Pz8\\u002fPz8+\\u002Fw==",
        "Pz8\\/Pz8\\u002b/w\\u003d\\u003d"};
    struct arena *a = *state;

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        str line = arena_printf(a,
                                "{\"key\":\"file\",\"value\":{\"content\":\"%s\",\"path\":\"e\","
                                "\"encoding\":\"base64\"}}",
                                same[i]);

        check_content(a, line.ptr, "e", "\x3f\x3f\x3f\x3f\x3f>\xff");
    }
    check_content(a,
                  "{\"key\":\"file\",\"value\":{\"content\":\"\\/\\/\\/\\/\",\"path\":\"e\","
                  "\"encoding\":\"base64\"}}",
                  "e", "\xff\xff\xff");
}

static void files_in_utf8(void **state)
{
    check_content(*state, "{\"key\":\"file\",\"value\":{\"content\":\"plain\",\"path\":\"e\"}}",
                  "e", "plain");
    check_content(*state,
                  "{\"key\":\"file\",\"value\":{\"content\":\"a\\nb\\t\\\"q\\\" \\\\ \\/ \\u00e9 "
                  "\\ud83d\\ude00 "
                  "é\",\"path\":\"e\",\"encoding\":\"utf-8\"}}",
                  "e", "a\nb\t\"q\" \\ / é 😀 é");
    check_content(*state, "{\"key\":\"file\",\"value\":{\"path\":\"e\",\"content\":\"\"}}", "e",
                  "");
    check_content(*state, "{\"key\":\"file\",\"value\":{\"path\":\"e\",\"content\":\"\\\\\"}}", "e",
                  "\\");
    check_content(
        *state, "{\"key\":\"file\",\"value\":{\"path\":\"e\",\"encoding\":null,\"content\":\"n\"}}",
        "e", "n");
}

/* Only the "content" of the value is it. */
static void content_elsewhere(void **state)
{
    check_content(*state,
                  "{\"content\":\"QUFB\",\"key\":\"file\",\"value\":{\"path\":\"content\","
                  "\"content\":\"b\"}}",
                  "content", "b");
    check_content(*state,
                  "{\"key\":\"file\",\"other\":{\"content\":\"A\"},\"value\":{\"x\":{\"content\":"
                  "\"B\"},\"y\":"
                  "[\"content\",\"C\",{\"content\":\"D\"}],\"path\":\"p\",\"content\":\"E\"}}",
                  "p", "E");
    check_content(
        *state,
        "{\"key\":\"file\",\"value\":{\"path\":\"a\\\",\\\"content\\\":\\\"x\",\"content\":\"y\"}}",
        "a\",\"content\":\"x", "y");
    check_content(
        *state,
        "{\"key\":\"file\",\"value\":{\"n\":12,\"t\":true,\"content\":\"{\\\"content\\\":1}\","
        "\"path\":\"p\"}}",
        "p", "{\"content\":1}");
    check_content(*state,
                  "{\"value\":{\"path\":\"p\",\"content\":\"E\"},\"after\":{\"content\":\"F\"},"
                  "\"key\":\"file\"}",
                  "p", "E");
}

static void files_without_content(void **state)
{
    static const char *const lines[] = {
        "{\"key\":\"file\",\"value\":{\"path\":\"new\",\"oldPath\":\"old\"}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"new\",\"oldPath\":\"old\",\"content\":null}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"new\",\"oldPath\":\"old\",\"content\":17}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"new\",\"oldPath\":\"old\",\"content\":[\"x\"]}}",
        "{\"key\":\"file\",\"content\":\"no\",\"value\":{\"path\":\"new\",\"oldPath\":\"old\"}}",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct commit_line l = must(*state, lines[i]);

        assert_int_equal(l.key, COMMIT_FILE);
        check_str(l.path, "new");
        check_str(l.old_path, "old");
        assert_false(l.has_content);
    }
}

#define HASH "cd00e292c5970d3c5e2f0ffa5171e555bc46bfc4faddfb4a418b6840b86e79a3"

static void large_files(void **state)
{
    struct commit_line l =
        must(*state, "{\"key\": \"lfsFile\", \"value\": {\"path\": \"x.bin\", \"algo\": "
                     "\"sha256\", \"oid\": \"" HASH "\", \"size\": 100}}");

    assert_int_equal(l.key, COMMIT_LFS_FILE);
    check_str(l.path, "x.bin");
    check_str(sha256_hex(*state, l.lfs), HASH);
    assert_true(l.has_size);
    assert_int_equal(l.size, 100);
    l = must(
        *state,
        "{\"key\":\"lfsFile\",\"value\":{\"path\":\"c.bin\",\"algo\":\"sha256\",\"oid\":\"" HASH
        "\",\"oldPath\":\"b.bin\"}}");
    assert_false(l.has_size);
    assert_int_equal(l.size, 0);
    check_str(l.old_path, "b.bin");
    l = must(*state, "{\"key\":\"lfsFile\",\"value\":{\"path\":\"c\",\"oid\":\"" HASH
                     "\",\"size\":9007199254740993,\"content\":\"no\"}}");
    assert_true(l.size == 9007199254740993u);
    assert_false(l.has_content);
    refuse(*state, "{\"key\":\"lfsFile\",\"value\":{\"path\":\"c\",\"size\":1}}");
    refuse(*state, "{\"key\":\"lfsFile\",\"value\":{\"path\":\"c\",\"oid\":\"cd00\",\"size\":1}}");
    refuse(*state, "{\"key\":\"lfsFile\",\"value\":{\"path\":\"c\",\"oid\":7,\"size\":1}}");
    refuse(*state,
           "{\"key\":\"lfsFile\",\"value\":{\"path\":\"c\",\"oid\":\"" HASH "\",\"size\":-1}}");
}

static void removals(void **state)
{
    struct commit_line l =
        must(*state, "{\"key\": \"deletedFile\", \"value\": {\"path\": \"a.txt\"}}");

    assert_int_equal(l.key, COMMIT_DELETE);
    check_str(l.path, "a.txt");
    l = must(*state, "{\"key\": \"deletedFolder\", \"value\": {\"path\": \"dir/\"}}");
    assert_int_equal(l.key, COMMIT_DELETE);
    check_str(l.path, "dir/");
    assert_int_equal(must(*state, "{\"key\":\"deletedEntry\",\"value\":{\"path\":\"a\"}}").key,
                     COMMIT_DELETE);
}

static void unknown_keys(void **state)
{
    static const char *const lines[] = {
        "{\"key\":\"submodule\",\"value\":{\"path\":\"a\"}}",
        "{\"key\":\"copyFile\",\"value\":{}}",
        "{\"key\":\"File\",\"value\":{}}",
        "{\"key\":3,\"value\":{}}",
        "{\"value\":{}}",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(must(*state, lines[i]).key, COMMIT_UNKNOWN);
}

/* --- what is no line --- */

static void malformed_lines(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "null",
        "[]",
        "\"file\"",
        "{\"key\":\"file\"}",
        "{\"key\":\"file\",\"value\":null}",
        "{\"key\":\"file\",\"value\":[{\"content\":\"x\"}]}",
        "{\"key\":\"file\",\"value\":\"content\"}",
        "{\"key\":\"file\",\"value\":{\"content\":\"x\",\"path\":\"p\"}",
        "{\"key\":\"file\",\"value\":{\"content\":\"x\",\"path\":\"p\"}}}",
        "{\"key\":\"file\",\"value\":{\"content\":\"x\" \"path\":\"p\"}}",
        "{\"key\":\"file\",\"value\":{\"content\":\"x",
        "{\"key\":\"file\",\"value\":{\"content\":\"x\\",
        "{\"key\":\"file\",\"value\":{\"content\":\"x\\\"}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"p\",\"content\":\"\\x\"}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"p\",\"content\":\"\\ud800\"}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"p\",\"content\":\"\xff\"}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"p\",\"content\":\"a\tb\"}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"p\",\"content\":\"x\",\"encoding\":\"latin-1\"}}",
        "{\"key\":\"file\",\"value\":{\"path\":\"p\",\"content\":\"x\",\"encoding\":\"\"}}",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        refuse(*state, lines[i]);
}

static void bad_base64(void **state)
{
    static const char *const texts[] = {"a",         "aGVsb", "aGVs bG8=",   "aGVsbG8==",    "=aGV",
                                        "aGVs=bG8=", "aG*s",  "aGVs\\nbG8=", "aGVsbG8=\\\\", "\\/",
                                        "aGVs\\",    "é",     "\\u00e9",     "aGV\\u00"};
    struct arena *a = *state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refuse(a, arena_printf(
                      a,
                      "{\"key\":\"file\",\"value\":{\"content\":\"%s\",\"path\":\"e\",\"encoding\":"
                      "\"base64\"}}",
                      texts[i])
                      .ptr);
}

static void lines_cut_anywhere(void **state)
{
    static const char *const lines[] = {
        "{\"key\":\"file\",\"value\":{\"content\":\"aGVs\\/"
        "bG8=\",\"path\":\"e\",\"encoding\":\"base64\"}}",
        "{\"value\":{\"path\":\"\\u00e9\",\"x\":[{\"content\":\"a\"}],\"content\":\"\\\"\"},"
        "\"key\":\"file\"}",
    };
    struct commit_line l;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t len = 0; len < strlen(lines[i]); len++)
            check_fails(parse(*state, (str){lines[i], len}, &l), 400);
}

/* Every byte value, megabytes of it, decoded where it stands. */
static void a_large_content(void **state)
{
    struct arena *a = *state;
    size_t size = 3 * 1000 * 1000 + 1;
    char *data = arena_alloc(a, size);
    struct commit_line l;
    str line;

    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    line =
        arena_cat(a, STR("{\"key\":\"file\",\"value\":{\"content\":\""),
                  base64_encode(a, data, size), STR("\",\"encoding\":\"base64\",\"path\":\"p\"}}"));
    check_ok(parse(a, line, &l));
    assert_int_equal(l.content.len, size);
    assert_memory_equal(l.content.ptr, data, size);
}

/* --- paths --- */

static void paths_that_may_be_committed(void **state)
{
    static const char *const rows[][2] = {
        {"a", "a"},
        {"a/b/c.txt", "a/b/c.txt"},
        {"./a", "a"},
        {"dir/", "dir"},
        {"./dir/", "dir"},
        {"with space/é 日本.txt", "with space/é 日本.txt"},
        {".gitattributes", ".gitattributes"},
        {".gitignore", ".gitignore"},
        {".github/x", ".github/x"},
        {"a..b", "a..b"},
        {"..a", "..a"},
        {"...", "..."},
        {"a/..b", "a/..b"},
        {"folder/..\\..\\..\\file", "folder/..\\..\\..\\file"},
        {"a\nb", "a\nb"},
        {"-rf", "-rf"},
    };
    str clean;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_ok(commit_path_check(*state, str_c(rows[i][0]), &clean));
        check_str(clean, rows[i][1]);
    }
}

static void paths_that_may_not(void **state)
{
    static const char *const paths[] = {
        "",          "/",       ".",          "./",
        "..",        "../a",    "..\\ddd",    "..\\",
        "./..\\ddd", "./../a",  "a/..",       "a/../b",
        "a/./b",     "a//b",    "/a",         "//",
        "a//",       "././a",   ".git",       ".git/x",
        "a/.git/x",  "a/.GIT",  ".git.",      ".git ",
        "git~1",     "GIT~1/x", ".g\u200cit", ".git::$INDEX_ALLOCATION",
    };
    struct arena *a = *state;
    char *deep = arena_alloc(a, 2001);
    str clean = STR("untouched");

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        err e = commit_path_check(a, str_c(paths[i]), &clean);

        if (!e)
            fail_msg("accepted: %s", paths[i]);
        assert_int_equal(e->status, 422);
    }
    check_fails(commit_path_check(a, (str){"a\0b", 3}, &clean), 422);
    check_fails(commit_path_check(a, STR_NONE, &clean), 422);
    check_str(clean, "untouched");
    memset(deep, 'x', 2000);
    deep[500] = '/';
    check_ok(commit_path_check(a, (str){deep, 1000}, &clean));
    check_fails(commit_path_check(a, (str){deep, 1001}, &clean), 422);
    for (size_t i = 1; i < 1000; i += 2)
        deep[i] = '/'; /* 500 folders deep: more than a tree may be */
    check_fails(commit_path_check(a, (str){deep, 999}, &clean), 422);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(headers),
        TEST(files_in_base64),
        TEST(escapes_in_base64),
        TEST(files_in_utf8),
        TEST(content_elsewhere),
        TEST(files_without_content),
        TEST(large_files),
        TEST(removals),
        TEST(unknown_keys),
        TEST(malformed_lines),
        TEST(bad_base64),
        TEST(lines_cut_anywhere),
        TEST(a_large_content),
        TEST(paths_that_may_be_committed),
        TEST(paths_that_may_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
