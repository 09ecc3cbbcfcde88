/* fuzz_json.c — JSON from strangers: what parses is written out and parses again to the same text.
 */
#include "base/json.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every accessor, on every value. */
static void visit(const struct json *j)
{
    const struct json *value;
    int64_t n;
    str key;

    (void)json_str(j);
    (void)json_i64(j, &n);
    (void)json_true(j);
    (void)json_get_str(j, "name");
    for (size_t i = 0; json_type(j) == JSON_ARR && i < json_len(j); i++)
        visit(json_at(j, i));
    for (void *it = NULL; json_next(j, &it, &key, &value);)
        visit(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    const struct json *first, *second;
    str text;

    if (!json_parse(a, (str){(const char *)data, size}, &first)) {
        visit(first);
        text = json_dump(a, first);
        if (json_parse(a, text, &second))
            abort();
        assert(str_eq(text, json_dump(a, second)));
    }
    arena_free(a);
    return 0;
}
