/* arena.h — memory with one life-time.
 *
 * Everything allocated from an arena lives until the arena is reset or freed, or until a
 * rewind to an earlier mark.  Nothing here returns NULL: exhaustion of memory or of the cap
 * aborts, so input must be limited before it reaches an arena (limits in settings.def).
 * An arena belongs to one thread at a time.  File contents never live in one.
 */
#pragma once
#include "base/str.h"
#include <stdarg.h>

struct arena;

struct arena *arena_new(size_t cap_bytes); /* 0 = no cap */
void arena_free(struct arena *a);          /* runs deferred calls; accepts NULL */
void arena_reset(struct arena *a);         /* runs deferred calls, last first; keeps one block */

void *arena_alloc(struct arena *a, size_t size);               /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t count, size_t size); /* zeroed, overflow-checked */
#define arena_one(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_many(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))

str arena_str(struct arena *a, str s);     /* a copy, with a NUL after it that is not counted */
const char *str_z(struct arena *a, str s); /* a C string for system calls; aborts on inner NUL */
str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
str arena_join(struct arena *a, const str *parts, size_t count); /* the parts, one after another */
#define arena_cat(a, ...)                                                                          \
    arena_join((a), (const str[]){__VA_ARGS__}, sizeof((const str[]){__VA_ARGS__}) / sizeof(str))

/* Calls fn(p) when the arena is reset, freed or rewound past this point. */
void arena_defer(struct arena *a, void (*fn)(void *), void *p);

struct arena_mark {
    void *block;
    size_t used;
    void *defers;
};
struct arena_mark arena_mark(struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);
size_t arena_used(const struct arena *a); /* bytes handed out since the last reset */
