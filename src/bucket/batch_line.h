/* batch_line.h — one line of a batch: {"type": "addFile"|"copyFile"|"deleteFile", …}. */
#pragma once
#include "store/bucket_batch.h"

struct batch_line {
    struct bucket_op op; /* source_id is for the caller to find */
    str source_id;       /* copies: "ns/name" */
};
/* Strings live in `a`.  Fails with 400 and a sentence. */
MUST err batch_line_parse(struct arena *a, str line, struct batch_line *ret);
