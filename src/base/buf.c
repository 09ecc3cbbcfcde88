/* buf.c — see buf.h. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_FIRST ((size_t)256)

void buf_free(struct buf *b)
{
    free(b->ptr);
    *b = BUF(b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->full = false;
}

static void grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : CAP_FIRST;
    char *p;

    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    p = realloc(b->ptr, cap);
    if (!p) {
        fprintf(stderr, "hearth: buf: out of memory\n");
        abort();
    }
    b->ptr = p;
    b->cap = cap;
}

char *buf_room(struct buf *b, size_t len)
{
    assert(b->len <= b->cap);
    if (!b->full && len <= b->cap - b->len && b->ptr)
        return b->ptr + b->len;
    if (b->full || b->max == 0 || b->len > b->max || len > b->max - b->len) {
        b->full = true;
        return NULL;
    }
    grow(b, b->len + (len ? len : 1));
    return b->ptr + b->len;
}

void buf_add(struct buf *b, str s)
{
    char *p;

    if (s.len == 0)
        return;
    p = buf_room(b, s.len);
    if (!p)
        return;
    memcpy(p, s.ptr, s.len);
    b->len += s.len;
}

void buf_addc(struct buf *b, char c)
{
    char *p = buf_room(b, 1);

    if (!p)
        return;
    *p = c;
    b->len++;
}

/* vsnprintf wants room for a NUL that a buf does not count, so the text is made aside when it
 * would not fit with it. */
__attribute__((format(printf, 2, 0))) static void add_formatted(struct buf *b, const char *fmt,
                                                                va_list ap)
{
    char small[512], *big = NULL;
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, fmt, ap);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_add(b, (str){small, (size_t)n});
    } else if (vasprintf(&big, fmt, again) >= 0) {
        buf_add(b, (str){big, (size_t)n});
        free(big);
    } else {
        fprintf(stderr, "hearth: buf: out of memory\n");
        abort();
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_formatted(b, fmt, ap);
    va_end(ap);
}

void buf_shift(struct buf *b, size_t count)
{
    assert(count <= b->len);
    if (count == 0)
        return;
    b->len -= count;
    memmove(b->ptr, b->ptr + count, b->len);
}
