/* admin.c — finds the command, reads its arguments, opens the store. */
#include "admin/admin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *words[3]; /* "user", "add" */
    int positional;       /* how many words it takes */
    err (*run)(struct args *x);
    const char *usage;
    const char *options; /* names it knows; a '!' marks a flag without value */
} commands[] = {
    {{"user", "add"},
     1,
     admin_user_add,
     "user add NAME [--full-name S] [--email S] [--id HEX24] [--site-admin] [--password-stdin] "
     "[--force]",
     "full-name email id site-admin! password-stdin! force!"},
    {{"user", "passwd"},
     1,
     admin_user_passwd,
     "user passwd NAME [--password-stdin]",
     "password-stdin!"},
    {{"user", "disable"}, 1, admin_user_disable, "user disable NAME", ""},
    {{"user", "enable"}, 1, admin_user_enable, "user enable NAME", ""},
    {{"user", "list"}, 0, admin_user_list, "user list", ""},
    {{"token", "add"},
     1,
     admin_token_add,
     "token add USER [--name S] [--role read|write|fineGrained] [--value LITERAL] [--scopes JSON]",
     "name role value scopes"},
    {{"token", "list"}, 1, admin_token_list, "token list USER", ""},
    {{"token", "revoke"}, 2, admin_token_revoke, "token revoke USER ID", ""},
    {{"org", "add"},
     1,
     admin_org_add,
     "org add NAME [--full-name S] [--id HEX24] [--private-by-default] [--force]",
     "full-name id private-by-default! force!"},
    {{"org", "list"}, 0, admin_org_list, "org list", ""},
    {{"org", "member", "add"},
     2,
     admin_member_add,
     "org member add ORG USER --role read|contributor|write|admin",
     "role"},
    {{"org", "member", "remove"}, 2, admin_member_remove, "org member remove ORG USER", ""},
    {{"org", "member", "list"}, 1, admin_member_list, "org member list ORG", ""},
    {{"quota", "set"}, 2, admin_quota_set, "quota set NAME BYTES|none", ""},
    {{"quota", "show"}, 1, admin_quota_show, "quota show NAME", ""},
};
#define COUNT (sizeof commands / sizeof *commands)

static int help(FILE *out)
{
    fprintf(out, "hearth admin — users, tokens and organizations; works beside a running hub\n\n");
    for (size_t i = 0; i < COUNT; i++)
        fprintf(out, "  hearth admin %s\n", commands[i].usage);
    fprintf(out, "\nEvery command takes --data DIR (default ./data, or HEARTH_DATA).\n");
    return out == stdout ? 0 : 2;
}

const char *args_get(const struct args *x, const char *name)
{
    for (int i = 0; i < x->option_count; i++)
        if (strcmp(x->options[i].name, name) == 0)
            return x->options[i].value;
    return NULL;
}

bool args_has(const struct args *x, const char *name)
{
    for (int i = 0; i < x->option_count; i++)
        if (strcmp(x->options[i].name, name) == 0)
            return true;
    return false;
}

str args_str(const struct args *x, const char *name)
{
    const char *v = args_get(x, name);

    return v ? str_c(v) : STR_NONE;
}

/* How many words of argv name this command; 0: it is another one. */
static int matches(const struct command *c, int argc, char **argv)
{
    int n = 0;

    while (n < 3 && c->words[n]) {
        if (n >= argc || strcmp(argv[n], c->words[n]) != 0)
            return 0;
        n++;
    }
    return n;
}

enum known { UNKNOWN, VALUE, FLAG };
static enum known option_known(const struct command *c, const char *name)
{
    str rest = str_c(c->options);

    if (strcmp(name, "data") == 0)
        return VALUE;
    while (rest.ptr) {
        str one = str_cut(&rest, ' ');
        bool flag = str_drop(&one, STR("!"));

        if (one.len && str_eq(one, str_c(name)))
            return flag ? FLAG : VALUE;
    }
    return UNKNOWN;
}

static err read_args(const struct command *c, int argc, char **argv, struct args *x)
{
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i] + 2;
        enum known k;

        if (strncmp(argv[i], "--", 2) != 0) {
            if (x->word_count == 8)
                return err_new(x->a, 400, NULL, "Too many words. Usage: hearth admin %s", c->usage);
            x->words[x->word_count++] = argv[i];
            continue;
        }
        k = option_known(c, name);
        if (k == UNKNOWN || x->option_count == 16)
            return err_new(x->a, 400, NULL, "Unknown option %s. Usage: hearth admin %s", argv[i],
                           c->usage);
        if (k == VALUE && i + 1 >= argc)
            return err_new(x->a, 400, NULL, "Option %s needs a value.", argv[i]);
        x->options[x->option_count++] = (struct arg_option){name, k == VALUE ? argv[++i] : NULL};
    }
    if (x->word_count != c->positional)
        return err_new(x->a, 400, NULL, "Usage: hearth admin %s", c->usage);
    return OK;
}

static err run(const struct command *c, int argc, char **argv, struct args *x)
{
    struct store_config config = {0};
    const char *env = getenv("HEARTH_DATA");
    err e;

    TRY(read_args(c, argc, argv, x));
    config.data_dir = args_get(x, "data") ?: (env ?: "./data");
    TRY(store_open(x->a, &config, &x->store));
    e = c->run(x);
    store_close(x->store);
    return e;
}

int admin_main(int argc, char **argv)
{
    struct args x = {.a = arena_new(0)};
    int code = 2;

    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(stdout);
    for (size_t i = 0; i < COUNT; i++) {
        int n = matches(&commands[i], argc, argv);
        err e;

        if (n == 0)
            continue;
        e = run(&commands[i], argc - n, argv + n, &x);
        if (e)
            fprintf(stderr, "hearth: %.*s%s%.*s\n", STR_FMT(e->text), e->detail.len ? " — " : "",
                    STR_FMT(e->detail));
        code = e ? (e->status == 400 ? 2 : 1) : 0;
        arena_free(x.a);
        return code;
    }
    return help(stderr);
}
