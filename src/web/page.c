/* page.c — see page.h. */
#include "web/page.h"
#include "base/settings.h"
#include "http/range.h"
#include "web/static.h"
#include "web/templates.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CSP                                                                                        \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:%s; "            \
    "media-src 'self'%s; connect-src 'self'; font-src 'none'; frame-src %s; form-action 'self'; "  \
    "base-uri 'none'; frame-ancestors 'none'%s"

/* --- which rendering --- */

/* The weight that Accept gives a media type, in thousandths; -1: not named. */
static int weight(str accept, str type)
{
    int best = -1;

    while (accept.ptr) {
        str one = str_cut(&accept, ','), name = str_trim(str_cut(&one, ';'));
        int q = 1000;

        while (one.ptr) {
            str parameter = str_trim(str_cut(&one, ';'));

            if (str_skip(&parameter, STR("q=")) && parameter.len && parameter.ptr[0] == '0') {
                q = 0;
                for (size_t i = 2, unit = 100; i < parameter.len && unit; i++, unit /= 10)
                    if (parameter.ptr[i] >= '0' && parameter.ptr[i] <= '9')
                        q += (parameter.ptr[i] - '0') * (int)unit;
            }
        }
        if (str_ieq(name, type) && q > best)
            best = q;
    }
    return best;
}

static enum page_format negotiated(str accept)
{
    int html = weight(accept, STR("text/html")), json = weight(accept, STR("application/json"));
    int md = weight(accept, STR("text/markdown")), md_old = weight(accept, STR("text/x-markdown"));

    if (md_old > md)
        md = md_old;
    if (md > 0 && md >= html && md >= json)
        return PAGE_MARKDOWN;
    return json > 0 && json > html ? PAGE_JSON : PAGE_HTML;
}

static bool format_word(str word, enum page_format *ret)
{
    if (str_eq(word, STR("md")) || str_eq(word, STR("markdown")))
        *ret = PAGE_MARKDOWN;
    else if (str_eq(word, STR("json")))
        *ret = PAGE_JSON;
    else if (str_eq(word, STR("html")))
        *ret = PAGE_HTML;
    else
        return false;
    return true;
}

enum page_format page_format(const struct req *r)
{
    enum page_format f;

    if (format_word(r->twin, &f) || format_word(req_query(r, "format"), &f))
        return f;
    return negotiated(req_header(r, "Accept"));
}

/* --- addresses --- */

/* "/models?sort=likes" as Markdown: "/models.md?sort=likes"; a path that ends in data of people
 * takes ?format=md instead. */
static str twin_address(struct req *r, const struct page *p, const char *word)
{
    str path = p->address, query;

    path = str_cut(&path, '?');
    query = str_from(p->address, path.len);
    if (str_has(path, STR("/blob/")) || str_has(path, STR("/tree/")) ||
        str_has(path, STR("/commit")) || str_has(path, STR("/compare/")) || path.len <= 1)
        return arena_cat(r->a, path, query.len ? query : STR(""), query.len ? STR("&") : STR("?"),
                         STR("format="), str_c(word));
    return arena_cat(r->a, path, STR("."), str_c(word), query.len ? query : STR(""));
}

static const char *theme(const struct req *r)
{
    str cookies = req_header(r, "Cookie");

    while (cookies.ptr) {
        str one = str_trim(str_cut(&cookies, ';'));

        if (str_eq(one, STR("theme=dark")))
            return "dark";
        if (str_eq(one, STR("theme=light")))
            return "light";
    }
    return "";
}

/* --- the three --- */

static void security_headers(struct req *r)
{
    const char *remote = settings.remote_images ? " https:" : "";
    bool tls = str_eq(r->scheme, STR("https"));

    reply_header(r, "Content-Security-Policy",
                 arena_printf(r->a, CSP, remote, remote, "'self'",
                              tls ? "; upgrade-insecure-requests" : ""));
    reply_header(r, "Referrer-Policy", STR("strict-origin-when-cross-origin"));
    reply_header(r, "Cross-Origin-Opener-Policy", STR("same-origin"));
    reply_header(r, "Permissions-Policy", STR("camera=(), geolocation=(), microphone=()"));
    if (tls)
        reply_header(r, "Strict-Transport-Security", STR("max-age=31536000"));
}

static err reply_with_etag(struct req *r, const struct page *p, const char *type, str body)
{
    str etag = arena_cat(r->a, STR("\""),
                         str_first(sha256_hex(r->a, sha256_of(body.ptr, body.len)), 32), STR("\""));
    int status = p->status ? p->status : 200;

    reply_header(r, "X-Content-Type-Options", STR("nosniff"));
    reply_header(r, "Vary", STR("Accept, Accept-Encoding, Authorization, Cookie"));
    if (status != 200)
        return reply_bytes(r, status, type, body);
    reply_header(r, "ETag", etag);
    reply_header(r, "Cache-Control", STR("private, no-cache"));
    if (http_etag_matches(req_header(r, "If-None-Match"), etag))
        return reply_empty(r, 304);
    return reply_bytes(r, status, type, body);
}

static err too_large(struct req *r)
{
    return err_internal(r->a, "a page exceeds %u bytes", PAGE_BYTES_MAX);
}

static err reply_html(struct req *r, const struct page *p, const void *view)
{
    AUTO_BUF struct buf out = BUF(PAGE_BYTES_MAX);
    struct page_frame f = {
        .title = p->title,
        .base = r->base,
        .nav = p->nav,
        .theme = theme(r),
        .markdown = twin_address(r, p, "md"),
        .json = twin_address(r, p, "json"),
        .style = static_address("h.css"),
        .script = static_address("h.js"),
        .user = r->user ? r->user->account.name : STR_NONE,
        .form_token = r->user ? r->user->form_token : STR_NONE,
        .request_id = r->request_id,
        .search = req_query(r, "search").ptr ? req_query(r, "search") : STR(""),
    };

    layout_begin(&out, &f);
    p->html(&out, view);
    layout_end(&out, &f);
    if (out.full)
        return too_large(r);
    security_headers(r);
    reply_header(r, "Link",
                 arena_cat(r->a, STR("<"), r->base, f.markdown,
                           STR(">; rel=\"alternate\"; type=\"text/markdown\", <"), r->base, f.json,
                           STR(">; rel=\"alternate\"; type=\"application/json\"")));
    return reply_with_etag(r, p, "text/html; charset=utf-8", arena_str(r->a, buf_str(&out)));
}

static err reply_markdown(struct req *r, const struct page *p, const void *view)
{
    AUTO_BUF struct buf out = BUF(PAGE_BYTES_MAX);
    struct md m = {&out, r->base};

    p->markdown(&m, view);
    if (out.full)
        return too_large(r);
    if (!r->twin.len)
        reply_header(r, "Content-Location", twin_address(r, p, "md"));
    return reply_with_etag(r, p, "text/markdown; charset=utf-8", arena_str(r->a, buf_str(&out)));
}

static err reply_page_json(struct req *r, const struct page *p, const void *view)
{
    struct json_out *j = json_out_new(r->a);

    p->json(j, view);
    if (j->buf.full)
        return too_large(r);
    return reply_with_etag(r, p, "application/json; charset=utf-8", json_out_str(j));
}

err page_reply(struct req *r, const struct page *p, const void *view)
{
    switch (page_format(r)) {
    case PAGE_MARKDOWN:
        return reply_markdown(r, p, view);
    case PAGE_JSON:
        return reply_page_json(r, p, view);
    case PAGE_HTML:
        break;
    }
    return reply_html(r, p, view);
}

/* --- Markdown --- */

void md_text(struct md *m, str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '\n' || c == '\r')
            buf_addc(m->out, ' ');
        else if (memchr("\\`*_[]<>#|", c, 10))
            buf_add(m->out, (str){(const char[]){'\\', c}, 2});
        else
            buf_addc(m->out, c);
    }
}

void md_line(struct md *m, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_add(m->out, str_c(line));
    buf_addc(m->out, '\n');
}

void md_heading(struct md *m, int level, str s)
{
    if (m->out->len)
        buf_addc(m->out, '\n');
    for (int i = 0; i < level; i++)
        buf_addc(m->out, '#');
    buf_addc(m->out, ' ');
    md_text(m, s);
    buf_add(m->out, STR("\n\n"));
}

void md_fact(struct md *m, const char *key, str value)
{
    if (!value.len)
        return;
    buf_printf(m->out, "- %s: ", key);
    md_text(m, value);
    buf_addc(m->out, '\n');
}

void md_fact_i64(struct md *m, const char *key, int64_t value)
{
    buf_printf(m->out, "- %s: %lld\n", key, (long long)value);
}

void md_link(struct md *m, str text, str path)
{
    buf_addc(m->out, '[');
    md_text(m, text);
    buf_add(m->out, STR("]("));
    buf_add(m->out, m->base);
    html_put_path(m->out, path);
    buf_addc(m->out, ')');
}

void md_fenced(struct md *m, str text)
{
    size_t longest = 2, run = 0;

    for (size_t i = 0; i < text.len; i++) {
        run = text.ptr[i] == '`' ? run + 1 : 0;
        if (run > longest)
            longest = run;
    }
    for (int end = 0; end < 2; end++) {
        for (size_t i = 0; i <= longest; i++)
            buf_addc(m->out, '`');
        buf_addc(m->out, '\n');
        if (end == 0) {
            buf_add(m->out, text);
            if (text.len && text.ptr[text.len - 1] != '\n')
                buf_addc(m->out, '\n');
        }
    }
}

void md_command(struct md *m, str command)
{
    buf_add(m->out, STR("```sh\n"));
    buf_add(m->out, command);
    buf_add(m->out, STR("\n```\n"));
}
