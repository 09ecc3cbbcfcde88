/* session.h — people who are logged in with a browser: a random value in a cookie, stored as its
 * SHA-256.  A session ends 30 days after its last use. */
#pragma once
#include "store/account.h"

#define SESSION_MS (30 * 86400000LL)
#define SESSION_TOUCH_MS (10 * 60000LL) /* its last use is written at most this often */

struct session {
    int64_t id; /* 0: none */
    int64_t user_id;
    str agent, address;
    bool must_change; /* its user has a one-time password (session_find only) */
    int64_t created_at_ms, used_at_ms, expires_at_ms;
};
struct session_list {
    struct session *items;
    size_t count;
};
/* *ret_secret: 43 characters, the cookie's value, the only time it is known. */
MUST err session_add(struct store *s, struct arena *a, int64_t user_id, str agent, str address,
                     str *ret_secret);
/* The session of a cookie and its user, who is active; ret->id 0: none.  Renews it now and then. */
MUST err session_find(struct store *s, struct arena *a, str secret, struct session *ret,
                      struct account *ret_user);
/* Newest use first. */
MUST err session_list(struct db *db, struct arena *a, int64_t user_id, struct session_list *ret);
MUST err session_end(struct store *s, int64_t user_id, int64_t id);
/* All of a user but one (0: all): after a change of the password. */
MUST err session_end_others(struct store *s, int64_t user_id, int64_t keep_id);
MUST err session_expire(struct store *s, struct arena *a); /* a job */
