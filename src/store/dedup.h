/* dedup.h — "do you have this chunk?": the answer is a shard that names chunks of stored xorbs,
 * from that chunk on, so that an upload need not send them.
 *
 * What may be asked: chunks that stand in chunk_key and are either one of the 1024th that all
 * clients ask for, or a beginning.  A key is a beginning when its hash is none that is sampled
 * (content_rows.h): then it is a key only because a file, a xorb or a term begins with it.  The one
 * in 32 beginnings that happens to be sampled counts when a file that was looked at starts there.
 *
 * What is named: in the readable scope only chunks of files that the asking user may read in some
 * repository or bucket; for all other chunks of the xorbs the answer has random hashes and lengths
 * that say nothing, so that nobody learns of data that they cannot read, not even by guessing it.
 * In the scope of everybody every chunk is named.
 *
 * The chunks that follow in the file come along until the answer is large enough; it then stops
 * right before a chunk that clients ask for, so that the next answer goes on without a gap.
 *
 * A named xorb was leased first (xet.h): whoever was told of it may refer to it until the key of
 * the answer expires, and rely on that for another 21 days.
 */
#pragma once
#include "store/account.h"
#include "store/xet.h"

#define DEDUP_CLIENT_MS (21 * 86400000LL) /* how long clients rely on what they registered */
#define DEDUP_KEY_MS (LEASE_RENEW_MS - DEDUP_CLIENT_MS) /* how long an answer may be used */

/* Limits of one answer and of the work for it. */
#define DEDUP_FILES_MAX 128     /* newest files of a xorb that are looked at */
#define DEDUP_PLACES_MAX 512    /* repositories that have them, per way of having */
#define DEDUP_MEMBERS_MAX 32    /* organizations whose members are asked for */
#define DEDUP_TERMS_MAX 32768   /* terms of files that are read */
#define DEDUP_XORBS_MAX 32      /* named in one answer */
#define DEDUP_CHUNKS_SOFT 6144  /* in one answer, unless one xorb alone has more; about 1 ms … */
#define DEDUP_CHUNKS_MAX 16384  /* … and when no chunk to end before is among them */
#define DEDUP_SPANS_MAX 4096    /* runs of chunks behind the one that was asked for */
#define DEDUP_MASKED_LEN 65536u /* what a chunk that is not named seems to hold */

struct dedup_query {
    chunk_hash chunk;
    const struct account *user; /* NULL: nobody */
    bool all;                   /* the scope of everybody */
};
/* The bytes of the shard; ptr NULL: nothing that may be said. */
MUST err dedup_answer(struct store *s, struct arena *a, const struct dedup_query *q, str *ret);
