/* repo_head.c — see repo_head.h. */
#include "web/repo_head.h"

static void read_tags(struct arena *a, struct repo_head *h)
{
    const struct json *tags = NULL;

    if (!h->repo->tags.ptr || json_parse(a, h->repo->tags, &tags))
        return;
    for (size_t i = 0; i < json_len(tags) && h->tag_count < HEAD_TAGS_MAX; i++) {
        str tag = json_str(json_at(tags, i));

        if (tag.len)
            h->tags[h->tag_count++] = tag;
    }
}

err repo_head_fill(struct req *r, const char *tab, str rev, struct repo_head *ret)
{
    enum access access;

    TRY(auth_access(r, r->repo, &access));
    *ret = (struct repo_head){
        .repo = r->repo,
        .path = view_repo_path(r->a, r->repo),
        .ns = repo_namespace(r->repo),
        .name = repo_name(r->repo),
        .rev = rev.len ? rev : STR("main"),
        .tab = tab,
        .nav = str_z(r->a, repo_kind_plural(r->repo->kind)),
        .may_write = access >= ACCESS_WRITE,
        .may_admin = access >= ACCESS_ADMIN,
        .form_token = r->user ? r->user->form_token : STR_NONE,
    };
    read_tags(r->a, ret);
    return OK;
}

void repo_head_markdown(struct md *m, const struct repo_head *h)
{
    const struct repo *r = h->repo;

    md_heading(m, 1, r->full_name);
    md_fact(m, "type", repo_kind_word(r->kind));
    md_fact(m, "visibility", r->is_private ? STR("private") : STR("public"));
    md_fact(m, "revision", h->rev);
    for (size_t i = 0; i < h->tag_count; i++) {
        buf_add(m->out, i ? STR(", ") : STR("- tags: "));
        md_text(m, h->tags[i]);
    }
    if (h->tag_count)
        buf_addc(m->out, '\n');
}

void repo_head_json(struct json_out *j, const struct repo_head *h)
{
    json_kv_str(j, "id", h->repo->full_name);
    json_kv_str(j, "type", repo_kind_word(h->repo->kind));
    json_kv_bool(j, "private", h->repo->is_private);
    json_kv_str(j, "revision", h->rev);
}

struct crumbs repo_crumbs(struct arena *a, const struct repo_head *h, str path)
{
    struct crumbs c = {arena_many(a, struct crumb, 2), 0};
    size_t slashes = 0;

    for (size_t i = 0; i < path.len; i++)
        slashes += path.ptr[i] == '/';
    c.items = arena_many(a, struct crumb, slashes + 2);
    c.items[c.count++] =
        (struct crumb){h->name, arena_cat(a, h->path, STR("/tree/"), url_encode(a, h->rev))};
    for (size_t at = 0; at < path.len;) {
        ptrdiff_t slash = str_find(str_from(path, at), '/');
        size_t end = slash < 0 ? path.len : at + (size_t)slash;

        c.items[c.count++] = (struct crumb){
            (str){path.ptr + at, end - at},
            arena_cat(a, c.items[0].href, STR("/"), url_encode_path(a, str_first(path, end)))};
        at = end + 1;
    }
    c.items[c.count - 1].href = STR_NONE;
    return c;
}

err repo_ref_names(struct req *r, struct ref_names *ret)
{
    struct ref_list list;

    TRY(ref_list(r->store->hub, r->a, r->repo->id, &list));
    *ret = (struct ref_names){arena_many(r->a, str, list.count + 1), 0};
    for (size_t i = 0; i < list.count; i++) {
        str name = list.items[i].name;

        if (str_skip(&name, STR("refs/heads/")) || str_skip(&name, STR("refs/tags/")))
            ret->items[ret->count++] = name;
    }
    return OK;
}
