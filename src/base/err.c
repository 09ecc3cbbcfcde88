/* err.c — see err.h. */
#include "base/err.h"
#include "base/arena.h"

#include <errno.h>
#include <string.h>

static const str plain_500 = STR_INIT("Something went wrong on this hub; its log has the details.");

const struct err_info err_no_space = {
    .status = 507,
    .code = "InsufficientStorage",
    .text =
        STR_INIT("The disk of this hub is full; ask its operator to free space, then try again."),
};

/* The build directory puts "../" before every source path; the log does not need it. */
static const char *tidy(const char *at)
{
    while (at && strncmp(at, "../", 3) == 0)
        at += 3;
    return at;
}

static err make(struct arena *a, struct err_info info)
{
    struct err_info *e = arena_one(a, struct err_info);

    *e = info;
    e->at = tidy(info.at);
    return e;
}

err err_make(struct arena *a, int status, const char *code, const char *at, const char *fmt, ...)
{
    va_list ap;
    str text;

    va_start(ap, fmt);
    text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return make(a, (struct err_info){.status = status, .code = code, .text = text, .at = at});
}

err err_make_os(struct arena *a, const char *what, const char *path, const char *at)
{
    int number = errno;
    char words[128];
    struct err_info info = {.status = 500, .text = plain_500, .at = at};

    if (number == ENOSPC || number == EDQUOT)
        info = (struct err_info){507, err_no_space.code, err_no_space.text, at, STR_NONE};
    info.detail = arena_printf(a, "%s %s: %s", what, path ? path : "",
                               strerror_r(number, words, sizeof words));
    errno = number;
    return make(a, info);
}

err err_make_internal(struct arena *a, const char *at, const char *fmt, ...)
{
    va_list ap;
    str detail;

    va_start(ap, fmt);
    detail = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return make(a, (struct err_info){.status = 500, .text = plain_500, .at = at, .detail = detail});
}

err err_copy(struct arena *a, err e)
{
    struct err_info *copy;

    if (!e)
        return OK;
    copy = arena_one(a, struct err_info);
    *copy = *e;
    copy->text = e->text.ptr ? arena_str(a, e->text) : e->text;
    copy->detail = e->detail.ptr ? arena_str(a, e->detail) : e->detail;
    return copy;
}
