/* settings.h — what the operator chose (settings.def lists everything).
 *
 * `settings` is written once at start and read by all; names are those of settings.def.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define SETTING_TYPE_STR const char *
#define SETTING_TYPE_INT int64_t
#define SETTING_TYPE_BOOL bool

struct settings {
#define SETTING(type, name, fallback, help) SETTING_TYPE_##type name;
#include "base/settings.def"
#undef SETTING
};
extern struct settings settings;

void settings_defaults(void);
/* "data" or "base-url" or "base_url" → the setting; 400 with a sentence for unknown names and bad
 * values.  Strings are copied and kept for the life of the process. */
MUST err settings_set(struct arena *a, str name, str value);
bool settings_known(str name, bool *ret_is_bool);
/* HEARTH_… variables.  Unknown ones that begin with HEARTH_ are left alone. */
MUST err settings_from_env(struct arena *a);
/* DATA/hearth.conf; fine when there is none. */
MUST err settings_from_file(struct arena *a, const char *path);
/* One line per setting, for --help. */
str settings_help(struct arena *a);
