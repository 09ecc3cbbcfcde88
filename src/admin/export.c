/* export.c — hearth export: repositories as bare git repositories and buckets as folders, for life
 * without a server. */
#include "admin/export.h"
#include "admin/admin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 200 /* repositories at a time */

struct job {
    const char *data, *what, *dest; /* what: KIND/NS/NAME, or NULL for all */
    struct store *store;
    uint64_t done, failed;
    struct export_result sum;
};

static int help(FILE *out)
{
    fprintf(
        out,
        "hearth export — repositories as bare git repositories with their large files, buckets as\n"
        "folders\n\n"
        "  hearth export KIND/NS/NAME DEST [--data DIR]    one; KIND is models, datasets, spaces\n"
        "                                                  or buckets\n"
        "  hearth export --all DEST [--data DIR]           all, into DEST/KIND/NS/NAME.git and\n"
        "                                                  DEST/buckets/NS/NAME\n\n"
        "Works beside a running hub and includes private repositories. DEST is made, or must be\n"
        "an empty folder. What it writes needs no hub: git clone DEST, then git lfs checkout.\n"
        "Exit code: 0 all is there, 1 something could not be exported, 2 wrong usage.\n");
    return out == stdout ? 0 : 2;
}

/* --- arguments --- */

static err read_words(struct arena *a, int argc, char **argv, struct job *ret)
{
    const char *words[2] = {0};
    bool all = false;
    int count = 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) {
            all = true;
        } else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            ret->data = argv[++i];
        } else if (strncmp(argv[i], "--data=", 7) == 0) {
            ret->data = argv[i] + 7;
        } else if (argv[i][0] == '-') {
            return err_new(a, 400, NULL, "Unknown option %s; see hearth export --help.", argv[i]);
        } else if (count == 2) {
            return err_new(a, 400, NULL, "Unexpected word \"%s\"; see hearth export --help.",
                           argv[i]);
        } else {
            words[count++] = argv[i];
        }
    }
    if (count != 2 - all)
        return err_new(a, 400, NULL, "Usage: hearth export KIND/NS/NAME|--all DEST [--data DIR]");
    ret->what = all ? NULL : words[0];
    ret->dest = words[count - 1];
    return ret->dest[0] ? OK : err_new(a, 400, NULL, "DEST is empty; name a folder.");
}

/* "models/ns/name" → the repository; 400 for another shape, 404 when there is none. */
static err find(struct job *j, struct arena *a, struct repo *ret)
{
    str name = str_c(j->what), word = str_cut(&name, '/');
    enum repo_kind kind;

    if (!repo_kind_parse(word, &kind) || str_find(name, '/') < 1 ||
        str_rfind(name, '/') != str_find(name, '/'))
        return err_new(a, 400, NULL,
                       "\"%s\" is no KIND/NS/NAME; write it like models/alice/my-model "
                       "(or datasets/…, spaces/…, buckets/…).",
                       j->what);
    TRY(repo_find(j->store, a, kind, name, ret, NULL));
    if (ret->id == 0)
        return err_new(a, 404, NULL, "There is no %.*s \"%.*s\" in %s.",
                       STR_FMT(repo_kind_word(kind)), STR_FMT(name), j->data);
    return OK;
}

/* --- the work --- */

static void tell(const struct repo *r, const struct export_result *n, const char *dest)
{
    if (r->kind == REPO_BUCKET)
        printf("buckets/%.*s: %llu files, %llu bytes -> %s\n", STR_FMT(r->full_name),
               (unsigned long long)n->large_count, (unsigned long long)n->bytes, dest);
    else
        printf("%.*s/%.*s: %llu objects, %llu large files, %llu bytes -> %s\n",
               STR_FMT(repo_kind_plural(r->kind)), STR_FMT(r->full_name),
               (unsigned long long)n->object_count, (unsigned long long)n->large_count,
               (unsigned long long)n->bytes, dest);
    fflush(stdout);
    if (n->absent_count)
        fprintf(stderr,
                "hearth: %.*s/%.*s: %llu pointers in its history name large files that the hub "
                "no longer has\n",
                STR_FMT(repo_kind_plural(r->kind)), STR_FMT(r->full_name),
                (unsigned long long)n->absent_count);
}

static void export_one(struct job *j, struct arena *a, const struct repo *r, const char *dest)
{
    struct export_result n = {0};
    err e = r->kind == REPO_BUCKET ? export_bucket(j->store, a, r, dest, &n)
                                   : export_repo(j->store, a, r, dest, &n);

    if (e) {
        fprintf(stderr, "hearth: %.*s/%.*s: %.*s%s%.*s\n", STR_FMT(repo_kind_plural(r->kind)),
                STR_FMT(r->full_name), STR_FMT(e->text), e->detail.len ? " — " : "",
                STR_FMT(e->detail));
        j->failed++;
        return;
    }
    tell(r, &n, dest);
    j->done++;
    j->sum.object_count += n.object_count;
    j->sum.large_count += n.large_count;
    j->sum.bytes += n.bytes;
}

/* Every repository of a kind; one that fails does not keep the others from being written. */
static err export_kind(struct job *j, struct arena *a, enum repo_kind kind)
{
    struct repo_query q = {
        .kind = kind, .sees_all = true, .sort = SORT_ID, .ascending = true, .limit = PAGE};
    struct arena *page = arena_new(0);
    struct repo_list list;
    err e;

    do {
        e = err_copy(a, repo_list(j->store, page, &q, &list));
        for (size_t i = 0; !e && i < list.count; i++) {
            struct arena *one = arena_new(0);
            const struct repo *r = &list.items[i];

            export_one(j, one, r,
                       arena_printf(one, "%s/%.*s/%.*s%s", j->dest, STR_FMT(repo_kind_plural(kind)),
                                    STR_FMT(r->full_name), kind == REPO_BUCKET ? "" : ".git")
                           .ptr);
            arena_free(one);
        }
        q.cursor = e || list.cursor.len == 0 ? STR_NONE : arena_str(a, list.cursor);
        arena_reset(page);
    } while (q.cursor.len);
    arena_free(page);
    return e;
}

static err export_jobs(struct job *j, struct arena *a)
{
    struct repo r = {0};

    if (j->what) {
        TRY(find(j, a, &r));
        export_one(j, a, &r, j->dest);
        return OK;
    }
    TRY(export_dest(a, j->dest));
    for (int kind = 0; kind < REPO_KINDS; kind++)
        TRY(export_kind(j, a, (enum repo_kind)kind));
    return OK;
}

static err run(struct arena *a, int argc, char **argv, struct job *j)
{
    struct store_config config = {.verify_reads = true};
    err e;

    j->data = getenv("HEARTH_DATA") ?: "./data";
    TRY(read_words(a, argc, argv, j));
    if (access(arena_printf(a, "%s/hearth.db", j->data).ptr, F_OK))
        return err_new(a, 404, NULL, "%s holds no hub; name its folder with --data DIR.", j->data);
    config.data_dir = j->data;
    TRY(store_open(a, &config, &j->store));
    e = export_jobs(j, a);
    store_close(j->store);
    TRY(e);
    printf("%llu repositories exported, %llu failed: %llu objects, %llu large files, %llu bytes\n",
           (unsigned long long)j->done, (unsigned long long)j->failed,
           (unsigned long long)j->sum.object_count, (unsigned long long)j->sum.large_count,
           (unsigned long long)j->sum.bytes);
    return OK;
}

int admin_export(int argc, char **argv)
{
    struct job j = {0};
    struct arena *a;
    int code;
    err e;

    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(stdout);
    a = arena_new(0);
    e = run(a, argc, argv, &j);
    if (e)
        fprintf(stderr, "hearth: %.*s%s%.*s\n", STR_FMT(e->text), e->detail.len ? " — " : "",
                STR_FMT(e->detail));
    code = e ? (e->status == 400 ? 2 : 1) : j.failed > 0;
    arena_free(a);
    return code;
}
