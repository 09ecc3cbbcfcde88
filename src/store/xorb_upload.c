/* xorb_upload.c — a xorb comes in from a Xet client; see xet.h.
 *
 *     bytes ─▶ verifier ─▶ blob writer          the footer of old clients is compared and dropped
 *                 └─ end ─▶ is it stored?  yes ─▶ promise it
 *                                          no ──▶ body and sidecar durable ─▶ row and keys
 *
 * Every body is verified to its end, also that of a xorb which is here: who gets "yes" has shown
 * the bytes.  Nothing of the row is decided before; where somebody else was faster meanwhile, the
 * transaction finds their row and our files go.
 *
 * Memory between two feeds: the verifier (its chunk list and the payload of an unfinished chunk,
 * at most 600 KiB, of which only what was used is touched) and the writer's buffer.  What decoding
 * needs is borrowed from the pool of chunk readers for the time of one feed.
 */
#include "base/clock.h"
#include "store/content_rows.h"
#include "store/xet.h"
#include "store/xorb.h"
#include <assert.h>

#define UPLOAD_MAGIC 0x78757021u

struct xorb_upload {
    unsigned magic;
    struct store *store;
    xorb_hash name;
    struct xorb_verifier *verifier;
    struct blob_writer *writer; /* NULL once the body is published or dropped */
};

err xorb_upload_new(struct store *s, struct arena *a, xorb_hash name, struct xorb_upload **ret)
{
    struct xorb_upload *u = need(calloc(1, sizeof *u));
    err e;

    *u = (struct xorb_upload){.magic = UPLOAD_MAGIC, .store = s, .name = name};
    e = blob_writer_new(s->blobs, a, &u->writer);
    if (e) {
        free(u);
        return e;
    }
    u->verifier = xorb_verifier_new(NULL);
    *ret = u;
    return OK;
}

void xorb_upload_drop(struct xorb_upload *u)
{
    if (!u)
        return;
    assert(u->magic == UPLOAD_MAGIC);
    xorb_verifier_free(u->verifier);
    blob_drop(u->writer);
    u->magic = 0;
    free(u);
}

err xorb_upload_feed(struct xorb_upload *u, struct arena *a, const void *p, size_t len)
{
    struct chunk_reader *r;
    size_t body = 0;
    err e;

    assert(u->magic == UPLOAD_MAGIC);
    r = chunk_reader_get(u->store);
    xorb_verifier_use(u->verifier, chunk_reader_decoder(r));
    e = xorb_verifier_feed(u->verifier, p, len, &body);
    xorb_verifier_use(u->verifier, NULL);
    chunk_reader_put(u->store, r);
    TRY(e);
    return blob_write(u->writer, a, p, body);
}

/* --- what becomes of it --- */

struct settling {
    const struct xorb_index *index;
    struct xorb_facts facts;
    int64_t now_ms;
    int64_t id;   /* of the row that is kept; 0: there is none yet */
    bool is_kept; /* the row names our body */
    bool is_new;  /* there was no row */
};

/* A stored xorb is promised; one that was condemned gets its keys back.  x->id 0: it is gone. */
static err promise_fn(struct db *tx, void *arg)
{
    struct settling *x = arg;
    struct xorb_row row;
    bool is_stored, revived;

    TRY(xorb_row_find(tx, x->facts.hash, &row));
    x->id = row.is_stored ? row.id : 0;
    if (x->id == 0)
        return OK;
    TRY(xorb_row_lease(tx, row.id, x->now_ms, &is_stored, &revived));
    return revived ? chunk_keys_add(tx, row.id, x->index) : OK;
}

static err settle_fn(struct db *tx, void *arg)
{
    struct settling *x = arg;
    struct xorb_row row;

    x->is_kept = x->is_new = false;
    TRY(promise_fn(tx, x));
    if (x->id)
        return OK;
    TRY(xorb_row_find(tx, x->facts.hash, &row));
    x->is_kept = true;
    x->is_new = row.id == 0;
    TRY(xorb_row_put(tx, &x->facts, row.id, x->now_ms, &x->id));
    return chunk_keys_add(tx, x->id, x->index);
}

static void remove_files(struct store *s, struct arena *a, const struct xorb_facts *f)
{
    if (blob_remove(s->blobs, a, xorb_key(a, BLOB_XORB, f->hash, f->generation)) ||
        blob_remove(s->blobs, a, xorb_key(a, BLOB_XORB_INDEX, f->hash, f->generation))) {
        /* garbage, found by gc */
    }
}

/* Is it here, and in order as far as opening it shows?  Then it is promised. */
static err keep_stored(struct xorb_upload *u, struct arena *a, struct settling *x, bool *ret)
{
    struct xorb_row row;
    struct xorb *stored;
    err e;

    *ret = false;
    TRY(xorb_row_find(u->store->hub, u->name, &row));
    if (!row.is_stored)
        return OK;
    e = xorb_get(u->store, a, row.id, &stored);
    if (e && e->code == data_corrupt.code)
        return OK; /* it is marked by now */
    TRY(e);
    xorb_unref(u->store, stored);
    TRY(db_write(u->store->hub, promise_fn, x));
    *ret = x->id != 0;
    return OK;
}

static err put_files(struct xorb_upload *u, struct arena *a, const struct settling *x)
{
    struct blob_writer *w = u->writer;
    bool is_new;

    u->writer = NULL;
    TRY(blob_put(w, a, xorb_key(a, BLOB_XORB, u->name, x->facts.generation), &is_new));
    if (!is_new)
        return err_internal(a, "two xorbs of one name and generation");
    return xorb_sidecar_put(u->store, a, x->index, x->facts.generation);
}

/* When the commit may have happened although it failed (its sync did), the files stay: garbage is
 * better than a row without its blob. */
static err settle(struct xorb_upload *u, struct arena *a, const struct xorb_index *index,
                  bool *ret_new)
{
    struct settling x = {.index = index,
                         .facts = xorb_facts_of(index, xorb_fresh_generation()),
                         .now_ms = clock_ms()};
    bool kept;
    err e;

    TRY(keep_stored(u, a, &x, &kept));
    if (!kept) {
        TRY(put_files(u, a, &x));
        e = db_write(u->store->hub, settle_fn, &x);
        if (e ? e->status != 503 : !x.is_kept)
            remove_files(u->store, a, &x.facts);
        TRY(e);
    }
    *ret_new = x.is_new;
    return OK;
}

err xorb_upload_end(struct xorb_upload *u, struct arena *a, bool *ret_new)
{
    struct xorb_index *index = NULL;
    err e;

    assert(u->magic == UPLOAD_MAGIC);
    e = xorb_verifier_end(u->verifier, u->name, &index);
    xorb_verifier_free(u->verifier);
    u->verifier = NULL;
    if (!e)
        e = settle(u, a, index, ret_new);
    xorb_index_free(index);
    xorb_upload_drop(u);
    return e;
}
