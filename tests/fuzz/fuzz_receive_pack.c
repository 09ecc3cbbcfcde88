/* fuzz_receive_pack.c — any bytes as a push: commands that are read have valid, distinct names,
 * and the report on them is framed. */
#include "git/receive.h"
#include "git/refname.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err from_str(void *ctx, struct arena *a, void *p, size_t len, size_t *ret_len)
{
    str *s = ctx;
    size_t n = s->len < len ? s->len : len;

    (void)a;
    if (n > 0)
        memcpy(p, s->ptr, n);
    *s = str_from(*s, n);
    *ret_len = n;
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    AUTO_BUF struct buf out = BUF(32u << 20);
    str body = {(const char *)data, size}, rest;
    struct pkt_input in = {from_str, &body};
    struct pkt p = {.kind = PKT_FLUSH};
    struct push push;

    if (receive_commands(a, &in, &push) == OK) {
        for (size_t i = 0; i < push.count; i++) {
            if (!refname_valid(push.commands[i].name))
                abort();
            push.commands[i].is_ok = i % 2;
            push.commands[i].reason = push.commands[i].name;
        }
        receive_say(&push, &out, STR("hello"));
        receive_report(a, &push, STR_NONE, &out);
        for (rest = buf_str(&out); p.kind != PKT_END;)
            if (pkt_take(a, &rest, &p))
                abort();
    }
    arena_free(a);
    return 0;
}
