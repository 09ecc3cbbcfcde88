/* pulls.h — pull requests: the list of a repository, and one of them. */
#pragma once
#include "hub/pull.h"
#include "web/commits.h"
#include "web/form.h"

struct pull_row {
    int64_t number;
    str title, author, status, age, age_iso, href;
};
struct pulls_view {
    struct repo_head head;
    const char *state; /* open, closed */
    struct pull_row *rows;
    size_t count;
    int64_t total;
    str older, newer, command;
};
struct pull_event {
    str author, text, age, age_iso; /* text: "closed this", or a comment */
    bool is_comment;
};
struct pull_view {
    struct repo_head head;
    struct pull_row row;
    str description, base, merge_commit; /* merge_commit: 40 digits; ptr NULL: not merged */
    struct commit_row *commits;
    struct pull_event *events;
    str *conflicts;
    size_t commit_count, event_count, conflict_count;
    struct diff_view diff;
    bool may_merge, may_close, may_open; /* by a form of this page */
    bool is_pull_request;
    str error; /* of a form that was sent; ptr NULL: none */
    int status;
    str command;
};
