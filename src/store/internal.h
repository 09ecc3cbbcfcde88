/* internal.h — what the files of store/ share with each other and with nobody else. */
#pragma once
#include "store/repo.h"
#include "store/stat.h"
#include "store/token.h"

struct commit_locks *commit_locks_new(void);
void commit_locks_free(struct commit_locks *l); /* accepts NULL */
struct stat_memory *stat_memory_new(void);
void stat_memory_free(struct stat_memory *m);     /* accepts NULL */
struct object_proofs *object_proofs_new(void);    /* object_source.c */
void object_proofs_free(struct object_proofs *p); /* accepts NULL */
struct xorb_cache *xorb_cache_new(void);
void xorb_cache_free(struct xorb_cache *c); /* accepts NULL */
struct sign_keys *sign_keys_new(void);
void sign_keys_free(struct sign_keys *k); /* accepts NULL */
struct facets *facets_new(void);
void facets_free(struct facets *f); /* accepts NULL */
struct upload_runs *upload_runs_new(void);
void upload_runs_free(struct upload_runs *u); /* accepts NULL */

struct gc_locks *gc_locks_new(void);
void gc_locks_free(struct gc_locks *l); /* accepts NULL */

/* names.c — a cache of small lookups, emptied whenever any process committed to hearth.db.
 * Values are copied out under its lock. */
struct names *names_new(void);
void names_free(struct names *n); /* accepts NULL */
bool names_get_token(struct store *s, struct arena *a, sha256 hash, struct token *ret,
                     struct account *ret_user);
void names_put_token(struct store *s, uint64_t generation, sha256 hash, const struct token *t,
                     const struct account *u);
bool names_get_repo(struct store *s, struct arena *a, enum repo_kind kind, str name,
                    struct repo *ret, bool *ret_moved);
void names_put_repo(struct store *s, uint64_t generation, str name, const struct repo *r,
                    bool moved);

/* account.c */
#define ACCOUNT_COLS                                                                               \
    "id, oid, name, kind, role, state, full_name, email, private_by_default, quota_bytes, "        \
    "created_at"
#define ACCOUNT_COLUMN_COUNT 11
struct account account_read(struct db_stmt *q, int first_column, struct arena *a);
str account_key(struct arena *a, str name); /* lower case */

/* store.c: the databases of a data directory, each alone; c.path is set by the caller. */
enum store_file { STORE_HUB, STORE_GIT, STORE_STATS, STORE_FILES };
extern const char *const store_file_name[STORE_FILES];
MUST err store_file_open(struct arena *a, enum store_file f, struct db_config c, struct db **ret);
#define STORE_RESTORING "RESTORING" /* in DATA while a restore fills it: no store yet */
