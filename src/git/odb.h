/* odb.h — where the objects of one repository are read and written.
 *
 * `struct odb` is an interface: store/ implements it over rows, odb_mem.h in memory.  An object
 * is kept as the zlib stream of its raw content (without git's "type size\0" header), cut into
 * parts of at most ODB_PART bytes, so that a pack is a concatenation of what is stored.
 * An odb belongs to one thread at a time, like the arena that its answers live in.
 */
#pragma once
#include "base/err.h"
#include "git/oid.h"

enum obj_type { OBJ_COMMIT = 1, OBJ_TREE = 2, OBJ_BLOB = 3, OBJ_TAG = 4 }; /* as in a pack */

#define ODB_PART (256u << 10)      /* stored bytes of one part */
#define ODB_MAX_OBJECT (32u << 20) /* content of the largest object read whole */

struct odb_part {
    enum obj_type type;
    uint64_t size; /* of the whole content, inflated */
    str bytes;     /* stored bytes of this part */
    bool is_last;
};

struct odb;
struct odb_ops {
    /* The whole content; *ret_found false (and the rest untouched) when it is not there. */
    err (*find)(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type, str *ret_data,
                bool *ret_found);
    /* Type and size only. */
    err (*header)(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type,
                  uint64_t *ret_size, bool *ret_found);
    /* Part `part` (from 0) of the stored zlib stream. */
    err (*stored)(struct odb *o, struct arena *a, oid id, unsigned part, struct odb_part *ret,
                  bool *ret_found);
    /* Adds an object (or renews one that is there) and returns its name. */
    err (*write)(struct odb *o, struct arena *a, enum obj_type type, str data, oid *ret);
};
/* An implementation begins with this struct. */
struct odb {
    const struct odb_ops *ops;
};

/* The whole content.  Fails with 500 ObjectMissing when absent or when `type` differs. */
MUST err odb_read(struct odb *o, struct arena *a, oid id, enum obj_type type, str *ret);
/* The same for any type. */
MUST err odb_read_any(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type, str *ret);
MUST err odb_find(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type, str *ret_data,
                  bool *ret_found);
MUST err odb_header(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type,
                    uint64_t *ret_size, bool *ret_found);
/* Fails with 500 ObjectMissing when absent. */
MUST err odb_stored(struct odb *o, struct arena *a, oid id, unsigned part, struct odb_part *ret);
MUST err odb_write(struct odb *o, struct arena *a, enum obj_type type, str data, oid *ret);

const char *obj_type_name(enum obj_type type);              /* "commit", … */
bool obj_type_parse(str name, enum obj_type *ret);          /* the reverse */
oid obj_id(enum obj_type type, str data);                   /* the name of this content */
err obj_missing(struct arena *a, oid id);                   /* 500 ObjectMissing */
err obj_damaged(struct arena *a, oid id, const char *what); /* 500 ObjectDamaged */

struct buf;
/* Appends the zlib stream of `data` to `out`, whose maximum must leave room (zlib adds at most
 * 1/1000 and 64 bytes). */
void obj_deflate(str data, struct buf *out);
/* Inflates a whole zlib stream whose content must have exactly `size` bytes, into `a`.  Never
 * produces more than that.  False: damaged, longer or shorter, or trailing bytes. */
bool obj_inflate(struct arena *a, str stream, uint64_t size, str *ret);
