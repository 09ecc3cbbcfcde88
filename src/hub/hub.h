/* hub.h — the Hub API: every handler of this folder, and what they share.
 *
 * routes.def says which handler answers which address; a handler finds its repository in r->repo
 * (access is checked before), parameters in req_param(), and answers with a reply_* or an err.
 */
#pragma once
#include "auth/auth.h"
#include "base/settings.h"
#include "http/link.h"
#include "http/reply.h"
#include "store/commit.h"
#include "store/file.h"
#include "store/ref.h"
#include "store/repo.h"

#define ROUTE(method, pattern, handler, scope, body) err handler(struct req *r);
#include "hub/routes.def"
#undef ROUTE

/* "http://host/datasets/ns/name" */
str hub_repo_url(struct req *r, const struct repo *repo);
/* The revision of the path parameter "rev" (or "main"); sets X-Repo-Commit. */
MUST err hub_revision(struct req *r, struct revision *ret);
/* The Xet hashes of the large files among these entries; zero where there is none. */
MUST err hub_file_hashes(struct req *r, const struct repo *repo, const struct entry *entries,
                         size_t count, file_hash **ret);
/* 404 EntryNotFound "Entry not found", with what the path was. */
err hub_no_entry(struct req *r, str path);
struct commit_author hub_author(struct req *r); /* of the authenticated user */

/* list.c: what the query string asks of a list of q->kind (conditions, order, cursor, viewer; not
 * the limit).  *ret_nothing: a condition that no repository meets. */
MUST err hub_list_query(struct req *r, struct repo_query *q, bool *ret_nothing);

/* card.c: what README.md and the other files say about a repository; set as commit_facts. */
MUST err hub_facts(struct store *s, struct arena *a, const struct repo *r, struct odb *odb,
                   oid head, struct repo_facts *ret);
