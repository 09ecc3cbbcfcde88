/* log.h — one logfmt line per event on stderr.
 *
 * Library folders (base … store) never call this; server, admin and jobs do.  Values are quoted
 * when they need it.  A `secret` has no accessor that a log call accepts.
 */
#pragma once
#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
void log_set_level(enum log_level level);

struct log_field {
    const char *key;
    str value;
};
/* log_event(LOG_WARN, "listening", 2, fields): "t=… level=warn msg=listening addr=…" */
void log_event(enum log_level level, const char *message, size_t count,
               const struct log_field *fields);
/* For start-up and admin lines: a formatted message without fields. */
void log_printf(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Bytes that must not be printed: prints as *** wherever a str is wanted. */
typedef struct {
    str hidden;
} secret;
#define SECRET_STR STR("***")
