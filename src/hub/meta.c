/* meta.c — see meta.h; GGUF is in gguf.c. */
#include "hub/meta.h"

/* --- safetensors --- */

bool safetensors_header_size(str first, uint64_t file_size, size_t *ret)
{
    uint64_t n = 0;

    if (first.len < 8)
        return false;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | (unsigned char)first.ptr[i];
    if (n < 2 || n > SAFETENSORS_HEADER_MAX || n > file_size || file_size - n < 8)
        return false;
    *ret = (size_t)n;
    return true;
}

static bool dtype_valid(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
              s.ptr[i] == '_'))
            return false;
    return s.len > 0 && s.len <= 16;
}

static bool count_type(struct arena *a, struct safetensors_sum *sum, str dtype, int64_t count)
{
    size_t i = 0;

    while (i < sum->type_count && !str_eq(sum->types[i].dtype, dtype))
        i++;
    if (i == SAFETENSORS_DTYPES_MAX)
        return false;
    if (i == sum->type_count) {
        sum->types[i].dtype = arena_str(a, dtype);
        sum->type_count++;
    }
    return !__builtin_add_overflow(sum->types[i].count, count, &sum->types[i].count) &&
           !__builtin_add_overflow(sum->total, count, &sum->total);
}

static bool shape_count(const struct json *shape, int64_t *ret)
{
    int64_t count = 1, dim;

    if (json_type(shape) != JSON_ARR)
        return false;
    for (size_t i = 0; i < json_len(shape); i++)
        if (!json_i64(json_at(shape, i), &dim) || dim < 0 ||
            __builtin_mul_overflow(count, dim, &count))
            return false;
    *ret = count;
    return true;
}

bool safetensors_add(struct arena *a, str header, struct safetensors_sum *sum)
{
    struct arena *scratch = arena_new(0);
    const struct json *root = NULL, *tensor;
    bool good = !json_parse(scratch, header, &root) && json_type(root) == JSON_OBJ;
    str name;

    for (void *it = NULL; good && json_next(root, &it, &name, &tensor);) {
        str dtype = json_get_str(tensor, "dtype");
        int64_t count;

        if (str_eq(name, STR("__metadata__")))
            continue;
        good = dtype_valid(dtype) && shape_count(json_get(tensor, "shape"), &count) &&
               count_type(a, sum, dtype, count);
    }
    arena_free(scratch);
    return good;
}

void safetensors_write(struct json_out *j, const struct safetensors_sum *sum)
{
    json_obj(j);
    json_key(j, "parameters");
    json_obj(j);
    for (size_t i = 0; i < sum->type_count; i++) {
        json_key_str(j, sum->types[i].dtype);
        json_put_i64(j, sum->types[i].count);
    }
    json_obj_end(j);
    json_kv_i64(j, "total", sum->total);
    json_obj_end(j);
}

/* --- config --- */

#define CONFIG_VALUE_MAX (16u << 10) /* bytes of one copied value */

/* Copies some members of a JSON object as they are; templates are long, the rest is small. */
static void copy_members(struct arena *a, struct json_out *j, const struct json *from,
                         const char *const *keys)
{
    for (; *keys; keys++) {
        const struct json *value = json_get(from, *keys);
        str text = value ? json_dump(a, value) : STR_NONE;

        if (text.ptr && text.len <= CONFIG_VALUE_MAX)
            json_kv_raw(j, *keys, text);
    }
}

/* A special token is a string or {"content": string}. */
static str token_of(const struct json *from, const char *key)
{
    const struct json *value = json_get(from, key);

    return json_type(value) == JSON_OBJ ? json_get_str(value, "content") : json_str(value);
}

static str special_token(const struct model_config *m, const char *key)
{
    str token = token_of(m->tokenizer, key);

    if (!token.ptr)
        token = token_of(m->special, key);
    return token.len > 1000 ? STR_NONE : token;
}

str config_mask_token(const struct model_config *m)
{
    return special_token(m, "mask_token");
}

/* A template is a text, or a list of named ones. */
static bool template_fits(const struct json *t)
{
    size_t bytes = json_str(t).len;

    if (json_type(t) == JSON_STR)
        return bytes <= GGUF_TEXT_MAX;
    for (size_t i = 0; i < json_len(t); i++)
        bytes += json_get_str(json_at(t, i), "template").len;
    return json_type(t) == JSON_ARR && json_len(t) <= 32 && bytes <= GGUF_TEXT_MAX;
}

static bool has_tokenizer(const struct model_config *m)
{
    return (json_type(m->tokenizer) == JSON_OBJ && json_len(m->tokenizer) > 0) ||
           (json_type(m->special) == JSON_OBJ && json_len(m->special) > 0);
}

static void write_tokenizer(struct arena *a, struct json_out *j, const struct model_config *m)
{
    static const char *const tokens[] = {"bos_token", "eos_token",  "pad_token", "unk_token",
                                         "cls_token", "mask_token", "sep_token", NULL};
    const struct json *t = json_get(m->tokenizer, "chat_template");
    bool flag;

    json_key(j, "tokenizer_config");
    json_obj(j);
    for (const char *const *k = tokens; *k; k++)
        if (special_token(m, *k).ptr)
            json_kv_str(j, *k, special_token(m, *k));
    if (t && template_fits(t))
        json_kv_raw(j, "chat_template", json_dump(a, t));
    if (json_bool(json_get(m->tokenizer, "use_default_system_prompt"), &flag))
        json_kv_bool(j, "use_default_system_prompt", flag);
    json_obj_end(j);
}

bool config_write(struct arena *a, struct json_out *j, const struct model_config *m)
{
    static const char *const keys[] = {"architectures", "auto_map", "model_type",
                                       "quantization_config", NULL};
    static const char *const peft[] = {"base_model_name_or_path", "task_type", "peft_type", NULL};
    static const char *const diffusers[] = {"_class_name", NULL};
    bool has_template = m->chat_template.ptr && m->chat_template.len <= GGUF_TEXT_MAX;

    if (json_type(m->config) != JSON_OBJ && !has_tokenizer(m) &&
        json_type(m->adapter) != JSON_OBJ && json_type(m->model_index) != JSON_OBJ && !has_template)
        return false;
    json_obj(j);
    copy_members(a, j, m->config, keys);
    if (has_tokenizer(m))
        write_tokenizer(a, j, m);
    if (has_template)
        json_kv_str(j, "chat_template_jinja", m->chat_template);
    if (json_type(m->adapter) == JSON_OBJ) {
        json_key(j, "peft");
        json_obj(j);
        copy_members(a, j, m->adapter, peft);
        json_obj_end(j);
    }
    if (json_type(m->model_index) == JSON_OBJ) {
        json_key(j, "diffusers");
        json_obj(j);
        copy_members(a, j, m->model_index, diffusers);
        json_obj_end(j);
    }
    json_obj_end(j);
    return true;
}

/* --- transformers --- */

static const struct {
    const char *ending, *auto_model, *pipeline_tag, *processor;
} heads[] = {
    {"ForCausalLM", "AutoModelForCausalLM", "text-generation", "AutoTokenizer"},
    {"LMHeadModel", "AutoModelForCausalLM", "text-generation", "AutoTokenizer"},
    {"ForMaskedLM", "AutoModelForMaskedLM", "fill-mask", "AutoTokenizer"},
    {"ForPreTraining", "AutoModelForPreTraining", NULL, "AutoTokenizer"},
    {"ForSequenceClassification", "AutoModelForSequenceClassification", "text-classification",
     "AutoTokenizer"},
    {"ForTokenClassification", "AutoModelForTokenClassification", "token-classification",
     "AutoTokenizer"},
    {"ForQuestionAnswering", "AutoModelForQuestionAnswering", "question-answering",
     "AutoTokenizer"},
    {"ForMultipleChoice", "AutoModelForMultipleChoice", "multiple-choice", "AutoTokenizer"},
    {"ForImageClassification", "AutoModelForImageClassification", "image-classification",
     "AutoImageProcessor"},
    {"ForObjectDetection", "AutoModelForObjectDetection", "object-detection", "AutoImageProcessor"},
    {"ForSemanticSegmentation", "AutoModelForSemanticSegmentation", "image-segmentation",
     "AutoImageProcessor"},
    {"ForUniversalSegmentation", "AutoModelForUniversalSegmentation", "image-segmentation",
     "AutoImageProcessor"},
    {"ForDepthEstimation", "AutoModelForDepthEstimation", "depth-estimation", "AutoImageProcessor"},
    {"ForMaskGeneration", "AutoModelForMaskGeneration", "mask-generation", "AutoProcessor"},
    {"ForVideoClassification", "AutoModelForVideoClassification", "video-classification",
     "AutoImageProcessor"},
    {"ForAudioClassification", "AutoModelForAudioClassification", "audio-classification",
     "AutoFeatureExtractor"},
    {"ForCTC", "AutoModelForCTC", "automatic-speech-recognition", "AutoProcessor"},
    {"ForSpeechSeq2Seq", "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition",
     "AutoProcessor"},
    {"ForImageTextToText", "AutoModelForImageTextToText", "image-text-to-text", "AutoProcessor"},
    {"ForVision2Seq", "AutoModelForVision2Seq", "image-text-to-text", "AutoProcessor"},
    {"ForDocumentQuestionAnswering", "AutoModelForDocumentQuestionAnswering",
     "document-question-answering", "AutoProcessor"},
    {"ForZeroShotImageClassification", "AutoModelForZeroShotImageClassification",
     "zero-shot-image-classification", "AutoProcessor"},
    {"Model", "AutoModel", "feature-extraction", "AutoTokenizer"},
};

/* "…ForConditionalGeneration" is a family: speech, pictures with text, or text to text. */
static void conditional(const struct json *config, struct auto_model *m)
{
    bool speech = str_eq(json_get_str(config, "model_type"), STR("whisper")) ||
                  str_ends(json_get_str(config, "model_type"), STR("speech_to_text"));

    if (speech)
        *m = (struct auto_model){STR("AutoModelForSpeechSeq2Seq"),
                                 STR("automatic-speech-recognition"), STR("AutoProcessor"),
                                 STR_NONE};
    else if (json_get(config, "vision_config"))
        *m = (struct auto_model){STR("AutoModelForImageTextToText"), STR("image-text-to-text"),
                                 STR("AutoProcessor"), STR_NONE};
    else
        *m = (struct auto_model){STR("AutoModelForSeq2SeqLM"), STR("text2text-generation"),
                                 STR("AutoTokenizer"), STR_NONE};
}

static bool from_architecture(const struct json *config, str architecture, struct auto_model *ret)
{
    if (str_ends(architecture, STR("ForConditionalGeneration"))) {
        conditional(config, ret);
        return true;
    }
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (str_ends(architecture, str_c(heads[i].ending))) {
            *ret = (struct auto_model){
                .auto_model = str_c(heads[i].auto_model),
                .processor = str_c(heads[i].processor),
            };
            if (heads[i].pipeline_tag)
                ret->pipeline_tag = str_c(heads[i].pipeline_tag);
            return true;
        }
    return false;
}

bool config_auto_model(const struct json *config, struct auto_model *ret)
{
    const struct json *map = json_get(config, "auto_map"), *value;
    bool found;
    str key;

    *ret = (struct auto_model){0};
    if (!json_get_str(config, "model_type").ptr)
        return false;
    found = from_architecture(config, json_str(json_at(json_get(config, "architectures"), 0)), ret);
    for (void *it = NULL; json_next(map, &it, &key, &value);) {
        if (!str_starts(key, STR("AutoModel")) || !json_str(value).len || key.len > 100 ||
            json_str(value).len > 200)
            continue;
        ret->auto_model = key;
        ret->custom_class = json_str(value);
        found = true;
        break;
    }
    return found;
}

void auto_model_write(struct json_out *j, const struct auto_model *m)
{
    json_obj(j);
    json_kv_str(j, "auto_model", m->auto_model);
    if (m->custom_class.ptr)
        json_kv_str(j, "custom_class", m->custom_class);
    if (m->pipeline_tag.ptr)
        json_kv_str(j, "pipeline_tag", m->pipeline_tag);
    if (m->processor.ptr)
        json_kv_str(j, "processor", m->processor);
    json_obj_end(j);
}

/* --- raw members --- */

/* The bytes of the quoted string that s begins with, quotes included; 0: it does not. */
static size_t quoted_len(str s)
{
    if (s.len == 0 || s.ptr[0] != '"')
        return 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '"')
            return i + 1;
    }
    return 0;
}

/* The bytes of the value that s begins with: up to a comma or bracket outside of its own. */
static size_t value_len(str s)
{
    size_t depth = 0, i = 0;

    while (i < s.len) {
        char c = s.ptr[i];

        if (c == '"') {
            size_t n = quoted_len(str_from(s, i));

            if (n == 0)
                return 0;
            i += n;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return i;
        if (c == '{' || c == '[')
            depth++;
        if (c == '}' || c == ']')
            depth--;
        i++;
    }
    return depth ? 0 : i;
}

struct raw_iter raw_iter(str object)
{
    if (!str_skip(&object, STR("{")) || !str_drop(&object, STR("}")))
        object = STR_NONE;
    return (struct raw_iter){object};
}

bool raw_next(struct raw_iter *it, str *key, str *value)
{
    size_t n = quoted_len(it->rest);

    if (n == 0)
        return false;
    *key = (str){it->rest.ptr + 1, n - 2};
    it->rest = str_from(it->rest, n);
    if (!str_skip(&it->rest, STR(":")))
        return false;
    n = value_len(it->rest);
    *value = str_first(it->rest, n);
    it->rest = str_from(it->rest, n);
    (void)str_skip(&it->rest, STR(","));
    return n > 0;
}

str raw_get(str object, str key)
{
    str k, v;

    for (struct raw_iter it = raw_iter(object); raw_next(&it, &k, &v);)
        if (str_eq(k, key))
            return v;
    return STR_NONE;
}
