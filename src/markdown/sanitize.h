/* sanitize.h — the one writer of a card's elements: Markdown's own and those in HTML of strangers.
 *
 * Both go onto one stack of open elements.  HTML is read as a browser reads tags, attributes and
 * comments, and written anew from elements.def; no byte of it is copied unescaped.  What is left
 * open is closed where the Markdown element around it ends, or at the end.  HTML cannot close what
 * Markdown opened, except that a paragraph ends where browsers end it.
 *
 * The stack is at all times what a browser's stack is: whatever a start tag ends by itself there
 * (paragraphs, list items, headings, cells), we end first, and what stands between the cells of a
 * table gets a cell.  Else one of our end tags could close an element of the page around the card.
 *
 *   stack:  div (HTML)  >  blockquote (ours)  >  p (ours)  >  b (HTML)
 *
 * Input is UTF-8 without NUL.  Internal to this folder.
 */
#pragma once
#include "base/buf.h"
#include "markdown/markdown.h"
#include "markdown/slug.h"

#define SANITIZE_MAX_RAW 64    /* open elements from HTML; tags of deeper ones are dropped */
#define SANITIZE_MAX_OURS 80   /* those that the renderer opened */
#define SANITIZE_MAX_TEXT 1000 /* bytes of a title or alt */

enum element {
#define ELEMENT(name, kind, attrs) EL_##name,
#include "markdown/elements.def"
#undef ELEMENT
    EL_COUNT
};

struct open_element {
    enum element element;
    bool ours;
    uint32_t serial; /* of ours, so that the renderer can ask whether it is open still */
    str closer;
};

struct sanitizer {
    struct arena *a;
    struct buf *out;
    const struct markdown_options *o;
    struct slugs slugs;
    struct buf url, value; /* scratch */
    struct open_element stack[SANITIZE_MAX_RAW + SANITIZE_MAX_OURS + 2];
    unsigned depth, raw_depth;
    bool is_between_cells; /* a table is open, but no cell of it */
    unsigned links;        /* open <a> */
    unsigned tables;       /* written so far */
    uint32_t serial;
};

struct mark { /* names an element that the renderer opened; zero names none */
    unsigned index;
    uint32_t serial;
};

void sanitize_init(struct sanitizer *s, struct arena *a, struct buf *out,
                   const struct markdown_options *o);
/* Closes everything and releases the scratch memory. */
void sanitize_end(struct sanitizer *s);

/* One stretch of HTML.  A tag that its end cuts off is dropped. */
void sanitize_html(struct sanitizer *s, str html);

void sanitize_open_cell(struct sanitizer *s);
/* To be called before text, or the tag of an element within a line, is written. */
static inline void sanitize_make_place(struct sanitizer *s)
{
    if (s->is_between_cells)
        sanitize_open_cell(s);
}

/* Puts an element of ours on the stack; the caller then writes its start tag.  `closer` is written
 * when it is closed. */
struct mark sanitize_enter(struct sanitizer *s, enum element element, str closer);
/* Closes what is open above the element, and it; false when something closed it before. */
bool sanitize_leave(struct sanitizer *s, struct mark m);
/* Closes what is open inside of the element; of no element: everything. */
void sanitize_close(struct sanitizer *s, struct mark m);
/* The same element goes on under another closer. */
void sanitize_set_closer(struct sanitizer *s, struct mark m, str closer);

/* ` href="…"` with what belongs to it; false, and nothing written, when the address is refused. */
bool sanitize_href(struct sanitizer *s, str url);
/* `<img src="…"` with what belongs to every image; the same. */
bool sanitize_img(struct sanitizer *s, str url);
/* The scrolling frame around the table that follows; it ends with SANITIZE_TABLE_END. */
void sanitize_table(struct sanitizer *s);
#define SANITIZE_TABLE_END "</table></div>\n"
