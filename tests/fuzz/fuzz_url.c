/* fuzz_url.c — queries and escapes from strangers: what is encoded decodes to itself. */
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str s = {(const char *)data, size}, back;
    struct url_query q;

    if (!url_query_parse(a, s, 100, &q)) {
        if (q.count > 100)
            abort();
        for (size_t i = 0; i < q.count; i++)
            (void)url_query_bool(&q, q.pairs[i].name);
    }
    (void)url_decode(a, s, true, &back);
    if (size == 0 || !memchr(data, 0, size)) {
        if (!url_decode(a, url_encode(a, s), false, &back) || !str_eq(back, s))
            abort();
        if (!url_decode(a, url_encode_path(a, s), false, &back) || !str_eq(back, s))
            abort();
    }
    arena_free(a);
    return 0;
}
