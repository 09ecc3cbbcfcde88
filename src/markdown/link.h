/* link.h — where a link or an image of a card may lead.
 *
 * http, https and relative URLs; mailto for links; data: for small images of four formats.  A
 * scheme is looked for after what browsers ignore is gone, and every byte outside of the URL
 * alphabet leaves percent-encoded, so nothing that a browser would read differently remains.
 */
#pragma once
#include "base/buf.h"
#include "markdown/markdown.h"

#define LINK_MAX_DATA (64u << 10) /* bytes of a data: URL */

enum link_use { LINK_PAGE, LINK_MEDIA, LINK_IMAGE };

/* Appends the address that `url` (entities decoded) stands for; plain URL characters only, to be
 * escaped for HTML.  False, with nothing appended, when it may not be used.
 * *ret_foreign: it leads away from options->origin. */
bool link_resolve(struct buf *b, const struct markdown_options *o, enum link_use use, str url,
                  bool *ret_foreign);

/* A list of image candidates ("a.png 1x, b.png 2x"); false when one of them may not be used. */
bool link_srcset(struct buf *b, const struct markdown_options *o, str list);

/* The last segment of the path of a URL, for images without a text. */
str link_file_name(str url);
