/* fuzz_pkt.c — packets taken from bytes and read from a stream are the same packets. */
#include "git/pkt.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives three bytes at a time. */
static err drip(void *ctx, struct arena *a, void *p, size_t len, size_t *ret_len)
{
    str *s = ctx;
    size_t n = s->len < 3 ? s->len : 3;

    (void)a;
    n = n < len ? n : len;
    if (n > 0)
        memcpy(p, s->ptr, n);
    *s = str_from(*s, n);
    *ret_len = n;
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[PKT_MAX];
    struct arena *a = arena_new(0);
    str taken = {(const char *)data, size}, streamed = taken;
    struct pkt_input in = {drip, &streamed};

    for (;;) {
        struct pkt p, q;
        err e = pkt_take(a, &taken, &p), f = pkt_read(a, &in, line, &q);

        if (!e != !f)
            abort();
        if (e)
            break;
        if (p.kind != q.kind || !str_eq(p.line, q.line) || taken.len != streamed.len)
            abort();
        if (p.kind == PKT_END)
            break;
    }
    arena_free(a);
    return 0;
}
