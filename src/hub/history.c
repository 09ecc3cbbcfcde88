/* history.c — references, commits, comparisons of one repository. */
#include "git/object.h"
#include "git/walk.h"
#include "hub/hub.h"
#include "hub/people.h"
#include "store/diff.h"
#include "store/object.h"
#include <stdlib.h>

#define COMMITS_DEFAULT 50
#define COMMITS_MAX 1000
#define COAUTHORS_MAX 10

/* --- references --- */

static void put_ref(struct req *r, struct json_out *j, const struct ref *ref, str name)
{
    json_obj(j);
    json_kv_str(j, "name", name);
    json_kv_str(j, "ref", ref->name);
    json_kv_str(j, "targetCommit", sha1_hex(r->a, ref->peeled));
    json_obj_end(j);
}

static bool is_main(const struct ref *ref)
{
    return str_eq(ref->name, STR("refs/heads/main"));
}

/* The references below `prefix`; main goes first. */
static void put_refs(struct req *r, struct json_out *j, const char *key, str prefix,
                     const struct ref_list *list)
{
    json_key(j, key);
    json_arr(j);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < list->count; i++) {
            str name = list->items[i].name;

            if (is_main(&list->items[i]) == (pass == 0) && str_skip(&name, prefix))
                put_ref(r, j, &list->items[i], name);
        }
    json_arr_end(j);
}

static uint64_t number_of(const struct ref *ref)
{
    str name = ref->name;
    uint64_t n = 0;

    return str_skip(&name, STR("refs/pr/")) && str_u64(name, &n) ? n : UINT64_MAX;
}

static int by_number(const void *x, const void *y)
{
    uint64_t p = number_of(x), q = number_of(y);

    return p < q ? -1 : p > q;
}

err hub_refs(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct ref_list list;

    TRY(ref_list(r->store->hub, r->a, r->repo->id, &list));
    json_obj(j);
    put_refs(r, j, "branches", STR("refs/heads/"), &list);
    put_refs(r, j, "converts", STR("refs/convert/"), &list);
    put_refs(r, j, "tags", STR("refs/tags/"), &list);
    if (req_query_bool(r, "include_prs")) {
        if (list.count)
            qsort(list.items, list.count, sizeof *list.items, by_number);
        put_refs(r, j, "pullRequests", STR("refs/pr/"), &list);
    }
    json_obj_end(j);
    return reply_json(r, 200, j);
}

/* --- commits --- */

struct history {
    struct req *r;
    struct json_out *j;
    struct odb *odb;
    struct arena *scratch; /* reset for each commit: messages have no limit of their own */
    struct people_authors authors;
    bool formatted;
};

static err put_author(struct history *h, str name, str email)
{
    bool known;
    str user;

    TRY(people_author(&h->authors, name, email, &user, &known));
    json_obj(h->j);
    json_kv_str(h->j, "user", user);
    if (known)
        json_kv_str(h->j, "avatar", people_avatar(h->r, user));
    json_obj_end(h->j);
    return OK;
}

/* "Co-authored-by: Name <email>" lines of the message. */
static err put_coauthors(struct history *h, str body)
{
    for (int count = 0; body.ptr && count < COAUTHORS_MAX;) {
        str line = str_trim(str_cut(&body, '\n')), name;

        if (!str_iskip(&line, STR("co-authored-by:")) || !str_drop(&line, STR(">")))
            continue;
        name = str_cut(&line, '<');
        if (!line.ptr)
            continue;
        TRY(put_author(h, str_trim(name), str_trim(line)));
        count++;
    }
    return OK;
}

static str escaped(struct arena *a, str text)
{
    struct buf b = BUF(text.len * 6 + 1);
    str out;

    for (size_t i = 0; i < text.len; i++)
        switch (text.ptr[i]) {
        case '&':
            buf_add(&b, STR("&amp;"));
            break;
        case '<':
            buf_add(&b, STR("&lt;"));
            break;
        case '>':
            buf_add(&b, STR("&gt;"));
            break;
        case '"':
            buf_add(&b, STR("&quot;"));
            break;
        case '\'':
            buf_add(&b, STR("&#39;"));
            break;
        case '\n':
            buf_add(&b, STR("<br>\n"));
            break;
        default:
            buf_addc(&b, text.ptr[i]);
        }
    out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return out;
}

static err put_commit(struct history *h, oid id)
{
    struct commit_obj c;
    char hex[40];

    arena_reset(h->scratch);
    TRY(commit_read(h->odb, h->scratch, id, &c));
    hex_write(hex, id.b, sizeof id.b);
    json_obj(h->j);
    json_kv_str(h->j, "id", (str){hex, sizeof hex});
    json_kv_str(h->j, "title", c.title);
    json_kv_str(h->j, "message", c.body);
    json_key(h->j, "authors");
    json_arr(h->j);
    TRY(put_author(h, c.author.name, c.author.email));
    TRY(put_coauthors(h, c.body));
    json_arr_end(h->j);
    json_kv_time(h->j, "date", c.committer.time_s * 1000);
    if (h->formatted) {
        json_key(h->j, "formatted");
        json_obj(h->j);
        json_kv_str(h->j, "title", escaped(h->scratch, c.title));
        json_kv_str(h->j, "message", escaped(h->scratch, c.body));
        json_obj_end(h->j);
    }
    json_obj_end(h->j);
    return OK;
}

static err put_commits(struct history *h, const struct oid_list *list)
{
    err e = OK;

    h->scratch = arena_new(0);
    json_arr(h->j);
    for (size_t i = 0; i < list->count && !e && !h->j->buf.full; i++)
        e = put_commit(h, list->ids[i]);
    e = err_copy(h->r->a, e);
    arena_free(h->scratch);
    if (!e)
        json_arr_end(h->j);
    return e;
}

static err read_number(struct req *r, const char *name, uint64_t fallback, uint64_t max,
                       uint64_t *ret)
{
    str text = req_query(r, name);
    uint64_t n = fallback;

    if (text.len && !str_u64(text, &n))
        return err_new(r->a, 400, NULL, "\"%s\" must be a number.", name);
    *ret = n > max ? max : n;
    return OK;
}

/* The same address with another p. */
static void link_page(struct req *r, uint64_t page)
{
    str url = arena_cat(r->a, r->base, r->path, STR("?"));

    for (size_t i = 0; i < r->query.count; i++) {
        const struct url_pair *p = &r->query.pairs[i];

        if (!str_eq(p->name, STR("p")))
            url = arena_cat(r->a, url, url_encode(r->a, p->name), STR("="),
                            url_encode(r->a, p->value), STR("&"));
    }
    reply_header(
        r, "Link",
        arena_printf(r->a, "<%.*sp=%llu>; rel=\"next\"", STR_FMT(url), (unsigned long long)page));
}

static bool asks_formatted(const struct req *r)
{
    for (size_t i = 0; i < r->query.count; i++)
        if (str_eq(r->query.pairs[i].name, STR("expand")) &&
            str_eq(r->query.pairs[i].value, STR("formatted")))
            return true;
    return false;
}

static err page_of(struct odb *o, struct arena *a, oid tip, size_t skip, size_t limit,
                   struct oid_list *ret, size_t *ret_total)
{
    struct arena *scratch = arena_new(0);
    err e = err_copy(a, history_page(o, scratch, tip, skip, limit, ret, ret_total));

    arena_free(scratch);
    return e;
}

err hub_commits(struct req *r)
{
    struct history h = {.r = r, .authors = {.r = r}, .formatted = asks_formatted(r)};
    uint64_t page, limit;
    struct revision rev;
    AUTO_OIDS struct oid_list list = {0};
    size_t total = 0;

    TRY(read_number(r, "p", 0, 1u << 30, &page));
    TRY(read_number(r, "limit", COMMITS_DEFAULT, COMMITS_MAX, &limit));
    limit = limit ? limit : 1;
    TRY(hub_revision(r, &rev));
    h.j = json_out_new(r->a);
    h.odb = object_odb(r->store, r->a, r->repo->id);
    TRY(page_of(h.odb, r->a, rev.commit, (size_t)(page * limit), (size_t)limit, &list, &total));
    TRY(put_commits(&h, &list));
    reply_header(r, "X-Total-Count", arena_printf(r->a, "%zu", total));
    if ((page + 1) * limit < total)
        link_page(r, page + 1);
    return reply_json(r, 200, h.j);
}

/* --- comparisons --- */

/* "a..b", or "a...b" for what b changed since it left a. */
static bool split_range(str range, str *ret_old, str *ret_new, bool *ret_from_base)
{
    for (size_t i = 0; i + 1 < range.len; i++) {
        if (range.ptr[i] != '.' || range.ptr[i + 1] != '.')
            continue;
        *ret_from_base = i + 2 < range.len && range.ptr[i + 2] == '.';
        *ret_old = str_first(range, i);
        *ret_new = str_from(range, i + (*ret_from_base ? 3 : 2));
        return true;
    }
    return false;
}

static err find_base(struct odb *o, struct arena *a, oid x, oid y, oid *ret)
{
    struct arena *scratch = arena_new(0);
    oid base = OID_ZERO;
    bool found = false;
    err e = err_copy(a, history_base(o, scratch, x, y, &base, &found));

    arena_free(scratch);
    if (!e)
        *ret = found ? base : OID_ZERO;
    return e;
}

err hub_compare(struct req *r)
{
    str range = req_param(r, "range"), old_name, new_name, text;
    struct odb *o = object_odb(r->store, r->a, r->repo->id);
    struct revision old, new;
    struct json_out *j;
    bool from_base;

    if (!split_range(range, &old_name, &new_name, &from_base))
        return err_new(r->a, 400, NULL,
                       "Write two revisions with two dots between them, as in main..refs/pr/1.");
    TRY(revision_find(r->store, r->a, r->repo, old_name.len ? old_name : STR("main"), &old));
    TRY(revision_find(r->store, r->a, r->repo, new_name.len ? new_name : STR("main"), &new));
    if (from_base)
        TRY(find_base(o, r->a, old.commit, new.commit, &old.commit));
    TRY(diff_text(o, r->a, old.commit, new.commit, DIFF_TEXT_MAX, &text));
    if (req_query_bool(r, "raw"))
        return reply_text(r, 200, text);
    j = json_out_new(r->a);
    json_put_str(j, text);
    return reply_json(r, 200, j);
}
