/* pack.h — writes packs by putting stored objects one behind the other.
 *
 * "PACK", version 2, the count; for each object its type and size as a varint and its zlib stream
 * exactly as stored; at the end the SHA-1 of all that.  No deltas: nothing is inflated or packed
 * again.  (docs/adr tells what that costs and saves.)
 *
 * A writer is a generator: it holds no statement and no transaction between calls, only the list
 * of ids and its place in it.
 */
#pragma once
#include "base/buf.h"
#include "git/odb.h"
#include "git/pack_index.h"

#define PACK_PIECE (64u << 10) /* a step stops soon after so many bytes */

struct pack_writer {
    struct oid_list ids; /* owned */
    size_t next_id;
    unsigned next_part;
    struct hasher *sha;
    struct pack_index *index; /* notes where each object stands; the caller's, or NULL */
    bool is_started, is_done;
};

/* Takes over `ids` (which becomes empty).  Distinct ids, every one an object of the odb that the
 * steps are called with.  Who wants an index sets w->index before the first step. */
void pack_writer_init(struct pack_writer *w, struct oid_list *ids);
void pack_writer_deinit(struct pack_writer *w);

/* Appends the next bytes to `out`: at least PACK_PIECE unless the pack ends, at most PACK_PIECE +
 * ODB_PART + 64.  is_done is set with the last bytes.  `scratch` is rewound.  After a failure the
 * writer is of no more use. */
MUST err pack_writer_step(struct pack_writer *w, struct odb *o, struct arena *scratch,
                          struct buf *out);

/* The type and size of an object as they stand in a pack: at most 10 bytes; returns how many. */
size_t pack_object_head(enum obj_type type, uint64_t size, unsigned char ret[10]);
