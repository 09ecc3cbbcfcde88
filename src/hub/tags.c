/* tags.c — the tags of a repository, in the Hub's order; see facts.h.
 *
 * Two lists come out: the tags as they are shown, and in lower case those that a filter may ask
 * for, which has also the prefixed form where the plain one is shown (language:en beside en).
 */
#include "base/text.h"
#include "hub/facts.h"
#include <string.h>

static const struct {
    const char *ending;
    enum file_format format;
} endings[] = {
    {".safetensors", FORMAT_SAFETENSORS},
    {".gguf", FORMAT_GGUF},
    {".onnx", FORMAT_ONNX},
    {".pt", FORMAT_PYTORCH},
    {".pth", FORMAT_PYTORCH},
    {".ot", FORMAT_RUST},
    {".msgpack", FORMAT_JAX},
    {".h5", FORMAT_TF},
    {".tflite", FORMAT_TFLITE},
    {".keras", FORMAT_KERAS},
    {".nemo", FORMAT_NEMO},
    {".joblib", FORMAT_JOBLIB},
    {".mlmodel", FORMAT_COREML},
    {".parquet", FORMAT_PARQUET},
    {".arrow", FORMAT_ARROW},
    {".jsonl", FORMAT_JSON},
    {".json", FORMAT_JSON},
    {".ndjson", FORMAT_JSON},
    {".csv", FORMAT_CSV},
    {".tsv", FORMAT_CSV},
    {".tar", FORMAT_WEBDATASET},
    {".txt", FORMAT_TEXT},
    {".jpg", FORMAT_IMAGE},
    {".jpeg", FORMAT_IMAGE},
    {".png", FORMAT_IMAGE},
    {".webp", FORMAT_IMAGE},
    {".tiff", FORMAT_IMAGE},
    {".wav", FORMAT_AUDIO},
    {".mp3", FORMAT_AUDIO},
    {".flac", FORMAT_AUDIO},
    {".ogg", FORMAT_AUDIO},
    {".mp4", FORMAT_VIDEO},
    {".webm", FORMAT_VIDEO},
    {".mov", FORMAT_VIDEO},
};
static const struct {
    enum repo_kind kind;
    const char *tag;
} formats[FORMAT_COUNT] = {
#define FORMAT(id, kind, tag) {kind, tag},
#include "hub/formats.def"
#undef FORMAT
};

static bool ends_with(str s, const char *ending)
{
    str e = str_c(ending);

    return s.len > e.len && str_ieq(str_from(s, s.len - e.len), e);
}

void facts_note_file(struct facts *f, str path, str name)
{
    if (str_starts(name, STR("dataset_info"))) /* describes data, is none */
        return;
    if (str_starts(name, STR("pytorch_model")) && ends_with(name, ".bin"))
        f->formats[FORMAT_PYTORCH] = true;
    if (str_starts(name, STR("openvino_model")) && ends_with(name, ".xml"))
        f->formats[FORMAT_OPENVINO] = true;
    if (str_has(path, STR(".mlpackage/")))
        f->formats[FORMAT_COREML] = true;
    if (str_has(name, STR("tfevents")))
        f->formats[FORMAT_TENSORBOARD] = true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, endings[i].ending))
            f->formats[endings[i].format] = true;
}

/* --- lists --- */

struct list {
    struct arena *a;
    str items[FACTS_TAGS_MAX];
    size_t count;
};
struct tags {
    struct facts *f;
    struct list shown, index;
};

static void list_add(struct list *l, str s)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->items[i], s))
            return;
    if (l->count < FACTS_TAGS_MAX)
        l->items[l->count++] = arena_str(l->a, s);
}

/* Only for filters. */
static void index_tag(struct tags *t, const char *prefix, str tag)
{
    tag = str_trim(tag);
    if (tag.len && tag.len <= FACTS_TAG_BYTES)
        list_add(&t->index,
                 text_lower(t->f->scratch, arena_cat(t->f->scratch, str_c(prefix), tag)));
}

static void add(struct tags *t, const char *prefix, str tag)
{
    tag = str_trim(tag);
    if (tag.len && tag.len <= FACTS_TAG_BYTES) {
        list_add(&t->shown, arena_cat(t->f->scratch, str_c(prefix), tag));
        index_tag(t, prefix, tag);
    }
}

typedef void add_fn(struct tags *t, const char *prefix, str tag);

/* A string of the card, or each of a list of strings. */
static void add_front(struct tags *t, const char *key, const char *prefix, add_fn *fn)
{
    const struct json *value = json_get(t->f->front, key);

    if (json_type(value) == JSON_STR)
        fn(t, prefix, json_str(value));
    else if (json_type(value) == JSON_ARR)
        for (size_t i = 0; i < json_len(value) && i < FACTS_TAGS_MAX; i++)
            fn(t, prefix, json_str(json_at(value, i)));
}

static void add_formats(struct tags *t)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (t->f->formats[i] && formats[i].kind == t->f->repo->kind)
            add(t, "", str_c(formats[i].tag));
}

static void add_arxiv(struct tags *t)
{
    str ids[CARD_ARXIV_MAX];
    size_t count = card_arxiv(t->f->card.body, ids);

    for (size_t i = 0; i < count; i++)
        add(t, "arxiv:", ids[i]);
}

/* --- models --- */

static size_t base_count(const struct facts *f)
{
    const struct json *base = json_get(f->front, "base_model");

    return json_type(base) == JSON_ARR ? json_len(base) : json_str(base).len > 0;
}

str facts_base_relation(const struct facts *f)
{
    static const str known[] = {STR_INIT("finetune"), STR_INIT("adapter"), STR_INIT("merge"),
                                STR_INIT("quantized")};
    str said = json_get_str(f->front, "base_model_relation");

    if (base_count(f) == 0)
        return STR_NONE;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(said, known[i]))
            return known[i];
    if (json_type(f->config.adapter) == JSON_OBJ || str_eq(f->library, STR("peft")))
        return STR("adapter");
    if (base_count(f) > 1)
        return STR("merge");
    if (f->formats[FORMAT_GGUF] || json_get(f->config.config, "quantization_config"))
        return STR("quantized");
    return STR("finetune");
}

static void add_quantization(struct tags *t)
{
    const struct json *q = json_get(t->f->config.config, "quantization_config");
    str method = json_get_str(q, "quant_method");
    int64_t bits = 0;

    if (json_true(json_get(q, "load_in_4bit")))
        bits = 4;
    else if (json_true(json_get(q, "load_in_8bit")))
        bits = 8;
    else
        (void)json_i64(json_get(q, "bits"), &bits);
    if (bits > 0 && bits <= 16)
        add(t, "", arena_printf(t->f->scratch, "%d-bit", (int)bits));
    add(t, "", method);
}

static void add_model_kind(struct tags *t)
{
    const struct facts *f = t->f;
    bool talks = json_get(f->config.tokenizer, "chat_template") || f->config.chat_template.ptr ||
                 (f->has_gguf && f->gguf_info.chat_template.ptr);

    add(t, "diffusers:", json_get_str(f->config.model_index, "_class_name"));
    if (str_starts(f->card.model_index, STR("[{")))
        add(t, "", STR("model-index"));
    if (talks)
        add(t, "", STR("conversational"));
    if (json_len(json_get(f->config.config, "auto_map")))
        add(t, "", STR("custom_code"));
    add_quantization(t);
}

static void add_base_model(struct tags *t)
{
    str relation = facts_base_relation(t->f);

    if (!relation.ptr)
        return;
    add_front(t, "base_model", "base_model:", add);
    add_front(
        t, "base_model",
        str_z(t->f->scratch, arena_cat(t->f->scratch, STR("base_model:"), relation, STR(":"))),
        add);
}

static void model_tags(struct tags *t)
{
    const struct facts *f = t->f;

    add(t, "", f->library);
    add_formats(t);
    add(t, "", json_get_str(f->config.config, "model_type"));
    add(t, "", f->pipeline_tag);
    add_front(t, "tags", "", add);
    add_model_kind(t);
    add_front(t, "language", "", add);
    add_front(t, "language", "language:", index_tag);
    add_front(t, "datasets", "dataset:", add);
    add_arxiv(t);
    add_base_model(t);
    add_front(t, "license", "license:", add);
}

/* --- datasets and Spaces --- */

static void dataset_tags(struct tags *t)
{
    static const char *const keys[] = {
        "task_categories",
        "task_ids",
        "annotations_creators",
        "language_creators",
        "multilinguality",
        "source_datasets",
        "language",
        "license",
        "size_categories",
        NULL,
    };

    for (const char *const *k = keys; *k; k++)
        add_front(t, *k, str_z(t->f->scratch, arena_cat(t->f->scratch, str_c(*k), STR(":"))), add);
    add_front(t, "language", "", index_tag);
    add_formats(t);
    add_arxiv(t);
    add_front(t, "tags", "", add);
}

static void space_tags(struct tags *t)
{
    size_t before;

    add_front(t, "sdk", "", add);
    add_front(t, "tags", "", add);
    add_front(t, "license", "license:", index_tag);
    before = t->index.count;
    add_front(t, "models", "models:", index_tag);
    add_front(t, "datasets", "datasets:", index_tag);
    if (t->index.count > before)
        index_tag(t, "", STR("linked:true"));
}

static void write_tags(struct tags *t, struct repo_facts *ret)
{
    struct json_out *j = json_out_new(t->f->scratch);
    str *list = arena_many(t->f->a, str, t->index.count + 1);

    json_arr(j);
    for (size_t i = 0; i < t->shown.count; i++)
        json_put_str(j, t->shown.items[i]);
    json_arr_end(j);
    ret->tags = arena_str(t->f->a, json_out_str(j));
    for (size_t i = 0; i < t->index.count; i++)
        list[i] = arena_str(t->f->a, t->index.items[i]);
    ret->tag_list = list;
    ret->tag_count = t->index.count;
}

void facts_tags(struct facts *f, struct repo_facts *ret)
{
    struct tags *t = arena_one(f->scratch, struct tags);

    t->f = f;
    t->shown.a = t->index.a = f->scratch;
    if (f->repo->kind == REPO_MODEL)
        model_tags(t);
    else if (f->repo->kind == REPO_DATASET)
        dataset_tags(t);
    else
        space_tags(t);
    add(t, "region:", STR("us"));
    write_tags(t, ret);
}
