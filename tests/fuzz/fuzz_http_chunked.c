/* fuzz_http_chunked.c — chunked bodies.  The first byte says how the input is cut into pieces;
 * the result must not depend on it. */
#include "http/chunked.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    bool failed, done;
    uint64_t len, sum;
    size_t eaten;
};

static struct outcome decode(str rest, size_t step)
{
    struct http_chunked c = {0};
    struct outcome o = {0};

    while (rest.len > 0 && !c.done && !o.failed) {
        str piece = str_first(rest, step);
        size_t given = piece.len;

        while (piece.len > 0 && !c.done && !o.failed) {
            size_t n = c.data_left < piece.len ? (size_t)c.data_left : piece.len;

            if (n == 0) {
                o.failed = http_chunked_step(&c, &piece) != OK;
                continue;
            }
            for (size_t i = 0; i < n; i++)
                o.sum = o.sum * 31 + (unsigned char)piece.ptr[i];
            o.len += n;
            http_chunked_take(&c, n);
            piece = str_from(piece, n);
        }
        o.eaten += given - piece.len;
        rest = str_from(rest, given - piece.len);
    }
    o.done = c.done;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = {(const char *)data + 1, size - 1};
    struct outcome a, b;

    if (size < 2)
        return 0;
    a = decode(in, in.len);
    b = decode(in, (size_t)data[0] % 64 + 1);
    assert(a.failed == b.failed && a.done == b.done && a.len == b.len && a.sum == b.sum);
    assert(a.eaten == b.eaten && a.len <= size);
    return 0;
}
