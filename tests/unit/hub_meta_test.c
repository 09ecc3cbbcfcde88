/* hub_meta_test.c — safetensors and GGUF headers, config.json, raw members. */
#include "check.h"
#include "hub/meta.h"

static struct arena *a;

/* --- safetensors --- */

static const struct {
    const char *name;
    str first;
    uint64_t file_size;
    size_t size; /* 0: refused */
} sizes[] = {
    {"a small header", STR_INIT("\x10\0\0\0\0\0\0\0"), 1000, 16},
    {"it fills the file", STR_INIT("\x10\0\0\0\0\0\0\0"), 24, 16},
    {"it ends after the file", STR_INIT("\x10\0\0\0\0\0\0\0"), 23, 0},
    {"too large", STR_INIT("\1\0\x80\0\0\0\0\0"), 1u << 30, 0},
    {"absurd", STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff"), UINT64_MAX, 0},
    {"empty", STR_INIT("\0\0\0\0\0\0\0\0"), 100, 0},
    {"seven bytes", STR_INIT("\x10\0\0\0\0\0\0"), 7, 0},
};

static void test_safetensors_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = 0;
        bool good = safetensors_header_size(sizes[i].first, sizes[i].file_size, &size);

        if (good != (sizes[i].size > 0) || size != sizes[i].size)
            fail_msg("%s: %zu", sizes[i].name, size);
    }
}

static void test_safetensors_sum(void **state)
{
    struct safetensors_sum sum = {0};
    struct json_out *j = json_out_new(a);

    (void)state;
    assert_true(safetensors_add(
        a,
        STR("{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],"
            "\"data_offsets\":[0,24]},\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,"
            "32]}}  "),
        &sum));
    assert_true(safetensors_add(a, STR("{\"c\":{\"dtype\":\"F32\",\"shape\":[10]}}"), &sum));
    safetensors_write(j, &sum);
    check_str(json_out_str(j), "{\"parameters\":{\"F32\":16,\"I64\":1},\"total\":17}");
}

static void test_safetensors_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"a\":1}",
        "{\"a\":{\"dtype\":\"F32\"}}",
        "{\"a\":{\"dtype\":\"f 32\",\"shape\":[1]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1]}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct safetensors_sum sum = {0};

        if (safetensors_add(a, str_c(bad[i]), &sum))
            fail_msg("taken: %s", bad[i]);
    }
}

/* --- GGUF --- */

static void u(struct buf *b, unsigned width, uint64_t v)
{
    for (unsigned i = 0; i < width; i++, v >>= 8)
        buf_addc(b, (char)(v & 0xff));
}

static void s(struct buf *b, const char *text)
{
    u(b, 8, strlen(text));
    buf_add(b, str_c(text));
}

static str model(struct buf *b)
{
    buf_add(b, STR("GGUF"));
    u(b, 4, 3);
    u(b, 8, 2); /* tensors */
    u(b, 8, 6); /* pairs */
    s(b, "general.architecture"), u(b, 4, 8), s(b, "llama");
    s(b, "llama.context_length"), u(b, 4, 4), u(b, 4, 4096);
    s(b, "tokenizer.ggml.tokens"), u(b, 4, 9), u(b, 4, 8), u(b, 8, 3), s(b, "<unk>"), s(b, "<s>"),
        s(b, "</s>");
    s(b, "tokenizer.ggml.bos_token_id"), u(b, 4, 4), u(b, 4, 1);
    s(b, "tokenizer.ggml.eos_token_id"), u(b, 4, 4), u(b, 4, 2);
    s(b, "tokenizer.chat_template"), u(b, 4, 8), s(b, "{{ x }}");
    s(b, "token_embd.weight"), u(b, 4, 2), u(b, 8, 64), u(b, 8, 3), u(b, 4, 0), u(b, 8, 0);
    s(b, "output.weight"), u(b, 4, 1), u(b, 8, 10), u(b, 4, 0), u(b, 8, 768);
    return buf_str(b);
}

static void test_gguf(void **state)
{
    AUTO_BUF struct buf b = BUF(1u << 16);
    struct json_out *j = json_out_new(a);
    str text = model(&b);
    struct gguf_info g;

    (void)state;
    assert_int_equal(gguf_parse(a, text, &g), GGUF_OK);
    gguf_write(j, &g);
    check_str(json_out_str(j),
              "{\"total\":202,\"architecture\":\"llama\",\"context_length\":4096,"
              "\"chat_template\":\"{{ x }}\",\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}");
    for (size_t n = 0; n < text.len; n++) /* every beginning asks for more */
        assert_int_equal(gguf_parse(a, str_first(text, n), &g), GGUF_SHORT);
}

static void test_gguf_bad(void **state)
{
    AUTO_BUF struct buf b = BUF(1u << 16);
    struct gguf_info g;

    (void)state;
    (void)model(&b);
    b.ptr[0] = 'X';
    assert_int_equal(gguf_parse(a, buf_str(&b), &g), GGUF_BAD);
    b.ptr[0] = 'G';
    b.ptr[4] = 9; /* version */
    assert_int_equal(gguf_parse(a, buf_str(&b), &g), GGUF_BAD);
    b.ptr[4] = 3;
    b.ptr[24 + 8 + 20] = 99; /* type of the first value */
    assert_int_equal(gguf_parse(a, buf_str(&b), &g), GGUF_BAD);
    buf_clear(&b);
    buf_add(&b, STR("GGUF"));
    u(&b, 4, 3), u(&b, 8, 0), u(&b, 8, 1);
    s(&b, "x"), u(&b, 4, 8), u(&b, 8, UINT64_MAX); /* a string longer than the world */
    assert_int_equal(gguf_parse(a, buf_str(&b), &g), GGUF_BAD);
}

/* --- config --- */

static const struct json *parse(const char *text)
{
    const struct json *j = NULL;

    if (text)
        check_ok(json_parse(a, str_c(text), &j));
    return j;
}

static void test_config(void **state)
{
    struct model_config m = {
        .config = parse(
            "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"hidden_size\":384}"),
        .tokenizer = parse("{\"mask_token\":{\"content\":\"[MASK]\"},\"model_max_length\":512,"
                           "\"chat_template\":\"{{ a }}\"}"),
        .special = parse("{\"unk_token\":\"[UNK]\"}"),
    };
    struct json_out *j = json_out_new(a);

    (void)state;
    assert_true(config_write(a, j, &m));
    check_str(json_out_str(j),
              "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"tokenizer_config\":{"
              "\"unk_token\":\"[UNK]\",\"mask_token\":\"[MASK]\",\"chat_template\":\"{{ a }}\"}}");
    check_str(config_mask_token(&m), "[MASK]");
    assert_false(config_write(a, j, &(struct model_config){0}));
    assert_false(config_write(a, j, &(struct model_config){.config = parse("[1]")}));
}

static const struct {
    const char *config, *auto_model, *pipeline_tag;
} autos[] = {
    {"{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"]}", "AutoModel",
     "feature-extraction"},
    {"{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"]}", "AutoModelForCausalLM",
     "text-generation"},
    {"{\"model_type\":\"gpt2\",\"architectures\":[\"GPT2LMHeadModel\"]}", "AutoModelForCausalLM",
     "text-generation"},
    {"{\"model_type\":\"whisper\",\"architectures\":[\"WhisperForConditionalGeneration\"]}",
     "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition"},
    {"{\"model_type\":\"t5\",\"architectures\":[\"T5ForConditionalGeneration\"]}",
     "AutoModelForSeq2SeqLM", "text2text-generation"},
    {"{\"model_type\":\"x\",\"vision_config\":{},\"architectures\":[\"XForConditionalGeneration\"]"
     "}",
     "AutoModelForImageTextToText", "image-text-to-text"},
    {"{\"model_type\":\"x\",\"auto_map\":{\"AutoConfig\":\"c.C\",\"AutoModelForCausalLM\":\"m.M\"}"
     "}",
     "AutoModelForCausalLM", NULL},
    {"{\"model_type\":\"x\",\"architectures\":[\"Unheard\"]}", NULL, NULL},
    {"{\"architectures\":[\"BertModel\"]}", NULL, NULL},
    {"{\"model_type\":7,\"architectures\":{}}", NULL, NULL},
};

static void test_auto_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof autos / sizeof *autos; i++) {
        struct auto_model m;
        bool found = config_auto_model(parse(autos[i].config), &m);

        if (found != (autos[i].auto_model != NULL) ||
            !str_eq(m.auto_model, str_c(autos[i].auto_model)) ||
            !str_eq(m.pipeline_tag, str_c(autos[i].pipeline_tag)))
            fail_msg("%s: %.*s %.*s", autos[i].config, STR_FMT(m.auto_model),
                     STR_FMT(m.pipeline_tag));
    }
}

static void test_raw(void **state)
{
    str object =
        STR("{\"a\":1,\"b\":{\"x\":[\"}\",\"\\\"\",{}]},\"c\":\"d,e\",\"f\":[],\"g\":null}");
    str key, value;
    size_t count = 0;

    (void)state;
    check_str(raw_get(object, STR("a")), "1");
    check_str(raw_get(object, STR("b")), "{\"x\":[\"}\",\"\\\"\",{}]}");
    check_str(raw_get(object, STR("c")), "\"d,e\"");
    check_str(raw_get(object, STR("f")), "[]");
    check_str(raw_get(object, STR("g")), "null");
    assert_null(raw_get(object, STR("x")).ptr);
    assert_null(raw_get(STR("{}"), STR("x")).ptr);
    assert_null(raw_get(STR_NONE, STR("x")).ptr);
    for (struct raw_iter it = raw_iter(object); raw_next(&it, &key, &value);)
        count++;
    assert_int_equal(count, 5);
}

static int setup(void **state)
{
    (void)state;
    a = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors_size), cmocka_unit_test(test_safetensors_sum),
        cmocka_unit_test(test_safetensors_bad),  cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_gguf_bad),         cmocka_unit_test(test_config),
        cmocka_unit_test(test_auto_model),       cmocka_unit_test(test_raw),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
