/* main.c — picks a command. */
#include "admin/admin.h"
#include "base/version.h"
#include "server/serve.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int version(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("hearth " HEARTH_VERSION "\n");
    return 0;
}

static int routes(int argc, char **argv)
{
    (void)argc, (void)argv;
    return server_routes_list();
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", server_serve, "run the hub"},
    {"admin", admin_main, "users, tokens and organizations, also beside a running hub"},
    {"export", admin_export, "write repositories as bare git repositories with their large files"},
    {"fsck", admin_fsck, "check every stored byte, also beside a running hub"},
    {"gc", admin_gc, "clear away what nobody needs any more, also beside a running hub"},
    {"scrub", admin_scrub, "read everything stored once and check it, also beside a running hub"},
    {"backup", admin_backup, "the whole hub into a folder, also while it runs"},
    {"restore", admin_restore, "a data directory from a backup"},
    {"routes", routes, "list every address the hub answers"},
    {"version", version, "print the version"},
};

static int help(FILE *out)
{
    fprintf(out, "hearth — a model hub that people own\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  hearth %-9s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\nhearth COMMAND --help tells more.\n");
    return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    umask(0077); /* DATA is its owner's alone */
    if (argc < 2)
        return help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return help(stdout);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    fprintf(stderr, "hearth: there is no command \"%s\"\n\n", argv[1]);
    return help(stderr);
}
