/* page.h — one view, three renderings.
 *
 * A handler fills the struct of its page and calls page_reply(); HTML, Markdown and JSON are made
 * from that struct and from nothing else.  Which one: a suffix (.md, .json: server/ takes it off
 * the path before routing), ?format=md|json|html, or Accept.
 *
 * HTML comes in the frame of layout.html and is `private, no-cache` with an ETag over its bytes;
 * nothing in a page changes while its facts stay the same (the footer's times are outside of it).
 */
#pragma once
#include "auth/auth.h"
#include "http/reply.h"
#include "web/html.h"

#define PAGE_BYTES_MAX (4u << 20)

enum page_format { PAGE_HTML, PAGE_MARKDOWN, PAGE_JSON };

/* Writes Markdown: text of people is escaped, addresses become absolute. */
struct md {
    struct buf *out;
    str base; /* "http://host" */
};

struct page {
    str title;       /* what the page is about: "alice/minilm"; the frame adds " - hearth" */
    const char *nav; /* current word of the header: "models"; NULL: none */
    str address;     /* path and query without the format: "/models?sort=likes" */
    void (*html)(struct buf *out, const void *view); /* what stands in <main> */
    void (*markdown)(struct md *m, const void *view);
    void (*json)(struct json_out *j, const void *view); /* one value */
    int status;                                         /* 0: 200 */
    bool is_fixed; /* the address names a full commit: what it shows never changes */
};
MUST err page_reply(struct req *r, const struct page *p, const void *view);
enum page_format page_format(const struct req *r);

/* --- Markdown --- */
void md_text(struct md *m, str s); /* one line; marks of Markdown are escaped */
void md_line(struct md *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void md_heading(struct md *m, int level, str s);
void md_fact(struct md *m, const char *key, str value); /* "- key: value"; nothing when empty */
void md_fact_i64(struct md *m, const char *key, int64_t value);
void md_link(struct md *m, str text, str path); /* [text](http://host/path) */
void md_fenced(struct md *m, str text); /* text of people, inside a fence that it cannot close */
void md_command(struct md *m, str command); /* a fenced line for a shell */

/* --- the frame: what every HTML page shows around its content --- */
struct page_frame {
    str title, base, markdown, json; /* addresses of the twins */
    const char *nav, *theme;         /* theme: "light", "dark" or "" */
    const char *style, *script;      /* addresses of the static files */
    str user, form_token;            /* ptr NULL: nobody */
    str request_id;
    str search; /* what the search box shows */
};
