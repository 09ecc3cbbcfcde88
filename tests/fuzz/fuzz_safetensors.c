/* fuzz_safetensors.c — a header is refused, or its counts add up. */
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
    struct safetensors_sum sum = {0};
    struct json_out *j = json_out_new(a);
    const struct json *parsed;
    str file = {(const char *)data, size};
    int64_t total = 0;
    size_t header;

    if (safetensors_header_size(file, size, &header)) {
        require(header <= size - 8);
        if (safetensors_add(a, str_first(str_from(file, 8), header), &sum)) {
            for (size_t i = 0; i < sum.type_count; i++)
                total += sum.types[i].count;
            require(total == sum.total && total >= 0);
            safetensors_write(j, &sum);
            require(!json_parse(a, json_out_str(j), &parsed));
        }
    }
    arena_free(a);
    return 0;
}
