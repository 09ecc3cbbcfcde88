/* markdown.c — how fast a card becomes HTML: our renderer with its sanitiser, and beside it the
 * HTML renderer that comes with the parser, which sanitises nothing, and the parser alone.
 *
 * markdown CARD: repeats the body of CARD to 40 KB, prints CPU seconds per megabyte of each as one
 * line of JSON.  Without md4c-html at build time its figure is missing.
 */
#include "markdown/markdown.h"

#include <md4c.h>
#ifdef HAVE_MD4C_HTML
#include <md4c-html.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CARD_BYTES 40000
#define ROUNDS 5
#define TIMES 300 /* renderings in a round */
#define FLAGS (MD_DIALECT_GITHUB | MD_FLAG_LATEXMATHSPANS)

static const struct markdown_options options = {
    .link_base = STR_INIT("/example/ember/blob/main/"),
    .image_base = STR_INIT("/example/ember/resolve/main/"),
    .origin = STR_INIT("https://hub.example"),
    .heading_shift = 1,
    .raw_html = true,
};

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t seen; /* so that nothing is optimised away */

static void ours(struct arena *a, str card)
{
    struct markdown_result r;

    markdown_render(a, card, &options, &r);
    seen += r.html.len;
    arena_reset(a);
}

static int on_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    (void)type, (void)detail, (void)ctx;
    return 0;
}

static int on_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    (void)type, (void)detail, (void)ctx;
    return 0;
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *p, MD_SIZE len, void *ctx)
{
    (void)type, (void)p, (void)ctx;
    seen += len;
    return 0;
}

static void parser_alone(struct arena *a, str card)
{
    const MD_PARSER p = {0, FLAGS, on_block, on_block, on_span, on_span, on_text, NULL, NULL};

    (void)a;
    md_parse(card.ptr, (MD_SIZE)card.len, &p, NULL);
}

#ifdef HAVE_MD4C_HTML
static char page[CARD_BYTES * 8];
static size_t page_len;

static void add_to_page(const MD_CHAR *p, MD_SIZE len, void *ctx)
{
    (void)ctx;
    if (len > sizeof page - page_len)
        return;
    memcpy(page + page_len, p, len);
    page_len += len;
}

static void plain_html(struct arena *a, str card)
{
    (void)a;
    page_len = 0;
    md_html(card.ptr, (MD_SIZE)card.len, add_to_page, NULL, FLAGS, 0);
    seen += page_len;
}
#endif

/* The best of the rounds, in seconds per megabyte. */
static double measure(void (*render)(struct arena *a, str card), str card)
{
    struct arena *a = arena_new(0);
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_seconds(), took;

        for (int i = 0; i < TIMES; i++)
            render(a, card);
        took = (cpu_seconds() - begin) / TIMES / ((double)card.len / 1e6);
        best = took < best ? took : best;
    }
    arena_free(a);
    return best;
}

static str read_card(const char *path)
{
    static char text[CARD_BYTES * 2];
    size_t len, at = 0, body;
    FILE *f = fopen(path, "r");
    const char *front;

    if (!f)
        return STR_NONE;
    len = fread(text, 1, CARD_BYTES - 1, f);
    fclose(f);
    front = strstr(text, "\n---\n");
    at = front ? (size_t)(front - text) + 5 : 0;
    for (body = len - at; body && len < CARD_BYTES; len += body)
        memcpy(text + len, text + at, body);
    return (str){text, len};
}

int main(int argc, char **argv)
{
    str card = argc == 2 ? read_card(argv[1]) : STR_NONE;

    if (card.len == 0) {
        fprintf(stderr, "markdown CARD\n");
        return 2;
    }
    printf("{\"bytes\": %zu, \"hearth\": %.9f, \"parser\": %.9f", card.len, measure(ours, card),
           measure(parser_alone, card));
#ifdef HAVE_MD4C_HTML
    printf(", \"md4c-html\": %.9f", measure(plain_html, card));
#endif
    printf(", \"seen\": %zu}\n", seen);
    return 0;
}
