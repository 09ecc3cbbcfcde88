/* bucket.c — life cycle of buckets: create, info, list, settings, delete. */
#include "bucket/bucket.h"
#include "base/settings.h"

#define LIST_PAGE 200 /* buckets */

static str bucket_url(struct req *r, const struct repo *b)
{
    return arena_cat(r->a, r->base, STR("/buckets/"), b->full_name);
}

/* --- create --- */

static err wants_private(struct req *r, const struct account *owner, bool *ret)
{
    str visibility = json_get_str(r->json, "visibility");
    const struct json *flag = json_get(r->json, "private");

    *ret = settings.default_private || owner->is_private_by_default;
    if (visibility.ptr) {
        *ret = str_eq(visibility, STR("private")) || str_eq(visibility, STR("protected"));
        if (!*ret && !str_eq(visibility, STR("public")))
            return err_new(r->a, 400, NULL,
                           "\"visibility\" must be one of [public, private, protected]");
    } else if (json_type(flag) == JSON_BOOL) {
        *ret = json_true(flag);
    } else if (flag && json_type(flag) != JSON_NULL) {
        return err_new(r->a, 400, NULL, "\"private\" must be true or false.");
    }
    return OK;
}

static err reply_url(struct req *r, int status, str error, const struct repo *b)
{
    struct json_out *j = json_out_new(r->a);

    json_obj(j);
    if (error.len)
        json_kv_str(j, "error", error);
    json_kv_str(j, "url", bucket_url(r, b));
    json_kv_str(j, "name", b->full_name);
    json_kv_str(j, "id", b->oid);
    json_obj_end(j);
    if (error.len)
        reply_header(r, "X-Error-Message", error);
    return reply_json(r, status, j);
}

/* 409 with the address of the bucket that is there already: exist_ok reads it. */
static err reply_exists(struct req *r, str owner, str name, err conflict)
{
    struct repo *there;

    if (auth_repo(r, REPO_BUCKET, arena_cat(r->a, owner, STR("/"), name), ACCESS_READ, &there))
        return conflict;
    return reply_url(r, 409, conflict->text, there);
}

err bucket_make(struct req *r)
{
    str ns = req_param(r, "ns"), name = req_param(r, "name");
    struct repo_new n = {.kind = REPO_BUCKET, .creator_id = r->user->account.id, .name = name};
    struct account owner;
    struct repo made;
    err e;

    TRY(auth_owner(r, str_eq(ns, STR("me")) ? STR("") : ns, &owner));
    TRY(repo_name_check(r->a, name));
    if (owner.name.len + 1 + name.len > 96)
        return err_new(r->a, 400, NULL, "A bucket id has at most 96 characters.");
    TRY(wants_private(r, &owner, &n.is_private));
    n.owner = &owner;
    e = bucket_create(r->store, r->a, &n, &made);
    if (e && e->status == 409)
        return reply_exists(r, owner.name, name, e);
    TRY(e);
    return reply_url(r, 200, STR_NONE, &made);
}

/* --- info and list --- */

static err put_bucket(struct req *r, struct json_out *j, const struct repo *b)
{
    struct bucket more;

    TRY(bucket_find(r->store->hub, b->id, &more));
    json_obj(j);
    json_kv_str(j, "_id", b->oid);
    json_kv_str(j, "id", b->full_name);
    json_kv_str(j, "author", repo_namespace(b));
    json_kv_bool(j, "private", b->is_private);
    json_kv_str(j, "repoType", STR("bucket"));
    json_kv_time(j, "createdAt", b->created_at_ms);
    json_kv_time(j, "updatedAt", b->updated_at_ms);
    json_kv_i64(j, "size", b->used_storage);
    json_kv_i64(j, "totalFiles", more.file_count);
    json_kv_raw(j, "cdnRegions", STR("[]"));
    json_obj_end(j);
    return OK;
}

err bucket_show(struct req *r)
{
    struct json_out *j = json_out_new(r->a);

    TRY(put_bucket(r, j, r->repo));
    return reply_json(r, 200, j);
}

/* The namespace of the path: 401 for "me" of nobody, 404 when there is none. */
static err find_namespace(struct req *r, str *ret)
{
    str ns = req_param(r, "user");
    struct account owner;

    if (str_eq(ns, STR("me"))) {
        if (!r->user)
            return auth_needed(r, false);
        *ret = r->user->account.name;
        return OK;
    }
    TRY(account_find(r->store->hub, r->a, ns, &owner));
    if (owner.id == 0)
        return err_new(r->a, 404, NULL, "There is no user or organization of this name.");
    *ret = owner.name;
    return OK;
}

/* A search is for the name; the store's also finds the namespace. */
static bool name_has(struct req *r, const struct repo *b, str search)
{
    return str_has(text_lower(r->a, repo_name(b)), text_lower(r->a, search));
}

err bucket_index(struct req *r)
{
    str search = str_trim(req_query(r, "search"));
    struct repo_query q = {.kind = REPO_BUCKET,
                           .viewer = auth_account(r),
                           .sees_all = auth_sees_all(r),
                           .sort = SORT_CREATED,
                           .limit = LIST_PAGE,
                           .cursor = req_query(r, "cursor"),
                           .without_card = true,
                           .without_meta = true};
    struct json_out *j = json_out_new(r->a);
    struct repo_list list;

    if (settings.require_login && !r->user)
        return auth_needed(r, false);
    TRY(find_namespace(r, &q.author));
    if (search.len)
        q.search[q.search_count++] = str_first(search, 200);
    TRY(repo_list(r->store, r->a, &q, &list));
    json_arr(j);
    for (size_t i = 0; i < list.count; i++)
        if (!search.len || name_has(r, &list.items[i], search))
            TRY(put_bucket(r, j, &list.items[i]));
    json_arr_end(j);
    if (list.cursor.ptr)
        reply_next_link(r, list.cursor);
    return reply_json(r, 200, j);
}

/* --- change --- */

err bucket_remove(struct req *r)
{
    TRY(repo_hide(r->store, r->repo->id));
    return reply_text(r, 200, STR("OK"));
}

err bucket_settings(struct req *r)
{
    const struct json *flag = json_get(r->json, "private"),
                      *regions = json_get(r->json, "cdnRegions");
    struct json_out *j = json_out_new(r->a);
    bool is_private = r->repo->is_private;

    if (flag && json_type(flag) != JSON_NULL && !json_bool(flag, &is_private))
        return err_new(r->a, 400, NULL, "\"private\" must be true or false.");
    if (json_len(regions) > 0)
        return err_new(r->a, 400, NULL,
                       "This hub serves everything itself and has no CDN regions; leave "
                       "\"cdnRegions\" out.");
    if (is_private != r->repo->is_private)
        TRY(bucket_set_private(r->store, r->repo->id, is_private));
    json_obj(j);
    json_kv_bool(j, "private", is_private);
    json_kv_raw(j, "cdnRegions", STR("[]"));
    json_obj_end(j);
    return reply_json(r, 200, j);
}

err bucket_group(struct req *r)
{
    return err_new(r->a, 404, NULL,
                   "This bucket is in no resource group; this hub has none. Its organization's "
                   "members have the roles of `hearth admin org member add`.");
}

/* Out of every group is where all buckets are. */
err bucket_group_set(struct req *r)
{
    const struct json *id = json_get(r->json, "resourceGroupId");
    struct json_out *j = json_out_new(r->a);

    if (id && json_type(id) != JSON_NULL)
        return err_new(r->a, 400, NULL,
                       "This hub has no resource groups; give people roles with `hearth admin org "
                       "member add`.");
    json_obj(j);
    json_kv_str(j, "name", r->repo->full_name);
    json_kv_str(j, "type", STR("bucket"));
    json_kv_bool(j, "private", r->repo->is_private);
    json_kv_null(j, "addedBy");
    json_obj_end(j);
    return reply_json(r, 200, j);
}
