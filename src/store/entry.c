/* entry.c — what stands at a revision.
 *
 * The head of a branch is read from branch_file, one indexed query per page.  Any other revision
 * walks its git trees; only the entries of the page are looked at closer (size, LFS pointer).
 *
 * key: the path, with '/' behind a folder's, so that byte order is git's order and everything
 * below folder P lies in (P/, P0) — '0' follows '/'.
 */
#include "git/lfs_pointer.h"
#include "git/object.h"
#include "git/tree.h"
#include "store/object.h"
#include "store/ref.h"
#include <string.h>

#define ENTRY_COLS "key, mode, oid, size, sha256, pointer_size, last_commit"
static const struct sql HEAD_IS = SQL_INIT("SELECT 1 FROM ref WHERE id = ?1 AND peeled = ?2");
/* No row when the branch is elsewhere; a row of NULLs when it has no such file.  The index names
 * the row, and the row says itself which file it is: a damaged index gives no other file. */
static const struct sql ONE =
    SQL_INIT("SELECT t.key, t.mode, t.oid, t.size, t.sha256, t.pointer_size, t.last_commit, "
             "i.key, t.ref_id FROM (SELECT id AS branch_id FROM ref WHERE id = ?1 AND peeled = ?2) "
             "AS branch LEFT JOIN branch_file AS i ON i.ref_id = branch_id AND i.key IN (?3, ?4) "
             "LEFT JOIN branch_file AS t ON t.id = i.id LIMIT 1");
static const struct err_info odd_row = {
    500,
    "DataCorrupt",
    STR_INIT("The list of files of this branch is damaged; hearth fsck --repair "
             "makes it anew."),
    NULL,
    {0}};
static const struct sql FOLDER = SQL_INIT(
    "SELECT " ENTRY_COLS
    " FROM branch_file WHERE ref_id = ?1 AND parent = ?2 AND key > ?3 ORDER BY key LIMIT ?4");
static const struct sql BELOW =
    SQL_INIT("SELECT " ENTRY_COLS
             " FROM branch_file WHERE ref_id = ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4");
static const struct sql SIZE_BELOW = SQL_INIT(
    "SELECT coalesce(sum(size), 0) FROM branch_file WHERE ref_id = ?1 AND key >= ?2 AND key < ?3");

static const struct err_info not_found = {
    404, "EntryNotFound", STR_INIT("Entry not found"), NULL, {0}};

static struct entry read_entry(struct db_stmt *q, struct arena *a)
{
    struct entry e = {
        .path = db_blob(q, 0, a),
        .mode = (uint32_t)db_i64(q, 1),
        .size = (uint64_t)db_i64(q, 3),
        .is_lfs = !db_is_null(q, 4),
        .pointer_size = (uint64_t)db_i64(q, 5),
        .has_last_commit = true,
    };

    db_hash(q, 2, e.oid.b, sizeof e.oid.b);
    if (e.is_lfs)
        db_hash(q, 4, e.lfs.b, sizeof e.lfs.b);
    db_hash(q, 6, e.last_commit.b, sizeof e.last_commit.b);
    if (ENTRY_IS_DIR(&e))
        e.path.len--; /* the slash of its key */
    return e;
}

static void list_add(struct arena *a, struct entry_list *l, struct entry e)
{
    /* doubling: full whenever the count is a power of two */
    if ((l->count & (l->count - 1)) == 0) {
        struct entry *wider = arena_many(a, struct entry, l->count ? l->count * 2 : 1);

        if (l->count)
            memcpy(wider, l->items, l->count * sizeof *wider);
        l->items = wider;
    }
    l->items[l->count++] = e;
}

/* --- the head of a branch --- */

struct branch_args {
    struct arena *a;
    const struct revision *rev;
    const struct entry_query *q;
    struct entry_list list;
    uint64_t bytes;
    bool moved; /* the branch is elsewhere by now: walk git */
};

static err check_head(struct db *db, struct branch_args *b)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, HEAD_IS));
    db_bind_i64(q, 1, b->rev->branch_id);
    db_bind_hash(q, 2, b->rev->commit);
    b->moved = !db_next(q);
    return db_error(q);
}

static err branch_page(struct db *db, void *arg)
{
    struct branch_args *b = arg;
    const struct entry_query *p = b->q;
    str first = p->path.len ? arena_cat(b->a, p->path, STR("/")) : STR("");
    str last = p->path.len ? arena_cat(b->a, p->path, STR("0")) : STR("\xff\xff\xff\xff");
    AUTO_STMT struct db_stmt *q = NULL;

    b->list = (struct entry_list){0};
    TRY(check_head(db, b));
    if (b->moved)
        return OK;
    if (p->after.ptr && str_cmp(p->after, first) > 0)
        first = p->after;
    TRY(db_query(db, &q, p->recursive ? BELOW : FOLDER));
    db_bind_i64(q, 1, b->rev->branch_id);
    if (p->recursive) {
        db_bind_blob(q, 2, first);
        db_bind_blob(q, 3, last);
    } else {
        db_bind_blob(q, 2, p->path.ptr ? p->path : STR(""));
        db_bind_blob(q, 3, first);
    }
    db_bind_i64(q, 4, (int64_t)p->limit + 1);
    while (b->list.count < p->limit && db_next(q))
        list_add(b->a, &b->list, read_entry(q, b->a));
    if (b->list.count == p->limit)
        b->list.more = db_next(q);
    return db_error(q);
}

/* One statement, so what it finds is of rev->commit. */
static err branch_find(struct store *s, struct arena *a, const struct revision *rev, str path,
                       struct entry *ret, bool *ret_found, bool *ret_moved)
{
    bool is_key = str_ends(path, STR("/")); /* the slash belongs to the key, not to the path */
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(s->hub, &q, ONE));
    db_bind_i64(q, 1, rev->branch_id);
    db_bind_hash(q, 2, rev->commit);
    if (is_key) {
        db_bind_null(q, 3);
        db_bind_null(q, 4);
    } else {
        db_bind_blob(q, 3, path);
        db_bind_blob(q, 4, arena_cat(a, path, STR("/")));
    }
    *ret_moved = !db_next(q);
    *ret_found = !*ret_moved && !db_is_null(q, 7);
    if (*ret_found && (!str_eq(db_view(q, 0), db_view(q, 7)) || db_i64(q, 8) != rev->branch_id))
        return &odd_row;
    if (*ret_found)
        *ret = read_entry(q, a);
    return db_error(q);
}

/* --- any revision: git's trees --- */

/* The real size of a file, and whether it is a pointer to a large one. */
static err look_closer(struct odb *o, struct arena *a, struct entry *e)
{
    enum obj_type type;
    bool found;
    str data;

    if (!mode_is_blob(e->mode))
        return OK;
    TRY(odb_header(o, a, e->oid, &type, &e->size, &found));
    if (!found)
        return obj_missing(a, e->oid);
    if (e->size > LFS_POINTER_MAX || (e->mode & 0170000) == MODE_LINK)
        return OK;
    TRY(odb_read(o, a, e->oid, OBJ_BLOB, &data));
    struct lfs_pointer p;

    if (lfs_pointer_parse(data, &p)) {
        e->is_lfs = true;
        e->lfs = p.oid;
        e->pointer_size = e->size;
        e->size = p.size;
    }
    return OK;
}

static err root_of(struct odb *o, struct arena *a, oid commit, oid *ret)
{
    struct commit_obj c;

    TRY(commit_read(o, a, commit, &c));
    *ret = c.tree;
    return OK;
}

struct tree_walk {
    struct odb *o;
    struct arena *a;
    const struct entry_query *q;
    struct entry_list *list;
    unsigned depth;
};

static err walk_folder(struct tree_walk *w, str prefix, oid tree)
{
    struct tree_entry *entries;
    size_t count;

    if (w->depth++ > TREE_MAX_DEPTH)
        return obj_damaged(w->a, tree, "folders nested too deep");
    TRY(tree_entries(w->o, w->a, tree, &entries, &count));
    for (size_t i = 0; i < count && !w->list->more; i++) {
        struct entry e = {.mode = entries[i].mode, .oid = entries[i].id};
        bool is_dir = mode_is_dir(e.mode);
        str key;

        e.path = prefix.len ? arena_cat(w->a, prefix, STR("/"), entries[i].name) : entries[i].name;
        key = is_dir ? arena_cat(w->a, e.path, STR("/")) : e.path;
        if (!w->q->after.ptr || str_cmp(key, w->q->after) > 0) {
            if (w->list->count == w->q->limit) {
                w->list->more = true;
                break;
            }
            list_add(w->a, w->list, e);
        }
        /* a folder before the cursor is entered only when the cursor lies in it */
        if (is_dir && w->q->recursive &&
            (!w->q->after.ptr || str_cmp(key, w->q->after) > 0 || str_starts(w->q->after, key)))
            TRY(walk_folder(w, e.path, e.oid));
    }
    w->depth--;
    return OK;
}

static err git_list(struct store *s, struct arena *a, const struct repo *r,
                    const struct revision *rev, const struct entry_query *q, struct entry_list *ret)
{
    struct odb *o = object_odb(s, a, r->id);
    struct tree_entry folder;
    struct tree_walk w = {o, a, q, ret, 0};
    bool found = true;
    oid root;

    TRY(root_of(o, a, rev->commit, &root));
    if (q->path.len) {
        TRY(tree_find(o, a, root, q->path, &folder, &found));
        if (!found || !mode_is_dir(folder.mode))
            return &not_found;
        root = folder.id;
    }
    TRY(walk_folder(&w, q->path, root));
    for (size_t i = 0; i < ret->count; i++)
        TRY(look_closer(o, a, &ret->items[i]));
    return OK;
}

static err git_find(struct store *s, struct arena *a, const struct repo *r,
                    const struct revision *rev, str path, struct entry *ret, bool *ret_found)
{
    struct odb *o = object_odb(s, a, r->id);
    struct tree_entry t;
    oid root;

    TRY(root_of(o, a, rev->commit, &root));
    TRY(tree_find(o, a, root, path, &t, ret_found));
    if (!*ret_found)
        return OK;
    *ret = (struct entry){.path = path, .mode = t.mode, .oid = t.id};
    return look_closer(o, a, ret);
}

/* --- either --- */

err entry_find(struct store *s, struct arena *a, const struct repo *r, const struct revision *rev,
               str path, struct entry *ret, bool *ret_found)
{
    bool moved = true;

    if (path.len == 0) {
        *ret = (struct entry){.path = STR(""), .mode = MODE_DIR};
        *ret_found = true;
        return root_of(object_odb(s, a, r->id), a, rev->commit, &ret->oid);
    }
    if (rev->branch_id)
        TRY(branch_find(s, a, rev, path, ret, ret_found, &moved));
    if (!moved)
        return OK;
    return git_find(s, a, r, rev, path, ret, ret_found);
}

err entry_list(struct store *s, struct arena *a, const struct repo *r, const struct revision *rev,
               const struct entry_query *q, struct entry_list *ret)
{
    struct branch_args b = {.a = a, .rev = rev, .q = q, .moved = true};
    struct entry_list list = {0};

    if (rev->branch_id)
        TRY(db_read(s->hub, branch_page, &b));
    if (b.moved) {
        TRY(git_list(s, a, r, rev, q, &list));
        b.list = list;
    }
    if (b.list.count == 0 && q->path.len) { /* an empty page, or no folder at all? */
        struct entry folder;
        bool found;

        TRY(entry_find(s, a, r, rev, q->path, &folder, &found));
        if (!found || !ENTRY_IS_DIR(&folder))
            return &not_found;
    }
    *ret = b.list;
    return OK;
}

static err branch_size(struct db *db, void *arg)
{
    struct branch_args *b = arg;
    str path = b->q->path;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(check_head(db, b));
    if (b->moved)
        return OK;
    TRY(db_query(db, &q, SIZE_BELOW));
    db_bind_i64(q, 1, b->rev->branch_id);
    db_bind_blob(q, 2, path.len ? arena_cat(b->a, path, STR("/")) : STR(""));
    db_bind_blob(q, 3, path.len ? arena_cat(b->a, path, STR("0")) : STR("\xff\xff\xff\xff"));
    if (db_next(q))
        b->bytes = (uint64_t)db_i64(q, 0);
    return db_error(q);
}

err entry_size(struct store *s, struct arena *a, const struct repo *r, const struct revision *rev,
               str path, uint64_t *ret_bytes)
{
    struct entry_query q = {.path = path, .recursive = true, .limit = 1000};
    struct branch_args b = {.a = a, .rev = rev, .q = &q, .moved = true};
    struct entry_list list;
    struct entry e;
    bool found;

    TRY(entry_find(s, a, r, rev, path, &e, &found));
    if (!found)
        return &not_found;
    *ret_bytes = e.size;
    if (!ENTRY_IS_DIR(&e))
        return OK;
    if (rev->branch_id)
        TRY(db_read(s->hub, branch_size, &b));
    for (bool more = b.moved; more; more = list.more) {
        struct arena_mark m = arena_mark(a);

        list = (struct entry_list){0};
        TRY(git_list(s, a, r, rev, &q, &list));
        for (size_t i = 0; i < list.count; i++)
            b.bytes += list.items[i].size;
        if (!list.more) {
            arena_rewind(a, m);
            break;
        }
        q.after = ENTRY_IS_DIR(&list.items[list.count - 1])
                      ? arena_cat(a, list.items[list.count - 1].path, STR("/"))
                      : list.items[list.count - 1].path;
    }
    *ret_bytes = b.bytes;
    return OK;
}
