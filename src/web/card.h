/* card.h — the page of a repository: its card, what is known of it, how to use it. */
#pragma once
#include "web/repo_head.h"

struct fact {
    const char *label;
    str value, href; /* href ptr NULL: plain */
};
#define FACTS_SHOWN_MAX 24
struct snippet {
    const char *label, *language; /* "transformers", "python" */
    str text;                     /* runs as it stands */
};
#define SNIPPETS_MAX 12

struct card_view {
    struct repo_head head;
    str commit;       /* 40 digits */
    str source;       /* of README.md; ptr NULL: none */
    struct html html; /* of it, safe */
    str excerpt;
    bool is_cut, has_math;
    struct fact facts[FACTS_SHOWN_MAX];
    struct snippet snippets[SNIPPETS_MAX];
    size_t fact_count, snippet_count;
};
/* Fills v->snippets for r->repo (snippets.c). */
void snippets_fill(struct req *r, struct card_view *v);
