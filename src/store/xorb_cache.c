/* xorb_cache.c — opened xorbs, by use; which were verified; memory to read chunks with.
 *
 * One lock guards all of it, a leaf: no file is read and no statement runs under it.
 */
#include "store/xorb_cache.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 256
#define IDLE_XORBS_MAX 256        /* open but unused: descriptors */
#define IDLE_BYTES_MAX (8u << 20) /* open but unused: memory of their indexes */
#define IDLE_READERS_MAX 16
#define VERIFIED_MIN 1024u      /* slots of the table of verified xorbs */
#define VERIFIED_MAX (1u << 20) /* then it starts afresh */

struct xorb_cache {
    pthread_mutex_t lock;
    struct xorb *bucket[BUCKETS];
    struct xorb newest; /* a ring of idle and used ones, by last use */
    size_t idle_count, idle_bytes;
    struct chunk_reader *readers;
    unsigned reader_count;
    unsigned char key[32]; /* of the fingerprints below */
    uint64_t *verified;    /* open addressing, 0 empty */
    uint32_t verified_count, verified_slots;
};

/* --- chunk map --- */

static uint32_t map_slot(chunk_hash h)
{
    uint32_t v;

    memcpy(&v, h.b, sizeof v);
    return v;
}

uint32_t chunk_map_find(const struct chunk_map *m, const chunk_hash *chunks, chunk_hash h)
{
    if (!m->slots)
        return CHUNK_NONE;
    for (uint32_t i = map_slot(h) & m->mask; m->slots[i]; i = (i + 1) & m->mask)
        if (chunk_hash_eq(chunks[m->slots[i] - 1], h))
            return m->slots[i] - 1u;
    return CHUNK_NONE;
}

static void map_put(struct chunk_map *m, const chunk_hash *chunks, uint32_t chunk)
{
    uint32_t i = map_slot(chunks[chunk]) & m->mask;

    for (; m->slots[i]; i = (i + 1) & m->mask)
        if (chunk_hash_eq(chunks[m->slots[i] - 1], chunks[chunk]))
            return; /* the first of equal chunks is found */
    m->slots[i] = (uint16_t)(chunk + 1);
    m->count++;
}

void chunk_map_add(struct chunk_map *m, const chunk_hash *chunks, uint32_t chunk)
{
    assert(chunk < XORB_CHUNKS_MAX);
    if (!m->slots || m->count * 2 > m->mask) {
        uint32_t slots = m->slots ? (m->mask + 1) * 2 : 64;
        struct chunk_map bigger = {need(calloc(slots, sizeof *m->slots)), slots - 1, 0};

        for (uint32_t i = 0; m->slots && i <= m->mask; i++)
            if (m->slots[i])
                map_put(&bigger, chunks, m->slots[i] - 1u);
        free(m->slots);
        *m = bigger;
    }
    map_put(m, chunks, chunk);
}

void chunk_map_clear(struct chunk_map *m)
{
    free(m->slots);
    *m = (struct chunk_map){0};
}

/* --- cache --- */

struct xorb_cache *xorb_cache_new(void)
{
    struct xorb_cache *c = need(calloc(1, sizeof *c));

    pthread_mutex_init(&c->lock, NULL);
    c->newest.newer = c->newest.older = &c->newest;
    random_bytes(c->key, sizeof c->key);
    return c;
}

void xorb_free(struct xorb *x)
{
    fd_close(&x->fd);
    xorb_index_free(x->index);
    chunk_map_clear(&x->map);
    free(x->kinds);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

static void reader_free(struct chunk_reader *r)
{
    chunk_decoder_free(r->decoder);
    free(r);
}

void xorb_cache_free(struct xorb_cache *c)
{
    if (!c)
        return;
    while (c->newest.older != &c->newest) {
        struct xorb *x = c->newest.older;

        assert(x->refs == 0);
        x->newer->older = x->older;
        x->older->newer = x->newer;
        xorb_free(x);
    }
    while (c->readers) {
        struct chunk_reader *r = c->readers;

        c->readers = r->next;
        reader_free(r);
    }
    free(c->verified);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static size_t memory_of(const struct xorb *x)
{
    return (size_t)x->index->count * 48 + sizeof *x;
}

static struct xorb **bucket_of(struct xorb_cache *c, int64_t id)
{
    return &c->bucket[(uint64_t)id % BUCKETS];
}

/* Under the lock: `x` is no longer found; true when nobody uses it, so that it can be freed. */
static bool unlink_xorb(struct xorb_cache *c, struct xorb *x)
{
    struct xorb **at = bucket_of(c, x->id);

    assert(x->linked);
    while (*at != x)
        at = &(*at)->next_in_bucket;
    *at = x->next_in_bucket;
    x->newer->older = x->older;
    x->older->newer = x->newer;
    x->linked = false;
    if (x->refs)
        return false;
    c->idle_count--;
    c->idle_bytes -= memory_of(x);
    return true;
}

struct xorb *xorb_cache_find(struct xorb_cache *c, int64_t id)
{
    AUTO_LOCK(&c->lock);

    for (struct xorb *x = *bucket_of(c, id); x; x = x->next_in_bucket)
        if (x->id == id) {
            if (x->refs++ == 0) {
                c->idle_count--;
                c->idle_bytes -= memory_of(x);
            }
            return x;
        }
    return NULL;
}

void xorb_cache_forget(struct xorb_cache *c, struct xorb *x)
{
    AUTO_LOCK(&c->lock);

    if (x->linked)
        (void)unlink_xorb(c, x);
}

void xorb_forget(struct store *s, int64_t id)
{
    struct xorb *x = xorb_cache_find(s->xorbs, id);

    if (x)
        xorb_cache_forget(s->xorbs, x);
    xorb_unref(s, x);
}

struct xorb *xorb_cache_link(struct xorb_cache *c, struct xorb *x)
{
    AUTO_LOCK(&c->lock);

    for (struct xorb *o = *bucket_of(c, x->id); o; o = o->next_in_bucket)
        if (o->id == x->id) {
            if (o->generation != x->generation || o->stat.inode != x->stat.inode)
                return x; /* ours stays private; the older one leaves with its next stat */
            if (o->refs++ == 0) {
                c->idle_count--;
                c->idle_bytes -= memory_of(o);
            }
            xorb_free(x);
            return o;
        }
    x->next_in_bucket = *bucket_of(c, x->id);
    *bucket_of(c, x->id) = x;
    x->older = c->newest.older;
    x->newer = &c->newest;
    x->older->newer = c->newest.older = x;
    x->linked = true;
    return x;
}

/* Under the lock: takes idle xorbs out until there are few enough; a chain by next_in_bucket. */
static struct xorb *evict(struct xorb_cache *c)
{
    struct xorb *gone = NULL, *x = c->newest.newer, *next;

    for (; x != &c->newest && (c->idle_count > IDLE_XORBS_MAX || c->idle_bytes > IDLE_BYTES_MAX);
         x = next) {
        next = x->newer;
        if (x->refs)
            continue;
        (void)unlink_xorb(c, x);
        x->next_in_bucket = gone;
        gone = x;
    }
    return gone;
}

void xorb_unref(struct store *s, struct xorb *x)
{
    struct xorb_cache *c = s->xorbs;
    struct xorb *gone = NULL;

    if (!x)
        return;
    {
        AUTO_LOCK(&c->lock);
        assert(x->refs > 0);
        if (--x->refs == 0 && !x->linked) {
            x->next_in_bucket = NULL;
            gone = x;
        } else if (x->refs == 0) {
            c->idle_count++;
            c->idle_bytes += memory_of(x);
            x->newer->older = x->older; /* to the fresh end of the ring */
            x->older->newer = x->newer;
            x->older = c->newest.older;
            x->newer = &c->newest;
            x->older->newer = c->newest.older = x;
            gone = evict(c);
        }
    }
    while (gone) {
        struct xorb *next = gone->next_in_bucket;

        xorb_free(gone);
        gone = next;
    }
}

/* --- what was verified --- */

static uint64_t fingerprint(const struct xorb_cache *c, const struct xorb *x)
{
    unsigned char text[32 + 4 * 8];
    blake3 h;
    uint64_t v;

    memcpy(text, x->hash.b, 32);
    memcpy(text + 32, &x->generation, 8);
    memcpy(text + 40, &x->stat.inode, 8);
    memcpy(text + 48, &x->stat.size, 8);
    memcpy(text + 56, &x->stat.mtime_ns, 8);
    h = blake3_keyed(c->key, text, sizeof text);
    memcpy(&v, h.b, sizeof v);
    return v | 1; /* never 0 */
}

bool xorb_cache_verified(struct xorb_cache *c, const struct xorb *x)
{
    uint64_t print = fingerprint(c, x);
    AUTO_LOCK(&c->lock);
    uint32_t mask = c->verified_slots - 1;

    if (!c->verified)
        return false;
    for (uint32_t i = (uint32_t)(print >> 32) & mask; c->verified[i]; i = (i + 1) & mask)
        if (c->verified[i] == print)
            return true;
    return false;
}

static void put_print(uint64_t *table, uint32_t slots, uint64_t print)
{
    uint32_t i = (uint32_t)(print >> 32) & (slots - 1);

    while (table[i] && table[i] != print)
        i = (i + 1) & (slots - 1);
    table[i] = print;
}

void xorb_cache_note(struct xorb_cache *c, const struct xorb *x)
{
    uint64_t print = fingerprint(c, x);
    AUTO_LOCK(&c->lock);

    if (c->verified_count * 2 >= c->verified_slots) {
        uint32_t slots = c->verified_slots ? c->verified_slots * 2 : VERIFIED_MIN;
        bool keep = slots <= VERIFIED_MAX;
        uint64_t *bigger;

        if (!keep)
            slots = VERIFIED_MIN;
        bigger = need(calloc(slots, sizeof *bigger));
        for (uint32_t i = 0; keep && i < c->verified_slots; i++)
            if (c->verified[i])
                put_print(bigger, slots, c->verified[i]);
        free(c->verified);
        c->verified = bigger;
        c->verified_slots = slots;
        if (!keep)
            c->verified_count = 0;
    }
    put_print(c->verified, c->verified_slots, print);
    c->verified_count++;
}

/* --- readers --- */

struct chunk_reader *chunk_reader_get(struct store *s)
{
    struct chunk_reader *r;

    {
        AUTO_LOCK(&s->xorbs->lock);
        r = s->xorbs->readers;
        if (r) {
            s->xorbs->readers = r->next;
            s->xorbs->reader_count--;
            return r;
        }
    }
    r = need(malloc(sizeof *r)); /* touched only as far as records reach */
    r->next = NULL;
    r->decoder = chunk_decoder_new();
    return r;
}

void chunk_reader_put(struct store *s, struct chunk_reader *r)
{
    {
        AUTO_LOCK(&s->xorbs->lock);
        if (s->xorbs->reader_count < IDLE_READERS_MAX) {
            r->next = s->xorbs->readers;
            s->xorbs->readers = r;
            s->xorbs->reader_count++;
            return;
        }
    }
    reader_free(r);
}

struct chunk_decoder *chunk_reader_decoder(struct chunk_reader *r)
{
    return r->decoder;
}
