/* gguf.c — the metadata at the beginning of a GGUF file; see meta.h.
 *
 *   "GGUF"  u32 version (2 or 3)  u64 tensors  u64 pairs
 *   pairs:    string key, u32 type, value
 *   tensors:  string name, u32 dimensions, u64 each, u32 type, u64 offset
 *
 * Little endian; a string is u64 length and bytes; an array is u32 type, u64 count, values.  Work
 * is bounded by the bytes given: every item has a size of at least one byte.
 */
#include "hub/meta.h"
#include <string.h>

#define DIMENSIONS_MAX 8
#define NESTED_MAX 4

enum value_type {
    V_U8,
    V_I8,
    V_U16,
    V_I16,
    V_U32,
    V_I32,
    V_F32,
    V_BOOL,
    V_STR,
    V_ARR,
    V_U64,
    V_I64,
    V_F64,
    V_TYPES
};
static const unsigned char widths[V_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct reader {
    str rest;
    enum gguf_result state; /* sticks once it is not OK */
};

static str take(struct reader *r, uint64_t len)
{
    str s;

    if (r->state == GGUF_OK && len > r->rest.len)
        r->state = len > GGUF_HEADER_MAX ? GGUF_BAD : GGUF_SHORT;
    if (r->state != GGUF_OK)
        return STR_NONE;
    s = str_first(r->rest, (size_t)len);
    r->rest = str_from(r->rest, (size_t)len);
    return s;
}

static uint64_t take_int(struct reader *r, unsigned width)
{
    str s = take(r, width);
    uint64_t v = 0;

    for (size_t i = s.len; i-- > 0;)
        v = v << 8 | (unsigned char)s.ptr[i];
    return v;
}

static str take_str(struct reader *r)
{
    return take(r, take_int(r, 8));
}

static void skip_value(struct reader *r, uint64_t type, unsigned depth);

static void skip_array(struct reader *r, unsigned depth)
{
    uint64_t type = take_int(r, 4), count = take_int(r, 8), bytes;

    if (type >= V_TYPES || depth == NESTED_MAX) {
        if (r->state == GGUF_OK)
            r->state = GGUF_BAD;
        return;
    }
    if (widths[type]) {
        if (__builtin_mul_overflow(count, (uint64_t)widths[type], &bytes))
            bytes = UINT64_MAX;
        (void)take(r, bytes);
        return;
    }
    for (uint64_t i = 0; i < count && r->state == GGUF_OK; i++)
        skip_value(r, type, depth + 1);
}

static void skip_value(struct reader *r, uint64_t type, unsigned depth)
{
    if (type == V_STR)
        (void)take_str(r);
    else if (type == V_ARR)
        skip_array(r, depth);
    else if (type < V_TYPES)
        (void)take(r, widths[type]);
    else if (r->state == GGUF_OK)
        r->state = GGUF_BAD;
}

/* What the pairs say, as far as we ask. */
struct pairs {
    str architecture, chat_template;
    struct {
        str name; /* "llama.context_length", without its ending */
        int64_t value;
    } contexts[4];
    size_t context_count;
    int64_t bos, eos, split_count; /* -1: absent */
    str tokens;                    /* the array's strings */
    uint64_t token_count;
};

static int64_t to_i64(uint64_t v)
{
    return v > INT64_MAX ? -1 : (int64_t)v;
}

static void note_number(struct pairs *p, str key, int64_t v)
{
    if (str_eq(key, STR("tokenizer.ggml.bos_token_id"))) {
        p->bos = v;
    } else if (str_eq(key, STR("tokenizer.ggml.eos_token_id"))) {
        p->eos = v;
    } else if (str_eq(key, STR("split.count"))) {
        p->split_count = v;
    } else if (str_drop(&key, STR(".context_length")) && p->context_count < 4) {
        p->contexts[p->context_count].name = key;
        p->contexts[p->context_count++].value = v;
    }
}

static void take_pair(struct reader *r, struct pairs *p)
{
    str key = take_str(r), before, text;
    uint64_t type = take_int(r, 4);

    if (type == V_STR) {
        text = take_str(r);
        if (str_eq(key, STR("general.architecture")))
            p->architecture = text;
        else if (str_eq(key, STR("tokenizer.chat_template")))
            p->chat_template = text;
        return;
    }
    if (type < V_TYPES && widths[type] && type != V_F32 && type != V_F64) {
        note_number(p, key, to_i64(take_int(r, widths[type])));
        return;
    }
    before = r->rest;
    skip_value(r, type, 0);
    if (r->state == GGUF_OK && type == V_ARR && str_eq(key, STR("tokenizer.ggml.tokens"))) {
        struct reader array = {before, GGUF_OK};

        if (take_int(&array, 4) == V_STR) {
            p->token_count = take_int(&array, 8);
            p->tokens = array.rest;
        }
    }
}

static str token_at(const struct pairs *p, int64_t index)
{
    struct reader r = {p->tokens, GGUF_OK};
    str token = STR_NONE;

    if (index < 0 || (uint64_t)index >= p->token_count)
        return STR_NONE;
    for (int64_t i = 0; i <= index && r.state == GGUF_OK; i++)
        token = take_str(&r);
    return token.len > 1000 ? STR_NONE : token;
}

static int64_t take_tensor(struct reader *r)
{
    int64_t count = 1, dim;
    uint64_t dims;

    (void)take_str(r);
    dims = take_int(r, 4);
    if (dims > DIMENSIONS_MAX && r->state == GGUF_OK)
        r->state = GGUF_BAD;
    for (uint64_t i = 0; i < dims && r->state == GGUF_OK; i++) {
        dim = to_i64(take_int(r, 8));
        if (r->state == GGUF_OK && (dim < 0 || __builtin_mul_overflow(count, dim, &count)))
            r->state = GGUF_BAD;
    }
    (void)take(r, 12);
    return count;
}

/* Text for JSON: NUL, which JSON readers refuse, ends it; the rest is the writer's business. */
static str clean(struct arena *a, str s, size_t max)
{
    const char *end = s.len ? memchr(s.ptr, 0, s.len) : NULL;

    if (!s.ptr || s.len > max)
        return STR_NONE;
    return arena_str(a, end ? str_first(s, (size_t)(end - s.ptr)) : s);
}

enum gguf_result gguf_parse(struct arena *a, str head, struct gguf_info *ret)
{
    struct reader r = {head, GGUF_OK};
    struct pairs p = {.bos = -1, .eos = -1, .split_count = -1};
    struct gguf_info g = {0};
    uint64_t version, tensors, count;

    if (!str_eq(take(&r, 4), STR("GGUF")))
        return r.state == GGUF_SHORT ? GGUF_SHORT : GGUF_BAD;
    version = take_int(&r, 4);
    if (r.state == GGUF_OK && version != 2 && version != 3)
        return GGUF_BAD;
    tensors = take_int(&r, 8);
    count = take_int(&r, 8);
    for (uint64_t i = 0; i < count && r.state == GGUF_OK; i++)
        take_pair(&r, &p);
    for (uint64_t i = 0; i < tensors && r.state == GGUF_OK; i++)
        if (__builtin_add_overflow(g.total, take_tensor(&r), &g.total))
            return GGUF_BAD;
    if (r.state != GGUF_OK)
        return r.state;
    for (size_t i = 0; i < p.context_count; i++)
        if (str_eq(p.contexts[i].name, p.architecture) && p.contexts[i].value > 0)
            g.context_length = p.contexts[i].value;
    g.split_count = p.split_count > 0 ? p.split_count : 0;
    g.architecture = clean(a, p.architecture, 100);
    g.chat_template = clean(a, p.chat_template, GGUF_TEXT_MAX);
    g.bos_token = clean(a, token_at(&p, p.bos), 1000);
    g.eos_token = clean(a, token_at(&p, p.eos), 1000);
    *ret = g;
    return GGUF_OK;
}

void gguf_write(struct json_out *j, const struct gguf_info *g)
{
    json_obj(j);
    json_kv_i64(j, "total", g->total);
    if (g->architecture.ptr)
        json_kv_str(j, "architecture", g->architecture);
    if (g->context_length > 0)
        json_kv_i64(j, "context_length", g->context_length);
    if (g->chat_template.ptr)
        json_kv_str(j, "chat_template", g->chat_template);
    if (g->bos_token.ptr)
        json_kv_str(j, "bos_token", g->bos_token);
    if (g->eos_token.ptr)
        json_kv_str(j, "eos_token", g->eos_token);
    json_obj_end(j);
}
