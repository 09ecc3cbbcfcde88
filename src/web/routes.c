/* routes.c — which routes are pages; see web.h. */
#include "web/web.h"

static err (*const not_pages[])(struct req *) = {web_static, web_favicon, web_llms,
                                                 web_robots, web_sitemap, web_opensearch};

static bool is_ours(const struct route *route)
{
    static err (*const handlers[])(struct req *) = {
#define ROUTE(method, pattern, handler, scope, body) handler,
#include "web/routes.def"
#undef ROUTE
    };

    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (handlers[i] == route->handler)
            return true;
    return false;
}

bool web_has_twin(const struct route *route)
{
    if (route->method != M_GET || !is_ours(route))
        return false;
    for (size_t i = 0; i < sizeof not_pages / sizeof *not_pages; i++)
        if (not_pages[i] == route->handler)
            return false;
    return !str_has(route->pattern, STR("{path*}"));
}

bool web_ends_in_name(const struct route *route)
{
    return str_ends(route->pattern, STR("{repo}")) || str_ends(route->pattern, STR("{user}")) ||
           str_ends(route->pattern, STR("{num}"));
}
