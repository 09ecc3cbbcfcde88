/* text.h — hex, base64 and percent encodings, UTF-8. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* --- hex: lower case on output, both cases on input --- */
str hex_encode(struct arena *a, const void *p, size_t len);
void hex_write(char *dst, const void *p, size_t len); /* 2 × len digits, no NUL */
bool hex_decode(str hex, void *dst, size_t len);      /* exactly 2 × len digits */
bool hex_is(str s, size_t digits);                    /* exactly that many hex digits */

/* --- base64, RFC 4648 with padding; input may lack the padding; no white space --- */
str base64_encode(struct arena *a, const void *p, size_t len);
str base64url_encode(struct arena *a, const void *p, size_t len); /* URL alphabet, no padding */
bool base64_decode(struct arena *a, str s, str *ret); /* both alphabets; false on a bad digit */

/* A decoder for text that arrives in pieces; feed() writes at most len/4*3+3 bytes to dst. */
struct base64_stream {
    uint32_t bits;
    unsigned count; /* digits held in `bits`, 0..3 */
    unsigned pads;  /* '=' seen */
    bool ended, bad;
};
size_t base64_feed(struct base64_stream *b, str piece, unsigned char *dst);
bool base64_finish(const struct base64_stream *b); /* false: cut short or bad */

/* --- URL --- */
/* Decodes %xx (and '+' as space when plus is set).  False on a bad escape or %00. */
bool url_decode(struct arena *a, str s, bool plus, str *ret);
str url_encode(struct arena *a, str s);      /* one segment: only unreserved bytes stay */
str url_encode_path(struct arena *a, str s); /* the same, '/' stays */
/* The same for a Location that stays on this host: leading slashes become one, so that a path
 * such as "//elsewhere" never names another host. */
str url_encode_ref(struct arena *a, str s);

struct url_query { /* decoded name/value pairs in order of appearance */
    struct url_pair {
        str name, value;
    } * pairs;
    size_t count;
};
/* Parses a=b&c=d (also application/x-www-form-urlencoded bodies).  A trailing "[]" is dropped
 * from names.  At most `max` pairs; fails with 400. */
MUST err url_query_parse(struct arena *a, str raw, size_t max, struct url_query *ret);
str url_query_get(const struct url_query *q, str name);   /* first value, or ptr NULL */
bool url_query_bool(const struct url_query *q, str name); /* true/1/yes/on, or key without value */

/* --- UTF-8 --- */
bool utf8_valid(str s);
bool utf8_valid_cut(str s); /* the last character may be cut off (a sample of a longer text) */

/* The bytes of the first character of a non-empty s; 0 when it is malformed, -1 when it is cut off.
 */
int utf8_step(str s);

str text_lower(struct arena *a, str s); /* ASCII letters in lower case */
bool text_ct_eq(str a, str b);          /* constant time for equal lengths */
