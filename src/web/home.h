/* home.h — the first page. */
#pragma once
#include "web/view.h"

struct home {
    str base, user; /* user ptr NULL: nobody */
    struct repo_rows mine, models, datasets, spaces;
    bool is_closed; /* one has to log in to see anything */
    bool is_empty;  /* nothing here that this viewer may see */
};
