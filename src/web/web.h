/* web.h — the pages: handlers of this folder (routes.def), and what server/ asks of them. */
#pragma once
#include "web/page.h"

#define ROUTE(method, pattern, handler, scope, body) err handler(struct req *r);
#include "web/routes.def"
#undef ROUTE

/* May a path that ends in .md or .json be a twin of this route?  Only pages have twins. */
bool web_has_twin(const struct route *route);
/* Does the pattern end in a parameter, so that it fits a path with ".md" behind it too?  A name may
 * really end so: its handler looks for that name before it takes r->twin for a suffix. */
bool web_ends_in_name(const struct route *route);

#define WEB_PASSWORD_MIN 10

/* Somebody with a one-time password sees only the page on which it is changed. */
bool web_must_change(const struct req *r);
MUST err web_change_first(struct req *r);

/* 404: no route, said by a route that takes any name. */
err web_nothing(struct req *r);

/* An error as a page, for people; false: this client wants it another way. */
bool web_wants_error_page(const struct req *r);
MUST err web_error_page(struct req *r, err e);
