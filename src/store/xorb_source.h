/* xorb_source.h — bytes of a stored xorb as the body of an answer, for Xet clients, which unpack
 * the records themselves and do not check what they got. */
#pragma once
#include "http/source.h"
#include "store/store.h"

/* A link into the stored body: it names the file, not only the xorb, because another body of the
 * same xorb has other offsets. */
struct xorb_link {
    int64_t id, generation;
    uint64_t first, last; /* of the body, inclusive */
};
struct xorb_slice {
    str head; /* text that goes before these bytes (multipart), usually empty */
    uint64_t first, count;
};

struct xorb;
/* The xorb that a link means.  *ret NULL: it is gone, was replaced or has fewer bytes; a new
 * reconstruction names others.  500 DataCorrupt. */
MUST err xorb_link_open(struct store *s, struct arena *a, const struct xorb_link *l,
                        struct xorb **ret, uint64_t *ret_size);
void xorb_link_close(struct store *s, struct xorb *x);

/* The slices, which lie within the body, one after another, then `tail`.  Takes over the reference
 * to `x`, also when it fails; slices and texts must live as long as the source.
 * A xorb that was verified since start leaves as ranges of its file; of another one each record is
 * read, checked and copied, so that damage answers 500 DataCorrupt, or cuts the body. */
MUST err xorb_source(struct store *s, struct arena *a, struct xorb *x,
                     const struct xorb_slice *slices, size_t count, str tail, struct source **ret);
