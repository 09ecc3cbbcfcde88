/* pull.c — see pull.h; and the API of one pull request (hub-api.md 15.3, 15.4). */
#include "hub/pull.h"
#include "git/walk.h"
#include "hub/hub.h"
#include "hub/people.h"
#include "store/diff.h"
#include "store/object.h"

static const struct err_info not_yours = {
    403, NULL, STR_INIT("Only its author and people who may write here can do this."), NULL, {0}};
static const struct err_info no_merge_right = {
    403, NULL, STR_INIT("Only people who may write here can merge."), NULL, {0}};

/* --- what it is --- */

static err find_fork(struct req *r, struct pull *p)
{
    struct arena *scratch;
    bool found = false;
    err e;

    if (p->head.id == 0 || p->base.id == 0)
        return OK;
    scratch = arena_new(0);
    e = err_copy(r->a,
                 history_base(p->odb, scratch, p->base.peeled, p->head.peeled, &p->fork, &found));
    arena_free(scratch);
    if (!found)
        p->fork = OID_ZERO;
    return e;
}

static err tree_of(struct odb *o, struct arena *a, oid commit, oid *ret)
{
    struct commit_obj c;

    *ret = OID_ZERO;
    if (sha1_is_zero(commit))
        return OK;
    TRY(commit_read(o, a, commit, &c));
    *ret = c.tree;
    return OK;
}

static err merge_onto(struct odb *o, struct arena *a, const struct pull *p, oid ours,
                      struct merge_result *ret)
{
    oid base, theirs;

    TRY(tree_of(o, a, p->fork, &base));
    TRY(tree_of(o, a, p->head.peeled, &theirs));
    return merge_trees(o, a, base, ours, theirs, ret);
}

static bool is_open(const struct pull *p)
{
    return str_eq(p->row.status, STR("open")) || str_eq(p->row.status, STR("draft"));
}

static err find_conflicts(struct req *r, struct pull *p)
{
    struct merge_result m;
    oid ours;

    if (!p->row.is_pull_request || !is_open(p) || p->head.id == 0 || p->base.id == 0)
        return OK;
    TRY(tree_of(p->odb, r->a, p->base.peeled, &ours));
    TRY(merge_onto(p->odb, r->a, p, ours, &m));
    p->conflicts = m.conflicts;
    p->conflict_count = m.conflict_count;
    return OK;
}

err pull_find(struct req *r, int64_t number, struct pull *ret)
{
    enum access access;

    *ret = (struct pull){.odb = object_odb(r->store, r->a, r->repo->id), .fork = OID_ZERO};
    TRY(discussion_find(r->store->hub, r->a, r->repo->id, number, &ret->row));
    if (ret->row.id == 0)
        return err_new(r->a, 404, NULL, "There is no discussion %lld here.", (long long)number);
    TRY(ref_find(r->store->hub, r->a, r->repo->id,
                 arena_printf(r->a, "refs/pr/%lld", (long long)number), &ret->head));
    if (ret->row.base.len)
        TRY(ref_find(r->store->hub, r->a, r->repo->id, ret->row.base, &ret->base));
    TRY(auth_access(r, r->repo, &access));
    ret->may_write = access >= ACCESS_WRITE;
    ret->is_author = r->user && auth_may_write(r) && r->user->account.id == ret->row.author_id;
    TRY(find_fork(r, ret));
    return find_conflicts(r, ret);
}

err pull_commits(struct req *r, const struct pull *p, struct oid_list *ret)
{
    struct arena *scratch;
    err e;

    if (p->head.id == 0)
        return OK;
    scratch = arena_new(0);
    e = err_copy(r->a, history_between(p->odb, scratch, p->fork, p->head.peeled, ret));
    arena_free(scratch);
    return e;
}

err pull_diff(struct req *r, const struct pull *p, size_t max_bytes, str *ret)
{
    *ret = STR("");
    if (p->head.id == 0)
        return OK;
    return diff_text(p->odb, r->a, p->fork, p->head.peeled, max_bytes, ret);
}

/* --- merging and closing --- */

struct merge_job {
    struct req *r;
    const struct pull *p;
    str comment;
};

static err conflict_error(struct arena *a, const struct merge_result *m)
{
    str names = STR("");

    for (size_t i = 0; i < m->conflict_count && i < 10; i++)
        names = arena_cat(a, names, i ? STR(", ") : STR(""), m->conflicts[i]);
    return err_new(a, 409, "MergeConflict",
                   "These files were changed on both sides: %.*s%s. Merge the branch into the pull "
                   "request with git first.",
                   STR_FMT(names), m->conflict_count > 10 ? ", …" : "");
}

static err edits_on(struct odb *o, struct arena *a, oid tree, void *arg,
                    const struct tree_edit **ret, size_t *ret_count)
{
    const struct merge_job *job = arg;
    struct merge_result m;

    TRY(merge_onto(o, a, job->p, tree, &m));
    if (m.conflict_count)
        return conflict_error(a, &m);
    *ret = m.edits;
    *ret_count = m.edit_count;
    return OK;
}

static err note_merge(struct db *tx, oid commit, void *arg)
{
    const struct merge_job *job = arg;

    return discussion_set_status(tx, job->r->a, &job->p->row, job->r->user->account.id, STR("open"),
                                 STR("open"), STR("merged"), job->comment, &commit);
}

err pull_merge(struct req *r, const struct pull *p, str comment, oid *ret)
{
    struct merge_job job = {r, p, comment};
    struct commit_request q = {
        .repo = r->repo,
        .odb = p->odb,
        .ref = p->row.base,
        .edits_on = edits_on,
        .edits_arg = &job,
        .title =
            arena_printf(r->a, "%.*s (#%lld)", STR_FMT(p->row.title), (long long)p->row.number),
        .body = p->row.description.len ? p->row.description : STR_NONE,
        .user_id = r->user ? r->user->account.id : 0,
        .also = note_merge,
        .also_arg = &job,
    };
    struct commit_result done;

    if (!p->may_write)
        return &no_merge_right;
    if (!p->row.is_pull_request || !str_eq(p->row.status, STR("open")) || p->head.id == 0 ||
        p->base.id == 0)
        return err_new(r->a, 409, NULL,
                       "Only an open pull request can be merged; this one is %.*s.",
                       STR_FMT(p->row.status));
    q.author = hub_author(r);
    TRY(commit_apply(r->store, r->a, &q, &done));
    *ret = done.commit;
    return OK;
}

struct status_job {
    struct req *r;
    const struct pull *p;
    str status, comment;
};

static err status_fn(struct db *tx, void *arg)
{
    const struct status_job *x = arg;
    bool opens = str_eq(x->status, STR("open"));

    return discussion_set_status(tx, x->r->a, &x->p->row, x->r->user->account.id,
                                 opens ? STR("closed") : STR("open"), STR("draft"), x->status,
                                 x->comment, NULL);
}

err pull_set_status(struct req *r, const struct pull *p, str status, str comment)
{
    struct status_job x = {r, p, status, comment};

    if (!str_eq(status, STR("open")) && !str_eq(status, STR("closed")))
        return err_new(r->a, 400, NULL, "\"status\" is open or closed.");
    if (!p->may_write && !p->is_author)
        return &not_yours;
    return db_write(r->store->hub, status_fn, &x);
}

/* --- JSON --- */

static void event_begin(struct json_out *j, str id, int64_t at_ms, const char *type)
{
    json_obj(j);
    json_kv_str(j, "id", id);
    json_kv_time(j, "createdAt", at_ms);
    json_kv_str(j, "type", str_c(type));
}

static err put_comment(struct req *r, struct json_out *j, str id, int64_t author, int64_t at_ms,
                       str text)
{
    event_begin(j, id, at_ms, "comment");
    TRY(pull_put_author(r, j, author));
    json_key(j, "data");
    json_obj(j);
    json_kv_bool(j, "edited", false);
    json_kv_bool(j, "hidden", false);
    json_key(j, "latest");
    json_obj(j);
    json_kv_str(j, "raw", text);
    json_kv_str(j, "html", STR(""));
    json_kv_time(j, "updatedAt", at_ms);
    TRY(pull_put_author(r, j, author));
    json_obj_end(j);
    json_kv_i64(j, "numEdits", 0);
    json_kv_raw(j, "editors", STR("[]"));
    json_kv_raw(j, "reactions", STR("[]"));
    json_obj_end(j);
    json_obj_end(j);
    return OK;
}

static err put_commits(struct req *r, struct json_out *j, const struct pull *p)
{
    AUTO_OIDS struct oid_list list = {0};
    struct arena *scratch = arena_new(0);
    err e = pull_commits(r, p, &list);

    for (size_t i = list.count; i-- > 0 && !e;) {
        struct commit_obj c;

        arena_reset(scratch);
        e = err_copy(r->a, commit_read(p->odb, scratch, list.ids[i], &c));
        if (e)
            break;
        event_begin(j, str_first(sha1_hex(r->a, list.ids[i]), 24), c.committer.time_s * 1000,
                    "commit");
        e = pull_put_author(r, j, p->row.author_id);
        json_key(j, "data");
        json_obj(j);
        json_kv_str(j, "subject", c.title);
        json_kv_str(j, "oid", sha1_hex(r->a, list.ids[i]));
        json_obj_end(j);
        json_obj_end(j);
    }
    arena_free(scratch);
    return e;
}

static err put_event(struct req *r, struct json_out *j, const struct discussion_event *x)
{
    if (str_eq(x->type, STR("comment")))
        return put_comment(r, j, x->oid, x->author_id, x->at_ms, x->body);
    event_begin(j, x->oid, x->at_ms, "status-change");
    TRY(pull_put_author(r, j, x->author_id));
    json_key(j, "data");
    json_obj(j);
    json_kv_str(j, "status", x->body);
    json_obj_end(j);
    json_obj_end(j);
    return OK;
}

static err put_events(struct req *r, struct json_out *j, const struct pull *p)
{
    struct discussion_events list;

    TRY(discussion_events(r->store->hub, r->a, p->row.id, &list));
    json_key(j, "events");
    json_arr(j);
    TRY(put_comment(r, j, p->row.oid, p->row.author_id, p->row.created_at_ms, p->row.description));
    TRY(put_commits(r, j, p));
    for (size_t i = 0; i < list.count; i++)
        TRY(put_event(r, j, &list.items[i]));
    json_arr_end(j);
    return OK;
}

static void put_changes(struct req *r, struct json_out *j, const struct pull *p)
{
    json_key(j, "filesWithConflicts");
    json_arr(j);
    for (size_t i = 0; i < p->conflict_count; i++)
        json_put_str(j, p->conflicts[i]);
    json_arr_end(j);
    json_key(j, "changes");
    json_obj(j);
    json_kv_str(j, "base", p->row.base);
    if (p->row.is_merged)
        json_kv_str(j, "mergeCommitId", sha1_hex(r->a, p->row.merge_commit));
    if (p->head.id)
        json_kv_str(j, "headCommitId", sha1_hex(r->a, p->head.peeled));
    json_obj_end(j);
}

/* --- routes --- */

static err from_path(struct req *r, struct pull *ret)
{
    int64_t number = 0;

    if (!str_i64(req_param(r, "num"), &number) || number < 1)
        return err_new(r->a, 404, NULL, "A discussion is named by its number.");
    return pull_find(r, number, ret);
}

err hub_discussion(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct pull p;
    str diff;

    TRY(from_path(r, &p));
    json_obj(j);
    json_kv_str(j, "_id", p.row.oid);
    json_kv_i64(j, "num", p.row.number);
    TRY(pull_put_author(r, j, p.row.author_id));
    json_key(j, "repo");
    json_obj(j);
    json_kv_str(j, "name", r->repo->full_name);
    json_kv_str(j, "type", repo_kind_word(r->repo->kind));
    json_obj_end(j);
    json_kv_str(j, "title", p.row.title);
    json_kv_time(j, "createdAt", p.row.created_at_ms);
    json_kv_str(j, "status", p.row.status);
    TRY(put_events(r, j, &p));
    json_kv_bool(j, "pinned", false);
    json_kv_bool(j, "locked", false);
    json_kv_str(j, "collection", STR("discussions"));
    json_kv_bool(j, "isPullRequest", p.row.is_pull_request);
    json_kv_bool(j, "isReport", false);
    if (p.row.is_pull_request) {
        put_changes(r, j, &p);
        if (req_query_bool(r, "diff")) {
            TRY(pull_diff(r, &p, DIFF_TEXT_MAX, &diff));
            json_kv_str(j, "diff", diff);
        }
        json_kv_str(j, "diffUrl",
                    arena_printf(r->a, "%.*s/discussions/%lld.diff",
                                 STR_FMT(hub_repo_url(r, r->repo)), (long long)p.row.number));
    }
    json_obj_end(j);
    return reply_json(r, 200, j);
}

static str comment_of(struct req *r)
{
    str comment = json_get_str(r->json, "comment");

    return comment.ptr ? comment : STR("");
}

err hub_discussion_status(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct discussion_events list;
    struct pull p;

    TRY(from_path(r, &p));
    TRY(pull_set_status(r, &p, json_get_str(r->json, "status"), comment_of(r)));
    TRY(discussion_events(r->store->hub, r->a, p.row.id, &list));
    json_obj(j);
    json_key(j, "newStatus");
    TRY(put_event(r, j, &list.items[list.count - 1]));
    json_obj_end(j);
    return reply_json(r, 200, j);
}

err hub_discussion_merge(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct pull p;
    oid commit;

    TRY(from_path(r, &p));
    TRY(pull_merge(r, &p, comment_of(r), &commit));
    json_obj(j);
    json_kv_bool(j, "success", true);
    json_kv_str(j, "mergeCommitId", sha1_hex(r->a, commit));
    json_obj_end(j);
    return reply_json(r, 200, j);
}
