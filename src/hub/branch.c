/* branch.c — branches, tags, squash (hub-api.md 12). */
#include "base/clock.h"
#include "git/object.h"
#include "git/refname.h"
#include "hub/hub.h"

static err move_locked(struct req *r, const struct ref_change *c)
{
    struct ref_change_result result;

    if (!sha1_is_zero(c->new_oid))
        TRY(ref_keep(r->store, r->a, r->repo, object_odb(r->store, r->a, r->repo->id), c->new_oid));
    TRY(ref_update(r->store, r->a, r->repo, c, 1, true, &result));
    return result.failed;
}

static err move_ref(struct req *r, str name, oid old, oid new)
{
    struct ref_change c = {name, old, new};
    err e;

    commit_lock(r->store, r->repo->id);
    e = move_locked(r, &c);
    commit_unlock(r->store, r->repo->id);
    return e;
}

static err reply_done(struct req *r)
{
    return reply_bytes(r, 200, "application/json; charset=utf-8", STR("{}"));
}

static err write_commit(struct req *r, struct odb *o, oid tree, str message, oid *ret)
{
    struct commit_author who = hub_author(r);
    struct commit_obj c = {
        .tree = tree,
        .author = {who.name, who.email, clock_ms() / 1000, 0},
        .message = message,
    };

    c.committer = c.author;
    TRY(odb_write(o, r->a, OBJ_COMMIT, commit_format(r->a, &c), ret));
    return object_flush(o);
}

/* A branch of its own line with one empty commit. */
static err empty_start(struct req *r, oid *ret)
{
    struct odb *o = object_odb(r->store, r->a, r->repo->id);
    oid tree;

    TRY(odb_write(o, r->a, OBJ_TREE, STR(""), &tree));
    return write_commit(r, o, tree, STR("initial commit\n"), ret);
}

err hub_branch_create(struct req *r)
{
    str name = req_param(r, "name"), start = json_get_str(r->json, "startingPoint"), full;
    struct revision from;
    struct ref there;
    oid tip;

    if (str_starts(name, STR("refs/")) || !refname_short_valid(name))
        return err_new(r->a, 400, NULL, "Invalid reference for a branch: %.*s",
                       STR_FMT(str_first(name, 200)));
    full = arena_cat(r->a, STR("refs/heads/"), name);
    TRY(ref_find(r->store->hub, r->a, r->repo->id, full, &there));
    if (there.id && !json_true(json_get(r->json, "overwrite")))
        return err_new(r->a, 409, NULL, "Reference %.*s already exists", STR_FMT(full));
    if (json_true(json_get(r->json, "emptyBranch"))) {
        TRY(empty_start(r, &tip));
    } else {
        TRY(revision_find(r->store, r->a, r->repo, start.len ? start : STR("main"), &from));
        tip = from.commit;
    }
    TRY(move_ref(r, full, there.oid, tip));
    return reply_done(r);
}

err hub_branch_delete(struct req *r)
{
    str name = req_param(r, "name"), full = arena_cat(r->a, STR("refs/heads/"), name);
    struct ref there;

    if (str_eq(name, STR("main")))
        return err_new(r->a, 403, NULL, "Cannot delete refs/heads/main");
    TRY(ref_find(r->store->hub, r->a, r->repo->id, full, &there));
    if (there.id == 0)
        return err_new(r->a, 404, "RevisionNotFound", "Invalid rev id: %.*s",
                       STR_FMT(str_first(name, 200)));
    TRY(move_ref(r, full, there.oid, OID_ZERO));
    return reply_done(r);
}

/* With a message the tag is an object of its own. */
static err tag_object(struct req *r, str name, str message, oid commit, oid *ret)
{
    struct odb *o = object_odb(r->store, r->a, r->repo->id);
    struct commit_author who = hub_author(r);
    struct tag_obj t = {
        .target = commit,
        .type = OBJ_COMMIT,
        .name = name,
        .tagger = {who.name, who.email, clock_ms() / 1000, 0},
        .message = arena_cat(r->a, message, STR("\n")),
    };

    TRY(odb_write(o, r->a, OBJ_TAG, tag_format(r->a, &t), ret));
    return object_flush(o);
}

err hub_tag_create(struct req *r)
{
    str name = json_get_str(r->json, "tag"), message = json_get_str(r->json, "message"), full;
    struct revision at;
    struct ref there;
    oid target;

    TRY(revision_find(r->store, r->a, r->repo, req_param(r, "rev"), &at));
    if (!refname_short_valid(name) || str_starts(name, STR("refs/")))
        return err_new(r->a, 400, NULL, "Invalid reference for a tag: %.*s",
                       STR_FMT(str_first(name, 200)));
    full = arena_cat(r->a, STR("refs/tags/"), name);
    TRY(ref_find(r->store->hub, r->a, r->repo->id, full, &there));
    if (there.id)
        return err_new(r->a, 409, NULL, "Reference %.*s already exists", STR_FMT(full));
    target = at.commit;
    if (message.len)
        TRY(tag_object(r, name, message, at.commit, &target));
    TRY(move_ref(r, full, OID_ZERO, target));
    return reply_done(r);
}

err hub_tag_delete(struct req *r)
{
    str name = req_param(r, "name"), full = arena_cat(r->a, STR("refs/tags/"), name);
    struct ref there;

    TRY(ref_find(r->store->hub, r->a, r->repo->id, full, &there));
    if (there.id == 0)
        return err_new(r->a, 404, "RevisionNotFound", "Invalid rev id: %.*s",
                       STR_FMT(str_first(name, 200)));
    TRY(move_ref(r, full, there.oid, OID_ZERO));
    return reply_done(r);
}

/* Replaces the history of a ref by one commit with the same tree. */
err hub_super_squash(struct req *r)
{
    str message = json_get_str(r->json, "message");
    struct odb *o = object_odb(r->store, r->a, r->repo->id);
    struct commit_obj head;
    struct json_out *j = json_out_new(r->a);
    struct revision at;
    oid squashed;

    TRY(revision_find(r->store, r->a, r->repo, req_param(r, "rev"), &at));
    if (at.ref.id == 0 || str_starts(at.ref.name, STR("refs/tags/")))
        return err_new(r->a, 404, "RevisionNotFound", "Invalid rev id: %.*s",
                       STR_FMT(str_first(req_param(r, "rev"), 200)));
    if (message.len > 500)
        return err_new(r->a, 400, NULL, "A squash message has at most 500 characters.");
    TRY(commit_read(o, r->a, at.commit, &head));
    TRY(write_commit(r, o, head.tree,
                     arena_cat(r->a, message.len ? message : STR("Super-squash branch"), STR("\n")),
                     &squashed));
    TRY(move_ref(r, at.ref.name, at.ref.oid, squashed));
    json_obj(j);
    json_kv_str(j, "commitId", sha1_hex(r->a, squashed));
    json_obj_end(j);
    return reply_json(r, 200, j);
}
