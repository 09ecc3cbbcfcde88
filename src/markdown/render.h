/* render.h — the state of one rendering.  Internal to this folder. */
#pragma once
#include "markdown/footnote.h"
#include "markdown/sanitize.h"

#include <md4c.h>

/* Plain text with white space collapsed, cut at a limit. */
struct plain {
    char bytes[MARKDOWN_MAX_EXCERPT + 8];
    size_t len;
    bool gap;  /* white space waits */
    bool full; /* more came than fits */
};
void plain_add(struct plain *p, str s);
str plain_take(struct arena *a, const struct plain *p); /* "…" behind it where it was cut */

/* A quote whose first line is [!NOTE] becomes a note once that line has ended. */
struct alert {
    enum { ALERT_NONE, ALERT_QUOTE, ALERT_PARAGRAPH, ALERT_MARK } state;
    const struct alert_kind *kind;
    struct mark quote, paragraph;
    size_t quote_at; /* where its tag stands in the output */
    size_t end;      /* what the output ended at: nothing may have come in between */
};

/* An open block or span.  The parser closes its blocks in order; of its spans some never open, some
 * never close ("[](![)]()"), so each is looked for by its type, and all of them end with the block.
 */
struct level {
    bool is_block;
    MD_SPANTYPE span;
    struct mark mark;
    size_t at; /* its start tag in the output */
};

struct render {
    struct sanitizer s;
    struct buf out, raw, scratch;
    const struct markdown_options *o;
    struct markdown_result *ret;
    struct markdown_heading *headings;
    struct footnotes notes;
    struct level levels[MARKDOWN_MAX_DEPTH];
    unsigned depth, over; /* of levels; open blocks beyond the limit */
    unsigned events;
    unsigned images; /* images within images: the text is the alt of the outermost */
    bool image_refused;
    bool is_excerpt; /* inside a paragraph that the excerpt is made of */
    bool in_heading;
    bool in_notes;
    size_t heading_at, cell_at, alt_at; /* where their content begins in the output */
    size_t math_at;                     /* start tag of the formula */
    const char *math_end;               /* end of its last text in `text` */
    str text;                           /* what is being parsed */
    struct alert alert;
    struct plain heading, excerpt;
};

/* render_text.c: text between the tags */
int render_text(MD_TEXTTYPE type, const MD_CHAR *p, MD_SIZE len, void *ctx);
void render_flush_raw(struct render *r); /* hands collected HTML to the sanitiser */
bool render_is_cut(struct render *r);    /* counts an event; true: the limit is reached */
/* Every callback asks first: the parser does not stop at once when it is told to. */
static inline bool render_has_ended(const struct render *r)
{
    return r->ret->is_cut;
}
bool alert_begin(struct render *r); /* at the end of the line after the mark */

/* render_span.c: elements of a line */
int render_enter_span(MD_SPANTYPE type, void *detail, void *ctx);
int render_leave_span(MD_SPANTYPE type, void *detail, void *ctx);

/* What a block leaves open when it ends. */
void render_end_spans(struct render *r);

/* The characters of an attribute, entities decoded; in `scratch` if need be. */
str attribute_text(struct buf *scratch, const MD_ATTRIBUTE *a);
