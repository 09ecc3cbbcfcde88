/* commit.h — the only way a ref moves.
 *
 * ref_update() runs one transaction in hearth.db that compares the ref with its expected value,
 * moves it, brings branch_file up to date, and runs the caller's `also` (card facts, pull request
 * rows …).  Objects must be durable before (object_flush).
 */
#pragma once
#include "git/tree_edit.h"
#include "store/object.h"
#include "store/ref.h"

#define INLINE_FILE_MAX (10u << 20) /* regular files in git; larger ones are LFS */

struct commit_author {
    str name, email;
};

struct commit_request {
    const struct repo *repo;
    struct odb *odb;
    str ref;             /* refs/heads/…, refs/pr/N, refs/convert/… */
    bool may_create_ref; /* PR refs: start from `base` */
    oid base;            /* with may_create_ref: the commit to start from */
    bool has_parent;     /* parentCommit was given */
    oid parent;
    const struct tree_edit *edits; /* git/tree_edit.h; blobs are written already */
    size_t edit_count;
    /* Instead of `edits`: called for every attempt with the tree it builds on, so that what is
     * derived from it (lines of .gitattributes, renames) is never derived from an older one. */
    err (*edits_on)(struct odb *o, struct arena *a, oid tree, void *arg,
                    const struct tree_edit **ret, size_t *ret_count);
    void *edits_arg;
    str title, body;
    struct commit_author author;
    int64_t user_id;
    bool has_digest; /* repeat-after-lost-answer (hub-api.md 2.5) */
    sha256 digest;
    int64_t pull_request;                              /* remembered with the digest */
    err (*also)(struct db *tx, oid commit, void *arg); /* in the transaction that moves the ref */
    void *also_arg;
};
struct commit_result {
    oid commit;
    bool unchanged; /* same tree: the head as it was */
};
/* Applies the edits on the ref's head, under the repository's lock; replays on a moved head at
 * most 10 times.  412 (parent moved), 404 RevisionNotFound, 404 EntryNotFound (removing a missing
 * path), 503 (too much contention). */
MUST err commit_apply(struct store *s, struct arena *a, const struct commit_request *q,
                      struct commit_result *ret);
/* Was this very request answered before, and does its commit still stand? */
MUST err commit_seen(struct store *s, struct arena *a, int64_t repo_id, str ref, int64_t user_id,
                     sha256 digest, bool *ret_found, oid *ret_commit, int64_t *ret_number);

struct first_file {
    str path, content;
};
/* Creates the repository with its initial commit, title "initial commit", in one transaction.
 * 409 when the name is taken. */
MUST err commit_initial(struct store *s, struct arena *a, const struct repo_new *n,
                        const struct first_file *files, size_t file_count,
                        struct commit_author author, struct repo *ret);

struct ref_change {
    str name;
    oid old_oid, new_oid; /* all zero: create / delete */
};
struct ref_change_result {
    err failed; /* OK: done */
};
/* Moves refs (push, branch and tag routes).  Each is compared with old_oid; with `atomic` one
 * failure fails all.  New tips' objects must be durable.  Tag objects are peeled here. */
MUST err ref_update(struct store *s, struct arena *a, const struct repo *r,
                    const struct ref_change *changes, size_t count, bool atomic,
                    struct ref_change_result *results);

/* The per-repository lock that commits and pushes hold while they compute a new head. */
void commit_lock(struct store *s, int64_t repo_id);
void commit_unlock(struct store *s, int64_t repo_id);
/* After main moved: recomputes card, tags, meta.  Set by hub/ at start; may be NULL. */
extern err (*commit_facts)(struct store *s, struct arena *a, const struct repo *r, struct odb *odb,
                           oid head, struct repo_facts *ret);
