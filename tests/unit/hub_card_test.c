/* hub_card_test.c — checking a card, and the facts of a repository from files in memory. */
#include "check.h"
#include "hub/card.h"

#include "git/object.h"
#include "git/odb_mem.h"
#include "git/tree_edit.h"
#include "hub/hub.h"

static struct arena *a;

/* --- checking --- */

static const struct {
    const char *name, *readme, *error, *warning;
} checks[] = {
    {"fine", "---\nlicense: mit\n---\n", NULL, NULL},
    {"no front matter", "# Hi\n", NULL, "empty or missing yaml metadata in repo card"},
    {"an empty one", "---\n---\n", NULL, "empty or missing yaml metadata in repo card"},
    {"empty text", "", NULL, "empty or missing yaml metadata in repo card"},
    {"an unknown license", "---\nlicense: no-such-license\n---\n", "\"license\" must be one of [",
     NULL},
    {"a license that is no word", "---\nlicense: 3\n---\n", "\"license\" must be one of [", NULL},
    {"two licenses", "---\nlicense: [mit, apache-2.0]\n---\n", NULL, NULL},
    {"two licenses, one unknown", "---\nlicense: [mit, x]\n---\n", "\"license\" must be one of [",
     NULL},
    {"model-index is no list", "---\nmodel-index: hello\n---\n", "\"model-index\" must be an array",
     NULL},
    {"model-index is a list", "---\nmodel-index:\n- name: x\n  results: []\n---\n", NULL, NULL},
    {"broken YAML", "---\na: b: c\n---\n", "line 2, column 5", NULL},
    {"a list", "---\n- a\n---\n", "between two lines of dashes", NULL},
};

static void test_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct card_findings f;

        card_check(a, str_c(checks[i].readme), false, &f);
        if (f.error_count != (checks[i].error != NULL) ||
            f.warning_count != (checks[i].warning != NULL))
            fail_msg("%s: %zu errors, %zu warnings", checks[i].name, f.error_count,
                     f.warning_count);
        if (f.error_count && !str_has(f.errors[0], str_c(checks[i].error)))
            fail_msg("%s: %.*s", checks[i].name, STR_FMT(f.errors[0]));
        if (f.warning_count && !str_has(f.warnings[0], str_c(checks[i].warning)))
            fail_msg("%s: %.*s", checks[i].name, STR_FMT(f.warnings[0]));
    }
}

static void test_license_text(void **state)
{
    struct card_findings f;

    (void)state;
    card_check(a, STR("---\nlicense: x\n---\n"), false, &f);
    assert_true(str_starts(f.errors[0], STR("\"license\" must be one of [apache-2.0, mit, ")));
}

static void test_arxiv(void **state)
{
    str ids[CARD_ARXIV_MAX];
    size_t n = card_arxiv(STR("see https://arxiv.org/abs/1810.04805v2, arXiv:2301.12345 and "
                              "[x](https://huggingface.co/papers/1810.04805) arxiv.org/pdf/99 "
                              "arxiv:12345.6789"),
                          ids);

    (void)state;
    assert_int_equal(n, 2);
    check_str(ids[0], "1810.04805");
    check_str(ids[1], "2301.12345");
}

static void test_excerpt(void **state)
{
    (void)state;
    check_str(
        card_excerpt(a,
                     STR("# Title\n\nSome **bold** [link](http://x) text.\n![pic](y.png)\n"
                         "<div align=\"center\">Inside</div>\n\n```sh\nrm -rf\n```\n> quote\n"),
                     400),
        "Title Some bold link text. Inside quote");
    check_str(card_excerpt(a, STR("one two three four five six"), 20), "one two three\xe2\x80\xa6");
    check_str(card_excerpt(a, STR(""), 20), "");
}

/* --- facts --- */

struct given {
    const char *path;
    str content;
};
#define FILE_OF(path, text)                                                                        \
    {                                                                                              \
        path, STR_INIT(text)                                                                       \
    }

static struct repo_facts facts_of(enum repo_kind kind, const struct given *files, size_t count)
{
    struct odb_mem *m = odb_mem_new(NULL);
    struct odb *o = odb_mem_odb(m);
    struct repo repo = {.id = 1, .kind = kind};
    struct tree_edit *edits = arena_many(a, struct tree_edit, count);
    struct commit_obj c = {.message = STR("x")};
    struct repo_facts f;
    oid head;

    for (size_t i = 0; i < count; i++) {
        edits[i] = (struct tree_edit){.path = str_c(files[i].path), .mode = MODE_FILE};
        check_ok(odb_write(o, a, OBJ_BLOB, files[i].content, &edits[i].id));
    }
    check_ok(tree_edit_apply(o, a, OID_ZERO, edits, count, &c.tree));
    c.author = c.committer = (struct signature){STR("x"), STR("x@x"), 1, 0};
    check_ok(odb_write(o, a, OBJ_COMMIT, commit_format(a, &c), &head));
    check_ok(hub_facts(NULL, a, &repo, o, head, &f));
    odb_mem_free(m);
    return f;
}

static bool indexed(const struct repo_facts *f, const char *tag)
{
    for (size_t i = 0; i < f->tag_count; i++)
        if (str_eq(f->tag_list[i], str_c(tag)))
            return true;
    return false;
}

static void test_model(void **state)
{
    static const struct given files[] = {
        FILE_OF(
            "README.md",
            "---\nlicense: apache-2.0\nlanguage: en\ntags:\n- Tiny\n- transformers\ndatasets:\n- "
            "squad\nbase_model: x/Y\nmodel-index: []\n---\n# "
            "Hi\nhttps://arxiv.org/abs/1810.04805\n"),
        FILE_OF("config.json", "{\"model_type\":\"bert\",\"architectures\":[\"BertForMaskedLM\"]}"),
        FILE_OF("onnx/model.onnx", "x"),
        FILE_OF("model.safetensors",
                "\x2f\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data\":[0]}}   "),
        FILE_OF("tokenizer_config.json", "{\"mask_token\":\"[MASK]\"}"),
    };
    struct repo_facts f = facts_of(REPO_MODEL, files, 5);

    (void)state;
    check_str(
        f.card,
        "{\"license\":\"apache-2.0\",\"language\":\"en\",\"tags\":[\"Tiny\",\"transformers\"],"
        "\"datasets\":[\"squad\"],\"base_model\":\"x/Y\"}");
    check_str(
        f.tags,
        "[\"transformers\",\"onnx\",\"safetensors\",\"bert\",\"fill-mask\",\"Tiny\",\"en\","
        "\"dataset:squad\",\"arxiv:1810.04805\",\"base_model:x/Y\",\"base_model:finetune:x/Y\","
        "\"license:apache-2.0\",\"region:us\"]");
    check_str(f.pipeline_tag, "fill-mask");
    check_str(f.library_name, "transformers");
    assert_null(f.description.ptr);
    assert_int_equal(f.num_parameters, 6);
    check_str(
        f.meta,
        "{\"config\":{\"architectures\":[\"BertForMaskedLM\"],\"model_type\":\"bert\","
        "\"tokenizer_config\":{\"mask_token\":\"[MASK]\"}},\"transformersInfo\":{\"auto_model\":"
        "\"AutoModelForMaskedLM\",\"pipeline_tag\":\"fill-mask\",\"processor\":\"AutoTokenizer\"},"
        "\"safetensors\":{\"parameters\":{\"F32\":6},\"total\":6},\"model-index\":[],"
        "\"mask_token\":\"[MASK]\",\"baseModels\":{\"relation\":\"finetune\",\"models\":[{\"id\":"
        "\"x/Y\"}]}}");
    assert_true(indexed(&f, "en") && indexed(&f, "language:en") && indexed(&f, "tiny") &&
                indexed(&f, "base_model:x/y") && indexed(&f, "license:apache-2.0"));
    assert_false(indexed(&f, "Tiny"));
}

static void test_dataset(void **state)
{
    static const struct given files[] = {
        FILE_OF("README.md",
                "---\nlanguage:\n- de\ntask_categories:\n- question-answering\nsize_categories: "
                "10K<n<100K\nlicense: cc0-1.0\n---\n# Data\n\nSome *facts*.\n"),
        FILE_OF("data/train.parquet", "x"),
        FILE_OF("dataset_infos.json", "{}"),
    };
    struct repo_facts f = facts_of(REPO_DATASET, files, 3);

    (void)state;
    check_str(f.tags, "[\"task_categories:question-answering\",\"language:de\",\"license:cc0-1.0\","
                      "\"size_categories:10K<n<100K\",\"format:parquet\",\"region:us\"]");
    check_str(f.description, "Data Some facts.");
    check_str(f.meta, "{}");
    assert_true(indexed(&f, "de") && indexed(&f, "size_categories:10k<n<100k"));
}

static void test_space(void **state)
{
    static const struct given files[] = {
        FILE_OF("README.md", "---\nsdk: gradio\nsdk_version: 4.44.0\nmodels:\n- X/y\n---\n"),
    };
    struct repo_facts f = facts_of(REPO_SPACE, files, 1);

    (void)state;
    check_str(f.tags, "[\"gradio\",\"region:us\"]");
    check_str(
        f.meta,
        "{\"sdk\":\"gradio\",\"sdkVersion\":\"4.44.0\",\"models\":[\"X/y\"],\"datasets\":[]}");
    assert_true(indexed(&f, "models:x/y") && indexed(&f, "linked:true"));
}

/* Files of users that make no sense leave their part out, and fail nothing. */
static void test_nonsense(void **state)
{
    static const struct given files[] = {
        FILE_OF("README.md", "---\na: b: c\n---\n"),
        FILE_OF("config.json", "{{{{"),
        FILE_OF("tokenizer_config.json", "[[[]]]"),
        FILE_OF("adapter_config.json", "\xff\xfe"),
        FILE_OF("model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff"),
        FILE_OF("x.gguf", "GGUF"),
        FILE_OF("y.gguf",
                "version https://git-lfs.github.com/spec/v1\noid sha256:"
                "a3bbce7ee1df7233d85b5f4d60faa3755f93f537804f8b540c72b0739239ddf8\nsize 1000\n"),
    };
    struct repo_facts f = facts_of(REPO_MODEL, files, 7);

    (void)state;
    assert_null(f.card.ptr);
    check_str(f.tags, "[\"safetensors\",\"gguf\",\"region:us\"]");
    check_str(f.meta, "{}");
    assert_int_equal(f.num_parameters, 0);
}

static void test_shards(void **state)
{
    static const struct given files[] = {
        FILE_OF("model.safetensors.index.json",
                "{\"metadata\":{\"total_parameters\":99},\"weight_map\":{\"a\":\"m-1.safetensors\","
                "\"b\":\"m-2.safetensors\","
                "\"c\":\"m-1.safetensors\"}}"),
        FILE_OF("m-1.safetensors", "\x22\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[5]}} "),
        FILE_OF("m-2.safetensors", "\x22\0\0\0\0\0\0\0{\"b\":{\"dtype\":\"F16\",\"shape\":[7]}} "),
        FILE_OF("config.json", "{\"model_type\":\"bert\",\"torch_dtype\":\"bfloat16\"}"),
    };
    struct repo_facts f = facts_of(REPO_MODEL, files, 3);

    (void)state;
    assert_int_equal(f.num_parameters, 12);
    check_str(f.meta, "{\"safetensors\":{\"parameters\":{\"F32\":5,\"F16\":7},\"total\":12}}");
    f = facts_of(REPO_MODEL, files, 2); /* one has not arrived yet, and no dtype is known */
    assert_int_equal(f.num_parameters, 0);
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
        cmocka_unit_test(test_check),  cmocka_unit_test(test_license_text),
        cmocka_unit_test(test_arxiv),  cmocka_unit_test(test_excerpt),
        cmocka_unit_test(test_model),  cmocka_unit_test(test_dataset),
        cmocka_unit_test(test_space),  cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_shards),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
