/* restore.c — hearth restore: a data directory from a backup. */
#include "admin/admin.h"
#include "admin/backup_tell.h"
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct restore_options options;
    bool json, list;
};

static int help(FILE *out)
{
    fprintf(
        out,
        "hearth restore — a data directory from a backup\n\n"
        "  hearth restore SRC --data DIR [--snapshot NAME] [--json]\n"
        "  hearth restore SRC --list [--json]               what SRC holds, newest first\n\n"
        "SRC is what hearth backup wrote; without --snapshot its newest snapshot is taken. DIR is\n"
        "made, or must be empty; a restore that broke off there is continued. Every byte is "
        "checked\n"
        "against its hash. Until the end no hearth opens DIR. Accounts, tokens and signed links\n"
        "stay good; uploads that were unfinished begin anew. hearth fsck --data DIR checks it "
        "all.\n\n"
        "Exit code: 0 all is there; 1 nothing was restored; 2 restored, and files that are "
        "damaged\n"
        "in the backup, which are named, cannot be read.\n");
    return out == stdout ? 0 : 1;
}

static err read_args(struct arena *a, int argc, char **argv, struct job *j)
{
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--json") == 0)
            j->json = true;
        else if (strcmp(word, "--list") == 0)
            j->list = true;
        else if (strcmp(word, "--data") == 0 && i + 1 < argc)
            j->options.data = argv[++i];
        else if (strcmp(word, "--snapshot") == 0 && i + 1 < argc)
            j->options.snapshot = argv[++i];
        else if (word[0] == '-' || j->options.src || !word[0])
            return err_new(a, 400, NULL, "Unexpected \"%s\"; see hearth restore --help.", word);
        else
            j->options.src = word;
    }
    if (!j->options.src || (!j->list && (!j->options.data || !j->options.data[0])))
        return err_new(a, 400, NULL, "Usage: hearth restore SRC --data DIR [--snapshot NAME]");
    return OK;
}

/* --- --list --- */

static void list_json(struct arena *a, const struct manifest *m)
{
    struct json_out *j = json_out_new(a);

    json_arr(j);
    for (size_t i = 0; i < m->count; i++) {
        const struct snapshot *s = &m->items[i];

        json_obj(j);
        json_kv_str(j, "name", s->name);
        json_kv_time(j, "started_at", s->started_at_ms);
        json_kv_str(j, "store_id", s->store_id);
        json_kv_str(j, "program", s->program);
        json_kv_i64(j, "accounts", (int64_t)s->accounts);
        json_kv_i64(j, "repos", (int64_t)s->repos);
        json_kv_i64(j, "blob_bytes", (int64_t)s->blob_bytes);
        json_kv_i64(j, "damaged", (int64_t)s->damaged);
        json_obj_end(j);
    }
    json_arr_end(j);
    printf("%.*s\n", STR_FMT(json_out_str(j)));
}

static err list(struct arena *a, const struct job *j)
{
    struct manifest m;

    TRY(manifest_read(a, j->options.src, &m));
    if (j->json) {
        list_json(a, &m);
        return OK;
    }
    for (size_t i = 0; i < m.count; i++) {
        const struct snapshot *s = &m.items[i];

        printf("%.*s  %llu accounts, %llu repositories, %.*s of large files%s\n", STR_FMT(s->name),
               (unsigned long long)s->accounts, (unsigned long long)s->repos,
               STR_FMT(tell_bytes(a, s->blob_bytes)), s->damaged ? ", some damaged" : "");
    }
    return OK;
}

/* --- the work --- */

static void say_json(struct arena *a, const struct restore_result *n, const struct tell *t)
{
    struct json_out *j = json_out_new(a);

    json_obj(j);
    json_kv_str(j, "snapshot", n->snapshot);
    json_kv_time(j, "taken_at", n->taken_at_ms);
    json_kv_str(j, "store_id", n->store_id);
    json_kv_i64(j, "blobs", (int64_t)n->blobs);
    json_kv_i64(j, "bytes", (int64_t)n->bytes);
    json_kv_i64(j, "damaged", (int64_t)n->damaged);
    json_kv_raw(j, "damage", json_out_str(t->damage));
    json_obj_end(j);
    printf("%.*s\n", STR_FMT(json_out_str(j)));
}

static void say(struct arena *a, const struct restore_result *n, const char *data)
{
    printf("%s is the hub as it was at %.*s: %llu pieces of large files, %.*s\n", data,
           STR_FMT(clock_iso(a, n->taken_at_ms)), (unsigned long long)n->blobs,
           STR_FMT(tell_bytes(a, n->bytes)));
    if (n->damaged)
        fprintf(stderr,
                "hearth: %llu pieces are damaged in the backup; uploading the files above "
                "again repairs them\n",
                (unsigned long long)n->damaged);
}

static err run(struct arena *a, const struct job *j, struct tell *t, struct restore_result *ret)
{
    return j->list ? list(a, j) : restore_run(a, &j->options, &t->watch, ret);
}

int admin_restore(int argc, char **argv)
{
    struct job j = {.options = {.data = getenv("HEARTH_DATA")}};
    struct restore_result n = {0};
    struct tell t;
    struct arena *a;
    int code = 0;
    err e;

    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(stdout);
    a = arena_new(0);
    e = read_args(a, argc, argv, &j);
    tell_begin(&t, a, j.json);
    if (!e)
        e = run(a, &j, &t, &n);
    tell_end(&t);
    if (e)
        code = tell_error(e);
    else if (n.damaged)
        code = 2;
    if (!e && !j.list && j.json)
        say_json(a, &n, &t);
    else if (!e && !j.list)
        say(a, &n, j.options.data);
    arena_free(a);
    return code;
}
