/* session.h — for auth.c: the user of the session cookie. */
#pragma once
#include "auth/auth.h"

/* *ret NULL: no cookie, or one that means nobody. */
MUST err auth_session_find(struct req *r, struct user **ret);
