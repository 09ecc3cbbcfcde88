/* text.c — see text.h. */
#include "base/text.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* --- hex --- */

static const char hex_digits[] = "0123456789abcdef";

/* The value of a hex digit, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void hex_write(char *dst, const void *p, size_t len)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = hex_digits[b[i] >> 4];
        dst[2 * i + 1] = hex_digits[b[i] & 15];
    }
}

str hex_encode(struct arena *a, const void *p, size_t len)
{
    char *dst = arena_array(a, len + 1, 2);

    hex_write(dst, p, len);
    return (str){dst, 2 * len};
}

bool hex_is(str s, size_t digits)
{
    if (s.len != digits)
        return false;
    for (size_t i = 0; i < digits; i++)
        if (hex_value(s.ptr[i]) < 0)
            return false;
    return true;
}

bool hex_decode(str hex, void *dst, size_t len)
{
    unsigned char *out = dst;

    if (hex.len % 2 || hex.len / 2 != len || !hex_is(hex, hex.len))
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)(hex_value(hex.ptr[2 * i]) << 4 | hex_value(hex.ptr[2 * i + 1]));
    return true;
}

/* --- base64 --- */

static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Digit values of both alphabets plus one; 0 marks what is not a digit. */
static const unsigned char base64_value[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['-'] = 63,
    ['/'] = 64, ['_'] = 64,
};

static str encode(struct arena *a, const void *p, size_t len, const char *digits, bool pad)
{
    const unsigned char *b = p;
    char *dst, *o;
    size_t i = 0, rest = len % 3;

    dst = o = arena_array(a, len / 3 + 2, 4);
    for (; i + 3 <= len; i += 3, o += 4) {
        uint32_t v = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];

        o[0] = digits[v >> 18];
        o[1] = digits[v >> 12 & 63];
        o[2] = digits[v >> 6 & 63];
        o[3] = digits[v & 63];
    }
    if (rest) {
        uint32_t v = (uint32_t)b[i] << 16 | (rest == 2 ? (uint32_t)b[i + 1] << 8 : 0);

        *o++ = digits[v >> 18];
        *o++ = digits[v >> 12 & 63];
        if (rest == 2)
            *o++ = digits[v >> 6 & 63];
        for (; pad && rest < 3; rest++)
            *o++ = '=';
    }
    return (str){dst, (size_t)(o - dst)};
}

str base64_encode(struct arena *a, const void *p, size_t len)
{
    return encode(a, p, len, base64_std, true);
}

str base64url_encode(struct arena *a, const void *p, size_t len)
{
    return encode(a, p, len, base64_url, false);
}

/* Decodes whole groups of four digits off the front of [p, end); stops at anything else. */
static const char *feed_groups(const char *p, const char *end, unsigned char **dst)
{
    unsigned char *o = *dst;

    for (; end - p >= 4; p += 4, o += 3) {
        uint32_t a = base64_value[(unsigned char)p[0]], b = base64_value[(unsigned char)p[1]];
        uint32_t c = base64_value[(unsigned char)p[2]], d = base64_value[(unsigned char)p[3]];
        uint32_t v;

        if (!a || !b || !c || !d)
            break;
        v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        o[0] = (unsigned char)(v >> 16);
        o[1] = (unsigned char)(v >> 8);
        o[2] = (unsigned char)v;
    }
    *dst = o;
    return p;
}

/* A byte is written as soon as its eight bits are known, so a text without padding needs no
 * flush at the end. */
size_t base64_feed(struct base64_stream *b, str piece, unsigned char *dst)
{
    const char *p = piece.ptr, *end = piece.ptr + piece.len;
    unsigned char *o = dst;

    while (piece.len && p < end && !b->bad) {
        unsigned value;

        if (b->count == 0 && !b->ended) {
            p = feed_groups(p, end, &o);
            if (p == end)
                break;
        }
        value = base64_value[(unsigned char)*p];
        if (*p++ == '=' && b->count >= 2) {
            b->ended = true;
            b->bad = ++b->pads > 4 - b->count;
            continue;
        }
        if (value == 0 || b->ended) {
            b->bad = true;
            break;
        }
        b->bits = b->bits << 6 | (value - 1);
        b->count = (b->count + 1) % 4;
        if (b->count != 1) /* 12, 18 or 24 bits are here: 4, 2 or 0 of them are left over */
            *o++ = (unsigned char)(b->bits >> (b->count == 2 ? 4 : b->count == 3 ? 2 : 0));
    }
    return (size_t)(o - dst);
}

bool base64_finish(const struct base64_stream *b)
{
    return !b->bad && b->count != 1 && (!b->ended || b->pads == 4 - b->count);
}

bool base64_decode(struct arena *a, str s, str *ret)
{
    struct base64_stream b = {0};
    unsigned char *dst = arena_array(a, s.len / 4 + 2, 3);
    size_t len = base64_feed(&b, s, dst);

    if (!base64_finish(&b))
        return false;
    *ret = (str){(char *)dst, len};
    return true;
}

/* --- URL --- */

bool url_decode(struct arena *a, str s, bool plus, str *ret)
{
    char *dst = arena_alloc(a, s.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '%') {
            if (s.len - i < 3 || !hex_decode((str){s.ptr + i + 1, 2}, &c, 1) || c == '\0')
                return false;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        dst[n++] = c;
    }
    *ret = (str){dst, n};
    return true;
}

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static str percent_encode(struct arena *a, str s, bool keep_slash)
{
    static const char upper[] = "0123456789ABCDEF"; /* RFC 3986 asks for capitals here */
    size_t n = 0, len = s.len;
    char *dst;

    for (size_t i = 0; i < s.len; i++)
        if (!unreserved(s.ptr[i]) && !(keep_slash && s.ptr[i] == '/'))
            len += 2;
    dst = arena_alloc(a, len + 1);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (unreserved(s.ptr[i]) || (keep_slash && c == '/')) {
            dst[n++] = s.ptr[i];
            continue;
        }
        dst[n++] = '%';
        dst[n++] = upper[c >> 4];
        dst[n++] = upper[c & 15];
    }
    assert(n == len);
    return (str){dst, n};
}

str url_encode(struct arena *a, str s)
{
    return percent_encode(a, s, false);
}

str url_encode_path(struct arena *a, str s)
{
    return percent_encode(a, s, true);
}

str url_encode_ref(struct arena *a, str s)
{
    while (str_starts(s, STR("//")))
        s = str_from(s, 1);
    return percent_encode(a, s, true);
}

err url_query_parse(struct arena *a, str raw, size_t max, struct url_query *ret)
{
    struct url_query q = {0};
    size_t count = 1;

    for (size_t i = 0; i < raw.len && count <= max; i++)
        count += raw.ptr[i] == '&';
    q.pairs = arena_many(a, struct url_pair, count < max ? count : max);
    while (raw.ptr) {
        str value = str_cut(&raw, '&'), name = str_cut(&value, '=');

        if (name.len == 0 && value.ptr == NULL)
            continue;
        if (q.count == max)
            return err_new(a, 400, "TooManyParameters", "At most %zu parameters are accepted.",
                           max);
        if (!url_decode(a, name, true, &name) || !url_decode(a, value, true, &value))
            return err_new(a, 400, "InvalidParameter",
                           "A parameter holds a malformed percent escape; write %% as %%25.");
        str_drop(&name, STR("[]"));
        q.pairs[q.count++] = (struct url_pair){name, value};
    }
    *ret = q;
    return OK;
}

str url_query_get(const struct url_query *q, str name)
{
    for (size_t i = 0; i < q->count; i++)
        if (str_eq(q->pairs[i].name, name))
            return q->pairs[i].value;
    return STR_NONE;
}

bool url_query_bool(const struct url_query *q, str name)
{
    str v = url_query_get(q, name);

    return v.ptr && (v.len == 0 || str_ieq(v, STR("true")) || str_eq(v, STR("1")) ||
                     str_ieq(v, STR("yes")) || str_ieq(v, STR("on")));
}

/* --- UTF-8 --- */

/* The length of the character at p, 0 when it is malformed, or -1 when it is well formed so far
 * but cut off by the end.  Overlong forms, surrogates and values past U+10FFFF are malformed. */
static int utf8_char(const unsigned char *p, size_t left)
{
    unsigned char lo = 0x80, hi = 0xbf;
    int len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    for (int i = 1; i < len; i++, lo = 0x80, hi = 0xbf) {
        if ((size_t)i >= left)
            return -1;
        if (p[i] < lo || p[i] > hi)
            return 0;
    }
    return len;
}

int utf8_step(str s)
{
    assert(s.len > 0);
    return utf8_char((const unsigned char *)s.ptr, s.len);
}

static bool valid(str s, bool may_be_cut)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;

    while (i < s.len) {
        uint64_t eight;
        int step;

        if (s.len - i >= sizeof eight) {
            memcpy(&eight, p + i, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                i += sizeof eight;
                continue;
            }
        }
        step = utf8_char(p + i, s.len - i);
        if (step <= 0)
            return step < 0 && may_be_cut;
        i += (size_t)step;
    }
    return true;
}

bool utf8_valid(str s)
{
    return valid(s, false);
}

bool utf8_valid_cut(str s)
{
    return valid(s, true);
}

bool text_ct_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.ptr, b.ptr, a.len) == 0);
}

str text_lower(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.len + 1);

    for (size_t i = 0; i < s.len; i++)
        p[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    return (str){p, s.len};
}
