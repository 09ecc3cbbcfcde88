/* json.h — reading JSON (behind it: jansson) and writing it as a stream of bytes. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* --- reading: an immutable tree that lives in the arena's life-time (freed by arena_defer).
 * Every accessor accepts NULL and wrong types and answers "absent", so lookups chain. --- */
struct json; /* a value */

/* Parses one JSON text.  Depth at most 64, strict UTF-8, duplicate keys: last wins.
 * Fails with 400 and a sentence naming line and column. */
MUST err json_parse(struct arena *a, str text, const struct json **ret);

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_REAL,
    JSON_STR,
    JSON_ARR,
    JSON_OBJ
};
enum json_type json_type(const struct json *j);
const struct json *json_get(const struct json *j, const char *key); /* NULL when absent */
const struct json *json_at(const struct json *j, size_t index);     /* NULL when absent */
size_t json_len(const struct json *j);                              /* of arrays and objects */
str json_str(const struct json *j);                                 /* ptr NULL when not a string */
bool json_i64(const struct json *j, int64_t *ret);                  /* false when not an integer */
bool json_bool(const struct json *j, bool *ret);                    /* false when not a boolean */
bool json_f64(const struct json *j, double *ret);        /* any number; false otherwise */
str json_get_str(const struct json *j, const char *key); /* json_str(json_get()) */
/* Walks an object: for (void *it = NULL; json_next(j, &it, &key, &value);) */
bool json_next(const struct json *j, void **it, str *key, const struct json **value);
str json_dump(struct arena *a, const struct json *j); /* compact text */

/* The literal true.  Inline, because the library behind us exports a symbol of this name. */
static inline bool json_true(const struct json *j)
{
    bool value = false;

    return json_bool(j, &value) && value;
}

/* --- writing: into a buf, commas and escapes are ours.  Past JSON_OUT_MAX the buf is full (see
 * buf.h); unbalanced calls and values without a key are programming errors and assert. --- */
struct json_out {
    struct buf buf;
    unsigned depth;
    bool need_comma;
    bool after_key;
};
#define JSON_OUT_MAX (64u << 20)
struct json_out *json_out_new(struct arena *a); /* its buf is freed with the arena */
void json_obj(struct json_out *j);              /* { */
void json_obj_end(struct json_out *j);
void json_arr(struct json_out *j); /* [ */
void json_arr_end(struct json_out *j);
void json_key(struct json_out *j, const char *key);
void json_key_str(struct json_out *j, str key);
void json_put_str(struct json_out *j, str s); /* invalid UTF-8 becomes U+FFFD */
void json_put_i64(struct json_out *j, int64_t v);
void json_put_u64(struct json_out *j, uint64_t v);
void json_put_real(struct json_out *j, double v);
void json_put_bool(struct json_out *j, bool v);
void json_put_null(struct json_out *j);
void json_put_raw(struct json_out *j,
                  str json_text); /* trusted, complete JSON (our own or stored) */
/* key and value in one call */
void json_kv_str(struct json_out *j, const char *key, str s);
void json_kv_i64(struct json_out *j, const char *key, int64_t v);
void json_kv_bool(struct json_out *j, const char *key, bool v);
void json_kv_null(struct json_out *j, const char *key);
void json_kv_raw(struct json_out *j, const char *key, str json_text);
void json_kv_time(struct json_out *j, const char *key, int64_t ms); /* "2026-…Z" */
static inline str json_out_str(const struct json_out *j)
{
    return buf_str(&j->buf);
}
