/* markdown_sanitize_test.c — HTML of strangers: what is kept, what goes, and that nothing gets
 * through. */
#include "check.h"
#include "html_check.h"
#include "markdown/markdown.h"

#include <time.h>

static struct arena *a;

static const struct markdown_options options = {
    .link_base = STR_INIT("/ns/name/blob/main/"),
    .image_base = STR_INIT("/ns/name/resolve/main/"),
    .dir = STR_INIT("docs/"),
    .origin = STR_INIT("https://hub.example"),
    .raw_html = true,
};

static int set_up(void **state)
{
    (void)state;
    a = arena_new(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

static void require_safe(const char *name, str html)
{
    static struct html_check c;

    if (!html_ok(&c, html.ptr, html.len))
        fail_msg("%s: %s", name, c.problem);
}

#define IMG " loading=\"lazy\" decoding=\"async\" referrerpolicy=\"no-referrer\""
#define FOREIGN " rel=\"nofollow ugc noopener\""

static const struct {
    const char *name, *in, *out;
} rows[] = {
    {"plain text", "a < b & c > d \"e\"", "a &lt; b &amp; c &gt; d &quot;e&quot;"},
    {"entities stay", "&copy;&#169;&#xA9; &copy &; &#; &#xg;",
     "&copy;&#169;&#xA9; &amp;copy &amp;; &amp;#; &amp;#xg;"},
    {"names in lower case", "<B>x</B><KBD>y</kbd>", "<b>x</b><kbd>y</kbd>"},
    {"quotes of every kind", "<p align=center lang='de' dir=\"rtl\">x",
     "<p align=\"center\" lang=\"de\" dir=\"rtl\">x</p>"},
    {"values that are not allowed", "<p align=\"x\" lang='\"' dir=up title=\"&quot;>\">x",
     "<p title=\"&quot;&gt;\">x</p>"},
    {"the first of two", "<p title=a title=b TITLE=c>x", "<p title=\"a\">x</p>"},
    {"style, class, handlers", "<div style=x class=y onclick=z data-a=b>x</div>", "<div>x</div>"},
    {"a language of code", "<code class=\"language-c++\">x</code><code class=\"btn\">y</code>",
     "<code class=\"language-c++\">x</code><code>y</code>"},
    {"unknown elements leave their text", "<foo>a <bar/>b</foo>", "a b"},
    {"dropped with its content", "a<script>b</script>c<STYLE>d</style >e", "ace"},
    {"dropped without an end", "a<script>b<i>c", "ab<i>c</i>"},
    {"dropped up to its own end tag", "<iframe></iframes></iframe\n>x", "x"},
    {"comments", "a<!-- b -->c<!-->d<!--->e<!-- f --!>g<!doctype h>i<?j k>l<!-- m", "acdegil"},
    {"a tag that never ends", "a<b title=\"x", "a"},
    {"a tag that ends in a value", "<b title=\">\">x</b>", "<b title=\"&gt;\">x</b>"},
    {"auto-closed", "<div><b>x", "<div><b>x</b></div>"},
    {"closed in order", "<b><i>x</b>y</i>", "<b><i>x</i></b>y"},
    {"unmatched", "</p></div>x</b>", "x"},
    {"void", "a<br>b<br/>c</br>d<hr width=50%>", "a<br>b<br>cd<hr width=\"50%\">"},
    {"a block ends a paragraph", "<p>a<b>b<div>c</div>d</p>", "<p>a<b>b</b></p><div>c</div>d"},
    {"items end each other", "<ul><li>a<li>b<ul><li>c</ul><li>d</ul>",
     "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"},
    {"terms", "<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"},
    {"rows and cells", "<table><tr><td>a<td>b<tr><th colspan=2>c</table>",
     "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table>"
     "<tr><td>a</td><td>b</td></tr><tr><th colspan=\"2\">c</th></tr></table></div>\n"},
    {"parts without a table", "<tr><td>a</td></tr><col>", "a"},
    {"a cell keeps what is in it", "<table><td><b>a</table></b>",
     "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table>"
     "<tr><td><b>a</b></td></tr></table></div>\n"},
    {"words between cells", "<table> a<tr> <td>b</td>c<caption>d</table>e",
     "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table>"
     "<tr><td> a</td></tr><tr> <td>b</td><td>c</td></tr><caption>d</caption></table></div>\ne"},
    {"a table in a table", "<table><table><tr><td>a</table></table>",
     "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table><tr><td>"
     "<div class=\"table\" role=\"region\" aria-label=\"Table 2\" tabindex=\"0\"><table><tr><td>a"
     "</td></tr></table></div>\n</td></tr></table></div>\n"},
    {"columns", "<table><col><colgroup><col span=2>a",
     "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table>"
     "<col><colgroup><col span=\"2\"></colgroup><tr><td>a</td></tr></table></div>\n"},
    {"headings end each other", "<h1>a<h2>b</h1>c<h3><b><h4>d",
     "<h1>a</h1><h2>bc</h2><h3><b><h4>d</h4></b></h3>"},
    {"ruby", "<rt>a</rt><ruby>b<rp>(<rt>c<b><rt>d", "a<ruby>b<rp>(</rp><rt>c<b>d</b></rt></ruby>"},
    {"spans of cells have a limit", "<table><td colspan=1001 rowspan=0 width=9px>x",
     "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table>"
     "<tr><td width=\"9px\">x</td></tr></table></div>\n"},
    {"a foreign link", "<a href=https://x.example/?a=1&b=2>x</a>",
     "<a href=\"https://x.example/?a=1&amp;b=2\"" FOREIGN ">x</a>"},
    {"a link to us", "<a href=https://hub.example/x>x</a><a href=https://hub.example.evil>y</a>",
     "<a href=\"https://hub.example/x\">x</a><a href=\"https://hub.example.evil\"" FOREIGN
     ">y</a>"},
    {"who poses as us", "<a href=https://hub.example@evil.example>x</a>",
     "<a href=\"https://hub.example@evil.example\"" FOREIGN ">x</a>"},
    {"relative links", "<a href=a.md#x>a</a><a href=../b/./c>b</a><a href=../../../../d>c</a>",
     "<a href=\"/ns/name/blob/main/docs/a.md#x\">a</a><a href=\"/ns/name/blob/main/b/c\">b</a>"
     "<a href=\"/ns/name/blob/main/d\">c</a>"},
    {"encoded dots", "<a href=%2E%2e/%2e/x?y=../z>a</a>",
     "<a href=\"/ns/name/blob/main/x?y=../z\">a</a>"},
    {"fragments", "<a href=#x>a</a><a href=\"#user-content-x\">b</a><a href=#>c</a>",
     "<a href=\"#user-content-x\">a</a><a href=\"#user-content-x\">b</a><a href=\"#\">c</a>"},
    {"other sites", "<a href=/x>a</a><a href=//y.example>b</a><a href='\\\\y.example'>c</a>",
     "<a href=\"/x\">a</a><a href=\"//y.example\"" FOREIGN ">b</a><a href=\"//y.example\"" FOREIGN
     ">c</a>"},
    {"mail", "<a href=mailto:a@b.c>a</a><img src=mailto:x alt=b>",
     "<a href=\"mailto:a@b.c\">a</a>b"},
    {"schemes", "<a href=javascript:x>a</a><a href=ftp:x>b</a><a href=' JAVA\nSCRIPT:x'>c</a>",
     "abc"},
    {"a link that is a place", "<a name=x>a <a id=y></a>",
     "<span id=\"user-content-x\"></span>a "
     "<span id=\"user-content-y\"></span>"},
    {"links do not nest", "<a href=a>b<a href=c>d</a>e</a>",
     "<a href=\"/ns/name/blob/main/docs/a\">b</a><a href=\"/ns/name/blob/main/docs/c\">d</a>e"},
    {"ids", "<p id=a></p><p id=a></p><p id=\"b c\"></p><p id=user-content-d></p>",
     "<p id=\"user-content-a\"></p><p></p><p></p><p id=\"user-content-d\"></p>"},
    {"images", "<img src=a.png alt=\"x&quot;y\" width=10 height=\"5%\" align=right>",
     "<img src=\"/ns/name/resolve/main/docs/a.png\"" IMG
     " alt=\"x&quot;y\" width=\"10\" height=\"5%\" align=\"right\">"},
    {"an image without words", "<img src=\"b/c d.png?x\"><img src=e alt>",
     "<img src=\"/ns/name/resolve/main/docs/b/c%20d.png?x\"" IMG
     " alt=\"c d.png\"><img src=\"/ns/name/resolve/main/docs/e\"" IMG " alt=\"\">"},
    {"small pictures inline", "<img src=data:image/gif;base64,R0lGOD= alt=a>",
     "<img src=\"data:image/gif;base64,R0lGOD=\"" IMG " alt=\"a\">"},
    {"others inline",
     "<img src=data:image/svg+xml;base64,AA alt=a><a href=data:image/gif;base64,AA>b</a>", "ab"},
    {"pictures",
     "<picture><source media='(prefers-color-scheme: dark)' srcset='a.png 2x, https://x/b.png'>"
     "<img src=c alt=d></picture><source srcset=e>",
     "<picture><source srcset=\"/ns/name/resolve/main/docs/a.png 2x, https://x/b.png\" "
     "media=\"(prefers-color-scheme: dark)\">"
     "<img src=\"/ns/name/resolve/main/docs/c\"" IMG " alt=\"d\"></picture>"},
    {"video", "<video src=a.mp4 autoplay muted poster=b.png><source src=c.webm></video>",
     "<video src=\"/ns/name/resolve/main/docs/a.mp4\" muted "
     "poster=\"/ns/name/resolve/main/docs/b.png\" "
     "controls preload=\"none\"><source src=\"/ns/name/resolve/main/docs/c.webm\"></video>"},
    {"boxes", "<input type=checkbox checked onclick=x><input type=text><input>",
     "<input type=\"checkbox\" disabled aria-label=\"Done\" checked>"},
    {"details", "<details open><summary>a</summary>b</details>",
     "<details open><summary>a</summary>b</details>"},
    {"lists", "<ol start=3 type=a reversed><li>x</ol><ol start=x type=z><li>y",
     "<ol start=\"3\" type=\"a\"><li>x</li></ol><ol><li>y</li></ol>"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        str out = markdown_sanitize(a, str_c(rows[i].in), &options);

        if (!str_eq(out, str_c(rows[i].out)))
            fail_msg("%s:\n      got %.*s\n expected %s", rows[i].name, STR_FMT(out), rows[i].out);
        require_safe(rows[i].name, out);
    }
}

static const struct {
    const char *name;
    str text;
} cards[] = {
#define CARD(name, text) {name, STR_INIT(text)},
#include "hostile_cards.def"
#undef CARD
};

static void test_hostile(void **state)
{
    (void)state;
    assert_true(sizeof cards / sizeof *cards >= 50);
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        require_safe(cards[i].name, markdown_sanitize(a, cards[i].text, &options));
}

/* What has been written is read as it was meant: sanitising it again changes nothing but what we
 * put there ourselves, so it stays safe. */
static void test_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        str once = markdown_sanitize(a, cards[i].text, &options);
        str twice = markdown_sanitize(a, once, &options);

        require_safe(cards[i].name, twice);
        require_safe(cards[i].name, markdown_sanitize(a, twice, &options));
    }
}

/* Every card cut off at every byte. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        for (size_t len = 0; len < cards[i].text.len; len++) {
            struct arena_mark m = arena_mark(a);

            require_safe(cards[i].name,
                         markdown_sanitize(a, str_first(cards[i].text, len), &options));
            arena_rewind(a, m);
        }
}

static str repeat(const char *part, size_t bytes)
{
    size_t len = strlen(part), count = bytes / len;
    char *p = arena_alloc(a, bytes);

    for (size_t i = 0; i < count; i++)
        memcpy(p + i * len, part, len);
    return (str){p, count * len};
}

static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Half a megabyte of what makes naive readers slow. */
static void test_long(void **state)
{
    static const char *const parts[] = {
        "<",
        "<a",
        "<a ",
        "<!--",
        "<!",
        "</",
        "<svg>",
        "<script>",
        "<svg></",
        "<b>",
        "</b>",
        "<div>",
        "<a href=x>",
        "<table>",
        "<td>",
        "<li>",
        "<p>",
        "<a href=\"",
        "<img src=x>",
        "&",
        "&amp",
        "<style><!--",
        "<p title='",
        "<b x=y ",
        "<dd><dt>",
        "</p></div>",
        "<p id=a>",
        "<img src=a srcset='",
        "<table><tr><td>",
        "<ul><li>",
        "<select></sel",
        "--><!-- -",
        "<i></p>",
        "\xff",
        "\0x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct arena_mark m = arena_mark(a);
        str in = repeat(parts[i][0] ? parts[i] : "x", MARKDOWN_MAX_BYTES), out;
        double begin = cpu_ms(), took;

        out = markdown_sanitize(a, in, &options);
        took = cpu_ms() - begin;
#ifndef __SANITIZE_ADDRESS__
        if (took > 50)
            fail_msg("%s: %.1f ms", parts[i], took);
#endif
        require_safe(parts[i], out);
        arena_rewind(a, m);
    }
}

static void test_too_long(void **state)
{
    str out;

    (void)state;
    out = markdown_sanitize(a, repeat("<b>", MARKDOWN_MAX_BYTES + 300), &options);
    require_safe("too long", out);
    assert_true(str_starts(out, STR("&lt;b&gt;")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("markdown_sanitize", tests, NULL, NULL);
}
