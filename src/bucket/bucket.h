/* bucket.h — buckets over HTTP: the handlers of this folder. */
#pragma once
#include "auth/auth.h"
#include "http/link.h"
#include "http/reply.h"
#include "xet/xet.h"

#define ROUTE(method, pattern, handler, scope, body) err handler(struct req *r);
#include "bucket/routes.def"
#undef ROUTE
