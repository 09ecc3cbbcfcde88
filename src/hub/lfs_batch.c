/* lfs_batch.c — see lfs_batch.h. */
#include "hub/lfs_batch.h"

#define REV_MAX 1024 /* bytes of a name that goes into a link */

/* Absent (git-lfs), "sha256" (Python) or "sha_256" (JavaScript). */
static bool is_sha256(const struct json *algo)
{
    str word = json_str(algo);

    return json_type(algo) == JSON_ABSENT || json_type(algo) == JSON_NULL ||
           str_ieq(word, STR("sha256")) || str_ieq(word, STR("sha_256"));
}

static struct lfs_object read_object(const struct json *j)
{
    struct lfs_object o = {.oid = json_get_str(j, "oid")};
    int64_t size = -1;

    if (!sha256_from_hex(o.oid, &o.sha256))
        o.bad = "An object is named by the 64 hex digits of its SHA-256.";
    else if (!json_i64(json_get(j, "size"), &size) || size < 0)
        o.bad = "An object needs its size in bytes.";
    o.size = size < 0 ? 0 : (uint64_t)size;
    return o;
}

static bool lists(const struct json *transfers, str word)
{
    for (size_t i = 0; i < json_len(transfers); i++)
        if (str_eq(json_str(json_at(transfers, i)), word))
            return true;
    return false;
}

/* "main", or as git says it, "refs/heads/main". */
static str read_rev(const struct json *ref)
{
    str name = json_get_str(ref, "name");

    (void)str_skip(&name, STR("refs/heads/"));
    return name.len && name.len <= REV_MAX ? name : STR("main");
}

err lfs_batch_parse(struct arena *a, const struct json *j, struct lfs_batch *ret)
{
    const struct json *objects = json_get(j, "objects");
    str operation = json_get_str(j, "operation");
    struct lfs_batch b = {.upload = str_eq(operation, STR("upload")), .count = json_len(objects)};

    if (!b.upload && !str_eq(operation, STR("download")))
        return err_new(a, 400, NULL, "\"operation\" must be one of [upload, download].");
    if (json_type(objects) != JSON_ARR)
        return err_new(a, 400, NULL, "\"objects\" must be a list of objects with oid and size.");
    if (!is_sha256(json_get(j, "hash_algo")))
        return err_new(a, 409, NULL, "This hub names LFS objects by sha256 only.");
    if (b.count > LFS_OBJECTS_MAX)
        return err_new(a, 413, NULL, "At most %d objects fit in one request; send several.",
                       LFS_OBJECTS_MAX);
    b.may_multipart = lists(json_get(j, "transfers"), STR("multipart"));
    b.may_xet = lists(json_get(j, "transfers"), STR("xet"));
    b.rev = read_rev(json_get(j, "ref"));
    b.objects = arena_many(a, struct lfs_object, b.count + 1);
    for (size_t i = 0; i < b.count; i++)
        b.objects[i] = read_object(json_at(objects, i));
    *ret = b;
    return OK;
}
