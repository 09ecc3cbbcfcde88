/* intake_rows.c — the transaction that makes an upload visible: xorb, chunk_key, file, file_part
 * and file_xorb.  Where somebody else was faster, their rows win.
 */
#include "base/clock.h"
#include "store/intake.h"
#include "store/xet.h"
#include <assert.h>

/* A xorb we only refer to: it must still be there, and collection must leave it alone again. */
static err lease_xorb(struct db *tx, const struct ending *x, int64_t id)
{
    bool is_stored, revived;

    TRY(xorb_row_lease(tx, id, x->now_ms, &is_stored, &revived));
    return is_stored ? OK : &content_changed;
}

/* After this the xorb has a live row; u->kept tells whether that names our file. */
static err settle_xorb(struct db *tx, const struct ending *x, struct used *u)
{
    struct xorb_facts facts = {u->hash, u->generation, u->chunk_count, u->raw_bytes, u->disk_bytes};
    struct xorb_row row;

    u->kept = false;
    if (!u->fresh)
        return lease_xorb(tx, x, u->row_id);
    TRY(xorb_row_find(tx, u->hash, &row));
    u->row_id = row.id;
    if (row.live)
        return lease_xorb(tx, x, row.id);
    u->kept = true;
    return xorb_row_put(tx, &facts, row.id, x->now_ms, &u->row_id);
}

static err add_part(struct db *tx, const struct ending *x, size_t from, size_t count,
                    uint64_t *offset)
{
    unsigned char packed[PART_TERMS * TERM_BYTES];
    uint64_t first = *offset;

    for (size_t i = 0; i < count; i++) {
        const struct run *r = &x->in->runs[from + i];

        term_pack(packed + i * TERM_BYTES, (struct term){x->in->used[r->slot].row_id, r->first,
                                                         r->first + r->count, r->raw_len});
        *offset += r->raw_len;
    }
    return file_part_add(tx, x->file_id, first, packed, count);
}

static err add_parts(struct db *tx, const struct ending *x)
{
    const struct intake *in = x->in;
    uint64_t offset = 0;

    for (size_t i = 0; i < in->run_count; i += PART_TERMS) {
        size_t left = in->run_count - i;

        TRY(add_part(tx, x, i, left < PART_TERMS ? left : PART_TERMS, &offset));
    }
    assert(offset == in->size);
    for (size_t i = 0; i < in->used_count; i++)
        TRY(file_xorb_add(tx, x->file_id, in->used[i].row_id));
    return OK;
}

static err end_fn(struct db *tx, void *arg)
{
    struct ending *x = arg;
    struct intake *in = x->in;
    bool whole;

    TRY(file_row_find(tx, x->hash, &x->file_id, &whole));
    x->existed = whole;
    if (whole)
        return file_row_renew(tx, x->file_id, x->now_ms);
    if (!x->complete)
        return &content_changed;
    for (size_t i = 0; i < in->used_count; i++)
        TRY(settle_xorb(tx, x, &in->used[i]));
    TRY(file_row_begin(tx, x->hash, in->size, x->now_ms, &x->file_id));
    TRY(add_parts(tx, x));
    for (size_t i = 0; i < in->key_count; i++)
        TRY(chunk_key_add(tx, in->keys[i].hash, in->used[in->keys[i].slot].row_id,
                          in->keys[i].chunk));
    return OK;
}

static void keep_files(struct intake *in, bool keep)
{
    for (size_t i = 0; i < in->used_count; i++)
        in->used[i].kept = keep;
}

/* When the commit may have happened although it failed (its sync did), our files stay: garbage is
 * better than a row without its blob. */
err intake_write_rows(struct ending *x)
{
    err e = db_write(x->in->store->hub, end_fn, x);

    if (e)
        keep_files(x->in, e->status == 503 && e != &content_changed);
    else if (x->existed)
        keep_files(x->in, false);
    return e;
}

/* --- after it --- */

static err late_keys_fn(struct db *tx, void *arg)
{
    const struct xorb *x = arg;

    return chunk_keys_add(tx, x->id, x->index);
}

void intake_add_late_keys(struct intake *in)
{
    struct arena *a = arena_new(0);
    bool going = true;

    for (size_t i = 0; going && i < in->used_count; i++) {
        struct arena_mark m = arena_mark(a);
        struct xorb *x;

        if (!in->used[i].keys_left || !in->used[i].kept)
            continue;
        going = !xorb_get(in->store, a, in->used[i].row_id, &x);
        if (going) {
            going = !db_write(in->store->hub, late_keys_fn, x);
            xorb_unref(in->store, x);
        }
        arena_rewind(a, m);
    }
    arena_free(a);
}
