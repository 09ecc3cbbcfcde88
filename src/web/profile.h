/* profile.h — a person or an organization: what of theirs the viewer may see. */
#pragma once
#include "web/view.h"

struct profile_tab {
    const char *label, *word; /* "Models", "models" */
    str href;
    int64_t count;
    bool is_current;
};
struct profile_view {
    struct account account;
    bool is_org;
    str path; /* "/alice" */
    str since;
    struct profile_tab tabs[REPO_KINDS];
    struct repo_rows rows;
    str next;
    struct membership *people; /* members of an organization, or organizations of a person */
    size_t people_count;
};
