/* commit_line.c — see commit_line.h.
 *
 * A line is {"key": K, "value": {…, "content": "long base64", …}} with members in any order.  A
 * scan finds the string of "content" inside "value" and cuts it out, so that the JSON reader sees
 * a short text; the content is decoded by itself.
 */
#include "hub/commit_line.h"
#include "base/json.h"
#include "base/text.h"
#include "git/tree.h"
#include <string.h>

#define PATH_MAX_BYTES 1000

/* A cursor over JSON text; it trusts nothing and judges little: the JSON reader judges. */
struct scan {
    const char *p, *end;
};

/* Steps over a string that begins at the quote; *ret is what stands between the quotes. */
static bool scan_string(struct scan *s, str *ret)
{
    const char *from = ++s->p;

    while (s->p < s->end && *s->p != '"')
        s->p += *s->p == '\\' && s->p + 1 < s->end ? 2 : 1;
    if (s->p >= s->end)
        return false;
    *ret = (str){from, (size_t)(s->p - from)};
    s->p++;
    return true;
}

static bool scan_blank(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
        s->p++;
    return s->p < s->end;
}

/* The string value of member "content" of the object that is member "value".  ptr NULL: none. */
static str find_content(str line)
{
    struct scan s = {line.ptr, line.ptr + line.len};
    bool in_value = false;
    str name = STR_NONE, found;
    int depth = 0;

    while (scan_blank(&s)) {
        char c = *s.p;

        if (c == '"') {
            bool is_content = depth == 2 && in_value && str_eq(name, STR("content"));

            if (!scan_string(&s, &found))
                break;
            if (scan_blank(&s) && *s.p == ':' && !name.ptr) {
                name = found; /* a member's name */
                s.p++;
                continue;
            }
            if (is_content)
                return found;
            name = STR_NONE;
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
            if (depth == 2)
                in_value = c == '{' && str_eq(name, STR("value"));
            name = STR_NONE;
        } else if (c == '}' || c == ']') {
            depth--;
            name = STR_NONE;
        } else if (c == ',') {
            name = STR_NONE;
        }
        s.p++;
    }
    return STR_NONE;
}

/* Decodes in place; JSON may write '/' as "\/".  False: no base64. */
static bool decode_in_place(char *p, size_t len, str *ret)
{
    struct base64_stream b = {0};
    unsigned char *dst = (unsigned char *)p;
    size_t out = 0;

    for (size_t from = 0; from < len;) {
        const char *slash = memchr(p + from, '\\', len - from);
        size_t to = slash ? (size_t)(slash - p) : len;

        out += base64_feed(&b, (str){p + from, to - from}, dst + out);
        if (slash && (to + 1 >= len || p[to + 1] != '/'))
            return false;
        from = slash ? to + 1 : len;
    }
    *ret = (str){p, out};
    return base64_finish(&b);
}

/* Escapes other than "\/", which only few writers of JSON put into base64 ("\u003d"). */
static bool has_escapes(const char *p, size_t len)
{
    const char *end = p + len;

    for (; (p = memchr(p, '\\', (size_t)(end - p))); p += 2)
        if (p + 1 == end || p[1] != '/')
            return true;
    return false;
}

static err unescape(struct arena *a, str text, str *ret)
{
    const struct json *list;

    TRY(json_parse(a, arena_cat(a, STR("[\""), text, STR("\"]")), &list));
    *ret = json_str(json_at(list, 0));
    return OK;
}

static err read_content(struct arena *a, const struct json *value, char *p, size_t len,
                        struct commit_line *ret)
{
    str encoding = json_get_str(value, "encoding");
    bool fits;

    ret->has_content = true;
    if (!encoding.ptr || str_eq(encoding, STR("utf-8")))
        return unescape(a, (str){p, len}, &ret->content);
    if (!str_eq(encoding, STR("base64")))
        return err_new(a, 400, NULL, "\"encoding\" must be one of [base64, utf-8]");
    if (has_escapes(p, len)) {
        TRY(unescape(a, (str){p, len}, &ret->content));
        fits = base64_decode(a, ret->content, &ret->content);
    } else {
        fits = decode_in_place(p, len, &ret->content);
    }
    return fits
               ? OK
               : err_new(a, 400, NULL, "The content of \"%.*s\" is no base64.", STR_FMT(ret->path));
}

static enum commit_key key_of(str key)
{
    if (str_eq(key, STR("header")))
        return COMMIT_HEADER;
    if (str_eq(key, STR("file")))
        return COMMIT_FILE;
    if (str_eq(key, STR("lfsFile")))
        return COMMIT_LFS_FILE;
    if (str_eq(key, STR("deletedFile")) || str_eq(key, STR("deletedEntry")) ||
        str_eq(key, STR("deletedFolder")))
        return COMMIT_DELETE;
    return COMMIT_UNKNOWN;
}

static err read_lfs(struct arena *a, const struct json *value, struct commit_line *ret)
{
    int64_t size;

    if (!sha256_from_hex(json_get_str(value, "oid"), &ret->lfs))
        return err_new(a, 400, NULL, "The lfsFile \"%.*s\" needs \"oid\": 64 hex digits.",
                       STR_FMT(ret->path));
    ret->has_size = json_i64(json_get(value, "size"), &size);
    if (ret->has_size && size < 0)
        return err_new(a, 400, NULL, "The size of \"%.*s\" is negative.", STR_FMT(ret->path));
    ret->size = ret->has_size ? (uint64_t)size : 0;
    return OK;
}

err commit_line_parse(struct arena *a, char *line, size_t len, struct commit_line *ret)
{
    str content = find_content((str){line, len});
    size_t at = content.ptr ? (size_t)(content.ptr - line) : len;
    const struct json *root, *value;
    str text = {line, len};

    *ret = (struct commit_line){0};
    if (content.ptr)
        text =
            arena_cat(a, (str){line, at}, (str){line + at + content.len, len - at - content.len});
    TRY(json_parse(a, text, &root));
    value = json_get(root, "value");
    if (json_type(root) != JSON_OBJ || json_type(value) != JSON_OBJ)
        return err_new(a, 400, NULL, "Each line of a commit is {\"key\": …, \"value\": {…}}.");
    ret->key = key_of(json_get_str(root, "key"));
    ret->summary = json_get_str(value, "summary");
    ret->description = json_get_str(value, "description");
    ret->parent = json_get_str(value, "parentCommit");
    ret->path = json_get_str(value, "path");
    ret->old_path = json_get_str(value, "oldPath");
    if (ret->key == COMMIT_LFS_FILE)
        return read_lfs(a, value, ret);
    if (ret->key == COMMIT_FILE && content.ptr)
        return read_content(a, value, line + at, content.len, ret);
    return OK;
}

err commit_path_check(struct arena *a, str path, str *ret)
{
    str clean = path;
    bool climbs;

    (void)str_skip(&clean, STR("./"));
    (void)str_drop(&clean, STR("/")); /* deletedFolder keeps one */
    climbs = str_starts(clean, STR("..")) &&
             (clean.len == 2 || clean.ptr[2] == '/' || clean.ptr[2] == '\\');
    if (climbs || clean.len == 0 || clean.len > PATH_MAX_BYTES || !tree_path_safe(clean))
        return err_new(
            a, 422, NULL,
            "The path \"%.*s\" cannot be stored: use names separated by '/', none of them empty, "
            "'.', '..' or '.git', at most %d bytes.",
            STR_FMT(str_first(path, 200)), PATH_MAX_BYTES);
    *ret = clean;
    return OK;
}
