/* blob.h — a file of a revision. */
#pragma once
#include "web/repo_head.h"

struct blob_view {
    struct repo_head head;
    struct crumbs crumbs;
    struct entry entry;
    str path, commit, raw_href, resolve_href, history_href, size;
    str oid, sha256, xet_hash; /* the last two "" for small files */
    str text;                  /* what is shown; ptr NULL: nothing */
    size_t line_count;
    bool is_text, is_cut, is_image;
    str command;
};
