/* commit.c — POST …/commit/{rev}: lines in, one commit out (hub-api.md 11.6).
 *
 * The body is read line by line; a regular file is at most INLINE_FILE_MAX and becomes a git
 * object at once, so that memory holds one line and one batch of objects.  What depends on the
 * tree that the commit builds on (renames, .gitattributes) is derived in edits_on, per attempt.
 */
#include "git/attributes.h"
#include "git/lfs_pointer.h"
#include "hub/commit_line.h"
#include "hub/hub.h"
#include "store/discussion.h"
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES (INLINE_FILE_MAX / 3 * 4 + (1u << 20))
#define READ_BYTES (64u << 10)
#define OPERATIONS_MAX 200000
#define TITLE_MAX 4096

struct op {
    struct tree_edit edit; /* id zero for a rename without content */
    str old_path;
    bool is_lfs;
    sha256 lfs;
};

struct upload {
    struct req *r;
    struct odb *odb;
    struct arena *scratch; /* one line */
    struct op *ops;
    size_t count, cap;
    bool has_header, any_lfs;
    str title, body, parent;
    struct hasher *digest;
    /* create_pr */
    bool is_proposal;
    int64_t number;
    str base_ref;
};

/* --- operations --- */

static struct op *add_op(struct upload *u)
{
    if (u->count == u->cap) {
        struct op *wider = arena_many(u->r->a, struct op, u->cap = u->cap ? u->cap * 2 : 16);

        if (u->count)
            memcpy(wider, u->ops, u->count * sizeof *wider);
        u->ops = wider;
    }
    return &u->ops[u->count++];
}

static err take_header(struct upload *u, const struct commit_line *l)
{
    if (u->has_header)
        return err_new(u->r->a, 400, NULL, "A commit has one header.");
    if (l->summary.len == 0)
        return err_new(u->r->a, 400, NULL, "The commit header needs \"summary\".");
    u->has_header = true;
    if (l->summary.len > TITLE_MAX)
        return err_new(u->r->a, 400, NULL,
                       "\"summary\" has at most %d bytes; the rest belongs into \"description\".",
                       TITLE_MAX);
    u->title = arena_str(u->r->a, l->summary);
    u->body = l->description.len ? arena_str(u->r->a, l->description) : STR_NONE;
    u->parent = l->parent.len ? arena_str(u->r->a, l->parent) : STR_NONE;
    return OK;
}

static err take_file(struct upload *u, const struct commit_line *l, struct op *op)
{
    op->edit.mode = MODE_FILE;
    if (!l->has_content)
        return op->old_path.ptr ? OK
                                : err_new(u->r->a, 400, NULL,
                                          "The file \"%.*s\" needs \"content\".", STR_FMT(l->path));
    if (l->content.len > INLINE_FILE_MAX)
        return err_new(u->r->a, 413, NULL,
                       "\"%.*s\" is larger than 10 MiB: upload it through LFS (clients do "
                       "so after asking preupload).",
                       STR_FMT(l->path));
    return odb_write(u->odb, u->r->a, OBJ_BLOB, l->content, &op->edit.id);
}

/* Presence is per repository: a hash that others uploaded is no key to their bytes. */
static err take_lfs(struct upload *u, const struct commit_line *l, struct op *op)
{
    struct req *r = u->r;
    struct content c;
    bool found;
    str pointer;

    TRY(repo_file_find(r->store->hub, r->repo->id, l->lfs, &c, &found));
    if (!found)
        return err_new(r->a, 422, NULL,
                       "The LFS object %.*s of \"%.*s\" was not uploaded to this repository.",
                       STR_FMT(sha256_hex(r->a, l->lfs)), STR_FMT(l->path));
    if (l->has_size && l->size != c.size)
        return err_new(r->a, 422, NULL, "The LFS object of \"%.*s\" has %llu bytes, not %llu.",
                       STR_FMT(l->path), (unsigned long long)c.size, (unsigned long long)l->size);
    pointer = lfs_pointer_format(u->scratch, (struct lfs_pointer){l->lfs, c.size});
    op->edit.mode = MODE_FILE;
    op->is_lfs = true;
    op->lfs = l->lfs;
    u->any_lfs = true;
    return odb_write(u->odb, r->a, OBJ_BLOB, pointer, &op->edit.id);
}

static err take_line(struct upload *u, const struct commit_line *l)
{
    struct op *op;
    str path;

    if (l->key == COMMIT_HEADER)
        return take_header(u, l);
    if (l->key == COMMIT_UNKNOWN)
        return err_new(u->r->a, 400, NULL,
                       "A commit line's \"key\" is header, file, lfsFile, deletedFile or "
                       "deletedFolder.");
    if (u->count >= OPERATIONS_MAX)
        return err_new(u->r->a, 413, NULL, "A commit has at most %d operations; split it.",
                       OPERATIONS_MAX);
    TRY(commit_path_check(u->r->a, l->path, &path));
    op = add_op(u);
    op->edit.path = arena_str(u->r->a, path);
    if (l->old_path.len) {
        TRY(commit_path_check(u->r->a, l->old_path, &path));
        op->old_path = arena_str(u->r->a, path);
    }
    if (l->key == COMMIT_FILE)
        return take_file(u, l, op);
    if (l->key == COMMIT_LFS_FILE)
        return take_lfs(u, l, op);
    op->edit.is_removal = true;
    return OK;
}

/* --- reading --- */

static err parse_line(struct upload *u, char *line, size_t len)
{
    struct commit_line l;
    err e;

    if (str_trim((str){line, len}).len == 0)
        return OK;
    e = commit_line_parse(u->scratch, line, len, &l);
    if (!e)
        e = take_line(u, &l);
    e = err_copy(u->r->a, e);
    arena_reset(u->scratch);
    return e;
}

static err read_lines(struct upload *u, struct buf *line)
{
    char *piece = arena_alloc(u->r->a, READ_BYTES);
    uint64_t total = 0;
    size_t len;

    for (;;) {
        TRY(http_body_read(u->r, piece, READ_BYTES, &len));
        if (len == 0)
            break;
        total += len;
        if (total > (uint64_t)settings.commit_body_max)
            return err_new(u->r->a, 413, NULL,
                           "A commit request has at most %lld bytes; split it, or upload large "
                           "files through LFS.",
                           (long long)settings.commit_body_max);
        hasher_add(u->digest, piece, len);
        for (str rest = {piece, len}; rest.len;) {
            ptrdiff_t nl = str_find(rest, '\n');

            buf_add(line, nl < 0 ? rest : str_first(rest, (size_t)nl));
            if (line->full)
                return err_new(u->r->a, 413, NULL,
                               "A line of this commit is too long: files above 10 MiB go "
                               "through LFS.");
            if (nl < 0)
                break;
            TRY(parse_line(u, line->ptr, line->len));
            buf_clear(line);
            rest = str_from(rest, (size_t)nl + 1);
        }
    }
    return parse_line(u, line->ptr, line->len); /* the last line may lack its newline */
}

static err legacy_list(struct upload *u, const struct json *list, enum commit_key key)
{
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *one = json_at(list, i);
        struct commit_line l = {.key = key, .path = json_get_str(one, "path")};
        int64_t size;

        if (key == COMMIT_FILE) {
            l.has_content = true;
            l.content = json_get_str(one, "content");
            if (str_eq(json_get_str(one, "encoding"), STR("base64")) &&
                !base64_decode(u->r->a, l.content, &l.content))
                return err_new(u->r->a, 400, NULL, "The content of \"%.*s\" is no base64.",
                               STR_FMT(l.path));
        }
        if (key == COMMIT_LFS_FILE) {
            if (!sha256_from_hex(json_get_str(one, "oid"), &l.lfs))
                return err_new(u->r->a, 400, NULL, "The lfsFile \"%.*s\" needs \"oid\".",
                               STR_FMT(l.path));
            l.has_size = json_i64(json_get(one, "size"), &size) && size >= 0;
            l.size = l.has_size ? (uint64_t)size : 0;
        }
        TRY(take_line(u, &l));
    }
    return OK;
}

/* The older form: one JSON object. */
static err read_legacy(struct upload *u)
{
    struct req *r = u->r;
    struct commit_line header = {.key = COMMIT_HEADER};
    const struct json *j;
    str body;

    TRY(http_body_all(r, (size_t)settings.json_body_max, &body));
    hasher_add(u->digest, body.ptr, body.len);
    TRY(json_parse(r->a, body, &j));
    header.summary = json_get_str(j, "summary");
    header.description = json_get_str(j, "description");
    header.parent = json_get_str(j, "parentCommit");
    TRY(take_line(u, &header));
    TRY(legacy_list(u, json_get(j, "files"), COMMIT_FILE));
    TRY(legacy_list(u, json_get(j, "lfsFiles"), COMMIT_LFS_FILE));
    TRY(legacy_list(u, json_get(j, "deletedEntries"), COMMIT_DELETE));
    return legacy_list(u, json_get(j, "deletedFiles"), COMMIT_DELETE);
}

static err read_request(struct upload *u)
{
    AUTO_BUF struct buf line = BUF(LINE_MAX_BYTES);

    if (str_starts(req_header(u->r, "Content-Type"), STR("application/json")))
        TRY(read_legacy(u));
    else
        TRY(read_lines(u, &line));
    if (!u->has_header)
        return err_new(u->r->a, 400, NULL, "The first line of a commit is its header.");
    return OK;
}

/* --- the tree --- */

/* A rename is a removal and, without new content, the old entry under the new path. */
static err rename_edits(struct odb *o, struct arena *a, oid tree, const struct op *op,
                        struct tree_edit *edits, size_t *count)
{
    struct tree_entry old;
    bool found;

    TRY(tree_find(o, a, tree, op->old_path, &old, &found));
    if (!found)
        return err_new(a, 404, "EntryNotFound", "A file with this name doesn't exist: %.*s",
                       STR_FMT(op->old_path));
    edits[*count] = (struct tree_edit){.path = op->old_path, .is_removal = true};
    ++*count;
    edits[*count] = op->edit;
    if (sha1_is_zero(op->edit.id)) {
        edits[*count].id = old.id;
        edits[*count].mode = old.mode;
    }
    ++*count;
    return OK;
}

/* Large files that no rule sends to LFS get a line of their own in .gitattributes. */
static err attribute_edit(struct upload *u, struct arena *a, oid tree, struct tree_edit *ret,
                          bool *ret_any)
{
    str *paths = arena_many(a, str, u->count), text = STR("");
    struct attr_rules rules = {0};
    struct tree_entry file;
    size_t n = 0;
    bool found;

    for (size_t i = 0; i < u->count; i++)
        if (u->ops[i].is_lfs)
            paths[n++] = u->ops[i].edit.path;
    TRY(attr_load(u->odb, a, tree, paths, n, &rules));
    TRY(tree_find(u->odb, a, tree, STR(".gitattributes"), &file, &found));
    if (found && mode_is_blob(file.mode))
        TRY(odb_read(u->odb, a, file.id, OBJ_BLOB, &text));
    *ret_any = false;
    for (size_t i = 0; i < n; i++)
        if (attr_filter(&rules, paths[i]) != ATTR_LFS) {
            text = attr_add_lfs(a, text, paths[i]);
            *ret_any = true;
        }
    *ret = (struct tree_edit){.path = STR(".gitattributes"), .mode = MODE_FILE};
    return *ret_any ? odb_write(u->odb, a, OBJ_BLOB, text, &ret->id) : OK;
}

static err edits_on(struct odb *o, struct arena *a, oid tree, void *arg,
                    const struct tree_edit **ret, size_t *ret_count)
{
    struct upload *u = arg;
    struct tree_edit *edits = arena_many(a, struct tree_edit, u->count * 2 + 1);
    size_t n = 0;
    bool any;
    oid after;

    for (size_t i = 0; i < u->count; i++) {
        if (u->ops[i].old_path.ptr)
            TRY(rename_edits(o, a, tree, &u->ops[i], edits, &n));
        else
            edits[n++] = u->ops[i].edit;
    }
    if (u->any_lfs) {
        TRY(tree_edit_apply(o, a, tree, edits, n, &after));
        TRY(attribute_edit(u, a, after, &edits[n], &any));
        n += any;
    }
    *ret = edits;
    *ret_count = n;
    return OK;
}

/* --- where to --- */

static err no_revision(struct req *r, str rev)
{
    return err_new(r->a, 404, "RevisionNotFound", "Invalid rev id: %.*s",
                   STR_FMT(str_first(rev, 200)));
}

static err may_write(struct req *r, const struct upload *u, str ref)
{
    struct discussion d;
    struct repo *same;
    str number = ref;
    uint64_t n;

    if (u->is_proposal)
        return OK; /* the route's scope: whoever may read may propose */
    if (str_skip(&number, STR("refs/pr/")) && str_u64(number, &n)) {
        TRY(discussion_find(r->store->hub, r->a, r->repo->id, (int64_t)n, &d));
        if (d.id && d.author_id == r->user->account.id)
            return OK;
    }
    return auth_repo(r, r->repo->kind, r->repo->full_name, ACCESS_WRITE, &same);
}

/* The ref that the address names: a branch, a pull request, a converted ref; never a tag or commit.
 */
static err target_ref(struct req *r, str *ret_ref, struct ref *ret)
{
    str rev = req_param(r, "rev");

    *ret_ref = str_starts(rev, STR("refs/")) ? rev : arena_cat(r->a, STR("refs/heads/"), rev);
    if (str_starts(*ret_ref, STR("refs/tags/")))
        return no_revision(r, rev);
    TRY(ref_find(r->store->hub, r->a, r->repo->id, *ret_ref, ret));
    return ret->id ? OK : no_revision(r, rev);
}

static err add_proposal(struct db *tx, oid commit, void *arg)
{
    struct upload *u = arg;
    struct discussion d = {
        .repo_id = u->r->repo->id,
        .number = u->number,
        .author_id = u->r->user->account.id,
        .is_pull_request = true,
        .status = STR("open"),
        .title = u->title,
        .description = u->body,
        .base = u->base_ref,
    };

    (void)commit;
    return u->is_proposal ? discussion_add(tx, u->r->a, &d) : OK;
}

static err reply_commit(struct req *r, oid commit, int64_t number)
{
    struct json_out *j = json_out_new(r->a);
    str url = hub_repo_url(r, r->repo), id = sha1_hex(r->a, commit);

    json_obj(j);
    json_kv_bool(j, "success", true);
    json_kv_str(j, "commitOid", id);
    json_kv_str(j, "commitUrl", arena_cat(r->a, url, STR("/commit/"), id));
    json_kv_str(j, "hookOutput", STR(""));
    if (number)
        json_kv_str(j, "pullRequestUrl",
                    arena_printf(r->a, "%.*s/discussions/%lld", STR_FMT(url), (long long)number));
    json_obj_end(j);
    return reply_json(r, 200, j);
}

static err parent_of(struct upload *u, struct commit_request *q)
{
    q->has_parent = u->parent.ptr != NULL;
    if (!q->has_parent || sha1_from_hex(u->parent, &q->parent))
        return OK;
    return err_new(u->r->a, 400, NULL, "\"parentCommit\" is a full commit id of 40 hex digits.");
}

static err apply(struct upload *u, str ref, const struct ref *head, sha256 digest)
{
    struct req *r = u->r;
    struct commit_request q = {
        .repo = r->repo,
        .odb = u->odb,
        .ref = ref,
        .edits_on = edits_on,
        .edits_arg = u,
        .title = u->title,
        .body = u->body,
        .author = hub_author(r),
        .user_id = r->user->account.id,
        .has_digest = true,
        .digest = digest,
        .also = add_proposal,
        .also_arg = u,
    };
    struct commit_result done;

    TRY(parent_of(u, &q));
    if (u->is_proposal) {
        TRY(discussion_number_next(r->store, r->repo->id, &u->number));
        u->base_ref = ref;
        q.ref = arena_printf(r->a, "refs/pr/%lld", (long long)u->number);
        q.may_create_ref = true;
        q.base = q.has_parent ? q.parent : head->peeled;
        q.pull_request = u->number;
    }
    TRY(commit_apply(r->store, r->a, &q, &done));
    return reply_commit(r, done.commit, u->number);
}

/* gc leaves alone what the commit is about to refer to. */
static err use_files(struct upload *u)
{
    sha256 *files = arena_many(u->r->a, sha256, u->count + 1);
    size_t count = 0, missing;

    for (size_t i = 0; i < u->count; i++)
        if (u->ops[i].is_lfs)
            files[count++] = u->ops[i].lfs;
    TRY(repo_file_use(u->r->store->hub, u->r->repo->id, files, count, &missing));
    return missing ? err_new(u->r->a, 422, NULL,
                             "LFS objects of this commit were cleared away; upload them again.")
                   : OK;
}

static err create(struct upload *u)
{
    struct req *r = u->r;
    struct ref head;
    int64_t number;
    bool seen;
    str ref;
    oid commit;
    sha256 digest;

    u->is_proposal = req_query_bool(r, "create_pr");
    TRY(target_ref(r, &ref, &head));
    TRY(may_write(r, u, ref));
    hasher_add(u->digest, u->is_proposal ? "proposal\n" : "commit\n", u->is_proposal ? 9 : 7);
    hasher_add(u->digest, ref.ptr, ref.len);
    TRY(read_request(u));
    TRY(use_files(u));
    digest = sha256_end(u->digest);
    u->digest = NULL;
    TRY(commit_seen(r->store, r->a, r->repo->id, ref, r->user->account.id, digest, &seen, &commit,
                    &number));
    if (seen)
        return reply_commit(r, commit, number);
    return apply(u, ref, &head, digest);
}

err hub_commit_create(struct req *r)
{
    struct upload u = {
        .r = r,
        .odb = object_odb(r->store, r->a, r->repo->id),
        .scratch = arena_new(0),
        .digest = sha256_new(),
    };
    err e = create(&u);

    hasher_free(u.digest);
    arena_free(u.scratch);
    return e;
}
