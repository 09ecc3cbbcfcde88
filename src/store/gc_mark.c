/* gc_mark.c — see gc_mark.h.  Commits wait in a list, trees are walked down at once. */
#include "store/gc_mark.h"
#include "base/io.h"
#include "cas/bytes.h"
#include "git/lfs_pointer.h"
#include "git/object.h"
#include "git/tree.h"
#include "store/object.h"
#include "store/xorb.h"
#include <string.h>

#define BLOBS_PAGE 1000

static const struct sql REFS =
    SQL_INIT("SELECT name, oid FROM ref WHERE repo_id = ?1 ORDER BY name");
static const struct sql SMALL_BLOBS =
    SQL_INIT("SELECT oid FROM object WHERE repo_id = ?1 AND oid > ?2 AND type = 3 AND size <= ?3 "
             "ORDER BY oid LIMIT ?4");

/* --- the set --- */

static size_t slot_of(const struct oid_bag *b, oid id)
{
    uint64_t h = (load_u64(id.b) ^ b->seed) * 0x9e3779b97f4a7c15u;

    h = (h ^ (h >> 29) ^ load_u64(id.b + 8)) * 0xbf58476d1ce4e5b9u;
    for (size_t i = (size_t)(h >> 20) & (b->cap - 1);; i = (i + 1) & (b->cap - 1))
        if (sha1_is_zero(b->slots[i]) || sha1_eq(b->slots[i], id))
            return i;
}

static void bag_size(struct oid_bag *b, size_t objects)
{
    struct oid_bag old = *b;

    if (!old.cap)
        random_bytes(&b->seed, sizeof b->seed);
    for (b->cap = 1024; b->cap / 4 * 3 <= objects;)
        b->cap *= 2;
    b->slots = need(calloc(b->cap, sizeof *b->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (!sha1_is_zero(old.slots[i]))
            b->slots[slot_of(b, old.slots[i])] = old.slots[i];
    free(old.slots);
}

/* False when it was there already.  Nothing has the zero id. */
static bool bag_add(struct oid_bag *b, oid id)
{
    size_t i;

    if (b->count >= b->cap / 4 * 3)
        bag_size(b, b->count * 2);
    i = slot_of(b, id);
    if (sha1_is_zero(id) || !sha1_is_zero(b->slots[i]))
        return false;
    b->slots[i] = id;
    b->count++;
    return true;
}

bool oid_bag_has(const struct oid_bag *b, oid id)
{
    return b->cap && !sha1_is_zero(id) && !sha1_is_zero(b->slots[slot_of(b, id)]);
}

void mark_free(struct mark *m)
{
    free(m->seen.slots);
    free(m->files);
    oid_list_free(&m->todo);
}

/* --- refs --- */

err refs_read(struct store *s, int64_t repo_id, const struct oid_bag *seen, sha256 *ret,
              struct oid_list *tips)
{
    struct hasher *h = sha256_new();
    struct db_stmt *q = NULL;
    err e = db_query(s->hub, &q, REFS);

    if (!e) {
        db_bind_i64(q, 1, repo_id);
        while (db_next(q)) {
            str name = db_view(q, 0);
            oid id;

            db_hash(q, 1, id.b, sizeof id.b); /* zero when damaged: no object has that name */
            hasher_add(h, name.ptr, name.len);
            hasher_add(h, "", 1);
            hasher_add(h, id.b, sizeof id.b);
            if (!seen || !oid_bag_has(seen, id))
                oid_list_add(tips, id);
        }
        e = db_error(q);
        db_stmt_close(&q);
    }
    *ret = sha256_end(h);
    return e;
}

/* --- marking --- */

/* As deep as the folders are nested.  NOLINTNEXTLINE(misc-no-recursion) */
static err mark_tree(struct mark *m, oid id, unsigned depth)
{
    struct arena_mark am = arena_mark(m->a);
    struct tree_iter it;
    struct tree_entry e;
    str data;

    if (!bag_add(&m->seen, id) || sha1_eq(id, oid_empty_tree))
        return OK;
    if (depth > TREE_MAX_DEPTH)
        return obj_damaged(m->a, id, "the folders are nested too deeply");
    TRY(odb_read(m->odb, m->a, id, OBJ_TREE, &data));
    for (it = tree_iter(data); tree_next(&it, &e);) {
        if (mode_is_dir(e.mode))
            TRY(mark_tree(m, e.id, depth + 1));
        else if (mode_is_blob(e.mode))
            bag_add(&m->seen, e.id);
    }
    if (it.bad)
        return obj_damaged(m->a, id, "it is no well-formed tree");
    arena_rewind(m->a, am);
    return OK;
}

static err mark_commit(struct mark *m, oid id, str data)
{
    struct commit_obj c;

    if (!commit_parse(m->a, data, &c))
        return obj_damaged(m->a, id, "it is no well-formed commit");
    for (size_t i = 0; i < c.parent_count; i++)
        if (!oid_bag_has(&m->seen, c.parents[i]))
            oid_list_add(&m->todo, c.parents[i]);
    return mark_tree(m, c.tree, 0);
}

static err mark_one(struct mark *m, oid id)
{
    enum obj_type type;
    struct tag_obj tag;
    str data;

    if (oid_bag_has(&m->seen, id))
        return OK;
    TRY(odb_read_any(m->odb, m->a, id, &type, &data));
    if (type == OBJ_TREE)
        return mark_tree(m, id, 0);
    bag_add(&m->seen, id);
    if (type == OBJ_COMMIT)
        return mark_commit(m, id, data);
    if (type != OBJ_TAG)
        return OK;
    if (!tag_parse(data, &tag))
        return obj_damaged(m->a, id, "it is no well-formed tag");
    oid_list_add(&m->todo, tag.target);
    return OK;
}

err mark_refs(struct mark *m)
{
    int64_t objects;

    if (!m->seen.cap) {
        TRY(object_count(m->store, m->repo_id, &objects));
        bag_size(&m->seen, (size_t)objects + 1);
    }
    TRY(refs_read(m->store, m->repo_id, &m->seen, &m->refs, &m->todo));
    while (m->todo.count > 0) {
        struct arena_mark am = arena_mark(m->a);

        TRY(mark_one(m, m->todo.ids[--m->todo.count]));
        arena_rewind(m->a, am);
    }
    return OK;
}

/* --- large files --- */

static void add_file(struct mark *m, sha256 h)
{
    if (m->file_count == m->file_room) {
        m->file_room = m->file_room ? m->file_room * 2 : 256;
        m->files = need(reallocarray(m->files, m->file_room, sizeof *m->files));
    }
    m->files[m->file_count++] = h;
}

static err small_blobs(struct mark *m, oid after, bool is_first, struct oid_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    oid id;

    ret->count = 0;
    TRY(db_query(m->store->git, &q, SMALL_BLOBS));
    db_bind_i64(q, 1, m->repo_id);
    db_bind_blob(q, 2, (str){(const char *)after.b, is_first ? 0 : sizeof after.b});
    db_bind_i64(q, 3, LFS_POINTER_MAX);
    db_bind_i64(q, 4, BLOBS_PAGE);
    while (db_next(q))
        if (db_hash(q, 0, id.b, sizeof id.b))
            oid_list_add(ret, id);
    return db_error(q);
}

static int order_sha256(const void *x, const void *y)
{
    return memcmp(x, y, sizeof(sha256));
}

static err note_pointer(struct mark *m, oid id)
{
    struct arena_mark am = arena_mark(m->a);
    struct lfs_pointer p;
    str data;

    TRY(odb_read(m->odb, m->a, id, OBJ_BLOB, &data));
    if (lfs_pointer_parse(data, &p))
        add_file(m, p.oid);
    arena_rewind(m->a, am);
    return OK;
}

err mark_files(struct mark *m)
{
    AUTO_OIDS struct oid_list page = {0};
    oid last = OID_ZERO;

    m->file_count = 0;
    for (bool is_first = true; is_first || page.count == BLOBS_PAGE; is_first = false) {
        TRY(small_blobs(m, last, is_first, &page));
        for (size_t i = 0; i < page.count; i++)
            if (oid_bag_has(&m->seen, page.ids[i]))
                TRY(note_pointer(m, page.ids[i]));
        if (page.count > 0)
            last = page.ids[page.count - 1];
    }
    if (m->file_count > 0)
        qsort(m->files, m->file_count, sizeof *m->files, order_sha256);
    return OK;
}

bool mark_has_file(const struct mark *m, sha256 h)
{
    return m->file_count > 0 &&
           bsearch(&h, m->files, m->file_count, sizeof *m->files, order_sha256) != NULL;
}
