/* keep.c — ref_keep() of ref.h: what a ref is about to lead to again.
 *
 * gc removes objects that no ref reaches and that were not seen for long.  A ref may be set to a
 * commit that nobody writes anew: by its id, long after its branch went.  Then all that it needs
 * and that no ref has is renewed first; the same holds for the large files its pointers name.
 */
#include "git/lfs_pointer.h"
#include "git/reach.h"
#include "store/file.h"
#include "store/object.h"
#include "store/ref.h"
#include <stdlib.h>
#include <string.h>

static const struct err_info gone = {
    404, "RevisionNotFound", STR_INIT("Parts of this old revision were cleared away."), NULL, {0}};

struct files {
    sha256 *items;
    size_t count, room;
};

static void files_free(struct files *f)
{
    free(f->items);
}

static err add_pointer(struct arena *scratch, struct odb *o, oid id, struct files *f)
{
    enum obj_type type;
    struct lfs_pointer p;
    uint64_t size;
    bool found;
    str data;

    TRY(odb_header(o, scratch, id, &type, &size, &found));
    if (!found || type != OBJ_BLOB || size > LFS_POINTER_MAX)
        return OK;
    TRY(odb_read(o, scratch, id, OBJ_BLOB, &data));
    if (!lfs_pointer_parse(data, &p))
        return OK;
    if (f->count == f->room) {
        f->room = f->room ? f->room * 2 : 64;
        f->items = reallocarray(f->items, f->room, sizeof *f->items);
        if (!f->items)
            abort();
    }
    f->items[f->count++] = p.oid;
    return OK;
}

static err renew(struct store *s, struct arena *scratch, int64_t repo_id, struct odb *o,
                 const struct reach_query *q)
{
    AUTO_OIDS struct oid_list ids = {0};
    __attribute__((cleanup(files_free))) struct files files = {0};
    size_t missing;
    err e = reach_list(o, scratch, q, &ids);

    if (e && e->code && strcmp(e->code, "ObjectMissing") == 0)
        return &gone;
    TRY(e);
    TRY(object_renew(s, repo_id, ids.ids, ids.count, &missing));
    if (missing)
        return &gone;
    for (size_t i = 0; i < ids.count; i++) {
        struct arena_mark m = arena_mark(scratch);

        TRY(add_pointer(scratch, o, ids.ids[i], &files));
        arena_rewind(scratch, m);
    }
    return repo_file_use(s->hub, repo_id, files.items, files.count, &missing); /* or never had */
}

err ref_keep(struct store *s, struct arena *a, const struct repo *r, struct odb *o, oid tip)
{
    struct reach_query q = {
        .wants = &tip, .want_count = 1, .filter = REACH_ALL, .check_blobs = true};
    struct arena *scratch;
    struct ref_list refs;
    oid *haves;
    err e;

    TRY(ref_list(s->hub, a, r->id, &refs));
    haves = arena_many(a, oid, refs.count + 1);
    for (size_t i = 0; i < refs.count; i++) {
        if (sha1_eq(refs.items[i].oid, tip) || sha1_eq(refs.items[i].peeled, tip))
            return OK; /* the usual case */
        haves[i] = refs.items[i].peeled;
    }
    q.haves = haves;
    q.have_count = refs.count;
    scratch = arena_new(0);
    e = err_copy(a, renew(s, scratch, r->id, o, &q));
    arena_free(scratch);
    return e;
}
