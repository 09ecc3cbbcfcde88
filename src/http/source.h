/* source.h — where the bytes of a response body come from.
 *
 * A source yields its body piece by piece: every call of fill() gives at most 256 KiB of bytes or
 * SOURCE_PARTS_MAX ranges of open files.  A worker thread fills; when the socket is full, or the
 * source says WAIT, the connection parks in its epoll loop together with the source and comes
 * back to any worker later.  So a slow reader holds no thread.
 *
 *     fill ──MORE──▶ send ──▶ fill …          fill ──END──▶ send the last parts ──▶ close
 *       └──WAIT──▶ parked until source_wake() or wake_at_ms ──▶ fill
 *
 * A source holds no database statement and no transaction between calls.  Memory that the parts
 * point at stays valid until the next fill() or close().  fill() and close() run on one thread at
 * a time, not always the same one.  A failing fill() after the head was sent cuts the connection,
 * so that no client takes half a body for a whole one.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define SOURCE_PARTS_MAX 256
#define SOURCE_BYTES_MAX (256u << 10)

struct source_part {
    int fd; /* >= 0: `len` bytes of this file from `offset`; -1: bytes at `ptr` */
    const void *ptr;
    uint64_t offset;
    uint64_t len; /* > 0 */
};

struct source_out {
    struct source_part part[SOURCE_PARTS_MAX];
    size_t count;
};

enum source_state { SOURCE_MORE, SOURCE_END, SOURCE_WAIT };

struct source {
    /* Sets out->count parts (count starts at 0) and *ret.  With SOURCE_WAIT it may give parts too.
     */
    err (*fill)(struct source *s, struct source_out *out, enum source_state *ret);
    void (*close)(struct source *s); /* called exactly once, also when the client went away */
    int64_t wake_at_ms; /* with SOURCE_WAIT: clock_mono_ms() to be called again; 0 = only on wake */
    void *conn;         /* set by http/ while parked; see source_wake() */
};

/* A body that is already in memory (arena of the request). */
struct source *source_bytes(struct arena *a, str body);
/* `count` bytes of an open file; takes the descriptor over and closes it. */
struct source *source_file(struct arena *a, int fd, uint64_t offset, uint64_t count);

void source_out_bytes(struct source_out *out, const void *p, size_t len); /* skips len 0 */
void source_out_file(struct source_out *out, int fd, uint64_t offset, uint64_t len);

/* Brings a parked source back to a worker; callable from any thread while the source is not
 * closed (the caller's own lock must guarantee that). */
void source_wake(struct source *s);
