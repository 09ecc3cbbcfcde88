/* tree_edit.c — see tree_edit.h.
 *
 * First the list becomes a tree of nodes that mirrors the paths it names.  A node may carry a
 * `put`: what stands there instead of what the old tree has (mode 0: nothing), as if set before
 * the changes in its children.  Then one recursive pass merges nodes and old folders.
 */
#include "git/tree_edit.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct node {
    str name;
    size_t key;        /* of its children; a new one forgets them */
    size_t parent_key; /* the key that its parent had */
    struct node *next_sibling, *first_child;
    struct node *next_in_bucket;
    unsigned child_count;
    bool has_put, was_set; /* was_set: this path, or one below it, was set by the list */
    bool merged;           /* met in the old folder during the merge */
    struct tree_entry put;
};

struct editor {
    struct odb *odb;
    struct arena *a;
    struct node root;
    struct node **buckets; /* children of all nodes, by parent and name */
    size_t bucket_mask;
    size_t last_key;
    struct lookup { /* removals that the old tree must vouch for */
        str path;
    } * lookups;
    size_t lookup_count;
};

static struct node **bucket_of(const struct editor *ed, const struct node *parent, str name)
{
    uint64_t h = (str_hash(name) ^ parent->key) * 0x9e3779b97f4a7c15u;

    return &ed->buckets[(size_t)(h >> 24) & ed->bucket_mask];
}

static struct node *child_find(const struct editor *ed, const struct node *parent, str name)
{
    struct node *n = *bucket_of(ed, parent, name);

    while (n && !(n->parent_key == parent->key && str_eq(n->name, name)))
        n = n->next_in_bucket;
    return n;
}

static struct node *child_add(struct editor *ed, struct node *parent, str name)
{
    struct node *n = child_find(ed, parent, name);
    struct node **bucket = bucket_of(ed, parent, name);

    if (n)
        return n;
    n = arena_one(ed->a, struct node);
    *n = (struct node){.name = name,
                       .key = ++ed->last_key,
                       .parent_key = parent->key,
                       .next_sibling = parent->first_child,
                       .next_in_bucket = *bucket};
    *bucket = n;
    parent->first_child = n;
    parent->child_count++;
    return n;
}

/* Replaces whatever stands at `n`, and forgets the changes below. */
static void put(struct editor *ed, struct node *n, struct tree_entry what)
{
    n->first_child = NULL;
    n->child_count = 0;
    n->key = ++ed->last_key;
    n->has_put = true;
    n->put = what;
}

static void set_path(struct editor *ed, const struct tree_edit *e, str path)
{
    struct node *n = &ed->root;
    str rest = path;

    while (rest.ptr) {
        if (n->has_put && !mode_is_dir(n->put.mode))
            n->put = (struct tree_entry){0}; /* a folder replaces the file */
        n->was_set = true;
        n = child_add(ed, n, str_cut(&rest, '/'));
    }
    n->was_set = true;
    put(ed, n, (struct tree_entry){e->mode, n->name, e->id});
}

static err no_such_file(struct arena *a, str path)
{
    return err_new(a, 404, "EntryNotFound", "A file with this name doesn't exist: %.*s",
                   STR_FMT(path));
}

static err remove_path(struct editor *ed, str path)
{
    struct node *n = &ed->root, *covered = NULL; /* the lowest put above or at the path */
    str rest = path, below = STR_NONE;
    struct tree_entry found;
    bool is_there;

    while (rest.ptr) {
        n = child_add(ed, n, str_cut(&rest, '/'));
        if (n->has_put) {
            covered = n;
            below = rest;
        }
    }
    if (n->was_set || covered == n) {
        ; /* set or removed by this list: removing it (again) is fine */
    } else if (!covered || covered->put.mode == 0) {
        ed->lookups[ed->lookup_count++].path = path; /* it must at least have been there */
    } else if (!mode_is_dir(covered->put.mode)) {
        return no_such_file(ed->a, path);
    } else {
        TRY(tree_find(ed->odb, ed->a, covered->put.id, below, &found, &is_there));
        if (!is_there)
            return no_such_file(ed->a, path);
    }
    put(ed, n, (struct tree_entry){0});
    return OK;
}

/* --- the check of removals against the old tree: one pass over sorted paths --- */

static int order_lookup(const void *x, const void *y)
{
    return str_cmp(((const struct lookup *)x)->path, ((const struct lookup *)y)->path);
}

/* The index of the entry called `name` by its bytes, whatever its kind; names are sorted that way
 * but for folders, so a short table by hash is simplest. */
struct name_table {
    const struct tree_entry *entries;
    uint32_t *slots; /* index + 1 */
    size_t mask;
};

static struct name_table name_table(struct arena *a, const struct tree_entry *entries, size_t count)
{
    size_t cap = 16;

    while (cap < count * 2)
        cap *= 2;
    struct name_table t = {entries, arena_many(a, uint32_t, cap), cap - 1};
    for (size_t i = 0; i < count; i++) {
        size_t s = (size_t)str_hash(entries[i].name) & t.mask;

        while (t.slots[s])
            s = (s + 1) & t.mask;
        t.slots[s] = (uint32_t)i + 1;
    }
    return t;
}

static const struct tree_entry *name_find(const struct name_table *t, str name)
{
    for (size_t s = (size_t)str_hash(name) & t->mask; t->slots[s]; s = (s + 1) & t->mask)
        if (str_eq(t->entries[t->slots[s] - 1].name, name))
            return &t->entries[t->slots[s] - 1];
    return NULL;
}

/* `l` are `count` sorted lookups that share the first `skip` bytes of their paths, which name the
 * folder `id` (mode tells whether it is one). */
static err check_lookups(struct editor *ed, const struct tree_entry *dir, const struct lookup *l,
                         size_t count, size_t skip)
{
    struct arena_mark m = arena_mark(ed->a);
    struct tree_entry *entries;
    struct name_table table;
    size_t n;

    if (!mode_is_dir(dir->mode) || sha1_is_zero(dir->id))
        return no_such_file(ed->a, l[0].path);
    TRY(tree_entries(ed->odb, ed->a, dir->id, &entries, &n));
    table = name_table(ed->a, entries, n);
    for (size_t i = 0, end; i < count; i = end) {
        str rest = str_from(l[i].path, skip), name = str_cut(&rest, '/');
        const struct tree_entry *e = name_find(&table, name);

        if (!e)
            return no_such_file(ed->a, l[i].path);
        for (end = i + 1; end < count; end++) { /* those that go through the same name */
            str other = str_from(l[end].path, skip);

            if (!str_eq(str_cut(&other, '/'), name))
                break;
        }
        for (; i < end && l[i].path.len == skip + name.len; i++)
            ; /* the entry itself: it is there */
        if (i < end)
            TRY(check_lookups(ed, e, l + i, end - i, skip + name.len + 1));
    }
    arena_rewind(ed->a, m);
    return OK;
}

/* --- the merge --- */

static err merge_dir(struct editor *ed, struct node *n, oid old, unsigned depth, oid *ret);

/* What stands at `n` in the end, when the old tree has `old` there (mode 0: nothing). */
static err merge_entry(struct editor *ed, struct node *n, const struct tree_entry *old,
                       unsigned depth, struct tree_entry *ret)
{
    struct tree_entry e = n->has_put ? n->put : *old;

    if (n->child_count > 0) {
        oid dir = mode_is_dir(e.mode) ? e.id : OID_ZERO, merged;

        TRY(merge_dir(ed, n, dir, depth, &merged));
        if (!sha1_is_zero(merged))
            e = (struct tree_entry){MODE_DIR, n->name, merged};
        else if (mode_is_dir(e.mode) || n->was_set)
            e.mode = 0; /* the folder is empty, perhaps after it replaced a file */
    }
    e.name = n->name;
    *ret = e;
    return OK;
}

static int order_entry(const void *x, const void *y)
{
    return tree_order(x, y);
}

/* Both lists are sorted and share no name; the result is sorted. */
static struct tree_entry *interleave(struct arena *a, const struct tree_entry *x, size_t nx,
                                     const struct tree_entry *y, size_t ny)
{
    struct tree_entry *out = arena_many(a, struct tree_entry, nx + ny + 1), *o = out;

    while (nx > 0 || ny > 0)
        if (ny == 0 || (nx > 0 && tree_order(x, y) < 0))
            *o++ = *x++, nx--;
        else
            *o++ = *y++, ny--;
    return out;
}

static err merge_dir(struct editor *ed, struct node *n, oid old, unsigned depth, oid *ret)
{
    struct arena_mark m = arena_mark(ed->a);
    struct tree_entry *entries = NULL, *added, *all;
    size_t count = 0, kept = 0, added_count = 0;

    if (depth > TREE_MAX_DEPTH)
        return err_new(ed->a, 400, "BadPath", "The folders are nested too deeply.");
    if (!sha1_is_zero(old))
        TRY(tree_entries(ed->odb, ed->a, old, &entries, &count));
    added = arena_many(ed->a, struct tree_entry, n->child_count + 1);

    for (size_t i = 0; i < count; i++) {
        struct node *c = child_find(ed, n, entries[i].name);
        struct tree_entry e = entries[i];

        if (c) {
            c->merged = true;
            TRY(merge_entry(ed, c, &entries[i], depth + 1, &e));
        }
        if (e.mode == 0)
            continue;
        if (mode_is_dir(e.mode) == mode_is_dir(entries[i].mode))
            entries[kept++] = e;
        else
            added[added_count++] = e; /* a folder sorts elsewhere than a file */
    }
    for (struct node *c = n->first_child; c; c = c->next_sibling) {
        static const struct tree_entry nothing = {0};

        if (c->merged)
            continue;
        TRY(merge_entry(ed, c, &nothing, depth + 1, &added[added_count]));
        added_count += added[added_count].mode != 0;
    }
    assert(added_count <= n->child_count);
    qsort(added, added_count, sizeof *added, order_entry);
    all = interleave(ed->a, entries, kept, added, added_count);
    *ret = OID_ZERO;
    if (kept + added_count > 0)
        TRY(odb_write(ed->odb, ed->a, OBJ_TREE, tree_format(ed->a, all, kept + added_count), ret));
    arena_rewind(ed->a, m);
    return OK;
}

static size_t parts_of(const struct tree_edit *edits, size_t count)
{
    size_t parts = 0;

    for (size_t i = 0; i < count; i++) {
        parts++;
        for (size_t k = 0; k < edits[i].path.len; k++)
            parts += edits[i].path.ptr[k] == '/';
    }
    return parts;
}

static err plan(struct editor *ed, const struct tree_edit *edits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        str path = edits[i].path;

        str_drop(&path, STR("/"));
        if (!tree_path_safe(path))
            return err_new(ed->a, 400, "BadPath", "This path cannot be stored in git: \"%.*s\".",
                           STR_FMT(str_first(edits[i].path, 300)));
        if (edits[i].is_removal)
            TRY(remove_path(ed, path));
        else
            set_path(ed, &edits[i], path);
    }
    return OK;
}

err tree_edit_apply(struct odb *o, struct arena *a, oid root, const struct tree_edit *edits,
                    size_t count, oid *ret)
{
    struct editor ed = {.odb = o, .a = a};
    struct tree_entry old = {.mode = MODE_DIR, .id = root};
    size_t buckets = 64;
    oid merged;

    if (count > TREE_EDIT_MAX)
        return err_new(a, 413, NULL, "A commit changes at most %d paths.", TREE_EDIT_MAX);
    while (buckets < parts_of(edits, count))
        buckets *= 2;
    ed.buckets = arena_many(a, struct node *, buckets);
    ed.bucket_mask = buckets - 1;
    ed.lookups = arena_many(a, struct lookup, count + 1);
    TRY(plan(&ed, edits, count));
    qsort(ed.lookups, ed.lookup_count, sizeof *ed.lookups, order_lookup);
    if (ed.lookup_count > 0)
        TRY(check_lookups(&ed, &old, ed.lookups, ed.lookup_count, 0));
    TRY(merge_dir(&ed, &ed.root, root, 0, &merged));
    if (sha1_is_zero(merged))
        TRY(odb_write(o, a, OBJ_TREE, STR_NONE, &merged));
    *ret = merged;
    return OK;
}
