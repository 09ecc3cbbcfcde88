/* fuzz_xet_link.c — the query of a fetch link: what is read from it is what another link would say,
 * and two links that differ are signed over different claims. */
#include "base/text.h"
#include "xet/range.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *a;
    struct xorb_link l, back;
    struct url_query q;
    xorb_hash h = {{0}};

    if (!a)
        a = arena_new(0);
    arena_reset(a);
    if (url_query_parse(a, (str){(const char *)data, size}, 16, &q) ||
        !xet_link_parse(url_query_get(&q, STR("x")), url_query_get(&q, STR("r")), &l))
        return 0;
    assert(l.id > 0 && l.generation >= 0 && l.first <= l.last && l.last < UINT32_MAX);
    assert(!url_query_parse(a, xet_link_query(a, &l), 16, &q));
    assert(xet_link_parse(url_query_get(&q, STR("x")), url_query_get(&q, STR("r")), &back));
    assert(back.id == l.id && back.generation == l.generation && back.first == l.first &&
           back.last == l.last);
    back.last++;
    assert(!str_eq(xet_link_claims(a, h, &l), xet_link_claims(a, h, &back)));
    return 0;
}
