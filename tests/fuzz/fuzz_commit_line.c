/* fuzz_commit_line.c — any bytes as one line of an NDJSON commit: it is refused with 400, or what
 * it says is inside memory and agrees with a plain reading of the JSON. */
#include "base/json.h"
#include "base/text.h"
#include "hub/commit_line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned char sink;

static void touch(str s)
{
    for (size_t i = 0; i < s.len; i++)
        sink = (unsigned char)(sink ^ (unsigned char)s.ptr[i]);
}

/* Repeated members are read in another order by us and by the JSON reader. */
static size_t occurrences(str text, str word)
{
    size_t n = 0;

    for (size_t i = 0; i + word.len <= text.len; i++)
        n += memcmp(text.ptr + i, word.ptr, word.len) == 0;
    return n;
}

static void compare(struct arena *a, str line, const struct commit_line *l)
{
    const struct json *root, *value;
    str content, expected;

    if (json_parse(a, line, &root))
        abort(); /* we took what is no JSON */
    value = json_get(root, "value");
    content = json_get_str(value, "content");
    if (occurrences(line, STR("\"value\"")) != 1 || occurrences(line, STR("content\"")) != 1 ||
        str_has(line, STR("\\u")))
        return;
    if (l->has_content != (content.ptr != NULL))
        abort();
    if (!l->has_content)
        return;
    expected = content;
    if (str_eq(json_get_str(value, "encoding"), STR("base64")) &&
        !base64_decode(a, content, &expected))
        abort();
    if (!str_eq(l->content, expected))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    char *line = malloc(size + 1);
    struct commit_line l;
    str path;
    err e;

    if (!line)
        abort();
    if (size)
        memcpy(line, data, size);
    e = commit_line_parse(a, line, size, &l);
    if (e && e->status != 400)
        abort();
    if (!e) {
        touch(l.summary);
        touch(l.description);
        touch(l.parent);
        touch(l.path);
        touch(l.old_path);
        touch(l.content);
        if (l.key == COMMIT_FILE)
            compare(a, (str){(const char *)data, size}, &l);
        if (commit_path_check(a, l.path, &path) == OK && (path.len == 0 || path.len > 1000))
            abort();
    }
    free(line);
    arena_free(a);
    return 0;
}
