/* odb_mem.c — see odb_mem.h. */
#include "git/odb_mem.h"
#include "base/buf.h"
#include <assert.h>
#include <stdlib.h>

struct odb_mem {
    struct odb odb; /* first: the interface points here */
    struct odb *below;
    struct oid_map index; /* oid -> place in objects */
    struct entry {
        oid id;
        enum obj_type type;
        uint64_t size;
        struct buf packed;
    } * objects;
    size_t count, cap;
};

static const struct entry *get(struct odb *o, oid id)
{
    struct odb_mem *m = (struct odb_mem *)o;
    uint32_t *place = oid_map_get(&m->index, id);

    return place ? &m->objects[*place] : NULL;
}

static err mem_find(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type, str *ret_data,
                    bool *ret_found)
{
    struct odb *below = ((struct odb_mem *)o)->below;
    const struct entry *x = get(o, id);

    if (!x && below)
        return below->ops->find(below, a, id, ret_type, ret_data, ret_found);
    *ret_found = x != NULL;
    if (!x)
        return OK;
    if (!obj_inflate(a, buf_str(&x->packed), x->size, ret_data))
        return obj_damaged(a, id, "its stored form does not unpack");
    *ret_type = x->type;
    return OK;
}

static err mem_header(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type,
                      uint64_t *ret_size, bool *ret_found)
{
    struct odb *below = ((struct odb_mem *)o)->below;
    const struct entry *x = get(o, id);

    if (!x && below)
        return below->ops->header(below, a, id, ret_type, ret_size, ret_found);
    *ret_found = x != NULL;
    if (x) {
        *ret_type = x->type;
        *ret_size = x->size;
    }
    return OK;
}

static err mem_stored(struct odb *o, struct arena *a, oid id, unsigned part, struct odb_part *ret,
                      bool *ret_found)
{
    struct odb *below = ((struct odb_mem *)o)->below;
    const struct entry *x = get(o, id);
    str rest;

    if (!x && below)
        return below->ops->stored(below, a, id, part, ret, ret_found);
    *ret_found = x && (part == 0 || (size_t)part * ODB_PART < x->packed.len);
    if (!*ret_found)
        return OK;
    rest = str_from(buf_str(&x->packed), (size_t)part * ODB_PART);
    *ret = (struct odb_part){x->type, x->size, str_first(rest, ODB_PART), rest.len <= ODB_PART};
    return OK;
}

static err mem_write(struct odb *o, struct arena *a, enum obj_type type, str data, oid *ret)
{
    struct odb_mem *m = (struct odb_mem *)o;
    oid id = obj_id(type, data);
    struct buf packed = BUF(data.len + data.len / 100 + 4096);
    bool is_new;
    uint32_t *place = oid_map_put(&m->index, id, &is_new);

    (void)a;
    *ret = id;
    if (!is_new)
        return OK;
    obj_deflate(data, &packed);
    assert(!packed.full);
    if (m->count == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 64;
        m->objects = reallocarray(m->objects, m->cap, sizeof *m->objects);
        if (!m->objects)
            abort();
    }
    *place = (uint32_t)m->count;
    m->objects[m->count++] = (struct entry){id, type, data.len, packed};
    return OK;
}

struct odb_mem *odb_mem_new(struct odb *below)
{
    static const struct odb_ops ops = {mem_find, mem_header, mem_stored, mem_write};
    struct odb_mem *m = calloc(1, sizeof *m);

    if (!m)
        abort();
    m->odb.ops = &ops;
    m->below = below;
    return m;
}

void odb_mem_free(struct odb_mem *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++)
        buf_free(&m->objects[i].packed);
    free(m->objects);
    oid_map_free(&m->index);
    free(m);
}

struct odb *odb_mem_odb(struct odb_mem *m)
{
    return &m->odb;
}

size_t odb_mem_count(const struct odb_mem *m)
{
    return m->count;
}

struct odb_mem_object odb_mem_at(const struct odb_mem *m, size_t index)
{
    const struct entry *x = &m->objects[index];

    assert(index < m->count);
    return (struct odb_mem_object){x->id, x->type, x->size, buf_str(&x->packed)};
}
