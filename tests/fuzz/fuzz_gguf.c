/* fuzz_gguf.c — metadata is refused, goes on, or can be written as JSON; a longer text never turns
 * a complete answer into another one. */
#include "hub/meta.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct gguf_info g, again;
    struct json_out *j = json_out_new(a);
    const struct json *parsed;
    str file = {(const char *)data, size};

    if (gguf_parse(a, file, &g) == GGUF_OK) {
        require(g.total >= 0 && g.context_length >= 0);
        gguf_write(j, &g);
        require(!json_parse(a, json_out_str(j), &parsed));
        require(gguf_parse(a, arena_cat(a, file, STR("more")), &again) == GGUF_OK);
        require(again.total == g.total && str_eq(again.architecture, g.architecture));
    }
    arena_free(a);
    return 0;
}
