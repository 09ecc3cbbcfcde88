/* chunked.h — the strict decoder of chunked request bodies (RFC 9112, section 7).
 *
 * It eats the framing only; the caller moves the data itself, straight from the socket to its
 * buffer when it likes:
 *
 *     size[;extension] CRLF   data CRLF   …   0 CRLF   trailers CRLF
 *     └── step ────────────┘  └take┘└── step ──────────────────────┘
 *
 * Extensions (;name, ;name=token, ;name="text", without blanks) and trailers are checked, skipped
 * and limited.
 */
#pragma once
#include "base/err.h"

#define HTTP_CHUNK_EXT_MAX 256           /* bytes of extensions of one chunk */
#define HTTP_CHUNK_EXT_TOTAL (16u << 10) /* of all chunks of a body */
#define HTTP_TRAILERS_MAX (8u << 10)

struct http_chunked {
    uint64_t data_left; /* so many data bytes come next */
    bool done;          /* the last CRLF has been seen */
    unsigned char state, digits;
    uint16_t extension;
    uint32_t extensions, trailers;
    uint64_t size;
};

/* Eats framing off the front of *in: until data comes (data_left > 0), the end (done) or *in is
 * empty.  Fails with 400; the stream is then out of step for good. */
MUST err http_chunked_step(struct http_chunked *c, str *in);
/* The caller has taken `count` <= data_left data bytes. */
void http_chunked_take(struct http_chunked *c, uint64_t count);
