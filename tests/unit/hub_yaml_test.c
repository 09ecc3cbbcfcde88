/* hub_yaml_test.c — front matter and its JSON; the rows are named after what the author wrote. */
#include "check.h"
#include "hub/yaml_json.h"

#include "base/json.h"
#include <stdio.h>

static struct arena *a;

static const struct {
    const char *name, *yaml, *json;
} good[] = {
    {"nothing", "", "null"},
    {"a comment", "# hello\n", "null"},
    {"words", "license: mit\nlanguage: en\n", "{\"license\":\"mit\",\"language\":\"en\"}"},
    {"Norway stays a word", "language: no\nx: [yes, on, off, y, N]\n",
     "{\"language\":\"no\",\"x\":[\"yes\",\"on\",\"off\",\"y\",\"N\"]}"},
    {"a date stays a word", "date: 2024-01-01\nat: 2024-01-01T00:00:00Z\n",
     "{\"date\":\"2024-01-01\",\"at\":\"2024-01-01T00:00:00Z\"}"},
    {"truth", "a: true\nb: False\nc: TRUE\nd: tRue\n",
     "{\"a\":true,\"b\":false,\"c\":true,\"d\":\"tRue\"}"},
    {"nothing in five spellings", "a: null\nb: ~\nc:\nd: Null\ne: NULL\nf: nUll\n",
     "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":null,\"f\":\"nUll\"}"},
    {"whole numbers", "[1, -2, +3, 010, 0x1F, 0o17, 0b1, 1_000]",
     "[1,-2,3,10,31,15,\"0b1\",\"1_000\"]"},
    {"real numbers", "[1.5, .5, 5., 1e3, -1.5E-2, 1.2.3, 1e, .]",
     "[1.5,0.5,5.0,1000.0,-0.015,\"1.2.3\",\"1e\",\".\"]"},
    {"versions", "[4.0, 4.44.0, 1:30]", "[4.0,\"4.44.0\",\"1:30\"]"},
    {"no numbers of JSON", "[.inf, -.INF, .nan, +.inf, .Infinity]",
     "[null,null,null,null,\".Infinity\"]"},
    {"too large to be whole", "[9223372036854775807, 9223372036854775808]",
     "[9223372036854775807,9.223372036854776e+18]"},
    {"quoted is never a number", "['1', \"true\", '~', \"\"]", "[\"1\",\"true\",\"~\",\"\"]"},
    {"a forced string", "[!!str 1, !!int '7', !local 8]", "[\"1\",7,\"8\"]"},
    {"block text", "a: |\n  one\n  two\nb: >-\n  one\n  two\n",
     "{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\"}"},
    {"CRLF", "a: 1\r\nb:\r\n- x\r\n- y\r\n", "{\"a\":1,\"b\":[\"x\",\"y\"]}"},
    {"emoji", "emoji: \xf0\x9f\x94\xa5\n", "{\"emoji\":\"\xf0\x9f\x94\xa5\"}"},
    {"the last of two wins, where the first stood", "a: 1\nb: 2\na: 3\n", "{\"a\":3,\"b\":2}"},
    {"keys of all kinds are words", "1: a\ntrue: b\n~: c\n",
     "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\"}"},
    {"an alias", "a: &x [1, 2]\nb: *x\n", "{\"a\":[1,2],\"b\":[1,2]}"},
    {"an anchor set anew", "[&x 1, *x, &x 2, *x]", "[1,1,2,2]"},
    {"merge keys are keys", "a: &x {p: 1}\nb:\n  <<: *x\n",
     "{\"a\":{\"p\":1},\"b\":{\"<<\":{\"p\":1}}}"},
    {"a NUL byte", "a: \"x\\0y\"\n", "{\"a\":\"x\xef\xbf\xbdy\"}"},
    {"the second document is ignored", "a: 1\n...\n---\nb: 2\n", "{\"a\":1}"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        str json = STR_NONE;
        err e = yaml_to_json(a, str_c(good[i].yaml), 1, &json);

        if (e)
            fail_msg("%s: %.*s", good[i].name, STR_FMT(e->text));
        if (!str_eq(json, str_c(good[i].json)))
            fail_msg("%s: got %.*s", good[i].name, STR_FMT(json));
    }
}

static const struct {
    const char *name, *yaml, *says;
} bad[] = {
    {"a colon too many", "a: b: c\n", "line 2, column 5"},
    {"a tab", "a:\n\tb: 1\n", "line 3"},
    {"an at sign", "a: @x\n", "line 2, column 4"},
    {"an open list", "a: [1, 2\n", "YAML at line"},
    {"bad UTF-8", "a: \xff\n", "YAML at line"},
    {"an alias without an anchor", "a: *x\n", "no anchor"},
    {"an alias inside of its anchor", "a: &x [*x]\n", "no anchor"},
    {"a list as key", "? [a]\n: 1\n", "cannot be a key"},
    {"a mapping as key", "{a: 1}: 2\n", "cannot be a key"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        str json;
        err e = yaml_to_json(a, str_c(bad[i].yaml), 2, &json);

        if (!e)
            fail_msg("%s: got %.*s", bad[i].name, STR_FMT(json));
        assert_int_equal(e->status, 400);
        if (!str_has(e->text, str_c(bad[i].says)))
            fail_msg("%s: %.*s", bad[i].name, STR_FMT(e->text));
    }
}

static str repeat(const char *head, const char *part, size_t count, const char *tail)
{
    struct buf b = BUF(8u << 20);
    str s;

    buf_add(&b, str_c(head));
    for (size_t i = 0; i < count; i++)
        buf_add(&b, str_c(part));
    buf_add(&b, str_c(tail));
    s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static void test_limits(void **state)
{
    const struct json *j;
    str json;

    (void)state;
    check_fails(yaml_to_json(a, repeat("", "[", YAML_MAX_DEPTH + 1, ""), 1, &json), 400);
    check_fails(yaml_to_json(a, repeat("", "[", 200000, ""), 1, &json), 400);
    check_fails(yaml_to_json(a, repeat("", "- a\n", YAML_MAX_NODES + 1, ""), 1, &json), 400);
    check_fails(yaml_to_json(a, repeat("", "a", YAML_MAX_BYTES + 1, ""), 1, &json), 400);
    check_fails(yaml_to_json(a, repeat("", "- &a 1\n", YAML_MAX_ANCHORS + 1, ""), 1, &json), 400);
    check_fails(yaml_to_json(a,
                             STR("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
                                 "c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\n"
                                 "e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n"),
                             1, &json),
                400);
    check_fails(
        yaml_to_json(a, repeat("a: &x \"", "y", 500000, "\"\nb: [*x,*x,*x,*x,*x,*x,*x,*x,*x]\n"), 1,
                     &json),
        400);
    /* what is let through, the reader of JSON takes */
    check_ok(yaml_to_json(a, repeat("", "[", 60, repeat("1", "]", 60, "").ptr), 1, &json));
    check_ok(json_parse(a, json, &j));
}

static const struct {
    const char *name, *text, *yaml, *body;
    unsigned first_line;
} cards[] = {
    {"plain", "---\na: 1\n---\n# Hi\n", "a: 1\n", "# Hi\n", 2},
    {"byte order mark", "\xef\xbb\xbf---\na: 1\n---\nx", "a: 1\n", "x", 2},
    {"blank lines before", "\n  \n---\na: 1\n---\n", "a: 1\n", "", 4},
    {"CRLF", "---\r\na: 1\r\n---\r\nx\r\n", "a: 1\r\n", "x\r\n", 2},
    {"spaces behind the dashes", "--- \na: 1\n---\t\nx", "a: 1\n", "x", 2},
    {"nothing between", "---\n---\nx", "", "x", 2},
    {"no end of line at the end", "---\na: 1\n---", "a: 1\n", "", 2},
    {"dashes inside of a line", "---\na: ---\n---\n", "a: ---\n", "", 2},
    {"not closed", "---\na: 1\n", NULL, "---\na: 1\n", 1},
    {"four dashes", "----\na: 1\n----\n", NULL, "----\na: 1\n----\n", 1},
    {"text first", "# Hi\n---\na: 1\n---\n", NULL, "# Hi\n---\na: 1\n---\n", 1},
    {"empty", "", NULL, "", 1},
};

static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        struct front_matter f = front_matter_split(str_c(cards[i].text));

        if (f.is_there != (cards[i].yaml != NULL) || !str_eq(f.yaml, str_c(cards[i].yaml)) ||
            !str_eq(f.body, str_c(cards[i].body)) || f.first_line != cards[i].first_line)
            fail_msg("%s: \"%.*s\" \"%.*s\" %u", cards[i].name, STR_FMT(f.yaml), STR_FMT(f.body),
                     f.first_line);
    }
}

static int setup(void **state)
{
    (void)state;
    a = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_split),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
