/* likes.c — who likes what (hub-api.md 16.2). */
#include "hub/hub.h"
#include "hub/people.h"
#include "store/like.h"

#define PAGE_DEFAULT 500
#define PAGE_MAX 1000

static err reply_done(struct req *r)
{
    return reply_bytes(r, 200, "application/json; charset=utf-8", STR("{}"));
}

err hub_like(struct req *r)
{
    TRY(like_set(r->store, r->repo->id, r->user->account.id, true));
    return reply_done(r);
}

err hub_unlike(struct req *r)
{
    TRY(like_set(r->store, r->repo->id, r->user->account.id, false));
    return reply_done(r);
}

static err page_limit(struct req *r, int64_t *ret)
{
    str text = req_query(r, "limit");
    uint64_t limit = PAGE_DEFAULT;

    if (text.len && (!str_u64(text, &limit) || limit < 1))
        return err_new(r->a, 400, NULL, "\"limit\" must be a number from 1 to %d", PAGE_MAX);
    *ret = (int64_t)(limit > PAGE_MAX ? PAGE_MAX : limit);
    return OK;
}

err hub_likers(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct like_page page;
    int64_t limit;

    TRY(page_limit(r, &limit));
    TRY(like_list(r->store->hub, r->a, r->repo->id, req_query(r, "cursor"), limit, &page));
    json_arr(j);
    for (size_t i = 0; i < page.count; i++)
        if (page.items[i].account.id)
            people_put(r, j, &page.items[i].account);
    json_arr_end(j);
    if (page.cursor.ptr)
        reply_next_link(r, page.cursor);
    return reply_json(r, 200, j);
}

err hub_user_likes(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct like_page page;
    struct account user;
    int64_t limit;

    TRY(page_limit(r, &limit));
    TRY(account_find(r->store->hub, r->a, req_param(r, "user"), &user));
    if (user.id == 0 || user.kind != ACCOUNT_USER || !user.is_active)
        return err_new(r->a, 404, NULL, "This user does not exist");
    TRY(like_list_of(r->store->hub, r->a, user.id, req_query(r, "cursor"), limit, &page));
    json_arr(j);
    for (size_t i = 0; i < page.count; i++) {
        json_obj(j);
        json_kv_time(j, "createdAt", page.items[i].at_ms);
        json_key(j, "repo");
        json_obj(j);
        json_kv_str(j, "name", page.items[i].full_name);
        json_kv_str(j, "type", repo_kind_word(page.items[i].kind));
        json_obj_end(j);
        json_obj_end(j);
    }
    json_arr_end(j);
    if (page.cursor.ptr)
        reply_next_link(r, page.cursor);
    return reply_json(r, 200, j);
}
