/* upload_rows.h — what upload.c and upload_complete.c share. */
#pragma once
#include "store/internal.h"
#include "store/upload.h"

#define UPLOAD_ID_LEN 32

struct upload_row {
    struct upload upload;              /* id NULL: none */
    int64_t expires_at_ms, done_at_ms; /* done_at_ms 0: open */
};
MUST err upload_row_find(struct db *db, struct arena *a, str id, struct upload_row *ret);
const char *upload_folder(struct store *s, struct arena *a, str id);
const char *upload_part_path(struct store *s, struct arena *a, str id, unsigned number);
uint64_t upload_part_size(const struct upload *u, unsigned number);
void upload_folder_remove(const char *path);
/* Rows first, then files: what is left after a crash belongs to nobody and expires. */
MUST err upload_forget(struct store *s, struct arena *a, str id);
/* Removes the rows of the parts and says that the upload is done; inside a transaction. */
MUST err upload_row_done(struct db *tx, str id, int64_t now_ms);

extern const struct err_info upload_missing; /* 404 */
