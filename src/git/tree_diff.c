/* tree_diff.c — see tree_diff.h. */
#include "git/tree_diff.h"
#include <string.h>

struct differ {
    struct odb *odb;
    struct arena *a;
    tree_change_fn *fn;
    void *ctx;
    char path[TREE_MAX_PATH + TREE_MAX_NAME + 2];
    size_t path_len;
};

/* One side of the comparison of two folders. */
struct side {
    struct tree_iter it;
    struct tree_entry e;
    bool has; /* e is the next entry */
};

static err open_side(struct differ *d, oid id, struct side *s)
{
    str data = STR_NONE;

    if (!sha1_is_zero(id))
        TRY(odb_read(d->odb, d->a, id, OBJ_TREE, &data));
    s->it = tree_iter(data);
    s->has = tree_next(&s->it, &s->e);
    return OK;
}

static err diff_dirs(struct differ *d, oid old, oid new, unsigned depth);

/* Reports one path and goes below it.  `x` or `y` is NULL when that side does not have it. */
static err report(struct differ *d, const struct tree_entry *x, const struct tree_entry *y,
                  unsigned depth)
{
    const struct tree_entry *e = y ? y : x;
    size_t len = d->path_len, n = len;
    struct tree_change c = {.kind = !x ? CHANGE_ADDED : !y ? CHANGE_REMOVED : CHANGE_MODIFIED};

    if (x) {
        c.old_mode = x->mode;
        c.old_id = x->id;
    }
    if (y) {
        c.new_mode = y->mode;
        c.new_id = y->id;
    }
    if (len + e->name.len + 1 > TREE_MAX_PATH + TREE_MAX_NAME)
        return err_new(d->a, 422, "BadTree", "A path in this tree is too long.");
    if (n > 0)
        d->path[n++] = '/';
    memcpy(d->path + n, e->name.ptr, e->name.len);
    c.path = (str){d->path, n + e->name.len};
    TRY(d->fn(d->ctx, &c));
    if (!mode_is_dir(e->mode))
        return OK;
    d->path_len = c.path.len;
    TRY(diff_dirs(d, c.old_id, c.new_id, depth + 1));
    d->path_len = len;
    return OK;
}

static err diff_dirs(struct differ *d, oid old, oid new, unsigned depth)
{
    struct arena_mark m = arena_mark(d->a);
    struct side x, y;

    if (depth > TREE_MAX_DEPTH)
        return err_new(d->a, 422, "BadTree", "The folders of this tree are nested too deeply.");
    TRY(open_side(d, old, &x));
    TRY(open_side(d, new, &y));
    while (x.has || y.has) {
        int order = !y.has ? -1 : !x.has ? 1 : tree_order(&x.e, &y.e);
        bool same = order == 0 && x.e.mode == y.e.mode && sha1_eq(x.e.id, y.e.id);

        if (!same)
            TRY(report(d, order <= 0 ? &x.e : NULL, order >= 0 ? &y.e : NULL, depth));
        if (order <= 0)
            x.has = tree_next(&x.it, &x.e);
        if (order >= 0)
            y.has = tree_next(&y.it, &y.e);
    }
    if (x.it.bad || y.it.bad)
        return obj_damaged(d->a, x.it.bad ? old : new, "it is no well-formed tree");
    arena_rewind(d->a, m);
    return OK;
}

err tree_diff(struct odb *o, struct arena *scratch, oid old, oid new, tree_change_fn *fn, void *ctx)
{
    struct differ *d = arena_one(scratch, struct differ);

    if (sha1_eq(old, new))
        return OK;
    *d = (struct differ){.odb = o, .a = scratch, .fn = fn, .ctx = ctx};
    return diff_dirs(d, old, new, 0);
}
