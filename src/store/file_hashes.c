/* file_hashes.c — the Xet hashes of a whole page of large files.
 *
 * Pages have up to a thousand entries.  One statement answers for HASHES of them, so that a page
 * costs a few dozen statements and not one for each entry.
 */
#include "store/file.h"
#include <string.h>

#define HASHES 32

static const struct sql FIND =
    SQL_INIT("SELECT sha256, file.hash FROM repo_file JOIN file ON file.id = file_id "
             "WHERE repo_id = ?1 AND sha256 IN (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
             "?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, "
             "?29, ?30, ?31, ?32, ?33)");

struct asking {
    int64_t repo_id;
    const sha256 *files;
    size_t count;
    file_hash *hashes;
};

/* A page may name the same content under several paths. */
static void note(const struct asking *x, size_t first, size_t count, sha256 h, file_hash hash)
{
    for (size_t i = first; i < first + count; i++)
        if (sha256_eq(x->files[i], h))
            x->hashes[i] = hash;
}

static err ask_some(struct db *db, const struct asking *x, size_t first, size_t count)
{
    AUTO_STMT struct db_stmt *q = NULL;
    file_hash hash;
    sha256 h;

    TRY(db_query(db, &q, FIND));
    db_bind_i64(q, 1, x->repo_id);
    for (size_t i = 0; i < HASHES; i++) /* the last one again where there are fewer */
        db_bind_hash(q, (int)i + 2, x->files[first + (i < count ? i : count - 1)]);
    while (db_next(q))
        if (db_hash(q, 0, h.b, sizeof h.b) && db_hash(q, 1, hash.b, sizeof hash.b))
            note(x, first, count, h, hash);
    return db_error(q);
}

static err ask(struct db *db, void *arg)
{
    const struct asking *x = arg;

    memset(x->hashes, 0, x->count * sizeof *x->hashes);
    for (size_t i = 0; i < x->count; i += HASHES)
        TRY(ask_some(db, x, i, x->count - i < HASHES ? x->count - i : HASHES));
    return OK;
}

err repo_file_hashes(struct db *db, int64_t repo_id, const sha256 *files, size_t count,
                     file_hash *ret)
{
    struct asking x = {repo_id, files, count, ret};

    return count ? db_read(db, ask, &x) : OK;
}
