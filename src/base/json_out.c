/* json_out.c — writing JSON as a stream of bytes; see json.h. */
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void release(void *p)
{
    struct json_out *j = p;

    buf_free(&j->buf);
}

struct json_out *json_out_new(struct arena *a)
{
    struct json_out *j = arena_one(a, struct json_out);

    j->buf = BUF(JSON_OUT_MAX);
    arena_defer(a, release, j);
    return j;
}

/* What goes before a value: a comma, unless it is the first of its container or follows a key. */
static void separate(struct json_out *j)
{
    if (j->need_comma && !j->after_key)
        buf_addc(&j->buf, ',');
    j->need_comma = true;
    j->after_key = false;
}

static void open_with(struct json_out *j, char c)
{
    separate(j);
    buf_addc(&j->buf, c);
    j->depth++;
    j->need_comma = false;
}

static void close_with(struct json_out *j, char c)
{
    assert(j->depth > 0 && !j->after_key);
    buf_addc(&j->buf, c);
    j->depth--;
    j->need_comma = true;
}

void json_obj(struct json_out *j)
{
    open_with(j, '{');
}

void json_obj_end(struct json_out *j)
{
    close_with(j, '}');
}

void json_arr(struct json_out *j)
{
    open_with(j, '[');
}

void json_arr_end(struct json_out *j)
{
    close_with(j, ']');
}

/* The bytes at the front of s that a JSON string holds as they are. */
static size_t plain_run(str s)
{
    size_t i = 0;

    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        int step = 1;

        if (c < ' ' || c == '"' || c == '\\')
            break;
        if (c >= 0x80)
            step = utf8_step(str_from(s, i));
        if (step <= 0)
            break;
        i += (size_t)step;
    }
    return i;
}

static void add_escaped(struct buf *b, unsigned char c)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* byte, letter */

    if (c >= 0x80) {
        buf_add(b, STR("\xef\xbf\xbd")); /* U+FFFD for a byte that is not UTF-8 */
        return;
    }
    for (const char *n = names; *n; n += 2) {
        if ((unsigned char)*n == c) {
            buf_addc(b, '\\');
            buf_addc(b, n[1]);
            return;
        }
    }
    buf_printf(b, "\\u%04x", c);
}

static void add_string(struct buf *b, str s)
{
    buf_addc(b, '"');
    while (s.len > 0) {
        size_t n = plain_run(s);

        buf_add(b, str_first(s, n));
        s = str_from(s, n);
        if (s.len > 0) {
            add_escaped(b, (unsigned char)s.ptr[0]);
            s = str_from(s, 1);
        }
    }
    buf_addc(b, '"');
}

void json_key_str(struct json_out *j, str key)
{
    assert(j->depth > 0 && !j->after_key);
    separate(j);
    add_string(&j->buf, key);
    buf_addc(&j->buf, ':');
    j->after_key = true;
}

void json_key(struct json_out *j, const char *key)
{
    json_key_str(j, str_c(key));
}

void json_put_str(struct json_out *j, str s)
{
    separate(j);
    add_string(&j->buf, s);
}

void json_put_u64(struct json_out *j, uint64_t v)
{
    char digits[20], *p = digits + sizeof digits;

    separate(j);
    do {
        *--p = (char)('0' + v % 10);
    } while ((v /= 10) > 0);
    buf_add(&j->buf, (str){p, (size_t)(digits + sizeof digits - p)});
}

void json_put_i64(struct json_out *j, int64_t v)
{
    if (v >= 0) {
        json_put_u64(j, (uint64_t)v);
        return;
    }
    separate(j);
    buf_printf(&j->buf, "%lld", (long long)v);
}

/* The shortest digits that read back as the same number; always seen as a real. */
void json_put_real(struct json_out *j, double v)
{
    char text[40];
    int len = 0;

    separate(j);
    if (!isfinite(v)) { /* JSON has no word for these */
        buf_add(&j->buf, STR("null"));
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(text, sizeof text, "%.*g", digits, v);
        if (memcmp(&(double){strtod(text, NULL)}, &v, sizeof v) == 0)
            break;
    }
    buf_add(&j->buf, (str){text, (size_t)len});
    if (!strpbrk(text, ".e"))
        buf_add(&j->buf, STR(".0"));
}

void json_put_bool(struct json_out *j, bool v)
{
    separate(j);
    buf_add(&j->buf, v ? STR("true") : STR("false"));
}

void json_put_null(struct json_out *j)
{
    separate(j);
    buf_add(&j->buf, STR("null"));
}

void json_put_raw(struct json_out *j, str json_text)
{
    assert(json_text.len > 0);
    separate(j);
    buf_add(&j->buf, json_text);
}

void json_kv_str(struct json_out *j, const char *key, str s)
{
    json_key(j, key);
    json_put_str(j, s);
}

void json_kv_i64(struct json_out *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_put_i64(j, v);
}

void json_kv_bool(struct json_out *j, const char *key, bool v)
{
    json_key(j, key);
    json_put_bool(j, v);
}

void json_kv_null(struct json_out *j, const char *key)
{
    json_key(j, key);
    json_put_null(j);
}

void json_kv_raw(struct json_out *j, const char *key, str json_text)
{
    json_key(j, key);
    json_put_raw(j, json_text);
}

void json_kv_time(struct json_out *j, const char *key, int64_t ms)
{
    char text[40];

    json_kv_str(j, key, clock_iso_write(text, ms));
}
