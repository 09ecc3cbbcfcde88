/* repo.c — creating, deleting, moving, duplicating repositories and their settings
 * (hub-api.md 7). */
#include "hub/defaults.h"
#include "hub/hub.h"
#include <string.h>

#define FILES_MAX 100
#define FIRST_FILE_MAX (10u << 20)

static err kind_of(struct req *r, const struct json *type, enum repo_kind *ret)
{
    str word = json_str(type);

    *ret = REPO_MODEL;
    if (!word.ptr || repo_kind_parse(word, ret))
        return OK;
    return err_new(r->a, 400, NULL, "\"type\" must be one of [model, dataset, space]");
}

/* Buckets are made and deleted at an address of their own. */
static err kind_with_git(struct req *r, const struct json *type, const char *method,
                         enum repo_kind *ret)
{
    TRY(kind_of(r, type, ret));
    if (*ret == REPO_BUCKET)
        return err_new(r->a, 400, NULL, "For a bucket send %s /api/buckets/NAMESPACE/NAME instead.",
                       method);
    return OK;
}

/* --- create --- */

static err wants_private(struct req *r, const struct account *owner, bool *ret)
{
    str visibility = json_get_str(r->json, "visibility");
    const struct json *flag = json_get(r->json, "private");

    *ret = settings.default_private || owner->is_private_by_default;
    if (visibility.ptr) {
        *ret = str_eq(visibility, STR("private"));
        if (!*ret && !str_eq(visibility, STR("public")))
            return err_new(r->a, 400, NULL, "\"visibility\" must be one of [public, private]");
    } else if (json_type(flag) == JSON_BOOL) {
        *ret = json_true(flag);
    }
    return OK;
}

struct first_files {
    struct first_file items[FILES_MAX + 4];
    size_t count;
};

/* A later file of the same path replaces the earlier one. */
static void put_file(struct first_files *f, str path, str content)
{
    for (size_t i = 0; i < f->count; i++)
        if (str_eq(f->items[i].path, path)) {
            f->items[i].content = content;
            return;
        }
    f->items[f->count++] = (struct first_file){path, content};
}

static err given_files(struct req *r, struct first_files *f)
{
    const struct json *files = json_get(r->json, "files");

    if (json_len(files) > FILES_MAX)
        return err_new(r->a, 413, NULL,
                       "At most %d files can be given when a repository is created.", FILES_MAX);
    for (size_t i = 0; i < json_len(files); i++) {
        const struct json *one = json_at(files, i);
        str content = json_get_str(one, "content"), path = json_get_str(one, "path");

        if (!content.ptr || !path.len)
            return err_new(r->a, 400, NULL, "Each of \"files\" needs \"path\" and \"content\".");
        if (str_eq(json_get_str(one, "encoding"), STR("base64")) &&
            !base64_decode(r->a, content, &content))
            return err_new(r->a, 400, NULL, "The content of \"%.*s\" is no base64.", STR_FMT(path));
        put_file(f, path, content);
    }
    return OK;
}

static void license_readme(struct req *r, struct first_files *f)
{
    str license = json_get_str(r->json, "license"), text = STR("---\n");
    static const char *const keys[] = {"license", "license_name", "license_link"};

    if (!license.len)
        return;
    for (size_t i = 0; i < 3; i++) {
        str v = json_get_str(r->json, keys[i]);

        if (v.len && str_find(v, '\n') < 0)
            text = arena_cat(r->a, text, str_c(keys[i]), STR(": "), v, STR("\n"));
    }
    put_file(f, STR("README.md"), arena_cat(r->a, text, STR("---\n")));
}

static err space_readme(struct req *r, str name, struct first_files *f)
{
    static const str known[] = {STR_INIT("gradio"), STR_INIT("docker"), STR_INIT("static"),
                                STR_INIT("streamlit")};
    str sdk = json_get_str(r->json, "sdk");
    bool fits = false;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        fits = fits || str_eq(sdk, known[i]);
    if (!fits)
        return err_new(r->a, 400, NULL, "A Space needs \"sdk\": one of [gradio, docker, static]");
    put_file(f, STR("README.md"),
             arena_cat(r->a, STR("---\ntitle: "), name,
                       STR("\nemoji: \xF0\x9F\x94\xA5\ncolorFrom: yellow\ncolorTo: red\nsdk: "),
                       sdk, STR("\npinned: false\n---\n")));
    return OK;
}

static err reply_url(struct req *r, int status, str error, const struct repo *repo)
{
    struct json_out *j = json_out_new(r->a);

    json_obj(j);
    if (error.len)
        json_kv_str(j, "error", error);
    json_kv_str(j, "url", hub_repo_url(r, repo));
    json_kv_str(j, "name", repo->full_name);
    json_kv_str(j, "id", repo->oid);
    json_obj_end(j);
    if (error.len)
        reply_header(r, "X-Error-Message", error);
    return reply_json(r, status, j);
}

/* 409 with the address of the repository that is there already: exist_ok reads it. */
static err reply_exists(struct req *r, enum repo_kind kind, str owner, str name, err conflict)
{
    struct repo *there;

    if (auth_repo(r, kind, arena_cat(r->a, owner, STR("/"), name), ACCESS_READ, &there))
        return conflict;
    return reply_url(r, 409, conflict->text, there);
}

err hub_repo_create(struct req *r)
{
    struct first_files *f = arena_one(r->a, struct first_files);
    str name = json_get_str(r->json, "name"), org = json_get_str(r->json, "organization");
    struct repo_new n = {.creator_id = r->user->account.id};
    ptrdiff_t slash = str_find(name, '/');
    struct account owner;
    struct repo made;
    err e;

    TRY(kind_with_git(r, json_get(r->json, "type"), "POST", &n.kind));
    if (slash > 0 && !org.len) {
        org = str_first(name, (size_t)slash);
        name = str_from(name, (size_t)slash + 1);
    }
    TRY(auth_owner(r, org, &owner));
    TRY(repo_name_check(r->a, name));
    if (owner.name.len + 1 + name.len > 96)
        return err_new(r->a, 400, NULL, "A repository id has at most 96 characters.");
    n.owner = &owner;
    n.name = name;
    TRY(wants_private(r, &owner, &n.is_private));
    put_file(f, STR(".gitattributes"), default_gitattributes(r->a, n.kind));
    if (n.kind == REPO_SPACE)
        TRY(space_readme(r, name, f));
    license_readme(r, f);
    TRY(given_files(r, f));
    e = commit_initial(r->store, r->a, &n, f->items, f->count, hub_author(r), &made);
    if (e && e->status == 409)
        return reply_exists(r, n.kind, owner.name, name, e);
    TRY(e);
    return reply_url(r, 200, STR_NONE, &made);
}

/* --- delete --- */

err hub_repo_delete(struct req *r)
{
    str name = json_get_str(r->json, "name"), org = json_get_str(r->json, "organization");
    enum repo_kind kind;
    struct repo *repo;

    TRY(kind_with_git(r, json_get(r->json, "type"), "DELETE", &kind));
    if (str_find(name, '/') < 0)
        name = arena_cat(r->a, org.len ? org : r->user->account.name, STR("/"), name);
    TRY(auth_repo(r, kind, name, ACCESS_ADMIN, &repo));
    TRY(repo_hide(r->store, repo->id));
    return reply_text(r, 200, STR("OK"));
}

/* --- move --- */

err hub_repo_move(struct req *r)
{
    str from = json_get_str(r->json, "fromRepo"), to = json_get_str(r->json, "toRepo"), name = to,
        ns;
    enum repo_kind kind;
    struct account owner;
    struct repo *repo;

    TRY(kind_of(r, json_get(r->json, "type"), &kind));
    ns = str_cut(&name, '/');
    if (!from.len || !name.len)
        return err_new(r->a, 400, NULL, "\"fromRepo\" and \"toRepo\" are ids like namespace/name.");
    TRY(auth_repo(r, kind, from, ACCESS_ADMIN, &repo));
    TRY(auth_owner(r, ns, &owner));
    TRY(repo_name_check(r->a, name));
    TRY(repo_move(r->store, r->a, repo, &owner, name));
    TRY(repo_by_id(r->store->hub, r->a, repo->id, repo));
    return reply_url(r, 200, STR_NONE, repo);
}

/* --- settings --- */

err hub_repo_settings(struct req *r)
{
    str visibility = json_get_str(r->json, "visibility");
    const struct json *flag = json_get(r->json, "private"), *gated = json_get(r->json, "gated");
    struct json_out *j = json_out_new(r->a);
    bool is_private = r->repo->is_private;

    if (json_type(gated) == JSON_STR || json_true(gated))
        return err_new(
            r->a, 400, NULL,
            "This hub has no access requests yet, so a repository cannot be gated; make it private "
            "and add members to its organization instead.");
    if (visibility.ptr && !str_eq(visibility, STR("public")) && !str_eq(visibility, STR("private")))
        return err_new(r->a, 400, NULL, "\"visibility\" must be one of [public, private]");
    if (visibility.ptr)
        is_private = str_eq(visibility, STR("private"));
    else if (json_type(flag) == JSON_BOOL)
        is_private = json_true(flag);
    if (is_private != r->repo->is_private)
        TRY(repo_set_private(r->store, r->repo->id, is_private));
    json_obj(j);
    json_kv_bool(j, "private", is_private);
    json_kv_str(j, "visibility", is_private ? STR("private") : STR("public"));
    if (gated)
        json_kv_bool(j, "gated", false);
    json_obj_end(j);
    return reply_json(r, 200, j);
}

/* --- duplicate --- */

struct duplicate_args {
    struct arena *a;
    const struct repo *from;
    const struct repo_new *n;
    struct repo to;
};

static err duplicate_rows(struct db *tx, void *arg)
{
    struct duplicate_args *x = arg;

    TRY(repo_insert(tx, x->a, x->n, &x->to));
    TRY(repo_file_copy_all(tx, x->from->id, x->to.id));
    return repo_set_storage(tx, x->to.id);
}

static err duplicate_refs(struct req *r, const struct duplicate_args *x)
{
    struct ref_change_result result;
    struct ref_list refs;

    TRY(ref_list(r->store->hub, r->a, x->from->id, &refs));
    for (size_t i = 0; i < refs.count; i++) {
        struct ref_change c = {.name = refs.items[i].name, .new_oid = refs.items[i].oid};

        if (str_starts(c.name, STR("refs/pr/")))
            continue; /* pull requests stay where they were opened */
        TRY(ref_update(r->store, r->a, &x->to, &c, 1, true, &result));
        TRY(result.failed);
    }
    return OK;
}

static err duplicate(struct req *r, struct duplicate_args *x)
{
    err e = db_write(r->store->hub, duplicate_rows, x);

    if (e == &db_unique)
        return err_new(r->a, 409, NULL, "You already created this %.*s repo",
                       STR_FMT(repo_kind_word(x->n->kind)));
    TRY(e);
    e = object_copy_all(r->store, x->from->id, x->to.id);
    if (!e)
        e = duplicate_refs(r, x);
    if (e && repo_hide(r->store, x->to.id)) {
        /* the half copy stays until its owner deletes it */
    }
    return e;
}

err hub_repo_duplicate(struct req *r)
{
    str to = json_get_str(r->json, "repository"), name = to, ns = STR_NONE;
    struct duplicate_args x = {.a = r->a, .from = r->repo};
    struct repo_new n = {.kind = r->repo->kind};
    struct account owner;
    bool is_private;
    err e;

    if (str_find(to, '/') >= 0)
        ns = str_cut(&name, '/');
    TRY(auth_owner(r, ns, &owner));
    TRY(repo_name_check(r->a, name));
    TRY(wants_private(r, &owner, &is_private));
    n.is_private = is_private ||
                   (r->repo->is_private && json_type(json_get(r->json, "private")) != JSON_BOOL &&
                    !json_get_str(r->json, "visibility").ptr);
    n.owner = &owner;
    n.name = name;
    n.creator_id = r->user->account.id;
    x.n = &n;
    e = duplicate(r, &x);
    if (e && e->status == 409)
        return reply_exists(r, n.kind, owner.name, name, e);
    TRY(e);
    return reply_url(r, 200, STR_NONE, &x.to);
}

/* Reached only by those whom the route's scope lets through. */
err hub_auth_check(struct req *r)
{
    return reply_text(r, 200, STR("OK"));
}
