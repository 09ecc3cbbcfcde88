/* gc.c — `hearth gc`. */
#include "admin/admin.h"
#include "admin/ask.h"
#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int help(FILE *out)
{
    fputs(
        "hearth gc — clear away what nobody needs any more\n\n"
        "  hearth gc [--dry-run] [--json] [--git] [--files] [--xorbs] [--compact] [--data DIR]\n\n"
        "Beside a running hub it asks that to do the work and waits; otherwise it does it itself.\n"
        "The hub also does this by itself every gc_hours. It may be broken off at any time.\n\n"
        "  --dry-run  only count what could go now (what that in turn sets free is not seen)\n"
        "  --json     print the result as one JSON object\n"
        "  --git      git objects and large files that no branch, tag or pull request leads to\n"
        "  --files    contents that no repository and no bucket has\n"
        "  --compact  pack small and mostly unused xorbs anew\n"
        "  --xorbs    xorbs that no content needs; they go a day after they were found\n"
        "             (without one of these four: all of them)\n\n"
        "For tests; these break promises that clients were given:\n"
        "  --grace-ms N      instead of 14 and 28 days since something was last used (git "
        "objects:\n"
        "                    two hours at least)\n"
        "  --wait-ms N       instead of a day between condemned and removed, and before packing\n"
        "  --orphan-ms N     instead of a day until a blob without a row goes\n"
        "  --lease-cut-ms N  promises to uploading clients end so much earlier\n\n"
        "Exit code: 0 done, 1 failed or a damaged repository was left alone (see hearth fsck),\n"
        "2 wrong usage.\n",
        out);
    return out == stdout ? 0 : 2;
}

struct job {
    const char *data;
    bool json;
    struct gc_options options;
};

static err read_number(struct arena *a, const char *name, const char *text, int64_t *ret)
{
    if (!text || !str_i64(str_c(text), ret) || *ret < 0)
        return err_new(a, 400, NULL, "%s needs a number that is not negative.", name);
    return OK;
}

static err read_value(struct arena *a, const char *name, const char *text, struct job *j)
{
    struct gc_options *o = &j->options;
    int64_t n;

    if (strcmp(name, "--data") == 0) {
        j->data = text;
        return text ? OK : err_new(a, 400, NULL, "--data needs a folder.");
    }
    TRY(read_number(a, name, text, &n));
    if (strcmp(name, "--grace-ms") == 0)
        o->git_grace_ms = o->file_grace_ms = n;
    else if (strcmp(name, "--wait-ms") == 0)
        o->xorb_wait_ms = o->compact_age_ms = n;
    else if (strcmp(name, "--orphan-ms") == 0)
        o->orphan_age_ms = n;
    else
        o->lease_cut_ms = n;
    return OK;
}

static err read_words(struct arena *a, int argc, char **argv, struct job *j)
{
    const struct {
        const char *name;
        bool *place;
    } flags[] = {{"--dry-run", &j->options.dry_run}, {"--json", &j->json},
                 {"--git", &j->options.git},         {"--files", &j->options.files},
                 {"--xorbs", &j->options.xorbs},     {"--compact", &j->options.compact}};
    static const char *const values[] = {"--data", "--grace-ms", "--wait-ms", "--orphan-ms",
                                         "--lease-cut-ms"};

    for (int i = 0; i < argc; i++) {
        bool known = false;

        for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
            if (strcmp(argv[i], flags[k].name) == 0)
                known = *flags[k].place = true;
        for (size_t k = 0; !known && k < sizeof values / sizeof *values; k++)
            if (strcmp(argv[i], values[k]) == 0) {
                TRY(read_value(a, values[k], i + 1 < argc ? argv[i + 1] : NULL, j));
                known = true;
                i++;
            }
        if (!known)
            return err_new(a, 400, NULL, "Unexpected word \"%s\"; see hearth gc --help.", argv[i]);
    }
    return OK;
}

static int64_t get(const struct json *j, const char *key)
{
    int64_t n = 0;

    (void)json_i64(json_get(j, key), &n);
    return n;
}

static void print_row(const char *what, int64_t count, int64_t bytes)
{
    if (bytes)
        printf("  %-34s %10lld  %lld bytes\n", what, (long long)count, (long long)bytes);
    else
        printf("  %-34s %10lld\n", what, (long long)count);
}

static void print_table(const struct json *r, bool dry_run)
{
    printf("%s\n", dry_run ? "could go now:" : "cleared away:");
    print_row("git objects", get(r, "git_objects"), get(r, "git_bytes"));
    print_row("large files no commit leads to", get(r, "repo_files"), 0);
    print_row("contents nobody has", get(r, "files"), 0);
    print_row("shards", get(r, "shards"), 0);
    print_row("xorbs packed anew", get(r, "compacted_xorbs"), get(r, "compacted_bytes_saved"));
    print_row("xorbs condemned, to go later", get(r, "condemned"), 0);
    print_row("xorbs removed", get(r, "xorbs"), get(r, "xorb_bytes"));
    print_row("blobs without a row", get(r, "orphan_blobs"), 0);
    if (json_true(json_get(r, "held")))
        printf("A backup holds the stored data: some of it was left for the next run.\n");
    if (get(r, "repos_skipped"))
        printf("%lld damaged repositories were left alone; see hearth fsck.\n",
               (long long)get(r, "repos_skipped"));
}

static err run(struct arena *a, int argc, char **argv, bool *ret_all)
{
    struct job j = {.data = getenv("HEARTH_DATA") ?: "./data"};
    const struct json *r;
    str result;

    gc_defaults(&j.options);
    TRY(read_words(a, argc, argv, &j));
    TRY(admin_ask(a, j.data, STR("gc"), gc_options_json(a, &j.options), &result));
    TRY(json_parse(a, result, &r));
    *ret_all = get(r, "repos_skipped") == 0;
    if (j.json)
        printf("%.*s\n", STR_FMT(result));
    else
        print_table(r, j.options.dry_run);
    return OK;
}

int admin_gc(int argc, char **argv)
{
    struct arena *a;
    bool all = true;
    int code;
    err e;

    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(stdout);
    a = arena_new(0);
    e = run(a, argc, argv, &all);
    code = e ? admin_ask_failed(e) : !all;
    arena_free(a);
    return code;
}
