/* json.c — reading: a thin, safe face over jansson; see json.h.  Writing is in json_out.c.
 *
 * jansson.h uses some of our names for other things, so it is included under a disguise, and
 * before json.h.  Only symbols that are functions in libjansson and macros or statics here clash;
 * nothing we export shadows one of its functions.
 */
#define json_type jansson_type
#define json_true jansson_true
#define JSON_NULL JANSSON_NULL
#define JSON_REAL JANSSON_REAL
#include <jansson.h>
#undef json_type
#undef json_true
#undef JSON_NULL
#undef JSON_REAL

#include "base/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64u

/* The library's functions take pointers to mutable values even for reading. */
static json_t *node(const struct json *j)
{
    return (json_t *)(uintptr_t)j;
}

static const struct json *wrap(json_t *v)
{
    return (const struct json *)(void *)v;
}

static void release(void *p)
{
    json_decref(p);
}

/* The library's own limit is 2048 levels of recursion; ours is found before it starts. */
static bool too_deep(str text)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

err json_parse(struct arena *a, str text, const struct json **ret)
{
    json_error_t why;
    json_t *v;

    if (too_deep(text))
        return err_new(a, 400, "InvalidJson", "The JSON is nested deeper than %u levels.",
                       DEPTH_MAX);
    v = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_DECODE_ANY, &why);
    if (!v && json_error_code(&why) == json_error_out_of_memory)
        return err_internal(a, "json: out of memory for %zu bytes", text.len);
    if (!v)
        return err_new(a, 400, "InvalidJson", "Invalid JSON at line %d, column %d: %s.", why.line,
                       why.column, why.text);
    arena_defer(a, release, v);
    *ret = wrap(v);
    return OK;
}

enum json_type json_type(const struct json *j)
{
    if (!j)
        return JSON_ABSENT;
    switch (json_typeof(node(j))) {
    case JSON_OBJECT:
        return JSON_OBJ;
    case JSON_ARRAY:
        return JSON_ARR;
    case JSON_STRING:
        return JSON_STR;
    case JSON_INTEGER:
        return JSON_INT;
    case JANSSON_REAL:
        return JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_BOOL;
    case JANSSON_NULL:
        return JSON_NULL;
    }
    return JSON_ABSENT;
}

const struct json *json_get(const struct json *j, const char *key)
{
    return wrap(json_object_get(node(j), key));
}

const struct json *json_at(const struct json *j, size_t index)
{
    return wrap(json_array_get(node(j), index));
}

size_t json_len(const struct json *j)
{
    return json_type(j) == JSON_OBJ ? json_object_size(node(j)) : json_array_size(node(j));
}

str json_str(const struct json *j)
{
    if (json_type(j) != JSON_STR)
        return STR_NONE;
    return (str){json_string_value(node(j)), json_string_length(node(j))};
}

bool json_i64(const struct json *j, int64_t *ret)
{
    if (json_type(j) != JSON_INT)
        return false;
    *ret = json_integer_value(node(j));
    return true;
}

bool json_f64(const struct json *j, double *ret)
{
    if (json_type(j) != JSON_INT && json_type(j) != JSON_REAL)
        return false;
    *ret = json_number_value(node(j));
    return true;
}

bool json_bool(const struct json *j, bool *ret)
{
    if (json_type(j) != JSON_BOOL)
        return false;
    *ret = json_typeof(node(j)) == JSON_TRUE;
    return true;
}

str json_get_str(const struct json *j, const char *key)
{
    return json_str(json_get(j, key));
}

bool json_next(const struct json *j, void **it, str *key, const struct json **value)
{
    if (json_type(j) != JSON_OBJ)
        return false;
    *it = *it ? json_object_iter_next(node(j), *it) : json_object_iter(node(j));
    if (!*it)
        return false;
    *key = (str){json_object_iter_key(*it), json_object_iter_key_len(*it)};
    *value = wrap(json_object_iter_value(*it));
    return true;
}

str json_dump(struct arena *a, const struct json *j)
{
    char *z = j ? json_dumps(node(j), JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    str text = z ? arena_str(a, str_c(z)) : STR_NONE;

    free(z);
    return text;
}
