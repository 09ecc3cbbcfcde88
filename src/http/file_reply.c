/* file_reply.c — see file_reply.h. */
#include "http/file_reply.h"
#include "base/clock.h"
#include <time.h>

#define PLAIN "text/plain; charset=utf-8"

static const struct {
    const char *end, *type;
} types[] = {
    {".json", PLAIN},        {".md", PLAIN},        {".txt", PLAIN},
    {".py", PLAIN},          {".yaml", PLAIN},      {".yml", PLAIN},
    {".csv", PLAIN},         {".jsonl", PLAIN},     {".html", PLAIN},
    {".js", PLAIN},          {".css", PLAIN},       {".xml", PLAIN},
    {".toml", PLAIN},        {".jinja", PLAIN},     {".gitattributes", PLAIN},
    {".gitignore", PLAIN},   {".png", "image/png"}, {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"}, {".gif", "image/gif"}, {".webp", "image/webp"},
    {".mp3", "audio/mpeg"},  {".wav", "audio/wav"}, {".flac", "audio/flac"},
    {".ogg", "audio/ogg"},   {".mp4", "video/mp4"}, {".webm", "video/webm"},
};

const char *file_type_of(str path)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        str end = str_c(types[i].end);

        if (path.len >= end.len && str_ieq(str_from(path, path.len - end.len), end))
            return types[i].type;
    }
    return "application/octet-stream";
}

static bool is_token(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
              c == '+' || c == '_'))
            return false;
    }
    return s.len > 0;
}

const char *file_type_safe(struct arena *a, str type)
{
    static const str active[] = {STR_INIT("html"), STR_INIT("xml"), STR_INIT("script"),
                                 STR_INIT("svg")};
    str whole = type, main_type, rest;

    whole = text_lower(a, str_trim(str_cut(&whole, ';')));
    rest = whole;
    main_type = str_cut(&rest, '/');
    if (!is_token(main_type) || !is_token(rest) || str_eq(main_type, STR("multipart")) ||
        str_eq(main_type, STR("message")))
        return "application/octet-stream";
    for (size_t i = 0; i < sizeof active / sizeof *active; i++)
        if (str_has(rest, active[i]))
            return PLAIN;
    return str_z(a, whole);
}

void file_disposition(struct req *r, str path)
{
    ptrdiff_t slash = str_rfind(path, '/');
    str name = slash < 0 ? path : str_from(path, (size_t)slash + 1);
    char *plain = arena_alloc(r->a, name.len + 1);

    if (req_query_bool(r, "noContentDisposition"))
        return;
    for (size_t i = 0; i < name.len; i++) {
        bool fits =
            name.ptr[i] >= ' ' && name.ptr[i] <= '~' && name.ptr[i] != '"' && name.ptr[i] != '\\';

        plain[i] = '_';
        if (fits)
            plain[i] = name.ptr[i];
    }
    reply_header(r, "Content-Disposition",
                 arena_cat(r->a, req_query_bool(r, "download") ? STR("attachment") : STR("inline"),
                           STR("; filename*=UTF-8''"), url_encode(r->a, name), STR("; filename=\""),
                           (str){plain, name.len}, STR("\";")));
}

static void set_headers(struct req *r, const struct file_reply *f)
{
    reply_header(r, "ETag", f->etag);
    reply_header(r, "Accept-Ranges", STR("bytes"));
    reply_header(r, "X-Content-Type-Options", STR("nosniff"));
    reply_header(r, "Content-Security-Policy", STR("default-src 'none'; sandbox"));
    reply_header(r, "Cache-Control", f->cache_control);
    if (f->modified_ms)
        reply_header(r, "Last-Modified", clock_http(r->a, f->modified_ms));
    file_disposition(r, f->path);
}

/* --- conditions (RFC 9110, section 13) --- */

/* An HTTP date of the one form that is sent today; false for others. */
static bool read_date(struct arena *a, str text, int64_t *ret_s)
{
    struct tm tm = {0};
    const char *end;

    if (str_find(text, '\0') >= 0)
        return false;
    end = strptime(str_z(a, text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return false;
    *ret_s = (int64_t)timegm(&tm);
    return true;
}

static bool is_unchanged(struct req *r, const struct file_reply *f)
{
    str none = req_header(r, "If-None-Match"), since = req_header(r, "If-Modified-Since");
    int64_t at_s;

    if (none.len)
        return http_etag_matches(none, f->etag);
    return since.len && f->modified_ms && read_date(r->a, since, &at_s) &&
           f->modified_ms / 1000 <= at_s;
}

/* If-Range: is the range of what is there now? */
static bool range_holds(struct req *r, const struct file_reply *f)
{
    str given = req_header(r, "If-Range");
    int64_t at_s;

    if (!given.len || str_eq(given, f->etag))
        return true;
    return f->modified_ms && read_date(r->a, given, &at_s) && f->modified_ms / 1000 == at_s;
}

static err pick_range(struct req *r, const struct file_reply *f, struct http_range *ret)
{
    str range = req_header(r, "Range");
    err e;

    if (req_is_head(r) || !range_holds(r, f))
        range = STR("");
    if (f->size == 0 && range.len) /* one-byte probes learn the size from what follows the slash */
        reply_header(r, "Content-Range", STR("bytes */0"));
    e = http_range_parse(range, f->size, ret);
    if (e && e->status == 416)
        reply_header(r, "Content-Range",
                     arena_printf(r->a, "bytes */%llu", (unsigned long long)f->size));
    return e;
}

err file_reply_begin(struct req *r, const struct file_reply *f, struct http_range *ret,
                     bool *ret_answered)
{
    str match = req_header(r, "If-Match");

    set_headers(r, f);
    reply_no_gzip(r);
    *ret_answered = false;
    if (match.len && !http_etag_matches(match, f->etag))
        return err_new(r->a, 412, "PreconditionFailed",
                       "The file has another content now; ask for it again without If-Match.");
    if (is_unchanged(r, f)) {
        *ret_answered = true;
        return reply_empty(r, 304);
    }
    return pick_range(r, f, ret);
}

/* --- sending --- */

bool file_reply_needs_bytes(const struct req *r, const struct http_range *range)
{
    return !req_is_head(r) && range->count > 0;
}

err file_reply_send(struct req *r, const struct file_reply *f, const struct http_range *range,
                    struct source *s)
{
    if (!file_reply_needs_bytes(r, range))
        return reply_source(r, 200, f->type, source_bytes(r->a, STR("")), f->size);
    if (range->partial)
        reply_header(r, "Content-Range",
                     arena_printf(r->a, "bytes %llu-%llu/%llu", (unsigned long long)range->first,
                                  (unsigned long long)(range->first + range->count - 1),
                                  (unsigned long long)f->size));
    return reply_source(r, range->partial ? 206 : 200, f->type, s, range->count);
}
