/* http_file_reply_test.c — types under which user files leave: never one that a browser runs. */
#include "check.h"
#include "http/file_reply.h"

static void types_that_others_chose(void **state)
{
    static const struct {
        const char *given, *sent;
    } rows[] = {
        {"text/plain", "text/plain"},
        {"Text/Plain; charset=latin1", "text/plain"},
        {"image/png", "image/png"},
        {"application/json", "application/json"},
        {"application/vnd.apache.parquet", "application/vnd.apache.parquet"},
        {"text/html", "text/plain; charset=utf-8"},
        {"TEXT/HTML;x=y", "text/plain; charset=utf-8"},
        {"application/xhtml+xml", "text/plain; charset=utf-8"},
        {"image/svg+xml", "text/plain; charset=utf-8"},
        {"text/xml", "text/plain; charset=utf-8"},
        {"text/javascript", "text/plain; charset=utf-8"},
        {"application/ecmascript", "text/plain; charset=utf-8"},
        {"multipart/x-mixed-replace", "application/octet-stream"},
        {"message/rfc822", "application/octet-stream"},
        {"", "application/octet-stream"},
        {"text", "application/octet-stream"},
        {"text/", "application/octet-stream"},
        {"/html", "application/octet-stream"},
        {"text/a/b", "application/octet-stream"},
        {"text/pl ain", "application/octet-stream"},
        {"text/\r\nX: y", "application/octet-stream"},
    };
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(file_type_safe(a, str_c(rows[i].given)), rows[i].sent);
    arena_free(a);
}

static void types_by_extension(void **state)
{
    (void)state;
    assert_string_equal(file_type_of(STR("a/page.HTML")), "text/plain; charset=utf-8");
    assert_string_equal(file_type_of(STR("x.png")), "image/png");
    assert_string_equal(file_type_of(STR("drawing.svg")), "application/octet-stream");
    assert_string_equal(file_type_of(STR("weights")), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_that_others_chose),
        cmocka_unit_test(types_by_extension),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
