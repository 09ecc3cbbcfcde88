/* backup.c — hearth backup: one moment of the hub into a folder, while it runs. */
#include "admin/admin.h"
#include "admin/backup_tell.h"
#include "base/version.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
    const char *data;
    struct backup_options options;
    bool json;
    struct store *store;
};

static int help(FILE *out)
{
    fprintf(
        out,
        "hearth backup — the whole hub into a folder, also while it runs\n\n"
        "  hearth backup DEST [--data DIR] [--keep N] [--verify] [--json]\n\n"
        "  --keep N    how many earlier snapshots stay in DEST beside the new one (default %d)\n"
        "  --verify    read again what DEST has already; else only what is new is read\n"
        "  --json      one JSON object on stdout\n\n"
        "DEST is made, or holds earlier backups of this hub: then only large files that are not\n"
        "there yet are copied. Everything copied is checked against its hash. Whatever stops a\n"
        "backup, the earlier ones stay valid; DEST/manifest.json names those that are whole.\n"
        "hearth restore DEST --data NEWDIR makes a hub of it again.\n\n"
        "Exit code: 0 all is there; 1 no new backup was made; 2 a backup was made, and damaged\n"
        "files of the hub, which are named, are not in it.\n",
        BACKUP_KEEP);
    return out == stdout ? 0 : 1;
}

static err read_keep(struct arena *a, const char *word, unsigned *ret)
{
    uint64_t n;

    if (!str_u64(str_c(word), &n) || n > BACKUP_KEEP_MAX)
        return err_new(a, 400, NULL, "--keep takes a number from 0 to %d.", BACKUP_KEEP_MAX);
    *ret = (unsigned)n;
    return OK;
}

static err read_args(struct arena *a, int argc, char **argv, struct job *j)
{
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--verify") == 0)
            j->options.verify = true;
        else if (strcmp(word, "--json") == 0)
            j->json = true;
        else if (strcmp(word, "--data") == 0 && i + 1 < argc)
            j->data = argv[++i];
        else if (strcmp(word, "--keep") == 0 && i + 1 < argc)
            TRY(read_keep(a, argv[++i], &j->options.keep));
        else if (word[0] == '-' || j->options.dest || !word[0])
            return err_new(a, 400, NULL, "Unexpected \"%s\"; see hearth backup --help.", word);
        else
            j->options.dest = word;
    }
    return j->options.dest
               ? OK
               : err_new(a, 400, NULL, "Name a folder: hearth backup DEST [--data DIR]");
}

static void say_json(struct arena *a, const struct backup_result *n, const struct tell *t)
{
    struct json_out *j = json_out_new(a);

    json_obj(j);
    json_kv_str(j, "snapshot", n->snapshot);
    json_kv_i64(j, "blobs", (int64_t)n->blobs);
    json_kv_i64(j, "bytes", (int64_t)n->bytes);
    json_kv_i64(j, "new_blobs", (int64_t)n->new_blobs);
    json_kv_i64(j, "new_bytes", (int64_t)n->new_bytes);
    json_kv_i64(j, "database_bytes", (int64_t)n->database_bytes);
    json_kv_i64(j, "removed_snapshots", (int64_t)n->removed_snapshots);
    json_kv_i64(j, "removed_blobs", (int64_t)n->removed_blobs);
    json_kv_i64(j, "damaged", (int64_t)n->damaged);
    json_kv_raw(j, "damage", json_out_str(t->damage));
    json_obj_end(j);
    printf("%.*s\n", STR_FMT(json_out_str(j)));
}

static void say(struct arena *a, const struct backup_result *n, const char *dest)
{
    printf("%s/%.*s: databases of %.*s; %llu pieces of large files, %.*s, of which %llu (%.*s) "
           "were copied now\n",
           dest, STR_FMT(n->snapshot), STR_FMT(tell_bytes(a, n->database_bytes)),
           (unsigned long long)n->blobs, STR_FMT(tell_bytes(a, n->bytes)),
           (unsigned long long)n->new_blobs, STR_FMT(tell_bytes(a, n->new_bytes)));
    if (n->removed_snapshots || n->removed_blobs)
        printf("removed: %llu older snapshots, %llu pieces that none needs any more\n",
               (unsigned long long)n->removed_snapshots, (unsigned long long)n->removed_blobs);
    if (n->damaged)
        fprintf(stderr,
                "hearth: %llu damaged pieces are not in this backup; hearth fsck tells "
                "more, uploading the files again repairs them\n",
                (unsigned long long)n->damaged);
}

static err run(struct arena *a, struct job *j, struct tell *t, struct backup_result *ret)
{
    struct store_config config = {.data_dir = j->data};
    err e;

    if (access(arena_printf(a, "%s/hearth.db", j->data).ptr, F_OK))
        return err_new(a, 404, NULL, "%s holds no hub; name its folder with --data DIR.", j->data);
    TRY(store_open(a, &config, &j->store));
    e = backup_run(j->store, a, &j->options, &t->watch, ret);
    store_close(j->store);
    return e;
}

int admin_backup(int argc, char **argv)
{
    struct job j = {.data = getenv("HEARTH_DATA") ?: "./data",
                    .options = {.keep = BACKUP_KEEP, .program = HEARTH_VERSION}};
    struct backup_result n = {0};
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
    if (!e && j.json)
        say_json(a, &n, &t);
    else if (!e)
        say(a, &n, j.options.dest);
    arena_free(a);
    return code;
}
