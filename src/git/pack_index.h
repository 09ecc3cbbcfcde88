/* pack_index.h — where each object of a pack stands: the .idx file beside it, version 2.
 *
 *     FF "tOc"  00000002
 *     fan-out   256 × u32   how many ids begin with this byte or a smaller one
 *     ids       n × 20      sorted
 *     crc       n × u32     CRC-32 of the object's bytes in the pack, its head included
 *     offsets   n × u32     where it begins; with the top bit set: place in the next table
 *     far       m × u64     offsets of 2 GiB and more
 *     SHA-1 of the pack (its last 20 bytes), SHA-1 of everything above
 *
 * All numbers are big-endian.  A pack_writer fills one of these while it writes (pack.h).
 * Memory: 32 bytes per object, in the heap.
 */
#pragma once
#include "base/err.h"
#include "git/oid.h"

struct pack_index {
    struct pack_index_entry {
        oid id;
        uint32_t crc;
        uint64_t offset;
    } * entries;
    size_t count, cap;
    uint64_t at; /* bytes of the pack so far */
};

void pack_index_object(struct pack_index *x, oid id);   /* the next bytes begin this object */
void pack_index_bytes(struct pack_index *x, str bytes); /* the pack goes on, up to its checksum */

/* Sorts the entries and gives the file to put() in pieces of at most 64 KiB.  Fails only when put
 * does. */
MUST err pack_index_write(struct pack_index *x, sha1 pack_sum, err (*put)(void *arg, str bytes),
                          void *arg);
void pack_index_free(struct pack_index *x);
#define AUTO_PACK_INDEX __attribute__((cleanup(pack_index_free)))
