/* claim.c — is the SHA-256 that a shard named for a file really that of its bytes?
 *
 *     shard ─▶ repo_file 'claimed' ──bytes through SHA-256──▶ same: 'verified', for every
 * repository └──▶ other: the rows go
 *
 * A claim serves only the repository whose token made it; a fact serves all (shard_rows.c).  The
 * data itself is checked by its chunk hashes when it is read, so a failing read says nothing about
 * the claim: such a claim waits until its data is repaired.
 */
#include "base/clock.h"
#include "base/io.h"
#include "store/xet.h"
#include "store/xorb.h"
#include <assert.h>

#define READ_BYTES (256u << 10)

static const struct sql NEXT = SQL_INIT(
    "SELECT pushed_at, repo_file.sha256, file.id, file.hash, file.size FROM repo_file "
    "JOIN file ON file.id = file_id WHERE repo_file.state = 'claimed' AND pushed_at >= ?1 AND "
    "(pushed_at > ?1 OR repo_file.sha256 > ?2) AND NOT EXISTS (SELECT 1 FROM file_xorb "
    "LEFT JOIN xorb ON xorb.id = xorb_id WHERE file_xorb.file_id = file.id AND "
    "coalesce(xorb.state, 'damaged') = 'damaged') ORDER BY pushed_at, repo_file.sha256 LIMIT 1");
static const struct sql ACCEPT =
    SQL_INIT("UPDATE repo_file SET state = 'verified' WHERE file_id = ?1 AND sha256 = ?2 AND "
             "state = 'claimed'");
static const struct sql SHRINK =
    SQL_INIT("UPDATE repo SET used_storage = used_storage - ?3 WHERE id IN (SELECT repo_id FROM "
             "repo_file WHERE file_id = ?1 AND sha256 = ?2 AND state = 'claimed')");
static const struct sql REFUTE =
    SQL_INIT("DELETE FROM repo_file WHERE file_id = ?1 AND sha256 = ?2 AND state = 'claimed'");

/* --- reading --- */

static bool goes_on(const struct claim_watch *w)
{
    return !w || !w->go_on || w->go_on(w->arg);
}

static err add_file(struct arena *a, struct hasher *h, const struct source_part *p, char *buffer)
{
    uint64_t done = 0;

    while (done < p->len) {
        size_t n = p->len - done < READ_BYTES ? (size_t)(p->len - done) : READ_BYTES;

        if (pread_full(p->fd, buffer, n, p->offset + done) != (ssize_t)n)
            return err_os(a, "pread", "xorb");
        hasher_add(h, buffer, n);
        done += n;
    }
    return OK;
}

static err add_parts(struct arena *a, struct hasher *h, const struct source_out *out, char *buffer)
{
    for (size_t i = 0; i < out->count; i++) {
        const struct source_part *p = &out->part[i];

        if (p->fd >= 0)
            TRY(add_file(a, h, p, buffer));
        else
            hasher_add(h, p->ptr, p->len);
    }
    return OK;
}

/* *ret_whole false: stopped by the watch. */
static err read_all(struct arena *a, struct source *source, struct hasher *h,
                    const struct claim_watch *w, bool *ret_whole)
{
    struct source_out *out = need(malloc(sizeof *out));
    char *buffer = need(malloc(READ_BYTES));
    enum source_state state = SOURCE_MORE;
    err e = OK;

    while (!e && state == SOURCE_MORE && goes_on(w)) {
        out->count = 0;
        e = source->fill(source, out, &state);
        if (!e)
            e = add_parts(a, h, out, buffer);
    }
    free(out);
    free(buffer);
    *ret_whole = state != SOURCE_MORE;
    return e;
}

static err sum(struct store *s, struct arena *a, const struct content *c,
               const struct claim_watch *w, sha256 *ret, bool *ret_whole)
{
    struct hasher *h;
    struct source *source;
    err e;

    TRY(content_source(s, a, c, 0, c->size, &source));
    h = sha256_new();
    e = read_all(a, source, h, w, ret_whole);
    source->close(source);
    *ret = sha256_end(h);
    return e;
}

/* --- deciding --- */

struct verdict {
    const struct content *content;
    bool is_true;
};

static err run(struct db *tx, struct sql sql, const struct content *c, bool with_size)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, sql));
    db_bind_i64(q, 1, c->file_id);
    db_bind_hash(q, 2, c->sha256);
    if (with_size)
        db_bind_i64(q, 3, (int64_t)c->size);
    return db_run(q);
}

static err decide(struct db *tx, void *arg)
{
    const struct verdict *v = arg;

    if (v->is_true)
        return run(tx, ACCEPT, v->content, false);
    TRY(run(tx, SHRINK, v->content, true));
    return run(tx, REFUTE, v->content, false);
}

/* *ret_whole false: nothing was decided. */
static err prove(struct store *s, struct arena *a, const struct content *c,
                 const struct claim_watch *w, bool *ret_true, bool *ret_whole)
{
    struct arena_mark m = arena_mark(a);
    struct verdict v = {.content = c};
    sha256 got;

    assert(c->file_id > 0);
    TRY(sum(s, a, c, w, &got, ret_whole));
    arena_rewind(a, m);
    if (!*ret_whole)
        return OK;
    v.is_true = *ret_true = sha256_eq(got, c->sha256);
    TRY(db_write(s->hub, decide, &v));
    if (!v.is_true && w && w->refuted)
        w->refuted(w->arg, c);
    return OK;
}

err claim_prove(struct store *s, struct arena *a, const struct content *c, bool *ret_true)
{
    bool whole;

    return prove(s, a, c, NULL, ret_true, &whole);
}

/* --- one after the other --- */

struct cursor {
    int64_t pushed_at;
    sha256 sha256;
};

static err next(struct db *db, struct cursor *at, struct content *ret, bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct content){0};
    TRY(db_query(db, &q, NEXT));
    db_bind_i64(q, 1, at->pushed_at);
    db_bind_hash(q, 2, at->sha256);
    *ret_found = db_next(q);
    if (!*ret_found)
        return db_error(q);
    at->pushed_at = db_i64(q, 0);
    ret->file_id = db_i64(q, 2);
    ret->size = (uint64_t)db_i64(q, 4);
    if (!db_hash(q, 1, ret->sha256.b, sizeof ret->sha256.b) ||
        !db_hash(q, 3, ret->hash.b, sizeof ret->hash.b))
        *ret_found = false;
    at->sha256 = ret->sha256;
    return db_error(q);
}

err claim_prove_next(struct store *s, struct arena *a, int64_t budget_ms,
                     const struct claim_watch *w, bool *ret_more)
{
    int64_t until = clock_mono_ms() + budget_ms;
    struct cursor at = {0};
    err first = OK;

    for (;;) {
        struct content c;
        bool is_true, whole;
        err e;

        TRY(next(s->hub, &at, &c, ret_more));
        if (!*ret_more || clock_mono_ms() >= until || !goes_on(w))
            return first;
        e = prove(s, a, &c, w, &is_true, &whole);
        first = first ? first : e;
    }
}
