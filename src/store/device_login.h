/* device_login.h — logging in a program that has no browser (RFC 8628): it polls with a device code
 * while a person who is logged in types the user code. */
#pragma once
#include "store/token.h"

#define DEVICE_LOGIN_SECONDS 900
#define DEVICE_POLL_SECONDS 5
#define DEVICE_TOKEN_DAYS 30
#define REFRESH_TOKEN_DAYS 180
#define DEVICE_WAITING_MAX 1000 /* unanswered ones at a time: 429 above */

struct device_login {
    str user_code; /* "ABCD-EFGH"; ptr NULL: none, or expired */
    str client_id, address, state;
    int64_t user_id, created_at_ms;
};
MUST err device_login_begin(struct store *s, struct arena *a, str client_id, str address,
                            str *ret_device_code, str *ret_user_code);
/* By what a person typed: case, blanks and dashes do not matter. */
MUST err device_login_find(struct store *s, struct arena *a, str typed, struct device_login *ret);
/* `allow` false: denied.  404 when it was answered or has expired meanwhile. */
MUST err device_login_answer(struct store *s, struct arena *a, str user_code, int64_t user_id,
                             bool allow);

enum device_state { DEVICE_PENDING, DEVICE_SLOW_DOWN, DEVICE_DENIED, DEVICE_EXPIRED, DEVICE_DONE };
struct device_grant {
    str access_token, refresh_token;
    int64_t expires_in_s;
};
/* A poll; DONE happens once and makes the tokens. */
MUST err device_login_poll(struct store *s, struct arena *a, str device_code, str client_id,
                           enum device_state *ret, struct device_grant *grant);
/* New tokens for a refresh token, which is used up; *ret_found false: it is not valid. */
MUST err device_login_refresh(struct store *s, struct arena *a, str refresh_token, str client_id,
                              struct device_grant *ret, bool *ret_found);
MUST err device_login_expire(struct store *s, struct arena *a); /* a job */
