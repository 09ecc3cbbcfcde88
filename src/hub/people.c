/* people.c — see people.h. */
#include "hub/people.h"
#include "hub/hub.h"
#include <string.h>

#define EMAIL_MAX 320 /* bytes; a longer one is no address */

str people_avatar(struct req *r, str name)
{
    return arena_cat(r->a, r->base, STR("/api/avatars/"), url_encode(r->a, name));
}

void people_put(struct req *r, struct json_out *j, const struct account *user)
{
    json_obj(j);
    json_kv_str(j, "_id", user->oid);
    json_kv_str(j, "user", user->name);
    json_kv_str(j, "fullname", user->full_name.len ? user->full_name : user->name);
    json_kv_str(j, "avatarUrl", people_avatar(r, user->name));
    json_kv_bool(j, "isPro", false);
    json_kv_str(j, "type", STR("user"));
    json_obj_end(j);
}

/* NAME of NAME@users.noreply.anything. */
static str noreply_name(str email)
{
    ptrdiff_t at = str_rfind(email, '@');

    if (at <= 0 || !str_starts(str_from(email, (size_t)at + 1), STR("users.noreply.")))
        return STR_NONE;
    return str_first(email, (size_t)at);
}

static err find_account(struct req *r, str email, struct account *ret)
{
    str name = noreply_name(email);

    *ret = (struct account){0};
    if (name.len)
        return account_find(r->store->hub, r->a, name, ret);
    return email.len ? account_by_email(r->store->hub, r->a, email, ret) : OK;
}

static void remember(struct people_authors *p, str email, str user)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct people_author *wider = arena_many(p->r->a, struct people_author, cap);

        if (p->count)
            memcpy(wider, p->items, p->count * sizeof *wider);
        p->items = wider;
        p->cap = cap;
    }
    p->items[p->count++] = (struct people_author){arena_str(p->r->a, email), user};
}

err people_author(struct people_authors *p, str name, str email, str *ret_user, bool *ret_known)
{
    struct account account;
    size_t i = 0;

    if (email.len > EMAIL_MAX) {
        *ret_known = false;
        *ret_user = name;
        return OK;
    }
    while (i < p->count && !str_ieq(p->items[i].email, email))
        i++;
    if (i == p->count) {
        TRY(find_account(p->r, email, &account));
        remember(p, email, account.id && account.kind == ACCOUNT_USER ? account.name : STR_NONE);
    }
    *ret_known = p->items[i].user.ptr != NULL;
    *ret_user = *ret_known ? p->items[i].user : name;
    return OK;
}

/* --- pictures --- */

/* A letter on a colour, both from the name. */
static str draw(struct arena *a, str name)
{
    char c = name.ptr[0];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    unsigned hue = (unsigned)(str_hash(text_lower(a, name)) % 360);

    if (c >= 'a' && c <= 'z')
        c = (char)(c - 32);
    return arena_printf(a,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\" "
                        "width=\"64\" height=\"64\"><rect width=\"64\" height=\"64\" "
                        "fill=\"hsl(%u,45%%,45%%)\"/><text x=\"32\" y=\"43\" font-size=\"32\" "
                        "font-family=\"sans-serif\" fill=\"#fff\" text-anchor=\"middle\">%c</text>"
                        "</svg>\n",
                        hue, plain ? c : '?');
}

err hub_avatar(struct req *r)
{
    struct account account;

    TRY(account_find(r->store->hub, r->a, req_param(r, "user"), &account));
    if (account.id == 0)
        return err_new(r->a, 404, NULL, "There is no user or organization of this name.");
    reply_header(r, "Cache-Control", STR("public, max-age=86400"));
    reply_header(r, "Content-Security-Policy",
                 STR("default-src 'none'; style-src 'unsafe-inline'"));
    return reply_bytes(r, 200, "image/svg+xml", draw(r->a, account.name));
}
