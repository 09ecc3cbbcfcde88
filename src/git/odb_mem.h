/* odb_mem.h — objects in memory: for tests, and to stage the few objects of one commit before
 * they are written as rows in one go.
 *
 * Reads that find nothing here go on to the odb below, if there is one; writes stay here.
 */
#pragma once
#include "git/odb.h"

struct odb_mem;

struct odb_mem *odb_mem_new(struct odb *below); /* below: NULL, or outlives this one */
void odb_mem_free(struct odb_mem *m);           /* accepts NULL */
struct odb *odb_mem_odb(struct odb_mem *m);     /* the interface */

/* The staged objects, in the order of their first write. */
size_t odb_mem_count(const struct odb_mem *m);
struct odb_mem_object {
    oid id;
    enum obj_type type;
    uint64_t size; /* inflated */
    str stored;    /* the zlib stream */
};
struct odb_mem_object odb_mem_at(const struct odb_mem *m, size_t index);
