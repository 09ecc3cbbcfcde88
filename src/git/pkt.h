/* pkt.h — git's pkt-line framing: four hex digits of length (themselves included), then the
 * payload; 0000 is a flush, 0001 a delimiter, 0002 the end of a response.
 *
 * Side band: the first byte of a payload says what it is: 1 pack data, 2 progress for the user,
 * 3 a fatal message.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define PKT_MAX 65520 /* a whole pkt-line */
#define PKT_MAX_PAYLOAD (PKT_MAX - 4)
#define PKT_MAX_BAND (PKT_MAX - 5) /* bytes behind the band byte */

enum pkt_kind { PKT_END, PKT_LINE, PKT_FLUSH, PKT_DELIM, PKT_RESPONSE_END };

struct pkt {
    enum pkt_kind kind; /* PKT_END: the input is over */
    str line;           /* of PKT_LINE: the payload, as it came */
};
/* The line without one newline at its end, as text lines are compared. */
str pkt_text(const struct pkt *p);

/* Takes one packet off the front of *in.  Fails with 400 on bad or cut framing. */
MUST err pkt_take(struct arena *a, str *in, struct pkt *ret);

/* Where a stream comes from: reads at most `len` bytes; *ret_len 0 only at the end. */
struct pkt_input {
    err (*read)(void *ctx, struct arena *a, void *p, size_t len, size_t *ret_len);
    void *ctx;
};
/* Reads one packet and not a byte more, so that a pack may follow.  The line lives in `line`,
 * which has PKT_MAX bytes. */
MUST err pkt_read(struct arena *a, const struct pkt_input *in, char *line, struct pkt *ret);

/* --- writing; an overfull buf is noticed by whoever looks at buf.full --- */
void pkt_line(struct buf *out, str payload); /* at most PKT_MAX_PAYLOAD bytes */
void pkt_printf(struct buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pkt_flush(struct buf *out);
void pkt_delim(struct buf *out);
/* Cuts `data` into packets on `band`. */
void pkt_band(struct buf *out, char band, str data);
/* A message for the user: "ERR text" outside of a side band. */
void pkt_err(struct buf *out, str text);
