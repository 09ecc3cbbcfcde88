/* fuzz_lfs_batch.c — the body of an LFS batch request: whatever it is, it reads as a batch within
 * its limits or as one sentence. */
#include "hub/lfs_batch.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    const struct json *j = NULL;
    struct lfs_batch b = {0};
    err e = json_parse(a, (str){(const char *)data, size}, &j);

    if (!e)
        e = lfs_batch_parse(a, j, &b);
    if (e) {
        assert(e->status >= 400 && e->status < 500 && e->text.len > 0);
    } else {
        assert(b.count <= LFS_OBJECTS_MAX);
        for (size_t i = 0; i < b.count; i++)
            assert(b.objects[i].bad ||
                   (b.objects[i].oid.len == 64 && b.objects[i].size <= INT64_MAX));
    }
    arena_free(a);
    return 0;
}
