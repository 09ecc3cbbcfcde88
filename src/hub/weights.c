/* weights.c — how many parameters: the headers of safetensors and GGUF files; see facts.h. */
#include "hub/facts.h"
#include <string.h>

#define FIRST_READ (64u << 10)

/* --- safetensors --- */

/* Adds one file; *budget is what may still be read. */
static bool add_file(struct facts *f, const struct tree_entry *e, size_t *budget)
{
    struct content_view v;
    size_t size;
    str head;

    if (!facts_open(f, e, &v) || !facts_read(f, &v, 0, FIRST_READ, &head) ||
        !safetensors_header_size(head, v.size, &size) || size > *budget)
        return false;
    *budget -= size;
    if (size > head.len - 8) {
        if (!facts_read(f, &v, 8, size, &head) || head.len != size)
            return false;
    } else {
        head = str_first(str_from(head, 8), size);
    }
    return safetensors_add(f->scratch, head, &f->sum);
}

/* The distinct file names of an index; false when there are too many. */
static bool shard_names(const struct json *map, str *ret, size_t *ret_count)
{
    const struct json *value;
    size_t count = 0;
    str key;

    for (void *it = NULL; json_next(map, &it, &key, &value);) {
        str name = json_str(value);
        size_t i = 0;

        /* shards come in runs: the last one first */
        while (i < count && !str_eq(ret[count - 1 - i], name))
            i++;
        if (i < count)
            continue;
        if (count == WEIGHTS_SHARDS_MAX || name.len == 0)
            return false;
        ret[count++] = name;
    }
    *ret_count = count;
    return count > 0;
}

static bool add_shards(struct facts *f, const struct json *index, size_t *budget)
{
    str names[WEIGHTS_SHARDS_MAX];
    size_t count;

    if (!shard_names(json_get(index, "weight_map"), names, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct tree_entry *e = facts_root_file(f, names[i]);

        if (!e || !add_file(f, e, budget))
            return false;
    }
    return true;
}

/* The index itself may know, when the shards are too many to look at. */
static bool add_total(struct facts *f, const struct json *index)
{
    static const struct {
        const char *torch, *dtype;
    } types[] = {{"bfloat16", "BF16"}, {"float16", "F16"}, {"float32", "F32"}, {"float64", "F64"}};
    str torch = json_get_str(f->config.config, "torch_dtype");
    int64_t total;

    if (!torch.ptr)
        torch = json_get_str(f->config.config, "dtype");
    if (!json_i64(json_get(json_get(index, "metadata"), "total_parameters"), &total) || total <= 0)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(torch, str_c(types[i].torch))) {
            f->sum = (struct safetensors_sum){.type_count = 1, .total = total};
            f->sum.types[0].dtype = str_c(types[i].dtype);
            f->sum.types[0].count = total;
            return true;
        }
    return false;
}

static const struct json *read_index(struct facts *f)
{
    const struct tree_entry *e = facts_root_file(f, STR("model.safetensors.index.json"));
    const struct json *index;
    struct content_view v;
    str text;

    if (!e || !facts_open(f, e, &v) || v.size > WEIGHTS_INDEX_MAX ||
        !facts_read(f, &v, 0, WEIGHTS_INDEX_MAX, &text) || json_parse(f->scratch, text, &index))
        return NULL;
    return index;
}

/* The only safetensors file of the root, whatever its name. */
static const struct tree_entry *only_file(const struct facts *f)
{
    const struct tree_entry *found = NULL;

    for (size_t i = 0; i < f->root_count; i++) {
        if (!str_ends(f->root[i].name, STR(".safetensors")))
            continue;
        if (found)
            return NULL;
        found = facts_root_file(f, f->root[i].name);
    }
    return found;
}

static void add_safetensors(struct facts *f)
{
    const struct tree_entry *e = facts_root_file(f, STR("model.safetensors"));
    const struct json *index = e ? NULL : read_index(f);
    size_t budget = WEIGHTS_BUDGET;

    if (!e && !index)
        e = only_file(f);
    if (e)
        f->has_sum = add_file(f, e, &budget);
    else if (index)
        f->has_sum = add_shards(f, index, &budget) || add_total(f, index);
    f->has_sum = f->has_sum && f->sum.total > 0;
}

/* --- GGUF --- */

static bool read_gguf(struct facts *f, const struct tree_entry *e, struct gguf_info *ret)
{
    struct content_view v;

    if (!facts_open(f, e, &v))
        return false;
    for (size_t size = 1u << 20; size <= GGUF_HEADER_MAX;
         size = size < 8u << 20 ? 8u << 20 : size * 4) {
        struct arena_mark m = arena_mark(f->scratch);
        enum gguf_result result = GGUF_BAD;
        str head;

        if (facts_read(f, &v, 0, size, &head))
            result = gguf_parse(f->a, head, ret);
        arena_rewind(f->scratch, m);
        if (result != GGUF_SHORT || size >= v.size)
            return result == GGUF_OK;
    }
    return false;
}

/* "name-00001-of-00003.gguf": the part before the number, and its end. */
static bool is_part(str path, str *ret_name, str *ret_end)
{
    static const size_t tail = sizeof "-00001-of-00003.gguf" - 1;
    str t;

    if (path.len <= tail)
        return false;
    t = str_from(path, path.len - tail);
    if (t.ptr[0] != '-' || !str_starts(str_from(t, 6), STR("-of-")))
        return false;
    *ret_name = str_first(path, path.len - tail);
    *ret_end = str_from(t, 6);
    return true;
}

static size_t depth_of(str path)
{
    size_t depth = 0;

    for (size_t i = 0; i < path.len; i++)
        depth += path.ptr[i] == '/';
    return depth;
}

/* The first of those nearest to the root; projectors of pictures are no models. */
static const struct found_file *first_gguf(const struct facts *f)
{
    const struct found_file *best = NULL;

    for (size_t i = 0; i < f->gguf_count; i++) {
        const struct found_file *g = &f->gguf[i];

        if (str_has(g->path, STR("mmproj")))
            continue;
        if (!best || depth_of(g->path) < depth_of(best->path))
            best = g;
    }
    return best;
}

static void add_gguf(struct facts *f)
{
    const struct found_file *first = first_gguf(f);
    struct gguf_info part;
    str name, end, name2, end2;

    if (!first || !read_gguf(f, &first->entry, &f->gguf_info))
        return;
    f->has_gguf = true;
    if (f->gguf_info.split_count < 2 || !is_part(first->path, &name, &end))
        return;
    for (size_t i = 0; i < f->gguf_count; i++) {
        const struct found_file *g = &f->gguf[i];

        if (g == first || !is_part(g->path, &name2, &end2) || !str_eq(name, name2) ||
            !str_eq(end, end2))
            continue;
        if (!read_gguf(f, &g->entry, &part) ||
            __builtin_add_overflow(f->gguf_info.total, part.total, &f->gguf_info.total)) {
            f->has_gguf = false; /* half a count would be a wrong one */
            return;
        }
    }
}

void facts_weights(struct facts *f)
{
    if (f->formats[FORMAT_SAFETENSORS])
        add_safetensors(f);
    if (f->gguf_count)
        add_gguf(f);
}
