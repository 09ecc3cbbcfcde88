/* multipart.c — see multipart.h.
 *
 * The window holds bytes that are not given out yet.  Bytes may leave it once they cannot be the
 * beginning of CRLF "--" boundary, so that much always stays until more has arrived.
 */
#include "http/multipart.h"
#include "base/buf.h"
#include "base/text.h"
#include <string.h>

#define BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */

enum state { BEFORE_FIRST, IN_PART, AFTER_PART, AT_END };

struct multipart {
    struct arena *a;
    multipart_source source;
    void *arg;
    char mark[BOUNDARY_MAX + 4]; /* CRLF "--" boundary */
    size_t mark_len;
    enum state state;
    char *window;
    size_t start, end; /* of what is in it */
    bool is_drained;   /* the source has no more */
    unsigned parts;
};

static err malformed(struct multipart *m)
{
    return err_new(m->a, 400, NULL, "The form is malformed or was broken off; send it again.");
}

/* --- the boundary --- */

/* The value of a parameter of a header: name=value or name="value"; ptr NULL: absent. */
static str parameter(struct arena *a, str header, const char *name)
{
    while (header.ptr) {
        str one = str_trim(str_cut(&header, ';'));

        if (!str_iskip(&one, str_c(name)) || !str_skip(&one, STR("=")))
            continue;
        if (one.len >= 2 && one.ptr[0] == '"') {
            /* a quoted value may hold ';': take it from the uncut header */
            const char *begin = one.ptr + 1;
            const char *limit = header.ptr ? header.ptr + header.len : one.ptr + one.len;
            char *copy = arena_alloc(a, (size_t)(limit - begin) + 1);
            size_t n = 0;

            for (const char *c = begin; c < limit && *c != '"'; c++) {
                if (*c == '\\' && c + 1 < limit && (c[1] == '"' || c[1] == '\\'))
                    c++;
                copy[n++] = *c;
            }
            return (str){copy, n};
        }
        return one;
    }
    return STR_NONE;
}

err multipart_open(struct arena *a, str content_type, multipart_source source, void *arg,
                   struct multipart **ret)
{
    str rest = content_type, boundary = parameter(a, content_type, "boundary");
    struct multipart *m;

    if (!str_iskip(&rest, STR("multipart/form-data")) || boundary.len == 0 ||
        boundary.len > BOUNDARY_MAX)
        return err_new(a, 400, NULL, "Send this form as multipart/form-data with a boundary.");
    m = arena_one(a, struct multipart);
    *m = (struct multipart){
        .a = a, .source = source, .arg = arg, .window = arena_alloc(a, MULTIPART_WINDOW)};
    memcpy(m->mark, "\r\n--", 4);
    memcpy(m->mark + 4, boundary.ptr, boundary.len);
    m->mark_len = 4 + boundary.len;
    /* The first boundary has no CRLF before it: give it one. */
    memcpy(m->window, "\r\n", 2);
    m->end = 2;
    *ret = m;
    return OK;
}

/* --- the window --- */

/* Brings in more bytes; nothing happens at the end of the source or when the window is full. */
static err fill(struct multipart *m)
{
    size_t n;

    if (m->start > 0) {
        memmove(m->window, m->window + m->start, m->end - m->start);
        m->end -= m->start;
        m->start = 0;
    }
    if (m->is_drained || m->end == MULTIPART_WINDOW)
        return OK;
    TRY(m->source(m->arg, m->window + m->end, MULTIPART_WINDOW - m->end, &n));
    m->is_drained = n == 0;
    m->end += n;
    return OK;
}

/* Fills until at least `len` bytes are there, or the source ends. */
static err want(struct multipart *m, size_t len)
{
    while (m->end - m->start < len && !m->is_drained)
        TRY(fill(m));
    return OK;
}

/* Where the mark begins in the window; -1: not in it. */
static ptrdiff_t find_mark(const struct multipart *m)
{
    const char *p = memmem(m->window + m->start, m->end - m->start, m->mark, m->mark_len);

    return p ? p - (m->window + m->start) : -1;
}

/* --- parts --- */

err multipart_read(struct multipart *m, void *p, size_t len, size_t *ret)
{
    ptrdiff_t mark;
    size_t safe;

    *ret = 0;
    if (m->state != IN_PART)
        return OK;
    TRY(want(m, m->mark_len + 1));
    mark = find_mark(m);
    if (mark < 0 && m->is_drained)
        return malformed(m);
    safe = mark >= 0 ? (size_t)mark : m->end - m->start - (m->mark_len - 1);
    if (safe == 0) {
        m->state = AFTER_PART;
        m->start += m->mark_len;
        return OK;
    }
    *ret = safe < len ? safe : len;
    memcpy(p, m->window + m->start, *ret);
    m->start += *ret;
    return OK;
}

static err skip_to_mark(struct multipart *m)
{
    for (;;) {
        ptrdiff_t mark;

        TRY(want(m, m->mark_len + 1));
        mark = find_mark(m);
        if (mark >= 0) {
            m->start += (size_t)mark + m->mark_len;
            m->state = AFTER_PART;
            return OK;
        }
        if (m->is_drained)
            return malformed(m);
        m->start = m->end - (m->mark_len - 1);
    }
}

/* "Content-Disposition: form-data; name="files"; filename="a.txt"" */
static err read_head(struct multipart *m, str head, struct multipart_part *ret)
{
    *ret = (struct multipart_part){0};
    while (head.len) {
        str line = str_cut(&head, '\n');

        (void)str_drop(&line, STR("\r"));
        if (!str_iskip(&line, STR("content-disposition:")))
            continue;
        line = str_trim(line);
        if (!str_iskip(&line, STR("form-data")))
            return malformed(m);
        ret->name = parameter(m->a, line, "name");
        ret->filename = parameter(m->a, line, "filename");
    }
    return ret->name.ptr && utf8_valid(ret->name) &&
                   (!ret->filename.ptr || utf8_valid(ret->filename))
               ? OK
               : malformed(m);
}

err multipart_next(struct multipart *m, struct multipart_part *ret, bool *ret_found)
{
    const char *end;

    *ret_found = false;
    if (m->state == AT_END)
        return OK;
    if (m->state != AFTER_PART)
        TRY(skip_to_mark(m));
    TRY(want(m, 2));
    if (m->end - m->start < 2)
        return malformed(m);
    if (memcmp(m->window + m->start, "--", 2) == 0) {
        m->state = AT_END;
        return OK;
    }
    if (++m->parts > MULTIPART_PARTS_MAX)
        return err_new(m->a, 413, NULL, "A form has at most %u fields and files.",
                       MULTIPART_PARTS_MAX);
    while (!(end = memmem(m->window + m->start, m->end - m->start, "\r\n\r\n", 4))) {
        if (m->is_drained || m->end - m->start > MULTIPART_HEAD_MAX)
            return malformed(m);
        TRY(fill(m));
    }
    TRY(read_head(m, (str){m->window + m->start, (size_t)(end - (m->window + m->start))}, ret));
    ret->name = arena_str(m->a, ret->name);
    ret->filename = ret->filename.ptr ? arena_str(m->a, ret->filename) : STR_NONE;
    /* The CRLF that ends the headers may begin the mark of an empty part. */
    m->start += (size_t)(end - (m->window + m->start)) + 2;
    TRY(want(m, m->mark_len));
    if (find_mark(m) != 0)
        m->start += 2;
    m->state = IN_PART;
    *ret_found = true;
    return OK;
}

err multipart_text(struct multipart *m, size_t max, str *ret)
{
    AUTO_BUF struct buf b = BUF(max);
    char piece[4096];
    size_t n;

    do {
        TRY(multipart_read(m, piece, sizeof piece, &n));
        buf_add(&b, (str){piece, n});
        if (b.full)
            return err_new(m->a, 413, NULL, "A field of this form is longer than %zu bytes.", max);
    } while (n > 0);
    *ret = arena_str(m->a, buf_str(&b));
    return OK;
}
