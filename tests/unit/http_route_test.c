/* http_route_test.c — a table like the hub's, and the paths that clients send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "http/route.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define R(m, p, n)                                                                                 \
    {                                                                                              \
        M_##m, STR_INIT(p), n, NULL, SCOPE_OPEN, BODY_NONE                                         \
    }
static const struct route routes[] = {
    R(GET, "/", "home"),
    R(GET, "/api/whoami-v2", "whoami"),
    R(POST, "/api/repos/create", "create"),
    R(GET, "/api/{kind}", "list"),
    R(GET, "/api/{kind}/{repo1}", "show"),
    R(GET, "/api/{kind}/{repo1}/refs", "refs"),
    R(PUT, "/api/{kind}/{repo1}/settings", "settings"),
    R(GET, "/api/{kind}/{repo1}/revision/{rev}", "revision"),
    R(GET, "/api/{kind}/{repo1}/tree/{rev}/{path*}", "tree"),
    R(POST, "/api/{kind}/{repo1}/commit/{rev}", "commit"),
    R(GET, "/api/{rest*}", "api_unknown"),
    R(GET, "/{prefix}/{repo1}/resolve/{rev}/{path*}", "resolve"),
    R(HEAD, "/{prefix}/{repo}/info/lfs", "lfs_head"),
    R(GET, "/{prefix}/{repo}/info/lfs", "lfs_get"),
    R(GET, "/{prefix}/{repo}.git/info/refs", "git_refs"),
    R(POST, "/{prefix}/{repo}.git/git-upload-pack", "git_fetch"),
    R(GET, "/{prefix}/{repo}", "page"),
    R(GET, "/{prefix}/{repo}/tree/{rev}/{path*}", "page_tree"),
    R(GET, "/{prefix}/{repo}/discussions/{number}", "discussion"),
    R(GET, "/{user}", "user"),
    R(GET, "/{user}/{tab}", "never"),
    R(GET, "/datasets", "datasets"),
    R(OPTIONS, "/{any*}", "cors"),
};

static const struct {
    enum http_method method;
    const char *path;
    const char *want; /* handler|name=value|… ; "405 methods" ; "404" */
} cases[] = {
    {M_GET, "/", "home"},
    {M_HEAD, "/", "home"},
    {M_GET, "/api/whoami-v2", "whoami"},
    {M_GET, "/api/whoami%2Dv2", "whoami"},
    {M_GET, "/api/models", "list|kind=models"},
    {M_GET, "/api/kernels", "api_unknown|rest=kernels"},
    {M_GET, "/api/models/a/b", "show|kind=models|repo=a/b"},
    {M_GET, "/api/models/gpt2", "show|kind=models|repo=gpt2"},
    {M_GET, "/api/models/a%2Fb", "show|kind=models|repo=a/b"},
    {M_GET, "/api/models/a/refs", "show|kind=models|repo=a/refs"},
    {M_GET, "/api/models/a/refs/refs", "refs|kind=models|repo=a/refs"},
    {M_GET, "/api/models/a/b/refs", "refs|kind=models|repo=a/b"},
    {M_GET, "/api/models/gpt2/tree/main/x", "tree|kind=models|repo=gpt2|rev=main|path=x"},
    {M_PUT, "/api/models/gpt2/settings", "settings|kind=models|repo=gpt2"},
    {M_GET, "/api/models/a/b/settings", "api_unknown|rest=models/a/b/settings"},
    {M_DELETE, "/api/models/a/b/settings", "405 get head put options"},
    {M_GET, "/api/models/a/b/revision/refs%2Fpr%2F1",
     "revision|kind=models|repo=a/b|rev=refs/pr/1"},
    {M_GET, "/api/models/a/b/revision/refs/pr/1", "revision|kind=models|repo=a/b|rev=refs/pr/1"},
    {M_GET, "/api/models/a/b/revision/refs/heads/x",
     "api_unknown|rest=models/a/b/revision/refs/heads/x"},
    {M_GET, "/api/models/a/b/revision/refs", "revision|kind=models|repo=a/b|rev=refs"},
    {M_GET, "/api/models/a/b/tree/main", "tree|kind=models|repo=a/b|rev=main|path="},
    {M_GET, "/api/models/a/b/tree/main/", "tree|kind=models|repo=a/b|rev=main|path="},
    {M_GET, "/api/models/a/b/tree/main/sub%2Fdir%20x",
     "tree|kind=models|repo=a/b|rev=main|path=sub/dir x"},
    {M_GET, "/api/models/a/b/tree/refs/pr/1/sub/dir%20x",
     "tree|kind=models|repo=a/b|rev=refs/pr/1|path=sub/dir x"},
    {M_GET, "/api/datasets/a/b/tree/refs/convert/parquet",
     "tree|kind=datasets|repo=a/b|rev=refs/convert/parquet|path="},
    {M_GET, "/api/models/a/b/tree/refs/pr", "tree|kind=models|repo=a/b|rev=refs|path=pr"},
    {M_POST, "/api/models/a/b/commit/ma%2Fin", "commit|kind=models|repo=a/b|rev=ma/in"},
    {M_GET, "/api/models/a/b/commit/main", "api_unknown|rest=models/a/b/commit/main"},
    {M_GET, "/a/b/resolve/main/c%20d/e", "resolve|kind=models|repo=a/b|rev=main|path=c d/e"},
    {M_HEAD, "/a/b/resolve/main/x", "resolve|kind=models|repo=a/b|rev=main|path=x"},
    {M_GET, "/datasets/a/b/resolve/refs%2Fpr%2F2/x",
     "resolve|kind=datasets|repo=a/b|rev=refs/pr/2|path=x"},
    {M_GET, "/gpt2/resolve/main/x", "resolve|kind=models|repo=gpt2|rev=main|path=x"},
    {M_GET, "/datasets/squad/resolve/main/x", "resolve|kind=datasets|repo=squad|rev=main|path=x"},
    {M_GET, "/a/b/resolve/main/resolve/main/x",
     "resolve|kind=models|repo=a/b|rev=main|path=resolve/main/x"},
    {M_GET, "/a/b.git/info/refs", "git_refs|kind=models|repo=a/b"},
    {M_GET, "/a/b/info/refs", "git_refs|kind=models|repo=a/b"},
    {M_GET, "/a/%62.git/info/refs", "git_refs|kind=models|repo=a/b"},
    {M_GET, "/models/a/b.git/info/refs", "git_refs|kind=models|repo=a/b"},
    {M_POST, "/spaces/a/b/git-upload-pack", "git_fetch|kind=spaces|repo=a/b"},
    {M_GET, "/spaces/a/b/git-upload-pack", "405 post options"},
    {M_HEAD, "/a/b/info/lfs", "lfs_head|kind=models|repo=a/b"},
    {M_GET, "/a/b/info/lfs", "lfs_get|kind=models|repo=a/b"},
    {M_GET, "/a/b", "page|kind=models|repo=a/b"},
    {M_GET, "/spaces/a/b", "page|kind=spaces|repo=a/b"},
    {M_GET, "/spaces/a", "never|user=spaces|tab=a"}, /* {prefix} left out is never a kind */
    {M_GET, "/a/b/tree/main", "page_tree|kind=models|repo=a/b|rev=main|path="},
    {M_GET, "/a/b/discussions/7", "discussion|kind=models|repo=a/b|number=7"},
    {M_GET, "/a", "user|user=a"},
    {M_GET, "/a%2Fb", "user|user=a/b"},
    {M_GET, "/datasets", "datasets"},
    {M_GET, "/a/", "405 options"},
    {M_GET, "//a", "405 options"},
    {M_GET, "/a/b/c/d/e/f/g", "405 options"},
    {M_OPTIONS, "/a/b/c", "cors|any=a/b/c"},
    {M_OPTIONS, "/", "cors|any="},
    {M_POST, "/", "405 get head options"},
    {M_OTHER, "/api/repos/create", "405 get head post options"},
    {M_GET,
     "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33/"
     "34",
     "405 options"},
    {M_OPTIONS,
     "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33/"
     "%334",
     "cors|any=1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/"
     "32/33/34"},
};

/* The answer in the notation of the table. */
static void describe(bool found, const struct route_match *m, char *out, size_t size)
{
    static const char *const names[] = {"get",    "head",  "post",    "put",
                                        "delete", "patch", "options", "other"};
    size_t n;

    if (!found) {
        n = (size_t)snprintf(out, size, m->allowed ? "405" : "404");
        for (unsigned i = 0; i <= M_OTHER; i++)
            if (m->allowed & 1u << i)
                n += (size_t)snprintf(out + n, size - n, " %s", names[i]);
        return;
    }
    n = (size_t)snprintf(out, size, "%s", m->route->name);
    for (size_t i = 0; i < m->param_count; i++)
        n += (size_t)snprintf(out + n, size - n, "|%.*s=%.*s", STR_FMT(m->params[i].name),
                              STR_FMT(m->params[i].value));
}

static void test_table(void **state)
{
    struct router *t = router_new(routes, sizeof routes / sizeof *routes);
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route_match m;
        bool found = router_find(t, a, cases[i].method, str_c(cases[i].path), &m);
        char got[512];

        describe(found, &m, got, sizeof got);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: %s, not %s", cases[i].path, got, cases[i].want);
    }
    arena_free(a);
    router_free(t);
}

static void test_first_in_the_table_wins(void **state)
{
    static const struct route two[] = {R(GET, "/{a}/x", "first"), R(GET, "/{b}/x", "second"),
                                       R(GET, "/{a}/{b}", "third")};
    struct router *t = router_new(two, 3);
    struct arena *a = arena_new(0);
    struct route_match m;

    (void)state;
    assert_true(router_find(t, a, M_GET, STR("/1/x"), &m));
    assert_string_equal(m.route->name, "first");
    assert_true(router_find(t, a, M_GET, STR("/1/y"), &m));
    assert_string_equal(m.route->name, "third");
    assert_false(router_find(t, a, M_GET, STR("x"), &m));
    assert_int_equal(m.allowed, 0);
    arena_free(a);
    router_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_first_in_the_table_wins),
    };

    return cmocka_run_group_tests_name("http_route", tests, NULL, NULL);
}
