/* fuzz_xorb_index.c — the sidecar parser, with and without a checksum that was made to fit: what
 * it accepts writes back to the same bytes. */
#include "cas/xorb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(str file)
{
    struct xorb_index *x = NULL;
    struct arena *a;

    if (xorb_index_read(file, &x))
        return;
    a = arena_new(0);
    for (uint32_t i = 0; i < x->count; i++)
        if (xorb_raw_len(x, i) == 0 || xorb_raw_len(x, i) > CHUNK_MAX)
            abort();
    if (!str_eq(xorb_index_write(a, x), file))
        abort();
    xorb_index_check(x);
    xorb_index_free(x);
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *copy;
    sha256 sum;

    check((str){(const char *)data, size});
    if (size < 64)
        return 0;
    copy = malloc(size);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    memset(copy + 48, 0, 16);
    sum = sha256_of(copy, size);
    memcpy(copy + 48, sum.b, 16);
    check((str){(char *)copy, size});
    free(copy);
    return 0;
}
