/* repo_head.h — what stands above every page of a repository: its name, what it is, and tabs. */
#pragma once
#include "store/ref.h"
#include "web/view.h"

#define HEAD_TAGS_MAX 24

struct repo_head {
    const struct repo *repo;
    str path;          /* "/datasets/alice/d1" */
    str ns, name, rev; /* rev: as the address has it, "main" by default */
    const char *tab;   /* card, files, commits, community, settings */
    const char *nav;   /* models, datasets, spaces */
    bool may_write, may_admin;
    str tags[HEAD_TAGS_MAX];
    size_t tag_count;
    str form_token; /* ptr NULL: no session */
};
/* For r->repo. */
MUST err repo_head_fill(struct req *r, const char *tab, str rev, struct repo_head *ret);
void repo_head_markdown(struct md *m, const struct repo_head *h);   /* heading and facts */
void repo_head_json(struct json_out *j, const struct repo_head *h); /* members of an open object */

/* The folders of a path, each with its address, for breadcrumbs. */
struct crumb {
    str name, href; /* href ptr NULL: the last one */
};
struct crumbs {
    struct crumb *items;
    size_t count;
};
struct crumbs repo_crumbs(struct arena *a, const struct repo_head *h, str path);
/* Branches and tags, for choosing: names without "refs/heads/" and "refs/tags/". */
struct ref_names {
    str *items;
    size_t count;
};
MUST err repo_ref_names(struct req *r, struct ref_names *ret);
