/* arena.c — see arena.h.
 *
 * An arena is a stack of blocks.  The newest block hands out memory from its front; when it is
 * full a larger one is pushed.  Sizes double from BLOCK_FIRST to BLOCK_MAX; one allocation
 * larger than that gets a block of its own size.  A block that is popped and not larger than
 * BLOCK_KEEP stays as the spare, so that a loop of mark and rewind, and the next request after a
 * reset, allocate nothing.
 *
 *   arena.top -> [block: used | free] -> [block: full] -> [block: full] -> NULL
 *                 base = bytes handed out by the blocks to its right
 */
#include "base/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif
#ifdef POISONED
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define BLOCK_FIRST ((size_t)4 << 10)
#define BLOCK_KEEP ((size_t)64 << 10)
#define BLOCK_MAX ((size_t)1 << 20)
#define ALIGN ((size_t)16)
#define MAGIC 0x4172656eu

struct block {
    struct block *prev;
    size_t size; /* of data */
    size_t used; /* of data */
    size_t base; /* used bytes of all older blocks */
    _Alignas(16) char data[];
};

struct defer {
    struct defer *prev;
    void (*fn)(void *);
    void *p;
};

struct arena {
    unsigned magic;
    size_t cap;
    struct block *top;
    struct block *spare; /* empty, at most BLOCK_KEEP, or NULL */
    struct defer *defers;
};

_Noreturn static void die(const char *why)
{
    fprintf(stderr, "hearth: arena: %s\n", why);
    abort();
}

static void check(const struct arena *a)
{
    assert(a && a->magic == MAGIC);
}

struct arena *arena_new(size_t cap_bytes)
{
    struct arena *a = calloc(1, sizeof *a);

    if (!a)
        die("out of memory");
    a->magic = MAGIC;
    a->cap = cap_bytes ? cap_bytes : SIZE_MAX / 2;
    return a;
}

size_t arena_used(const struct arena *a)
{
    check(a);
    return a->top ? a->top->base + a->top->used : 0;
}

/* Makes room for `size` more bytes in the top block. */
static void push(struct arena *a, size_t size)
{
    struct block *b = a->spare;
    size_t data = BLOCK_FIRST - sizeof(struct block);

    if (b && b->size >= size) {
        a->spare = NULL;
    } else {
        if (a->top) {
            data = (a->top->size + sizeof *b) * 2;
            data = (data < BLOCK_MAX ? data : BLOCK_MAX) - sizeof *b;
        }
        if (data < size)
            data = size;
        b = malloc(sizeof *b + data);
        if (!b)
            die("out of memory");
        b->size = data;
        POISON(b->data, data);
    }
    b->used = 0;
    b->base = arena_used(a);
    b->prev = a->top;
    a->top = b;
}

/* Bytes that are not yet cleared; `align` is 1 or ALIGN. */
static char *take(struct arena *a, size_t size, size_t align)
{
    struct block *b = a->top;
    size_t at;

    check(a);
    if (size > a->cap || arena_used(a) > a->cap - size)
        die("over its cap; an input is not limited as it should be");
    at = b ? (b->used + align - 1) & ~(align - 1) : 0;
    if (!b || at > b->size || size > b->size - at) {
        push(a, size);
        b = a->top;
        at = 0;
    }
    b->used = at + size;
    UNPOISON(b->data + at, size);
    return b->data + at;
}

/* Runs the deferred calls that are newer than `until`, newest first. */
static void run_defers(struct arena *a, const struct defer *until)
{
    while (a->defers != until) {
        struct defer d = *a->defers;

        a->defers = d.prev;
        d.fn(d.p);
    }
}

static void pop(struct arena *a)
{
    struct block *b = a->top;

    a->top = b->prev;
    if (b->size <= BLOCK_KEEP && (!a->spare || a->spare->size < b->size)) {
        free(a->spare);
        a->spare = b;
        b->used = 0;
        POISON(b->data, b->size);
    } else {
        free(b);
    }
}

void arena_reset(struct arena *a)
{
    check(a);
    run_defers(a, NULL);
    while (a->top)
        pop(a);
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    free(a->spare);
    a->magic = 0;
    free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
    char *p = take(a, size, ALIGN);

    memset(p, 0, size);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        die("array too large");
    return arena_alloc(a, total);
}

str arena_str(struct arena *a, str s)
{
    char *p = take(a, s.len + 1, 1);

    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return (str){p, s.len};
}

const char *str_z(struct arena *a, str s)
{
    if (str_find(s, '\0') >= 0)
        die("a string for a system call holds a NUL byte");
    return arena_str(a, s).ptr;
}

str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    int n;
    char *p;

    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, fmt, ap);
    if (n < 0)
        die("bad format");
    p = take(a, (size_t)n + 1, 1);
    if ((size_t)n < sizeof small)
        memcpy(p, small, (size_t)n + 1);
    else
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (str){p, (size_t)n};
}

str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    str s;

    va_start(ap, fmt);
    s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

str arena_join(struct arena *a, const str *parts, size_t count)
{
    size_t len = 0;
    char *p, *at;

    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(len, parts[i].len, &len))
            die("string too large");
    p = at = take(a, len + 1, 1);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len)
            memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    *at = '\0';
    return (str){p, len};
}

void arena_defer(struct arena *a, void (*fn)(void *), void *p)
{
    struct defer *d = arena_one(a, struct defer);

    *d = (struct defer){a->defers, fn, p};
    a->defers = d;
}

struct arena_mark arena_mark(struct arena *a)
{
    check(a);
    return (struct arena_mark){a->top, a->top ? a->top->used : 0, a->defers};
}

void arena_rewind(struct arena *a, struct arena_mark m)
{
    check(a);
    run_defers(a, m.defers);
    while (a->top != m.block)
        pop(a);
    if (a->top) {
        assert(m.used <= a->top->used);
        POISON(a->top->data + m.used, a->top->size - m.used);
        a->top->used = m.used;
        UNPOISON(a->top->data, m.used);
    }
}
