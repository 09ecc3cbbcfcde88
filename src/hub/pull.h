/* pull.h — pull requests: what they change, whether they can be merged, merging and closing them.
 * Used by the API (pull.c) and by the pages. */
#pragma once
#include "git/object.h"
#include "store/discussion.h"
#include "store/merge.h"
#include "store/ref.h"

struct req;
struct json_out;

struct pull {
    struct discussion row;
    struct odb *odb;
    struct ref head, base; /* refs/pr/N and the branch; id 0: gone */
    oid fork;              /* the commit that it began at; zero: none */
    str *conflicts;        /* paths, of an open one */
    size_t conflict_count;
    bool is_author, may_write;
};
/* The pull request (or discussion) of this number in r->repo; 404.  Computes conflicts of open
 * ones. */
MUST err pull_find(struct req *r, int64_t number, struct pull *ret);
/* Commits that it would add, newest first. */
MUST err pull_commits(struct req *r, const struct pull *p, struct oid_list *ret);
MUST err pull_diff(struct req *r, const struct pull *p, size_t max_bytes, str *ret);
/* One commit on the base branch with everything that it changes, titled "TITLE (#N)".  403, 409
 * MergeConflict with the names of the files. */
MUST err pull_merge(struct req *r, const struct pull *p, str comment, oid *ret);
/* open or closed.  403, 409. */
MUST err pull_set_status(struct req *r, const struct pull *p, str status, str comment);

/* Writes "author": {…}; nothing for an account that is gone (discussion.c). */
MUST err pull_put_author(struct req *r, struct json_out *j, int64_t id);
