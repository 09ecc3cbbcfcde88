/* unpack.h — reads the packs that strangers push.
 *
 * The pack is a file (a stream of unknown length went to disk first).  Every object is given to
 * the caller once, whole, bases before what is made from them; the caller stores and names it.
 * Nothing is believed: sizes are checked before memory is asked for, deltas before they are
 * applied, the sum of all contents against a limit, so that nine kilobytes never become gigabytes.
 *
 * Memory: 64 bytes per object, and along a chain of deltas only those contents that other deltas
 * still need (at most UNPACK_CHAIN_BYTES).
 */
#pragma once
#include "git/odb.h"

#define UNPACK_CHAIN_BYTES (128u << 20)
#define UNPACK_MAX_CHAIN 4096

struct unpack_limits {
    uint64_t objects;      /* in one pack */
    uint64_t object_bytes; /* of one object's content */
    uint64_t total_bytes;  /* of all contents together */
};

struct unpack {
    int fd;
    uint64_t size;     /* of the file */
    struct odb *bases; /* where a thin pack's bases are found */
    struct unpack_limits limits;
    /* Takes one object and says its name.  `data` is good during the call. */
    err (*take)(void *ctx, enum obj_type type, str data, oid *ret);
    void *ctx;
};

/* Fails with 400 and a few words for a malformed pack, 413 past a limit.  Objects taken before the
 * failure stay taken: nothing refers to them. */
MUST err unpack_run(struct arena *a, const struct unpack *u, uint64_t *ret_objects);
