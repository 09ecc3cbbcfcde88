/* rewrite.c — see rewrite.h.
 *
 *   refs → pointer blobs of the files → each commit, parents first: tree filtered, parents mapped
 *     → objects durable → one transaction: refs (compare-and-swap), branch_file, repo_file
 *
 * Old id → new id is remembered for trees and commits, so each is looked at once, and memory is
 * some 60 bytes for each.  An attempt whose refs moved meanwhile starts anew.
 */
#include "store/rewrite.h"
#include "base/buf.h"
#include "git/lfs_pointer.h"
#include "git/object.h"
#include "git/tree.h"
#include "git/walk.h"
#include "store/commit.h"
#include "store/file.h"
#include "store/object.h"
#include "store/ref_move.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 10
#define BLOBS_PAGE 1000
#define UNCHANGED UINT32_MAX

static const struct sql SMALL_BLOBS =
    SQL_INIT("SELECT oid FROM object WHERE repo_id = ?1 AND oid > ?2 AND type = 3 AND size <= ?3 "
             "ORDER BY oid LIMIT ?4");

static const struct err_info refs_changed = {409, NULL, STR_INIT("The refs changed."), NULL, {0}};
static const struct err_info contention = {
    503, NULL, STR_INIT("This repository is changing too fast; try again."), NULL, {0}};
static const struct err_info too_long = {
    507, NULL, STR_INIT("The history of this repository is too long to be rewritten."), NULL, {0}};

struct rewrite {
    struct store *store;
    const struct repo *repo;
    sha256 *files; /* sorted */
    size_t file_count;

    /* of one attempt */
    struct arena *a, *scratch; /* scratch: one commit at a time */
    struct odb *odb;
    struct oid_map doomed;         /* the pointer blobs */
    struct oid_map trees, commits; /* old id → position + 1 in `made`, or UNCHANGED */
    struct oid_list made;          /* zero: nothing is left of a folder */
    struct oid_list path;          /* commits that wait for their parents */
    struct ref_list refs;
    oid *targets; /* where each of `refs` goes */
};

static void forget_attempt(struct rewrite *w)
{
    oid_map_free(&w->doomed);
    oid_map_free(&w->trees);
    oid_map_free(&w->commits);
    oid_list_free(&w->made);
    oid_list_free(&w->path);
    arena_reset(w->scratch);
    arena_reset(w->a);
}

/* --- old id → new id --- */

static bool memo_get(const struct rewrite *w, const struct oid_map *m, oid id, oid *ret)
{
    const uint32_t *at = oid_map_get(m, id);

    if (!at)
        return false;
    *ret = *at == UNCHANGED ? id : w->made.ids[*at - 1];
    return true;
}

static void memo_put(struct rewrite *w, struct oid_map *m, oid id, oid now)
{
    bool is_new;
    uint32_t *at = oid_map_put(m, id, &is_new);

    assert(is_new && w->made.count < UNCHANGED - 1);
    if (sha1_eq(id, now)) {
        *at = UNCHANGED;
        return;
    }
    oid_list_add(&w->made, now);
    *at = (uint32_t)w->made.count;
}

/* --- which blobs are pointers to the files --- */

static int order_sha256(const void *x, const void *y)
{
    return memcmp(x, y, sizeof(sha256));
}

static err note_pointer(struct rewrite *w, oid id)
{
    struct lfs_pointer p;
    str data;

    TRY(odb_read(w->odb, w->scratch, id, OBJ_BLOB, &data));
    if (lfs_pointer_parse(data, &p) &&
        bsearch(&p.oid, w->files, w->file_count, sizeof *w->files, order_sha256))
        oid_set_add(&w->doomed, id);
    return OK;
}

static err small_blobs(struct rewrite *w, oid after, bool is_first, struct oid_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    oid id;

    ret->count = 0;
    TRY(db_query(w->store->git, &q, SMALL_BLOBS));
    db_bind_i64(q, 1, w->repo->id);
    db_bind_blob(q, 2, (str){(const char *)after.b, is_first ? 0 : sizeof after.b});
    db_bind_i64(q, 3, LFS_POINTER_MAX);
    db_bind_i64(q, 4, BLOBS_PAGE);
    while (db_next(q))
        if (db_hash(q, 0, id.b, sizeof id.b))
            oid_list_add(ret, id);
    return db_error(q);
}

static err find_pointers(struct rewrite *w)
{
    AUTO_OIDS struct oid_list page = {0};
    oid last = OID_ZERO;

    for (bool is_first = true; is_first || page.count == BLOBS_PAGE; is_first = false) {
        TRY(small_blobs(w, last, is_first, &page));
        arena_reset(w->scratch);
        for (size_t i = 0; i < page.count; i++)
            TRY(note_pointer(w, page.ids[i]));
        if (page.count > 0)
            last = page.ids[page.count - 1];
    }
    return OK;
}

/* --- trees --- */

/* As deep as the folders are nested, TREE_MAX_DEPTH at most.
 * NOLINTNEXTLINE(misc-no-recursion) */
static err filter_tree(struct rewrite *w, oid id, unsigned depth, oid *ret)
{
    struct arena_mark m = arena_mark(w->scratch);
    struct tree_entry *entries;
    size_t count, kept = 0;
    bool changed = false;

    if (memo_get(w, &w->trees, id, ret))
        return OK;
    if (depth > TREE_MAX_DEPTH)
        return obj_damaged(w->scratch, id, "its folders are nested too deeply");
    TRY(tree_entries(w->odb, w->scratch, id, &entries, &count));
    for (size_t i = 0; i < count; i++) {
        struct tree_entry e = entries[i];
        bool gone = mode_is_blob(e.mode) && (e.mode & 0170000) != MODE_LINK &&
                    oid_set_has(&w->doomed, e.id);

        if (mode_is_dir(e.mode)) {
            TRY(filter_tree(w, e.id, depth + 1, &e.id));
            gone = sha1_is_zero(e.id);
        }
        changed |= gone || !sha1_eq(e.id, entries[i].id);
        if (!gone)
            entries[kept++] = e;
    }
    *ret = id;
    if (changed && kept == 0)
        *ret = OID_ZERO;
    else if (changed)
        TRY(odb_write(w->odb, w->scratch, OBJ_TREE, tree_format(w->scratch, entries, kept), ret));
    arena_rewind(w->scratch, m);
    memo_put(w, &w->trees, id, *ret);
    return OK;
}

/* --- commits --- */

/* Appends header lines and message of a commit or tag from `s` on, without its signatures. */
static void add_unsigned(struct buf *b, str s)
{
    static const str dropped[] = {STR_INIT("gpgsig "), STR_INIT("gpgsig-sha256 "),
                                  STR_INIT("mergetag ")};
    bool dropping = false;

    while (s.len > 0 && s.ptr[0] != '\n') { /* the blank line ends the header */
        ptrdiff_t end = str_find(s, '\n');
        str line = end < 0 ? s : str_first(s, (size_t)end + 1);

        if (line.ptr[0] != ' ') { /* else it goes on with the line before */
            dropping = false;
            for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
                dropping |= str_starts(line, dropped[i]);
        }
        if (!dropping)
            buf_add(b, line);
        s = str_from(s, line.len);
    }
    buf_add(b, s);
}

static void skip_line(str *s)
{
    (void)str_cut(s, '\n');
}

static void add_id(struct buf *b, struct arena *a, const char *word, oid id)
{
    buf_add(b, arena_cat(a, str_c(word), STR(" "), sha1_hex(a, id), STR("\n")));
}

/* The bytes of the commit `data` (parsed: c) with another tree and other parents. */
static err write_commit(struct rewrite *w, str data, const struct commit_obj *c, oid tree,
                        const oid *parents, oid *ret)
{
    AUTO_BUF struct buf b = BUF(ODB_MAX_OBJECT);

    skip_line(&data);
    add_id(&b, w->scratch, "tree", tree);
    for (size_t i = 0; i < c->parent_count; i++) {
        skip_line(&data);
        add_id(&b, w->scratch, "parent", parents[i]);
    }
    add_unsigned(&b, data);
    assert(!b.full); /* never longer than what was read */
    return odb_write(w->odb, w->scratch, OBJ_COMMIT, buf_str(&b), ret);
}

/* The parents are known. */
static err rewrite_commit(struct rewrite *w, oid id, str data, const struct commit_obj *c)
{
    oid tree, now = id, *parents = arena_many(w->scratch, oid, c->parent_count + 1);
    bool changed;

    TRY(filter_tree(w, c->tree, 0, &tree));
    if (sha1_is_zero(tree))
        TRY(odb_write(w->odb, w->scratch, OBJ_TREE, STR_NONE, &tree));
    changed = !sha1_eq(tree, c->tree);
    for (size_t i = 0; i < c->parent_count; i++) {
        bool known = memo_get(w, &w->commits, c->parents[i], &parents[i]);

        assert(known);
        (void)known;
        changed |= !sha1_eq(parents[i], c->parents[i]);
    }
    if (changed)
        TRY(write_commit(w, data, c, tree, parents, &now));
    memo_put(w, &w->commits, id, now);
    return OK;
}

/* A parent that was not looked at yet; false: all were. */
static bool parent_to_do(const struct rewrite *w, const struct commit_obj *c, oid *ret)
{
    for (size_t i = 0; i < c->parent_count; i++)
        if (!oid_map_get(&w->commits, c->parents[i])) {
            *ret = c->parents[i];
            return true;
        }
    return false;
}

/* Parents before children: `path` is a line from the tip down to what is looked at next. */
static err rewrite_history(struct rewrite *w, oid tip, oid *ret)
{
    struct commit_obj c;
    oid id = tip, parent;
    str data;

    w->path.count = 0;
    while (!memo_get(w, &w->commits, tip, ret)) {
        arena_reset(w->scratch);
        TRY(odb_read(w->odb, w->scratch, id, OBJ_COMMIT, &data));
        if (!commit_parse(w->scratch, data, &c))
            return obj_damaged(w->scratch, id, "it is no well-formed commit");
        if (parent_to_do(w, &c, &parent)) {
            oid_list_add(&w->path, id);
            id = parent;
            continue;
        }
        TRY(rewrite_commit(w, id, data, &c));
        if (w->commits.count > WALK_MAX_COMMITS)
            return &too_long;
        if (w->path.count > 0)
            id = w->path.ids[--w->path.count];
    }
    return OK;
}

/* --- refs --- */

/* A signed tag has its signature at the end of the message. */
static str unsigned_message(str data)
{
    static const str marks[] = {STR_INIT("\n-----BEGIN PGP SIGNATURE-----"),
                                STR_INIT("\n-----BEGIN SSH SIGNATURE-----"),
                                STR_INIT("\n-----BEGIN SIGNED MESSAGE-----")};

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *at = data.len ? memmem(data.ptr, data.len, marks[i].ptr, marks[i].len) : NULL;

        if (at)
            data.len = (size_t)(at - data.ptr) + 1;
    }
    return data;
}

static err write_tag(struct rewrite *w, str data, oid target, oid *ret)
{
    AUTO_BUF struct buf b = BUF(ODB_MAX_OBJECT);

    skip_line(&data);
    add_id(&b, w->a, "object", target);
    add_unsigned(&b, unsigned_message(data));
    assert(!b.full);
    return odb_write(w->odb, w->a, OBJ_TAG, buf_str(&b), ret);
}

/* A commit, or a tag of one, or a tag of a tag …
 * NOLINTNEXTLINE(misc-no-recursion) */
static err rewrite_target(struct rewrite *w, oid id, unsigned depth, oid *ret)
{
    enum obj_type type;
    struct tag_obj tag;
    oid target;
    str data;

    TRY(odb_read_any(w->odb, w->a, id, &type, &data));
    if (type == OBJ_COMMIT)
        return rewrite_history(w, id, ret);
    *ret = id;
    if (type != OBJ_TAG || depth > TAG_MAX_CHAIN)
        return OK;
    if (!tag_parse(data, &tag))
        return obj_damaged(w->a, id, "it is no well-formed tag");
    TRY(rewrite_target(w, tag.target, depth + 1, &target));
    return sha1_eq(target, tag.target) ? OK : write_tag(w, data, target, ret);
}

/* In the transaction, after the refs moved: no other ref came, went or moved since we read them,
 * so none leads to the files any more. */
static err take_files(struct db *tx, void *arg)
{
    struct rewrite *w = arg;
    struct ref_list now;

    TRY(ref_list(tx, w->a, w->repo->id, &now));
    if (now.count != w->refs.count)
        return &refs_changed;
    for (size_t i = 0; i < now.count; i++)
        if (!str_eq(now.items[i].name, w->refs.items[i].name) ||
            !sha1_eq(now.items[i].oid, w->targets[i]))
            return &refs_changed;
    return repo_file_forget(tx, w->repo->id, w->files, w->file_count);
}

static err prepare_moves(struct rewrite *w, struct ref_move **moves, size_t *ret_count)
{
    size_t n = 0;

    for (size_t i = 0; i < w->refs.count; i++) {
        const struct ref *ref = &w->refs.items[i];
        struct ref_change change = {ref->name, ref->oid, ref->oid};

        if (w->doomed.count > 0)
            TRY(rewrite_target(w, ref->oid, 0, &change.new_oid));
        w->targets[i] = change.new_oid;
        if (!sha1_eq(change.new_oid, ref->oid))
            TRY(ref_move_prepare(w->store, w->a, w->repo, w->odb, &change, &moves[n++]));
    }
    *ret_count = n;
    return OK;
}

static err attempt(struct rewrite *w, bool *ret_moved)
{
    struct ref_move **moves;
    size_t count;
    err e;

    w->odb = object_odb(w->store, w->a, w->repo->id);
    TRY(ref_list(w->store->hub, w->a, w->repo->id, &w->refs));
    w->targets = arena_many(w->a, oid, w->refs.count + 1);
    moves = arena_many(w->a, struct ref_move *, w->refs.count + 1);
    TRY(find_pointers(w));
    TRY(prepare_moves(w, moves, &count));
    TRY(object_flush(w->odb));
    e = ref_move_run(w->store, moves, count, take_files, w, ret_moved);
    *ret_moved |= e == &refs_changed;
    return *ret_moved ? OK : e;
}

err rewrite_without(struct store *s, struct arena *a, const struct repo *r, const sha256 *files,
                    size_t count)
{
    struct rewrite w = {.store = s, .repo = r, .file_count = count};
    bool moved = true;
    err e = OK;

    w.files = arena_many(a, sha256, count + 1);
    if (count > 0)
        memcpy(w.files, files, count * sizeof *files);
    qsort(w.files, count, sizeof *files, order_sha256);
    w.a = arena_new(0);
    w.scratch = arena_new(0);
    for (int i = 0; moved && !e && i < ATTEMPTS_MAX; i++) {
        moved = false;
        commit_lock(s, r->id);
        e = err_copy(a, attempt(&w, &moved));
        commit_unlock(s, r->id);
        forget_attempt(&w);
    }
    arena_free(w.scratch);
    arena_free(w.a);
    return e ?: moved ? &contention : OK;
}
