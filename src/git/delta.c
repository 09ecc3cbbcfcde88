/* delta.c — see delta.h. */
#include "git/delta.h"
#include <string.h>

static bool take_size(str *s, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; s->len > 0 && shift < 63; shift += 7) {
        unsigned char c = (unsigned char)*s->ptr;

        *s = str_from(*s, 1);
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

bool delta_sizes(str *delta, uint64_t *ret_base, uint64_t *ret_result)
{
    return take_size(delta, ret_base) && take_size(delta, ret_result);
}

/* The bytes of a number that the bits of `which` announce. */
static bool take_bytes(str *s, unsigned which, unsigned count, uint64_t *ret)
{
    *ret = 0;
    for (unsigned i = 0; i < count; i++)
        if (which & 1u << i) {
            if (s->len == 0)
                return false;
            *ret |= (uint64_t)(unsigned char)*s->ptr << (8 * i);
            *s = str_from(*s, 1);
        }
    return true;
}

static bool take_copy(str *delta, unsigned op, str base, str *ret)
{
    uint64_t offset, len;

    if (!take_bytes(delta, op & 0x0f, 4, &offset) || !take_bytes(delta, (op >> 4) & 0x07, 3, &len))
        return false;
    if (len == 0)
        len = 0x10000;
    if (offset > base.len || len > base.len - offset)
        return false;
    *ret = (str){base.ptr + offset, len};
    return true;
}

bool delta_apply(str base, str delta, char *dst, uint64_t size)
{
    uint64_t base_size, result_size, at = 0;
    str piece;

    if (!delta_sizes(&delta, &base_size, &result_size) || base_size != base.len ||
        result_size != size)
        return false;
    while (delta.len > 0) {
        unsigned op = (unsigned char)*delta.ptr;

        delta = str_from(delta, 1);
        if (op & 0x80) {
            if (!take_copy(&delta, op, base, &piece))
                return false;
        } else {
            if (op == 0 || op > delta.len)
                return false;
            piece = str_first(delta, op);
            delta = str_from(delta, op);
        }
        if (piece.len > size - at)
            return false;
        if (piece.len)
            memcpy(dst + at, piece.ptr, piece.len);
        at += piece.len;
    }
    return at == size;
}
