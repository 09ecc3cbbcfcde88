/* range.h — which bytes of a file does this request want?  (RFC 9110, section 14.)
 *
 * One range is honoured.  A list of ranges, another unit, a malformed header or an empty file
 * means the whole file, as the RFC allows.
 */
#pragma once
#include "base/err.h"

struct http_range {
    uint64_t first; /* offset of the first byte to send */
    uint64_t count; /* how many bytes to send; 0 only for an empty file */
    bool partial;   /* reply 206 with Content-Range, not 200 */
};

/* Reads the Range header `value` (empty when absent) for a file of `size` bytes.
 * On success *ret lies within the file: first + count <= size.
 * Fails with 416 when the range is well formed but starts past the end; *ret is then untouched. */
MUST err http_range_parse(str value, uint64_t size, struct http_range *ret);

/* Does an If-None-Match / If-Match style list (or "*") contain this strong etag (with its quotes)?
 * Weak tags compare by their opaque part. */
bool http_etag_matches(str list, str etag);
