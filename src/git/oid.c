/* oid.c — see oid.h. */
#include "git/oid.h"
#include "base/io.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

const oid oid_empty_tree = {{0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60,
                             0xe5, 0x4b, 0xf8, 0xd6, 0x92, 0x88, 0xfb, 0xee, 0x49, 0x04}};

int oid_cmp(oid x, oid y)
{
    return memcmp(x.b, y.b, sizeof x.b);
}

void oid_list_add(struct oid_list *l, oid id)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->ids = reallocarray(l->ids, l->cap, sizeof *l->ids);
        if (!l->ids)
            abort();
    }
    l->ids[l->count++] = id;
}

void oid_list_append(struct oid_list *l, const struct oid_list *more)
{
    for (size_t i = 0; i < more->count; i++)
        oid_list_add(l, more->ids[i]);
}

void oid_list_reverse(struct oid_list *l)
{
    for (size_t i = 0, k = l->count; i + 1 < k; i++) {
        oid swap = l->ids[i];

        l->ids[i] = l->ids[--k];
        l->ids[k] = swap;
    }
}

void oid_list_free(struct oid_list *l)
{
    free(l->ids);
    *l = (struct oid_list){0};
}

/* The slot of `id`, or the free slot where it belongs.  The seed keeps a pusher, who can search
 * for ids that begin alike, from choosing which ids share a slot. */
static struct oid_slot *slot_of(const struct oid_map *m, oid id)
{
    uint64_t h;
    size_t i;

    memcpy(&h, id.b, sizeof h);
    h = (h ^ m->seed) * 0x9e3779b97f4a7c15u;
    i = (size_t)(h >> 20) & (m->cap - 1);
    while (m->slots[i].used && memcmp(m->slots[i].id.b, id.b, sizeof id.b) != 0)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static void grow(struct oid_map *m)
{
    struct oid_map old = *m;

    if (old.cap == 0)
        random_bytes(&m->seed, sizeof m->seed);
    m->cap = old.cap ? old.cap * 2 : 64;
    m->slots = calloc(m->cap, sizeof *m->slots);
    if (!m->slots)
        abort();
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].used)
            *slot_of(m, old.slots[i].id) = old.slots[i];
    free(old.slots);
}

uint32_t *oid_map_put(struct oid_map *m, oid id, bool *ret_is_new)
{
    struct oid_slot *s;

    if (m->count >= m->cap - m->cap / 4)
        grow(m);
    s = slot_of(m, id);
    *ret_is_new = !s->used;
    if (!s->used) {
        *s = (struct oid_slot){.id = id, .used = 1};
        m->count++;
    }
    assert(m->count < m->cap);
    return &s->value;
}

uint32_t *oid_map_get(const struct oid_map *m, oid id)
{
    struct oid_slot *s;

    if (m->count == 0)
        return NULL;
    s = slot_of(m, id);
    return s->used ? &s->value : NULL;
}

void oid_map_free(struct oid_map *m)
{
    free(m->slots);
    *m = (struct oid_map){0};
}

bool oid_set_add(struct oid_map *m, oid id)
{
    bool is_new;

    oid_map_put(m, id, &is_new);
    return is_new;
}

bool oid_set_has(const struct oid_map *m, oid id)
{
    return oid_map_get(m, id) != NULL;
}
