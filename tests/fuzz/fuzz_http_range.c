/* fuzz_http_range.c — Range and If-None-Match.  Eight bytes of file size, then the header. */
#include "http/range.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_range r;
    uint64_t file;
    str value;
    err e;

    if (size < 8)
        return 0;
    memcpy(&file, data, 8);
    value = (str){(const char *)data + 8, size - 8};
    e = http_range_parse(value, file, &r);
    if (e)
        assert(e->status == 416);
    else
        assert(r.first <= file && r.count <= file - r.first && (r.partial || r.count == file) &&
               (r.count > 0 || file == 0));
    http_etag_matches(value, STR("\"abc\""));
    http_etag_matches(STR("\"a\", W/\"abc\""), value);
    return 0;
}
