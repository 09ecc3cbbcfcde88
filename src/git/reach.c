/* reach.c — see reach.h.
 *
 * Commits come from a walk that hides the haves.  Without haves each tree is read once.  With
 * haves the tree of a commit is read beside that of a parent, and what stands under the same name
 * in both is skipped.  That is right only when the parent's tree is covered: it is there already,
 * or was listed before.  Hence the oldest commit comes first.  So an incremental fetch reads what
 * changed, not whole trees.  An object that moved or came back may be sent again, which does no
 * harm.
 */
#include "git/reach.h"
#include <string.h>

#define MAX_BASES 2
struct bases {
    oid ids[MAX_BASES]; /* of trees; zero: none */
};

struct lister {
    struct odb *odb;
    struct arena *scratch;
    const struct reach_query *q;
    struct oid_map seen;       /* commits, tags, blobs */
    struct oid_map seen_trees; /* with the least depth at which each was met */
    oid have_tree;             /* of one of the haves; or zero */
    struct oid_list commits, trees, blobs;
};

static void lister_free(struct lister *l)
{
    oid_map_free(&l->seen);
    oid_map_free(&l->seen_trees);
    oid_list_free(&l->commits);
    oid_list_free(&l->trees);
    oid_list_free(&l->blobs);
}

bool reach_filter_parse(str s, struct reach_filter *ret)
{
    struct reach_filter f = REACH_ALL;
    uint64_t unit = 1;

    if (str_eq(s, STR("blob:none"))) {
        f.blob_limit = 0;
    } else if (str_skip(&s, STR("blob:limit="))) {
        if (str_drop(&s, STR("k")))
            unit = 1u << 10;
        else if (str_drop(&s, STR("m")))
            unit = 1u << 20;
        else if (str_drop(&s, STR("g")))
            unit = 1u << 30;
        if (!str_u64(s, &f.blob_limit) || __builtin_mul_overflow(f.blob_limit, unit, &f.blob_limit))
            return false;
    } else if (!str_skip(&s, STR("tree:")) || !str_u64(s, &f.tree_depth)) {
        return false;
    }
    *ret = f;
    return true;
}

static err list_add(struct lister *l, struct oid_list *list, oid id)
{
    if (l->seen.count + l->seen_trees.count > REACH_MAX_OBJECTS)
        return err_new(l->scratch, 507, NULL, "This repository has too many objects (over %d).",
                       REACH_MAX_OBJECTS);
    oid_list_add(list, id);
    return OK;
}

static err want_blob(struct lister *l, oid id)
{
    enum obj_type type;
    uint64_t size;
    bool found;

    if (l->q->filter.blob_limit == 0 || !oid_set_add(&l->seen, id))
        return OK;
    if (l->q->check_blobs || l->q->filter.blob_limit != REACH_NO_LIMIT) {
        TRY(odb_header(l->odb, l->scratch, id, &type, &size, &found));
        if (!found || type != OBJ_BLOB)
            return obj_missing(l->scratch, id);
        if (size >= l->q->filter.blob_limit)
            return OK;
    }
    return list_add(l, &l->blobs, id);
}

/* One of the trees beside which another is read. */
struct beside {
    struct tree_iter it;
    struct tree_entry at;
    bool has;
};

/* Opens the trees of `b` that are not zero. */
static err open_bases(struct lister *l, const struct bases *b, struct beside *ret)
{
    for (size_t i = 0; i < MAX_BASES; i++) {
        str data = STR_NONE;

        if (!sha1_is_zero(b->ids[i]))
            TRY(odb_read(l->odb, l->scratch, b->ids[i], OBJ_TREE, &data));
        ret[i].it = tree_iter(data);
        ret[i].has = tree_next(&ret[i].it, &ret[i].at);
    }
    return OK;
}

/* Moves the bases to the place of `e`.  True when one of them has the same there; else *ret is
 * what they have instead. */
static bool in_bases(struct beside *b, const struct tree_entry *e, struct bases *ret)
{
    *ret = (struct bases){0};
    for (size_t i = 0; i < MAX_BASES; i++) {
        while (b[i].has && tree_order(&b[i].at, e) < 0)
            b[i].has = tree_next(&b[i].it, &b[i].at);
        if (!b[i].has || tree_order(&b[i].at, e) != 0)
            continue;
        if (sha1_eq(b[i].at.id, e->id))
            return true;
        ret->ids[i] = b[i].at.id;
    }
    return false;
}

/* Marks a tree as listed; false when that was so already. */
static err mark_tree(struct lister *l, oid id, uint64_t depth, bool *ret_is_new)
{
    bool is_new;
    uint32_t *least = oid_map_put(&l->seen_trees, id, &is_new);

    *ret_is_new = is_new || *least > depth; /* less deep than before: the filter reaches further */
    if (!*ret_is_new)
        return OK;
    *least = (uint32_t)depth;
    return is_new ? list_add(l, &l->trees, id) : OK;
}

/* Lists the tree `id` and what is below, except what a base has in the same place. */
static err want_tree(struct lister *l, oid id, const struct bases *bases, uint64_t depth)
{
    struct arena_mark m = arena_mark(l->scratch);
    struct beside beside[MAX_BASES];
    struct tree_iter it;
    struct tree_entry e;
    bool is_new;
    str data;

    if (depth > TREE_MAX_DEPTH)
        return err_new(l->scratch, 422, "BadTree", "The folders are nested too deeply.");
    if (depth > 0 && depth >= l->q->filter.tree_depth) /* a wanted tree itself is never left out */
        return OK;
    TRY(mark_tree(l, id, depth, &is_new));
    if (!is_new)
        return OK;
    TRY(odb_read(l->odb, l->scratch, id, OBJ_TREE, &data));
    TRY(open_bases(l, bases, beside));

    for (it = tree_iter(data); tree_next(&it, &e);) {
        struct bases below;

        if (in_bases(beside, &e, &below))
            continue;
        if (mode_is_dir(e.mode))
            TRY(want_tree(l, e.id, &below, depth + 1));
        else if (mode_is_blob(e.mode) && depth + 1 < l->q->filter.tree_depth)
            TRY(want_blob(l, e.id));
    }
    if (it.bad)
        return obj_damaged(l->scratch, id, "it is no well-formed tree");
    arena_rewind(l->scratch, m);
    return OK;
}

static err start_wants(struct lister *l, struct walk *w)
{
    for (size_t i = 0; i < l->q->want_count; i++) {
        oid id = l->q->wants[i];

        for (int chain = 0;; chain++) {
            enum obj_type type;
            struct tag_obj tag;
            str data;

            struct arena_mark m = arena_mark(l->scratch);
            uint64_t size;
            bool found;

            TRY(odb_header(l->odb, l->scratch, id, &type, &size, &found));
            if (!found || chain > TAG_MAX_CHAIN)
                return obj_missing(l->scratch, id);
            if (type == OBJ_COMMIT)
                TRY(walk_from(w, id));
            else if (type == OBJ_TREE)
                TRY(want_tree(l, id, &(struct bases){0}, 0));
            else if (type == OBJ_BLOB && oid_set_add(&l->seen, id))
                TRY(list_add(l, &l->blobs, id));
            if (type != OBJ_TAG)
                break;
            if (oid_set_add(&l->seen, id))
                TRY(list_add(l, &l->commits, id));
            TRY(odb_read(l->odb, l->scratch, id, OBJ_TAG, &data));
            if (!tag_parse(data, &tag))
                return obj_damaged(l->scratch, id, "it is no well-formed tag");
            id = tag.target;
            arena_rewind(l->scratch, m);
        }
    }
    return OK;
}

static void cut(struct walk *w, const struct oid_map *cuts)
{
    for (size_t i = 0; cuts && i < cuts->cap; i++)
        if (cuts->slots[i].used)
            walk_cut(w, cuts->slots[i].id);
}

/* Calls walk_hide or walk_from for the haves that are commits here. */
static err start_haves(struct lister *l, struct walk *w, err (*start)(struct walk *, oid))
{
    for (size_t i = 0; i < l->q->have_count; i++) {
        enum obj_type type;
        bool found;
        oid id;

        TRY(object_peel(l->odb, l->scratch, l->q->haves[i], &id, &type, &found));
        if (found && type == OBJ_COMMIT) {
            TRY(start(w, id));
            l->have_tree = walk_look(w, id).tree;
        }
    }
    return OK;
}

/* The whole closure of the haves, for deepening, where it is not closed under ancestry. */
static err closure_of_haves(struct lister *l, struct oid_map *ret)
{
    AUTO_WALK struct walk *w = walk_new(l->odb, l->scratch);

    cut(w, l->q->have_cuts);
    TRY(start_haves(l, w, walk_from));
    for (;;) {
        struct walk_step s;
        bool more;

        TRY(walk_next(w, &s, &more));
        if (!more)
            return OK;
        oid_set_add(ret, s.id);
    }
}

/* Adds a base, up to two different ones. */
static void base_add(struct bases *b, oid tree)
{
    for (size_t i = 0; i < MAX_BASES; i++) {
        if (sha1_eq(b->ids[i], tree))
            return;
        if (sha1_is_zero(b->ids[i])) {
            b->ids[i] = tree;
            return;
        }
    }
}

/* The trees beside which the tree of `s` is read: of parents that are there already, else of those
 * that have been listed, else (where a shallow history ends) of a commit that is there. */
static struct bases bases_of(const struct lister *l, const struct walk *w,
                             const struct oid_map *closure, const struct walk_step *s)
{
    struct bases b = {0};
    bool is_there = false;

    for (size_t i = 0; i < s->parent_count; i++)
        if (walk_is_hidden(w, s->parents[i]) || oid_set_has(closure, s->parents[i])) {
            base_add(&b, walk_look(w, s->parents[i]).tree);
            is_there = true;
        }
    for (size_t i = 0; i < s->parent_count && l->q->have_count > 0; i++)
        if (oid_set_has(&l->seen, s->parents[i]))
            base_add(&b, walk_look(w, s->parents[i]).tree);
    if (!is_there && (closure->count > 0 || sha1_is_zero(b.ids[0])))
        base_add(&b, l->have_tree);
    return b;
}

/* Lists the trees and blobs of the listed commits, oldest first. */
static err want_contents(struct lister *l, const struct walk *w, const struct oid_map *closure,
                         const struct oid_list *commits)
{
    if (l->q->filter.tree_depth == 0)
        return OK;
    for (size_t i = commits->count; i-- > 0;) {
        struct walk_step s = walk_look(w, commits->ids[i]);
        struct bases b = bases_of(l, w, closure, &s);

        TRY(want_tree(l, s.tree, &b, 0));
        oid_set_add(&l->seen, s.id);
    }
    return OK;
}

static err list_all(struct lister *l, struct oid_map *closure)
{
    AUTO_WALK struct walk *w = walk_new(l->odb, l->scratch);
    AUTO_OIDS struct oid_list commits = {0};

    cut(w, l->q->want_cuts);
    TRY(start_wants(l, w));
    if (l->q->pass_haves)
        TRY(closure_of_haves(l, closure));
    else
        TRY(start_haves(l, w, walk_hide));
    for (;;) {
        struct walk_step s;
        bool more;

        TRY(walk_next(w, &s, &more));
        if (!more)
            break;
        if (!oid_set_has(closure, s.id))
            TRY(list_add(l, &commits, s.id));
    }
    TRY(want_contents(l, w, closure, &commits));
    oid_list_append(&l->commits, &commits);
    return OK;
}

err reach_list(struct odb *o, struct arena *scratch, const struct reach_query *q,
               struct oid_list *ret)
{
    __attribute__((cleanup(lister_free))) struct lister l = {.odb = o, .scratch = scratch, .q = q};
    AUTO_OID_MAP struct oid_map closure = {0};

    TRY(list_all(&l, &closure));
    oid_list_append(ret, &l.commits);
    oid_list_append(ret, &l.trees);
    oid_list_append(ret, &l.blobs);
    return OK;
}
