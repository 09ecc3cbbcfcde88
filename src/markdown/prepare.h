/* prepare.h — from the bytes of a README to text that the Markdown parser reads in linear time.
 *
 * The parser (md4c 0.4) is linear but for three things that nobody writes by accident: very long
 * paragraphs with very many links, very long link definitions used very often, and very deep
 * nesting in front of very many lines.  guard_text() finds them by a bound that holds for every
 * input, and takes the edge off: a blank line into such a paragraph, a backslash before such a
 * definition or marker.  Ordinary text comes out as it went in.
 */
#pragma once
#include "markdown/markdown.h"

#define GUARD_MAX_WALK 40000000u   /* lines times closing brackets, over all paragraphs */
#define GUARD_MAX_CHUNK 100000u    /* the same in one paragraph, once that is spent */
#define GUARD_MAX_EXPAND 20000000u /* closing brackets times bytes of a definition */
#define GUARD_MAX_MARKERS 64       /* of quotes and lists in front of one line */
#define GUARD_MAX_INDENT 128       /* columns in front of such a marker */

/* Splits off the front matter: a line of three dashes, YAML, a line of three dashes. */
str front_matter_of(str source, size_t *ret_body_at);

/* A copy that is valid UTF-8 without NUL, its lines ended by LF, the last one too.  The parser
 * looks at the byte behind a text that ends within a line. */
str text_clean(struct arena *a, str s);
/* What was made of such a copy, without the line end that the source lacks. */
str text_drop_added(str source, str made);

/* Code fences, line by line, so that what stands in them is left alone. */
struct fence {
    char mark; /* '\0': outside */
    size_t len;
};
void fence_follow(struct fence *f, str line);

/* The parser wants three dashes per column below the head of a table; GitHub is content with one.
 */
str text_tables(struct arena *a, str text);

struct guard {
    uint64_t walk;   /* spent of GUARD_MAX_WALK */
    uint64_t expand; /* spent of GUARD_MAX_EXPAND */
};
str guard_text(struct arena *a, str text, struct guard *g);
