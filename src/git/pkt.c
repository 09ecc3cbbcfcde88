/* pkt.c — see pkt.h. */
#include "git/pkt.h"
#include "base/arena.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct err_info bad_framing = {
    400, NULL, STR_INIT("The request is not framed as git's pkt-lines."), NULL, {0}};

str pkt_text(const struct pkt *p)
{
    str s = p->line;

    str_drop(&s, STR("\n"));
    return s;
}

/* The length that four digits tell; -1 when they are none. */
static int length_of(const char *p)
{
    int n = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        n = n * 16 + digit;
    }
    return n;
}

/* What the length alone decides.  False: a line of n - 4 bytes follows. */
static bool special(int n, struct pkt *ret)
{
    static const enum pkt_kind kinds[] = {PKT_FLUSH, PKT_DELIM, PKT_RESPONSE_END};

    if (n > 2)
        return false;
    *ret = (struct pkt){kinds[n], STR_NONE};
    return true;
}

err pkt_take(struct arena *a, str *in, struct pkt *ret)
{
    int n;

    (void)a;
    if (in->len == 0) {
        *ret = (struct pkt){PKT_END, STR_NONE};
        return OK;
    }
    n = in->len < 4 ? -1 : length_of(in->ptr);
    if (n < 0 || n == 3 || n > PKT_MAX || (size_t)n > in->len)
        return &bad_framing;
    if (special(n, ret)) {
        *in = str_from(*in, 4);
        return OK;
    }
    *ret = (struct pkt){PKT_LINE, str_from(str_first(*in, (size_t)n), 4)};
    *in = str_from(*in, (size_t)n);
    return OK;
}

/* Reads exactly `len` bytes; *ret_len is less only at the end of the input. */
static err read_all(struct arena *a, const struct pkt_input *in, char *p, size_t len,
                    size_t *ret_len)
{
    size_t done = 0, n;

    while (done < len) {
        TRY(in->read(in->ctx, a, p + done, len - done, &n));
        if (n == 0)
            break;
        done += n;
    }
    *ret_len = done;
    return OK;
}

err pkt_read(struct arena *a, const struct pkt_input *in, char *line, struct pkt *ret)
{
    char head[4];
    size_t got;
    int n;

    TRY(read_all(a, in, head, sizeof head, &got));
    if (got == 0) {
        *ret = (struct pkt){PKT_END, STR_NONE};
        return OK;
    }
    n = got < sizeof head ? -1 : length_of(head);
    if (n < 0 || n == 3 || n > PKT_MAX)
        return &bad_framing;
    if (special(n, ret))
        return OK;
    TRY(read_all(a, in, line, (size_t)n - 4, &got));
    if (got < (size_t)n - 4)
        return &bad_framing;
    *ret = (struct pkt){PKT_LINE, (str){line, got}};
    return OK;
}

static void put_length(struct buf *out, size_t payload)
{
    assert(payload <= PKT_MAX_PAYLOAD);
    buf_printf(out, "%04x", (unsigned)payload + 4);
}

void pkt_line(struct buf *out, str payload)
{
    put_length(out, payload.len);
    buf_add(out, payload);
}

void pkt_printf(struct buf *out, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    pkt_line(out, (str){text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1});
}

void pkt_flush(struct buf *out)
{
    buf_add(out, STR("0000"));
}

void pkt_delim(struct buf *out)
{
    buf_add(out, STR("0001"));
}

void pkt_band(struct buf *out, char band, str data)
{
    while (data.len > 0) {
        str piece = str_first(data, PKT_MAX_BAND);

        put_length(out, piece.len + 1);
        buf_addc(out, band);
        buf_add(out, piece);
        data = str_from(data, piece.len);
    }
}

void pkt_err(struct buf *out, str text)
{
    text = str_first(text, 1000);
    pkt_printf(out, "ERR %.*s\n", STR_FMT(text));
}
