/* quota.c — see quota.h.
 *
 * A table of QUOTA_SLOTS counters, each for one (class, identity) in the window it was last used;
 * two identities that meet in one slot push each other out, which forgives requests and never
 * refuses one that is within its limit.
 */
#include "server/quota.h"
#include "auth/auth.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/settings.h"
#include <stdlib.h>

#define WINDOW_S 300
#define QUOTA_SLOTS 65536 /* a power of two */

struct slot {
    uint64_t key;
    int64_t window;
    int64_t used;
};

struct quota {
    pthread_mutex_t lock;
    struct slot *slots;
};

struct quota *quota_new(void)
{
    struct quota *q = calloc(1, sizeof *q);

    if (!q || !(q->slots = calloc(QUOTA_SLOTS, sizeof *q->slots)))
        abort();
    pthread_mutex_init(&q->lock, NULL);
    return q;
}

void quota_free(struct quota *q)
{
    if (!q)
        return;
    pthread_mutex_destroy(&q->lock);
    free(q->slots);
    free(q);
}

struct quota_class {
    str name;
    int64_t limit;
};

static struct quota_class class_of(const struct req *r)
{
    if (str_has(r->path, STR("/resolve/")) || str_starts(r->path, STR("/api/resolve-cache/")))
        return (struct quota_class){STR("resolvers"), settings.rate_resolvers};
    if (str_starts(r->path, STR("/api/")))
        return (struct quota_class){STR("api"), settings.rate_api};
    return (struct quota_class){STR("pages"), settings.rate_pages};
}

static int64_t count(struct quota *q, uint64_t key, int64_t window)
{
    AUTO_LOCK(&q->lock);
    struct slot *s = &q->slots[(key ^ key >> 32) & (QUOTA_SLOTS - 1)];

    if (s->key != key || s->window != window)
        *s = (struct slot){key, window, 0};
    return ++s->used;
}

err quota_spend(struct quota *q, struct req *r)
{
    struct quota_class c = class_of(r);
    int64_t now_s = clock_ms() / 1000, window = now_s / WINDOW_S, left_s, used;
    uint64_t who;

    if (c.limit == 0)
        return OK;
    who = r->user ? (uint64_t)r->user->token.id * 2 : str_hash(r->client) | 1;
    used = count(q, who * 0x9E3779B97F4A7C15ull ^ str_hash(c.name), window);
    left_s = WINDOW_S - now_s % WINDOW_S;
    reply_header(r, "RateLimit",
                 arena_printf(r->a, "\"%.*s\";r=%lld;t=%lld", STR_FMT(c.name),
                              (long long)(used > c.limit ? 0 : c.limit - used), (long long)left_s));
    reply_header(r, "RateLimit-Policy",
                 arena_printf(r->a, "\"fixed window\";\"%.*s\";q=%lld;w=%d", STR_FMT(c.name),
                              (long long)c.limit, WINDOW_S));
    if (used <= c.limit)
        return OK;
    reply_header(r, "Retry-After", arena_printf(r->a, "%lld", (long long)left_s));
    return err_new(
        r->a, 429, NULL,
        "Too many requests: %lld in five minutes are allowed; try again in %lld seconds.",
        (long long)c.limit, (long long)left_s);
}
