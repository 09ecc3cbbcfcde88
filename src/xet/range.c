/* range.c — see range.h. */
#include "xet/range.h"
#include <assert.h>

#define NONE UINT64_MAX /* this end of the range was left out, or is too far away to matter */

static const struct err_info past_end = {
    416, "InvalidRange", STR_INIT("The range begins behind the end of the file."), NULL, {0}};
static const struct err_info unreadable = {
    416,
    "InvalidRange",
    STR_INIT("Send one range as \"bytes=FIRST-LAST\", \"bytes=FIRST-\" or \"bytes=-COUNT\"."),
    NULL,
    {0}};

/* Reads decimal digits off the front of *s; a number that is too large becomes NONE. */
static bool take_digits(str *s, uint64_t *ret)
{
    uint64_t v = 0;
    bool large = false;
    size_t n = 0;

    for (; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++)
        large |= __builtin_mul_overflow(v, 10, &v) ||
                 __builtin_add_overflow(v, (uint64_t)(s->ptr[n] - '0'), &v);
    *ret = large ? NONE : v;
    *s = str_from(*s, n);
    return n > 0;
}

struct ends {
    bool has_first, has_last;
    uint64_t first, last;
};

/* Reads "a-b", "a-" or "-n". */
static bool parse_ends(str s, struct ends *ret)
{
    struct ends e = {0};

    s = str_trim(s);
    e.has_first = take_digits(&s, &e.first);
    if (!str_skip(&s, STR("-")))
        return false;
    e.has_last = take_digits(&s, &e.last);
    *ret = e;
    return s.len == 0 && (e.has_first || e.has_last) &&
           !(e.has_first && e.has_last && e.last < e.first);
}

err xet_range_parse(str header, uint64_t size, struct xet_range *ret)
{
    struct ends e;

    if (!header.ptr) {
        *ret = (struct xet_range){0, size};
        return OK;
    }
    header = str_trim(header);
    if (!str_iskip(&header, STR("bytes=")) || !parse_ends(header, &e))
        return &unreadable;
    if (!e.has_first) { /* "-500": the last 500 bytes */
        if (e.last == 0 || size == 0)
            return &past_end;
        e.first = e.last < size ? size - e.last : 0;
        e.has_last = false;
    }
    if (e.first >= size && !(size == 0 && e.first == 0))
        return &past_end;
    if (size == 0) {
        *ret = (struct xet_range){0, 0};
        return OK;
    }
    if (!e.has_last || e.last > size - 1)
        e.last = size - 1;
    *ret = (struct xet_range){e.first, e.last - e.first + 1};
    assert(ret->count > 0 && ret->first <= size - ret->count);
    return OK;
}

bool xet_ranges_parse(str header, uint64_t first, uint64_t last, struct xet_range *ret,
                      size_t *ret_count)
{
    uint64_t next = first;
    size_t count = 0;

    assert(first <= last && last < NONE);
    if (!header.ptr) {
        ret[0] = (struct xet_range){first, last - first + 1};
        *ret_count = 1;
        return true;
    }
    header = str_trim(header);
    if (!str_iskip(&header, STR("bytes=")))
        return false;
    while (header.ptr) {
        struct ends e;

        if (count == XET_RANGES_MAX || !parse_ends(str_cut(&header, ','), &e) || !e.has_first)
            return false;
        if (!e.has_last)
            e.last = last;
        if (e.first < next || e.last > last || e.first > e.last)
            return false;
        ret[count++] = (struct xet_range){e.first, e.last - e.first + 1};
        next = e.last + 1;
    }
    *ret_count = count;
    return count > 0;
}

/* --- links --- */

str xet_link_query(struct arena *a, const struct xorb_link *l)
{
    return arena_printf(a, "x=%lld-%lld&r=%llu-%llu", (long long)l->id, (long long)l->generation,
                        (unsigned long long)l->first, (unsigned long long)l->last);
}

bool xet_link_parse(str x, str r, struct xorb_link *ret)
{
    str id = str_cut(&x, '-'), first = str_cut(&r, '-');
    uint64_t id_value, generation;

    if (!str_u64(id, &id_value) || !str_u64(x, &generation) || !str_u64(first, &ret->first) ||
        !str_u64(r, &ret->last))
        return false;
    ret->id = (int64_t)id_value;
    ret->generation = (int64_t)generation;
    return id_value > 0 && id_value <= INT64_MAX && generation <= INT64_MAX &&
           ret->first <= ret->last && ret->last < UINT32_MAX;
}

str xet_link_claims(struct arena *a, xorb_hash h, const struct xorb_link *l)
{
    return arena_printf(a, "%.*s\n%lld\n%lld\n%llu\n%llu", STR_FMT(xorb_hash_text(a, h)),
                        (long long)l->id, (long long)l->generation, (unsigned long long)l->first,
                        (unsigned long long)l->last);
}
