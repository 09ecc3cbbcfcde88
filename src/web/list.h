/* list.h — a list of repositories: conditions, facets, rows. */
#pragma once
#include "store/facets.h"
#include "web/view.h"

struct facet_link {
    str label, href; /* a facet: the address with it; an active one: the address without */
    int64_t repos;
    bool is_active;
};
struct facet_group {
    const char *label;
    struct facet_link *items;
    size_t count;
    bool is_open;
};
#define FACET_GROUPS_MAX 12
struct list_view {
    str title, path; /* "Models", "/models" */
    const char *nav;
    struct repo_rows rows;
    int64_t total;  /* -1: not counted */
    str total_text; /* "12,481" */
    struct facet_group groups[FACET_GROUPS_MAX];
    size_t group_count;
    struct facet_link *active; /* every condition, with the address without it */
    size_t active_count;
    str search, sort;
    struct form_hidden { /* what the search form carries on */
        str name, value;
    } * hidden;
    size_t hidden_count;
    str next, create; /* next page; how to make the first one */
};
