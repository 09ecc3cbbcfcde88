/* common.c — what the handlers of this folder share; see hub.h. */
#include "hub/hub.h"

str hub_repo_url(struct req *r, const struct repo *repo)
{
    return arena_cat(r->a, r->base, STR("/"), repo_kind_prefix(repo->kind), repo->full_name);
}

err hub_revision(struct req *r, struct revision *ret)
{
    str rev = req_param(r, "rev");

    TRY(revision_find(r->store, r->a, r->repo, rev.len ? rev : STR("main"), ret));
    reply_header(r, "X-Repo-Commit", sha1_hex(r->a, ret->commit));
    return OK;
}

err hub_file_hashes(struct req *r, const struct repo *repo, const struct entry *entries,
                    size_t count, file_hash **ret)
{
    sha256 *files = arena_many(r->a, sha256, count + 1);
    file_hash *found = arena_many(r->a, file_hash, count + 1);
    size_t n = 0;

    *ret = arena_many(r->a, file_hash, count + 1);
    for (size_t i = 0; i < count; i++)
        if (entries[i].is_lfs)
            files[n++] = entries[i].lfs;
    TRY(repo_file_hashes(r->store->hub, repo->id, files, n, found));
    n = 0;
    for (size_t i = 0; i < count; i++)
        if (entries[i].is_lfs)
            (*ret)[i] = found[n++];
    return OK;
}

err hub_no_entry(struct req *r, str path)
{
    (void)path;
    return err_new(r->a, 404, "EntryNotFound", "Entry not found");
}

struct commit_author hub_author(struct req *r)
{
    return (struct commit_author){r->user->account.name, auth_no_reply_email(r)};
}
