/* link.c — see link.h. */
#include "http/link.h"

void reply_next_link(struct req *r, str cursor)
{
    str url = arena_cat(r->a, r->base, r->path, STR("?"));

    for (size_t i = 0; i < r->query.count; i++) {
        const struct url_pair *p = &r->query.pairs[i];

        if (!str_eq(p->name, STR("cursor")))
            url = arena_cat(r->a, url, url_encode(r->a, p->name), STR("="),
                            url_encode(r->a, p->value), STR("&"));
    }
    url = arena_cat(r->a, url, STR("cursor="), url_encode(r->a, cursor));
    reply_header(r, "Link", arena_cat(r->a, STR("<"), url, STR(">; rel=\"next\"")));
}
