/* facts.c — hub_facts(): what a repository's files at one commit say about it; see facts.h. */
#include "hub/facts.h"
#include "git/lfs_pointer.h"
#include "git/object.h"
#include "hub/hub.h"

#define EXCERPT_BYTES 400
#define WIDGET_MAX (64u << 10)

/* --- files --- */

const struct tree_entry *facts_root_file(const struct facts *f, str name)
{
    for (size_t i = 0; i < f->root_count; i++)
        if (str_eq(f->root[i].name, name) && (f->root[i].mode & 0170000) == 0100000)
            return &f->root[i];
    return NULL;
}

bool facts_open(struct facts *f, const struct tree_entry *e, struct content_view *ret)
{
    struct content_view v = {.id = e->id};
    struct lfs_pointer p;
    enum obj_type type;
    bool found = false;
    str text;

    if (odb_header(f->odb, f->scratch, e->id, &type, &v.size, &found) || !found || type != OBJ_BLOB)
        return false;
    *ret = v;
    if (v.size > LFS_POINTER_MAX)
        return true;
    if (odb_read(f->odb, f->scratch, e->id, OBJ_BLOB, &text))
        return false;
    if (!lfs_pointer_parse(text, &p))
        return true;
    ret->is_large = true;
    ret->size = p.size;
    return f->s && !repo_file_find(f->s->hub, f->repo->id, p.oid, &ret->content, &found) && found &&
           ret->content.size == p.size;
}

bool facts_read(struct facts *f, const struct content_view *v, uint64_t first, size_t count,
                str *ret)
{
    str whole;

    if (first > v->size)
        return false;
    if (v->is_large)
        return !content_read(f->s, f->scratch, &v->content, first, count, ret);
    if (odb_read(f->odb, f->scratch, v->id, OBJ_BLOB, &whole))
        return false;
    *ret = str_first(str_from(whole, (size_t)first), count);
    return true;
}

/* The whole of a small file of the root; ptr NULL when there is none. */
static str root_text(struct facts *f, str name, size_t max)
{
    const struct tree_entry *e = facts_root_file(f, name);
    struct content_view v;
    str text;

    if (!e || !facts_open(f, e, &v) || v.size > max || !facts_read(f, &v, 0, max, &text))
        return STR_NONE;
    return text.ptr ? text : STR("");
}

static const struct json *root_json(struct facts *f, str name)
{
    str text = root_text(f, name, FACTS_TEXT_MAX);
    const struct json *j;

    return text.len && !json_parse(f->scratch, text, &j) ? j : NULL;
}

static void scan(struct facts *f, str prefix, oid tree, unsigned depth)
{
    struct arena_mark m = arena_mark(f->scratch);
    struct tree_entry *entries;
    size_t count;

    if (depth > TREE_MAX_DEPTH || f->trees++ >= FACTS_TREES_MAX ||
        tree_entries(f->odb, f->scratch, tree, &entries, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct tree_entry *e = &entries[i];
        str path = arena_cat(f->scratch, prefix, e->name);

        if (mode_is_dir(e->mode)) {
            scan(f, arena_cat(f->scratch, path, STR("/")), e->id, depth + 1);
        } else if (mode_is_blob(e->mode)) {
            facts_note_file(f, path, e->name);
            if (str_ends(path, STR(".gguf")) && f->gguf_count < FACTS_GGUF_MAX)
                f->gguf[f->gguf_count++] = (struct found_file){arena_str(f->a, path), *e};
        }
    }
    arena_rewind(f->scratch, m);
}

static err open_root(struct facts *f, oid head)
{
    struct commit_obj c;

    TRY(commit_read(f->odb, f->scratch, head, &c));
    scan(f, STR(""), c.tree, 0);
    return tree_entries(f->odb, f->scratch, c.tree, &f->root, &f->root_count);
}

/* --- what they say --- */

static void read_config(struct facts *f)
{
    f->config = (struct model_config){
        .config = root_json(f, STR("config.json")),
        .tokenizer = root_json(f, STR("tokenizer_config.json")),
        .special = root_json(f, STR("special_tokens_map.json")),
        .adapter = root_json(f, STR("adapter_config.json")),
        .model_index = root_json(f, STR("model_index.json")),
        .chat_template = root_text(f, STR("chat_template.jinja"), GGUF_TEXT_MAX),
    };
    f->has_auto_model = config_auto_model(f->config.config, &f->auto_model);
}

/* A short string of the card; ptr NULL when it is none. */
static str front_word(const struct facts *f, const char *key)
{
    str s = str_trim(json_get_str(f->front, key));

    return s.len && s.len <= FACTS_TAG_BYTES ? s : STR_NONE;
}

static str guess_library(const struct facts *f)
{
    if (json_type(f->config.adapter) == JSON_OBJ)
        return STR("peft");
    if (facts_root_file(f, STR("config_sentence_transformers.json")) ||
        facts_root_file(f, STR("modules.json")))
        return STR("sentence-transformers");
    if (json_get(f->config.model_index, "_class_name"))
        return STR("diffusers");
    if (json_get_str(f->config.config, "model_type").ptr)
        return STR("transformers");
    if (facts_root_file(f, STR("open_clip_config.json")))
        return STR("open_clip");
    return STR_NONE;
}

static str guess_pipeline(const struct facts *f)
{
    if (str_eq(f->library, STR("sentence-transformers")))
        return STR("sentence-similarity");
    if (str_eq(f->library, STR("diffusers")))
        return STR("text-to-image");
    return f->has_auto_model ? f->auto_model.pipeline_tag : STR_NONE;
}

static void name_library(struct facts *f)
{
    f->library = front_word(f, "library_name");
    if (!f->library.ptr)
        f->library = guess_library(f);
    f->pipeline_tag = front_word(f, "pipeline_tag");
    if (!f->pipeline_tag.ptr)
        f->pipeline_tag = guess_pipeline(f);
}

/* {"relation":"finetune","models":[{"id":"x/y"}]} */
static void write_base_models(const struct facts *f, struct json_out *j)
{
    const struct json *base = json_get(f->front, "base_model");
    str relation = facts_base_relation(f);

    if (!relation.ptr)
        return;
    json_key(j, "baseModels");
    json_obj(j);
    json_kv_str(j, "relation", relation);
    json_key(j, "models");
    json_arr(j);
    for (size_t i = 0; i < 10 && (i == 0 || i < json_len(base)); i++) {
        str id = json_type(base) == JSON_ARR ? json_str(json_at(base, i)) : json_str(base);

        if (id.len == 0 || id.len > FACTS_TAG_BYTES || (i && json_type(base) != JSON_ARR))
            continue;
        json_obj(j);
        json_kv_str(j, "id", id);
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
}

static void write_model(struct facts *f, struct json_out *j)
{
    const struct json *widget = json_get(f->front, "widget");
    struct json_out *config = json_out_new(f->scratch);
    str mask = config_mask_token(&f->config), text;

    if (config_write(f->scratch, config, &f->config))
        json_kv_raw(j, "config", json_out_str(config));
    if (f->has_auto_model) {
        json_key(j, "transformersInfo");
        auto_model_write(j, &f->auto_model);
    }
    if (f->has_sum) {
        json_key(j, "safetensors");
        safetensors_write(j, &f->sum);
    }
    if (f->has_gguf) {
        json_key(j, "gguf");
        gguf_write(j, &f->gguf_info);
    }
    if (f->card.model_index.ptr)
        json_kv_raw(j, "model-index", f->card.model_index);
    if (mask.ptr)
        json_kv_str(j, "mask_token", mask);
    text = json_type(widget) == JSON_ARR ? raw_get(f->card.json, STR("widget")) : STR_NONE;
    if (text.len && text.len <= WIDGET_MAX)
        json_kv_raw(j, "widgetData", text);
    write_base_models(f, j);
}

/* The ids of a list of the card. */
static void write_ids(const struct facts *f, struct json_out *j, const char *key)
{
    const struct json *list = json_get(f->front, key);

    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; json_type(list) == JSON_ARR && i < json_len(list) && i < 100; i++) {
        str id = json_str(json_at(list, i));

        if (id.len && id.len <= FACTS_TAG_BYTES)
            json_put_str(j, id);
    }
    json_arr_end(j);
}

static void write_space(const struct facts *f, struct json_out *j)
{
    str version = front_word(f, "sdk_version");

    if (front_word(f, "sdk").ptr)
        json_kv_str(j, "sdk", front_word(f, "sdk"));
    if (version.ptr)
        json_kv_str(j, "sdkVersion", version);
    write_ids(f, j, "models");
    write_ids(f, j, "datasets");
}

static void write_meta(struct facts *f, struct repo_facts *ret)
{
    struct json_out *j = json_out_new(f->scratch);

    json_obj(j);
    if (f->repo->kind == REPO_MODEL)
        write_model(f, j);
    else if (f->repo->kind == REPO_SPACE)
        write_space(f, j);
    else if (front_word(f, "paperswithcode_id").ptr)
        json_kv_str(j, "paperswithcode_id", front_word(f, "paperswithcode_id"));
    json_obj_end(j);
    ret->meta = arena_str(f->a, json_out_str(j));
}

static str kept(const struct facts *f, str s)
{
    return s.ptr ? arena_str(f->a, s) : STR_NONE;
}

static void derive(struct facts *f, struct repo_facts *ret)
{
    card_read(f->scratch, root_text(f, STR("README.md"), FACTS_TEXT_MAX), &f->card);
    if (f->card.json.ptr && json_parse(f->scratch, f->card.json, &f->front))
        f->front = NULL;
    if (f->repo->kind == REPO_MODEL) {
        read_config(f);
        name_library(f);
        facts_weights(f);
        ret->num_parameters = f->has_sum ? f->sum.total : f->has_gguf ? f->gguf_info.total : 0;
        ret->library_name = kept(f, f->library);
        ret->pipeline_tag = kept(f, f->pipeline_tag);
    }
    if (f->repo->kind == REPO_DATASET) {
        str text = card_excerpt(f->a, f->card.body, EXCERPT_BYTES);

        ret->description = text.len ? text : STR_NONE;
    }
    if (f->card.json.ptr && f->card.json.len <= CARD_JSON_MAX)
        ret->card = arena_str(f->a, f->card.json);
    facts_tags(f, ret);
    write_meta(f, ret);
}

err hub_facts(struct store *s, struct arena *a, const struct repo *r, struct odb *odb, oid head,
              struct repo_facts *ret)
{
    struct facts *f = arena_one(a, struct facts);
    struct repo_facts facts = {0};
    err e;

    *f = (struct facts){.s = s, .a = a, .scratch = arena_new(0), .repo = r, .odb = odb};
    e = err_copy(a, open_root(f, head));
    if (!e)
        derive(f, &facts);
    arena_free(f->scratch);
    if (!e)
        *ret = facts;
    return e;
}
