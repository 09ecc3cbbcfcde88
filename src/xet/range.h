/* range.h — what the download side of the CAS is asked for: Range headers, and links to pieces of
 * xorbs.  Pure functions. */
#pragma once
#include "cas/hash.h"
#include "store/xorb_source.h"

struct xet_range {
    uint64_t first, count;
};

/* --- reconstructions: bytes of a file --- */
/* One range "bytes=a-b", "a-" or "-n", cut at the end of the file; no header means all of it.
 * 416 when it begins at or behind the end, which is how clients find the end, and when it cannot be
 * read.  Of the empty file only ranges that begin at 0 are there. */
MUST err xet_range_parse(str header, uint64_t size, struct xet_range *ret);

/* --- fetch links: bytes of a xorb --- */
#define XET_RANGES_MAX 512
/* The ranges of a header within [first, last], ascending and apart from each other; no header means
 * all of it.  "a-" ends at `last`.  False when it says anything else. */
bool xet_ranges_parse(str header, uint64_t first, uint64_t last, struct xet_range *ret,
                      size_t *ret_count);

/* "x=ID-GENERATION&r=FIRST-LAST", to which the signature is added. */
str xet_link_query(struct arena *a, const struct xorb_link *l);
/* The values of x and r.  False when they are no link. */
bool xet_link_parse(str x, str r, struct xorb_link *ret);
/* What is signed. */
str xet_link_claims(struct arena *a, xorb_hash h, const struct xorb_link *l);
