/* gc_mark.h — everything that the refs of one repository reach.  Between gc_mark.c and gc_git.c;
 * nobody else includes it.
 *
 * Memory: 20 bytes per object at a load of at most three quarters, sized by the objects that the
 * repository has, and 32 bytes per large file that a reachable pointer names.
 */
#pragma once
#include "git/odb.h"
#include "store/store.h"

struct oid_bag {
    oid *slots; /* zero: empty */
    size_t cap, count;
    uint64_t seed;
};
bool oid_bag_has(const struct oid_bag *b, oid id);

struct mark {
    struct store *store;
    struct arena *a; /* scratch: empty between calls */
    int64_t repo_id;
    struct odb *odb;
    struct oid_bag seen;
    struct oid_list todo;
    sha256 refs; /* digest of the refs when they were last read */
    sha256 *files;
    size_t file_count, file_room; /* sorted, distinct, once mark_files() is through */
};
void mark_free(struct mark *m);
#define AUTO_MARK __attribute__((cleanup(mark_free)))

/* The digest of all refs; `tips` gets those that `seen` (may be NULL) does not hold. */
MUST err refs_read(struct store *s, int64_t repo_id, const struct oid_bag *seen, sha256 *ret,
                   struct oid_list *tips);
/* Adds what the refs reach and is not marked yet.  500 when objects are missing or damaged. */
MUST err mark_refs(struct mark *m);
/* Lists the large files that marked pointers name. */
MUST err mark_files(struct mark *m);
bool mark_has_file(const struct mark *m, sha256 h);
