/* markdown_test.c — cards: what Markdown becomes, and that hostile ones are neither dangerous nor
 * slow. */
#include "base/text.h"
#include "check.h"
#include "html_check.h"
#include "markdown/markdown.h"

#include <time.h>

static struct arena *a;

static const struct markdown_options options = {
    .link_base = STR_INIT("/n/r/blob/main/"),
    .image_base = STR_INIT("/n/r/resolve/main/"),
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

static struct markdown_result render(str source)
{
    struct markdown_result r;

    markdown_render(a, source, &options, &r);
    return r;
}

#define IMG " loading=\"lazy\" decoding=\"async\" referrerpolicy=\"no-referrer\""
#define FOREIGN " rel=\"nofollow ugc noopener\""
#define TABLE "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table>\n"

static const struct {
    const char *name, *in, *out;
} rows[] = {
    {"nothing", "", ""},
    {"words", "a *b* **c** ~~d~~ `e<f`  \ng",
     "<p>a <em>b</em> <strong>c</strong> <del>d</del> "
     "<code>e&lt;f</code><br>\ng</p>\n"},
    {"a list", "- a\n- b\n\n3. c",
     "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"
     "<ol start=\"3\">\n<li>c</li>\n</ol>\n"},
    {"tasks", "- [ ] a\n- [x] b",
     "<ul>\n<li class=\"task\"><input type=\"checkbox\" disabled aria-label=\"Not done\"> a</li>\n"
     "<li class=\"task\"><input type=\"checkbox\" disabled aria-label=\"Done\" checked> "
     "b</li>\n</ul>\n"},
    {"code", "```c++\na < b\n```\n\n    d",
     "<div class=\"cp\"><pre tabindex=\"0\"><code class=\"language-c++\">a &lt; "
     "b\n</code></pre></div>\n"
     "<div class=\"cp\"><pre tabindex=\"0\"><code>d\n</code></pre></div>\n"},
    {"a diagram", "```mermaid\na\n```",
     "<div class=\"cp\"><p class=\"cp-label\">Diagram source</p><pre tabindex=\"0\">"
     "<code class=\"language-mermaid\">a\n</code></pre></div>\n"},
    {"a language that is none", "``` a\"b\nc\n```",
     "<div class=\"cp\"><pre tabindex=\"0\"><code>c\n</code></pre></div>\n"},
    {"a table", "| a | |\n|--|:-:|\n| b | `c` |\n",
     TABLE "<thead>\n<tr><th>a</th><td class=\"align-center\"></td></tr>\n</thead>\n<tbody>\n"
           "<tr><td>b</td><td "
           "class=\"align-center\"><code>c</code></td></tr>\n</tbody>\n</table></div>\n"},
    {"a quote and a rule", "> a\n\n---", "<blockquote>\n<p>a</p>\n</blockquote>\n<hr>\n"},
    {"a heading", "## A & *b*!",
     "<h2 id=\"user-content-a--b\">A &amp; <em>b</em>!<a class=\"anchor\" "
     "href=\"#user-content-a--b\" "
     "aria-label=\"Permalink: A &amp; b!\"></a></h2>\n"},
    {"links", "[a](b.md) [c](https://x.example \"d\") [e](https://hub.example/f) [g](#h) <i@j.k>",
     "<p><a href=\"/n/r/blob/main/b.md\">a</a> <a href=\"https://x.example\"" FOREIGN
     " title=\"d\">c</a> "
     "<a href=\"https://hub.example/f\">e</a> <a href=\"#user-content-h\">g</a> "
     "<a href=\"mailto:i@j.k\">i@j.k</a></p>\n"},
    {"a link that is refused", "[a *b*](javascript:x) <foo:bar>", "<p>a <em>b</em> foo:bar</p>\n"},
    {"bare links", "(https://a.b/c_(d)) www.e.f, g@h.i. xhttps://j http://k",
     "<p>(<a href=\"https://a.b/c_(d)\"" FOREIGN ">https://a.b/c_(d)</a>) "
     "<a href=\"http://www.e.f\"" FOREIGN ">www.e.f</a>, <a href=\"mailto:g@h.i\">g@h.i</a>. "
     "xhttps://j <a href=\"http://k\"" FOREIGN ">http://k</a></p>\n"},
    {"no links in links", "<a href=x>[a](b) https://c.d</a>",
     "<p><a href=\"/n/r/blob/main/x\">a https://c.d</a></p>\n"},
    {"images", "![a *b*](c.png \"d\") ![](e/f.png) ![g](javascript:x)",
     "<p><img src=\"/n/r/resolve/main/c.png\"" IMG " alt=\"a b\" title=\"d\"> "
     "<img src=\"/n/r/resolve/main/e/f.png\"" IMG " alt=\"f.png\"> g</p>\n"},
    {"notes", "> [!NOTE]\n> a\n\n> [!caution]\n\n> [!NOTE] b\n",
     "<div class=\"note info\" role=\"note\"><p class=\"note-title\">Note</p>\n<p>a</p>\n</div>\n"
     "<div class=\"note err\" role=\"note\"><p class=\"note-title\">Caution</p>\n</div>\n"
     "<blockquote>\n<p>[!NOTE] b</p>\n</blockquote>\n"},
    {"math", "$a<b$ $$c$$ costs $5 or $10",
     "<p><code class=\"math\">a&lt;b</code> <code class=\"math math-display\">c</code> costs $5 or "
     "$10</p>\n"},
    {"footnotes", "a[^x] b[^y]\n\n[^x]: c\n[^y]: d\n    e\n[^z]: f",
     "<p>a<sup class=\"footnote\"><a href=\"#user-content-fn-1\" id=\"user-content-fnref-1\" "
     "aria-label=\"Footnote 1\">1</a></sup> b<sup class=\"footnote\"><a "
     "href=\"#user-content-fn-2\" "
     "id=\"user-content-fnref-2\" aria-label=\"Footnote 2\">2</a></sup></p>\n"
     "<div class=\"footnotes\"><ol>\n<li id=\"user-content-fn-1\"><p>c</p>\n"
     "<a class=\"footnote-back\" href=\"#user-content-fnref-1\" aria-label=\"Back to the text\">"
     "\xe2\x86\xa9</a></li>\n<li id=\"user-content-fn-2\"><p>d\ne</p>\n"
     "<a class=\"footnote-back\" href=\"#user-content-fnref-2\" aria-label=\"Back to the text\">"
     "\xe2\x86\xa9</a></li>\n</ol></div>\n"},
    {"no footnotes in code", "`[^x]` [^x]\n\n```\n[^x]: a\n```",
     "<p><code>[^x]</code> [^x]</p>\n"
     "<div class=\"cp\"><pre tabindex=\"0\"><code>[^x]: a\n</code></pre></div>\n"},
    {"HTML around Markdown", "<div align=\"center\">\n\n# a\n\n</div>\nb",
     "<div align=\"center\">\n<h1 id=\"user-content-a\">a<a class=\"anchor\" "
     "href=\"#user-content-a\" "
     "aria-label=\"Permalink: a\"></a></h1>\n</div>\nb\n"},
    {"HTML within a line", "H<sub>2</sub>O <b>x\n\ny",
     "<p>H<sub>2</sub>O <b>x</b></p>\n<p>y</p>\n"},
    {"HTML does not close Markdown", "> a </blockquote></div></p> b",
     "<blockquote>\n<p>a  b</p>\n</blockquote>\n"},
    {"details", "<details>\n<summary>a</summary>\n\n- b\n\n</details>",
     "<details>\n<summary>a</summary>\n<ul>\n<li>b</li>\n</ul>\n</details>\n"},
    {"a tag over several lines", "<img\n  src=\"a.png\"\n  alt='b'>",
     "<p><img src=\"/n/r/resolve/main/a.png\"" IMG " alt=\"b\"></p>\n"},
    {"cells with Markdown", "<table><tr><td>\n\n*a*</td>\n<td>b</td></tr></table>",
     "<div class=\"table\" role=\"region\" aria-label=\"Table 1\" tabindex=\"0\"><table><tr><td>\n"
     "<p><em>a</em></p>\n</td><td>b</td></tr></table></div>\n\n"},
    {"entities", "&copy; &#60;b&#62; &unknown; [a](b&amp;c \"&quot;\")",
     "<p>&copy; &#60;b&#62; &unknown; <a href=\"/n/r/blob/main/b&amp;c\" "
     "title=\"&quot;\">a</a></p>\n"},
    {"line ends of every kind", "a\r\nb\rc", "<p>a\nb\nc</p>\n"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct markdown_result r = render(str_c(rows[i].in));

        if (!str_eq(r.html, str_c(rows[i].out)))
            fail_msg("%s:\n      got %.*s\n expected %s", rows[i].name, STR_FMT(r.html),
                     rows[i].out);
        require_safe(rows[i].name, r.html);
    }
}

static void test_options(void **state)
{
    struct markdown_options o = options;
    struct markdown_result r;

    (void)state;
    o.raw_html = false;
    o.heading_shift = 2;
    o.dir = STR("docs/");
    markdown_render(a, STR("##### <b>\n\n[a](../b) ![c](d)"), &o, &r);
    require_safe("options", r.html);
    assert_true(str_has(r.html, STR(">&lt;b&gt;<a class=\"anchor\"")));
    assert_true(str_has(r.html, STR("</h6>")));
    assert_true(str_has(r.html, STR("\"/n/r/blob/main/b\"")));
    assert_true(str_has(r.html, STR("\"/n/r/resolve/main/docs/d\"")));
    assert_int_equal(r.headings[0].level, 6);
}

static void test_headings(void **state)
{
    static const char *const ids[] = {"a-b",   "a-b-1",    "a-b-1-1",
                                      "a-b-2", "section",  "\xc3\xa4-\xe4\xbd\xa0",
                                      "fn-1",  "section-1"};
    struct markdown_result r = render(
        STR("# A b\n# A b\n# a b-1\n# A b\n# !\n# \xc3\xa4 \xe4\xbd\xa0\xe2\x80\x94\n# fn 1\n# "
            "\xf0\x9f\xa4\x97\n\nx[^1]\n\n[^1]: y\n"));

    (void)state;
    require_safe("headings", r.html);
    assert_int_equal(r.heading_count, sizeof ids / sizeof *ids);
    for (size_t i = 0; i < r.heading_count; i++) {
        str id = r.headings[i].id;

        assert_true(str_skip(&id, STR(MARKDOWN_ID_PREFIX)));
        check_str(id, ids[i]);
    }
    check_str(r.headings[5].text, "\xc3\xa4 \xe4\xbd\xa0\xe2\x80\x94");
    assert_true(str_has(r.html, STR("<li id=\"user-content-fn-1-1\">"))); /* fn-1 was taken */
}

static void test_front_matter(void **state)
{
    static const struct {
        const char *text, *yaml, *body; /* yaml NULL: none */
    } cases[] = {
        {"---\na: b\n---\n# c", "a: b\n", "# c"},
        {"\xef\xbb\xbf\r\n---\r\na: b\r\n---\r\nc", "a: b\r\n", "c"},
        {"---\n---", "", ""},
        {"a\n---\nb\n---\n", NULL, "a\n---\nb\n---\n"},
        {"---\na: b\n", NULL, "---\na: b\n"},
        {"--- \na\n---\t\n", "a\n", ""},
        {"", NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct markdown_result r = render(str_c(cases[i].text));

        assert_int_equal(r.yaml.ptr != NULL, cases[i].yaml != NULL);
        check_str(r.yaml, cases[i].yaml ? cases[i].yaml : "");
        check_str(str_from(str_c(cases[i].text), r.body_at), cases[i].body);
    }
}

static void test_excerpt(void **state)
{
    char *p = arena_alloc(a, 1000);
    struct markdown_result r;

    (void)state;
    r = render(
        STR("# H\n\n![i](j)\n\nOne *two*\n`three` &amp; [four](x)[^1] <b>five</b>.\n\n- six\n\n> "
            "seven\n\n| a |\n|-|\n\neight https://a.b\n\n[^1]: nine\n"));
    check_str(r.excerpt, "One two three & four five. eight https://a.b");
    memset(p, 'x', 1000);
    for (size_t i = 9; i < 1000; i += 10)
        p[i] = ' ';
    r = render((str){p, 1000});
    assert_true(str_ends(r.excerpt, STR("xxxxxxxxx\xe2\x80\xa6")) && r.excerpt.len > 280);
    for (size_t i = 0; i + 3 <= 999; i += 3)
        memcpy(p + i, "\xe2\x82\xac", 3);
    r = render((str){p, 999});
    assert_true(utf8_valid(r.excerpt) && r.excerpt.len > 280);
}

static void test_absolutize(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"---\na: b\n---\n[x](y.md) ![i](z.png)",
         "---\na: b\n---\n[x](https://hub.example/n/r/blob/main/y.md) "
         "![i](https://hub.example/n/r/resolve/main/z.png)"},
        {"[q](<a b.md> \"t\") [s](/root)",
         "[q](<https://hub.example/n/r/blob/main/a%20b.md> \"t\") [s](https://hub.example/root)"},
        {"[e](a\\_b.md) [p](x\\(1\\).md) [n](x&amp;y.md 't') ![*o*](a\\*b.png)",
         "[e](https://hub.example/n/r/blob/main/a_b.md) "
         "[p](https://hub.example/n/r/blob/main/x%281%29.md) "
         "[n](https://hub.example/n/r/blob/main/x&y.md 't') "
         "![*o*](https://hub.example/n/r/resolve/main/a*b.png)"},
        {"[r] [r][]\n\n[r]: a.md 'T'",
         "[r] [r][]\n\n[r]: https://hub.example/n/r/blob/main/a.md 'T'"},
        {"<img\n src='a.png'> <a href=\"b?c&amp;d\">e</a>",
         "<img\n src='https://hub.example/n/r/resolve/main/a.png'> "
         "<a href=\"https://hub.example/n/r/blob/main/b?c&d\">e</a>"},
        {"> <img\n> src=x>\n\n[![a](b)](c)",
         "> <img\n> src=x>\n\n[![a](https://hub.example/n/r/resolve/main/b)]"
         "(https://hub.example/n/r/blob/main/c)"},
        {"[a](https://x/y) [b](#c) [d](mailto:e) <f@g.h> [i](javascript:j)",
         "[a](https://x/y) [b](#c) [d](mailto:e) <f@g.h> [i](javascript:j)"},
        {"`[a](b)`\n\n```\n[c](d)\n```\n\n[^1] x\n\n[^1]: word\n",
         "`[a](b)`\n\n```\n[c](d)\n```\n\n[^1] x\n\n[^1]: word\n"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_str(markdown_absolutize(a, str_c(cases[i].in), &options), cases[i].out);
}

/* --- hostile cards --- */

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
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        struct markdown_result r = render(cards[i].text);

        require_safe(cards[i].name, r.html);
        assert_true(utf8_valid(r.excerpt) && !r.is_cut && !r.is_plain);
        require_safe(cards[i].name, render(markdown_absolutize(a, cards[i].text, &options)).html);
    }
}

/* Each in a place of its own: in a list, a quote, a cell, a heading, a footnote. */
static void test_hostile_places(void **state)
{
    static const str places[] = {STR_INIT("- "),
                                 STR_INIT("> > "),
                                 STR_INIT("# "),
                                 STR_INIT("[^a] ![x"),
                                 STR_INIT("<table><tr><td>\n\n"),
                                 STR_INIT("x[^1]\n\n[^1]: "),
                                 STR_INIT("| a |\n|-|\n|")};

    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        for (size_t j = 0; j < sizeof places / sizeof *places; j++)
            require_safe(cards[i].name, render(arena_cat(a, places[j], cards[i].text)).html);
}

/* Every card cut off at every byte. */
static void test_hostile_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        for (size_t len = 0; len < cards[i].text.len; len++) {
            struct arena_mark m = arena_mark(a);

            require_safe(cards[i].name, render(str_first(cards[i].text, len)).html);
            arena_rewind(a, m);
        }
}

/* The checker itself: what it must not let through. */
static void test_checker(void **state)
{
    static const char *const bad[] = {
        "<script>",
        "<b>",
        "</b>",
        "<b></i>",
        "<b onclick=\"x\"></b>",
        "<B></B>",
        "<b title=x></b>",
        "<a href=\"javascript:x\"></a>",
        "<a href=\"java&#115;cript:x\"></a>",
        "<a href=\" x\"></a>",
        "<img src=\"mailto:x\">",
        "<img src=\"data:text/html,x\">",
        "<p id=\"x\"></p>",
        "a & b",
        "a > b",
        "a < b",
        "<!-- -->",
        "<p style=\"x\"></p>",
        "<p class=\"btn\"></p>",
        "\x01",
        "\xff",
        "\xc0\xaf",
        "<p title=\"<\"></p>",
        "<p title=\"a\" title=\"b\"></p>",
        "<br",
        "<p/>",
        "<a href=\"x\"><a>",
        "<a href=\"x\"><a href=\"y\"></a></a>",
        "<p><div></div></p>",
        "<table>x</table>",
        "<table><div></div></table>",
        "<tr></tr>",
        "<table><tr><table></table></tr></table>",
        "<ul><li><div><li></li></div></li></ul>",
        "<h1><h2></h2></h1>",
        "<ruby><b><rt></rt></b></ruby>",
        "<img srcset=\"x, javascript:y 1x\">",
        "&x",
        "\xed\xa0\x80",
    };
    static struct html_check c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (html_ok(&c, bad[i], strlen(bad[i])))
            fail_msg("taken for safe: %s", bad[i]);
}

/* --- long cards --- */

static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Safe, and within 50 ms; sanitizers and unoptimised builds may take longer. */
static void require_fast(const char *name, str text)
{
    double best = 1e9;

    for (int i = 0; i < 3 && best > 50; i++) {
        struct arena_mark m = arena_mark(a);
        double begin = cpu_ms(), took;
        struct markdown_result r = render(text);

        took = cpu_ms() - begin;
        best = took < best ? took : best;
        require_safe(name, r.html);
        begin = cpu_ms();
        (void)markdown_absolutize(a, text, &options);
        took = cpu_ms() - begin;
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        if (took > 100)
            fail_msg("%s: %.1f ms to make absolute", name, took);
#endif
        arena_rewind(a, m);
    }
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (best > 50)
        fail_msg("%s: %.1f ms", name, best);
#endif
}

/* head, then part as often as it fits into `bytes`, then tail. */
static str build(const char *head, const char *part, const char *tail, size_t bytes)
{
    size_t h = strlen(head), p = strlen(part), t = strlen(tail), n = 0;
    char *text = arena_alloc(a, bytes + h + p + t);

    memcpy(text, head, h);
    for (n = h; n + p + t <= bytes; n += p)
        memcpy(text + n, part, p);
    memcpy(text + n, tail, t);
    return (str){text, n + t};
}

static void test_long(void **state)
{
    static const char *const parts[] = {
        "[",
        "]",
        "![",
        "[a](",
        "[a](<b",
        "[a](b\n",
        "[a](b \"c\n",
        "*a ",
        "**x* ",
        "*a _b ",
        "_",
        "`a``b```",
        "`\n",
        "~a ~~b ",
        "$a ",
        "$$\n",
        "&",
        "&#1;",
        "<",
        "<a ",
        "<a x=\"",
        "<a\n",
        "<!--",
        "a <!-- ",
        "a <?",
        "a <!A ",
        "a <![CDATA[",
        "a </",
        "> ",
        ">",
        "> a\n",
        "- ",
        "- a\n",
        "1. ",
        "* * *\n",
        "|",
        "|\n",
        "[a]: b\n",
        "[a]: <b\n",
        "[a]: b \"c\n",
        "a@b.",
        "www.a.b ",
        "www._",
        "http://a.b(",
        "http://",
        "[a](b)(",
        "\\",
        "\n",
        "\t",
        "```\n",
        "# a\n",
        "a\n=\n",
        "a  \n",
        "[a] ",
        "[[a]",
        "![a",
        "<div>\n",
        "<b>\n\n",
        "<details>\n\n",
        "- [x] a\n",
        "[^1] ",
        "[^1]: a\n",
        "[^a]: [^a]\n",
        "a\r",
        "<a@",
        "<a:b ",
        "[a]: x\n[a] ",
        "> [!NOTE]\n\n",
        "<p>\n\n",
        "\xff",
        "<td>\n\n",
        "# \xe2\x82\xac\n",
        "a@",
        "ww",
        "[a\\_](b\\_c.md)",
        "](\\(",
    };

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct arena_mark m = arena_mark(a);

        require_fast(parts[i], build("", parts[i], "", MARKDOWN_MAX_BYTES));
        arena_rewind(a, m);
    }
}

/* What the parser needs seconds for unless it is guarded: see prepare.h. */
static void test_guarded(void **state)
{
    static const struct {
        const char *name, *head, *part, *tail;
        size_t times; /* the head is made of so many */
    } cases[] = {
        {"a long definition, often used", "b", "[a] ", "", 200000},
        {"one with escapes", "\\&", "[a] ", "", 100000},
        {"a long title", "c\n", "[a] ", "", 100000},
        {"deep lists, many lines", "- ", "\n", "", 100000},
        {"deep quotes, many lines", ">", "a\n", "", 100000},
        {"many lines, many links", "a\n", "[a](b) ", "", 100000},
        {"many lines, many references", "a\n", "[a] ", "\n\n[a]: b", 100000},
        {"many lines, links over lines", "a\n", "[a\nb](<c>\n\"d\") ", "", 100000},
        {"wide table, many rows", "|a", "|\n", "", 50000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena_mark m = arena_mark(a);
        str head = build("", cases[i].head, "", strlen(cases[i].head) * cases[i].times);
        str rest = build("\n\n", cases[i].part, cases[i].tail, MARKDOWN_MAX_BYTES - head.len - 300);
        str parts[] = {STR_NONE, head, rest};

        if (i == 0 || i == 1)
            parts[0] = STR("[a]: ");
        if (i == 2)
            parts[0] = STR("[a]: b \"");
        if (i >= 3 && i != 8)
            parts[2] = str_from(rest, 2); /* no blank line in between */
        if (i == 8)
            parts[2] =
                arena_cat(a, STR("|\n"), build("", "|-", "|\n", 100010), str_first(rest, 300000));
        require_fast(cases[i].name, arena_join(a, parts, 3));
        arena_rewind(a, m);
    }
    for (unsigned i = 0; i < 2; i++) { /* a list within a list within a list … */
        struct arena_mark m = arena_mark(a);
        str text = STR_NONE;

        for (size_t depth = 0; depth < 500; depth++)
            text = arena_cat(a, text, build("", "  ", "- a\n", depth * 2 + 4));
        require_fast(
            "a staircase",
            arena_cat(a, text, build("", i ? "a\n" : "\n", "", MARKDOWN_MAX_BYTES - text.len)));
        arena_rewind(a, m);
    }
}

/* Ordinary cards pass the guard as they are, long ones too. */
static void test_ordinary_is_kept(void **state)
{
    struct markdown_result r;
    size_t items = 0;
    str rest;

    (void)state;
    r = render(build("", "- [a](https://x.example/b) and [c][d]\n", "\n[d]: e\n", 100000));
    for (rest = r.html; rest.len; rest = str_from(rest, 1)) {
        if (str_starts(rest, STR("<li><a href=\"https://x.example/b\"")))
            items++;
        assert_false(str_starts(rest, STR("<li><p>"))); /* no blank line came in */
    }
    assert_true(items > 2000);
    assert_false(r.is_cut || r.is_plain);
}

static void test_limits(void **state)
{
    struct markdown_result r;

    (void)state;
    r = render(build("---\na: b\n---\n", "<b>\xff", "", MARKDOWN_MAX_BYTES + 500));
    require_safe("too long", r.html);
    assert_true(r.is_plain && r.is_cut && r.yaml.len == 5);
    assert_true(str_starts(r.html, STR("<pre class=\"plain\"")));

    r = render(build("", "![a\\](b)", "", MARKDOWN_MAX_BYTES));
    require_safe("escapes", r.html);

    r = render(build("", "> > > - - - a\n\n", "", MARKDOWN_MAX_BYTES));
    require_safe("nesting", r.html);

    /* a table that grows when it is written out: the output has an end */
    r = render(arena_cat(a, build("", "|a", "|\n", 20000), build("", "|-", "|\n", 20000),
                         build("", "|x|\n", "", 100000)));
    require_safe("growth", r.html);
    assert_true(r.is_cut && r.html.len <= MARKDOWN_MAX_OUTPUT + 1000);

    /* cut in the words of an image */
    r = render(build("![", "\\\"", "](x)", 100));
    require_safe("image", r.html);
    r = render(build("", "\"", "", MARKDOWN_MAX_BYTES));
    require_safe("quotes", r.html);

    r = render(build("", "# a\n", "", MARKDOWN_MAX_BYTES));
    require_safe("headings", r.html);
    assert_int_equal(r.heading_count, MARKDOWN_MAX_HEADINGS);

    r = render(build("", "x[^a]\n", "\n[^a]: b", 60000));
    require_safe("references", r.html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_headings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_front_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_excerpt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_absolutize, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_guarded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ordinary_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("markdown", tests, NULL, NULL);
}
