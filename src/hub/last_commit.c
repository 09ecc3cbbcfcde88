/* last_commit.c — see last_commit.h. */
#include "hub/last_commit.h"
#include "git/object.h"
#include "git/tree_diff.h"
#include "store/object.h"
#include <string.h>

#define TITLE_MAX 1000 /* bytes; the whole of a longer one is in the commit */

/* --- which commit --- */

/* The entries that are still looked for, by path: a hash table of indexes + 1. */
struct search {
    struct entry *entries;
    uint32_t *slots;
    size_t cap, open;
    oid now;
};

static void search_add(struct search *s, size_t index)
{
    size_t i = str_hash(s->entries[index].path) & (s->cap - 1);

    while (s->slots[i])
        i = (i + 1) & (s->cap - 1);
    s->slots[i] = (uint32_t)index + 1;
    s->open++;
}

/* Paths may repeat: every entry of that path is answered. */
static err search_note(void *ctx, const struct tree_change *c)
{
    struct search *s = ctx;

    if (c->kind == CHANGE_REMOVED)
        return OK;
    for (size_t i = str_hash(c->path) & (s->cap - 1); s->slots[i]; i = (i + 1) & (s->cap - 1)) {
        struct entry *e = &s->entries[s->slots[i] - 1];

        if (!e->has_last_commit && str_eq(e->path, c->path)) {
            e->has_last_commit = true;
            e->last_commit = s->now;
            s->open--;
        }
    }
    return OK;
}

static err step(struct search *s, struct odb *o, struct arena *scratch, oid *commit)
{
    struct commit_obj now, before = {0};

    TRY(commit_read(o, scratch, *commit, &now));
    if (now.parent_count > 0)
        TRY(commit_read(o, scratch, now.parents[0], &before));
    s->now = *commit;
    TRY(tree_diff(o, scratch, before.tree, now.tree, search_note, s));
    *commit = now.parent_count > 0 ? now.parents[0] : OID_ZERO;
    return OK;
}

err last_commit_find(struct req *r, const struct repo *repo, oid commit, struct entry *entries,
                     size_t count)
{
    struct odb *o = object_odb(r->store, r->a, repo->id);
    struct search s = {.entries = entries, .cap = 16};
    struct arena *scratch = arena_new(0);
    err e = OK;

    while (s.cap < count * 2)
        s.cap *= 2;
    s.slots = arena_many(r->a, uint32_t, s.cap);
    for (size_t i = 0; i < count; i++)
        if (!entries[i].has_last_commit)
            search_add(&s, i);
    for (int n = 0; !e && s.open && !sha1_is_zero(commit) && n < LAST_COMMIT_WALK; n++) {
        arena_reset(scratch);
        e = step(&s, o, scratch, &commit);
    }
    e = err_copy(r->a, e);
    arena_free(scratch);
    return e;
}

/* --- what it says --- */

struct commit_titles commit_titles(struct req *r, const struct repo *repo)
{
    return (struct commit_titles){.r = r, .odb = object_odb(r->store, r->a, repo->id)};
}

static err titles_add(struct commit_titles *t, oid id)
{
    struct commit_obj c;
    struct arena *scratch;
    err e;

    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        struct commit_title *wider = arena_many(t->r->a, struct commit_title, cap);

        if (t->count)
            memcpy(wider, t->items, t->count * sizeof *wider);
        t->items = wider;
        t->cap = cap;
    }
    scratch = arena_new(0); /* a message has no limit of its own */
    e = err_copy(t->r->a, commit_read(t->odb, scratch, id, &c));
    if (!e)
        t->items[t->count++] = (struct commit_title){
            id, arena_str(t->r->a, str_first(c.title, TITLE_MAX)), c.committer.time_s * 1000};
    arena_free(scratch);
    return e;
}

err commit_title(struct commit_titles *t, oid id, const struct commit_title **ret)
{
    size_t i = t->count;

    /* neighbours in a tree often share their last commit: the newest first */
    while (i > 0 && !sha1_eq(t->items[i - 1].id, id))
        i--;
    if (i == 0) {
        TRY(titles_add(t, id));
        i = t->count;
    }
    *ret = &t->items[i - 1];
    return OK;
}
