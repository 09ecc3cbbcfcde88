/* lfs_lock.c — the file locking API of git-lfs (hub-api.md 11.3, last paragraph). */
#include "hub/lfs.h"
#include "store/lock.h"

static void put_lock(struct json_out *j, const struct lfs_lock *l)
{
    json_obj(j);
    json_kv_str(j, "id", l->id);
    json_kv_str(j, "path", l->path);
    json_kv_time(j, "locked_at", l->locked_at_ms);
    json_key(j, "owner");
    json_obj(j);
    json_kv_str(j, "name", l->owner.ptr ? l->owner : STR("(deleted user)"));
    json_obj_end(j);
    json_obj_end(j);
}

static err reply_lock(struct req *r, int status, const struct lfs_lock *l, const char *message)
{
    struct json_out *j = json_out_new(r->a);

    json_obj(j);
    json_key(j, "lock");
    put_lock(j, l);
    if (message) {
        json_kv_str(j, "message", str_c(message));
        json_kv_str(j, "error", str_c(message));
    }
    json_obj_end(j);
    return lfs_reply(r, status, j);
}

err hub_lfs_lock_create(struct req *r)
{
    str path = json_get_str(r->json, "path");
    struct lfs_lock lock;
    bool is_new;

    TRY(lfs_repo(r, ACCESS_WRITE));
    TRY(lfs_lock_add(r->store, r->a, r->repo->id, r->user->account.id, path,
                     json_get_str(json_get(r->json, "ref"), "name"), &lock, &is_new));
    if (!is_new)
        return reply_lock(r, 409, &lock, "This file is locked already.");
    return reply_lock(r, 201, &lock, NULL);
}

static int64_t limit_of(str text)
{
    int64_t limit = 0;

    return str_i64(text, &limit) && limit > 0 ? limit : LFS_LOCK_PAGE_MAX;
}

static str given(str s)
{
    return s.len ? s : STR_NONE;
}

err hub_lfs_lock_list(struct req *r)
{
    struct lfs_lock_query q = {
        .path = given(req_query(r, "path")),
        .id = given(req_query(r, "id")),
        .cursor = given(req_query(r, "cursor")),
        .limit = limit_of(req_query(r, "limit")),
    };
    struct json_out *j = json_out_new(r->a);
    struct lfs_lock_list list;

    TRY(lfs_repo(r, ACCESS_READ));
    TRY(lfs_lock_list(r->store->hub, r->a, r->repo->id, &q, &list));
    json_obj(j);
    json_key(j, "locks");
    json_arr(j);
    for (size_t i = 0; i < list.count; i++)
        put_lock(j, &list.items[i]);
    json_arr_end(j);
    if (list.cursor.ptr)
        json_kv_str(j, "next_cursor", list.cursor);
    json_obj_end(j);
    return lfs_reply(r, 200, j);
}

static void put_side(struct req *r, struct json_out *j, const char *key,
                     const struct lfs_lock_list *list, bool ours)
{
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < list->count; i++)
        if ((list->items[i].owner_id == r->user->account.id) == ours)
            put_lock(j, &list->items[i]);
    json_arr_end(j);
}

/* git-lfs asks before every push: nobody's lock may stand against it. */
err hub_lfs_lock_verify(struct req *r)
{
    struct lfs_lock_query q = {.cursor = given(json_get_str(r->json, "cursor"))};
    struct json_out *j = json_out_new(r->a);
    struct lfs_lock_list list;

    TRY(lfs_repo(r, ACCESS_CONTRIBUTE));
    (void)json_i64(json_get(r->json, "limit"), &q.limit);
    TRY(lfs_lock_list(r->store->hub, r->a, r->repo->id, &q, &list));
    json_obj(j);
    put_side(r, j, "ours", &list, true);
    put_side(r, j, "theirs", &list, false);
    if (list.cursor.ptr)
        json_kv_str(j, "next_cursor", list.cursor);
    json_obj_end(j);
    return lfs_reply(r, 200, j);
}

/* Whoever may write may also break another's lock, if he says so. */
err hub_lfs_lock_delete(struct req *r)
{
    struct lfs_lock lock;

    TRY(lfs_repo(r, ACCESS_WRITE));
    TRY(lfs_lock_find(r->store->hub, r->a, r->repo->id, req_param(r, "id"), &lock));
    if (!lock.id.ptr)
        return err_new(r->a, 404, NULL, "There is no such lock.");
    if (lock.owner_id != r->user->account.id && !json_true(json_get(r->json, "force")))
        return err_new(r->a, 403, NULL, "%.*s holds this lock; use --force to take it away.",
                       STR_FMT(lock.owner.ptr ? lock.owner : STR("A deleted user")));
    TRY(lfs_lock_remove(r->store, r->repo->id, lock.id));
    return reply_lock(r, 200, &lock, NULL);
}
