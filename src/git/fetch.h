/* fetch.h — the server's side of clone and fetch: advertisement, negotiation, what goes into the
 * pack.  Protocol v2, and v0/v1 as HTTP uses them (every request stands alone).
 *
 * The caller reads the whole request body (at most FETCH_MAX_BODY, decompressed), asks for a
 * reply, and streams it with fetch_reply_step.  Planning reads commits and trees; the ids to send
 * are listed before the first byte leaves, so that a step is one query for the next object.
 *
 * An err from planning is meant for the client: send it with 200 as pkt_err(text), because git
 * shows that and hides the body of other statuses.
 */
#pragma once
#include "git/pack.h"
#include "git/pkt.h"
#include "git/reach.h"

#define FETCH_MAX_BODY (16u << 20)
#define FETCH_MAX_LINES 300000 /* wants, haves and shallows in one request, each */

struct ref_tip {
    str name; /* full: "refs/heads/main" */
    oid id;
    oid peeled; /* of an annotated tag: what it finally names; else zero */
};

/* What is served.  Any object of `odb` may be wanted: it holds one repository. */
struct fetch_repo {
    struct odb *odb;
    const struct ref_tip *refs; /* sorted by name, without HEAD */
    size_t ref_count;
    str head;  /* the branch HEAD names, whether it exists or not: "refs/heads/main" */
    str agent; /* "hearth/0.1.0" */
};

/* The body of GET info/refs?service=git-upload-pack.  `version` is what Git-Protocol asks for. */
void fetch_advert(const struct fetch_repo *r, int version, struct buf *out);
/* "version=2" or "a=b:version=1" -> 2, 1; 0 for anything else. */
int fetch_protocol_version(str git_protocol_header);

struct fetch_reply {
    struct buf head; /* acknowledgements and section headers */
    bool has_pack, is_quiet;
    size_t band_max; /* payload bytes of a side-band packet; 0: the pack goes out bare */
    size_t object_count;
    struct pack_writer pack;
    bool is_done, said_start;
};

/* Answers POST git-upload-pack.  `scratch` may be rewound by the caller after the reply is
 * freed; `reply` owns heap memory and no arena memory. */
MUST err fetch_answer(const struct fetch_repo *r, struct arena *scratch, int version, str body,
                      struct fetch_reply *ret);
void fetch_reply_free(struct fetch_reply *reply);
#define AUTO_FETCH_REPLY __attribute__((cleanup(fetch_reply_free)))

/* Appends the next bytes to `out` (up to FETCH_STEP_MAX) and sets is_done with the last ones.
 * A failure appends a message for the user where the protocol has a place for it: send what is
 * in `out`, then close. */
#define FETCH_STEP_MAX (512u << 10)
MUST err fetch_reply_step(struct fetch_reply *reply, struct odb *o, struct arena *scratch,
                          struct buf *out);
