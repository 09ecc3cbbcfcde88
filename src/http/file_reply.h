/* file_reply.h — answering with a file: headers, conditions, one range.
 *
 *   file_reply_begin ──answered──▶ 304, 412
 *        └──▶ open the bytes of `range` ──▶ file_reply_send
 *
 * User files are never active content on this origin: types that browsers run become text, and
 * every answer carries nosniff and a sandbox.
 */
#pragma once
#include "http/range.h"
#include "http/reply.h"

struct file_reply {
    str path; /* names the download */
    str etag; /* with quotes */
    uint64_t size;
    const char *type;    /* as it is sent */
    int64_t modified_ms; /* 0: no Last-Modified */
    str cache_control;
};

/* By the extension: text, image, audio and video that only show, else octet-stream. */
const char *file_type_of(str path);
/* A type that somebody else chose, made harmless. */
const char *file_type_safe(struct arena *a, str type);
/* `inline` or `attachment` (?download) and the file's name; nothing with ?noContentDisposition. */
void file_disposition(struct req *r, str path);

/* Sets the headers and checks If-Match, If-None-Match, If-Modified-Since, If-Range and Range.
 * *ret_answered: the answer is complete.  416 when the range is past the end. */
MUST err file_reply_begin(struct req *r, const struct file_reply *f, struct http_range *ret,
                          bool *ret_answered);
/* Does the answer need bytes?  Not for HEAD and for empty files. */
bool file_reply_needs_bytes(const struct req *r, const struct http_range *range);
/* `s` gives the bytes of `range`; NULL when none are needed. */
MUST err file_reply_send(struct req *r, const struct file_reply *f, const struct http_range *range,
                         struct source *s);
