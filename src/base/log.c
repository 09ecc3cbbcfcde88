/* log.c — see log.h.
 *
 * A line is built aside and leaves in one write, so lines of several threads never mix.
 */
#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)16 << 10)
#define VALUE_MAX_BYTES ((size_t)2 << 10)

static _Atomic int highest = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&highest, (int)level);
}

static bool needs_quotes(str s)
{
    if (s.len == 0)
        return true;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
            return true;
    }
    return false;
}

static void add_quoted(struct buf *b, str s)
{
    bool text = utf8_valid(s);

    buf_addc(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_add(b, STR("\\n"));
        else if (c < ' ' || c == 0x7f || (c >= 0x80 && !text))
            buf_printf(b, "\\x%02x", c);
        else
            buf_addc(b, (char)c);
    }
    buf_addc(b, '"');
}

static void add_value(struct buf *b, str s)
{
    bool cut = s.len > VALUE_MAX_BYTES;

    s = str_first(s, VALUE_MAX_BYTES);
    if (needs_quotes(s))
        add_quoted(b, s);
    else
        buf_add(b, s);
    if (cut)
        buf_add(b, STR("..."));
}

void log_event(enum log_level level, const char *message, size_t count,
               const struct log_field *fields)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    AUTO_BUF struct buf line = BUF(LINE_MAX_BYTES);
    char now[40];

    if ((int)level > atomic_load(&highest))
        return;
    buf_add(&line, STR("t="));
    buf_add(&line, clock_iso_write(now, clock_ms()));
    buf_printf(&line, " level=%s msg=", names[level]);
    add_value(&line, str_c(message));
    for (size_t i = 0; i < count && !line.full; i++) {
        buf_printf(&line, " %s=", fields[i].key);
        add_value(&line, fields[i].value);
    }
    if (line.full || line.len == line.max) { /* the end is lost, the line end is not */
        line.len -= line.len == line.max;
        line.full = false;
    }
    buf_addc(&line, '\n');
    if (write_full(STDERR_FILENO, line.ptr, line.len) != 0)
        return; /* nowhere left to say so */
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    if ((int)level > atomic_load(&highest))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_event(level, text, 0, NULL);
}
