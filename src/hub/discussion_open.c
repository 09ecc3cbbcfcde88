/* discussion_open.c — opening a pull request without a commit (hub-api.md 15.2), as uploads of
 * folders do before they commit to its ref. */
#include "hub/hub.h"
#include "store/discussion.h"
#include "store/ref_move.h"

#define TITLE_MIN 3
#define TITLE_MAX 200
#define DESCRIPTION_MAX 65536

static err read_new(struct req *r, struct discussion *d)
{
    d->title = str_trim(json_get_str(r->json, "title"));
    d->description = json_get_str(r->json, "description");
    if (!json_true(json_get(r->json, "pullRequest")))
        return err_new(r->a, 404, NULL,
                       "This hub has no discussions yet, only pull requests: send "
                       "\"pullRequest\": true.");
    if (d->title.len < TITLE_MIN || d->title.len > TITLE_MAX)
        return err_new(r->a, 400, NULL, "\"title\" has %d to %d bytes.", TITLE_MIN, TITLE_MAX);
    if (d->description.len > DESCRIPTION_MAX)
        return err_new(r->a, 400, NULL, "\"description\" has at most %d bytes.", DESCRIPTION_MAX);
    return OK;
}

struct opening {
    struct req *r;
    struct discussion d;
};

static err add_row(struct db *tx, void *arg)
{
    const struct opening *x = arg;

    return discussion_add(tx, x->r->a, &x->d);
}

/* Its row and its ref appear together.  The lock keeps main where it is, and so its head. */
static err open_locked(struct opening *x)
{
    struct req *r = x->r;
    struct odb *odb = object_odb(r->store, r->a, r->repo->id);
    struct ref_change change = {0};
    struct ref_move *move;
    struct ref main_ref;
    bool moved;

    TRY(ref_find(r->store->hub, r->a, r->repo->id, x->d.base, &main_ref));
    if (main_ref.id == 0)
        return err_new(r->a, 404, "RevisionNotFound", "Invalid rev id: main");
    TRY(discussion_number_next(r->store, r->repo->id, &x->d.number));
    change.name = arena_printf(r->a, "refs/pr/%lld", (long long)x->d.number);
    change.new_oid = main_ref.peeled;
    TRY(ref_move_prepare(r->store, r->a, r->repo, odb, &change, &move));
    TRY(ref_move_run(r->store, &move, 1, add_row, x, &moved));
    if (moved)
        return err_new(r->a, 503, NULL, "This number was taken meanwhile; send the request again.");
    return OK;
}

/* A draft: refs/pr/N at the head of main. */
err hub_discussion_create(struct req *r)
{
    struct opening x = {.r = r,
                        .d = {.repo_id = r->repo->id,
                              .author_id = r->user->account.id,
                              .is_pull_request = true,
                              .status = STR("draft"),
                              .base = STR("refs/heads/main")}};
    struct json_out *j = json_out_new(r->a);
    err e;

    TRY(read_new(r, &x.d));
    commit_lock(r->store, r->repo->id);
    e = open_locked(&x);
    commit_unlock(r->store, r->repo->id);
    TRY(e);
    json_obj(j);
    json_kv_str(j, "url",
                arena_printf(r->a, "%.*s/discussions/%lld", STR_FMT(hub_repo_url(r, r->repo)),
                             (long long)x.d.number));
    json_kv_i64(j, "num", x.d.number);
    json_kv_bool(j, "pullRequest", true);
    json_obj_end(j);
    return reply_json(r, 200, j);
}
