/* pack_intake.h — takes a pushed pack into a repository's objects.
 *
 * Objects go in first and are durable when this returns; refs move afterwards (ref_update).  What
 * a failed push leaves behind is collected: nothing refers to it.
 */
#pragma once
#include "store/commit.h"

#define INTAKES_MAX 4 /* packs read at the same time; further ones wait */
#define INTAKE_OBJECTS_MAX 2000000
#define INTAKE_OBJECT_BYTES (32u << 20)  /* of one object */
#define INTAKE_TOTAL_BYTES (16ull << 30) /* of all contents of one pack together … */
#define INTAKE_EXPANSION 512 /* … and at most so many bytes per byte of the pack, from … */
#define INTAKE_EXPANSION_FREE (256ull << 20) /* … this many on */

/* Reads the pack in `fd`.  400, 413, 422 with a sentence. */
MUST err pack_intake(struct store *s, struct arena *a, const struct repo *r, struct odb *o, int fd,
                     uint64_t size);

/* Are these new tips fit to become refs?  Everything they reach is there; no regular file above
 * INLINE_FILE_MAX; every LFS pointer's content belongs to this repository.  `tips` are the new
 * values, `known` the present ones.  422 naming the files.  What the tips need and no present ref
 * has is safe from gc afterwards. */
MUST err pack_check_tips(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                         const oid *tips, size_t tip_count, const oid *known, size_t known_count);
