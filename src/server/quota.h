/* quota.h — requests per token or address in fixed windows of five minutes (hub-api.md 3.3). */
#pragma once
#include "http/reply.h"

struct quota;
struct quota *quota_new(void);
void quota_free(struct quota *q); /* accepts NULL */
/* Counts the request in its class and sets RateLimit headers when the class has a limit.
 * 429 with Retry-After when it is spent. */
MUST err quota_spend(struct quota *q, struct req *r);
