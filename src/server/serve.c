/* serve.c — start, run and stop the server.
 *
 * Lock order of the whole program (a thread takes them left to right only):
 *   gc run → commit stripe → db writer → db pool → db sync;  names, counters, quota, xorb cache,
 *   gc writers: leaves.
 */
#include "server/serve.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/settings.h"
#include "http/server.h"
#include "hub/hub.h"
#include "server/answer.h"
#include "server/jobs.h"
#include "server/metrics.h"
#include "server/quota.h"
#include "store/token.h"
#include <git2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(FILE *out, struct arena *a)
{
    fprintf(
        out,
        "hearth serve — run the hub\n\n"
        "  hearth serve [--data DIR] [--listen ADDR:PORT] [--base-url URL] [--SETTING VALUE]\n\n"
        "Every setting is also HEARTH_NAME in the environment and \"name = value\" in\n"
        "DATA/hearth.conf; the command line wins over the environment, that over the file.\n\n%s",
        settings_help(a).ptr);
    return out == stdout ? 0 : 2;
}

static int fail(err e)
{
    fprintf(stderr, "hearth: %.*s\n", STR_FMT(e->text));
    if (e->detail.len)
        fprintf(stderr, "  %.*s\n", STR_FMT(e->detail));
    return 1;
}

/* --name value, --name=value; a BOOL may stand alone.  Two passes: DIR first, for its file. */
static err read_flags(struct arena *a, int argc, char **argv, bool only_data)
{
    for (int i = 0; i < argc; i++) {
        str value = str_c(argv[i]), name;
        bool is_bool;

        if (!str_skip(&value, STR("--")))
            return err_new(a, 400, NULL, "Unexpected word \"%s\"; see hearth serve --help.",
                           argv[i]);
        name = str_cut(&value, '=');
        if (!settings_known(name, &is_bool))
            return err_new(a, 400, NULL, "Unknown option --%.*s; see hearth serve --help.",
                           STR_FMT(name));
        if (!value.ptr && is_bool)
            value = STR("on");
        else if (!value.ptr && i + 1 < argc)
            value = str_c(argv[++i]);
        else if (!value.ptr)
            return err_new(a, 400, NULL, "Option --%.*s needs a value.", STR_FMT(name));
        if (!only_data || str_eq(name, STR("data")))
            TRY(settings_set(a, name, value));
    }
    return OK;
}

static err read_settings(struct arena *a, int argc, char **argv)
{
    settings_defaults();
    TRY(settings_from_env(a));
    TRY(read_flags(a, argc, argv, true));
    TRY(settings_from_file(a, arena_printf(a, "%s/hearth.conf", settings.data).ptr));
    TRY(settings_from_env(a));
    return read_flags(a, argc, argv, false);
}

/* "127.0.0.1:7877", "[::1]:0" */
static err split_listen(struct arena *a, const char **ret_address, unsigned *ret_port)
{
    str all = str_c(settings.listen);
    ptrdiff_t colon = str_rfind(all, ':');
    str host = colon < 0 ? all : str_first(all, (size_t)colon);
    uint64_t port;

    if (colon < 0 || !str_u64(str_from(all, (size_t)colon + 1), &port) || port > 65535 ||
        host.len == 0)
        return err_new(a, 400, NULL, "--listen takes ADDRESS:PORT, not \"%s\".", settings.listen);
    if (host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (str){host.ptr + 1, host.len - 2};
    *ret_address = str_z(a, host);
    *ret_port = (unsigned)port;
    return OK;
}

static str random_password(struct arena *a)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789"; /* nothing that looks alike */
    char *p = arena_alloc(a, 17);

    for (size_t i = 0; i < 16;) {
        unsigned char b;

        random_bytes(&b, 1);
        if (b < 248)
            p[i++] = letters[b % 31];
    }
    return (str){p, 16};
}

/* A fresh hub gets its site admin; the password and a token are shown once, on stderr. */
static err make_first_user(struct store *s, struct arena *a)
{
    struct account_new n = {.name = str_c(settings.first_user), .is_site_admin = true};
    struct account u;
    int64_t users;
    str token;

    TRY(account_count(s->hub, ACCOUNT_USER, &users));
    if (users > 0)
        return OK;
    TRY(account_name_check(a, n.name, true, true));
    n.password = random_password(a);
    TRY(account_add(s, a, &n, &u));
    TRY(account_set_one_time(s, u.id));
    TRY(token_add(s, a, u.id, STR("first token"), TOKEN_WRITE, STR_NONE, STR_NONE, &token));
    fprintf(stderr,
            "\nThis hub is new. Its site admin, shown this once:\n\n"
            "    user      %.*s\n    password  %.*s\n    token     %.*s\n\n",
            STR_FMT(u.name), STR_FMT(n.password), STR_FMT(token));
    return OK;
}

static void warn_exposed(const char *address)
{
    bool loopback = strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;

    if (loopback)
        return;
    if (!settings.require_login)
        log_printf(
            LOG_WARN,
            "listening beyond this machine: everyone who reaches %s sees public repositories; "
            "--require-login closes them",
            settings.listen);
    if (strncmp(settings.base_url, "https://", 8) != 0)
        log_printf(
            LOG_WARN,
            "listening beyond this machine without TLS in front: tokens can be read on the way; "
            "see docs/guide for nginx and Caddy, and set --base-url https://…");
}

static const char *path_of_url(struct arena *a, const char *url)
{
    str rest = str_c(url);
    ptrdiff_t slash;

    if (!str_skip(&rest, STR("https://")))
        (void)str_skip(&rest, STR("http://"));
    slash = str_find(rest, '/');
    rest = slash < 0 ? STR("") : str_from(rest, (size_t)slash);
    while (str_drop(&rest, STR("/")))
        ;
    return str_z(a, rest);
}

static struct http_config http_settings(struct app *app, const char *address, unsigned port)
{
    return (struct http_config){
        .address = address,
        .port = port,
        .loops = (unsigned)settings.loops,
        .workers_max = (unsigned)settings.workers_max,
        .connections_max = (unsigned)settings.connections_max,
        .connections_per_peer = (unsigned)settings.connections_per_address,
        .head_timeout_ms = (unsigned)settings.head_timeout_s * 1000,
        .idle_timeout_ms = (unsigned)settings.idle_timeout_s * 1000,
        .body_timeout_ms = (unsigned)settings.body_timeout_s * 1000,
        .body_rate_min = (unsigned)settings.body_rate_min,
        .send_timeout_ms = (unsigned)settings.send_timeout_s * 1000,
        .answer = server_answer,
        .done = server_done,
        .arg = app,
    };
}

static err set_log_level(struct arena *a)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};

    for (int i = 0; i < 4; i++)
        if (strcmp(settings.log_level, words[i]) == 0) {
            log_set_level((enum log_level)i);
            return OK;
        }
    return err_new(a, 400, NULL, "log_level is error, warn, info or debug, not \"%s\".",
                   settings.log_level);
}

/* libgit2 reads packs that strangers push: limits before anything else (design: a 9 KB delta bomb
 * costs 2 GB without them). */
static void limit_libgit2(void)
{
    git_libgit2_init();
    git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)0);
    git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)2000000);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)(256u << 20));
}

static sigset_t stop_signals(void)
{
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGTERM);
    sigaddset(&s, SIGINT);
    return s;
}

/* Serves until SIGTERM or SIGINT, which every thread has blocked since the start of the program. */
static err run(struct arena *a, struct app *app)
{
    struct http_server *http;
    struct http_config c;
    struct jobs *jobs = NULL;
    const char *address = NULL;
    unsigned port = 0;
    sigset_t stop = stop_signals();
    int signal_number;

    TRY(split_listen(a, &address, &port));
    c = http_settings(app, address, port);
    TRY(jobs_start(app->store, a, &jobs));
    err e = http_server_start(a, &c, &http);
    if (e) {
        jobs_stop(jobs);
        return e;
    }
    metrics_set_server(app->metrics, http);
    e = make_first_user(app->store, a); /* after the port is ours: the password is shown once */
    if (e)
        goto stop;
    warn_exposed(address);
    printf(strchr(address, ':') ? "hearth listening on http://[%s]:%u\n"
                                : "hearth listening on http://%s:%u\n",
           address, http_server_port(http));
    fflush(stdout);
    sigwait(&stop, &signal_number);
    log_printf(LOG_INFO, "stopping: running requests get %lld s",
               (long long)settings.drain_timeout_s);
stop:
    http_server_drain(http, (unsigned)settings.drain_timeout_s * 1000);
    metrics_set_server(app->metrics, NULL);
    http_server_free(http);
    jobs_stop(jobs);
    return e;
}

static err serve(struct arena *a, int argc, char **argv)
{
    struct store_config c = {.server = true};
    struct app app = {0};
    err e;

    TRY(read_settings(a, argc, argv));
    TRY(set_log_level(a));
    c.data_dir = settings.data;
    c.disk_reserve_percent = (unsigned)settings.disk_reserve;
    c.verify_reads = settings.verify_reads;
    c.grouping_off = !settings.group_commit;
    c.sync_delay_ms = (int)settings.sync_delay_ms;
    limit_libgit2();
    commit_facts = hub_facts;
    TRY(store_open(a, &c, &app.store));
    app.router = router_new(server_routes, server_route_count);
    app.quota = quota_new();
    app.metrics = metrics_new();
    app.site_prefix = str_c(path_of_url(a, settings.base_url));
    e = run(a, &app);
    store_close(app.store);
    metrics_free(app.metrics);
    quota_free(app.quota);
    router_free(app.router);
    git_libgit2_shutdown();
    return e;
}

int server_serve(int argc, char **argv)
{
    struct arena *a = arena_new(0);
    sigset_t stop = stop_signals();
    err e;
    int code;

    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            settings_defaults();
            return usage(stdout, a);
        }
    e = serve(a, argc, argv);
    code = e ? (e->status == 400 ? fail(e), 2 : fail(e)) : 0;
    arena_free(a);
    return code;
}

int server_routes_list(void)
{
    static const char *const methods[] = {"GET",    "HEAD",  "POST",    "PUT",
                                          "DELETE", "PATCH", "OPTIONS", "?"};
    static const char *const scopes[] = {"open",  "login", "account", "read", "contribute", "write",
                                         "admin", "site",  "signed",  "cas",  "git"};
    static const char *const bodies[] = {"none", "json", "form", "stream"};

    printf("| method | path | who may | body | handler |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < server_route_count; i++) {
        const struct route *r = &server_routes[i];

        printf("| %s | `%.*s` | %s | %s | %s |\n", methods[r->method], STR_FMT(r->pattern),
               scopes[r->scope], bodies[r->body], r->name);
    }
    return 0;
}
