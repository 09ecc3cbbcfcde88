/* walk.c — see walk.h.
 *
 * A queue ordered by commit date holds what has been seen and not yet handled.  A commit popped
 * hands its mark (wanted or hidden) to its parents and queues them.  The walk ends when only
 * hidden commits are queued.  A commit may turn hidden after its children have been handled, when
 * clocks disagree; therefore steps are buffered: while anything is hidden, the walk first runs to
 * its end, goes on for WALK_SLOP more hidden commits, and then yields what stayed wanted.
 */
#include "git/walk.h"
#include <assert.h>
#include <stdlib.h>

#define WALK_SLOP 8

enum mark { SEEN = 1, HIDDEN = 2, CUT = 4, DONE = 8 };

/* What is kept of a commit. */
struct node {
    oid id, tree;
    int64_t time_s;
    uint32_t first_parent, parent_count; /* in walk.parents */
    uint32_t order;                      /* of arrival, to keep equal dates in order */
    bool is_read;
};

struct walk {
    struct odb *odb;
    struct arena *scratch;
    struct oid_map index; /* oid -> index in nodes */
    struct node *nodes;
    uint8_t *marks;
    size_t count, cap;
    struct oid_list parents;
    uint32_t *heap; /* indexes of nodes */
    size_t heap_count, heap_cap, wanted_in_heap;
    bool has_hidden, is_planned;
    uint32_t *plan; /* steps in order, when planned */
    size_t plan_count, plan_cap, plan_next;
};

struct walk *walk_new(struct odb *o, struct arena *scratch)
{
    struct walk *w = calloc(1, sizeof *w);

    if (!w)
        abort();
    w->odb = o;
    w->scratch = scratch;
    return w;
}

void walk_free(struct walk *w)
{
    if (!w)
        return;
    oid_map_free(&w->index);
    oid_list_free(&w->parents);
    free(w->nodes);
    free(w->marks);
    free(w->heap);
    free(w->plan);
    free(w);
}

void walk_cleanup(struct walk **w)
{
    walk_free(*w);
    *w = NULL;
}

static void push_u32(uint32_t **list, size_t *count, size_t *cap, uint32_t v)
{
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *list = reallocarray(*list, *cap, sizeof **list);
        if (!*list)
            abort();
    }
    (*list)[(*count)++] = v;
}

/* --- the queue: a binary heap, newest first --- */

static bool before(const struct walk *w, uint32_t x, uint32_t y)
{
    const struct node *nx = &w->nodes[x], *ny = &w->nodes[y];

    return nx->time_s != ny->time_s ? nx->time_s > ny->time_s : nx->order < ny->order;
}

static void heap_put(struct walk *w, uint32_t x)
{
    size_t i = w->heap_count;

    push_u32(&w->heap, &w->heap_count, &w->heap_cap, x);
    for (; i > 0 && before(w, x, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
    w->wanted_in_heap += !(w->marks[x] & HIDDEN);
}

static uint32_t heap_take(struct walk *w)
{
    uint32_t top = w->heap[0], x = w->heap[--w->heap_count];
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;

        if (c >= w->heap_count)
            break;
        if (c + 1 < w->heap_count && before(w, w->heap[c + 1], w->heap[c]))
            c++;
        if (!before(w, w->heap[c], x))
            break;
        w->heap[i] = w->heap[c];
        i = c;
    }
    w->heap[i] = x;
    w->wanted_in_heap -= !(w->marks[top] & HIDDEN);
    return top;
}

/* --- nodes --- */

static uint32_t node_of(struct walk *w, oid id)
{
    bool is_new;
    uint32_t *place = oid_map_put(&w->index, id, &is_new);

    if (!is_new)
        return *place;
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->nodes = reallocarray(w->nodes, w->cap, sizeof *w->nodes);
        w->marks = reallocarray(w->marks, w->cap, sizeof *w->marks);
        if (!w->nodes || !w->marks)
            abort();
    }
    w->nodes[w->count] = (struct node){.id = id, .order = (uint32_t)w->count};
    w->marks[w->count] = 0;
    *place = (uint32_t)w->count;
    return (uint32_t)w->count++;
}

static err read_node(struct walk *w, uint32_t x)
{
    struct arena_mark m = arena_mark(w->scratch);
    struct commit_obj c;
    struct node *n = &w->nodes[x];

    if (n->is_read)
        return OK;
    if (w->count > WALK_MAX_COMMITS || w->parents.count / 4 > WALK_MAX_COMMITS)
        return err_new(w->scratch, 507, NULL, "This history has more than %d commits.",
                       WALK_MAX_COMMITS);
    TRY(commit_read(w->odb, w->scratch, n->id, &c));
    n->tree = c.tree;
    n->time_s = c.committer.time_s;
    n->first_parent = (uint32_t)w->parents.count;
    n->is_read = true;
    if (!(w->marks[x] & CUT)) {
        n->parent_count = (uint32_t)c.parent_count;
        for (size_t i = 0; i < c.parent_count; i++)
            oid_list_add(&w->parents, c.parents[i]);
    }
    arena_rewind(w->scratch, m);
    return OK;
}

/* Hides a node that may be queued or handled already, with the ancestors handled before. */
static void hide_again(struct walk *w, uint32_t x)
{
    uint32_t *stack = NULL;
    size_t count = 0, cap = 0;

    push_u32(&stack, &count, &cap, x);
    while (count > 0) {
        uint32_t y = stack[--count];
        const struct node *n = &w->nodes[y];

        if (w->marks[y] & HIDDEN)
            continue;
        if ((w->marks[y] & (SEEN | DONE)) == SEEN)
            w->wanted_in_heap--; /* it is in the queue, and was wanted */
        w->marks[y] |= HIDDEN;
        if (w->marks[y] & DONE)
            for (uint32_t i = 0; i < n->parent_count; i++)
                push_u32(&stack, &count, &cap, node_of(w, w->parents.ids[n->first_parent + i]));
    }
    free(stack);
}

/* Queues a commit, or hides it when it was queued before as wanted. */
static err arrive(struct walk *w, oid id, bool hidden)
{
    uint32_t x = node_of(w, id);

    if (!(w->marks[x] & SEEN)) {
        TRY(read_node(w, x));
        w->marks[x] |= (uint8_t)(SEEN | (hidden ? HIDDEN : 0));
        heap_put(w, x);
    } else if (hidden) {
        hide_again(w, x);
    }
    return OK;
}

void walk_cut(struct walk *w, oid id)
{
    uint32_t x = node_of(w, id);

    assert(!w->nodes[x].is_read);
    w->marks[x] |= CUT;
}

err walk_from(struct walk *w, oid tip)
{
    assert(!w->is_planned);
    return arrive(w, tip, false);
}

err walk_hide(struct walk *w, oid tip)
{
    assert(!w->is_planned);
    w->has_hidden = true;
    return arrive(w, tip, true);
}

/* Handles the newest queued commit. */
static err advance(struct walk *w, uint32_t *ret)
{
    uint32_t x = heap_take(w);
    bool hidden = w->marks[x] & HIDDEN;

    w->marks[x] |= DONE;
    for (uint32_t i = 0; i < w->nodes[x].parent_count; i++)
        TRY(arrive(w, w->parents.ids[w->nodes[x].first_parent + i], hidden));
    *ret = x;
    return OK;
}

static err plan(struct walk *w)
{
    unsigned slop = WALK_SLOP;
    uint32_t x;

    w->is_planned = true;
    while (w->heap_count > 0 && (w->wanted_in_heap > 0 || slop > 0)) {
        slop = w->wanted_in_heap > 0 ? WALK_SLOP : slop - 1;
        TRY(advance(w, &x));
        if (!(w->marks[x] & HIDDEN))
            push_u32(&w->plan, &w->plan_count, &w->plan_cap, x);
    }
    return OK;
}

static struct walk_step step_of(const struct walk *w, uint32_t x)
{
    const struct node *n = &w->nodes[x];

    return (struct walk_step){
        .id = n->id,
        .tree = n->tree,
        .time_s = n->time_s,
        .parents = n->parent_count ? &w->parents.ids[n->first_parent] : NULL,
        .parent_count = n->parent_count,
    };
}

err walk_next(struct walk *w, struct walk_step *ret, bool *ret_more)
{
    uint32_t x = 0;

    *ret_more = false;
    if (!w->has_hidden) {
        if (w->heap_count == 0)
            return OK;
        TRY(advance(w, &x));
    } else {
        if (!w->is_planned)
            TRY(plan(w));
        while (w->plan_next < w->plan_count && (w->marks[w->plan[w->plan_next]] & HIDDEN))
            w->plan_next++;
        if (w->plan_next == w->plan_count)
            return OK;
        x = w->plan[w->plan_next++];
    }
    *ret = step_of(w, x);
    *ret_more = true;
    return OK;
}

bool walk_is_hidden(const struct walk *w, oid id)
{
    uint32_t *x = oid_map_get(&w->index, id);

    return x && (w->marks[*x] & HIDDEN);
}

struct walk_step walk_look(const struct walk *w, oid id)
{
    uint32_t *x = oid_map_get(&w->index, id);

    assert(x && w->nodes[*x].is_read);
    return step_of(w, *x);
}

/* --- questions --- */

err history_page(struct odb *o, struct arena *scratch, oid tip, size_t skip, size_t limit,
                 struct oid_list *ret, size_t *ret_total)
{
    AUTO_WALK struct walk *w = walk_new(o, scratch);
    size_t seen = 0;

    TRY(walk_from(w, tip));
    for (;; seen++) {
        struct walk_step s;
        bool more;

        if (!ret_total && seen >= skip && seen - skip >= limit)
            return OK;
        TRY(walk_next(w, &s, &more));
        if (!more)
            break;
        if (seen >= skip && seen - skip < limit)
            oid_list_add(ret, s.id);
    }
    if (ret_total)
        *ret_total = seen;
    return OK;
}

err history_between(struct odb *o, struct arena *scratch, oid hidden, oid tip, struct oid_list *ret)
{
    AUTO_WALK struct walk *w = walk_new(o, scratch);

    TRY(walk_from(w, tip));
    if (!sha1_is_zero(hidden))
        TRY(walk_hide(w, hidden));
    for (;;) {
        struct walk_step s;
        bool more;

        TRY(walk_next(w, &s, &more));
        if (!more)
            return OK;
        oid_list_add(ret, s.id);
    }
}

err history_has(struct odb *o, struct arena *scratch, oid tip, oid ancestor, bool *ret)
{
    AUTO_WALK struct walk *w = walk_new(o, scratch);

    *ret = false;
    TRY(walk_from(w, tip));
    for (;;) {
        struct walk_step s;
        bool more;

        TRY(walk_next(w, &s, &more));
        if (!more)
            return OK;
        if (sha1_eq(s.id, ancestor)) {
            *ret = true;
            return OK;
        }
    }
}

/* Hides `y` and its ancestors, then takes the newest hidden commit that a wanted one has as its
 * parent, or `x` itself when it is hidden. */
err history_base(struct odb *o, struct arena *scratch, oid x, oid y, oid *ret, bool *ret_found)
{
    AUTO_WALK struct walk *w = walk_new(o, scratch);
    int64_t best = INT64_MIN;

    *ret_found = false;
    TRY(walk_from(w, x));
    TRY(walk_hide(w, y));
    for (;;) {
        struct walk_step s;
        bool more;

        TRY(walk_next(w, &s, &more));
        if (!more)
            break;
        for (size_t i = 0; i < s.parent_count; i++) {
            const struct node *n = &w->nodes[*oid_map_get(&w->index, s.parents[i])];

            if (walk_is_hidden(w, n->id) && n->time_s > best) {
                best = n->time_s;
                *ret = n->id;
                *ret_found = true;
            }
        }
    }
    if (!*ret_found && walk_is_hidden(w, x)) {
        *ret = x;
        *ret_found = true;
    }
    return OK;
}

err history_line(struct odb *o, struct arena *scratch, oid old, oid tip, struct oid_list *ret,
                 bool *ret_met)
{
    AUTO_OIDS struct oid_list line = {0};
    oid id = tip;

    *ret_met = false;
    for (;;) {
        struct arena_mark m = arena_mark(scratch);
        struct commit_obj c;

        if (sha1_eq(id, old)) {
            *ret_met = true;
            break;
        }
        if (line.count > WALK_MAX_COMMITS)
            return err_new(scratch, 507, NULL, "This history has more than %d commits.",
                           WALK_MAX_COMMITS);
        oid_list_add(&line, id);
        TRY(commit_read(o, scratch, id, &c));
        if (c.parent_count == 0)
            break;
        id = c.parents[0];
        arena_rewind(scratch, m);
    }
    oid_list_reverse(&line);
    oid_list_append(ret, &line);
    return OK;
}
