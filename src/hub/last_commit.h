/* last_commit.h — which commit last changed a path, and what it says. */
#pragma once
#include "http/request.h"
#include "store/ref.h"

#define LAST_COMMIT_WALK 1000 /* commits looked at for a revision that is no branch head */

/* Fills last_commit of entries that have none, by walking the first parents of `commit`.  Entries
 * that changed longer ago keep has_last_commit false. */
MUST err last_commit_find(struct req *r, const struct repo *repo, oid commit, struct entry *entries,
                          size_t count);

/* Title and date of commits, each read once per request. */
struct commit_titles {
    struct req *r;
    struct odb *odb;
    struct commit_title {
        oid id;
        str title;
        int64_t at_ms;
    } * items;
    size_t count, cap;
};
struct commit_titles commit_titles(struct req *r, const struct repo *repo);
MUST err commit_title(struct commit_titles *t, oid id, const struct commit_title **ret);
