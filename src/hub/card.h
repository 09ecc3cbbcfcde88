/* card.h — README.md of a repository: its front matter, and what its text mentions. */
#pragma once
#include "base/json.h"

#define CARD_JSON_MAX (256u << 10)  /* a larger front matter gives tags, but no cardData */
#define CARD_INDEX_MAX (512u << 10) /* the same for model-index */
#define CARD_ARXIV_MAX 50

struct card {
    str json;        /* the front matter without model-index; ptr NULL: none, or not readable */
    str model_index; /* its JSON; ptr NULL: none */
    str body;        /* the text without the front matter */
};
/* Never fails: what cannot be read is left out. */
void card_read(struct arena *a, str readme, struct card *ret);

/* The arXiv numbers that a text links to or names, each once, in order; at most CARD_ARXIV_MAX. */
size_t card_arxiv(str text, str ret[CARD_ARXIV_MAX]);
/* The beginning of a Markdown text in plain words, at most `max` bytes; empty when there is none.
 */
str card_excerpt(struct arena *a, str markdown, size_t max);

struct card_findings {
    str errors[8], warnings[8];
    size_t error_count, warning_count;
};
/* What is wrong with a card, in words for its author. */
void card_check(struct arena *a, str readme, bool is_space, struct card_findings *ret);
