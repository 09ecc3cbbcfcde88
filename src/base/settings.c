/* settings.c — see settings.h. */
#include "base/settings.h"
#include "base/io.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF_MAX (1u << 20)

struct settings settings;

enum setting_type { SETTING_IS_STR, SETTING_IS_INT, SETTING_IS_BOOL };
static const struct {
    str name;
    enum setting_type type;
    void *place;
    const char *fallback; /* as text */
    const char *help;
} table[] = {
#define SETTING(type, name, fallback, help)                                                        \
    {STR_INIT(#name), SETTING_IS_##type, (void *)&settings.name, #fallback, help},
#include "base/settings.def"
#undef SETTING
};
#define COUNT (sizeof table / sizeof *table)

static char *kept[COUNT]; /* the copy that a STR setting points at; NULL: its default */

/* "base-url" and "BASE_URL" name base_url. */
static bool same_name(str given, str name)
{
    if (given.len != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = given.ptr[i];

        if (c == '-')
            c = '_';
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        if (c != name.ptr[i])
            return false;
    }
    return true;
}

static ptrdiff_t find(str name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (same_name(name, table[i].name))
            return (ptrdiff_t)i;
    return -1;
}

bool settings_known(str name, bool *ret_is_bool)
{
    ptrdiff_t i = find(name);

    if (i >= 0)
        *ret_is_bool = table[i].type == SETTING_IS_BOOL;
    return i >= 0;
}

static bool parse_bool(str v, bool *ret)
{
    bool yes = str_ieq(v, STR("on")) || str_ieq(v, STR("true")) || str_ieq(v, STR("yes")) ||
               str_eq(v, STR("1"));
    bool no = str_ieq(v, STR("off")) || str_ieq(v, STR("false")) || str_ieq(v, STR("no")) ||
              str_eq(v, STR("0"));

    *ret = yes;
    return yes || no;
}

static char *keep(str v)
{
    char *p = malloc(v.len + 1);

    if (!p)
        abort();
    if (v.len)
        memcpy(p, v.ptr, v.len);
    p[v.len] = 0;
    return p;
}

err settings_set(struct arena *a, str name, str value)
{
    ptrdiff_t i = find(name);
    int64_t n;
    bool b;

    if (i < 0)
        return err_new(a, 400, NULL,
                       "There is no setting \"%.*s\"; hearth serve --help lists them.",
                       STR_FMT(name));
    switch (table[i].type) {
    case SETTING_IS_STR:
        free(kept[i]);
        kept[i] = keep(value);
        *(const char **)table[i].place = kept[i];
        return OK;
    case SETTING_IS_INT:
        if (!str_i64(value, &n) || n < 0)
            return err_new(a, 400, NULL, "The setting %.*s takes a whole number, not \"%.*s\".",
                           STR_FMT(table[i].name), STR_FMT(value));
        *(int64_t *)table[i].place = n;
        return OK;
    case SETTING_IS_BOOL:
        if (!parse_bool(value, &b))
            return err_new(a, 400, NULL, "The setting %.*s takes on or off, not \"%.*s\".",
                           STR_FMT(table[i].name), STR_FMT(value));
        *(bool *)table[i].place = b;
        return OK;
    }
    return OK;
}

void settings_defaults(void)
{
#define SETTING(type, name, fallback, help) settings.name = fallback;
#include "base/settings.def"
#undef SETTING
}

extern char **environ;

err settings_from_env(struct arena *a)
{
    for (char **e = environ; *e; e++) {
        str value = str_c(*e), name = str_cut(&value, '=');
        bool is_bool;

        if (str_skip(&name, STR("HEARTH_")) && settings_known(name, &is_bool))
            TRY(settings_set(a, name, value));
    }
    return OK;
}

err settings_from_file(struct arena *a, const char *path)
{
    str text, line;
    int number = 0;

    if (access(path, F_OK) != 0 && errno == ENOENT)
        return OK;
    TRY(file_read(a, path, CONF_MAX, &text));
    while (text.ptr) {
        str name, value;

        number++;
        line = str_trim(str_cut(&text, '\n'));
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        value = line;
        name = str_trim(str_cut(&value, '='));
        if (!value.ptr)
            return err_new(a, 400, NULL, "%s, line %d: expected \"name = value\".", path, number);
        TRY(settings_set(a, name, str_trim(value)));
    }
    return OK;
}

str settings_help(struct arena *a)
{
    str all = STR("");

    for (size_t i = 0; i < COUNT; i++) {
        str flag = arena_str(a, table[i].name);
        char *p = arena_alloc(a, flag.len + 1);

        for (size_t k = 0; k < flag.len; k++)
            p[k] = flag.ptr[k] == '_' ? '-' : flag.ptr[k];
        all = arena_cat(a, all,
                        arena_printf(a, "  --%-24s %s (%s)\n", p, table[i].help,
                                     table[i].type == SETTING_IS_BOOL
                                         ? (table[i].fallback[0] == '1' ? "on" : "off")
                                         : table[i].fallback));
    }
    return all;
}
