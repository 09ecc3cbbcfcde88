/* request.c — see request.h: what handlers ask about a request. */
#include "http/request.h"

str req_header(const struct req *r, const char *name)
{
    str wanted = str_c(name);

    for (size_t i = 0; i < r->header_count; i++)
        if (str_ieq(r->headers[i].name, wanted))
            return r->headers[i].value.ptr ? r->headers[i].value : STR("");
    return STR_NONE;
}

str req_param(const struct req *r, const char *name)
{
    str wanted = str_c(name);

    for (size_t i = 0; i < r->match.param_count; i++)
        if (str_eq(r->match.params[i].name, wanted))
            return r->match.params[i].value.ptr ? r->match.params[i].value : STR("");
    return STR_NONE;
}

str req_query(const struct req *r, const char *name)
{
    return url_query_get(&r->query, str_c(name));
}

bool req_query_bool(const struct req *r, const char *name)
{
    return url_query_bool(&r->query, str_c(name));
}

bool req_is_head(const struct req *r)
{
    return r->method == M_HEAD;
}
