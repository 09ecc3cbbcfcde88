/* repo_info.c — what a repository is: one table of members, one small writer for each. */
#include "hub/repo_info.h"
#include "git/object.h"
#include "hub/hub.h"
#include "hub/meta.h"
#include "store/object.h"

#define SIBLINGS_PAGE 1000
#define SPACES_MAX 100

/* Members that depend on the files of the commit. */
#define FROM_FILES                                                                                 \
    (INFO_BIT(TAGS) | INFO_BIT(PIPELINE_TAG) | INFO_BIT(LIBRARY_NAME) | INFO_BIT(DESCRIPTION) |    \
     INFO_BIT(PAPERS_ID) | INFO_BIT(MASK_TOKEN) | INFO_BIT(WIDGET) | INFO_BIT(MODEL_INDEX) |       \
     INFO_BIT(CONFIG) | INFO_BIT(TRANSFORMERS) | INFO_BIT(SAFETENSORS) | INFO_BIT(GGUF) |          \
     INFO_BIT(BASE_MODELS) | INFO_BIT(SDK) | INFO_BIT(MODELS) | INFO_BIT(DATASETS) |               \
     INFO_BIT(CARD))

struct view {
    struct req *r;
    struct json_out *j;
    const struct repo *repo;
    const struct info_want *want;
    const struct revision *rev; /* NULL: the head of main */
    struct repo_facts facts;    /* of the commit */
    oid commit;                 /* zero: there is none yet */
    int64_t modified_at_ms;
};

enum { M = 1 << REPO_MODEL, D = 1 << REPO_DATASET, S = 1 << REPO_SPACE };

static const struct {
    const char *name;
    unsigned expand, info, list, full;
} fields[INFO_COUNT] = {
#define FIELD(id, name, expand, info, list, full) {name, expand, info, list, full},
#include "hub/info_fields.def"
#undef FIELD
};

/* --- the writers --- */

static void put_time(struct view *v, enum info_field f, int64_t ms)
{
    json_kv_time(v->j, fields[f].name, ms);
}

static void put_str(struct view *v, enum info_field f, str s)
{
    if (s.ptr)
        json_kv_str(v->j, fields[f].name, s);
}

/* A member of meta, which is stored as JSON of the same name. */
static void put_meta(struct view *v, enum info_field f)
{
    str value = raw_get(v->facts.meta, str_c(fields[f].name));

    if (value.len)
        json_kv_raw(v->j, fields[f].name, value);
    else if ((f == INFO_MODEL_INDEX || f == INFO_PAPERS_ID) && !v->want->is_expanded)
        json_kv_null(v->j, fields[f].name);
    else if (f == INFO_MODELS || f == INFO_DATASETS)
        json_kv_raw(v->j, fields[f].name, STR("[]"));
}

static void put_subdomain(struct view *v)
{
    str name = v->repo->full_name;
    char *p = arena_alloc(v->r->a, name.len + 1);

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        p[i] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
    }
    json_kv_str(v->j, "subdomain", (str){p, name.len});
}

/* Nothing runs Spaces yet: every one is stopped. */
static void put_runtime(struct view *v)
{
    json_kv_raw(v->j, "runtime",
                STR("{\"stage\":\"STOPPED\",\"hardware\":{\"current\":null,\"requested\":null},"
                    "\"storage\":null,\"gcTimeout\":null,\"replicas\":{\"requested\":1},"
                    "\"devMode\":false,\"domains\":[]}"));
}

static void put_sibling(struct view *v, const struct entry *e, file_hash hash)
{
    json_obj(v->j);
    json_kv_str(v->j, "rfilename", e->path);
    if (v->want->blobs) {
        json_kv_i64(v->j, "size", (int64_t)e->size);
        json_kv_str(v->j, "blobId", sha1_hex(v->r->a, e->oid));
        if (e->is_lfs) {
            json_key(v->j, "lfs");
            json_obj(v->j);
            json_kv_str(v->j, "sha256", sha256_hex(v->r->a, e->lfs));
            json_kv_i64(v->j, "size", (int64_t)e->size);
            json_kv_i64(v->j, "pointerSize", (int64_t)e->pointer_size);
            json_obj_end(v->j);
        }
        if (!file_hash_is_zero(hash))
            json_kv_str(v->j, "xetHash", file_hash_text(v->r->a, hash));
    }
    json_obj_end(v->j);
}

/* Every file below the root, page by page; the arena is rewound after each. */
static err put_pages(struct view *v, const struct revision *rev)
{
    struct entry_query q = {.path = STR(""), .recursive = true, .limit = SIBLINGS_PAGE};
    struct entry_list page = {.more = true};
    AUTO_BUF struct buf after = BUF(65536);

    while (page.more && !v->j->buf.full) {
        struct arena_mark m = arena_mark(v->r->a);
        const struct entry *last;
        file_hash *hashes;

        TRY(entry_list(v->r->store, v->r->a, v->repo, rev, &q, &page));
        TRY(hub_file_hashes(v->r, v->repo, page.items, v->want->blobs ? page.count : 0, &hashes));
        for (size_t i = 0; i < page.count; i++)
            if ((page.items[i].mode & 0170000) != 040000 &&
                (page.items[i].mode & 0170000) != 0160000)
                put_sibling(v, &page.items[i], v->want->blobs ? hashes[i] : (file_hash){{0}});
        if (page.count == 0)
            break;
        last = &page.items[page.count - 1];
        buf_clear(&after);
        buf_add(&after, last->path);
        if (ENTRY_IS_DIR(last))
            buf_addc(&after, '/');
        q.after = buf_str(&after);
        arena_rewind(v->r->a, m);
    }
    return OK;
}

static err put_siblings(struct view *v)
{
    struct revision head;

    json_key(v->j, "siblings");
    json_arr(v->j);
    if (!sha1_is_zero(v->commit)) {
        err e = OK;

        if (!v->rev)
            e = revision_find(v->r->store, v->r->a, v->repo, sha1_hex(v->r->a, v->commit), &head);
        if (!e)
            e = put_pages(v, v->rev ? v->rev : &head);
        /* in a list: squashed or deleted since the list was read; the others still stand */
        if (e && (v->rev || e->status != 404))
            return e;
    }
    json_arr_end(v->j);
    return OK;
}

/* Spaces whose cards name this model, as far as the asking user may see them. */
static err put_spaces(struct view *v)
{
    struct repo_query q = {.kind = REPO_SPACE,
                           .without_card = true,
                           .without_meta = true,
                           .sort = SORT_LIKES,
                           .limit = SPACES_MAX,
                           .filter_count = 1};
    struct repo_list list;

    q.viewer = hub_viewer(v->r, &q.sees_all);
    q.filter[0] = arena_cat(v->r->a, STR("models:"), text_lower(v->r->a, v->repo->full_name));
    TRY(repo_list(v->r->store, v->r->a, &q, &list));
    json_key(v->j, "spaces");
    json_arr(v->j);
    for (size_t i = 0; i < list.count; i++)
        json_put_str(v->j, list.items[i].full_name);
    json_arr_end(v->j);
    return OK;
}

/* A model of that name that the asking user may see: id 0 when there is none. */
static err visible_model(struct view *v, str name, struct repo *ret)
{
    struct repo_query q = {.kind = REPO_MODEL,
                           .without_card = true,
                           .without_meta = true,
                           .sort = SORT_ID,
                           .limit = 20,
                           .search_count = 1};
    struct repo_list list;
    ptrdiff_t slash = str_find(name, '/');

    *ret = (struct repo){0};
    if (slash <= 0)
        return OK;
    q.viewer = hub_viewer(v->r, &q.sees_all);
    q.author = str_first(name, (size_t)slash);
    q.search[0] = name;
    TRY(repo_list(v->r->store, v->r->a, &q, &list));
    for (size_t i = 0; i < list.count; i++)
        if (str_ieq(list.items[i].full_name, name))
            *ret = list.items[i];
    return OK;
}

/* The base models, with the id of those that are on this hub. */
static err put_base_models(struct view *v)
{
    str text = raw_get(v->facts.meta, STR("baseModels"));
    const struct json *base, *models;

    if (!text.len)
        return OK;
    TRY(json_parse(v->r->a, text, &base));
    models = json_get(base, "models");
    json_key(v->j, "baseModels");
    json_obj(v->j);
    json_kv_str(v->j, "relation", json_get_str(base, "relation"));
    json_key(v->j, "models");
    json_arr(v->j);
    for (size_t i = 0; i < json_len(models); i++) {
        str id = json_get_str(json_at(models, i), "id");
        struct repo known;

        TRY(visible_model(v, id, &known));
        json_obj(v->j);
        if (known.id)
            json_kv_str(v->j, "_id", known.oid);
        json_kv_str(v->j, "id", known.id ? known.full_name : id);
        json_obj_end(v->j);
    }
    json_arr_end(v->j);
    json_obj_end(v->j);
    return OK;
}

static err put_field(struct view *v, enum info_field f)
{
    const struct repo *repo = v->repo;
    const char *name = fields[f].name;

    switch (f) {
    case INFO_MODEL_ID:
        json_kv_str(v->j, name, repo->full_name);
        break;
    case INFO_AUTHOR:
        json_kv_str(v->j, name, repo_namespace(repo));
        break;
    case INFO_SHA:
        if (!sha1_is_zero(v->commit))
            json_kv_str(v->j, name, sha1_hex(v->r->a, v->commit));
        break;
    case INFO_LAST_MODIFIED:
        put_time(v, f, v->modified_at_ms);
        break;
    case INFO_CREATED_AT:
        put_time(v, f, repo->created_at_ms);
        break;
    case INFO_PRIVATE:
        json_kv_bool(v->j, name, repo->is_private);
        break;
    case INFO_GATED:
    case INFO_DISABLED:
        json_kv_bool(v->j, name, false);
        break;
    case INFO_XET:
        json_kv_bool(v->j, name, true);
        break;
    case INFO_LIKES:
        json_kv_i64(v->j, name, repo->likes);
        break;
    case INFO_DOWNLOADS:
        json_kv_i64(v->j, name, repo->downloads);
        break;
    case INFO_DOWNLOADS_ALL:
        json_kv_i64(v->j, name, repo->downloads_all);
        break;
    case INFO_TRENDING:
        json_kv_i64(v->j, name, repo->trending);
        break;
    case INFO_STORAGE:
        json_kv_i64(v->j, name, repo->used_storage);
        break;
    case INFO_TAGS:
        json_kv_raw(v->j, name, v->facts.tags.len ? v->facts.tags : STR("[]"));
        break;
    case INFO_PIPELINE_TAG:
        put_str(v, f, v->facts.pipeline_tag);
        break;
    case INFO_LIBRARY_NAME:
        put_str(v, f, v->facts.library_name);
        break;
    case INFO_DESCRIPTION:
        put_str(v, f, v->facts.description);
        break;
    case INFO_CARD:
        if (v->facts.card.len)
            json_kv_raw(v->j, name, v->facts.card);
        break;
    case INFO_PAPERS_ID:
    case INFO_MASK_TOKEN:
    case INFO_WIDGET:
    case INFO_MODEL_INDEX:
    case INFO_CONFIG:
    case INFO_TRANSFORMERS:
    case INFO_SAFETENSORS:
    case INFO_GGUF:
    case INFO_SDK:
    case INFO_MODELS:
    case INFO_DATASETS:
        put_meta(v, f);
        break;
    case INFO_SUBDOMAIN:
        put_subdomain(v);
        break;
    case INFO_RUNTIME:
        put_runtime(v);
        break;
    case INFO_REGION:
        json_kv_str(v->j, name, STR("us"));
        break;
    case INFO_SECURITY: /* nothing scans files */
        json_kv_raw(v->j, name, STR("{\"scansDone\":false,\"filesWithIssues\":[]}"));
        break;
    case INFO_BASE_MODELS:
        return put_base_models(v);
    case INFO_SPACES:
        return put_spaces(v);
    case INFO_SIBLINGS:
        return put_siblings(v);
    case INFO_CITATION: /* known to clients, without a value here */
    case INFO_MAIN_SIZE:
    case INFO_INFERENCE:
    case INFO_PROVIDERS:
    case INFO_CHILDREN:
    case INFO_EVAL_RESULTS:
    case INFO_RESOURCES:
    case INFO_GITALY:
    case INFO_COUNT:
        break;
    }
    return OK;
}

/* --- which --- */

uint64_t info_defaults(enum repo_kind kind, bool is_list, bool full)
{
    unsigned bit = 1u << kind;
    uint64_t set = 0;

    for (int f = 0; f < INFO_COUNT; f++) {
        bool in = (is_list ? fields[f].list : fields[f].info) & bit;

        if (in || (full && (fields[f].full & bit)))
            set |= 1ull << f;
    }
    return set;
}

static err unknown_expand(struct req *r, enum repo_kind kind)
{
    AUTO_BUF struct buf b = BUF(4096);

    for (int f = 0; f < INFO_COUNT; f++)
        if (fields[f].expand & (1u << kind))
            buf_printf(&b, "%s%s", b.len ? ", " : "", fields[f].name);
    return err_new(r->a, 400, NULL, "\"expand\" must be one of [%.*s]", STR_FMT(buf_str(&b)));
}

err info_expand(struct req *r, enum repo_kind kind, uint64_t *ret, bool *ret_any)
{
    uint64_t set = 0;
    bool any = false;

    for (size_t i = 0; i < r->query.count; i++) {
        int f = 0;

        if (!str_eq(r->query.pairs[i].name, STR("expand")))
            continue;
        any = true;
        while (f < INFO_COUNT && !((fields[f].expand & (1u << kind)) &&
                                   str_eq(r->query.pairs[i].value, str_c(fields[f].name))))
            f++;
        if (f == INFO_COUNT)
            return unknown_expand(r, kind);
        set |= 1ull << f;
    }
    *ret = set;
    *ret_any = any;
    return OK;
}

const struct account *hub_viewer(const struct req *r, bool *ret_sees_all)
{
    bool whole = r->user && r->user->token.role != TOKEN_FINE && r->user->token.role != TOKEN_NONE;

    *ret_sees_all = whole && auth_sees_all(r);
    return whole ? auth_account(r) : NULL;
}

/* --- the whole --- */

static struct repo_facts row_facts(const struct repo *repo)
{
    return (struct repo_facts){
        .card = repo->card,
        .tags = repo->tags,
        .meta = repo->meta,
        .pipeline_tag = repo->pipeline_tag,
        .library_name = repo->library_name,
        .description = repo->description,
    };
}

/* The row describes the head of main; anything else is read from its files. */
static err look_at(struct view *v)
{
    struct odb *o;
    struct commit_obj c;

    v->commit = v->repo->head;
    v->modified_at_ms = v->repo->updated_at_ms;
    v->facts = row_facts(v->repo);
    if (!v->rev || sha1_eq(v->rev->commit, v->repo->head))
        return OK;
    v->commit = v->rev->commit;
    o = object_odb(v->r->store, v->r->a, v->repo->id);
    TRY(commit_read(o, v->r->a, v->commit, &c));
    v->modified_at_ms = c.committer.time_s * 1000;
    if (v->want->fields & FROM_FILES)
        TRY(hub_facts(v->r->store, v->r->a, v->repo, o, v->commit, &v->facts));
    return OK;
}

err hub_info_json(struct req *r, struct json_out *j, const struct repo *repo,
                  const struct info_want *want, const struct revision *rev)
{
    struct view v = {.r = r, .j = j, .repo = repo, .want = want, .rev = rev};

    TRY(look_at(&v));
    json_obj(j);
    json_kv_str(j, "_id", repo->oid);
    json_kv_str(j, "id", repo->full_name);
    for (int f = 0; f < INFO_COUNT; f++)
        if (want->fields & (1ull << f))
            TRY(put_field(&v, (enum info_field)f));
    json_obj_end(j);
    return OK;
}

err hub_repo_info(struct req *r)
{
    bool is_empty = !req_param(r, "rev").len && sha1_is_zero(r->repo->head);
    struct json_out *j = json_out_new(r->a);
    struct info_want want = {.blobs = req_query_bool(r, "blobs")};
    struct revision rev;

    TRY(info_expand(r, r->repo->kind, &want.fields, &want.is_expanded));
    if (!want.is_expanded)
        want.fields = info_defaults(r->repo->kind, false, false);
    if (!want.is_expanded && req_query_bool(r, "securityStatus"))
        want.fields |= INFO_BIT(SECURITY);
    if (!is_empty)
        TRY(hub_revision(r, &rev));
    TRY(hub_info_json(r, j, r->repo, &want, is_empty ? NULL : &rev));
    return reply_json(r, 200, j);
}
