/* fetch_plan.h — what a fetch asks for, and what follows from it.  Shared by fetch*.c only. */
#pragma once
#include "git/fetch.h"

#define FETCH_DEPTH_ALL 0x7fffffffu /* what git sends for --unshallow */

struct fetch_args {
    struct oid_list wants, haves, deepen_not;
    struct oid_map shallow; /* the client's commits without parents */
    struct oid_map wanted;  /* the wants as a set */
    struct oid_list common; /* haves that are commits here */
    uint64_t depth;         /* 0: not asked for */
    int64_t since_s;
    bool has_since, deepen_relative;
    struct reach_filter filter;
    bool done, no_progress, include_tag, wait_for_done;
};
void fetch_args_free(struct fetch_args *x);
#define AUTO_ARGS __attribute__((cleanup(fetch_args_free)))

static inline bool fetch_deepens(const struct fetch_args *x)
{
    return x->depth > 0 || x->has_since || x->deepen_not.count > 0;
}

/* Reads one line that v0 and v2 share: want, have, shallow, deepen…, filter.  *ret_known false
 * when it is none of them.  Wants must exist, haves need not. */
MUST err fetch_args_line(const struct fetch_repo *r, struct arena *a, str line,
                         struct fetch_args *x, bool *ret_known);

/* Does the server know enough: has every wanted commit an ancestor that both sides have? */
MUST err fetch_is_ready(const struct fetch_repo *r, struct arena *scratch,
                        const struct fetch_args *x, bool *ret);

/* The new border of a shallow clone. */
struct fetch_border {
    struct oid_list shallow, unshallow; /* to tell the client */
    struct oid_map cuts;                /* all commits whose parents are not sent */
};
void fetch_border_free(struct fetch_border *b);
#define AUTO_BORDER __attribute__((cleanup(fetch_border_free)))
MUST err fetch_border_find(const struct fetch_repo *r, struct arena *scratch,
                           const struct fetch_args *x, struct fetch_border *ret);
/* "shallow ID" and "unshallow ID" lines. */
void fetch_border_write(struct arena *a, const struct fetch_border *b, struct buf *out);

/* Lists the objects and makes the reply ready to send them behind its head. */
MUST err fetch_plan_pack(const struct fetch_repo *r, struct arena *scratch,
                         const struct fetch_args *x, const struct fetch_border *b,
                         struct fetch_reply *reply);

MUST err fetch_answer_v2(const struct fetch_repo *r, struct arena *scratch, str body,
                         struct fetch_reply *ret);
MUST err fetch_answer_v0(const struct fetch_repo *r, struct arena *scratch, str body,
                         struct fetch_reply *ret);
void fetch_advert_v2(const struct fetch_repo *r, struct buf *out);
void fetch_advert_v0(const struct fetch_repo *r, int version, struct buf *out);
/* The tip called `name`; NULL when there is none. */
const struct ref_tip *fetch_ref(const struct fetch_repo *r, str name);
