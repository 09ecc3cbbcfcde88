/* check.h — is everything that the store holds what it should be?  (`hearth fsck`)
 *
 * Works beside a running server: no read transaction lives long, and whatever looks wrong is looked
 * at once more after a moment before it is told, because rows may have changed meanwhile.  Memory
 * is bounded: pages of rows, one xorb at a time, the ids of one repository's git objects.
 *
 * Without `repair` nothing is written.  docs/storage-format.md says which bytes are covered by
 * which check, and which are not covered by any.
 */
#pragma once
#include "store/store.h"

enum check_state {
    CHECK_REPAIRABLE, /* the store itself knows better: --repair writes it */
    CHECK_REPAIRED,
    CHECK_DAMAGED, /* only bytes from elsewhere help: an upload, a backup, a decision */
};

struct check_finding {
    enum check_state state;
    const char *what; /* "xorb", "git object", "account" … */
    str name;         /* which one */
    str why;          /* what is wrong, and what helps */
};
struct check_place { /* a file that a finding touches */
    str repo;        /* models/ns/name */
    str revision;    /* a branch, or empty for the history */
    str path;        /* empty: the whole repository */
};

struct check_options {
    bool fast;     /* rows and sizes of blobs only: no content is read */
    bool repair;   /* write what can be known */
    bool contents; /* also reads every verified large file against its SHA-256 */
    int settle_ms; /* before the second look; 0: at once */
};

struct check_watch { /* every member may be NULL */
    void (*found)(void *arg, const struct check_finding *f);
    void (*touches)(void *arg, const struct check_place *p); /* after its finding */
    void (*progress)(void *arg, const char *step, uint64_t done);
    void *arg;
};

struct check_result {
    uint64_t repairable, repaired, damaged;
    uint64_t accounts, repos, objects, xorbs, xorb_bytes, shards, files, file_bytes;
};

/* Fails only when the check itself cannot go on; damage is told through `w` and counted. */
MUST err check_run(struct store *s, struct arena *a, const struct check_options *o,
                   const struct check_watch *w, struct check_result *ret);
