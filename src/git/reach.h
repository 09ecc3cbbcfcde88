/* reach.h — which objects does somebody need to have everything that these tips reach?
 *
 * Used to plan a fetch (what the client lacks) and to check a push (is everything there?).  The
 * answer is a list of ids, commits and tags first, then trees, then blobs: the order of a pack.
 * Memory: some 60 bytes per object listed, REACH_MAX_OBJECTS at most.
 */
#pragma once
#include "git/tree.h"
#include "git/walk.h"

#define REACH_MAX_OBJECTS 20000000
#define REACH_NO_LIMIT UINT64_MAX

/* Which blobs and trees a partial clone leaves out. */
struct reach_filter {
    uint64_t blob_limit; /* blobs of this size or more are left out; REACH_NO_LIMIT: none */
    uint64_t tree_depth; /* trees and blobs at this depth or more (the root is 0) */
};
#define REACH_ALL ((struct reach_filter){REACH_NO_LIMIT, REACH_NO_LIMIT})
/* "blob:none", "blob:limit=10k", "tree:0".  False for anything else. */
bool reach_filter_parse(str s, struct reach_filter *ret);

struct reach_query {
    const oid *wants; /* commits, tags, trees or blobs; they are listed whatever the filter says */
    size_t want_count;
    const oid *haves; /* commits whose closure is there already (other types are ignored) */
    size_t have_count;
    const struct oid_map *have_cuts; /* commits below which the haves do not count; or NULL */
    const struct oid_map *want_cuts; /* commits whose parents are not wanted; or NULL */
    bool pass_haves; /* wanted ancestors of a have may be missing there: walk them all */
    struct reach_filter filter;
    bool check_blobs; /* fail when a blob is missing, instead of believing in it */
};

/* Fails with 500 ObjectMissing when a commit or tree (or blob, with check_blobs) is missing or is
 * of the wrong type, with 507 past REACH_MAX_OBJECTS. */
MUST err reach_list(struct odb *o, struct arena *scratch, const struct reach_query *q,
                    struct oid_list *ret);
