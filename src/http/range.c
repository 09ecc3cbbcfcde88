/* range.c — see range.h. */
#include "http/range.h"
#include <assert.h>

#define NONE UINT64_MAX /* this end of the range was left out */

/* Reads decimal digits off the front of *s.  Changes nothing when there are none or too many. */
static void take_u64(str *s, uint64_t *ret)
{
    uint64_t v = 0;
    size_t n = 0;

    for (; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s->ptr[n] - '0', &v))
            return;
    if (n == 0)
        return;
    *ret = v;
    *s = str_from(*s, n);
}

/* Splits "bytes=A-B", "bytes=A-" or "bytes=-B".  False when `v` is none of them. */
static bool split(str v, uint64_t *ret_first, uint64_t *ret_last)
{
    uint64_t first = NONE, last = NONE;

    if (!str_iskip(&v, STR("bytes=")))
        return false;
    take_u64(&v, &first);
    if (!str_skip(&v, STR("-")))
        return false;
    take_u64(&v, &last);
    if (v.len > 0 || (first == NONE && last == NONE) || (first != NONE && last < first))
        return false;
    *ret_first = first;
    *ret_last = last;
    return true;
}

err http_range_parse(str value, uint64_t size, struct http_range *ret)
{
    static const struct err_info past_end = {
        416, "InvalidRange", STR_INIT("Range is past the end."), NULL, STR_INIT("")};
    uint64_t first = NONE, last = NONE;

    if (size == 0 || !split(value, &first, &last)) {
        *ret = (struct http_range){0, size, false};
        return OK;
    }
    if (first == NONE) { /* "-500" asks for the last 500 bytes */
        if (last == 0)
            return &past_end;
        first = last < size ? size - last : 0;
        last = NONE;
    }
    if (first >= size)
        return &past_end;
    if (last > size - 1)
        last = size - 1;

    *ret = (struct http_range){first, last - first + 1, true};
    assert(ret->count <= size && ret->first <= size - ret->count);
    return OK;
}

/* Takes the next entity tag off *list, without W/; its quotes included.  False at the end. */
static bool take_etag(str *list, str *ret)
{
    for (;;) {
        ptrdiff_t end;

        while (list->len > 0 &&
               (list->ptr[0] == ' ' || list->ptr[0] == '\t' || list->ptr[0] == ','))
            *list = str_from(*list, 1);
        str_skip(list, STR("W/"));
        if (list->len == 0)
            return false;
        if (list->ptr[0] != '"') { /* not a tag: on to the next member */
            str_cut(list, ',');
            continue;
        }
        end = str_find(str_from(*list, 1), '"');
        if (end < 0)
            return false;
        *ret = str_first(*list, (size_t)end + 2);
        *list = str_from(*list, (size_t)end + 2);
        return true;
    }
}

bool http_etag_matches(str list, str etag)
{
    str tag;

    if (str_eq(str_trim(list), STR("*")))
        return true;
    str_skip(&etag, STR("W/"));
    while (take_etag(&list, &tag))
        if (str_eq(tag, etag))
            return true;
    return false;
}
