/* names.c — token → user and name → repository, answered from memory.
 *
 * Every entry was read at one generation of hearth.db; when the generation moves (a commit of this
 * process, or of another one seen within 100 ms) everything is forgotten.  Guarded by `lock`.
 */
#include "base/io.h"
#include "store/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 4096 /* entries; a power of two */
#define NAMES_BYTES_MAX (8u << 20)

struct entry {
    str key;
    struct token token;
    struct account user;
    struct repo repo;
    bool moved;
};

struct names {
    pthread_mutex_t lock;
    struct arena *a;
    uint64_t generation;
    struct entry **slots;
};

struct names *names_new(void)
{
    struct names *n = calloc(1, sizeof *n);

    if (!n || !(n->slots = calloc(NAMES_MAX, sizeof *n->slots)))
        abort();
    pthread_mutex_init(&n->lock, NULL);
    n->a = arena_new(0);
    return n;
}

void names_free(struct names *n)
{
    if (!n)
        return;
    arena_free(n->a);
    free(n->slots);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static void forget(struct names *n, uint64_t generation)
{
    if (n->generation == generation && arena_used(n->a) < NAMES_BYTES_MAX)
        return;
    memset(n->slots, 0, NAMES_MAX * sizeof *n->slots);
    arena_reset(n->a);
    n->generation = generation;
}

static struct entry **slot_of(struct names *n, str key)
{
    return &n->slots[str_hash(key) & (NAMES_MAX - 1)];
}

static str copy(struct arena *a, str s)
{
    return s.ptr ? arena_str(a, s) : s;
}

static struct account copy_account(struct arena *a, const struct account *u)
{
    struct account c = *u;

    c.oid = copy(a, u->oid);
    c.name = copy(a, u->name);
    c.full_name = copy(a, u->full_name);
    c.email = copy(a, u->email);
    return c;
}

static struct token copy_token(struct arena *a, const struct token *t)
{
    struct token c = *t;

    c.name = copy(a, t->name);
    c.hint = copy(a, t->hint);
    c.scopes = copy(a, t->scopes);
    return c;
}

static struct repo copy_repo(struct arena *a, const struct repo *r)
{
    struct repo c = *r;

    c.oid = copy(a, r->oid);
    c.full_name = copy(a, r->full_name);
    c.card = copy(a, r->card);
    c.tags = copy(a, r->tags);
    c.meta = copy(a, r->meta);
    c.pipeline_tag = copy(a, r->pipeline_tag);
    c.library_name = copy(a, r->library_name);
    c.description = copy(a, r->description);
    return c;
}

/* The entry of `key` at the database's present generation, or NULL.  Under the lock. */
static struct entry *get(struct names *n, uint64_t generation, str key)
{
    struct entry **slot = slot_of(n, key);

    forget(n, generation);
    return *slot && str_eq((*slot)->key, key) ? *slot : NULL;
}

static struct entry *put(struct names *n, uint64_t generation, str key)
{
    struct entry *e;

    forget(n, generation);
    e = arena_one(n->a, struct entry);
    e->key = arena_str(n->a, key);
    *slot_of(n, key) = e;
    return e;
}

static str token_key(sha256 *hash)
{
    return (str){(const char *)hash->b, sizeof hash->b};
}

bool names_get_token(struct store *s, struct arena *a, sha256 hash, struct token *ret,
                     struct account *ret_user)
{
    uint64_t generation = db_generation(s->hub);
    AUTO_LOCK(&s->names->lock);
    struct entry *e = get(s->names, generation, token_key(&hash));

    if (!e)
        return false;
    *ret = copy_token(a, &e->token);
    *ret_user = copy_account(a, &e->user);
    return true;
}

void names_put_token(struct store *s, uint64_t generation, sha256 hash, const struct token *t,
                     const struct account *u)
{
    AUTO_LOCK(&s->names->lock);
    struct entry *e;

    if (db_generation(s->hub) != generation)
        return;
    e = put(s->names, generation, token_key(&hash));
    e->token = copy_token(s->names->a, t);
    e->user = copy_account(s->names->a, u);
}

static str repo_key(struct arena *a, enum repo_kind kind, str name)
{
    return arena_printf(a, "%d:%.*s", (int)kind, STR_FMT(name));
}

bool names_get_repo(struct store *s, struct arena *a, enum repo_kind kind, str name,
                    struct repo *ret, bool *ret_moved)
{
    uint64_t generation = db_generation(s->hub);
    str key = repo_key(a, kind, name);
    AUTO_LOCK(&s->names->lock);
    struct entry *e = get(s->names, generation, key);

    if (!e)
        return false;
    *ret = copy_repo(a, &e->repo);
    *ret_moved = e->moved;
    return true;
}

void names_put_repo(struct store *s, uint64_t generation, str name, const struct repo *r,
                    bool moved)
{
    AUTO_LOCK(&s->names->lock);
    struct entry *e;
    char key[256];
    int len = snprintf(key, sizeof key, "%d:%.*s", (int)r->kind, STR_FMT(name));

    if (db_generation(s->hub) != generation || len < 0 || (size_t)len >= sizeof key)
        return;
    e = put(s->names, generation, (str){key, (size_t)len});
    e->repo = copy_repo(s->names->a, r);
    e->moved = moved;
}
