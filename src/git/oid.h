/* oid.h — the name of a git object, and sets, maps and lists of such names.
 *
 * An oid is the SHA-1 of "type size\0content".  The containers own heap memory and grow without
 * a limit of their own: whoever fills them from input states a limit (REACH_MAX_OBJECTS, …).
 * Running out of memory aborts.  Zeroed storage is a valid empty container.
 */
#pragma once
#include "base/hash.h"

typedef sha1 oid;

#define OID_ZERO ((oid){{0}})
/* The tree without entries; git assumes that it exists everywhere. */
extern const oid oid_empty_tree;

int oid_cmp(oid x, oid y); /* like memcmp */

/* --- a list --- */
struct oid_list {
    oid *ids;
    size_t count, cap;
};
void oid_list_add(struct oid_list *l, oid id);
void oid_list_append(struct oid_list *l, const struct oid_list *more);
void oid_list_reverse(struct oid_list *l);
void oid_list_free(struct oid_list *l);
#define AUTO_OIDS __attribute__((cleanup(oid_list_free)))

/* --- a map from oid to a number, which is 0 when the oid is new --- */
struct oid_map {
    struct oid_slot {
        oid id;
        uint32_t used; /* 1 when the slot holds something */
        uint32_t value;
    } * slots;
    size_t count, cap; /* cap is 0 or a power of two */
    uint64_t seed;
};
/* The number of `id`, which is added when it is new.  The pointer is good until the next put. */
uint32_t *oid_map_put(struct oid_map *m, oid id, bool *ret_is_new);
uint32_t *oid_map_get(const struct oid_map *m, oid id); /* NULL when absent */
void oid_map_free(struct oid_map *m);
#define AUTO_OID_MAP __attribute__((cleanup(oid_map_free)))

/* --- the same used as a set --- */
bool oid_set_add(struct oid_map *m, oid id); /* false when it was there already */
bool oid_set_has(const struct oid_map *m, oid id);
