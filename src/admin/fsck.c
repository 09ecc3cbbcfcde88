/* fsck.c — hearth fsck: is everything in DATA what it should be? */
#include "admin/admin.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "store/check.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SETTLE_MS 250      /* beside a hub … */
#define SETTLE_ALONE_MS 10 /* … and when there is none: another command may write */
#define PROGRESS_MS 200

struct job {
    const char *data;
    struct check_options options;
    bool json, quiet;
    bool shows_progress;
    int64_t shown_at_ms;
};

static int help(FILE *out)
{
    fprintf(
        out,
        "hearth fsck — is everything in a data directory what it should be?\n\n"
        "  hearth fsck [--data DIR] [--fast] [--repair] [--contents] [--json] [--quiet]\n\n"
        "Reads every stored byte: bodies of large files against their hashes, git objects\n"
        "against their ids, rows against each other and against the files on disk. Works beside\n"
        "a running hub and changes nothing without --repair.\n\n"
        "  --fast      rows and sizes only, no contents\n"
        "  --repair    write anew what can be known: indexes, lists, counts; mark what is lost\n"
        "  --contents  read every large file once more against its SHA-256\n"
        "  --json      one JSON object per line instead of text\n"
        "  --quiet     nothing but what is wrong\n\n"
        "Exit code: 0 clean, 1 repaired or repairable, 2 damage that only bytes from elsewhere\n"
        "repair, 64 wrong usage.\n");
    return out == stdout ? 0 : 64;
}

static err read_words(struct arena *a, int argc, char **argv, struct job *ret)
{
    const struct {
        const char *name;
        bool *set;
    } flags[] = {{"--fast", &ret->options.fast},
                 {"--repair", &ret->options.repair},
                 {"--contents", &ret->options.contents},
                 {"--json", &ret->json},
                 {"--quiet", &ret->quiet}};

    for (int i = 0; i < argc; i++) {
        bool known = false;

        for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
            if (strcmp(argv[i], flags[k].name) == 0)
                known = *flags[k].set = true;
        if (known)
            continue;
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc)
            ret->data = argv[++i];
        else if (strncmp(argv[i], "--data=", 7) == 0)
            ret->data = argv[i] + 7;
        else
            return err_new(a, 400, NULL, "Unknown word %s; see hearth fsck --help.", argv[i]);
    }
    if (ret->options.fast && ret->options.contents)
        return err_new(a, 400, NULL, "--fast reads no contents; leave out one of the two.");
    return OK;
}

/* --- telling --- */

static const char *word(enum check_state s)
{
    return s == CHECK_DAMAGED ? "damaged" : s == CHECK_REPAIRED ? "repaired" : "repairable";
}

static void hide_progress(struct job *j)
{
    if (j->shown_at_ms)
        fprintf(stderr, "\r\033[K");
    j->shown_at_ms = 0;
}

/* Names hold what people chose: control bytes stay off the terminal. */
static void print_text(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        putchar(c < 32 || c == 127 ? '?' : c);
    }
}

static void print_json(struct json_out *o)
{
    str line;

    json_obj_end(o);
    line = json_out_str(o);
    printf("%.*s\n", STR_FMT(line));
}

static void found(void *arg, const struct check_finding *f)
{
    struct job *j = arg;
    struct arena *a;
    struct json_out *o;

    hide_progress(j);
    if (!j->json) {
        printf("%s %s ", word(f->state), f->what);
        print_text(f->name);
        printf(": ");
        print_text(f->why);
        printf("\n");
        return;
    }
    a = arena_new(0);
    o = json_out_new(a);
    json_obj(o);
    json_kv_str(o, "state", str_c(word(f->state)));
    json_kv_str(o, "what", str_c(f->what));
    json_kv_str(o, "name", f->name);
    json_kv_str(o, "why", f->why);
    print_json(o);
    arena_free(a);
}

static void touches(void *arg, const struct check_place *p)
{
    struct job *j = arg;
    struct arena *a;
    struct json_out *o;

    if (!j->json) {
        printf("  touches ");
        print_text(p->repo);
        printf(" ");
        print_text(p->revision.len ? p->revision : STR("(history)"));
        printf(" ");
        print_text(p->path);
        printf("\n");
        return;
    }
    a = arena_new(0);
    o = json_out_new(a);
    json_obj(o);
    json_key(o, "touches");
    json_obj(o);
    json_kv_str(o, "repo", p->repo);
    json_kv_str(o, "revision", p->revision);
    json_kv_str(o, "path", p->path);
    json_obj_end(o);
    print_json(o);
    arena_free(a);
}

static void progress(void *arg, const char *step, uint64_t done)
{
    struct job *j = arg;
    int64_t now = clock_mono_ms();

    if (!j->shows_progress || now - j->shown_at_ms < PROGRESS_MS)
        return;
    j->shown_at_ms = now;
    fprintf(stderr, "\r\033[K%s: %llu", step, (unsigned long long)done);
}

static void summary(struct job *j, const struct check_result *r)
{
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        {"damaged", r->damaged},   {"repairable", r->repairable},   {"repaired", r->repaired},
        {"accounts", r->accounts}, {"repositories", r->repos},      {"git_objects", r->objects},
        {"xorbs", r->xorbs},       {"xorb_bytes", r->xorb_bytes},   {"shards", r->shards},
        {"contents", r->files},    {"content_bytes", r->file_bytes}};
    struct arena *a = arena_new(0);
    struct json_out *o = json_out_new(a);

    hide_progress(j);
    if (j->json) {
        json_obj(o);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            json_kv_i64(o, counts[i].key, (int64_t)counts[i].value);
        print_json(o);
    } else if (!j->quiet) {
        printf("%s: %llu damaged, %llu repairable, %llu repaired; looked at %llu repositories, "
               "%llu git objects, %llu xorbs (%llu bytes), %llu contents, %llu shards\n",
               r->damaged + r->repairable + r->repaired ? "done" : "clean",
               (unsigned long long)r->damaged, (unsigned long long)r->repairable,
               (unsigned long long)r->repaired, (unsigned long long)r->repos,
               (unsigned long long)r->objects, (unsigned long long)r->xorbs,
               (unsigned long long)r->xorb_bytes, (unsigned long long)r->files,
               (unsigned long long)r->shards);
    }
    arena_free(a);
}

/* --- the command --- */

/* Does a server hold the directory? */
static bool is_served(struct arena *a, const char *data)
{
    AUTO_FD int fd = open(arena_printf(a, "%s/lock", data).ptr, O_RDWR | O_CLOEXEC);

    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
}

/* A directory that does not even open is damage, and told like other damage. */
static err run(struct arena *a, struct job *j, struct check_result *ret)
{
    struct check_watch watch = {found, touches, progress, j};
    struct store_config config = {.data_dir = j->data};
    struct store *store;
    err e;

    if (access(arena_printf(a, "%s/hearth.db", j->data).ptr, F_OK))
        return err_new(a, 400, NULL, "%s holds no hub; name its folder with --data DIR.", j->data);
    e = store_open(a, &config, &store);
    if (e) {
        struct check_finding f = {CHECK_DAMAGED, "store", str_c(j->data),
                                  e->detail.len ? e->detail : e->text};

        found(j, &f);
        ret->damaged = 1;
        return OK;
    }
    j->options.settle_ms = is_served(a, j->data) ? SETTLE_MS : SETTLE_ALONE_MS;
    e = check_run(store, a, &j->options, &watch, ret);
    store_close(store);
    return e;
}

int admin_fsck(int argc, char **argv)
{
    struct job j = {.data = getenv("HEARTH_DATA") ?: "./data"};
    struct check_result r = {0};
    struct arena *a;
    int code;
    err e;

    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(stdout);
    a = arena_new(0);
    e = read_words(a, argc, argv, &j);
    j.shows_progress = isatty(STDERR_FILENO) && !j.quiet;
    if (!e)
        e = run(a, &j, &r);
    if (!e)
        summary(&j, &r);
    else
        fprintf(stderr, "hearth: %.*s%s%.*s\n", STR_FMT(e->text), e->detail.len ? " — " : "",
                STR_FMT(e->detail));
    code = e ? (e->status == 400 ? 64 : 2) : r.damaged ? 2 : r.repairable + r.repaired ? 1 : 0;
    arena_free(a);
    return code;
}
