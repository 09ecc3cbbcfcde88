/* xorb.c — opening, verifying and reading stored xorbs; see xorb.h.
 *
 * xorb.lock is held while a body is verified, over file reads and, when it is damaged, over a
 * transaction; nothing else is locked then.
 */
#include "store/xorb_cache.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRUST_SMALL                                                                                \
    (2u << 20) /* a read below this does not wait for the whole body to be verified */

const struct err_info data_corrupt = {
    500,
    "DataCorrupt",
    STR_INIT("This file is damaged on this hub's disk; uploading it again repairs it."),
    NULL,
    {0}};
static const struct err_info try_again = {
    503, NULL, STR_INIT("This file was just repaired on the hub's side; try again."), NULL, {0}};

static const struct sql BY_ID = SQL_INIT("SELECT hash, generation, state FROM xorb WHERE id = ?1");
static const struct sql SET_DAMAGED =
    SQL_INIT("UPDATE xorb SET state = 'damaged' WHERE id = ?1 AND generation = ?2");
static const struct sql DROP_KEYS = SQL_INIT("DELETE FROM chunk_key WHERE xorb_id = ?1");

/* --- damage --- */

struct blob_key xorb_key(struct arena *a, enum blob_kind kind, xorb_hash h, int64_t generation)
{
    return (struct blob_key){kind, xorb_hash_text(a, h), generation};
}

static err mark_damaged(struct db *tx, void *arg)
{
    const struct xorb *x = arg;

    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, SET_DAMAGED));
        db_bind_i64(q, 1, x->id);
        db_bind_i64(q, 2, x->generation);
        TRY(db_run(q));
        if (db_changes(q) == 0)
            return OK; /* repaired meanwhile: the keys belong to the new generation */
    }
    AUTO_STMT struct db_stmt *q = NULL;
    TRY(db_query(tx, &q, DROP_KEYS));
    db_bind_i64(q, 1, x->id);
    return db_run(q);
}

/* The row first, so that none ever says live for a blob that is gone. */
err xorb_set_damaged(struct store *s, struct arena *a, int64_t id, xorb_hash hash,
                     int64_t generation)
{
    struct xorb x = {.id = id, .hash = hash, .generation = generation};

    TRY(db_write(s->hub, mark_damaged, &x));
    TRY(blob_quarantine(s->blobs, a, xorb_key(a, BLOB_XORB, hash, generation)));
    return blob_quarantine(s->blobs, a, xorb_key(a, BLOB_XORB_INDEX, hash, generation));
}

static err condemn(struct store *s, struct arena *a, struct xorb *x, const char *why)
{
    struct err_info *e;

    TRY(xorb_set_damaged(s, a, x->id, x->hash, x->generation));
    xorb_cache_forget(s->xorbs, x);
    e = arena_one(a, struct err_info);
    *e = data_corrupt;
    e->at = ERR_AT;
    e->detail = arena_printf(a, "xorb %.*s generation %lld: %s; quarantined",
                             STR_FMT(xorb_hash_text(a, x->hash)), (long long)x->generation, why);
    return e;
}

/* --- opening --- */

/* Reads the body from its start against its name.  *ret_why tells what is wrong with it. */
static err read_body(struct store *s, struct arena *a, struct xorb *x, struct xorb_index **ret,
                     const char **ret_why)
{
    struct chunk_reader *r = chunk_reader_get(s);
    struct xorb_verifier *v = xorb_verifier_new(r->decoder);
    uint64_t at = 0;
    err e = OK;

    *ret_why = NULL;
    while (!*ret_why && at < x->stat.size) {
        ssize_t n = pread_full(x->fd, r->record, sizeof r->record, at);
        size_t body;

        if (n < 0 && errno != EIO) {
            e = err_os(a, "pread", "xorb");
            break;
        }
        if (n <= 0)
            *ret_why = n < 0 ? "the disk cannot read it" : "it is shorter than it was";
        else if (xorb_verifier_feed(v, r->record, (size_t)n, &body) || body != (size_t)n)
            *ret_why = "its records are malformed";
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (!e && !*ret_why && xorb_verifier_end(v, x->hash, ret))
        *ret_why = "its content does not match its name";
    xorb_verifier_free(v);
    chunk_reader_put(s, r);
    return e;
}

static err read_sidecar(struct store *s, struct arena *a, struct xorb *x, struct xorb_index **ret)
{
    struct arena_mark m = arena_mark(a);
    AUTO_FD int fd = -1;
    uint64_t size;
    char *p;
    err e;

    TRY(blob_open(s->blobs, a, xorb_key(a, BLOB_XORB_INDEX, x->hash, x->generation), &fd, &size));
    if (size > xorb_index_file_len(XORB_CHUNKS_MAX))
        return &data_corrupt;
    p = need(malloc((size_t)size + 1));
    if (pread_full(fd, p, (size_t)size, 0) != (ssize_t)size)
        e = err_os(a, "pread", "xorb index");
    else
        e = xorb_index_read((str){p, (size_t)size}, ret);
    free(p);
    if (!e && (!xorb_hash_eq((*ret)->hash, x->hash) || xorb_body_len(*ret) != x->stat.size)) {
        xorb_index_free(*ret);
        *ret = NULL;
        e = &data_corrupt;
    }
    if (!e)
        arena_rewind(a, m);
    return e;
}

/* Writes the sidecar again from what the body says. */
static err write_sidecar(struct store *s, struct arena *a, const struct xorb *x,
                         const struct xorb_index *index)
{
    struct blob_key key = xorb_key(a, BLOB_XORB_INDEX, x->hash, x->generation);
    struct blob_writer *w;
    str file = xorb_index_write(a, index);
    bool is_new;
    err e;

    TRY(blob_writer_new(s->blobs, a, &w));
    e = blob_write(w, a, file.ptr, file.len);
    if (!e)
        e = blob_remove(s->blobs, a, key);
    if (e) {
        blob_drop(w);
        return e;
    }
    return blob_put(w, a, key, &is_new);
}

static err load_index(struct store *s, struct arena *a, struct xorb *x)
{
    const char *why;

    if (!read_sidecar(s, a, x, &x->index))
        return OK;
    TRY(read_body(s, a, x, &x->index, &why));
    if (why)
        return condemn(s, a, x, why);
    TRY(write_sidecar(s, a, x, x->index));
    xorb_cache_note(s->xorbs, x);
    return OK;
}

static err find_row(struct store *s, struct xorb *x)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->hub, &q, BY_ID));
    db_bind_i64(q, 1, x->id);
    if (!db_next(q))
        return db_error(q) ?: &data_corrupt;
    x->generation = db_i64(q, 1);
    if (!db_hash(q, 0, x->hash.b, sizeof x->hash.b) || str_eq(db_view(q, 2), STR("damaged")))
        return &data_corrupt;
    return OK;
}

static err open_xorb(struct store *s, struct arena *a, struct xorb *x)
{
    struct blob_key key;
    uint64_t size;
    err e;

    TRY(find_row(s, x));
    key = xorb_key(a, BLOB_XORB, x->hash, x->generation);
    TRY(blob_stat(s->blobs, a, key, &x->stat));
    if (!x->stat.found)
        return condemn(s, a, x, "its file is missing");
    e = blob_open(s->blobs, a, key, &x->fd, &size);
    TRY(e);
    TRY(load_index(s, a, x));
    x->kinds = need(calloc(x->index->count, sizeof *x->kinds));
    for (uint32_t i = 0; i < x->index->count; i++)
        x->has_raw |= xorb_raw_len(x->index, i) + CHUNK_HEAD ==
                      x->index->phys_end[i] - xorb_phys_start(x->index, i);
    x->verified = xorb_cache_verified(s->xorbs, x);
    return OK;
}

static bool same_file(const struct blob_stat *x, const struct blob_stat *y)
{
    return y->found && x->size == y->size && x->inode == y->inode && x->mtime_ns == y->mtime_ns;
}

err xorb_get(struct store *s, struct arena *a, int64_t id, struct xorb **ret)
{
    struct xorb *x = xorb_cache_find(s->xorbs, id);
    err e;

    if (x) {
        struct arena_mark m = arena_mark(a);
        struct blob_stat now = {0};

        e = blob_stat(s->blobs, a, xorb_key(a, BLOB_XORB, x->hash, x->generation), &now);
        if (!e && same_file(&x->stat, &now)) {
            arena_rewind(a, m);
            *ret = x;
            return OK;
        }
        xorb_cache_forget(s->xorbs, x);
        xorb_unref(s, x);
        TRY(e);
    }
    x = need(calloc(1, sizeof *x));
    *x = (struct xorb){.id = id, .fd = -1, .refs = 1};
    pthread_mutex_init(&x->lock, NULL);
    e = open_xorb(s, a, x);
    if (e) {
        xorb_free(x);
        return e;
    }
    *ret = xorb_cache_link(s->xorbs, x);
    return OK;
}

/* --- verifying --- */

static bool same_index(const struct xorb_index *x, const struct xorb_index *y)
{
    return x->count == y->count &&
           memcmp(x->raw_end, y->raw_end, x->count * sizeof *x->raw_end) == 0 &&
           memcmp(x->phys_end, y->phys_end, x->count * sizeof *x->phys_end) == 0 &&
           memcmp(x->chunks, y->chunks, x->count * sizeof *x->chunks) == 0;
}

/* Under x->lock. */
static err verify_locked(struct store *s, struct arena *a, struct xorb *x)
{
    struct xorb_index *index = NULL;
    const char *why;
    bool same;

    TRY(read_body(s, a, x, &index, &why));
    if (why)
        return condemn(s, a, x, why);
    same = same_index(index, x->index);
    if (!same) { /* a sidecar whose checksum held but that belongs to another body */
        err e = write_sidecar(s, a, x, index);

        xorb_cache_forget(s->xorbs, x);
        xorb_index_free(index);
        return e ?: &try_again;
    }
    xorb_index_free(index);
    xorb_cache_note(s->xorbs, x);
    x->verified = true;
    return OK;
}

err xorb_verify(struct store *s, struct arena *a, struct xorb *x)
{
    AUTO_LOCK(&x->lock);

    return verify_locked(s, a, x);
}

err xorb_trust(struct store *s, struct arena *a, struct xorb *x, uint64_t count, bool *ret)
{
    if (x->verified) {
        *ret = true;
        return OK;
    }
    if (count < TRUST_SMALL && count < x->stat.size / 2 &&
        atomic_fetch_add(&x->decoded, count) < x->stat.size) {
        *ret = false;
        return OK;
    }
    {
        AUTO_LOCK(&x->lock);
        if (!x->verified) /* several readers wait here for the first of them */
            TRY(verify_locked(s, a, x));
    }
    *ret = true;
    return OK;
}

/* --- chunks --- */

uint32_t xorb_chunk_find(struct xorb *x, chunk_hash h)
{
    AUTO_LOCK(&x->lock);

    if (!x->map.slots)
        for (uint32_t i = 0; i < x->index->count; i++)
            chunk_map_add(&x->map, x->index->chunks, i);
    return chunk_map_find(&x->map, x->index->chunks, h);
}

err xorb_chunk_kind(struct xorb *x, struct arena *a, uint32_t chunk, enum chunk_kind *ret)
{
    uint32_t start = xorb_phys_start(x->index, chunk);
    uint32_t packed = x->index->phys_end[chunk] - start - CHUNK_HEAD;
    unsigned char bytes[CHUNK_HEAD];
    struct chunk_head head;

    *ret = (enum chunk_kind)x->kinds[chunk];
    if (*ret != CHUNK_KIND_UNKNOWN)
        return OK;
    *ret = CHUNK_KIND_PACKED;
    if (packed == xorb_raw_len(x->index, chunk)) { /* stored, or a strange encoder's work */
        if (pread_full(x->fd, bytes, sizeof bytes, start) != sizeof bytes)
            return err_os(a, "pread", "xorb");
        if (chunk_head_parse(bytes, &head) == OK && head.scheme == CHUNK_STORED &&
            head.packed_len == packed && head.raw_len == packed)
            *ret = CHUNK_KIND_RAW;
    }
    x->kinds[chunk] = (unsigned char)*ret;
    return OK;
}

/* False when the record is not what the index says. */
static bool unpack(struct xorb *x, uint32_t chunk, struct chunk_reader *r, size_t len, str *ret)
{
    struct chunk_head head;
    chunk_hash h;

    if (chunk_head_parse(r->record, &head) || head.packed_len != len - CHUNK_HEAD ||
        head.raw_len != xorb_raw_len(x->index, chunk) ||
        chunk_decode(r->decoder, head, r->record + CHUNK_HEAD, ret))
        return false;
    h = chunk_hash_of(ret->ptr, ret->len);
    return chunk_hash_eq(h, x->index->chunks[chunk]);
}

err xorb_chunk_read(struct store *s, struct arena *a, struct xorb *x, uint32_t chunk,
                    struct chunk_reader *r, str *ret)
{
    uint32_t start = xorb_phys_start(x->index, chunk);
    size_t len = x->index->phys_end[chunk] - start;
    ssize_t n;

    if (len <= CHUNK_HEAD || len > sizeof r->record)
        return xorb_verify(s, a, x) ?: &try_again;
    n = pread_full(x->fd, r->record, len, start);
    if (n < 0 && errno != EIO)
        return err_os(a, "pread", "xorb");
    if (n == (ssize_t)len && unpack(x, chunk, r, len, ret))
        return OK;
    return xorb_verify(s, a, x) ?: &try_again; /* says what is damaged, and repairs a sidecar */
}

err xorb_record_read(struct store *s, struct arena *a, struct xorb *x, uint32_t chunk,
                     struct chunk_reader *r, str *ret)
{
    str raw;

    TRY(xorb_chunk_read(s, a, x, chunk, r, &raw));
    *ret = (str){(const char *)r->record,
                 x->index->phys_end[chunk] - xorb_phys_start(x->index, chunk)};
    return OK;
}
