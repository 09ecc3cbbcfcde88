/* upload.c — see upload.h.
 *
 *     DATA/upload/ID/                 made and synced before the row of the upload
 *     DATA/upload/ID/NNNNN.RANDOM     a part that is being received
 *     DATA/upload/ID/NNNNN            an acknowledged part; its row came after it
 *
 *     begin ──▶ open ──part*──▶ open ──complete: content and repo_file durable──▶ done
 *                 └──────────── UPLOAD_DAYS later ─────────────▶ expired ◀────────┘
 *
 * "open" and "done" are upload.done_at; rows leave before the files they speak of.  A done upload
 * keeps its row, so that a client that missed the answer may ask again.
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "store/upload_rows.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_MS 86400000LL
#define PART_ROUND (1u << 20)     /* part sizes are multiples of this */
#define ORPHAN_MS (3600 * 1000LL) /* a folder without a row this old is nobody's */
#define EXPIRE_BATCH 100          /* uploads removed by one run of the job */
#define PART_MAGIC 0x75707074u

#define UPLOAD_COLS "id, repo_id, user_id, sha256, size, part_bytes, expires_at, done_at"
static const struct sql BY_ID = SQL_INIT("SELECT " UPLOAD_COLS " FROM upload WHERE id = ?1");
static const struct sql BY_OBJECT = SQL_INIT(
    "SELECT " UPLOAD_COLS " FROM upload WHERE repo_id = ?1 AND user_id = ?2 AND sha256 = ?3");
static const struct sql INSERT =
    SQL_INIT("INSERT INTO upload(id, repo_id, user_id, sha256, size, part_bytes, created_at, "
             "expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
static const struct sql SET_DONE = SQL_INIT("UPDATE upload SET done_at = ?2 WHERE id = ?1");
static const struct sql REMOVE = SQL_INIT("DELETE FROM upload WHERE id = ?1");
static const struct sql EXPIRED =
    SQL_INIT("SELECT id FROM upload WHERE expires_at <= ?1 LIMIT " ERR_STR(EXPIRE_BATCH));
/* Only for an upload that is still open: a late part must not outlive its upload. */
static const struct sql PART_SET = SQL_INIT(
    "INSERT INTO upload_part(upload_id, number, size, etag) SELECT ?1, ?2, ?3, ?4 WHERE EXISTS("
    "SELECT 1 FROM upload WHERE id = ?1 AND done_at IS NULL) "
    "ON CONFLICT(upload_id, number) DO UPDATE SET size = excluded.size, etag = excluded.etag");
static const struct sql PARTS_REMOVE = SQL_INIT("DELETE FROM upload_part WHERE upload_id = ?1");

const struct err_info upload_missing = {
    404,
    "UploadNotFound",
    STR_INIT(
        "This upload does not exist or has expired; start again with a new LFS batch request."),
    NULL,
    {0}};

/* --- rows --- */

static unsigned count_parts(uint64_t size, uint64_t part_bytes)
{
    return (unsigned)((size + part_bytes - 1) / part_bytes);
}

static struct upload_row read_row(struct db_stmt *q, struct arena *a)
{
    struct upload_row r = {
        .upload = {.id = db_str(q, 0, a),
                   .repo_id = db_i64(q, 1),
                   .user_id = db_i64(q, 2),
                   .size = (uint64_t)db_i64(q, 4),
                   .part_bytes = (uint64_t)db_i64(q, 5)},
        .expires_at_ms = db_i64(q, 6),
        .done_at_ms = db_is_null(q, 7) ? 0 : db_i64(q, 7),
    };

    if (!db_hash(q, 3, r.upload.sha256.b, sizeof r.upload.sha256.b) || r.upload.part_bytes == 0)
        return (struct upload_row){0}; /* a damaged row is no upload */
    r.upload.part_count = count_parts(r.upload.size, r.upload.part_bytes);
    return r;
}

err upload_row_find(struct db *db, struct arena *a, str id, struct upload_row *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, BY_ID));
    db_bind_str(q, 1, id);
    *ret = db_next(q) ? read_row(q, a) : (struct upload_row){0};
    return db_error(q);
}

static err run_by_id(struct db *tx, struct sql sql, str id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_str(q, 1, id);
    return db_run(q);
}

static err remove_rows(struct db *tx, void *arg)
{
    str id = *(str *)arg;

    TRY(run_by_id(tx, PARTS_REMOVE, id));
    return run_by_id(tx, REMOVE, id);
}

err upload_row_done(struct db *tx, str id, int64_t now_ms)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(run_by_id(tx, PARTS_REMOVE, id));
    TRY(db_query(tx, &q, SET_DONE));
    db_bind_str(q, 1, id);
    db_bind_i64(q, 2, now_ms);
    return db_run(q);
}

/* --- files --- */

const char *upload_folder(struct store *s, struct arena *a, str id)
{
    assert(hex_is(id, UPLOAD_ID_LEN));
    return arena_printf(a, "%s/%.*s", s->upload_dir, STR_FMT(id)).ptr;
}

const char *upload_part_path(struct store *s, struct arena *a, str id, unsigned number)
{
    return arena_printf(a, "%s/%05u", upload_folder(s, a, id), number).ptr;
}

void upload_folder_remove(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(path);
}

err upload_forget(struct store *s, struct arena *a, str id)
{
    TRY(db_write(s->hub, remove_rows, &id));
    upload_folder_remove(upload_folder(s, a, id));
    return OK;
}

/* --- begin --- */

static uint64_t choose_part_bytes(uint64_t size)
{
    uint64_t least = (size + UPLOAD_PARTS_MAX - 1) / UPLOAD_PARTS_MAX;

    if (least <= UPLOAD_PART_BYTES)
        return UPLOAD_PART_BYTES;
    return (least + PART_ROUND - 1) / PART_ROUND * PART_ROUND;
}

struct beginning {
    struct arena *a;
    struct upload fresh;
    struct upload_row found;
    int64_t now_ms;
    bool replaces; /* found is of no use: drop its rows */
};

static err find_object(struct db *tx, struct beginning *b)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, BY_OBJECT));
    db_bind_i64(q, 1, b->fresh.repo_id);
    db_bind_i64(q, 2, b->fresh.user_id);
    db_bind_hash(q, 3, b->fresh.sha256);
    b->found = db_next(q) ? read_row(q, b->a) : (struct upload_row){0};
    return db_error(q);
}

static err begin_fn(struct db *tx, void *arg)
{
    struct beginning *b = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(find_object(tx, b));
    b->replaces =
        b->found.upload.id.ptr && (b->found.done_at_ms || b->found.expires_at_ms <= b->now_ms ||
                                   b->found.upload.size != b->fresh.size);
    if (b->found.upload.id.ptr && !b->replaces)
        return OK;
    if (b->replaces)
        TRY(remove_rows(tx, &b->found.upload.id));
    TRY(db_query(tx, &q, INSERT));
    db_bind_str(q, 1, b->fresh.id);
    db_bind_i64(q, 2, b->fresh.repo_id);
    db_bind_i64(q, 3, b->fresh.user_id);
    db_bind_hash(q, 4, b->fresh.sha256);
    db_bind_i64(q, 5, (int64_t)b->fresh.size);
    db_bind_i64(q, 6, (int64_t)b->fresh.part_bytes);
    db_bind_i64(q, 7, b->now_ms);
    db_bind_i64(q, 8, b->now_ms + UPLOAD_DAYS * DAY_MS);
    return db_run(q);
}

/* A backup may come back without DATA/upload: the folder of an open upload is made again. */
static err need_folder(struct store *s, struct arena *a, str id)
{
    TRY(dir_make(a, upload_folder(s, a, id)));
    return dir_sync(a, s->upload_dir);
}

err upload_begin(struct store *s, struct arena *a, int64_t repo_id, int64_t user_id, sha256 h,
                 uint64_t size, struct upload *ret)
{
    struct beginning b = {.a = a, .now_ms = clock_ms()};
    uint64_t part_bytes = choose_part_bytes(size);
    const char *folder;
    err e;

    assert(size > 0 && size <= INT64_MAX);
    b.fresh =
        (struct upload){random_hex(a, UPLOAD_ID_LEN / 2), repo_id, user_id, h, size, part_bytes,
                        count_parts(size, part_bytes)};
    TRY(find_object(s->hub, &b));
    if (b.found.upload.id.ptr && !b.found.done_at_ms && b.found.expires_at_ms > b.now_ms &&
        b.found.upload.size == size) {
        *ret = b.found.upload;
        return need_folder(s, a, b.found.upload.id);
    }
    folder = upload_folder(s, a, b.fresh.id);
    TRY(need_folder(s, a, b.fresh.id));
    e = db_write(s->hub, begin_fn, &b);
    if (e || (b.found.upload.id.ptr && !b.replaces))
        rmdir(folder); /* the same user began it elsewhere meanwhile */
    TRY(e);
    if (b.replaces)
        upload_folder_remove(upload_folder(s, a, b.found.upload.id));
    *ret = b.found.upload.id.ptr && !b.replaces ? b.found.upload : b.fresh;
    return OK;
}

err upload_find(struct store *s, struct arena *a, str id, struct upload *ret)
{
    struct upload_row r;

    TRY(upload_row_find(s->hub, a, id, &r));
    *ret = r.upload;
    return OK;
}

/* --- parts --- */

struct upload_part {
    unsigned magic;
    struct store *store;
    struct upload upload;
    char id[UPLOAD_ID_LEN];
    unsigned number;
    uint64_t size, written;
    int fd;
    char *path; /* of the file that is being received */
};

uint64_t upload_part_size(const struct upload *u, unsigned number)
{
    return number < u->part_count ? u->part_bytes : u->size - (u->part_count - 1) * u->part_bytes;
}

err upload_part_new(struct store *s, struct arena *a, const struct upload *u, unsigned number,
                    struct upload_part **ret)
{
    struct upload_part *p;
    str path;
    int fd;

    if (number < 1 || number > u->part_count)
        return err_new(a, 400, NULL, "This upload has parts 1 to %u; there is no part %u.",
                       u->part_count, number);
    path = arena_printf(a, "%s.%.*s", upload_part_path(s, a, u->id, number),
                        STR_FMT(random_hex(a, 8)));
    fd = open(path.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOENT ? &upload_missing : err_os(a, "open", path.ptr);
    p = calloc(1, sizeof *p);
    if (!p || !(p->path = strdup(path.ptr)))
        abort();
    p->magic = PART_MAGIC;
    p->store = s;
    p->upload = *u;
    memcpy(p->id, u->id.ptr, UPLOAD_ID_LEN);
    p->upload.id = (str){p->id, UPLOAD_ID_LEN};
    p->number = number;
    p->size = upload_part_size(u, number);
    p->fd = fd;
    *ret = p;
    return OK;
}

static err wrong_size(const struct upload_part *p, struct arena *a)
{
    return err_new(a, 400, NULL, "Part %u of this upload has %llu bytes; send exactly these.",
                   p->number, (unsigned long long)p->size);
}

err upload_part_write(struct upload_part *p, struct arena *a, const void *bytes, size_t len)
{
    assert(p->magic == PART_MAGIC);
    if (len > p->size - p->written)
        return wrong_size(p, a);
    if (write_full(p->fd, bytes, len) != 0)
        return err_os(a, "write", p->path);
    p->written += len;
    return OK;
}

struct part_row {
    const struct upload_part *part;
    str etag;
    bool open;
};

static err set_part(struct db *tx, void *arg)
{
    struct part_row *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, PART_SET));
    db_bind_str(q, 1, x->part->upload.id);
    db_bind_i64(q, 2, x->part->number);
    db_bind_i64(q, 3, (int64_t)x->part->size);
    db_bind_str(q, 4, x->etag);
    TRY(db_run(q));
    x->open = db_changes(q) > 0;
    return OK;
}

static err acknowledge(struct upload_part *p, struct arena *a, str *ret_etag)
{
    struct part_row x = {.part = p,
                         .etag = arena_printf(a, "\"%.*s\"", STR_FMT(random_hex(a, 16)))};
    const char *path = upload_part_path(p->store, a, p->upload.id, p->number);

    if (p->written != p->size)
        return wrong_size(p, a);
    if (fdatasync(p->fd) != 0)
        return err_os(a, "fdatasync", p->path);
    if (rename(p->path, path) != 0) /* a part that is sent again replaces the one before */
        return errno == ENOENT ? &upload_missing : err_os(a, "rename", path);
    TRY(dir_sync(a, upload_folder(p->store, a, p->upload.id)));
    TRY(db_write(p->store->hub, set_part, &x));
    if (!x.open) {
        unlink(path);
        return &upload_missing;
    }
    *ret_etag = x.etag;
    return OK;
}

err upload_part_end(struct upload_part *p, struct arena *a, str *ret_etag)
{
    err e;

    assert(p->magic == PART_MAGIC);
    e = acknowledge(p, a, ret_etag);
    upload_part_drop(p);
    return e;
}

void upload_part_drop(struct upload_part *p)
{
    if (!p)
        return;
    assert(p->magic == PART_MAGIC);
    p->magic = 0;
    fd_close(&p->fd);
    unlink(p->path);
    free(p->path);
    free(p);
}

/* --- expiry --- */

static err expired_ids(struct store *s, struct arena *a, str ret[EXPIRE_BATCH], size_t *ret_count)
{
    AUTO_STMT struct db_stmt *q = NULL;
    size_t count = 0;

    TRY(db_query(s->hub, &q, EXPIRED));
    db_bind_i64(q, 1, clock_ms());
    while (count < EXPIRE_BATCH && db_next(q))
        ret[count++] = db_str(q, 0, a);
    TRY(db_error(q));
    *ret_count = count;
    return OK;
}

/* A folder that a crash left behind: no row, or one that is done, and nobody touched it lately. */
static err drop_orphan(struct store *s, struct arena *a, str id)
{
    const char *path = upload_folder(s, a, id);
    struct stat st;
    struct upload_row r;

    if (stat(path, &st) != 0 || clock_ms() - (int64_t)st.st_mtim.tv_sec * 1000 < ORPHAN_MS)
        return OK;
    TRY(upload_row_find(s->hub, a, id, &r));
    if (!r.upload.id.ptr || r.done_at_ms)
        upload_folder_remove(path);
    return OK;
}

static err drop_orphans(struct store *s, struct arena *a)
{
    DIR *d = opendir(s->upload_dir);
    struct dirent *f;
    err e = OK;

    if (!d)
        return err_os(a, "opendir", s->upload_dir);
    while (!e && (f = readdir(d)))
        if (hex_is(str_c(f->d_name), UPLOAD_ID_LEN))
            e = drop_orphan(s, a, str_c(f->d_name));
    closedir(d);
    return e;
}

err upload_expire(struct store *s, struct arena *a)
{
    str id[EXPIRE_BATCH];
    size_t count = 0;

    TRY(expired_ids(s, a, id, &count));
    for (size_t i = 0; i < count; i++)
        if (hex_is(id[i], UPLOAD_ID_LEN))
            TRY(upload_forget(s, a, id[i]));
    return drop_orphans(s, a);
}
