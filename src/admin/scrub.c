/* scrub.c — `hearth scrub`. */
#include "admin/admin.h"
#include "admin/ask.h"
#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int help(FILE *out)
{
    fputs("hearth scrub — read every stored xorb and shard once and check it\n\n"
          "  hearth scrub [--rate BYTES] [--json] [--data DIR]\n\n"
          "What is damaged goes into quarantine: reading it fails until somebody uploads the same\n"
          "data again; hearth fsck names the files. Beside a running hub it asks that to do the\n"
          "work and waits; the hub also does this by itself, within every scrub_days.\n\n"
          "  --rate BYTES  read at most so many bytes per second\n"
          "  --json        print the result as one JSON object\n\n"
          "Exit code: 0 all is well, 1 damage was found or the check failed, 2 wrong usage.\n",
          out);
    return out == stdout ? 0 : 2;
}

struct job {
    const char *data;
    bool json;
    int64_t rate;
};

static err read_words(struct arena *a, int argc, char **argv, struct job *j)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            j->json = true;
        } else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            j->data = argv[++i];
        } else if (strcmp(argv[i], "--rate") == 0 && i + 1 < argc) {
            if (!str_i64(str_c(argv[++i]), &j->rate) || j->rate <= 0)
                return err_new(a, 400, NULL, "--rate needs a number of bytes per second.");
        } else {
            return err_new(a, 400, NULL, "Unexpected word \"%s\"; see hearth scrub --help.",
                           argv[i]);
        }
    }
    return OK;
}

static int64_t get(const struct json *j, const char *key)
{
    int64_t n = 0;

    (void)json_i64(json_get(j, key), &n);
    return n;
}

static err run(struct arena *a, int argc, char **argv, int64_t *ret_damaged)
{
    struct job j = {.data = getenv("HEARTH_DATA") ?: "./data"};
    const struct json *r;
    str result;

    TRY(read_words(a, argc, argv, &j));
    TRY(admin_ask(a, j.data, STR("scrub"), arena_printf(a, "{\"rate\":%lld}", (long long)j.rate),
                  &result));
    TRY(json_parse(a, result, &r));
    *ret_damaged = get(r, "damaged");
    if (j.json)
        printf("%.*s\n", STR_FMT(result));
    else
        printf("%lld xorbs read, %lld bytes with the shards; %lld damaged\n",
               (long long)get(r, "xorbs"), (long long)get(r, "bytes"), (long long)*ret_damaged);
    return OK;
}

int admin_scrub(int argc, char **argv)
{
    int64_t damaged = 0;
    struct arena *a;
    int code;
    err e;

    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(stdout);
    a = arena_new(0);
    e = run(a, argc, argv, &damaged);
    code = e ? admin_ask_failed(e) : damaged > 0;
    arena_free(a);
    return code;
}
