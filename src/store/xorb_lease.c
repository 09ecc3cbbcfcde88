/* xorb_lease.c — promises that xorbs stay; see xet.h.
 *
 * A promise that was written long enough ago is on disk for certain, so reading it is enough; one
 * that another thread wrote a moment ago may be visible before it is synced, so that case goes
 * through a transaction of its own, which waits for the disk.
 */
#include "base/clock.h"
#include "store/content_rows.h"
#include "store/xet.h"

#define SYNCED_MS 60000 /* a commit is on disk by then, or the process has ended */

static const struct sql STATE = SQL_INIT("SELECT state, lease_until FROM xorb WHERE id = ?1");

struct lease {
    const int64_t *ids;
    size_t count;
    int64_t now_ms;
    bool all;     /* they are stored */
    bool is_safe; /* and promised long enough, on disk */
};

static err read_one(struct db *db, struct lease *x, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;
    int64_t left;
    bool live;

    TRY(db_query(db, &q, STATE));
    db_bind_i64(q, 1, id);
    if (!db_next(q)) {
        x->all = false;
        return db_error(q);
    }
    live = str_eq(db_view(q, 0), STR("live"));
    left = db_i64(q, 1) - x->now_ms;
    x->all &= live || str_eq(db_view(q, 0), STR("condemned"));
    x->is_safe &= live && left >= LEASE_RENEW_MS && left <= LEASE_MS - SYNCED_MS;
    return db_error(q);
}

static err read_all(struct db *db, void *arg)
{
    struct lease *x = arg;

    x->all = x->is_safe = true;
    for (size_t i = 0; x->all && i < x->count; i++)
        TRY(read_one(db, x, x->ids[i]));
    return OK;
}

static err lease_fn(struct db *tx, void *arg)
{
    struct lease *x = arg;

    TRY(read_all(tx, x));
    for (size_t i = 0; x->all && i < x->count; i++) {
        bool is_stored, revived;

        TRY(xorb_row_lease(tx, x->ids[i], x->now_ms, &is_stored, &revived));
    }
    return OK;
}

err xorb_lease(struct store *s, const int64_t *ids, size_t count, bool *ret_all)
{
    struct lease x = {.ids = ids, .count = count, .now_ms = clock_ms()};

    TRY(db_read(s->hub, read_all, &x));
    if (x.all && !x.is_safe)
        TRY(db_write(s->hub, lease_fn, &x));
    *ret_all = x.all;
    return OK;
}

err xorb_stored_size(struct db *db, xorb_hash name, uint64_t *ret, bool *ret_found)
{
    struct xorb_row row;

    TRY(xorb_row_find(db, name, &row));
    *ret = row.disk_bytes;
    *ret_found = row.is_stored;
    return OK;
}

err xorb_lease_named(struct store *s, xorb_hash name, uint64_t *ret_size, bool *ret_found)
{
    struct xorb_row row;

    TRY(xorb_row_find(s->hub, name, &row));
    *ret_size = row.disk_bytes;
    *ret_found = row.is_stored;
    return row.is_stored ? xorb_lease(s, &row.id, 1, ret_found) : OK;
}
