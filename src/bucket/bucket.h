/* bucket.h — buckets over HTTP: the handlers of this folder, and what they share.
 *
 * A handler finds its bucket in r->repo (access is checked before).  What clients expect, and where
 * we differ from the public service, is in docs/protocol/buckets.md.
 */
#pragma once
#include "auth/auth.h"
#include "http/link.h"
#include "http/reply.h"
#include "store/bucket.h"
#include "xet/xet.h"

#define ROUTE(method, pattern, handler, scope, body) err handler(struct req *r);
#include "bucket/routes.def"
#undef ROUTE

/* item.c: one file as listings show it. */
void bucket_put_file(struct json_out *j, const struct bucket_file *f);
err bucket_no_entry(struct req *r); /* 404 EntryNotFound */
