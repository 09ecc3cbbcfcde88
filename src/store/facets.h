/* facets.h — how many repositories carry each tag, among those that a viewer may see and that meet
 * other conditions.
 *
 * The tags of all repositories are kept in memory (about 40 bytes a repository), read at the first
 * question and kept up to date from repo_change; one pass over them answers: some 10 ms for a
 * million repositories.
 */
#pragma once
#include "store/repo.h"

struct facet_count {
    str tag;       /* in lower case, as filters name it */
    int64_t repos; /* that carry it beside everything that was asked */
};
struct facet_list {
    struct facet_count *items; /* by count, then by name */
    size_t count;
    int64_t total;   /* repositories that meet the conditions */
    bool is_partial; /* a search term too common to be counted: `items` is empty */
};
#define FACETS_MAX 2000 /* tags in an answer, the most frequent ones */
/* Conditions and viewer as for repo_list; order, limit and cursor do not matter. */
MUST err facets_count(struct store *s, struct arena *a, const struct repo_query *q,
                      struct facet_list *ret);
MUST err facets_trim(struct store *s); /* a job: cuts repo_change */
