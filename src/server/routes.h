/* routes.h — handlers of this folder (routes.def). */
#pragma once
#include "http/reply.h"

#define ROUTE(method, pattern, handler, scope, body) err handler(struct req *r);
#include "server/routes.def"
#undef ROUTE
