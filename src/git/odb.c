/* odb.c — see odb.h. */
#include "git/odb.h"
#include "base/buf.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static const struct {
    str name;
    enum obj_type type;
} types[] = {
    {STR_INIT("commit"), OBJ_COMMIT},
    {STR_INIT("tree"), OBJ_TREE},
    {STR_INIT("blob"), OBJ_BLOB},
    {STR_INIT("tag"), OBJ_TAG},
};
#define TYPE_COUNT (sizeof types / sizeof *types)

const char *obj_type_name(enum obj_type type)
{
    assert(type >= OBJ_COMMIT && type <= OBJ_TAG);
    return types[type - 1].name.ptr;
}

bool obj_type_parse(str name, enum obj_type *ret)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (str_eq(name, types[i].name)) {
            *ret = types[i].type;
            return true;
        }
    return false;
}

oid obj_id(enum obj_type type, str data)
{
    char head[40];
    int n = snprintf(head, sizeof head, "%s %zu", obj_type_name(type), data.len);
    struct hasher *h = sha1_new();

    hasher_add(h, head, (size_t)n + 1); /* with the NUL */
    hasher_add(h, data.ptr, data.len);
    return sha1_end(h);
}

err obj_missing(struct arena *a, oid id)
{
    return err_new(a, 500, "ObjectMissing", "The git object %.*s of this repository is missing.",
                   STR_FMT(sha1_hex(a, id)));
}

err obj_damaged(struct arena *a, oid id, const char *what)
{
    return err_new(a, 500, "ObjectDamaged", "The git object %.*s is damaged: %s.",
                   STR_FMT(sha1_hex(a, id)), what);
}

err odb_find(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type, str *ret_data,
             bool *ret_found)
{
    return o->ops->find(o, a, id, ret_type, ret_data, ret_found);
}

err odb_header(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type, uint64_t *ret_size,
               bool *ret_found)
{
    return o->ops->header(o, a, id, ret_type, ret_size, ret_found);
}

err odb_read_any(struct odb *o, struct arena *a, oid id, enum obj_type *ret_type, str *ret)
{
    bool found = false;

    TRY(o->ops->find(o, a, id, ret_type, ret, &found));
    return found ? OK : obj_missing(a, id);
}

err odb_read(struct odb *o, struct arena *a, oid id, enum obj_type type, str *ret)
{
    enum obj_type actual = type;
    bool found = false;
    str data = STR_NONE;

    TRY(o->ops->find(o, a, id, &actual, &data, &found));
    if (!found)
        return obj_missing(a, id);
    if (actual != type)
        return err_new(a, 500, "ObjectMissing", "The git object %.*s is a %s where a %s belongs.",
                       STR_FMT(sha1_hex(a, id)), obj_type_name(actual), obj_type_name(type));
    *ret = data;
    return OK;
}

err odb_stored(struct odb *o, struct arena *a, oid id, unsigned part, struct odb_part *ret)
{
    bool found = false;

    TRY(o->ops->stored(o, a, id, part, ret, &found));
    return found ? OK : obj_missing(a, id);
}

err odb_write(struct odb *o, struct arena *a, enum obj_type type, str data, oid *ret)
{
    return o->ops->write(o, a, type, data, ret);
}

static Bytef *bytes_of(str s)
{
    union {
        const char *in;
        Bytef *out;
    } u = {.in = s.ptr}; /* zlib's next_in is const only under ZLIB_CONST */

    return u.out;
}

/* Small objects get a small window: setting up the full one costs more than packing them.  Large
 * ones are packed fast: they are mostly data that shrinks little. */
void obj_deflate(str data, struct buf *out)
{
    bool small = data.len <= 4096;
    int level = data.len <= (256u << 10) ? 6 : 1;
    z_stream z = {0};
    size_t room;
    char *to;
    int rc;

    assert(data.len < UINT32_MAX / 2);
    if (deflateInit2(&z, level, Z_DEFLATED, small ? 12 : 15, small ? 5 : 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        abort();
    room = deflateBound(&z, data.len);
    to = buf_room(out, room);
    if (to) {
        z.next_in = bytes_of(data);
        z.avail_in = (uInt)data.len;
        z.next_out = (Bytef *)to;
        z.avail_out = (uInt)room;
        rc = deflate(&z, Z_FINISH);
        assert(rc == Z_STREAM_END);
        out->len += z.total_out;
    }
    deflateEnd(&z);
}

bool obj_inflate(struct arena *a, str stream, uint64_t size, str *ret)
{
    z_stream z = {0};
    Bytef extra; /* one byte of room past the end shows a stream that is too long */
    bool good = false;
    char *to;

    if (size > ODB_MAX_OBJECT || stream.len > UINT32_MAX / 2)
        return false;
    to = arena_alloc(a, (size_t)size + 1);
    if (inflateInit(&z) != Z_OK)
        abort();
    z.next_in = bytes_of(stream);
    z.avail_in = (uInt)stream.len;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)size;
    int rc = inflate(&z, Z_FINISH);
    if (rc == Z_BUF_ERROR && z.avail_out == 0) { /* full: only the checksum may be left */
        z.next_out = &extra;
        z.avail_out = 1;
        rc = inflate(&z, Z_FINISH);
    }
    good = rc == Z_STREAM_END && z.total_out == size && z.avail_in == 0;
    inflateEnd(&z);
    if (good)
        *ret = (str){to, (size_t)size};
    return good;
}
