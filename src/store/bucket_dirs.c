/* bucket_dirs.c — see bucket_dirs.h. */
#include "store/bucket_dirs.h"
#include <assert.h>
#include <string.h>

static const struct sql ADD = SQL_INIT(
    "INSERT INTO bucket_dir(repo_id, parent, name, file_count, size, uploaded_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(repo_id, parent, name) DO UPDATE SET "
    "file_count = bucket_dir.file_count + excluded.file_count, "
    "size = bucket_dir.size + excluded.size, uploaded_at = CASE WHEN bucket_dir.uploaded_at < "
    "excluded.uploaded_at THEN excluded.uploaded_at ELSE bucket_dir.uploaded_at END");
static const struct sql GONE = SQL_INIT("DELETE FROM bucket_dir WHERE repo_id = ?1 AND "
                                        "parent = ?2 AND name = ?3 AND file_count <= 0");

static err write_row(const struct bucket_dirs *d, const struct bucket_level *l, str parent,
                     str name)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(d->tx, &q, ADD));
    db_bind_i64(q, 1, d->repo_id);
    db_bind_blob(q, 2, parent);
    db_bind_blob(q, 3, name);
    db_bind_i64(q, 4, l->files);
    db_bind_i64(q, 5, l->size);
    db_bind_i64(q, 6, l->is_fresh ? d->now_ms : 0);
    return db_run(q);
}

static err remove_empty(const struct bucket_dirs *d, str parent, str name)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(d->tx, &q, GONE));
    db_bind_i64(q, 1, d->repo_id);
    db_bind_blob(q, 2, parent);
    db_bind_blob(q, 3, name);
    return db_run(q);
}

/* Leaves the innermost folder. */
static err leave(struct bucket_dirs *d)
{
    struct bucket_level l = d->levels[--d->depth];
    str path = {d->path, l.len}, parent = STR(""), last = path;
    ptrdiff_t slash = str_rfind(path, '/');
    char name[BUCKET_PATH_MAX + 1];

    if (slash >= 0) {
        parent = str_first(path, (size_t)slash);
        last = str_from(path, (size_t)slash + 1);
    }
    assert(last.len > 0 && last.len < sizeof name);
    memcpy(name, last.ptr, last.len);
    name[last.len] = '/';
    if (d->depth > 0) {
        struct bucket_level *up = &d->levels[d->depth - 1];

        up->files += l.files;
        up->size += l.size;
        up->is_fresh = up->is_fresh || l.is_fresh;
    }
    TRY(write_row(d, &l, parent, (str){name, last.len + 1}));
    return l.files < 0 ? remove_empty(d, parent, (str){name, last.len + 1}) : OK;
}

static bool is_below(const struct bucket_dirs *d, str path)
{
    size_t len = d->levels[d->depth - 1].len;

    return path.len > len && path.ptr[len] == '/' && memcmp(path.ptr, d->path, len) == 0;
}

err bucket_dirs_note(struct bucket_dirs *d, str path, int64_t files, int64_t size, bool is_fresh)
{
    struct bucket_level *l;

    while (d->depth > 0 && !is_below(d, path))
        TRY(leave(d));
    for (size_t i = d->depth ? d->levels[d->depth - 1].len + 1 : 0; i < path.len; i++)
        if (path.ptr[i] == '/') {
            assert(d->depth < BUCKET_PATH_MAX / 2);
            d->levels[d->depth++] = (struct bucket_level){.len = i};
            memcpy(d->path, path.ptr, i);
        }
    if (d->depth == 0)
        return OK;
    l = &d->levels[d->depth - 1];
    l->files += files;
    l->size += size;
    l->is_fresh = l->is_fresh || is_fresh;
    return OK;
}

err bucket_dirs_end(struct bucket_dirs *d)
{
    while (d->depth > 0)
        TRY(leave(d));
    return OK;
}
