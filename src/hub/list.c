/* list.c — GET /api/models, /api/datasets, /api/spaces: which repositories there are.
 *
 * The query string becomes a repo_query; everything that is a tag in disguise (pipeline_tag,
 * language, apps, the models of a Space …) goes through the tag index.
 */
#include "hub/hub.h"
#include "hub/repo_info.h"

#define LIST_MAX 1000          /* items of one page, and the default */
#define LIST_MAX_LONG 100      /* when items carry cards, configurations or file lists */
#define LIST_BYTES (32u << 20) /* a longer page is tried again with half as many items */

static const struct {
    const char *name;
    enum repo_sort sort;
} sorts[] = {
    {"trendingScore", SORT_TRENDING},
    {"trending", SORT_TRENDING},
    {"trending_score", SORT_TRENDING},
    {"lastModified", SORT_UPDATED},
    {"last_modified", SORT_UPDATED},
    {"modified", SORT_UPDATED},
    {"updatedAt", SORT_UPDATED},
    {"createdAt", SORT_CREATED},
    {"created_at", SORT_CREATED},
    {"created", SORT_CREATED},
    {"downloads", SORT_DOWNLOADS},
    {"downloadsAllTime", SORT_DOWNLOADS},
    {"likes", SORT_LIKES},
    {"likes30d", SORT_LIKES},
    {"num_parameters", SORT_PARAMETERS},
    {"mainSize", SORT_PARAMETERS},
    {"id", SORT_ID},
};

/* Parameters that are tags: the tag is `prefix` and the value in lower case. */
#define M (1u << REPO_MODEL)
#define D (1u << REPO_DATASET)
#define S (1u << REPO_SPACE)
static const struct {
    const char *param, *prefix;
    unsigned kinds;
} tag_params[] = {
    {"filter", "", M | D | S},
    {"tags", "", M | D | S},
    {"other", "", M | D | S},
    {"pipeline_tag", "", M},
    {"task", "", M},
    {"library", "", M},
    {"language", "language:", M | D},
    {"license", "license:", M | D | S},
    {"trained_dataset", "dataset:", M},
    {"sdk", "", S},
    {"models", "models:", S},
    {"datasets", "datasets:", S},
    {"benchmark", "benchmark:", D},
    {"language_creators", "language_creators:", D},
    {"multilinguality", "multilinguality:", D},
    {"size_categories", "size_categories:", D},
    {"task_categories", "task_categories:", D},
    {"task_ids", "task_ids:", D},
};
#undef M
#undef D
#undef S

/* What a local application can load. */
static const struct {
    const char *app, *tag;
} apps[] = {
    {"llama.cpp", "gguf"},
    {"lmstudio", "gguf"},
    {"ollama", "gguf"},
    {"jan", "gguf"},
    {"msty", "gguf"},
    {"backyard", "gguf"},
    {"sanctum", "gguf"},
    {"jellybox", "gguf"},
    {"recursechat", "gguf"},
    {"koboldcpp", "gguf"},
    {"node-llama-cpp", "gguf"},
    {"llamafile", "gguf"},
    {"lemonade", "gguf"},
    {"unsloth", "transformers"},
    {"vllm", "transformers"},
    {"sglang", "transformers"},
    {"tgi", "transformers"},
    {"docker-model-runner", "gguf"},
    {"mlx-lm", "mlx"},
    {"draw-things", "diffusers"},
    {"diffusionbee", "diffusers"},
    {"invoke", "diffusers"},
    {"joyfusion", "diffusers"},
};

struct listing {
    struct req *r;
    struct repo_query q;
    struct info_want want;
    bool nothing; /* a condition that no repository meets */
};

/* --- conditions --- */

static err add_tag(struct listing *l, str prefix, str value)
{
    value = str_trim(value);
    if (value.len == 0)
        return OK;
    if (l->q.filter_count == REPO_FILTERS_MAX)
        return err_new(l->r->a, 400, NULL, "At most %d filters can be combined.", REPO_FILTERS_MAX);
    l->q.filter[l->q.filter_count++] = text_lower(l->r->a, arena_cat(l->r->a, prefix, value));
    return OK;
}

/* "a,b": every part. */
static err add_tags(struct listing *l, const char *prefix, str values)
{
    while (values.ptr)
        TRY(add_tag(l, str_c(prefix), str_cut(&values, ',')));
    return OK;
}

static err add_app(struct listing *l, str app)
{
    for (size_t i = 0; i < sizeof apps / sizeof *apps; i++)
        if (str_ieq(app, str_c(apps[i].app)))
            return add_tag(l, STR(""), str_c(apps[i].tag));
    l->nothing = true;
    return OK;
}

static err add_apps(struct listing *l, str list)
{
    while (list.ptr) {
        str app = str_trim(str_cut(&list, ','));

        if (app.len)
            TRY(add_app(l, app));
    }
    return OK;
}

/* "6B", "1.5b", "400M", "7000000000". */
static bool read_count(str s, int64_t *ret)
{
    static const struct {
        char letter;
        int64_t unit;
    } units[] = {{'k', 1000}, {'m', 1000000}, {'b', 1000000000}, {'t', 1000000000000}};
    int64_t unit = 1;
    uint64_t whole, part = 0, tens = 1;
    str digits;

    for (size_t i = 0; s.len && i < sizeof units / sizeof *units; i++)
        if ((s.ptr[s.len - 1] | 32) == units[i].letter) {
            unit = units[i].unit;
            s.len--;
            break;
        }
    digits = str_cut(&s, '.');
    if (digits.len > 9 + 4 || !str_u64(digits, &whole))
        return false;
    if (s.ptr && (s.len > 6 || !str_u64(s, &part)))
        return false;
    for (size_t i = 0; s.ptr && i < s.len; i++)
        tens *= 10;
    if (whole > INT64_MAX / 2 / (uint64_t)unit)
        return false;
    *ret = (int64_t)(whole * (uint64_t)unit + part * (uint64_t)unit / tens);
    return true;
}

static err add_parameters(struct listing *l, str value)
{
    while (value.ptr) {
        str part = str_trim(str_cut(&value, ',')), whole = part;
        bool good;

        if (str_skip(&part, STR("min:")))
            good = read_count(part, &l->q.parameters_min);
        else if (str_skip(&part, STR("max:")))
            good = read_count(part, &l->q.parameters_max);
        else
            good = part.len == 0;
        if (!good)
            return err_new(l->r->a, 400, NULL,
                           "num_parameters is written min:6B,max:128B; \"%.*s\" is neither.",
                           STR_FMT(str_first(whole, 60)));
    }
    return OK;
}

static err add_search(struct listing *l, str text)
{
    if (text.len == 0)
        return OK;
    if (l->q.search_count == sizeof l->q.search / sizeof *l->q.search)
        return err_new(l->r->a, 400, NULL, "At most %zu searches can be combined.",
                       l->q.search_count);
    l->q.search[l->q.search_count++] = str_first(text, 200);
    return OK;
}

static bool is_true(str s)
{
    return str_ieq(s, STR("true")) || str_eq(s, STR("1")) || str_ieq(s, STR("yes")) ||
           str_ieq(s, STR("on"));
}

/* One pair of the query string. */
static err add_condition(struct listing *l, str name, str value)
{
    for (size_t i = 0; i < sizeof tag_params / sizeof *tag_params; i++)
        if (str_eq(name, str_c(tag_params[i].param)) && (tag_params[i].kinds & (1u << l->q.kind)))
            return add_tags(l, tag_params[i].prefix, value);
    if (str_eq(name, STR("search")))
        return add_search(l, value);
    if (str_eq(name, STR("author")) && value.len)
        l->q.author = value;
    if (str_eq(name, STR("linked")) && l->q.kind == REPO_SPACE && is_true(value))
        return add_tag(l, STR(""), STR("linked:true"));
    if (str_eq(name, STR("gated")) && is_true(value)) /* none is */
        l->nothing = true;
    if (l->q.kind != REPO_MODEL)
        return OK;
    if (str_eq(name, STR("apps")))
        return add_apps(l, value);
    if (str_eq(name, STR("num_parameters")))
        return add_parameters(l, value);
    if ((str_eq(name, STR("inference")) || str_eq(name, STR("inference_provider"))) && value.len)
        l->nothing = true; /* no provider runs models of this hub */
    return OK;
}

static err add_conditions(struct listing *l)
{
    const struct url_query *q = &l->r->query;

    for (size_t i = 0; i < q->count; i++)
        TRY(add_condition(l, q->pairs[i].name, q->pairs[i].value));
    return OK;
}

/* --- order and page --- */

static err read_order(struct listing *l)
{
    str sort = req_query(l->r, "sort"), direction = req_query(l->r, "direction");
    size_t i = 0;

    l->q.ascending = str_eq(direction, STR("1")) || str_ieq(direction, STR("asc"));
    if (!sort.len)
        return OK; /* SORT_TRENDING */
    while (i < sizeof sorts / sizeof *sorts && !str_eq(sort, str_c(sorts[i].name)))
        i++;
    if (i == sizeof sorts / sizeof *sorts)
        return err_new(
            l->r->a, 400, NULL,
            "\"sort\" must be one of [trendingScore, lastModified, createdAt, downloads, "
            "likes, num_parameters, id]");
    l->q.sort = sorts[i].sort;
    return OK;
}

static err read_page(struct listing *l)
{
    str limit = req_query(l->r, "limit");
    uint64_t wanted = LIST_MAX;
    uint64_t heavy = INFO_BIT(CARD) | INFO_BIT(CONFIG) | INFO_BIT(SIBLINGS) | INFO_BIT(WIDGET) |
                     INFO_BIT(MODEL_INDEX) | INFO_BIT(GGUF) | INFO_BIT(SPACES) |
                     INFO_BIT(BASE_MODELS);
    uint64_t max = l->want.fields & heavy ? LIST_MAX_LONG : LIST_MAX;

    if (limit.len && !str_u64(limit, &wanted))
        return err_new(l->r->a, 400, NULL, "\"limit\" must be a number from 1 to %d", LIST_MAX);
    l->q.limit = (int64_t)(wanted < 1 ? 1 : wanted > max ? max : wanted);
    l->q.cursor = req_query(l->r, "cursor");
    return OK;
}

static err read_want(struct listing *l)
{
    uint64_t from_meta = INFO_BIT(PAPERS_ID) | INFO_BIT(MASK_TOKEN) | INFO_BIT(WIDGET) |
                         INFO_BIT(MODEL_INDEX) | INFO_BIT(CONFIG) | INFO_BIT(TRANSFORMERS) |
                         INFO_BIT(SAFETENSORS) | INFO_BIT(GGUF) | INFO_BIT(BASE_MODELS) |
                         INFO_BIT(SDK) | INFO_BIT(MODELS) | INFO_BIT(DATASETS);
    bool full = req_query_bool(l->r, "full");

    TRY(info_expand(l->r, l->q.kind, &l->want.fields, &l->want.is_expanded));
    if (!l->want.is_expanded) {
        l->want.fields = info_defaults(l->q.kind, true, full);
        if (req_query_bool(l->r, "cardData"))
            l->want.fields |= INFO_BIT(CARD);
        if (l->q.kind == REPO_MODEL && req_query_bool(l->r, "config"))
            l->want.fields |= INFO_BIT(CONFIG);
        if (req_query_bool(l->r, "securityStatus"))
            l->want.fields |= INFO_BIT(SECURITY);
    }
    l->q.without_card = !(l->want.fields & INFO_BIT(CARD));
    l->q.without_meta = !(l->want.fields & from_meta);
    return OK;
}

/* --- the answer --- */

static err write_page(struct listing *l, struct json_out *j, str *ret_cursor)
{
    struct repo_list list = {0};

    if (!l->nothing)
        TRY(repo_list(l->r->store, l->r->a, &l->q, &list));
    json_arr(j);
    for (size_t i = 0; i < list.count && j->buf.len <= LIST_BYTES; i++)
        TRY(hub_info_json(l->r, j, &list.items[i], &l->want, NULL));
    json_arr_end(j);
    *ret_cursor = list.cursor;
    return OK;
}

err hub_list_query(struct req *r, struct repo_query *q, bool *ret_nothing)
{
    struct listing l = {.r = r, .q = {.kind = q->kind}};

    l.q.viewer = hub_viewer(r, &l.q.sees_all);
    TRY(add_conditions(&l));
    TRY(read_order(&l));
    l.q.cursor = req_query(r, "cursor");
    *q = l.q;
    *ret_nothing = l.nothing;
    return OK;
}

err hub_repo_list(struct req *r)
{
    struct listing *l = arena_one(r->a, struct listing);
    struct json_out *j;
    str cursor;

    l->r = r;
    if (!repo_kind_parse(req_param(r, "kind"), &l->q.kind))
        return err_new(r->a, 404, NULL, "There is no such list.");
    if (settings.require_login && !r->user)
        return auth_needed(r, false);
    l->q.viewer = hub_viewer(r, &l->q.sees_all);
    TRY(add_conditions(l));
    TRY(read_order(l));
    TRY(read_want(l));
    TRY(read_page(l));
    for (;;) {
        struct arena_mark m = arena_mark(r->a);

        j = json_out_new(r->a);
        TRY(write_page(l, j, &cursor));
        if (j->buf.len <= LIST_BYTES || l->q.limit == 1)
            break;
        l->q.limit /= 2;
        arena_rewind(r->a, m);
    }
    if (cursor.ptr)
        reply_next_link(r, cursor);
    return reply_json(r, 200, j);
}
