/* commits.h — the history of a revision, and one commit. */
#pragma once
#include "git/object.h"
#include "web/repo_head.h"

struct commit_row {
    str id, title, body, author, author_href, age, age_iso, href;
};
struct commits_view {
    struct repo_head head;
    struct ref_names refs;
    struct commit_row *rows;
    size_t count, total;
    str newer, older; /* addresses; ptr NULL: none */
    str command;
};

/* A unified diff, cut into files; lines are shown as they are. */
struct diff_line {
    char sign; /* ' ', '+', '-', '@' */
    str text;
};
struct diff_file {
    str name;
    size_t added, removed;
    struct diff_line *lines;
    size_t count;
    bool is_cut;
};
struct diff_view {
    struct diff_file *files;
    size_t count, added, removed;
    bool is_cut; /* too large to be shown whole */
};
#define DIFF_PAGE_BYTES (1u << 20)
#define DIFF_FILE_LINES 2000
#define DIFF_FILES 100
/* `text` as store/diff.h gives it; *ret points into it. */
void diff_parse(struct arena *a, str text, struct diff_view *ret);
void diff_markdown(struct md *m, const struct diff_view *v);

struct commit_view {
    struct repo_head head;
    struct commit_row commit;
    str *parents; /* 40 digits each */
    size_t parent_count;
    struct diff_view diff;
    str title;    /* of the page */
    str from, to; /* of a comparison; ptr NULL: a commit */
    str command;
};
