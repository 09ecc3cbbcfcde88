/* origin.h — what the client called us: scheme, host, client address, request id. */
#pragma once
#include "server/answer.h"

/* Fills scheme, host, base, path, client.  421 for a host that allowed_hosts does not list. */
MUST err origin_of(struct req *r, const struct app *app);
bool origin_is_loopback(str peer);
void origin_request_id(struct req *r);
/* CORS headers for requests that come from pages of other origins. */
void origin_cors(struct req *r);
