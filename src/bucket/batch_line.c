/* batch_line.c — see batch_line.h. */
#include "bucket/batch_line.h"
#include "base/json.h"

#define SHOWN 100 /* bytes of a bad value in an answer */

static err read_kind(struct arena *a, const struct json *j, enum bucket_op_kind *ret)
{
    str type = json_get_str(j, "type");

    if (str_eq(type, STR("addFile")))
        *ret = BUCKET_ADD;
    else if (str_eq(type, STR("copyFile")))
        *ret = BUCKET_COPY;
    else if (str_eq(type, STR("deleteFile")))
        *ret = BUCKET_DELETE;
    else
        return err_new(a, 400, NULL, "\"type\" must be one of [addFile, copyFile, deleteFile]");
    return OK;
}

static err read_path(struct arena *a, const struct json *j, str *ret)
{
    str path = json_get_str(j, "path");
    const char *wrong = bucket_path_wrong(path);

    if (!path.ptr)
        return err_new(a, 400, NULL, "\"path\" is missing.");
    if (wrong)
        return err_new(a, 400, NULL, "The path \"%.*s\" does not fit: %s.",
                       STR_FMT(str_first(path, SHOWN)), wrong);
    *ret = path;
    return OK;
}

static bool read_integer(const struct json *j, int64_t min, int64_t max, int64_t *ret)
{
    double real;

    if (!json_i64(j, ret)) {
        if (!json_f64(j, &real) || !(real >= (double)min && real <= (double)max))
            return false;
        *ret = (int64_t)real;
    }
    return *ret >= min && *ret <= max;
}

static bool is_given(const struct json *j)
{
    return j && json_type(j) != JSON_NULL;
}

static err read_times(struct arena *a, const struct json *j, struct bucket_op *op)
{
    const struct json *mtime = json_get(j, "mtime"), *nanos = json_get(j, "mtimeNanos");
    int64_t ns = -1;

    op->has_mtime = is_given(mtime);
    if (op->has_mtime && !read_integer(mtime, BUCKET_TIME_MIN, BUCKET_TIME_MAX, &op->mtime_ms))
        return err_new(a, 400, NULL,
                       "\"mtime\" is a whole number of milliseconds since 1970, in the years 1 to "
                       "9999.");
    if (is_given(nanos) && !read_integer(nanos, 0, 999999, &ns))
        return err_new(a, 400, NULL, "\"mtimeNanos\" is a whole number from 0 to 999999.");
    op->mtime_ns = (int32_t)ns;
    return OK;
}

static bool is_printable(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

static err read_type(struct arena *a, const struct json *j, struct bucket_op *op)
{
    const struct json *type = json_get(j, "contentType");
    str s = json_str(type);

    if (!is_given(type) || (s.ptr && s.len == 0))
        return OK;
    if (!s.ptr || s.len > BUCKET_TYPE_MAX || !is_printable(s))
        return err_new(a, 400, NULL, "\"contentType\" has at most %d printable ASCII characters.",
                       BUCKET_TYPE_MAX);
    op->content_type = s;
    return OK;
}

static err read_source(struct arena *a, const struct json *j, struct batch_line *l)
{
    l->source_id = json_get_str(j, "sourceRepoId");
    if (!repo_kind_parse(json_get_str(j, "sourceRepoType"), &l->op.source_kind))
        return err_new(a, 400, NULL,
                       "\"sourceRepoType\" must be one of [model, dataset, space, bucket]");
    return l->source_id.len ? OK : err_new(a, 400, NULL, "\"sourceRepoId\" is missing.");
}

err batch_line_parse(struct arena *a, str line, struct batch_line *ret)
{
    const struct json *j;

    *ret = (struct batch_line){.op = {.mtime_ns = -1}};
    TRY(json_parse(a, line, &j));
    if (json_type(j) != JSON_OBJ)
        return err_new(a, 400, NULL, "Each line of a batch is a JSON object.");
    TRY(read_kind(a, j, &ret->op.kind));
    TRY(read_path(a, j, &ret->op.path));
    if (ret->op.kind == BUCKET_DELETE)
        return OK;
    if (!file_hash_parse(json_get_str(j, "xetHash"), &ret->op.hash))
        return err_new(a, 400, NULL, "\"xetHash\" of \"%.*s\" has 64 hex digits.",
                       STR_FMT(str_first(ret->op.path, SHOWN)));
    TRY(read_times(a, j, &ret->op));
    TRY(read_type(a, j, &ret->op));
    return ret->op.kind == BUCKET_COPY ? read_source(a, j, ret) : OK;
}
