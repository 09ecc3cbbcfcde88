/* fetch_border.c — where the history of a shallow clone ends (see fetch_plan.h). */
#include "git/fetch_plan.h"

void fetch_border_free(struct fetch_border *b)
{
    oid_list_free(&b->shallow);
    oid_list_free(&b->unshallow);
    oid_map_free(&b->cuts);
}

/* The commits that the wants name. */
static err wanted_commits(const struct fetch_repo *r, struct arena *scratch,
                          const struct fetch_args *x, struct oid_list *ret)
{
    for (size_t i = 0; i < x->wants.count; i++) {
        enum obj_type type;
        bool found;
        oid id;

        TRY(object_peel(r->odb, scratch, x->wants.ids[i], &id, &type, &found));
        if (found && type == OBJ_COMMIT)
            oid_list_add(ret, id);
    }
    return OK;
}

/* The client's shallow commits that exist here, as starting points of a relative deepening. */
static err known_shallows(const struct fetch_repo *r, struct arena *scratch,
                          const struct fetch_args *x, struct oid_list *ret)
{
    for (size_t i = 0; i < x->shallow.cap; i++) {
        enum obj_type type;
        uint64_t size;
        bool found;

        if (!x->shallow.slots[i].used)
            continue;
        TRY(odb_header(r->odb, scratch, x->shallow.slots[i].id, &type, &size, &found));
        if (found && type == OBJ_COMMIT)
            oid_list_add(ret, x->shallow.slots[i].id);
    }
    return OK;
}

/* Walks `depth` generations from `level`, which it uses up.  Commits of the last generation that
 * have parents become cuts; all commits met go into `inside`. */
static err by_depth(const struct fetch_repo *r, struct arena *scratch, struct oid_list *level,
                    uint64_t depth, struct oid_map *inside, struct oid_map *cuts)
{
    for (uint64_t d = 1; level->count > 0 && d <= depth; d++) {
        struct oid_list next = {0};

        for (size_t i = 0; i < level->count; i++) {
            struct arena_mark m = arena_mark(scratch);
            struct commit_obj c;
            err e;

            if (!oid_set_add(inside, level->ids[i]))
                continue;
            e = inside->count > WALK_MAX_COMMITS
                    ? err_new(scratch, 507, NULL, "upload-pack: this history is too long")
                    : commit_read(r->odb, scratch, level->ids[i], &c);
            if (e) {
                oid_list_free(&next);
                return e;
            }
            for (size_t k = 0; k < c.parent_count && d < depth; k++)
                oid_list_add(&next, c.parents[k]);
            if (d == depth && c.parent_count > 0)
                oid_set_add(cuts, level->ids[i]);
            arena_rewind(scratch, m);
        }
        oid_list_free(level);
        *level = next;
    }
    return OK;
}

/* The commits newer than the date and not in the histories left out; those that lose a parent
 * become cuts. */
static err by_rule(const struct fetch_repo *r, struct arena *scratch, const struct fetch_args *x,
                   const struct oid_list *tips, struct oid_map *inside, struct oid_map *cuts)
{
    AUTO_WALK struct walk *w = walk_new(r->odb, scratch);
    AUTO_OIDS struct oid_list selected = {0};
    struct walk_step s;
    bool more = true;

    for (size_t i = 0; i < tips->count; i++)
        TRY(walk_from(w, tips->ids[i]));
    for (size_t i = 0; i < x->deepen_not.count; i++)
        TRY(walk_hide(w, x->deepen_not.ids[i]));
    for (;;) {
        TRY(walk_next(w, &s, &more));
        if (!more)
            break;
        if (!x->has_since || s.time_s >= x->since_s) {
            oid_set_add(inside, s.id);
            oid_list_add(&selected, s.id);
        }
    }
    if (selected.count == 0)
        return err_new(scratch, 400, NULL, "upload-pack: no commits selected for shallow requests");
    for (size_t i = 0; i < selected.count; i++) {
        struct arena_mark m = arena_mark(scratch);
        struct commit_obj c;

        TRY(commit_read(r->odb, scratch, selected.ids[i], &c));
        for (size_t k = 0; k < c.parent_count; k++)
            if (!oid_set_has(inside, c.parents[k]))
                oid_set_add(cuts, selected.ids[i]);
        arena_rewind(scratch, m);
    }
    return OK;
}

/* What the client must change in its own list of shallow commits. */
static void compare_lists(const struct fetch_args *x, const struct oid_list *known,
                          const struct oid_map *inside, struct fetch_border *b)
{
    bool all = x->depth == FETCH_DEPTH_ALL;

    for (size_t i = 0; i < b->cuts.cap; i++)
        if (b->cuts.slots[i].used && !oid_set_has(&x->shallow, b->cuts.slots[i].id))
            oid_list_add(&b->shallow, b->cuts.slots[i].id);
    for (size_t i = 0; i < known->count; i++)
        if ((all || oid_set_has(inside, known->ids[i])) && !oid_set_has(&b->cuts, known->ids[i]))
            oid_list_add(&b->unshallow, known->ids[i]);
}

err fetch_border_find(const struct fetch_repo *r, struct arena *scratch, const struct fetch_args *x,
                      struct fetch_border *ret)
{
    AUTO_OIDS struct oid_list tips = {0}, known = {0};
    AUTO_OID_MAP struct oid_map inside = {0};

    TRY(known_shallows(r, scratch, x, &known));
    TRY(wanted_commits(r, scratch, x, &tips));
    if (x->has_since || x->deepen_not.count > 0) {
        TRY(by_rule(r, scratch, x, &tips, &inside, &ret->cuts));
    } else if (x->depth < FETCH_DEPTH_ALL && x->deepen_relative) {
        AUTO_OIDS struct oid_list level = {0};

        oid_list_append(&level, &known);
        TRY(by_depth(r, scratch, &level, x->depth + 1, &inside, &ret->cuts));
    } else if (x->depth < FETCH_DEPTH_ALL) {
        TRY(by_depth(r, scratch, &tips, x->depth, &inside, &ret->cuts));
    }
    compare_lists(x, &known, &inside, ret);
    return OK;
}

void fetch_border_write(struct arena *a, const struct fetch_border *b, struct buf *out)
{
    for (size_t i = 0; i < b->shallow.count; i++)
        pkt_printf(out, "shallow %.*s\n", STR_FMT(sha1_hex(a, b->shallow.ids[i])));
    for (size_t i = 0; i < b->unshallow.count; i++)
        pkt_printf(out, "unshallow %.*s\n", STR_FMT(sha1_hex(a, b->unshallow.ids[i])));
}
