/* fuzz_sanitize.c — whatever HTML comes in, what goes out passes the checker, and again when it is
 * read once more. */
#include "../unit/html_check.h"
#include "markdown/markdown.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    static const struct markdown_options based = {
        .link_base = STR_INIT("/ns/name/blob/main/"),
        .image_base = STR_INIT("/ns/name/resolve/main/"),
        .dir = STR_INIT("docs/"),
        .origin = STR_INIT("https://hub.example"),
        .raw_html = true,
    };
    static const struct markdown_options bare = {.raw_html = true};
    const struct markdown_options *o = size % 2 ? &based : &bare;
    struct arena *a = arena_new(0);
    str once = markdown_sanitize(a, (str){(const char *)data, size}, o);

    require_safe(once);
    require_safe(markdown_sanitize(a, once, o));
    arena_free(a);
    return 0;
}
