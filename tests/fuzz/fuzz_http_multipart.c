/* fuzz_http_multipart.c — a form with files; the first byte is the size of the pieces it comes in.
 */
#include "http/multipart.h"
#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
    const uint8_t *p;
    size_t left, piece;
};

static err give(void *arg, void *p, size_t len, size_t *ret)
{
    struct feed *f = arg;

    *ret = len < f->piece ? len : f->piece;
    if (*ret > f->left)
        *ret = f->left;
    if (*ret)
        memcpy(p, f->p, *ret);
    f->p += *ret;
    f->left -= *ret;
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct multipart_part part;
    struct multipart *m;
    uint64_t total = 0;
    bool found = true;
    struct feed f;
    err e;

    if (size < 1) {
        arena_free(a);
        return 0;
    }
    f = (struct feed){data + 1, size - 1, data[0] ? data[0] : 1};
    e = multipart_open(a, STR("multipart/form-data; boundary=B"), give, &f, &m);
    assert(!e);
    while (!e && found) {
        char piece[100];
        size_t n = 1;

        e = multipart_next(m, &part, &found);
        if (!e && found)
            assert(part.name.ptr);
        while (!e && found && n > 0) {
            e = multipart_read(m, piece, sizeof piece, &n);
            total += e ? 0 : n;
        }
    }
    assert(total <= size);
    arena_free(a);
    return 0;
}
