/* link.h — addresses in answers: absolute, as the client sees them. */
#pragma once
#include "http/reply.h"

/* Sets `Link: <…>; rel="next"` with the request's own path and query, the cursor replaced. */
void reply_next_link(struct req *r, str cursor);
