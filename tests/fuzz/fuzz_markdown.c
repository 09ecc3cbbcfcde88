/* fuzz_markdown.c — whatever a README holds, its HTML passes the checker, and the copy with
 * absolute addresses renders as safely. */
#include "../unit/html_check.h"
#include "base/text.h"
#include "markdown/markdown.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void require_safe(str html)
{
    static struct html_check c;

    if (!html_ok(&c, html.ptr, html.len)) {
        fprintf(stderr, "%s\n", c.problem);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct markdown_options o = {
        .link_base = size % 3 ? STR("/ns/name/blob/main/") : STR_NONE,
        .image_base = size % 3 ? STR("/ns/name/resolve/main/") : STR_NONE,
        .dir = size % 3 == 1 ? STR("docs/") : STR_NONE,
        .origin = STR("https://hub.example"),
        .heading_shift = 1,
        .raw_html = size % 7 != 0,
    };
    struct arena *a = arena_new(0);
    str source = {(const char *)data, size}, absolute;
    struct markdown_result r;

    markdown_render(a, source, &o, &r);
    require_safe(r.html);
    require(utf8_valid(r.excerpt) && r.excerpt.len <= MARKDOWN_MAX_EXCERPT + 3);
    require(r.body_at <= size && r.yaml.len <= r.body_at);
    for (size_t i = 0; i < r.heading_count; i++)
        require(r.headings[i].level >= 2 && r.headings[i].id.len && utf8_valid(r.headings[i].text));
    absolute = markdown_absolutize(a, source, &o);
    markdown_render(a, absolute, &o, &r);
    require_safe(r.html);
    arena_free(a);
    return 0;
}
