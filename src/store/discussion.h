/* discussion.h — pull requests, as far as commits with create_pr need them: a number, a ref
 * refs/pr/N and a row.  Comments and merging come with the community routes. */
#pragma once
#include "git/oid.h"
#include "store/repo.h"

struct discussion {
    int64_t id; /* 0: none */
    str oid;
    int64_t repo_id, number, author_id;
    bool is_pull_request;
    str status; /* draft, open, closed, merged */
    str title, description, base;
    int64_t created_at_ms;
    bool is_merged;
    oid merge_commit; /* when merged */
};
/* The next number of this repository; numbers of requests that fail afterwards stay unused. */
MUST err discussion_number_next(struct store *s, int64_t repo_id, int64_t *ret);
MUST err discussion_add(struct db *tx, struct arena *a, const struct discussion *d);
MUST err discussion_find(struct db *db, struct arena *a, int64_t repo_id, int64_t number,
                         struct discussion *ret);
/* Has this user opened a pull request here? */
MUST err discussion_is_author(struct db *db, int64_t repo_id, int64_t user_id, bool *ret);

/* What happened since it was opened, oldest first. */
struct discussion_event {
    str oid, type, body; /* type: status-change (body: the new status), comment */
    int64_t author_id, at_ms;
};
struct discussion_events {
    struct discussion_event *items;
    size_t count;
};
MUST err discussion_events(struct db *db, struct arena *a, int64_t discussion_id,
                           struct discussion_events *ret);
MUST err discussion_event_add(struct db *tx, struct arena *a, int64_t discussion_id,
                              int64_t author_id, str type, str body);
/* Moves it from status `from` (or `or_from`) to `to` and notes who did it and the comment (may be
 * empty); `merge_commit` NULL: none.  409 when it has another status now. */
MUST err discussion_set_status(struct db *tx, struct arena *a, const struct discussion *d,
                               int64_t user_id, str from, str or_from, str to, str comment,
                               const oid *merge_commit);

struct discussion_query {
    int64_t repo_id;
    int only;          /* 1: pull requests, 0: others, -1: both */
    str status;        /* all; open (and draft); closed (and merged) */
    int64_t author_id; /* 0: anybody */
    str search;        /* in the title, without case; empty: any */
    int64_t first, limit;
};
struct discussion_list {
    struct discussion *items;
    size_t count;
    int64_t total; /* of all pages */
};
/* Newest first. */
MUST err discussion_list(struct db *db, struct arena *a, const struct discussion_query *query,
                         struct discussion_list *ret);
