/* git.h — what fetching and pushing share. */
#pragma once
#include "git/fetch.h"
#include "hub/hub.h"

/* The repository of the path, with this much access; sets r->repo. */
MUST err git_repo_of(struct req *r, enum access need);
/* Its refs as git is told; for a push without our own untouched initial commit. */
MUST err git_refs_of(struct req *r, bool for_push, struct fetch_repo *ret);
/* May this user push at all?  Writers, and authors of pull requests (to those only). */
MUST err git_push_allowed(struct req *r);
