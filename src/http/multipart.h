/* multipart.h — the body of a form with files (multipart/form-data, RFC 7578), read as it arrives.
 *
 *     multipart_open ──▶ multipart_next ──part──▶ multipart_read … until 0 ──▶ multipart_next …
 *                              └──none──▶ done
 *
 * Memory is one window of MULTIPART_WINDOW bytes, whatever the size of the files.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define MULTIPART_WINDOW (64u << 10)
#define MULTIPART_HEAD_MAX 8192u   /* bytes of one part's headers */
#define MULTIPART_PARTS_MAX 20000u /* of one body: 413 above */

/* Gives up to `len` bytes of the body; *ret 0 at its end.  http_body_read() for requests. */
typedef err (*multipart_source)(void *arg, void *p, size_t len, size_t *ret);

struct multipart;
struct multipart_part {
    str name;     /* of the form's field */
    str filename; /* ptr NULL: an ordinary field.  As the browser sent it: may hold slashes */
};
/* `content_type` is the request's; 400 when it is not multipart/form-data with a boundary.  Lives
 * in the arena. */
MUST err multipart_open(struct arena *a, str content_type, multipart_source source, void *arg,
                        struct multipart **ret);
/* Skips what is left of the part before.  *ret_found false: there are no more.  400 on a malformed
 * or broken-off body. */
MUST err multipart_next(struct multipart *m, struct multipart_part *ret, bool *ret_found);
/* The next bytes of the part; *ret 0 at its end. */
MUST err multipart_read(struct multipart *m, void *p, size_t len, size_t *ret);
/* The whole of a small part, at most `max` bytes; 413 above. */
MUST err multipart_text(struct multipart *m, size_t max, str *ret);
