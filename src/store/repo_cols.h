/* repo_cols.h — the columns of `repo` and their reader, which change together. */
#pragma once
#include "store/repo.h"

/* `card` and `meta` are the two long ones: their names, or "NULL" to leave them out. */
#define REPO_COLS_WITH(card, meta)                                                                 \
    "id, oid, kind, owner_id, creator_id, full_name, visibility, pristine, created_at, "           \
    "updated_at, head, " card ", tags, " meta ", pipeline_tag, library_name, description, "        \
    "num_parameters, used_storage, likes, downloads, downloads_all, trending"
#define REPO_COLS REPO_COLS_WITH("card", "meta")
/* Reads REPO_COLS from column 0 on; strings are copied into `a`. */
struct repo repo_read(struct db_stmt *q, struct arena *a);
