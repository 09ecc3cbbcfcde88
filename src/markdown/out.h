/* out.h — writing HTML into a buf: the one place where text is escaped. */
#pragma once
#include "base/buf.h"

#include <string.h>

#define SCRATCH_MAX ((size_t)2 << 20) /* of the bufs in which one value is made */

/* buf_add, short enough to stand in a loop. */
static inline void out_add(struct buf *b, str s)
{
    if (s.len == 0 || b->cap - b->len < s.len) {
        buf_add(b, s);
        return;
    }
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

#define OUT(b, lit) out_add((b), STR(lit))

/* Text or the inside of a double-quoted attribute: & < > " become entities, the control characters
 * that HTML does not know become U+FFFD. */
void out_text(struct buf *b, str s);
/* The same, but what has the form of an entity stays one. */
void out_html_text(struct buf *b, str s);

/* Length of the entity at the front of s ("&copy;", "&#169;", "&#xa9;"), or 0. */
size_t entity_len(str s);
/* Appends s as plain text: entities become the characters that they name; unknown ones stay. */
void entity_decode(struct buf *b, str s);
/* The character of code point `c` in UTF-8; U+FFFD for what is none or may not stand in HTML. */
void utf8_add(struct buf *b, uint32_t c);
