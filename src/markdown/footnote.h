/* footnote.h — footnotes, which the parser does not know: definitions are taken out of the text
 * before, references are found in it while it is rendered. */
#pragma once
#include "markdown/markdown.h"

#define FOOTNOTE_MAX_LABEL 64
#define FOOTNOTE_MAX_REFS 1000 /* in one card */

struct footnote {
    str label, text;
    unsigned number; /* in order of first reference, from 1; 0: nobody refers to it */
    str id, ref_id;  /* of the note and of the first reference */
};

struct footnotes {
    struct footnote *items;
    size_t count;
    unsigned used; /* numbers given */
    unsigned refs;
    struct footnote *order[MARKDOWN_MAX_FOOTNOTES]; /* by number - 1 */
};

/* The text without the definitions "[^label]: …" and what is indented below them. */
str footnotes_take(struct arena *a, str text, struct footnotes *ret);

/* Reads "[^label]" off the front of s; NULL when it is none or has no definition. */
struct footnote *footnote_ref(const struct footnotes *f, str s, size_t *ret_len);
