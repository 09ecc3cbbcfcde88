/* fuzz_xet_range.c — Range headers of reconstructions and of fetch links.  Eight bytes of file
 * size, then the header. */
#include "xet/range.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xet_range list[XET_RANGES_MAX];
    struct xet_range r;
    uint64_t file, next, last;
    size_t count;
    str value;
    err e;

    if (size < 8)
        return 0;
    memcpy(&file, data, 8);
    value = (str){(const char *)data + 8, size - 8};
    e = xet_range_parse(value, file, &r);
    if (e)
        assert(e->status == 416);
    else
        assert(r.first <= file && r.count <= file - r.first && (r.count > 0 || file == 0));

    next = file % 1000;
    last = next + file / 1000 % UINT32_MAX;
    if (!xet_ranges_parse(value, next, last, list, &count))
        return 0;
    assert(count > 0 && count <= XET_RANGES_MAX);
    for (size_t i = 0; i < count; i++) {
        assert(list[i].first >= next && list[i].count > 0 && list[i].first <= last &&
               list[i].count - 1 <= last - list[i].first);
        next = list[i].first + list[i].count;
    }
    return 0;
}
