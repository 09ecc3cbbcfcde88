/* limit.c — how often may somebody guess a password?  Failures are counted per name and per address
 * for a quarter of an hour, in a table of fixed size: the oldest entry of a slot gives way. */
#include "auth/auth.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include <string.h>

#define SLOTS 4096u
#define WAYS 4u
#define WINDOW_MS (15 * 60000LL)
#define PER_NAME 10
#define PER_ADDRESS 50

struct guess {
    uint64_t who;
    int64_t since_ms;
    unsigned failures;
};

static struct {
    pthread_mutex_t lock; /* a leaf */
    struct guess slot[SLOTS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t who(struct req *r, const char *kind, str value)
{
    str text = arena_cat(r->a, str_c(kind), STR("\n"), text_lower(r->a, value));
    sha256 h = sha256_of(text.ptr, text.len);
    uint64_t v;

    memcpy(&v, h.b, sizeof v);
    return v | 1; /* 0 is an empty slot */
}

/* Under the lock: the entry of this key, or the one that gives way. */
static struct guess *entry(uint64_t key, int64_t now)
{
    struct guess *base = &table.slot[key % (SLOTS / WAYS) * WAYS], *oldest = base;

    for (unsigned i = 0; i < WAYS; i++) {
        if (base[i].who == key && now - base[i].since_ms < WINDOW_MS)
            return &base[i];
        if (base[i].since_ms < oldest->since_ms)
            oldest = &base[i];
    }
    return oldest;
}

static int64_t wait_ms(uint64_t key, unsigned limit, int64_t now)
{
    const struct guess *g = entry(key, now);

    if (g->who != key || now - g->since_ms >= WINDOW_MS || g->failures < limit)
        return 0;
    return WINDOW_MS - (now - g->since_ms);
}

err auth_login_allowed(struct req *r, str name)
{
    uint64_t by_name = who(r, "name", name), by_address = who(r, "address", r->client);
    int64_t now = clock_mono_ms() + WINDOW_MS, wait;

    {
        AUTO_LOCK(&table.lock);
        wait = name.len ? wait_ms(by_name, PER_NAME, now) : 0;
        if (wait == 0)
            wait = wait_ms(by_address, PER_ADDRESS, now);
    }
    if (wait == 0)
        return OK;
    reply_header(r, "Retry-After", arena_printf(r->a, "%lld", (long long)(wait / 1000 + 1)));
    return err_new(r->a, 429, "TooManyAttempts",
                   "Too many wrong passwords; wait %lld minutes and try again.",
                   (long long)(wait / 60000 + 1));
}

static void count(uint64_t key, int64_t now, bool fits)
{
    struct guess *g = entry(key, now);

    if (fits) {
        if (g->who == key)
            *g = (struct guess){0};
        return;
    }
    if (g->who != key || now - g->since_ms >= WINDOW_MS)
        *g = (struct guess){key, now, 0};
    g->failures++;
}

void auth_login_done(struct req *r, str name, bool fits)
{
    uint64_t by_name = who(r, "name", name), by_address = who(r, "address", r->client);
    int64_t now = clock_mono_ms() + WINDOW_MS; /* so that no time is that of an empty slot */
    AUTO_LOCK(&table.lock);

    if (name.len)
        count(by_name, now, fits);
    if (!fits)
        count(by_address, now, false);
}
