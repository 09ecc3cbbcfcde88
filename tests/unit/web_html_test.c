/* What gets into HTML: escapes, addresses, bytes that are no text. */
#include "check.h"
#include "web/html.h"

static void expect(void (*put)(struct buf *, str), str in, const char *wanted)
{
    AUTO_BUF struct buf out = BUF(4096);

    put(&out, in);
    buf_addc(&out, 0);
    assert_string_equal(out.ptr, wanted);
}

static void text_is_escaped(void **state)
{
    (void)state;
    expect(html_put_text, STR("a<b>&\"c\"'d'"), "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39;");
    expect(html_put_text, STR("\xC3\xA9t\xC3\xA9\n\t"), "\xC3\xA9t\xC3\xA9\n\t");
    expect(html_put_text,
           (str){"a\0b\x1b"
                 "c\x7f",
                 6},
           "a\xEF\xBF\xBD"
           "b\xEF\xBF\xBD"
           "c\xEF\xBF\xBD");
    expect(html_put_text, STR("cut\xC3"), "cut\xEF\xBF\xBD");
    expect(html_put_text, STR("\xC0\x80<"), "\xEF\xBF\xBD\xEF\xBF\xBD&lt;");
    expect(html_put_text, STR(""), "");
}

static void addresses_are_checked(void **state)
{
    static const char *const bad[] = {"javascript:alert(1)",
                                      "JavaScript:alert(1)",
                                      " javascript:x",
                                      "java\tscript:x",
                                      "data:text/html,x",
                                      "//evil.example/x",
                                      "\\\\evil.example",
                                      "/\\evil.example",
                                      "vbscript:x",
                                      "",
                                      "x y",
                                      "jav\nascript:x"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect(html_put_url, str_c(bad[i]), "#");
    expect(html_put_url, STR("/a/b?c=d&e=f"), "/a/b?c=d&amp;e=f");
    expect(html_put_url, STR("https://a.example/x"), "https://a.example/x");
    expect(html_put_url, STR("mailto:a@example.org"), "mailto:a@example.org");
    expect(html_put_url, STR("/a/b:c"), "/a/b:c");
    expect(html_put_url, STR("#x:y"), "#x:y");
}

static void parts_of_addresses_are_encoded(void **state)
{
    (void)state;
    expect(html_put_path, STR("a/b c?d#e\"f"), "a/b%20c%3Fd%23e%22f");
    expect(html_put_query, STR("a/b&c=d"), "a%2Fb%26c%3Dd");
    expect(html_put_path, STR("\xC3\xA9"), "%C3%A9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(parts_of_addresses_are_encoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
