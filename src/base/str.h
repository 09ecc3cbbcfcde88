/* str.h — a string is a pointer and a length.
 *
 * A str never owns its bytes: they live in an arena, in the request buffer or in the program text.
 * It may hold NUL bytes and is not NUL-terminated; str_z() in arena.h makes a C string when a
 * system call needs one.  Pass it by value.  An empty str may have a null ptr.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *ptr;
    size_t len;
} str;

#define STR(lit) ((str){"" lit, sizeof(lit) - 1})
#define STR_INIT(lit)                                                                              \
    {                                                                                              \
        "" lit, sizeof(lit) - 1                                                                    \
    }                                    /* for static initialisers */
#define STR_FMT(s) (int)(s).len, (s).ptr /* printf("%.*s", STR_FMT(name)) */
#define STR_NONE ((str){0})

str str_c(const char *z);   /* the bytes of a C string; NULL gives the empty str */
bool str_eq(str a, str b);  /* byte by byte */
bool str_ieq(str a, str b); /* ASCII letters compare without case */
int str_cmp(str a, str b);  /* like memcmp, a shorter prefix sorts first */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
bool str_skip(str *s, str prefix);  /* if s starts with prefix, drop it and return true */
bool str_iskip(str *s, str prefix); /* the same, ASCII letters without case */
bool str_drop(str *s, str suffix);  /* if s ends with suffix, drop it and return true */
bool str_has(str s, str part);
ptrdiff_t str_find(str s, char c);  /* index of the first c, or -1 */
ptrdiff_t str_rfind(str s, char c); /* index of the last c, or -1 */
str str_from(str s, size_t start);  /* s without its first `start` bytes; start is capped at len */
str str_first(str s, size_t len);   /* the first `len` bytes; len is capped */
str str_trim(str s);                /* without leading and trailing space, tab, CR, LF */

/* Cuts *s at the first `sep`: returns what stands before it and leaves what stands after it.
 * Without a separator returns all of *s and leaves *s empty with a null ptr, so that
 * `while (s.ptr) part = str_cut(&s, ',')` sees every part, empty ones included. */
str str_cut(str *s, char sep);

/* Reads a whole decimal number without sign, at least one digit; false on anything else or
 * overflow; *ret is then untouched. */
bool str_u64(str s, uint64_t *ret);
/* The same with an optional leading '-'. */
bool str_i64(str s, int64_t *ret);

uint64_t str_hash(str s); /* FNV-1a, for in-process tables only, not against attackers */
