/* resolve.c — files out: resolve (the content), raw (what git has), with ranges and conditionals
 * (hub-api.md 13). */
#include "git/tree.h"
#include "http/file_reply.h"
#include "hub/hub.h"
#include "store/stat.h"
#include "xet/xet.h"

struct download {
    struct entry entry;
    oid commit;             /* of the revision */
    struct content content; /* large files */
    bool is_large;          /* bytes come from contents, not from git */
    uint64_t size;
    str etag;       /* with quotes */
    bool by_commit; /* the address names a full commit: it never changes */
};

/* --- headers --- */

static struct file_reply as_reply(const struct req *r, const struct download *d, bool raw)
{
    str cache = STR("public, max-age=31536000, immutable");

    if (!d->by_commit)
        cache = STR("private, no-cache");
    else if (r->repo->is_private)
        cache = STR("private, max-age=31536000, immutable");
    return (struct file_reply){
        .path = d->entry.path,
        .etag = d->etag,
        .size = d->size,
        .type = raw ? "text/plain; charset=utf-8" : file_type_of(d->entry.path),
        .cache_control = cache,
    };
}

static void set_linked_headers(struct req *r, const struct download *d)
{
    reply_header(r, "X-Linked-Size", arena_printf(r->a, "%llu", (unsigned long long)d->size));
    reply_header(r, "X-Linked-ETag", d->etag);
}

/* Large files are in xorbs as well: where a client that speaks Xet finds this one.  The empty
 * content has none. */
static bool has_xorbs(const struct download *d)
{
    return d->is_large && d->content.file_id != 0;
}

static void set_xet_headers(struct req *r, const struct download *d)
{
    reply_header(r, "Vary", STR("Accept")); /* see send_info */
    xet_file_headers(r, r->repo, sha1_hex(r->a, d->commit), d->content.hash);
}

/* --- finding --- */

static err find_large(struct req *r, struct download *d)
{
    bool found;

    TRY(repo_file_find(r->store->hub, r->repo->id, d->entry.lfs, &d->content, &found));
    if (!found)
        return err_new(r->a, 404, "EntryNotFound",
                       "The content of this large file was never uploaded; push it again with git "
                       "lfs push --all.");
    d->is_large = true;
    d->size = d->content.size;
    d->etag = arena_cat(r->a, STR("\""), sha256_hex(r->a, d->entry.lfs), STR("\""));
    return OK;
}

/* `raw`: what git has, for large files the pointer's text. */
static err find_file(struct req *r, const struct revision *rev, bool raw, struct download *d)
{
    str path = req_param(r, "path"), asked = req_param(r, "rev");
    bool found;

    if (path.len == 0)
        return hub_no_entry(r, path);
    TRY(entry_find(r->store, r->a, r->repo, rev, path, &d->entry, &found));
    if (!found || !mode_is_blob(d->entry.mode))
        return hub_no_entry(r, path);
    d->entry.path = path;
    d->commit = rev->commit;
    d->by_commit = hex_is(asked, 40);
    if (d->entry.is_lfs && !raw)
        return find_large(r, d);
    d->size = d->entry.is_lfs ? d->entry.pointer_size : d->entry.size;
    d->etag = arena_cat(r->a, STR("\""), sha1_hex(r->a, d->entry.oid), STR("\""));
    return OK;
}

/* --- sending --- */

static err open_source(struct req *r, const struct download *d, struct http_range range,
                       struct source **ret)
{
    if (d->is_large)
        return content_source(r->store, r->a, &d->content, range.first, range.count, ret);
    return object_source(object_odb(r->store, r->a, r->repo->id), r->a, d->entry.oid, d->size,
                         range.first, range.count, ret);
}

/* The JavaScript client asks what the file is, under the address of the file.  Caches must not
 * take this for its content: no ETag, not stored. */
static err send_info(struct req *r, const struct download *d)
{
    reply_header(r, "Cache-Control", STR("no-store"));
    set_linked_headers(r, d);
    set_xet_headers(r, d);
    return xet_fileinfo_reply(r, r->repo, sha1_hex(r->a, d->commit), d->content.hash, d->etag,
                              d->size, NULL);
}

static err send_file(struct req *r, const struct download *d, bool raw)
{
    struct file_reply f = as_reply(r, d, raw);
    struct http_range range;
    struct source *s = NULL;
    bool answered;

    if (has_xorbs(d) && xet_wants_fileinfo(r))
        return send_info(r, d);
    set_linked_headers(r, d);
    if (has_xorbs(d))
        set_xet_headers(r, d);
    TRY(file_reply_begin(r, &f, &range, &answered));
    if (answered)
        return OK;
    stat_file(r->store, r->repo, d->entry.path, r->client, req_is_head(r) ? 0 : range.count);
    if (file_reply_needs_bytes(r, &range))
        TRY(open_source(r, d, range, &s));
    return file_reply_send(r, &f, &range, s);
}

static err send_revision(struct req *r, bool raw)
{
    struct download d = {0};
    struct revision rev;

    TRY(hub_revision(r, &rev));
    TRY(find_file(r, &rev, raw, &d));
    return send_file(r, &d, raw);
}

err hub_resolve(struct req *r)
{
    return send_revision(r, false);
}

err hub_raw(struct req *r)
{
    return send_revision(r, true);
}

/* An alias of resolve for full commits, so that stored redirects and mirrors work. */
err hub_resolve_cache(struct req *r)
{
    str commit = req_param(r, "commit");
    struct download d = {0};
    struct revision rev;

    if (!hex_is(commit, 40))
        return err_new(r->a, 400, NULL,
                       "resolve-cache takes a full commit id; use /resolve/ for branches.");
    TRY(revision_find(r->store, r->a, r->repo, commit, &rev));
    reply_header(r, "X-Repo-Commit", sha1_hex(r->a, rev.commit));
    TRY(find_file(r, &rev, false, &d));
    d.by_commit = true;
    return send_file(r, &d, false);
}
