/* gzip.c — compressing answers that are text and in memory. */
#define ZLIB_CONST /* zlib reads its input through a const pointer */
#include "http/reply_head.h"
#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

#define LEVEL 5

/* Does one member of Accept-Encoding ("gzip;q=0.5") allow gzip?  *ret_named: it names gzip itself.
 */
static bool member_allows(str member, bool *ret_named)
{
    str name = str_trim(str_cut(&member, ';'));

    *ret_named = str_ieq(name, STR("gzip")) || str_ieq(name, STR("x-gzip"));
    if (!*ret_named && !str_eq(name, STR("*")))
        return false;
    while (member.ptr) {
        str p = str_trim(str_cut(&member, ';'));

        if (!str_iskip(&p, STR("q=")))
            continue;
        for (size_t i = 0; i < p.len; i++)
            if (p.ptr[i] >= '1' && p.ptr[i] <= '9')
                return true;
        return false; /* q=0, q=0.000 */
    }
    return true;
}

bool gzip_accepted(str list)
{
    bool star = false;

    while (list.ptr) {
        bool named, allows = member_allows(str_cut(&list, ','), &named);

        if (named)
            return allows;
        star = star || allows;
    }
    return star;
}

bool gzip_type(str type)
{
    str name = str_trim(str_cut(&type, ';'));

    return str_starts(name, STR("text/")) || str_ends(name, STR("+json")) ||
           str_ends(name, STR("+xml")) || str_ends(name, STR("json")) ||
           str_ends(name, STR("/xml")) || str_ends(name, STR("javascript"));
}

/* A window and a memory level that fit the body: the state of a small answer takes 50 KiB, not 270.
 */
static err start(struct arena *a, z_stream *z, size_t len)
{
    int window = 10, memory;

    while (window < 15 && (size_t)1 << window < len)
        window++;
    memory = window - 7;
    if (deflateInit2(z, LEVEL, Z_DEFLATED, window + 16, memory, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_internal(a, "deflateInit2 failed");
    return OK;
}

bool gzip_bytes(struct arena *a, str body, str *ret)
{
    z_stream z = {0};
    unsigned char *out;
    size_t room = body.len - body.len / 16; /* must save at least that much */
    int state;

    if (body.len > UINT32_MAX || start(a, &z, body.len))
        return false;
    out = malloc(room);
    if (!out)
        abort();
    z.next_in = (z_const Bytef *)body.ptr;
    z.avail_in = (uInt)body.len;
    z.next_out = out;
    z.avail_out = (uInt)room;
    state = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    if (state != Z_STREAM_END) {
        free(out);
        return false;
    }
    arena_defer(a, free, out);
    *ret = (str){(const char *)out, room - z.avail_out};
    return true;
}
