/* tree.h — a folder of a revision. */
#pragma once
#include "web/repo_head.h"

struct tree_row {
    const struct entry *entry;
    str name, href, size;                        /* size: "" for folders */
    str commit_title, commit_href, age, age_iso; /* of the commit that last changed it; may be "" */
    bool is_dir;
};
struct tree_view {
    struct repo_head head;
    struct ref_names refs;
    struct crumbs crumbs;
    str commit; /* 40 digits */
    str folder; /* "" for the root */
    struct tree_row *rows;
    size_t count;
    str next;    /* address of the next page; ptr NULL: this is the last */
    str command; /* how a program gets this */
};
