/* backup_blobs.c — copies every blob that the rows of a hearth.db name, checking it on the way.
 *
 * A blob that is damaged or missing stops nothing: its row in the copied database says so (a xorb
 * is damaged, a shard is forgotten), so that no row refers to a blob that is not there, and the
 * watch hears of it.  Memory: one piece of one blob, and a page of rows.
 */
#include "base/io.h"
#include "cas/xorb.h"
#include "store/backup_parts.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_ROWS 256
#define PIECE_BYTES (256u << 10)
#define TOUCHED_MAX 1000 /* files named per damaged xorb and sort */

struct blob_row {
    int64_t id, generation;
    unsigned char hash[32];
    uint64_t size;
    bool is_damaged;
};
struct page {
    struct blob_row rows[PAGE_ROWS];
    size_t count;
};

/* What a copy needs; made once per job. */
struct tools {
    struct blob_job *job;
    struct arena *a; /* reset after each blob */
    struct chunk_decoder *decoder;
    unsigned char *piece;
};

static const struct sql XORBS = SQL_INIT("SELECT id, generation, hash, disk_bytes, state FROM xorb "
                                         "WHERE id > ?1 ORDER BY id LIMIT " ERR_STR(PAGE_ROWS));
static const struct sql SHARDS = SQL_INIT(
    "SELECT id, 0, hash, size, '' FROM shard WHERE id > ?1 ORDER BY id LIMIT " ERR_STR(PAGE_ROWS));

static err read_page(struct db *db, struct sql sql, int64_t after, struct page *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    ret->count = 0;
    TRY(db_query(db, &q, sql));
    db_bind_i64(q, 1, after);
    while (ret->count < PAGE_ROWS && db_next(q)) {
        struct blob_row *r = &ret->rows[ret->count++];

        r->id = db_i64(q, 0);
        r->generation = db_i64(q, 1);
        (void)db_hash(q, 2, r->hash, sizeof r->hash); /* zeroed, then: no blob has that name */
        r->size = (uint64_t)db_i64(q, 3);
        r->is_damaged = str_eq(db_view(q, 4), STR("damaged"));
    }
    return db_error(q);
}

static err count_blobs(struct db *db, struct backup_progress *p)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q,
                 SQL("SELECT (SELECT count(*) FROM xorb) + (SELECT count(*) FROM shard), "
                     "(SELECT coalesce(sum(disk_bytes), 0) FROM xorb) + "
                     "(SELECT coalesce(sum(size), 0) FROM shard)")));
    if (db_next(q)) {
        p->blobs_total = (uint64_t)db_i64(q, 0);
        p->bytes_total = (uint64_t)db_i64(q, 1);
    }
    return db_error(q);
}

/* --- damage --- */

static err run_id(struct db *tx, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, id);
    return db_run(q);
}

static err xorb_lost(struct db *tx, void *arg)
{
    int64_t id = *(int64_t *)arg;

    TRY(run_id(tx, SQL("UPDATE xorb SET state = 'damaged' WHERE id = ?1"), id));
    return run_id(tx, SQL("DELETE FROM chunk_key WHERE xorb_id = ?1"), id);
}

static err xorb_found(struct db *tx, void *arg)
{
    return run_id(tx, SQL("UPDATE xorb SET state = 'live' WHERE id = ?1"), *(int64_t *)arg);
}

static err shard_lost(struct db *tx, void *arg)
{
    int64_t id = *(int64_t *)arg;

    TRY(run_id(tx, SQL("DELETE FROM shard_file WHERE shard_id = ?1"), id));
    return run_id(tx, SQL("DELETE FROM shard WHERE id = ?1"), id);
}

/* One row: kind and name of the repository, path or NULL, SHA-256 or NULL. */
static str touched_line(struct arena *a, struct db_stmt *q)
{
    str what = db_view(q, 2);
    sha256 h = {{0}};

    if (!what.len && db_hash(q, 3, h.b, sizeof h.b))
        what = arena_cat(a, STR("the content "), sha256_hex(a, h));
    return arena_cat(a, repo_kind_plural((enum repo_kind)db_i64(q, 0)), STR("/"), db_view(q, 1),
                     STR(": "), what);
}

static err tell_some(struct db *rows, struct sql sql, int64_t xorb_id, const struct backup_watch *w)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct arena *a;

    TRY(db_query(rows, &q, sql));
    db_bind_i64(q, 1, xorb_id);
    a = arena_new(0);
    while (db_next(q)) {
        int64_t kind = db_i64(q, 0);

        if (kind >= 0 && kind < REPO_KINDS)
            w->touches(w->arg, touched_line(a, q));
        arena_reset(a);
    }
    arena_free(a);
    return db_error(q);
}

err tell_touched(struct db *rows, int64_t xorb_id, const struct backup_watch *w)
{
    if (!w || !w->touches)
        return OK;
    TRY(tell_some(rows,
                  SQL("SELECT repo.kind, repo.full_name, repo_file.path, repo_file.sha256 "
                      "FROM file_xorb JOIN repo_file ON repo_file.file_id = file_xorb.file_id "
                      "JOIN repo ON repo.id = repo_file.repo_id WHERE file_xorb.xorb_id = ?1 "
                      "ORDER BY repo.id LIMIT " ERR_STR(TOUCHED_MAX)),
                  xorb_id, w));
    return tell_some(
        rows,
        SQL("SELECT repo.kind, repo.full_name, bucket_file.path, NULL "
            "FROM file_xorb JOIN bucket_file ON bucket_file.file_id = file_xorb.file_id "
            "JOIN repo ON repo.id = bucket_file.repo_id WHERE file_xorb.xorb_id = ?1 "
            "ORDER BY repo.id LIMIT " ERR_STR(TOUCHED_MAX)),
        xorb_id, w);
}

static err tell_damage(struct tools *t, struct blob_key key, const struct blob_row *r,
                       const char *why)
{
    struct blob_job *j = t->job;
    str word = key.kind == BLOB_SHARD ? STR("shard ") : STR("xorb ");

    j->damaged++;
    watch_damage(j->watch, arena_cat(t->a, word, key.hash), str_c(why));
    return key.kind == BLOB_SHARD ? OK : tell_touched(j->rows, r->id, j->watch);
}

/* --- one body, read and checked --- */

/* The hash of one body, fed piece by piece. */
struct checker {
    struct xorb_verifier *xorb; /* or */
    struct blake3_stream *shard;
};

static void checker_free(struct checker *c)
{
    xorb_verifier_free(c->xorb);
    if (c->shard)
        (void)chunk_hash_end(c->shard);
}

static struct checker checker_new(struct tools *t, enum blob_kind kind)
{
    struct checker c = {0};

    if (kind == BLOB_SHARD)
        c.shard = chunk_hash_begin();
    else
        c.xorb = xorb_verifier_new(t->decoder);
    return c;
}

static bool checker_feed(struct checker *c, const void *p, size_t len)
{
    size_t body = 0;

    if (c->shard)
        blake3_add(c->shard, p, len);
    else if (xorb_verifier_feed(c->xorb, p, len, &body) || body != len)
        return false;
    return true;
}

/* True when the content has the name of the row; a xorb gives its index then. */
static bool checker_end(struct checker *c, const struct blob_row *r, struct xorb_index **ret)
{
    chunk_hash found, wanted;
    xorb_hash name;

    *ret = NULL;
    memcpy(name.b, r->hash, sizeof name.b);
    if (c->xorb)
        return !xorb_verifier_end(c->xorb, name, ret);
    memcpy(wanted.b, r->hash, sizeof wanted.b);
    found = chunk_hash_end(c->shard);
    c->shard = NULL;
    return chunk_hash_eq(found, wanted);
}

/* Reads the blob of `from` whole, into `w` unless that is NULL.  *ret_why: what is wrong with it,
 * or NULL; then *ret_index is a xorb's index, for the caller to free.  Fails when writing does, or
 * when the work is to stop. */
static err read_checked(struct tools *t, struct blobs *from, struct blob_key key,
                        const struct blob_row *r, struct blob_writer *w,
                        struct xorb_index **ret_index, const char **ret_why)
{
    struct checker c = checker_new(t, key.kind);
    struct blob_job *j = t->job;
    AUTO_FD int fd = -1;
    uint64_t size = 0, at = 0;
    err e = blob_open(from, t->a, key, &fd, &size);

    *ret_why = NULL;
    *ret_index = NULL;
    if (e && e->status == 404) {
        *ret_why = "its file is missing";
        e = OK;
    }
    while (!e && !*ret_why && at < size) {
        ssize_t n = pread_full(fd, t->piece, PIECE_BYTES, at);

        if (n < 0 && errno != EIO)
            e = err_os(t->a, "pread", "blob");
        else if (n <= 0)
            *ret_why = n < 0 ? "the disk cannot read it" : "it is shorter than it was";
        else if (!checker_feed(&c, t->piece, (size_t)n))
            *ret_why = "its records are malformed";
        else if (w)
            e = blob_write(w, t->a, t->piece, (size_t)n);
        if (!e && !watch_step(j->watch, &j->seen))
            e = &backup_stopped;
        if (!e && j->alive)
            e = j->alive(j->alive_arg);
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (!e && !*ret_why && !checker_end(&c, r, ret_index))
        *ret_why = "its content does not match its name";
    checker_free(&c);
    return e;
}

static err put_sidecar(struct tools *t, struct blob_key key, const struct xorb_index *index)
{
    str file = xorb_index_write(t->a, index);
    struct blob_writer *w;
    bool is_new;
    err e;

    key.kind = BLOB_XORB_INDEX;
    TRY(blob_remove(t->job->to, t->a, key));
    TRY(blob_writer_new(t->job->to, t->a, &w));
    e = blob_write(w, t->a, file.ptr, file.len);
    if (e) {
        blob_drop(w);
        return e;
    }
    return blob_put(w, t->a, key, &is_new);
}

/* `to` has no good blob of this name. */
static err copy_blob(struct tools *t, struct blob_key key, const struct blob_row *r,
                     const char **ret_why)
{
    struct blob_job *j = t->job;
    struct xorb_index *index = NULL;
    struct blob_writer *w;
    bool is_new;
    err e;

    TRY(blob_remove(j->to, t->a, key));
    TRY(blob_writer_new(j->to, t->a, &w));
    e = read_checked(t, j->from, key, r, w, &index, ret_why);
    if (e || *ret_why)
        blob_drop(w);
    else
        e = blob_put(w, t->a, key, &is_new);
    if (!e && !*ret_why && j->sidecars && index)
        e = put_sidecar(t, key, index);
    xorb_index_free(index);
    if (e || *ret_why)
        return e;
    j->new_blobs++;
    j->new_bytes += r->size;
    return OK;
}

/* --- one row --- */

/* Has `to` this blob?  By its size, or by its content when it is to be read again. */
static err have_blob(struct tools *t, struct blob_key key, const struct blob_row *r, bool read,
                     bool *ret)
{
    struct blob_job *j = t->job;
    struct xorb_index *index;
    struct blob_stat st;
    const char *why;

    TRY(blob_stat(j->to, t->a, key, &st));
    *ret = st.found && st.size == r->size;
    if (*ret && j->sidecars && key.kind == BLOB_XORB) {
        struct blob_key side = key;

        side.kind = BLOB_XORB_INDEX;
        TRY(blob_stat(j->to, t->a, side, &st));
        *ret = st.found;
    }
    if (!*ret || !read)
        return OK;
    TRY(read_checked(t, j->to, key, r, NULL, &index, &why));
    xorb_index_free(index);
    *ret = !why;
    return OK;
}

/* The hub knows that this xorb is damaged. */
static err damaged_row(struct tools *t, struct blob_key key, const struct blob_row *r)
{
    struct blob_job *j = t->job;
    int64_t id = r->id;
    bool have = false;

    if (j->heal)
        TRY(have_blob(t, key, r, true, &have));
    if (have)
        TRY(db_write(j->rows, xorb_found, &id));
    return tell_damage(t, key, r,
                       have ? "the hub has lost it, but this backup has a good copy of it"
                            : "the hub has lost it already");
}

static err one_blob(struct tools *t, enum blob_kind kind, const struct blob_row *r)
{
    struct blob_job *j = t->job;
    struct blob_key key = {kind, STR_NONE, r->generation};
    int64_t id = r->id;
    const char *why = NULL;
    xorb_hash name;
    bool have;

    memcpy(name.b, r->hash, sizeof name.b);
    key.hash = xorb_hash_text(t->a, name); /* a shard's name is spelled alike */
    if (r->is_damaged)
        return damaged_row(t, key, r);
    TRY(have_blob(t, key, r, j->verify, &have));
    if (!have)
        TRY(copy_blob(t, key, r, &why));
    if (!why)
        return OK;
    TRY(tell_damage(t, key, r, why));
    return db_write(j->rows, kind == BLOB_SHARD ? shard_lost : xorb_lost, &id);
}

static err each_row(struct tools *t, enum blob_kind kind, struct page *page)
{
    struct blob_job *j = t->job;
    int64_t last = 0;

    do {
        TRY(read_page(j->rows, kind == BLOB_SHARD ? SHARDS : XORBS, last, page));
        for (size_t i = 0; i < page->count; i++) {
            if (j->alive)
                TRY(j->alive(j->alive_arg));
            TRY(one_blob(t, kind, &page->rows[i]));
            last = page->rows[i].id;
            j->seen.blobs++;
            j->seen.bytes += page->rows[i].size;
            if (!watch_step(j->watch, &j->seen))
                return &backup_stopped;
            arena_reset(t->a);
        }
    } while (page->count == PAGE_ROWS);
    return OK;
}

err blob_job_run(struct blob_job *j, struct arena *a)
{
    struct tools t = {.job = j, .a = arena_new(0), .decoder = chunk_decoder_new()};
    struct page *page = malloc(sizeof *page);
    err e;

    t.piece = malloc(PIECE_BYTES);
    if (!page || !t.piece)
        abort();
    j->seen.what = "large files";
    e = count_blobs(j->rows, &j->seen);
    if (!e)
        e = each_row(&t, BLOB_XORB, page);
    if (!e)
        e = each_row(&t, BLOB_SHARD, page);
    e = err_copy(a, e);
    free(page);
    free(t.piece);
    chunk_decoder_free(t.decoder);
    arena_free(t.a);
    return e;
}
