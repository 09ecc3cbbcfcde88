/* view.h — what several pages show, as data. */
#pragma once
#include "web/page.h"

struct repo_row {
    const struct repo *repo;
    str path, detail;                           /* "text-generation · 22.7M parameters" */
    str updated, updated_iso, downloads, likes; /* as shown */
};
struct repo_rows {
    const char *what; /* caption, for people who do not see the page: "Models" */
    struct repo_row *items;
    size_t count;
};
void view_rows(struct arena *a, const char *what, const struct repo_list *list,
               struct repo_rows *ret);
void view_rows_json(struct json_out *j, const struct repo_rows *v); /* an array */
void view_rows_markdown(struct md *m, const struct repo_rows *v);
/* "12,481"; in lists short: "12.5k" */
str view_number(struct arena *a, int64_t v);
str view_short(struct arena *a, int64_t v);
str view_bytes(struct arena *a, uint64_t v); /* decimal units: "1.5 GB" */
/* "3 days ago", rounded down to one unit, so that a page stays the same while it says the same. */
str view_ago(struct arena *a, int64_t ms);
/* "/datasets/alice/d1" */
str view_repo_path(struct arena *a, const struct repo *r);
