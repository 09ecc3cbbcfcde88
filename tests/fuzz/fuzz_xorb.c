/* fuzz_xorb.c — the verifier takes any bytes, cut anywhere: the result is the same as at once. */
#include "base/arena.h"
#include "cas/xorb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct chunk_decoder *decoder;

/* Feeds pieces of at most `piece` bytes; false on failure. */
static bool feed(struct xorb_verifier *v, const uint8_t *p, size_t len, size_t piece,
                 size_t *ret_body)
{
    *ret_body = 0;
    for (size_t at = 0; at < len;) {
        size_t n = len - at < piece ? len - at : piece, body;

        if (xorb_verifier_feed(v, p + at, n, &body))
            return false;
        *ret_body += body;
        at += n;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xorb_verifier *v, *w;
    struct xorb_index *x = NULL;
    xorb_hash none = {{0}};
    size_t body, again;
    bool ok;

    if (size == 0)
        return 0;
    if (!decoder)
        decoder = chunk_decoder_new();
    v = xorb_verifier_new(decoder);
    w = xorb_verifier_new(decoder);
    ok = feed(v, data + 1, size - 1, size, &body);
    if (feed(w, data + 1, size - 1, data[0] + 1u, &again) != ok || (ok && body != again))
        abort();
    if (ok && xorb_verifier_end(v, none, &x) == OK)
        xorb_index_free(x);
    xorb_verifier_free(v);
    xorb_verifier_free(w);
    return 0;
}
