/* slug.h — the ids of one card: made from headings or given by its author, never used twice. */
#pragma once
#include "markdown/markdown.h"

#define SLUG_MAX_BYTES 128

struct slugs {
    struct arena *a;
    struct slug **table; /* open addressing, at most half full */
    size_t size, count;
};

/* The id of a heading with this text, GitHub's way: lower case, spaces become '-', punctuation
 * goes; the second of the same name ends in -1.  With its prefix; empty when there are too many. */
str slug_of(struct slugs *s, str text);
/* The id that an author chose, with the prefix; empty when it is taken or not fit. */
str slug_claim(struct slugs *s, str id);
