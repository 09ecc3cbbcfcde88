/* fuzz_upload_pack.c — the first byte is the protocol version, the rest a request body.  Whatever
 * it asks for, the reply ends and is framed. */
#include "git_fuzz_repo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_repo *r = fuzz_repo();
    struct arena *a = arena_new(0);
    AUTO_BUF struct buf out = BUF(4u << 20);
    AUTO_FETCH_REPLY struct fetch_reply reply = {0};
    struct pkt p = {.kind = PKT_FLUSH};
    str rest;

    if (size > 0 && size < FETCH_STEP_MAX &&
        fetch_answer(&r->repo, a, data[0] % 3, (str){(const char *)data + 1, size - 1}, &reply) ==
            OK) {
        bool is_framed = !reply.has_pack || reply.band_max > 0;

        while (!reply.is_done)
            must(fetch_reply_step(&reply, r->repo.odb, a, &out));
        if (out.full)
            abort();
        for (rest = buf_str(&out); is_framed && p.kind != PKT_END;)
            must(pkt_take(a, &rest, &p));
    }
    arena_free(a);
    return 0;
}
