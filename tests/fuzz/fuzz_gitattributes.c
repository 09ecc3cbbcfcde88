/* fuzz_gitattributes.c — the first line is a path, the rest a .gitattributes and a .gitignore.  A
 * line added for a path sends that path to LFS. */
#include "git/attributes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str text = {(const char *)data, size}, path = str_cut(&text, '\n');
    struct attr_rules attrs = {0}, more = {0};
    struct ignore_rules ignores = {0};

    if (size > 0 && tree_path_safe(path) && path.len < 150) {
        attr_parse(a, text, STR("x"), &attrs);
        attr_parse(a, text, STR(""), &attrs);
        attr_filter(&attrs, path);
        ignore_parse(a, text, STR(""), &ignores);
        ignore_matches(&ignores, path);
        text = str_first(text, ATTR_MAX_FILE / 2); /* a longer file is not read to its end */
        attr_parse(a, attr_add_lfs(a, text, path), STR(""), &more);
        if (more.count < ATTR_MAX_RULES && attr_filter(&more, path) != ATTR_LFS)
            abort();
    }
    arena_free(a);
    return 0;
}
