/* repo.h — repositories: names, visibility, lists. */
#pragma once
#include "store/account.h"

/* The first three have git; a bucket has not (store/bucket.h). */
enum repo_kind { REPO_MODEL, REPO_DATASET, REPO_SPACE, REPO_BUCKET };
#define REPO_GIT_KINDS 3
#define REPO_KINDS 4

str repo_kind_word(enum repo_kind k);                /* model, dataset, space, bucket */
str repo_kind_plural(enum repo_kind k);              /* models, datasets, spaces, buckets */
str repo_kind_prefix(enum repo_kind k);              /* "", "datasets/", "spaces/", "buckets/" */
bool repo_kind_parse(str word, enum repo_kind *ret); /* singular or plural */

struct repo {
    int64_t id;
    str oid;
    enum repo_kind kind;
    int64_t owner_id, creator_id;
    str full_name; /* ns/name */
    bool is_private;
    bool is_pristine; /* nobody built on the initial commit yet */
    int64_t created_at_ms, updated_at_ms;
    sha1 head; /* refs/heads/main */
    str card;  /* JSON or ptr NULL */
    str tags;  /* JSON array */
    str meta;  /* JSON object: "config", "safetensors", "gguf", … as repo_info shows them */
    str pipeline_tag, library_name, description; /* ptr NULL when absent */
    int64_t num_parameters, used_storage, likes, downloads, downloads_all, trending;
};
str repo_namespace(const struct repo *r); /* the part before the slash */
str repo_name(const struct repo *r);      /* the part after it */

/* Fit for a repository name, and for a whole id (hub-api.md 5.1)?  400. */
MUST err repo_name_check(struct arena *a, str name);

/* By id "ns/name", without regard to case, then among the old names.  ret->id 0: none.  *ret_moved
 * (may be NULL): found under another spelling than `full_name`.  Answered from a process cache. */
MUST err repo_find(struct store *s, struct arena *a, enum repo_kind kind, str full_name,
                   struct repo *ret, bool *ret_moved);
MUST err repo_by_id(struct db *db, struct arena *a, int64_t id, struct repo *ret);

struct repo_new {
    enum repo_kind kind;
    const struct account *owner; /* user or organization */
    int64_t creator_id;
    str name;
    bool is_private;
    str oid; /* empty: made here */
};
/* Only the row; commit_initial() in commit.h makes the first commit in the same transaction. */
MUST err repo_insert(struct db *tx, struct arena *a, const struct repo_new *n, struct repo *ret);

MUST err repo_hide(struct store *s, int64_t id); /* deletes: hidden in one transaction … */
MUST err repo_clear_next(struct store *s, struct arena *a,
                         bool *ret_more); /* … cleared in the background */
/* 409 when the target name is taken.  The old name redirects until someone takes it. */
MUST err repo_move(struct store *s, struct arena *a, const struct repo *r,
                   const struct account *owner, str name);
MUST err repo_set_private(struct store *s, int64_t id, bool is_private);
MUST err repo_like(struct store *s, int64_t id, int64_t delta);

/* What a card and the files say, written by the commit (card.c of hub derives it). */
struct repo_facts {
    str card, tags, meta, pipeline_tag, library_name, description; /* ptr NULL: none */
    const str *tag_list; /* lower-case tags for the filter index */
    size_t tag_count;
    int64_t num_parameters;
};
MUST err repo_set_facts(struct db *tx, struct arena *a, const struct repo *r,
                        const struct repo_facts *f);
MUST err repo_set_storage(struct db *tx, int64_t id); /* recounts used_storage from repo_file */
MUST err repo_owner_storage(struct db *db, int64_t owner_id,
                            int64_t *ret); /* bytes of all its repositories */
/* 413 QuotaExceeded when the owner of `r` may not store that many bytes more. */
MUST err repo_quota_check(struct db *db, struct arena *a, const struct repo *r, uint64_t bytes);

enum repo_sort {
    SORT_TRENDING,
    SORT_UPDATED,
    SORT_CREATED,
    SORT_DOWNLOADS,
    SORT_LIKES,
    SORT_PARAMETERS,
    SORT_ID
};

#define REPO_FILTERS_MAX 16
struct repo_query {
    enum repo_kind kind;
    const struct account *viewer; /* NULL: nobody */
    bool sees_all;                /* site admin */
    str author;                   /* exact namespace, ptr NULL: any */
    str search[4];                /* all must be substrings of the id */
    size_t search_count;
    str filter[REPO_FILTERS_MAX]; /* tags, lower case; all must be there */
    size_t filter_count;
    int64_t parameters_min, parameters_max; /* 0: no bound */
    enum repo_sort sort;
    bool ascending;
    int64_t limit;                   /* 1 … 1000 */
    str cursor;                      /* opaque, from ret_cursor; unparsable: an empty page */
    bool without_card, without_meta; /* leave these long columns out of the rows (ptr NULL) */
};
struct repo_list {
    struct repo *items;
    size_t count;
    str cursor; /* ptr NULL on the last page */
};
MUST err repo_list(struct store *s, struct arena *a, const struct repo_query *q,
                   struct repo_list *ret);
MUST err repo_count_of(struct db *db, int64_t owner_id, const struct account *viewer, bool sees_all,
                       int64_t ret[REPO_KINDS]);

/* What may `user` (NULL: nobody) do in this repository?  The one place (docs/access.md). */
enum access { ACCESS_NONE, ACCESS_READ, ACCESS_CONTRIBUTE, ACCESS_WRITE, ACCESS_ADMIN };
MUST err repo_access(struct db *db, const struct repo *r, const struct account *user,
                     enum access *ret);
/* May this user create repositories in that namespace? */
MUST err repo_may_create(struct db *db, const struct account *owner, const struct account *user,
                         bool *ret);
