/* preupload.c — POST …/preupload/{rev}: which files go through LFS, which are ignored, which are
 * there already (hub-api.md 11.2). */
#include "git/attributes.h"
#include "git/object.h"
#include "hub/commit_line.h"
#include "hub/hub.h"
#include <string.h>

#define FILES_MAX 1000

struct rules {
    struct attr_rules attributes;
    struct ignore_rules ignore;
};

static err root_text(struct odb *o, struct arena *a, oid tree, const char *name, str *ret)
{
    struct tree_entry file;
    bool found;

    *ret = STR_NONE;
    TRY(tree_find(o, a, tree, str_c(name), &file, &found));
    return found && mode_is_blob(file.mode) ? odb_read(o, a, file.id, OBJ_BLOB, ret) : OK;
}

/* Rules of the revision, or those that the client is about to commit. */
static err load_rules(struct req *r, const struct revision *rev, const str *paths, size_t count,
                      struct rules *ret)
{
    str attributes = json_get_str(r->json, "gitAttributes"),
        ignore = json_get_str(r->json, "gitIgnore");
    struct odb *o = object_odb(r->store, r->a, r->repo->id);
    struct commit_obj head;

    TRY(commit_read(o, r->a, rev->commit, &head));
    if (attributes.ptr)
        attr_parse(r->a, attributes, STR(""), &ret->attributes);
    else
        TRY(attr_load(o, r->a, head.tree, paths, count, &ret->attributes));
    if (!ignore.ptr)
        TRY(root_text(o, r->a, head.tree, ".gitignore", &ignore));
    if (ignore.ptr)
        ignore_parse(r->a, ignore, STR(""), &ret->ignore);
    return OK;
}

static bool looks_binary(struct req *r, str sample)
{
    str bytes;

    if (!sample.len || !base64_decode(r->a, sample, &bytes))
        return false;
    return memchr(bytes.ptr, 0, bytes.len) || !utf8_valid_cut(bytes);
}

static bool goes_to_lfs(struct req *r, const struct rules *rules, str path, int64_t size,
                        str sample)
{
    enum attr_filter f = attr_filter(&rules->attributes, path);

    if (size == 0)
        return false;
    if (f != ATTR_UNSPECIFIED)
        return f == ATTR_LFS;
    return size > (int64_t)INLINE_FILE_MAX || looks_binary(r, sample);
}

static err one_file(struct req *r, const struct revision *rev, const struct rules *rules,
                    const struct json *file, struct json_out *j)
{
    str path = json_get_str(file, "path"), clean;
    struct entry there;
    int64_t size = 0;
    bool found;

    TRY(commit_path_check(r->a, path, &clean));
    (void)json_i64(json_get(file, "size"), &size);
    TRY(entry_find(r->store, r->a, r->repo, rev, clean, &there, &found));
    json_obj(j);
    json_kv_str(j, "path", path);
    json_kv_str(j, "uploadMode",
                goes_to_lfs(r, rules, clean, size, json_get_str(file, "sample")) ? STR("lfs")
                                                                                 : STR("regular"));
    json_kv_bool(j, "shouldIgnore", ignore_matches(&rules->ignore, clean));
    if (found && mode_is_blob(there.mode)) /* of the stored form: clients skip what is the same */
        json_kv_str(j, "oid",
                    there.is_lfs ? sha256_hex(r->a, there.lfs) : sha1_hex(r->a, there.oid));
    json_obj_end(j);
    return OK;
}

err hub_preupload(struct req *r)
{
    const struct json *files = json_get(r->json, "files");
    size_t count = json_len(files);
    struct json_out *j = json_out_new(r->a);
    struct rules rules = {0};
    struct revision rev;
    struct repo *same;
    str *paths;

    if (json_type(files) != JSON_ARR || count > FILES_MAX)
        return err_new(r->a, 422, NULL, "\"files\" is a list of at most %d files.", FILES_MAX);
    TRY(hub_revision(r, &rev));
    if (!req_query_bool(r, "create_pr") && !str_starts(rev.ref.name, STR("refs/pr/")))
        TRY(auth_repo(r, r->repo->kind, r->repo->full_name, ACCESS_WRITE, &same));
    paths = arena_many(r->a, str, count + 1);
    for (size_t i = 0; i < count; i++) {
        paths[i] = json_get_str(json_at(files, i), "path");
        TRY(commit_path_check(r->a, paths[i], &paths[i]));
    }
    TRY(load_rules(r, &rev, paths, count, &rules));
    json_obj(j);
    json_key(j, "files");
    json_arr(j);
    for (size_t i = 0; i < count; i++)
        TRY(one_file(r, &rev, &rules, json_at(files, i), j));
    json_arr_end(j);
    json_kv_str(j, "commitOid", sha1_hex(r->a, rev.commit));
    json_obj_end(j);
    return reply_json(r, 200, j);
}
