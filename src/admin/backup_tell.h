/* backup_tell.h — what hearth backup and hearth restore say while they work. */
#pragma once
#include "base/json.h"
#include "store/backup.h"

struct tell {
    struct backup_watch watch; /* give this to backup_run and restore_run */
    bool json;                 /* damage is collected in `damage`, not printed */
    bool terminal;             /* progress is shown */
    int64_t shown_at_ms;
    bool line_open; /* a progress line waits to be replaced */
    struct json_out *damage;
    unsigned collected, files;
};

/* SIGINT and SIGTERM stop the work in good order from now on. */
void tell_begin(struct tell *t, struct arena *a, bool json);
void tell_end(struct tell *t); /* the progress line goes, the list of damage is complete */
str tell_bytes(struct arena *a, uint64_t bytes); /* "1.2 GB" */
int tell_error(err e);                           /* one line on stderr; 1 */
