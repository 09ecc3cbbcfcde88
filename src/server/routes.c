/* routes.c — the table the router walks: every feature folder's routes.def. */
#include "server/routes.h"
#include "bucket/bucket.h"
#include "http/reply.h"
#include "hub/hub.h"
#include "server/answer.h"
#include "web/web.h"
#include "xet/xet.h"

const struct route server_routes[] = {
#define ROUTE(method, pattern, handler, scope, body)                                               \
    {M_##method, STR_INIT(pattern), #handler, handler, SCOPE_##scope, BODY_##body},
#include "bucket/routes.def"
#include "hub/routes.def"
#include "server/routes.def"
#include "web/routes.def"
#include "xet/routes.def"
#undef ROUTE
};
const size_t server_route_count = sizeof server_routes / sizeof *server_routes;
