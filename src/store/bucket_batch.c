/* bucket_batch.c — see bucket_batch.h.
 *
 *     rows as they came ──▶ may they? (file ids and failures go into the rows)
 *                       ──▶ sorted by path, the last good one of each ──▶ bucket_file
 *                                                                  └──▶ bucket_dir, bucket, repo
 *
 * The rows are a shared map of the unlinked file; a transaction that runs again writes the same
 * findings again.
 */
#include "store/bucket_batch.h"
#include "base/clock.h"
#include "base/io.h"
#include "store/bucket_dirs.h"
#include "store/xet.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIME_NONE INT64_MIN
#define TYPE_NONE UINT16_MAX
#define PIECE_BYTES (64u << 10)
#define ROW_MAX (sizeof(struct row) + BUCKET_PATH_MAX + BUCKET_TYPE_MAX + 8)

static const struct sql OWN = SQL_INIT(
    "SELECT id, size FROM file WHERE hash = ?2 AND "
    "(EXISTS (SELECT 1 FROM file_hold WHERE repo_id = ?1 AND file_id = file.id AND until > ?3) OR "
    "EXISTS (SELECT 1 FROM bucket_file WHERE file_id = file.id AND repo_id = ?1))");
static const struct sql OF_REPO =
    SQL_INIT("SELECT id, size FROM file WHERE hash = ?2 AND EXISTS "
             "(SELECT 1 FROM repo_file WHERE file_id = file.id AND repo_id = ?1)");
static const struct sql TYPE_OF = SQL_INIT("SELECT content_type FROM bucket_file "
                                           "WHERE file_id = ?2 AND repo_id = ?1 LIMIT 1");
static const struct sql OLD =
    SQL_INIT("SELECT file_id, size FROM bucket_file WHERE repo_id = ?1 AND path = ?2");
static const struct sql PUT = SQL_INIT(
    "INSERT INTO bucket_file(repo_id, path, file_id, size, mtime, mtime_ns, uploaded_at, "
    "content_type, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
    "ON CONFLICT(repo_id, path) DO UPDATE SET file_id = excluded.file_id, size = excluded.size, "
    "mtime = excluded.mtime, mtime_ns = excluded.mtime_ns, uploaded_at = excluded.uploaded_at, "
    "content_type = excluded.content_type, seq = excluded.seq");
static const struct sql REMOVE =
    SQL_INIT("DELETE FROM bucket_file WHERE repo_id = ?1 AND path = ?2");
static const struct sql COUNT =
    SQL_INIT("UPDATE bucket SET file_count = file_count + ?2, seq = ?3 WHERE repo_id = ?1");
static const struct sql GROW =
    SQL_INIT("UPDATE repo SET used_storage = used_storage + ?2 WHERE id = ?1");

enum failure { FINE, UNKNOWN_HASH, NO_SOURCE, NOT_IN_SOURCE, SKIPPED, NOT_APPLIED };
static const char *const failures[] = {
    [UNKNOWN_HASH] = "unknown hash: upload the content with a xet-write-token of this bucket first",
    [NO_SOURCE] = "there is no such source repository, or you may not read it",
    [NOT_IN_SOURCE] = "the source repository has no content of this hash",
    [SKIPPED] = "skipped, because an addition or copy of this request failed",
    [NOT_APPLIED] = "not applied, because another operation of this request failed",
};

struct row {
    uint32_t bytes; /* of the row with its text, a multiple of 8 */
    int32_t mtime_ns;
    int64_t mtime_ms; /* TIME_NONE */
    file_hash hash;
    int64_t source_id;
    int64_t file_id, size;       /* found in the transaction */
    uint16_t path_len, type_len; /* TYPE_NONE */
    uint8_t kind, source_kind, failure;
    char text[]; /* path, content type */
};
_Static_assert(offsetof(struct row, text) == 79, "no padding inside");

struct bucket_batch {
    struct store *store;
    int fd;
    uint64_t count, bytes;
    bool any_delete;
    char *map; /* all rows, once they are complete */
    size_t map_bytes;
    size_t piece_len;
    char piece[PIECE_BYTES + ROW_MAX];
};

/* --- taking in --- */

err bucket_batch_new(struct store *s, struct arena *a, struct bucket_batch **ret)
{
    char *path = arena_alloc(a, strlen(s->tmp_dir) + 32);
    struct bucket_batch *b = malloc(sizeof *b);

    if (!b)
        abort();
    *b = (struct bucket_batch){.store = s, .fd = -1};
    snprintf(path, strlen(s->tmp_dir) + 32, "%s/batch-XXXXXX", s->tmp_dir);
    b->fd = mkostemp(path, O_CLOEXEC);
    if (b->fd < 0) {
        err e = err_os(a, "mkostemp", path);

        free(b);
        return e;
    }
    unlink(path);
    *ret = b;
    return OK;
}

void bucket_batch_free(struct bucket_batch *b)
{
    if (!b)
        return;
    if (b->map)
        munmap(b->map, b->map_bytes);
    fd_close(&b->fd);
    free(b);
}

static err flush(struct bucket_batch *b, struct arena *a)
{
    if (write_full(b->fd, b->piece, b->piece_len))
        return err_os(a, "write", "batch");
    b->piece_len = 0;
    return OK;
}

err bucket_batch_add(struct bucket_batch *b, struct arena *a, const struct bucket_op *op)
{
    size_t type_len = op->content_type.ptr ? op->content_type.len : 0;
    size_t bytes = (offsetof(struct row, text) + op->path.len + type_len + 7) & ~(size_t)7;
    struct row head = {.bytes = (uint32_t)bytes,
                       .mtime_ns = op->mtime_ns,
                       .mtime_ms = op->has_mtime ? op->mtime_ms : TIME_NONE,
                       .hash = op->hash,
                       .source_id = op->source_id,
                       .path_len = (uint16_t)op->path.len,
                       .type_len = op->content_type.ptr ? (uint16_t)type_len : TYPE_NONE,
                       .kind = (uint8_t)op->kind,
                       .source_kind = (uint8_t)op->source_kind};
    char *at = b->piece + b->piece_len;

    assert(op->path.len <= BUCKET_PATH_MAX && type_len <= BUCKET_TYPE_MAX);
    if (b->any_delete && op->kind != BUCKET_DELETE)
        return err_new(a, 400, NULL,
                       "All additions and copies come before the first deleteFile; \"%.*s\" does "
                       "not.",
                       STR_FMT(op->path));
    if (b->count == BUCKET_OPS_MAX)
        return err_new(a, 413, NULL, "A batch has at most %d operations; split it.",
                       BUCKET_OPS_MAX);
    memset(at, 0, bytes);
    memcpy(at, &head, offsetof(struct row, text));
    memcpy(at + offsetof(struct row, text), op->path.ptr, op->path.len);
    if (type_len)
        memcpy(at + offsetof(struct row, text) + op->path.len, op->content_type.ptr, type_len);
    b->any_delete = op->kind == BUCKET_DELETE;
    b->count++;
    b->bytes += bytes;
    b->piece_len += bytes;
    if (b->piece_len < PIECE_BYTES)
        return OK;
    if (!b->any_delete) /* removals are welcome when the disk is full */
        TRY(store_disk_check(b->store, a, b->piece_len));
    return flush(b, a);
}

static err map_rows(struct bucket_batch *b, struct arena *a)
{
    void *p;

    TRY(flush(b, a));
    p = mmap(NULL, b->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    if (p == MAP_FAILED)
        return err_os(a, "mmap", "batch");
    b->map = p;
    b->map_bytes = b->bytes;
    return OK;
}

static struct row *row_at(const struct bucket_batch *b, uint64_t offset)
{
    return (struct row *)(void *)(b->map + offset);
}

static str row_path(const struct row *r)
{
    return (str){r->text, r->path_len};
}

/* --- may they? --- */

struct applying {
    struct bucket_batch *b;
    struct arena *a;
    const struct bucket_batch_options *options;
    int64_t repo_id, now_ms;
    struct db *tx;
    uint64_t *order; /* offsets of the rows, by path */
    struct bucket_dirs dirs;
    int64_t files, size; /* by how much there is more */
    struct bucket_batch_result result;
};

static err find_content(struct applying *x, struct sql sql, int64_t repo_id, struct row *r,
                        bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(x->tx, &q, sql));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, r->hash);
    if (sql.text == OWN.text)
        db_bind_i64(q, 3, x->now_ms);
    *ret_found = db_next(q);
    if (*ret_found) {
        r->file_id = db_i64(q, 0);
        r->size = db_i64(q, 1);
    }
    return db_error(q);
}

static err check_row(struct applying *x, struct row *r)
{
    bool found;

    r->failure = FINE;
    r->file_id = r->size = 0;
    if (r->kind == BUCKET_DELETE || file_hash_is_zero(r->hash))
        return OK;
    TRY(find_content(x, OWN, x->repo_id, r, &found));
    if (found)
        return OK;
    r->failure = r->kind == BUCKET_ADD ? UNKNOWN_HASH : NO_SOURCE;
    if (r->kind == BUCKET_ADD || r->source_id == 0)
        return OK;
    TRY(find_content(x, r->source_kind == REPO_BUCKET ? OWN : OF_REPO, r->source_id, r, &found));
    r->failure = found ? FINE : NOT_IN_SOURCE;
    return OK;
}

/* Marks the operations that come to nothing because others failed. */
static void skip_rows(struct applying *x)
{
    bool atomic = x->options->atomic;

    for (uint64_t at = 0; at < x->b->bytes; at += row_at(x->b, at)->bytes) {
        struct row *r = row_at(x->b, at);

        if (r->failure == FINE && (atomic || r->kind == BUCKET_DELETE)) {
            r->failure = r->kind == BUCKET_DELETE ? SKIPPED : NOT_APPLIED;
            x->result.failed++;
        }
    }
}

static err check_rows(struct applying *x)
{
    for (uint64_t at = 0; at < x->b->bytes; at += row_at(x->b, at)->bytes) {
        struct row *r = row_at(x->b, at);

        TRY(check_row(x, r));
        x->result.failed += r->failure != FINE;
    }
    if (x->result.failed > 0)
        skip_rows(x);
    return OK;
}

/* --- doing --- */

static err find_old(struct applying *x, str path, int64_t *ret_file, int64_t *ret_size,
                    bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(x->tx, &q, OLD));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_blob(q, 2, path);
    *ret_found = db_next(q);
    *ret_file = *ret_found ? db_i64(q, 0) : 0;
    *ret_size = *ret_found ? db_i64(q, 1) : 0;
    return db_error(q);
}

/* A content that lost a place stays readable for those who are reading it. */
static err hold(struct applying *x, int64_t file_id)
{
    if (file_id == 0 || x->options->grace_ms == 0)
        return OK;
    return file_hold_add(x->tx, x->repo_id, file_id, x->now_ms + x->options->grace_ms);
}

/* The type as given, of the source's file, or by the extension. */
static err type_of(struct applying *x, const struct row *r, str *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = r->type_len == TYPE_NONE ? STR_NONE : (str){r->text + r->path_len, r->type_len};
    if (!ret->ptr && r->kind == BUCKET_COPY && r->source_kind == REPO_BUCKET) {
        TRY(db_query(x->tx, &q, TYPE_OF));
        db_bind_i64(q, 1, r->source_id);
        db_bind_i64(q, 2, r->file_id);
        if (db_next(q))
            *ret = db_str(q, 0, x->a);
        TRY(db_error(q));
    }
    if (!ret->ptr)
        *ret = bucket_type_of(row_path(r));
    return OK;
}

static err put(struct applying *x, const struct row *r)
{
    AUTO_STMT struct db_stmt *q = NULL;
    str type;

    TRY(type_of(x, r, &type));
    TRY(db_query(x->tx, &q, PUT));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_blob(q, 2, row_path(r));
    db_bind_i64(q, 3, r->file_id);
    db_bind_i64(q, 4, r->size);
    db_bind_i64(q, 5, r->mtime_ms == TIME_NONE ? x->now_ms : r->mtime_ms);
    if (r->mtime_ms == TIME_NONE || r->mtime_ns < 0)
        db_bind_null(q, 6);
    else
        db_bind_i64(q, 6, r->mtime_ns);
    db_bind_i64(q, 7, x->now_ms);
    db_bind_str(q, 8, type);
    db_bind_i64(q, 9, ++x->result.seq);
    return db_run(q);
}

static err remove_path(struct applying *x, str path)
{
    AUTO_STMT struct db_stmt *q = NULL;

    x->result.seq++;
    TRY(db_query(x->tx, &q, REMOVE));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_blob(q, 2, path);
    return db_run(q);
}

static err apply_row(struct applying *x, const struct row *r)
{
    struct arena_mark m = arena_mark(x->a);
    bool is_put = r->kind != BUCKET_DELETE, found;
    int64_t old_file, old_size, files, size;

    TRY(find_old(x, row_path(r), &old_file, &old_size, &found));
    if (!is_put && !found)
        return OK;
    if (found && !(is_put && old_file == r->file_id))
        TRY(hold(x, old_file));
    TRY(is_put ? put(x, r) : remove_path(x, row_path(r)));
    files = (int64_t)is_put - (int64_t)found;
    size = (is_put ? r->size : 0) - old_size;
    x->files += files;
    x->size += size;
    arena_rewind(x->a, m);
    return bucket_dirs_note(&x->dirs, row_path(r), files, size, is_put);
}

static err apply_rows(struct applying *x)
{
    uint64_t count = x->b->count;

    for (uint64_t i = 0; i < count;) {
        str path = row_path(row_at(x->b, x->order[i]));
        const struct row *last = NULL;

        for (; i < count && str_eq(row_path(row_at(x->b, x->order[i])), path); i++)
            if (row_at(x->b, x->order[i])->failure == FINE)
                last = row_at(x->b, x->order[i]);
        if (last)
            TRY(apply_row(x, last));
    }
    return bucket_dirs_end(&x->dirs);
}

static err run_counts(struct applying *x, struct sql sql, int64_t more, int64_t seq)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(x->tx, &q, sql));
    db_bind_i64(q, 1, x->repo_id);
    db_bind_i64(q, 2, more);
    if (sql.text == COUNT.text)
        db_bind_i64(q, 3, seq);
    return db_run(q);
}

static err apply_fn(struct db *tx, void *arg)
{
    static const struct err_info gone = {
        404, "RepoNotFound", STR_INIT("Repository not found"), NULL, {0}};
    struct applying *x = arg;
    struct bucket now;
    struct repo repo;

    x->tx = tx;
    x->now_ms = clock_ms();
    x->files = x->size = 0;
    x->dirs.tx = tx;
    x->dirs.now_ms = x->now_ms;
    x->dirs.depth = 0;
    TRY(repo_by_id(tx, x->a, x->repo_id, &repo));
    if (repo.id == 0)
        return &gone; /* deleted meanwhile */
    TRY(bucket_find(tx, x->repo_id, &now));
    x->result = (struct bucket_batch_result){.processed = x->b->count, .seq = now.seq};
    TRY(check_rows(x));
    TRY(apply_rows(x));
    if (x->result.seq == now.seq)
        return OK; /* nothing changed */
    TRY(run_counts(x, COUNT, x->files, x->result.seq));
    TRY(run_counts(x, GROW, x->size, 0));
    TRY(bucket_touch(tx, x->repo_id, x->now_ms));
    return x->size > 0 ? bucket_quota_check(tx, x->a, &repo, 0, 507) : OK;
}

/* --- in order --- */

static int row_cmp(const void *p, const void *q, void *arg)
{
    const struct bucket_batch *b = arg;
    uint64_t x = *(const uint64_t *)p, y = *(const uint64_t *)q;
    int c = str_cmp(row_path(row_at(b, x)), row_path(row_at(b, y)));

    return c ? c : x < y ? -1 : x > y;
}

err bucket_batch_apply(struct bucket_batch *b, struct arena *a, int64_t repo_id,
                       const struct bucket_batch_options *o, struct bucket_batch_result *ret)
{
    struct applying *x = arena_one(a, struct applying);
    size_t n = 0;
    err e;

    x->b = b;
    x->a = a;
    x->options = o;
    x->repo_id = x->dirs.repo_id = repo_id;
    if (b->count > 0)
        TRY(map_rows(b, a));
    x->order = malloc((b->count + 1) * sizeof *x->order);
    if (!x->order)
        abort();
    for (uint64_t at = 0; at < b->bytes; at += row_at(b, at)->bytes)
        x->order[n++] = at;
    assert(n == b->count);
    qsort_r(x->order, n, sizeof *x->order, row_cmp, b);
    e = db_write(b->store->hub, apply_fn, x);
    free(x->order);
    TRY(e);
    *ret = x->result;
    return OK;
}

bool bucket_batch_next_failed(const struct bucket_batch *b, size_t *at, str *ret_path,
                              const char **ret_error)
{
    while (b->map && *at < b->bytes) {
        const struct row *r = row_at(b, *at);

        *at += r->bytes;
        if (r->failure == FINE)
            continue;
        *ret_path = row_path(r);
        *ret_error = failures[r->failure];
        return true;
    }
    return false;
}
