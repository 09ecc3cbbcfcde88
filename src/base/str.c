/* str.c — see str.h. */
#include "base/str.h"

#include <string.h>

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;

    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

/* memcmp and memchr must not see a null pointer, even for zero bytes. */
static bool same(const char *a, const char *b, size_t len)
{
    return len == 0 || memcmp(a, b, len) == 0;
}

static bool isame(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

str str_c(const char *z)
{
    return z ? (str){z, strlen(z)} : STR_NONE;
}

bool str_eq(str a, str b)
{
    return a.len == b.len && same(a.ptr, b.ptr, a.len);
}

bool str_ieq(str a, str b)
{
    return a.len == b.len && isame(a.ptr, b.ptr, a.len);
}

int str_cmp(str a, str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int c = len ? memcmp(a.ptr, b.ptr, len) : 0;

    return c ? c : (a.len > b.len) - (a.len < b.len);
}

bool str_starts(str s, str prefix)
{
    return s.len >= prefix.len && same(s.ptr, prefix.ptr, prefix.len);
}

bool str_ends(str s, str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || same(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len));
}

bool str_skip(str *s, str prefix)
{
    if (!str_starts(*s, prefix))
        return false;
    *s = str_from(*s, prefix.len);
    return true;
}

bool str_iskip(str *s, str prefix)
{
    if (s->len < prefix.len || !isame(s->ptr, prefix.ptr, prefix.len))
        return false;
    *s = str_from(*s, prefix.len);
    return true;
}

bool str_drop(str *s, str suffix)
{
    if (!str_ends(*s, suffix))
        return false;
    s->len -= suffix.len;
    return true;
}

bool str_has(str s, str part)
{
    if (part.len == 0)
        return true;
    return s.len >= part.len && memmem(s.ptr, s.len, part.ptr, part.len) != NULL;
}

ptrdiff_t str_find(str s, char c)
{
    const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;

    return p ? p - s.ptr : -1;
}

ptrdiff_t str_rfind(str s, char c)
{
    const char *p = s.len ? memrchr(s.ptr, c, s.len) : NULL;

    return p ? p - s.ptr : -1;
}

str str_from(str s, size_t start)
{
    if (start > s.len)
        start = s.len;
    return start ? (str){s.ptr + start, s.len - start} : s;
}

str str_first(str s, size_t len)
{
    return (str){s.ptr, len < s.len ? len : s.len};
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

str str_trim(str s)
{
    while (s.len > 0 && blank(s.ptr[0]))
        s = str_from(s, 1);
    while (s.len > 0 && blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

str str_cut(str *s, char sep)
{
    ptrdiff_t at = str_find(*s, sep);
    str part = *s;

    if (at < 0) {
        *s = STR_NONE;
        return part;
    }
    *s = str_from(*s, (size_t)at + 1);
    part.len = (size_t)at;
    return part;
}

bool str_u64(str s, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.ptr[i] - '0', &v))
            return false;
    }
    *ret = v;
    return true;
}

bool str_i64(str s, int64_t *ret)
{
    bool negative = str_skip(&s, STR("-"));
    uint64_t v;

    if (!str_u64(s, &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = (int64_t)(negative ? -v : v);
    return true;
}

uint64_t str_hash(str s)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    return h;
}
