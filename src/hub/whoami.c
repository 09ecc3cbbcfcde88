/* whoami.c — people, organizations, and what they own. */
#include "hub/hub.h"
#include "hub/people.h"
#include "hub/repo_info.h"
#include <stdlib.h>

#define MEMBERS_DEFAULT 500
#define MEMBERS_MIN 10
#define MEMBERS_MAX 10000
#define MEMBERS_STEP 500
#define OWNED_DEFAULT 1000
#define OWNED_MAX 10000

static str full_name(const struct account *account)
{
    return account->full_name.len ? account->full_name : account->name;
}

/* --- whoami --- */

static void put_org(struct req *r, struct json_out *j, const struct membership *m)
{
    json_obj(j);
    json_kv_str(j, "type", STR("org"));
    json_kv_str(j, "id", m->account.oid);
    json_kv_str(j, "name", m->account.name);
    json_kv_str(j, "fullname", full_name(&m->account));
    json_kv_str(j, "avatarUrl", people_avatar(r, m->account.name));
    json_kv_bool(j, "canPay", false);
    json_kv_str(j, "roleInOrg", member_role_word(m->role));
    json_obj_end(j);
}

static err put_fine(struct req *r, struct json_out *j, const struct token *t)
{
    const struct json *scopes;

    if (t->role != TOKEN_FINE || !t->scopes.len)
        return OK;
    TRY(json_parse(r->a, t->scopes, &scopes));
    json_kv_raw(j, "fineGrained", json_dump(r->a, scopes));
    return OK;
}

static err put_auth(struct req *r, struct json_out *j)
{
    const struct token *t = &r->user->token;

    json_key(j, "auth");
    json_obj(j);
    json_kv_str(j, "type", STR("access_token"));
    if (t->expires_at_ms)
        json_kv_time(j, "expiresAt", t->expires_at_ms);
    json_key(j, "accessToken");
    json_obj(j);
    json_kv_str(j, "displayName", t->name);
    json_kv_str(j, "role", token_role_word(t->role));
    json_kv_time(j, "createdAt", t->created_at_ms);
    TRY(put_fine(r, j, t));
    json_obj_end(j);
    json_obj_end(j);
    return OK;
}

err hub_whoami(struct req *r)
{
    const struct account *me = auth_account(r);
    struct json_out *j = json_out_new(r->a);
    struct membership_list orgs;

    if (!me)
        return auth_needed(r, false);
    TRY(member_orgs(r->store->hub, r->a, me->id, &orgs));
    json_obj(j);
    json_kv_str(j, "type", STR("user"));
    json_kv_str(j, "id", me->oid);
    json_kv_str(j, "name", me->name);
    json_kv_str(j, "fullname", full_name(me));
    if (me->email.len)
        json_kv_str(j, "email", me->email);
    json_kv_bool(j, "canPay", false);
    json_kv_bool(j, "isPro", false);
    json_kv_null(j, "periodEnd");
    json_kv_str(j, "avatarUrl", people_avatar(r, me->name));
    json_key(j, "orgs");
    json_arr(j);
    for (size_t i = 0; i < orgs.count; i++)
        put_org(r, j, &orgs.items[i]);
    json_arr_end(j);
    TRY(put_auth(r, j));
    json_obj_end(j);
    reply_header(r, "Cache-Control", STR("no-store"));
    return reply_json(r, 200, j);
}

/* --- overviews --- */

static err check_login(struct req *r)
{
    return settings.require_login && !r->user ? auth_needed(r, false) : OK;
}

static err put_counts(struct req *r, struct json_out *j, const struct account *account)
{
    int64_t counts[REPO_KINDS];
    bool sees_all;
    const struct account *viewer = hub_viewer(r, &sees_all);

    TRY(repo_count_of(r->store->hub, account->id, viewer, sees_all, counts));
    json_kv_i64(j, "numModels", counts[REPO_MODEL]);
    json_kv_i64(j, "numDatasets", counts[REPO_DATASET]);
    json_kv_i64(j, "numSpaces", counts[REPO_SPACE]);
    return OK;
}

static err put_orgs_of(struct req *r, struct json_out *j, int64_t user_id)
{
    struct membership_list orgs;

    TRY(member_orgs(r->store->hub, r->a, user_id, &orgs));
    json_key(j, "orgs");
    json_arr(j);
    for (size_t i = 0; i < orgs.count; i++) {
        const struct account *org = &orgs.items[i].account;

        json_obj(j);
        json_kv_str(j, "id", org->oid);
        json_kv_str(j, "name", org->name);
        json_kv_str(j, "fullname", full_name(org));
        json_kv_str(j, "avatarUrl", people_avatar(r, org->name));
        json_obj_end(j);
    }
    json_arr_end(j);
    return OK;
}

/* The same address with the name as its owner writes it; relative, below the deployment's prefix.
 */
static err redirect_name(struct req *r, str name)
{
    str prefix = str_first(r->raw_path, r->raw_path.len - r->path.len);
    str url = arena_cat(r->a, prefix, STR("/api/users/"), name, STR("/overview"));

    if (r->raw_query.len)
        url = arena_cat(r->a, url, STR("?"), r->raw_query);
    return reply_redirect(r, 307, url);
}

err hub_user_overview(struct req *r)
{
    str name = req_param(r, "user");
    struct json_out *j = json_out_new(r->a);
    struct account user;

    TRY(check_login(r));
    TRY(account_find(r->store->hub, r->a, name, &user));
    if (user.id == 0 || user.kind != ACCOUNT_USER || !user.is_active)
        return err_new(r->a, 404, NULL, "This user does not exist");
    if (!str_eq(user.name, name))
        return redirect_name(r, user.name);
    json_obj(j);
    json_kv_str(j, "_id", user.oid);
    json_kv_str(j, "user", user.name);
    json_kv_str(j, "fullname", full_name(&user));
    json_kv_str(j, "avatarUrl", people_avatar(r, user.name));
    json_kv_bool(j, "isPro", false);
    json_kv_str(j, "type", STR("user"));
    json_kv_time(j, "createdAt", user.created_at_ms);
    TRY(put_orgs_of(r, j, user.id));
    TRY(put_counts(r, j, &user));
    json_kv_i64(j, "numDiscussions", 0);
    json_kv_i64(j, "numPapers", 0);
    json_kv_i64(j, "numUpvotes", 0);
    json_kv_i64(j, "numLikes", 0);
    json_kv_i64(j, "numFollowers", 0);
    json_kv_i64(j, "numFollowing", 0);
    json_obj_end(j);
    return reply_json(r, 200, j);
}

static err find_org(struct req *r, struct account *ret)
{
    TRY(check_login(r));
    TRY(account_find(r->store->hub, r->a, req_param(r, "org"), ret));
    if (ret->id == 0 || ret->kind != ACCOUNT_ORG)
        return err_new(r->a, 404, NULL, "This organization does not exist");
    return OK;
}

static err count_members(struct req *r, int64_t org_id, int64_t *ret)
{
    struct membership_list page = {0};
    str after = STR("");

    *ret = 0;
    do {
        TRY(member_list(r->store->hub, r->a, org_id, after, MEMBERS_STEP, &page));
        *ret += (int64_t)page.count;
        if (page.count)
            after = text_lower(r->a, page.items[page.count - 1].account.name);
    } while (page.count == MEMBERS_STEP && *ret < MEMBERS_MAX);
    return OK;
}

err hub_org_overview(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct account org;
    int64_t members;

    TRY(find_org(r, &org));
    TRY(count_members(r, org.id, &members));
    json_obj(j);
    json_kv_str(j, "_id", org.oid);
    json_kv_str(j, "avatarUrl", people_avatar(r, org.name));
    json_kv_str(j, "name", org.name);
    json_kv_str(j, "fullname", full_name(&org));
    json_kv_str(j, "type", STR("org"));
    json_kv_bool(j, "isVerified", false);
    json_kv_i64(j, "numUsers", members);
    TRY(put_counts(r, j, &org));
    json_kv_i64(j, "numFollowers", 0);
    json_obj_end(j);
    return reply_json(r, 200, j);
}

/* --- members --- */

static err role_in(struct req *r, const struct account *org, enum member_role *ret)
{
    const struct account *me = auth_account(r);

    *ret = MEMBER_NONE;
    if (!me)
        return OK;
    if (auth_sees_all(r)) {
        *ret = MEMBER_ADMIN;
        return OK;
    }
    return member_role_of(r->store->hub, org->id, me->id, ret);
}

static void put_member(struct req *r, struct json_out *j, const struct membership *m, bool role)
{
    json_obj(j);
    json_kv_str(j, "_id", m->account.oid);
    json_kv_str(j, "user", m->account.name);
    json_kv_str(j, "fullname", full_name(&m->account));
    json_kv_str(j, "avatarUrl", people_avatar(r, m->account.name));
    json_kv_bool(j, "isPro", false);
    json_kv_str(j, "type", STR("user"));
    if (role)
        json_kv_str(j, "role", member_role_word(m->role));
    json_obj_end(j);
}

static bool matches(struct req *r, const struct account *account, str search)
{
    return search.len == 0 || str_has(text_lower(r->a, account->name), search) ||
           str_has(text_lower(r->a, account->full_name), search);
}

/* Members after `after`, up to `limit` that match; *ret_next is where the page ended. */
static err put_members(struct req *r, struct json_out *j, const struct account *org, str after,
                       size_t limit, str *ret_next)
{
    str search = text_lower(r->a, req_query(r, "search"));
    struct membership_list page = {.count = MEMBERS_STEP};
    enum member_role mine;
    size_t shown = 0;

    *ret_next = STR_NONE;
    TRY(role_in(r, org, &mine));
    while (page.count == MEMBERS_STEP) {
        TRY(member_list(r->store->hub, r->a, org->id, after, MEMBERS_STEP, &page));
        for (size_t i = 0; i < page.count; i++) {
            if (matches(r, &page.items[i].account, search)) {
                if (shown == limit) {
                    *ret_next = after;
                    return OK;
                }
                put_member(r, j, &page.items[i], mine == MEMBER_ADMIN);
                shown++;
            }
            after = text_lower(r->a, page.items[i].account.name);
        }
    }
    return OK;
}

err hub_org_members(struct req *r)
{
    str text = req_query(r, "limit"), cursor = req_query(r, "cursor"), after = STR(""), next;
    struct json_out *j = json_out_new(r->a);
    uint64_t limit = MEMBERS_DEFAULT;
    struct account org;

    TRY(find_org(r, &org));
    if (text.len && !str_u64(text, &limit))
        return err_new(r->a, 400, NULL, "\"limit\" must be a number.");
    limit = limit < MEMBERS_MIN ? MEMBERS_MIN : limit > MEMBERS_MAX ? MEMBERS_MAX : limit;
    if (cursor.len && !base64_decode(r->a, cursor, &after))
        return err_new(r->a, 400, NULL, "This cursor is none of ours.");
    json_arr(j);
    TRY(put_members(r, j, &org, after, (size_t)limit, &next));
    json_arr_end(j);
    if (next.ptr)
        reply_next_link(r, base64url_encode(r->a, next.ptr, next.len));
    return reply_json(r, 200, j);
}

/* --- what somebody owns --- */

struct owned {
    struct req *r;
    const struct account *owner;
    struct repo *items;
    size_t count;
    bool has_kind;
    enum repo_kind kind;
};

static err collect(struct owned *o, enum repo_kind kind)
{
    struct repo_query q = {.kind = kind,
                           .viewer = auth_account(o->r),
                           .author = o->owner->name,
                           .sees_all = auth_sees_all(o->r),
                           .sort = SORT_ID,
                           .limit = 1000,
                           .without_card = true,
                           .without_meta = true};
    str search = req_query(o->r, "search");
    struct repo_list page;

    if (search.len)
        q.search[q.search_count++] = str_first(search, 200);
    do {
        TRY(repo_list(o->r->store, o->r->a, &q, &page));
        for (size_t i = 0; i < page.count && o->count < OWNED_MAX; i++)
            o->items[o->count++] = page.items[i];
        q.cursor = page.cursor;
    } while (page.cursor.ptr && o->count < OWNED_MAX);
    return OK;
}

static int by_storage(const void *x, const void *y)
{
    const struct repo *p = x, *q = y;

    return p->used_storage > q->used_storage ? -1 : p->used_storage < q->used_storage;
}

static int by_update(const void *x, const void *y)
{
    const struct repo *p = x, *q = y;

    return p->updated_at_ms > q->updated_at_ms ? -1 : p->updated_at_ms < q->updated_at_ms;
}

static void reverse(struct repo *items, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct repo swap = items[i];

        items[i] = items[count - 1 - i];
        items[count - 1 - i] = swap;
    }
}

static err sort_owned(struct owned *o)
{
    str sort = req_query(o->r, "sort"), direction = req_query(o->r, "direction");

    if (sort.len && !str_eq(sort, STR("storage")) && !str_eq(sort, STR("updatedAt")))
        return err_new(o->r->a, 400, NULL, "\"sort\" must be one of [storage, updatedAt]");
    if (o->count)
        qsort(o->items, o->count, sizeof *o->items,
              str_eq(sort, STR("updatedAt")) ? by_update : by_storage);
    if (str_eq(direction, STR("1")) || str_ieq(direction, STR("asc")))
        reverse(o->items, o->count);
    return OK;
}

static void put_owned(struct json_out *j, const struct repo *repo, int64_t total)
{
    json_obj(j);
    json_kv_str(j, "id", repo->full_name);
    json_kv_str(j, "type", repo_kind_word(repo->kind));
    json_kv_time(j, "updatedAt", repo->updated_at_ms);
    json_kv_str(j, "visibility", repo->is_private ? STR("private") : STR("public"));
    json_kv_i64(j, "storage", repo->used_storage);
    json_key(j, "storagePercent");
    json_put_real(j, total > 0 ? (double)repo->used_storage * 100 / (double)total : 0);
    json_obj_end(j);
}

static err reply_owned(struct req *r, const struct account *owner)
{
    struct owned o = {.r = r, .owner = owner, .items = arena_many(r->a, struct repo, OWNED_MAX)};
    str type = req_query(r, "type"), text = req_query(r, "limit");
    struct json_out *j = json_out_new(r->a);
    uint64_t limit = OWNED_DEFAULT;
    int64_t total;

    if (text.len && !str_u64(text, &limit))
        return err_new(r->a, 400, NULL, "\"limit\" must be a number.");
    o.has_kind = repo_kind_parse(type, &o.kind);
    for (int k = 0; k < REPO_KINDS; k++)
        if (type.len == 0 || (o.has_kind && o.kind == (enum repo_kind)k))
            TRY(collect(&o, (enum repo_kind)k));
    TRY(sort_owned(&o));
    TRY(repo_owner_storage(r->store->hub, owner->id, &total));
    json_arr(j);
    for (size_t i = 0; i < o.count && i < limit; i++)
        put_owned(j, &o.items[i], total);
    json_arr_end(j);
    return reply_json(r, 200, j);
}

/* A fine-grained token speaks for single repositories, not for its user's whole account. */
static err whole_account(struct req *r)
{
    bool sees_all;

    if (hub_viewer(r, &sees_all))
        return OK;
    return err_new(r->a, 403, NULL, "This token may not list all repositories of its user.");
}

err hub_my_repositories(struct req *r)
{
    TRY(whole_account(r));
    return reply_owned(r, auth_account(r));
}

err hub_org_repositories(struct req *r)
{
    enum member_role mine;
    struct account org;

    TRY(whole_account(r));
    TRY(find_org(r, &org));
    TRY(role_in(r, &org, &mine));
    if (mine == MEMBER_NONE)
        return err_new(r->a, 403, NULL, "Only members of %.*s may see this list.",
                       STR_FMT(org.name));
    return reply_owned(r, &org);
}
