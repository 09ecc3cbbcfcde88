/* hub_expand_test.c — the members of an answer: those that clients may ask for are exactly these.
 */
#include "check.h"
#include "hub/repo_info.h"

#include <stdlib.h>

static struct arena *a;

static const struct {
    enum repo_kind kind;
    const char *names;
} lists[] = {
    {REPO_MODEL, "author baseModels cardData childrenModelCount config createdAt disabled "
                 "downloads downloadsAllTime evalResults "
                 "gated gguf inference inferenceProviderMapping lastModified library_name likes "
                 "mask_token model-index "
                 "pipeline_tag private resourceGroup safetensors sha siblings spaces tags "
                 "transformersInfo trendingScore "
                 "usedStorage widgetData gitalyUid xetEnabled"},
    {REPO_DATASET, "author cardData citation createdAt description disabled downloads "
                   "downloadsAllTime gated lastModified likes "
                   "mainSize paperswithcode_id private resourceGroup sha siblings tags "
                   "trendingScore usedStorage gitalyUid "
                   "xetEnabled"},
    {REPO_SPACE, "author cardData createdAt datasets disabled lastModified likes models private "
                 "region resourceGroup runtime sdk "
                 "sha siblings subdomain tags trendingScore usedStorage gitalyUid xetEnabled"},
};

static err ask(enum repo_kind kind, str value, uint64_t *ret, bool *ret_any)
{
    struct url_pair pair = {STR("expand"), value};
    struct req *r = arena_one(a, struct req);

    r->a = a;
    r->query = (struct url_query){&pair, 1};
    return info_expand(r, kind, ret, ret_any);
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static str sorted(str list, char sep)
{
    str parts[64], all = STR("");
    size_t count = 0;

    while (list.ptr && count < 64)
        parts[count++] = str_trim(str_cut(&list, sep));
    qsort(parts, count, sizeof *parts, by_text);
    for (size_t i = 0; i < count; i++)
        all = arena_cat(a, all, parts[i], STR(" "));
    return all;
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        str names = str_c(lists[i].names), text;
        uint64_t set;
        bool any;
        err e;

        while (names.ptr)
            check_ok(ask(lists[i].kind, str_cut(&names, ' '), &set, &any));
        e = ask(lists[i].kind, STR("nonsense"), &set, &any);
        check_fails(e, 400);
        text = e->text;
        assert_true(str_skip(&text, STR("\"expand\" must be one of [")) &&
                    str_drop(&text, STR("]")));
        check_str(sorted(text, ','), sorted(str_c(lists[i].names), ' ').ptr);
    }
}

static void test_none_and_several(void **state)
{
    struct url_pair pairs[] = {
        {STR("expand"), STR("likes")}, {STR("limit"), STR("3")}, {STR("expand"), STR("sha")}};
    struct req r = {.a = a, .query = {pairs, 3}};
    uint64_t set = 0;
    bool any = true;

    (void)state;
    check_ok(info_expand(&r, REPO_MODEL, &set, &any));
    assert_true(any && set == (INFO_BIT(LIKES) | INFO_BIT(SHA)));
    r.query.count = 0;
    check_ok(info_expand(&r, REPO_MODEL, &set, &any));
    assert_true(!any && set == 0);
    check_fails(ask(REPO_DATASET, STR("safetensors"), &set, &any), 400);
    check_fails(ask(REPO_MODEL, STR("modelId"), &set, &any), 400);
    check_fails(ask(REPO_MODEL, STR(""), &set, &any), 400);
}

static void test_defaults(void **state)
{
    uint64_t info = info_defaults(REPO_MODEL, false, false),
             item = info_defaults(REPO_MODEL, true, false);
    uint64_t full = info_defaults(REPO_MODEL, true, true),
             space = info_defaults(REPO_SPACE, true, false);

    (void)state;
    assert_true(info & INFO_BIT(SIBLINGS) && info & INFO_BIT(SHA) && info & INFO_BIT(MODEL_ID) &&
                info & INFO_BIT(SPACES) && info & INFO_BIT(SAFETENSORS));
    assert_false(info & (INFO_BIT(TRENDING) | INFO_BIT(DOWNLOADS_ALL) | INFO_BIT(BASE_MODELS)));
    assert_true(item == (INFO_BIT(MODEL_ID) | INFO_BIT(LIKES) | INFO_BIT(TRENDING) |
                         INFO_BIT(PRIVATE) | INFO_BIT(DOWNLOADS) | INFO_BIT(TAGS) |
                         INFO_BIT(PIPELINE_TAG) | INFO_BIT(LIBRARY_NAME) | INFO_BIT(CREATED_AT)));
    assert_true(full == (item | INFO_BIT(AUTHOR) | INFO_BIT(SHA) | INFO_BIT(LAST_MODIFIED) |
                         INFO_BIT(GATED) | INFO_BIT(DISABLED) | INFO_BIT(SIBLINGS)));
    assert_true(space & INFO_BIT(SDK));
    assert_false(space & INFO_BIT(DOWNLOADS));
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
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_none_and_several),
        cmocka_unit_test(test_defaults),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
