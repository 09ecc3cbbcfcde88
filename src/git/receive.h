/* receive.h — the server's side of a push: advertisement, the list of commands, the report.
 *
 * A push request holds command lines, a flush, and (unless it only deletes) a pack.  The lines are
 * read here packet by packet, so that the stream is left standing at the pack's first byte.  Git
 * also sends a lone flush to probe; that is a push without commands.  A shallow clone says where
 * its history ends; this is ignored, because the history behind must be here already, which the
 * check of connectivity finds out.
 */
#pragma once
#include "git/fetch.h"

#define RECEIVE_MAX_COMMANDS 20000
#define RECEIVE_MAX_OPTIONS 100

/* The body of GET info/refs?service=git-receive-pack (versions 0 and 1 only; 2 is answered as 0).
 */
void receive_advert(const struct fetch_repo *r, int version, struct buf *out);

struct push_command {
    oid old_id, new_id; /* zero: create, delete */
    str name;
    /* The verdict: filled in by the caller, read by receive_report. */
    bool is_ok;
    str reason; /* why not: a few words on one line */
};
struct push {
    struct push_command *commands;
    size_t count;
    bool report_status, side_band, is_atomic, is_quiet;
    bool has_pack; /* not every command deletes */
};

/* Reads the commands.  Fails with 400 on a malformed line, a repeated name or a signed push, with
 * 413 past RECEIVE_MAX_COMMANDS. */
MUST err receive_commands(struct arena *a, const struct pkt_input *in, struct push *ret);

/* A line for the user, shown by git behind "remote: ". */
void receive_say(const struct push *p, struct buf *out, str line);
/* The report: whether the pack was taken in (unpack_reason empty) and each command's verdict,
 * framed as the client asked, with the final flush.  Nothing when it asked for no report. */
void receive_report(struct arena *a, const struct push *p, str unpack_reason, struct buf *out);
