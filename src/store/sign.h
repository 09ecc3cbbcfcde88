/* sign.h — links that carry their own authorisation, and the keys that make them.
 *
 * A signature is base64url of HMAC-SHA256 over "purpose\n" and the claims; keys are rows with a
 * kid, so that several nodes share them and rotation breaks nothing.
 */
#pragma once
#include "store/store.h"

/* "kid.expiry.signature" over purpose and claims; expires_at_ms absolute. */
MUST err sign_make(struct store *s, struct arena *a, str purpose, str claims, int64_t expires_at_ms,
                   str *ret);
/* 403 when it is malformed, of another key, expired or of other claims. */
MUST err sign_check(struct store *s, struct arena *a, str purpose, str claims, str signature);
MUST err sign_rotate(struct store *s,
                     struct arena *a); /* a new key signs; old ones verify until retired */
