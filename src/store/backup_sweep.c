/* backup_sweep.c — takes away what no kept snapshot of a backup needs. */
#include "base/io.h"
#include "cas/hash.h"
#include "store/backup_parts.h"
#include <stdlib.h>
#include <unistd.h>

struct sweep {
    struct arena *a;
    const char *dest;
    const struct manifest *kept;
    const char *folder; /* being emptied */

    struct blobs *blobs;
    struct db *rows[BACKUP_KEEP_MAX + 1]; /* hearth.db of each kept snapshot */
    struct arena *scratch;                /* reset after each blob */
    uint64_t removed;
};

/* --- folders --- */

static bool is_kept(const struct manifest *m, str name)
{
    for (size_t i = 0; i < m->count; i++)
        if (str_eq(m->items[i].name, name))
            return true;
    return false;
}

static err unlink_in(void *arg, const char *name)
{
    struct sweep *w = arg;
    const char *path = path_in(w->a, w->folder, name);

    return unlink(path) ? err_os(w->a, "unlink", path) : OK;
}

/* One that the manifest does not name: of a run that broke off, or too old. */
static err sweep_folder(void *arg, const char *name)
{
    struct sweep *w = arg;

    if (!str_starts(str_c(name), STR(SNAPSHOT_PREFIX)) || is_kept(w->kept, str_c(name)))
        return OK;
    w->folder = path_in(w->a, w->dest, name);
    TRY(folder_each(w->a, w->folder, unlink_in, w));
    return rmdir(w->folder) ? err_os(w->a, "rmdir", w->folder) : OK;
}

err sweep_folders(struct arena *a, const char *dest, const struct manifest *kept)
{
    struct sweep w = {.a = a, .dest = dest, .kept = kept};

    return folder_each(a, dest, sweep_folder, &w);
}

/* --- blobs --- */

static err is_named(struct db *rows, const struct blob_key *key, bool *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    xorb_hash h; /* a shard's name is spelled alike */

    *ret = true;
    if (!xorb_hash_parse(key->hash, &h))
        return OK;
    TRY(db_query(rows, &q,
                 key->kind == BLOB_SHARD
                     ? SQL("SELECT 1 FROM shard WHERE hash = ?1 AND ?2 = 0")
                     : SQL("SELECT 1 FROM xorb WHERE hash = ?1 AND generation = ?2")));
    db_bind_hash(q, 1, h);
    db_bind_i64(q, 2, key->generation);
    *ret = db_next(q);
    return db_error(q);
}

static err sweep_blob(struct blob_key key, void *arg)
{
    struct sweep *w = arg;
    bool named = false;

    for (size_t i = 0; i < w->kept->count && !named; i++)
        TRY(is_named(w->rows[i], &key, &named));
    if (!named) {
        TRY(blob_remove(w->blobs, w->scratch, key));
        w->removed++;
    }
    arena_reset(w->scratch);
    return OK;
}

static err open_rows(struct sweep *w)
{
    for (size_t i = 0; i < w->kept->count; i++) {
        str folder = arena_printf(w->a, "%s/%.*s", w->dest, STR_FMT(w->kept->items[i].name));
        struct db_config c = {.path = path_in(w->a, folder.ptr, store_file_name[STORE_HUB]),
                              .readers = 1,
                              .frozen = true};

        TRY(store_file_open(w->a, STORE_HUB, c, &w->rows[i]));
    }
    return OK;
}

err sweep_blobs(struct arena *a, const char *dest, const struct manifest *kept, struct blobs *blobs,
                uint64_t *ret_removed)
{
    struct sweep w = {.a = a, .dest = dest, .kept = kept, .blobs = blobs, .scratch = arena_new(0)};
    err e = open_rows(&w);

    for (int kind = BLOB_XORB; !e && kind <= BLOB_SHARD; kind++)
        e = blob_each(blobs, a, (enum blob_kind)kind, sweep_blob, &w);
    for (size_t i = 0; i < kept->count; i++)
        db_close(w.rows[i]);
    e = err_copy(a, e);
    arena_free(w.scratch);
    *ret_removed = w.removed;
    return e;
}
