/* err.h — why something failed, in words fit for the client.
 *
 * A function that can fail returns err; OK is null.  An err is a static object or lives in the
 * request arena, so nobody frees one.  Dropping one on the floor is a compile error (MUST).
 */
#pragma once
#include "base/str.h"

struct err_info {
    int status;       /* HTTP status of the reply; commands map it to an exit code */
    const char *code; /* stable word sent as X-Error-Code, e.g. "RepoNotFound"; NULL sends none */
    str text;         /* one sentence for the user; no secrets, no SQL */
    const char *at;   /* "file.c:41" for the log; NULL for static objects */
    str detail;       /* for the log only, e.g. strerror or the database's words */
};
typedef const struct err_info *err;

#define OK ((err)0)
#define MUST __attribute__((warn_unused_result))
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        err e_ = (expr);                                                                           \
        if (e_)                                                                                    \
            return e_;                                                                             \
    } while (0)

struct arena;
#define ERR_STR1(x) #x
#define ERR_STR(x) ERR_STR1(x)
#define ERR_AT __FILE__ ":" ERR_STR(__LINE__)

/* err_new(a, 409, "Code" or NULL, fmt, …): an err whose text is for the client. */
#define err_new(a, status, code, ...) err_make(a, status, code, ERR_AT, __VA_ARGS__)
/* err_os(a, "open", path): the client sees a plain 500 (507 for ENOSPC/EDQUOT), the log sees errno.
 */
#define err_os(a, what, path) err_make_os(a, what, path, ERR_AT)
/* err_internal(a, fmt, …): a plain 500; the text goes to the log only. */
#define err_internal(a, ...) err_make_internal(a, ERR_AT, __VA_ARGS__)

err err_make(struct arena *a, int status, const char *code, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
err err_make_os(struct arena *a, const char *what, const char *path, const char *at);
err err_make_internal(struct arena *a, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

extern const struct err_info
    err_no_space; /* 507, when the disk is full or disk_reserve is reached */

/* The same err with its words copied into `a`, for when the arena they live in goes away first. */
err err_copy(struct arena *a, err e);
