/* resolve.c — files out: resolve (the content), raw (what git has), with ranges and conditionals
 * (hub-api.md 13). */
#include "git/tree.h"
#include "http/range.h"
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

static const struct {
    const char *end, *type;
} types[] = {
    {".json", "text/plain; charset=utf-8"},
    {".md", "text/plain; charset=utf-8"},
    {".txt", "text/plain; charset=utf-8"},
    {".py", "text/plain; charset=utf-8"},
    {".yaml", "text/plain; charset=utf-8"},
    {".yml", "text/plain; charset=utf-8"},
    {".csv", "text/plain; charset=utf-8"},
    {".jsonl", "text/plain; charset=utf-8"},
    {".html", "text/plain; charset=utf-8"},
    {".js", "text/plain; charset=utf-8"},
    {".css", "text/plain; charset=utf-8"},
    {".xml", "text/plain; charset=utf-8"},
    {".toml", "text/plain; charset=utf-8"},
    {".jinja", "text/plain; charset=utf-8"},
    {".gitattributes", "text/plain; charset=utf-8"},
    {".gitignore", "text/plain; charset=utf-8"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".mp3", "audio/mpeg"},
    {".wav", "audio/wav"},
    {".flac", "audio/flac"},
    {".ogg", "audio/ogg"},
    {".mp4", "video/mp4"},
    {".webm", "video/webm"},
};

/* User files are never active content here: no HTML, no SVG, no script types. */
static const char *content_type(str path)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        str end = str_c(types[i].end);

        if (path.len >= end.len && str_ieq(str_from(path, path.len - end.len), end))
            return types[i].type;
    }
    return "application/octet-stream";
}

static str disposition(struct req *r, str path)
{
    ptrdiff_t slash = str_rfind(path, '/');
    str name = slash < 0 ? path : str_from(path, (size_t)slash + 1);
    char *plain = arena_alloc(r->a, name.len + 1);

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        plain[i] = c < ' ' || c > '~' || c == '"' || c == '\\' ? '_' : c;
    }
    return arena_cat(r->a, req_query_bool(r, "download") ? STR("attachment") : STR("inline"),
                     STR("; filename*=UTF-8''"), url_encode(r->a, name), STR("; filename=\""),
                     (str){plain, name.len}, STR("\";"));
}

static void set_headers(struct req *r, const struct download *d)
{
    reply_header(r, "ETag", d->etag);
    reply_header(r, "Accept-Ranges", STR("bytes"));
    reply_header(r, "X-Content-Type-Options", STR("nosniff"));
    reply_header(r, "Content-Security-Policy", STR("default-src 'none'; sandbox"));
    if (!req_query_bool(r, "noContentDisposition"))
        reply_header(r, "Content-Disposition", disposition(r, d->entry.path));
    reply_header(r, "Cache-Control",
                 !d->by_commit         ? STR("private, no-cache")
                 : r->repo->is_private ? STR("private, max-age=31536000, immutable")
                                       : STR("public, max-age=31536000, immutable"));
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

/* The part of the file that Range asks for; If-Range with another tag means all of it. */
static err pick_range(struct req *r, const struct download *d, struct http_range *ret)
{
    str range = req_header(r, "Range"), if_range = req_header(r, "If-Range");
    err e;

    if (req_is_head(r) || (if_range.len && !str_eq(if_range, d->etag)))
        range = STR("");
    if (d->size == 0 && range.len) /* one-byte probes learn the size from what follows the slash */
        reply_header(r, "Content-Range", STR("bytes */0"));
    e = http_range_parse(range, d->size, ret);
    if (e && e->status == 416)
        reply_header(r, "Content-Range",
                     arena_printf(r->a, "bytes */%llu", (unsigned long long)d->size));
    return e;
}

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
    reply_header(r, "X-Linked-Size", arena_printf(r->a, "%llu", (unsigned long long)d->size));
    reply_header(r, "X-Linked-ETag", d->etag);
    set_xet_headers(r, d);
    return xet_fileinfo_reply(r, r->repo, sha1_hex(r->a, d->commit), d->content.hash, d->etag,
                              d->size, NULL);
}

static err send_file(struct req *r, const struct download *d, bool raw)
{
    const char *type = raw ? "text/plain; charset=utf-8" : content_type(d->entry.path);
    struct http_range range;
    struct source *s;

    if (has_xorbs(d) && xet_wants_fileinfo(r))
        return send_info(r, d);
    set_headers(r, d);
    if (has_xorbs(d))
        set_xet_headers(r, d);
    reply_no_gzip(r);
    if (req_header(r, "If-None-Match").len &&
        http_etag_matches(req_header(r, "If-None-Match"), d->etag))
        return reply_empty(r, 304);
    TRY(pick_range(r, d, &range));
    stat_file(r->store, r->repo, d->entry.path, r->client, req_is_head(r) ? 0 : range.count);
    if (range.partial)
        reply_header(r, "Content-Range",
                     arena_printf(r->a, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                                  (unsigned long long)(range.first + range.count - 1),
                                  (unsigned long long)d->size));
    if (req_is_head(r) || range.count == 0)
        return reply_source(r, 200, type, source_bytes(r->a, STR("")), d->size);
    TRY(open_source(r, d, range, &s));
    return reply_source(r, range.partial ? 206 : 200, type, s, range.count);
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
