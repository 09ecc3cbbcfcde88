/* fuzz_http_route.c — paths against a table with every kind of pattern.  The first byte is the
 * method. */
#include "base/text.h"
#include "http/route.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define R(m, p)                                                                                    \
    {                                                                                              \
        M_##m, STR_INIT(p), p, NULL, SCOPE_OPEN, BODY_NONE                                         \
    }
static const struct route routes[] = {
    R(GET, "/"),
    R(GET, "/api/{kind}"),
    R(GET, "/api/{kind}/{repo1}"),
    R(PUT, "/api/{kind}/{repo1}/settings"),
    R(GET, "/api/{kind}/{repo1}/tree/{rev}/{path*}"),
    R(POST, "/api/{kind}/{repo1}/commit/{rev}"),
    R(GET, "/{prefix}/{repo1}/resolve/{rev}/{path*}"),
    R(GET, "/{prefix}/{repo}.git/info/refs"),
    R(GET, "/{prefix}/{repo}"),
    R(HEAD, "/{prefix}/{repo}/discussions/{number}"),
    R(GET, "/{user}"),
    R(OPTIONS, "/{any*}"),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct router *t;
    static struct arena *a;
    struct route_match m;
    str path = {(const char *)data + 1, size - 1};

    if (!t) {
        t = router_new(routes, sizeof routes / sizeof *routes);
        a = arena_new(0);
    }
    if (size < 2 || str_find(path, '\0') >= 0)
        return 0;
    if (router_find(t, a, (enum http_method)(data[0] % (M_OTHER + 1)), path, &m)) {
        assert(m.route && m.param_count <= ROUTE_PARAMS_MAX);
        for (size_t i = 0; i < m.param_count; i++) {
            str v = m.params[i].value;

            assert(m.params[i].name.len > 0 && v.len <= size + 8);
            assert(str_find(v, '\0') < 0); /* %00 decodes to nothing */
        }
    } else {
        assert(!m.route);
    }
    arena_reset(a);
    return 0;
}
