/* fuzz_lfs_pointer.c — a pointer that is read can be written and read again. */
#include "git/lfs_pointer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct lfs_pointer p, q;

    if (lfs_pointer_parse((str){(const char *)data, size}, &p) &&
        (!lfs_pointer_parse(lfs_pointer_format(a, p), &q) || p.size != q.size ||
         !sha256_eq(p.oid, q.oid)))
        abort();
    arena_free(a);
    return 0;
}
