/* buf.h — a growing byte buffer that is born with its maximum size (after curl's dynbuf).
 *
 * Owns heap memory: AUTO_BUF releases it.  An append past the maximum sets `full`, drops the
 * bytes and every later append, so a writer checks once at the end.
 */
#pragma once
#include "base/err.h"
#include <stdarg.h>

struct buf {
    char *ptr;
    size_t len, cap, max;
    bool full;
};

#define BUF(max_bytes) ((struct buf){.max = (max_bytes)})
#define AUTO_BUF __attribute__((cleanup(buf_free)))
void buf_free(struct buf *b);  /* releases the memory; b is empty and usable again */
void buf_clear(struct buf *b); /* keeps the memory */
void buf_add(struct buf *b, str s);
void buf_addc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for at least `len` more bytes at ptr + len; NULL (and full) past the maximum.
 * After writing, the caller adds to b->len itself. */
char *buf_room(struct buf *b, size_t len);
void buf_shift(struct buf *b, size_t count); /* drops the first `count` bytes */
static inline str buf_str(const struct buf *b)
{
    return (str){b->ptr, b->len};
}
