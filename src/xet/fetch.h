/* fetch.h — links by which clients fetch pieces of xorbs without a token. */
#pragma once
#include "xet/range.h"
#include "xet/xet.h"

#define FETCH_SECONDS 3600      /* a link is good for at least so long … */
#define FETCH_ROUND_SECONDS 600 /* … and the same link is given for this long, for caches */

int64_t fetch_expires_ms(void);
/* "…/fetch/HASH?x=…&r=…&s=…"; `cas` is xet_cas_url(). */
MUST err fetch_url(struct store *s, struct arena *a, str cas, xorb_hash h,
                   const struct xorb_link *l, int64_t expires_ms, str *ret);
