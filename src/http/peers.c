/* peers.c — how many connections each address has.  IPv6 addresses count by their /64. */
#include "base/io.h"
#include "http/conn.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct peer {
    unsigned char key[16];
    unsigned count;
    struct peer *next;
};

struct peers {
    pthread_mutex_t lock;
    struct peer *buckets[BUCKETS]; /* lock */
};

struct peers *peers_new(void)
{
    struct peers *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void peers_free(struct peers *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        assert(!p->buckets[i]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* The address as IPv6, an IPv4 address mapped. */
static struct in6_addr address_of(const struct sockaddr_storage *from)
{
    struct in6_addr a = IN6ADDR_ANY_INIT;

    if (from->ss_family == AF_INET6) {
        memcpy(&a, &((const struct sockaddr_in6 *)from)->sin6_addr, sizeof a);
    } else if (from->ss_family == AF_INET) {
        a.s6_addr[10] = a.s6_addr[11] = 0xff;
        memcpy(&a.s6_addr[12], &((const struct sockaddr_in *)from)->sin_addr, 4);
    }
    return a;
}

static bool is_loopback(const struct in6_addr *a)
{
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

static struct peer **bucket_of(struct peers *p, const unsigned char key[16])
{
    return &p->buckets[str_hash((str){(const char *)key, 16}) % BUCKETS];
}

bool peers_enter(struct peers *p, const struct sockaddr_storage *from, unsigned max,
                 struct peer **ret)
{
    struct in6_addr a = address_of(from);
    struct peer **bucket, *e;

    *ret = NULL;
    if (is_loopback(&a))
        return true;
    if (!IN6_IS_ADDR_V4MAPPED(&a))
        memset(&a.s6_addr[8], 0, 8);
    AUTO_LOCK(&p->lock);
    bucket = bucket_of(p, a.s6_addr);
    for (e = *bucket; e && memcmp(e->key, a.s6_addr, 16) != 0; e = e->next)
        continue;
    if (e && e->count >= max)
        return false;
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e)
            abort();
        memcpy(e->key, a.s6_addr, 16);
        e->next = *bucket;
        *bucket = e;
    }
    e->count++;
    *ret = e;
    return true;
}

void peers_leave(struct peers *p, struct peer *e)
{
    struct peer **at;

    if (!e)
        return;
    AUTO_LOCK(&p->lock);
    assert(e->count > 0);
    if (--e->count > 0)
        return;
    for (at = bucket_of(p, e->key); *at != e; at = &(*at)->next)
        continue;
    *at = e->next;
    free(e);
}

void peers_text(const struct sockaddr_storage *from, char *ret, size_t size)
{
    struct in6_addr a = address_of(from);

    if (IN6_IS_ADDR_V4MAPPED(&a))
        inet_ntop(AF_INET, &a.s6_addr[12], ret, (socklen_t)size);
    else if (from->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &a, ret, (socklen_t)size);
    else
        snprintf(ret, size, "unknown");
}
