/* origin.c — see origin.h. */
#include "server/origin.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/settings.h"

static bool in_list(const char *list, str item)
{
    for (str rest = str_c(list); rest.ptr && rest.len;) {
        if (str_ieq(str_trim(str_cut(&rest, ',')), item))
            return true;
    }
    return false;
}

bool origin_is_loopback(str peer)
{
    return str_starts(peer, STR("127.")) || str_eq(peer, STR("::1")) ||
           str_starts(peer, STR("::ffff:127."));
}

/* X-Forwarded-* of a proxy we trust; the last hop's word counts. */
static str forwarded(const struct req *r, const char *name)
{
    str v = req_header(r, name);
    ptrdiff_t comma = v.ptr ? str_rfind(v, ',') : -1;

    return str_trim(comma >= 0 ? str_from(v, (size_t)comma + 1) : v);
}

static str without_port(str host)
{
    ptrdiff_t colon = str_rfind(host, ':');

    return colon > 0 && host.ptr[host.len - 1] != ']' ? str_first(host, (size_t)colon) : host;
}

static bool host_is_sane(str host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == ':' || c == '[' || c == ']' || c == '_'))
            return false;
    }
    return host.len > 0;
}

err origin_of(struct req *r, const struct app *app)
{
    bool trusted = origin_is_loopback(r->peer) || in_list(settings.trusted_proxies, r->peer);
    str proto = trusted ? forwarded(r, "X-Forwarded-Proto") : STR_NONE;
    str host = trusted ? forwarded(r, "X-Forwarded-Host") : STR_NONE;
    str client = trusted ? forwarded(r, "X-Forwarded-For") : STR_NONE;
    str given = req_header(r, "Host");

    r->scheme = str_ieq(proto, STR("https")) ? STR("https") : STR("http");
    r->host = host.len ? host : given;
    if (!host_is_sane(r->host))
        r->host = str_c(settings.listen);
    r->client = client.len ? client : r->peer;
    r->base = arena_cat(r->a, r->scheme, STR("://"), r->host, app->site_prefix);
    r->path = r->raw_path;
    if (app->site_prefix.len && str_skip(&r->path, app->site_prefix) && r->path.len == 0)
        r->path = STR("/");
    if (settings.allowed_hosts[0] && !in_list(settings.allowed_hosts, without_port(r->host)) &&
        !in_list(settings.allowed_hosts, r->host))
        return err_new(r->a, 421, NULL, "This hub does not answer for the host \"%.*s\".",
                       STR_FMT(r->host));
    return OK;
}

static bool is_visible(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < ' ' || s.ptr[i] > '~')
            return false;
    return s.len > 0 && s.len <= 128;
}

/* hub-api.md 3.2: the client's own id verbatim, else ours with the client's trace value in it. */
void origin_request_id(struct req *r)
{
    str own = req_header(r, "X-Request-Id"), trace = req_header(r, "X-Amzn-Trace-Id");

    if (is_visible(own)) {
        r->request_id = own;
    } else {
        r->request_id = arena_cat(
            r->a, arena_printf(r->a, "Root=1-%08llx-", (unsigned long long)(clock_ms() / 1000)),
            random_hex(r->a, 12), is_visible(trace) ? STR(";") : STR(""),
            is_visible(trace) ? trace : STR(""));
    }
    reply_header(r, "X-Request-Id", r->request_id);
}

void origin_cors(struct req *r)
{
    str origin = req_header(r, "Origin");

    if (!origin.len)
        return;
    reply_header(r, "Access-Control-Allow-Origin", origin);
    reply_header(r, "Vary", STR("Origin"));
    reply_header(
        r, "Access-Control-Expose-Headers",
        STR("X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,"
            "Accept-Ranges,Content-Range,Content-Length,X-Linked-Size,X-Linked-ETag,X-Xet-Hash,"
            "X-Xet-Refresh-Route"));
}
