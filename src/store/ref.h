/* ref.h — branches, tags and special refs, and what stands on a branch. */
#pragma once
#include "git/odb.h"
#include "store/repo.h"

struct ref {
    int64_t id;
    str name;   /* full: refs/heads/main */
    oid oid;    /* commit, or tag object */
    oid peeled; /* the commit */
    int64_t updated_at_ms;
};
struct ref_list {
    struct ref *items;
    size_t count;
};
MUST err ref_list(struct db *db, struct arena *a, int64_t repo_id,
                  struct ref_list *ret); /* by name */
MUST err ref_find(struct db *db, struct arena *a, int64_t repo_id, str name,
                  struct ref *ret); /* id 0: none */

/* Before a ref is set to a commit or tag that was not just written: what it needs is made safe from
 * gc.  404 RevisionNotFound when some of it is gone already.  The caller holds commit_lock() until
 * the ref has moved. */
MUST err ref_keep(struct store *s, struct arena *a, const struct repo *r, struct odb *o, oid tip);

/* A revision as clients name it (hub-api.md 1.4) → its commit, and the ref when it is one.
 * 404 RevisionNotFound. */
struct revision {
    oid commit;
    struct ref ref;    /* id 0 when the revision is a bare commit */
    int64_t branch_id; /* ref id of a branch whose head is `commit`, whose files are in branch_file;
                          0: walk git */
};
MUST err revision_find(struct store *s, struct arena *a, const struct repo *r, str rev,
                       struct revision *ret);

/* One entry of a tree. */
struct entry {
    str path;      /* from the root, no slash at the end */
    uint32_t mode; /* git's: 040000 folder … */
    oid oid;
    uint64_t size; /* real size; 0 for folders */
    bool is_lfs;
    sha256 lfs; /* when is_lfs */
    uint64_t pointer_size;
    bool has_last_commit;
    oid last_commit;
};
#define ENTRY_IS_DIR(e) ((e)->mode == 040000)

struct entry_list {
    struct entry *items;
    size_t count;
    bool more; /* there are entries after the last one */
};
/* One path at a revision; path "" is the root folder.  *ret_found false when it is not there. */
MUST err entry_find(struct store *s, struct arena *a, const struct repo *r,
                    const struct revision *rev, str path, struct entry *ret, bool *ret_found);
struct entry_query {
    str path; /* folder, "" for the root */
    bool recursive;
    str after; /* key of the last entry of the page before (its path, '/' behind folders), or ptr
                  NULL */
    size_t limit;
    bool last_commit;
};
/* Entries below a folder in git's order.  404 EntryNotFound when the path is no folder. */
MUST err entry_list(struct store *s, struct arena *a, const struct repo *r,
                    const struct revision *rev, const struct entry_query *q,
                    struct entry_list *ret);
/* Fills last_commit of entries of a revision that is not a branch head. */
MUST err entry_size(struct store *s, struct arena *a, const struct repo *r,
                    const struct revision *rev, str path, uint64_t *ret_bytes);
