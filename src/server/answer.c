/* answer.c — the steps of every request, top to bottom (docs/ARCHITECTURE.md walks through one). */
#include "server/answer.h"
#include "auth/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "server/metrics.h"
#include "server/origin.h"
#include "server/quota.h"
#include "web/web.h"
#include <assert.h>

const struct err_info server_no_route = {
    404, NULL, STR_INIT("There is nothing at this address."), NULL, {0}};
static const struct err_info no_body_kind = {
    415, NULL, STR_INIT("Send this request's body as application/json."), NULL, {0}};

#define QUERY_PAIRS_MAX 4096

static str method_list(struct req *r, unsigned allowed)
{
    static const struct {
        enum http_method m;
        str word;
    } words[] = {{M_GET, STR_INIT("GET, HEAD, ")},
                 {M_POST, STR_INIT("POST, ")},
                 {M_PUT, STR_INIT("PUT, ")},
                 {M_PATCH, STR_INIT("PATCH, ")},
                 {M_DELETE, STR_INIT("DELETE, ")}};
    str list = STR("");

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (allowed & 1u << words[i].m)
            list = arena_cat(r->a, list, words[i].word);
    return arena_cat(r->a, list, STR("OPTIONS"));
}

/* CORS preflight and plain OPTIONS: 204 for every address that exists. */
static err answer_options(struct req *r)
{
    str asked = req_header(r, "Access-Control-Request-Headers");

    reply_header(r, "Access-Control-Allow-Methods",
                 STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    reply_header(r, "Access-Control-Allow-Headers",
                 asked.len ? asked
                           : STR("authorization, content-type, range, accept, x-requested-with"));
    reply_header(r, "Access-Control-Max-Age", STR("86400"));
    return reply_empty(r, 204);
}

/* "/models.md" is the Markdown of "/models" when that is a page and no other route wants the name.
 */
static bool find_twin(struct req *r, const struct app *app, bool found)
{
    static const str suffixes[] = {STR_INIT(".md"), STR_INIT(".json")};
    struct route_match m;
    str path = r->path;

    if ((r->method != M_GET && r->method != M_HEAD) || (found && !web_ends_in_name(r->match.route)))
        return false;
    for (size_t i = 0; i < 2; i++)
        if (str_drop(&path, suffixes[i]) && path.len > 1 &&
            router_find(app->router, r->a, r->method, path, &m) && web_has_twin(m.route)) {
            r->match = m;
            r->path = path;
            r->twin = str_from(suffixes[i], 1);
            return true;
        }
    return false;
}

static err find_route(struct req *r, const struct app *app)
{
    bool found = router_find(app->router, r->a, r->method, r->path, &r->match);

    if (!find_twin(r, app, found) && !found) {
        if (r->match.allowed == 0)
            return &server_no_route;
        reply_header(r, "Allow", method_list(r, r->match.allowed));
        return err_new(r->a, 405, NULL, "This address does not answer %.*s.",
                       STR_FMT(r->method_text));
    }
    r->route = r->match.route;
    return url_query_parse(r->a, r->raw_query, QUERY_PAIRS_MAX, &r->query);
}

static bool is_form(const struct req *r)
{
    return str_starts(req_header(r, "Content-Type"), STR("application/x-www-form-urlencoded"));
}

static err read_body(struct req *r)
{
    enum body_kind kind = r->route->body;

    if (kind == BODY_NONE || kind == BODY_STREAM)
        return OK;
    TRY(http_body_all(r, (size_t)settings.json_body_max, &r->body));
    if (kind == BODY_FORM && is_form(r))
        return url_query_parse(r->a, r->body, QUERY_PAIRS_MAX, &r->form);
    if (str_trim(r->body).len == 0)
        return OK; /* r->json stays NULL, which reads as an object without members */
    if (is_form(r) && str_trim(r->body).ptr[0] != '{') /* curl -d '{…}' calls it a form */
        return &no_body_kind;
    return json_parse(r->a, r->body, &r->json);
}

static err answer(struct req *r, struct app *app)
{
    bool answered = false;

    origin_request_id(r);
    TRY(origin_of(r, app));
    origin_cors(r);
    if (r->method == M_OPTIONS)
        return answer_options(r);
    TRY(find_route(r, app));         /* r->route and its parameters; 404, 405 */
    TRY(auth_identify(r));           /* token or nobody → r->user; 401 */
    TRY(quota_spend(app->quota, r)); /* 429 with Retry-After */
    TRY(auth_allow(r, &answered));   /* r->repo; 401, 403, 404 */
    if (answered)
        return OK;
    if (web_must_change(r))
        return web_change_first(r);
    TRY(read_body(r));  /* JSON is now in memory; STREAM is left for the handler; 413 */
    TRY(auth_guard(r)); /* a browser's change comes from our own pages; 403 */
    return r->route->handler(r);
}

/* --- errors --- */

/* Resolve, raw and git answer text, everything else JSON. */
static bool wants_text(const struct req *r)
{
    return !str_starts(r->path, STR("/api/")) && !str_has(r->path, STR("/info/lfs")) &&
           !str_starts(r->path, STR("/oauth/")) && !str_starts(r->path, STR("/xet/"));
}

/* One line of printable ASCII: what a header can carry. */
static str header_text(struct arena *a, str text)
{
    char *p = arena_alloc(a, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        p[i] = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?';
    return (str){p, text.len};
}

/* The one place where an err becomes status, headers and body. */
static err reply_error(struct req *r, err e)
{
    struct json_out *j;

    if (e->code)
        reply_header(r, "X-Error-Code", str_c(e->code));
    reply_header(r, "X-Error-Message", header_text(r->a, e->text));
    reply_header(r, "Cache-Control", STR("no-store"));
    if (web_wants_error_page(r))
        return web_error_page(r, e);
    if (wants_text(r))
        return reply_text(r, e->status, arena_cat(r->a, e->text, STR("\n")));
    j = json_out_new(r->a);
    json_obj(j);
    json_kv_str(j, "error", e->text);
    if (str_has(r->path, STR("/info/lfs")))
        json_kv_str(j, "message", e->text);
    json_obj_end(j);
    return reply_json(r, e->status, j);
}

void server_answer(struct req *r, void *arg)
{
    struct app *app = arg;
    err e;

    r->app = app;
    r->store = app->store;
    e = answer(r, app);
    if (e && !reply_started(r)) {
        r->failed = e;
        e = reply_error(r, e);
    }
    if (e && !reply_started(r))
        e = reply_empty(r, 500);
    assert(reply_started(r));
    (void)e;
}

void server_done(struct req *r, void *arg)
{
    const struct app *app = arg;
    struct reply_info info = reply_info(r);
    struct log_field f[16];
    size_t n = 0;
    bool admin_eye = r->repo && r->repo->is_private && auth_sees_all(r);

    metrics_count(app->metrics, r, &info);
    f[n++] = (struct log_field){"id", r->request_id};
    f[n++] = (struct log_field){"m", r->method_text};
    f[n++] = (struct log_field){"route", r->route ? r->route->pattern : STR("-")};
    f[n++] = (struct log_field){"path", r->raw_path};
    f[n++] = (struct log_field){"st", arena_printf(r->a, "%d", info.status)};
    f[n++] = (struct log_field){
        "us", arena_printf(r->a, "%lld", (long long)(clock_mono_us() - r->started_us))};
    f[n++] =
        (struct log_field){"out", arena_printf(r->a, "%llu", (unsigned long long)info.bytes_out)};
    f[n++] = (struct log_field){"ip", r->client.ptr ? r->client : r->peer};
    f[n++] = (struct log_field){"user", r->user ? r->user->account.name : STR("-")};
    if (admin_eye)
        f[n++] = (struct log_field){"admin", STR("1")};
    if (info.cut)
        f[n++] = (struct log_field){"cut", STR("1")};
    if (r->failed && r->failed->code)
        f[n++] = (struct log_field){"err", str_c(r->failed->code)};
    if (r->failed && r->failed->at)
        f[n++] = (struct log_field){"at", str_c(r->failed->at)};
    if (r->failed && r->failed->detail.len)
        f[n++] = (struct log_field){"detail", r->failed->detail};
    log_event(info.status >= 500 ? LOG_ERROR : LOG_INFO, "request", n, f);
}
