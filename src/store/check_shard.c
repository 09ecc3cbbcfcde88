/* check_shard.c — accepted shards against their hashes, and terms of files written again from
 * them.
 *
 * A shard is kept for exactly that: while the terms of its files are whole nobody needs it, so a
 * damaged one is forgotten.
 */
#include "cas/shard.h"
#include "store/check_private.h"
#include "store/content_rows.h"
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 200

static const struct sql NEXT = SQL_INIT("SELECT id FROM shard WHERE id > ?1 ORDER BY id LIMIT ?2");
static const struct sql BY_ID = SQL_INIT("SELECT hash, size FROM shard WHERE id = ?1");
static const struct sql OF_FILE =
    SQL_INIT("SELECT shard_id FROM shard_file WHERE file_id = ?1 AND shard_id > ?2 ORDER BY "
             "shard_id LIMIT 1");
static const struct sql FILE_HASH = SQL_INIT("SELECT hash, size FROM file WHERE id = ?1");

struct row {
    int64_t id;
    chunk_hash hash;
    uint64_t size;
    bool found, is_named;
};

static err read_row(struct check *c, int64_t id, struct row *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct row){.id = id};
    TRY(db_query(c->store->hub, &q, BY_ID));
    db_bind_i64(q, 1, id);
    if (!db_next(q))
        return db_error(q);
    ret->found = true;
    ret->is_named = db_hash(q, 0, ret->hash.b, sizeof ret->hash.b);
    ret->size = (uint64_t)db_i64(q, 1);
    return OK;
}

static struct blob_key key_of(struct check *c, chunk_hash h)
{
    return (struct blob_key){BLOB_SHARD, chunk_hash_text(c->a, h), 0};
}

/* --- the bytes --- */

struct map {
    str bytes;
};

static void unmap(struct map *m)
{
    union { /* munmap takes it without const */
        const char *in;
        void *out;
    } p = {m->bytes.ptr};

    if (p.out)
        munmap(p.out, m->bytes.len);
}
#define AUTO_MAP __attribute__((cleanup(unmap)))

/* *ret_why NULL: the bytes are those of its name, and well-formed. */
static err open_shard(struct check *c, const struct row *x, struct map *ret,
                      struct shard *ret_shard, const char **ret_why)
{
    AUTO_FD int fd = -1;
    uint64_t size;
    void *p;
    err e = blob_open(c->store->blobs, c->a, key_of(c, x->hash), &fd, &size);

    *ret_why = "its file is missing";
    if (e)
        return e->status == 404 ? OK : e;
    *ret_why = "its size is not the one in its row";
    if (size != x->size || size == 0)
        return OK;
    if (c->options.fast) {
        *ret_why = NULL;
        return OK;
    }
    p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_os(c->a, "mmap", "shard");
    ret->bytes = (str){p, size};
    *ret_why = "its content does not match its name";
    if (chunk_hash_eq(chunk_hash_of(p, size), x->hash) && !shard_open(ret->bytes, ret_shard))
        *ret_why = NULL;
    return OK;
}

/* --- one shard --- */

static err look(struct check *c, int64_t id, struct row *ret, const char **ret_why)
{
    AUTO_MAP struct map m = {STR_NONE};
    struct shard shard;

    *ret_why = NULL;
    TRY(read_row(c, id, ret));
    if (!ret->found)
        return OK;
    if (ret->is_named)
        return open_shard(c, ret, &m, &shard, ret_why);
    *ret_why = "its hash has another length";
    return OK;
}

static err forget_fn(struct db *tx, void *arg)
{
    int64_t id = *(int64_t *)arg;

    TRY(check_run_id(tx, SQL("DELETE FROM shard_file WHERE shard_id = ?1"), id));
    return check_run_id(tx, SQL("DELETE FROM shard WHERE id = ?1"), id);
}

static err check_one(struct check *c, int64_t id)
{
    struct row x;
    const char *why;
    enum check_state state = CHECK_REPAIRABLE;

    TRY(look(c, id, &x, &why));
    if (why) {
        check_settle(c);
        TRY(look(c, id, &x, &why));
    }
    c->result.shards += x.found;
    if (!why)
        return OK;
    if (!c->rows_doubtful)
        state = check_fix(c, forget_fn, &id);
    if (state == CHECK_REPAIRED && x.is_named)
        TRY(blob_quarantine(c->store->blobs, c->a, key_of(c, x.hash)));
    check_found(c, state, "shard", chunk_hash_text(c->a, x.hash),
                "%s; it is forgotten: only damaged terms of its files would need it", why);
    return OK;
}

err check_shards(struct check *c)
{
    struct id_list page;
    int64_t after = INT64_MIN;

    do {
        struct arena_mark m = arena_mark(c->a);

        TRY(check_page(c, c->store->hub, NEXT, after, PAGE, &page));
        for (size_t i = 0; i < page.count; i++) {
            TRY(check_one(c, after = page.ids[i]));
            check_progress(c, "shards", c->result.shards);
        }
        arena_rewind(c->a, m);
    } while (page.count == PAGE);
    return OK;
}

/* --- terms from a shard --- */

struct restore {
    int64_t file_id;
    const struct shard_file *file;
    const int64_t *ids; /* of the xorb of each term */
};

static err restore_fn(struct db *tx, void *arg)
{
    const struct restore *x = arg;
    unsigned char packed[PART_TERMS * TERM_BYTES];
    uint64_t first = 0, offset = 0;

    TRY(check_run_id(tx, SQL("DELETE FROM file_part WHERE file_id = ?1"), x->file_id));
    TRY(check_run_id(tx, SQL("DELETE FROM file_xorb WHERE file_id = ?1"), x->file_id));
    for (uint32_t i = 0; i < x->file->term_count; i++) {
        struct shard_term t = shard_term_at(x->file, i);
        uint32_t in_part = i % PART_TERMS;

        term_pack(packed + in_part * TERM_BYTES,
                  (struct term){x->ids[i], t.first_chunk, t.end_chunk, t.raw_len});
        offset += t.raw_len;
        TRY(file_xorb_add(tx, x->file_id, x->ids[i]));
        if (in_part + 1 < PART_TERMS && i + 1 < x->file->term_count)
            continue;
        TRY(file_part_add(tx, x->file_id, first, packed, in_part + 1));
        first = offset;
    }
    return OK;
}

/* The xorbs of all terms, and whether the file hash follows from them. */
static err resolve(struct check *c, const struct shard_file *f, int64_t *ids, bool *ret)
{
    struct merkle *tree = arena_one(c->a, struct merkle);

    *ret = false;
    merkle_init(tree);
    for (uint32_t i = 0; i < f->term_count; i++) {
        struct shard_term t = shard_term_at(f, i);
        const struct xorb_index *x;
        struct xorb_row row;

        TRY(xorb_row_find(c->store->hub, t.xorb, &row));
        if (!row.is_stored)
            return OK;
        ids[i] = row.id;
        TRY(check_index(c, row.id, &x));
        if (!x || t.end_chunk > x->count ||
            x->raw_end[t.end_chunk - 1] - xorb_raw_start(x, t.first_chunk) != t.raw_len)
            return OK;
        for (uint32_t k = t.first_chunk; k < t.end_chunk; k++)
            merkle_add(tree, x->chunks[k], xorb_raw_len(x, k));
    }
    *ret = file_hash_eq(merkle_file_hash(tree), f->hash);
    return OK;
}

static bool find_in(const struct shard *s, file_hash h, struct shard_file *ret)
{
    for (size_t at = 0; shard_next_file(s, &at, ret);)
        if (file_hash_eq(ret->hash, h))
            return true;
    return false;
}

static err restore_from(struct check *c, int64_t file_id, file_hash h, uint64_t size,
                        int64_t shard_id, bool *ret_done)
{
    AUTO_MAP struct map m = {STR_NONE};
    struct restore r = {.file_id = file_id};
    struct shard_file file;
    struct shard shard;
    struct row x;
    const char *why;
    int64_t *ids;
    bool fits;

    TRY(read_row(c, shard_id, &x));
    if (!x.found || !x.is_named)
        return OK;
    TRY(open_shard(c, &x, &m, &shard, &why));
    if (why || !m.bytes.ptr || !find_in(&shard, h, &file) || file.size != size)
        return OK;
    r.file = &file;
    r.ids = ids = arena_many(c->a, int64_t, file.term_count);
    TRY(resolve(c, &file, ids, &fits));
    if (!fits)
        return OK;
    if (c->options.repair)
        TRY(db_write(c->store->hub, restore_fn, &r));
    *ret_done = true;
    return OK;
}

err check_terms_restore(struct check *c, int64_t file_id, bool *ret_done)
{
    int64_t shard_id = INT64_MIN;
    file_hash h;
    uint64_t size;

    *ret_done = false;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(c->store->hub, &q, FILE_HASH));
        db_bind_i64(q, 1, file_id);
        if (!db_next(q) || !db_hash(q, 0, h.b, sizeof h.b))
            return db_error(q);
        size = (uint64_t)db_i64(q, 1);
    }
    while (!*ret_done) {
        {
            AUTO_STMT struct db_stmt *q = NULL;

            TRY(db_query(c->store->hub, &q, OF_FILE));
            db_bind_i64(q, 1, file_id);
            db_bind_i64(q, 2, shard_id);
            if (!db_next(q))
                return db_error(q);
            shard_id = db_i64(q, 0);
        }
        TRY(restore_from(c, file_id, h, size, shard_id, ret_done));
    }
    return OK;
}
