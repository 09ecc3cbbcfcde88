/* bucket_cols.h — the columns of `bucket_file` and their reader, which change together. */
#pragma once
#include "store/bucket.h"

#define BUCKET_FILE_COLS                                                                           \
    "path, file_id, file.hash, bucket_file.size, mtime, mtime_ns, uploaded_at, content_type, seq"
#define BUCKET_FILE_FROM " FROM bucket_file LEFT JOIN file ON file.id = file_id "
/* Reads BUCKET_FILE_COLS from column 0 on; strings are copied into `a`. */
struct bucket_file bucket_file_read(struct db_stmt *q, struct arena *a);
