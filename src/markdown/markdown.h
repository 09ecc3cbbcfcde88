/* markdown.h — a card: Markdown of strangers in, safe HTML out.
 *
 * Pure functions over bytes: no files, no sockets, no clock.  What they write is well-formed
 * UTF-8, every element is closed, and only elements, attributes and URL schemes on our lists occur
 * (elements.def, link.h): nothing of the source is ever copied without being escaped.
 *
 * The dialect is GitHub's: tables, task lists, strikethrough, bare links, alerts, footnotes, math
 * as text.  Work and output are linear in the input and limited; what would cost more than that
 * is shown as plain text or cut, and the result says so.
 */
#pragma once
#include "base/arena.h"

#define MARKDOWN_MAX_BYTES (512u << 10)    /* of a source; a longer one is shown as plain text */
#define MARKDOWN_MAX_OUTPUT (4u << 20)     /* of HTML; then the rest is cut */
#define MARKDOWN_MAX_EVENTS 600000u        /* blocks, spans and texts; then the rest is cut */
#define MARKDOWN_MAX_DEPTH 64              /* open Markdown elements; the tags of deeper ones go */
#define MARKDOWN_MAX_HEADINGS 1000         /* in the list of headings */
#define MARKDOWN_MAX_IDS 4096              /* distinct ids in one card */
#define MARKDOWN_MAX_FOOTNOTES 256         /* definitions; more of them stay text */
#define MARKDOWN_MAX_EXCERPT 300           /* bytes of plain text */
#define MARKDOWN_ID_PREFIX "user-content-" /* of every id, so that no id of the page is taken */

struct markdown_options {
    str link_base;          /* what relative links are relative to: "/ns/name/blob/main/" */
    str image_base;         /* the same for images and media: "/ns/name/resolve/main/" */
    str dir;                /* folder of the source below these: "" or "docs/" */
    str origin;             /* "https://hub.example"; links elsewhere are marked as foreign */
    unsigned heading_shift; /* 1 makes # an h2, below the h1 of the page */
    bool raw_html;          /* HTML is sanitised; else it is shown as text */
};

struct markdown_heading {
    unsigned level; /* 1..6, after the shift */
    str id;         /* with its prefix; a link to it is "#" and this */
    str text;       /* plain */
};

struct markdown_result {
    str html;
    str excerpt; /* the first paragraphs as plain text; may be empty */
    const struct markdown_heading *headings;
    size_t heading_count;
    str yaml;       /* the front matter within the source, without its dashes; else ptr NULL */
    size_t body_at; /* offset of what follows the front matter */
    bool has_math;
    bool is_plain; /* too long for Markdown: html is one <pre> */
    bool is_cut;   /* html lacks the end of the source */
};

/* Never fails.  `source` may be any bytes; the strings of the result live in `a` or in `source`. */
void markdown_render(struct arena *a, str source, const struct markdown_options *o,
                     struct markdown_result *ret);

/* The source with the targets of its links and images made absolute: `origin` stands before what
 * the bases give.  Front matter, and everything else, stays as it is, but for line ends (LF) and
 * malformed bytes (U+FFFD).  A source that is too long or hostile comes back untouched. */
str markdown_absolutize(struct arena *a, str source, const struct markdown_options *o);

/* HTML of strangers alone, by the rules that hold inside cards.  Longer than MARKDOWN_MAX_BYTES: it
 * is shown as text. */
str markdown_sanitize(struct arena *a, str html, const struct markdown_options *o);
