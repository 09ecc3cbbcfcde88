/* discussion.c — the pull requests of a repository as a list (hub-api.md 15.1); those that commits
 * with create_pr opened are all there are. */
#include "store/discussion.h"
#include "hub/hub.h"
#include "hub/people.h"
#include "hub/pull.h"

#define PAGE 50
#define PAGES_MAX 1000000

static err one_of(struct req *r, const char *name, const char *const *words, size_t count, str *ret)
{
    str given = req_query(r, name);

    *ret = given.len ? given : STR("all");
    for (size_t i = 0; i < count; i++)
        if (str_eq(*ret, str_c(words[i])))
            return OK;
    return err_new(r->a, 400, NULL, "\"%s\" must be one of [%s, %s, %s]", name, words[0], words[1],
                   words[2]);
}

static err read_query(struct req *r, struct discussion_query *q, uint64_t *ret_page, bool *ret_any)
{
    static const char *const types[] = {"all", "discussion", "pull_request"};
    static const char *const states[] = {"all", "open", "closed"};
    str page = req_query(r, "p"), author = req_query(r, "author");
    struct account user;
    str type;

    *ret_page = 0;
    *ret_any = true;
    if (page.len && (!str_u64(page, ret_page) || *ret_page > PAGES_MAX))
        return err_new(r->a, 400, NULL, "\"p\" must be the number of a page, from 0 on.");
    TRY(one_of(r, "type", types, 3, &type));
    TRY(one_of(r, "status", states, 3, &q->status));
    q->only = str_eq(type, STR("all")) ? -1 : str_eq(type, STR("pull_request"));
    if (author.len) {
        TRY(account_find(r->store->hub, r->a, author, &user));
        q->author_id = user.id;
        *ret_any = user.id != 0;
    }
    q->search = req_query(r, "search");
    q->first = (int64_t)(*ret_page * PAGE);
    q->limit = PAGE;
    return OK;
}

err pull_put_author(struct req *r, struct json_out *j, int64_t id)
{
    struct account author;

    TRY(account_by_id(r->store->hub, r->a, id, &author));
    if (author.id == 0)
        return OK; /* absent means deleted */
    json_key(j, "author");
    json_obj(j);
    json_kv_str(j, "_id", author.oid);
    json_kv_str(j, "name", author.name);
    json_kv_str(j, "fullname", author.full_name.len ? author.full_name : author.name);
    json_kv_str(j, "type", STR("user"));
    json_kv_bool(j, "isPro", false);
    json_kv_str(j, "avatarUrl", people_avatar(r, author.name));
    json_obj_end(j);
    return OK;
}

static err put_discussion(struct req *r, struct json_out *j, const struct discussion *d)
{
    json_obj(j);
    json_kv_i64(j, "num", d->number);
    TRY(pull_put_author(r, j, d->author_id));
    json_key(j, "repo");
    json_obj(j);
    json_kv_str(j, "name", r->repo->full_name);
    json_kv_str(j, "type", repo_kind_word(r->repo->kind));
    json_obj_end(j);
    json_kv_str(j, "title", d->title);
    json_kv_time(j, "createdAt", d->created_at_ms);
    json_kv_raw(j, "topReactions", STR("[]"));
    json_kv_str(j, "status", d->status);
    json_kv_bool(j, "isPullRequest", d->is_pull_request);
    json_kv_i64(j, "numComments", 0);
    json_kv_i64(j, "numReactionUsers", 0);
    json_kv_bool(j, "pinned", false);
    json_obj_end(j);
    return OK;
}

err hub_discussion_list(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct discussion_query q = {.repo_id = r->repo->id};
    struct discussion_list list = {0};
    uint64_t page;
    bool any;

    TRY(read_query(r, &q, &page, &any));
    if (any)
        TRY(discussion_list(r->store->hub, r->a, &q, &list));
    json_obj(j);
    json_key(j, "discussions");
    json_arr(j);
    for (size_t i = 0; i < list.count; i++)
        TRY(put_discussion(r, j, &list.items[i]));
    json_arr_end(j);
    json_kv_i64(j, "count", list.total); /* exact: clients ask on until they have as many */
    json_kv_i64(j, "start", q.first);
    json_obj_end(j);
    return reply_json(r, 200, j);
}
