/* html.h — the only way that values get into HTML.
 *
 * tools/template turns {{x}} into one of these calls, by where it stands:
 *   html_text   between tags                 html_url    a whole URL: its scheme is checked
 *   html_attr   in a quoted attribute        html_path   inside the path of a URL: percent-encoded
 *                                            html_query  behind the '?' of a URL
 * Strings and integers are accepted; a struct html, which is markup that we made ourselves, only
 * by html_text.  Anything else does not compile.
 */
#pragma once
#include "base/buf.h"
#include <stdint.h>

/* Markup that is safe between tags: rendered cards, other templates' output. */
struct html {
    str markup;
};

void html_put_markup(struct buf *out, struct html x);
void html_put_text(struct buf *out,
                   str s); /* & < > " ' and control characters; bad UTF-8 as U+FFFD */
void html_put_c(struct buf *out, const char *s);
void html_put_i64(struct buf *out, int64_t v);
void html_put_u64(struct buf *out, uint64_t v);
/* http, https, mailto and addresses without a scheme; anything else becomes "#". */
void html_put_url(struct buf *out, str s);
void html_put_url_c(struct buf *out, const char *s);
void html_put_path(struct buf *out, str s); /* keeps '/' and unreserved characters */
void html_put_path_c(struct buf *out, const char *s);
void html_put_query(struct buf *out, str s); /* keeps unreserved characters only */
void html_put_query_c(struct buf *out, const char *s);

/* clang-format off */
#define HTML_INTEGERS                                                                              \
    bool: html_put_i64, int: html_put_i64, long: html_put_i64, long long: html_put_i64,            \
    unsigned: html_put_u64, unsigned long: html_put_u64, unsigned long long: html_put_u64
#define html_text(out, x)                                                                          \
    _Generic((x), struct html: html_put_markup, str: html_put_text, const char *: html_put_c,      \
             char *: html_put_c, HTML_INTEGERS)(out, x)
#define html_attr(out, x)                                                                          \
    _Generic((x), str: html_put_text, const char *: html_put_c, char *: html_put_c,                \
             HTML_INTEGERS)(out, x)
#define html_url(out, x)                                                                           \
    _Generic((x), str: html_put_url, const char *: html_put_url_c, char *: html_put_url_c)(out, x)
#define html_path(out, x)                                                                          \
    _Generic((x), str: html_put_path, const char *: html_put_path_c, char *: html_put_path_c,      \
             HTML_INTEGERS)(out, x)
#define html_query(out, x)                                                                         \
    _Generic((x), str: html_put_query, const char *: html_put_query_c, char *: html_put_query_c,   \
             HTML_INTEGERS)(out, x)
/* clang-format on */
