/* html.c — see html.h. */
#include "web/html.h"
#include "base/text.h"
#include <string.h>

static const char *const escapes[256] = {
    ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;",
};

/* Control characters but tab, line feed and carriage return have no place in HTML. */
static bool is_bad(unsigned char c)
{
    return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 127;
}

void html_put_markup(struct buf *out, struct html x)
{
    buf_add(out, x.markup);
}

void html_put_text(struct buf *out, str s)
{
    size_t from = 0;

    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.ptr[i];
        int wide = c < 0x80 ? 1 : utf8_step(str_from(s, i));
        const char *escape = escapes[c];

        if (!escape && wide > 0 && !(wide == 1 && is_bad(c))) {
            i += (size_t)wide;
            continue;
        }
        buf_add(out, (str){s.ptr + from, i - from});
        buf_add(out, escape ? str_c(escape) : STR("\xEF\xBF\xBD"));
        from = ++i;
    }
    if (from < s.len)
        buf_add(out, str_from(s, from));
}

void html_put_c(struct buf *out, const char *s)
{
    html_put_text(out, str_c(s));
}

void html_put_i64(struct buf *out, int64_t v)
{
    buf_printf(out, "%lld", (long long)v);
}

void html_put_u64(struct buf *out, uint64_t v)
{
    buf_printf(out, "%llu", (unsigned long long)v);
}

/* --- addresses --- */

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           memchr("-._~", c, 4);
}

static void encode(struct buf *out, str s, bool keep_slash)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (is_unreserved(c) || (keep_slash && c == '/'))
            buf_addc(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

void html_put_path(struct buf *out, str s)
{
    encode(out, s, true);
}

void html_put_path_c(struct buf *out, const char *s)
{
    encode(out, str_c(s), true);
}

void html_put_query(struct buf *out, str s)
{
    encode(out, s, false);
}

void html_put_query_c(struct buf *out, const char *s)
{
    encode(out, str_c(s), false);
}

/* Without a scheme, or with one of the three.  "//host" is another site's address, not ours. */
static bool is_fit(str s)
{
    ptrdiff_t colon = str_find(s, ':');

    if (s.len == 0 || str_starts(s, STR("//")) || str_has(s, STR("\\")))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 127)
            return false;
    for (ptrdiff_t i = 0; i < colon; i++)
        if (memchr("/?#", s.ptr[i], 3))
            return true; /* the colon belongs to a path, query or fragment */
    return colon < 0 || str_iskip(&s, STR("http:")) || str_iskip(&s, STR("https:")) ||
           str_iskip(&s, STR("mailto:"));
}

void html_put_url(struct buf *out, str s)
{
    html_put_text(out, is_fit(s) ? s : STR("#"));
}

void html_put_url_c(struct buf *out, const char *s)
{
    html_put_url(out, str_c(s));
}
