/* fuzz_xet_token.c — the text of CAS tokens. */
#include "xet/xet.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct xet_token t;

    if (xet_token_parse(a, (str){(const char *)data, size}, &t)) {
        assert(t.repo_id >= 0 && t.user_id >= 0);
        assert(t.nonce.len == 16 && t.claims.len >= 16 + 6);
        assert(t.signature.len < size);
    }
    arena_free(a);
    return 0;
}
