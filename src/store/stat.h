/* stat.h — requests and downloads per repository, file and day.  Summed in memory, written each
 * second and at shutdown; kill -9 may lose the last second. */
#pragma once
#include "store/repo.h"

/* One GET or HEAD of a file.  `client` is the address, for rule 9.4 of hub-api.md. */
void stat_file(struct store *s, const struct repo *r, str path, str client, uint64_t bytes);
/* True the first time in an hour that `who` (a token) asks for `what` (a content): for clients that
 * fetch one file with many requests.  Forgets when very many ask at once. */
bool stat_first(struct store *s, str who, str what);
MUST err stat_flush(struct store *s); /* called each second by a job, and at shutdown */
struct stat_sum {
    int64_t requests, downloads, bytes;
};
MUST err stat_repo(struct store *s, int64_t repo_id, int64_t since_day, struct stat_sum *ret);
