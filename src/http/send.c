/* send.c — moves the given parts of an answer into the socket, without blocking.
 *
 * The segments of an exchange are counted through: 0 the head, 1 the chunk's size line, then the
 * source's parts, last what ends the chunk.  Bytes that stand side by side go out in one
 * sendmsg(), files by sendfile().
 */
#include "http/conn.h"
#include <assert.h>
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define IOV_MAX_HERE 64
#define SENDFILE_SLICE (2u << 20)

static size_t segment_count(const struct exchange *x)
{
    return x->out.count + 3;
}

static struct source_part segment(const struct exchange *x, size_t i)
{
    str s;

    assert(i < segment_count(x));
    if (i >= 2 && i < 2 + x->out.count)
        return x->out.part[i - 2];
    s = i == 0 ? x->head : i == 1 ? x->frame_head : x->frame_tail;
    return (struct source_part){.fd = -1, .ptr = s.ptr, .len = s.len};
}

/* `n` bytes are gone; counts those of the body. */
static void advance(struct exchange *x, uint64_t n)
{
    while (n > 0) {
        uint64_t left = segment(x, x->at).len - x->at_sent, step = n < left ? n : left;

        if (x->at >= 2 && x->at < 2 + x->out.count)
            x->reply.info.bytes_out += step;
        x->at_sent += step;
        n -= step;
        if (step == left) {
            x->at++;
            x->at_sent = 0;
        }
    }
}

static ssize_t send_bytes(struct conn *c)
{
    struct exchange *x = c->x;
    struct iovec iov[IOV_MAX_HERE];
    struct msghdr m = {.msg_iov = iov};
    uint64_t skip = x->at_sent;
    size_t i = x->at;

    for (; i < segment_count(x) && m.msg_iovlen < IOV_MAX_HERE; i++, skip = 0) {
        struct source_part p = segment(x, i);

        if (p.fd >= 0)
            break;
        if (p.len > skip)
            /* sendmsg() only reads. NOLINTNEXTLINE(performance-no-int-to-ptr) */
            iov[m.msg_iovlen++] = (struct iovec){.iov_base = (char *)(uintptr_t)p.ptr + skip,
                                                 .iov_len = (size_t)(p.len - skip)};
    }
    return sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT | (i < segment_count(x) ? MSG_MORE : 0));
}

static ssize_t send_file(struct conn *c, struct source_part p)
{
    off_t offset = (off_t)(p.offset + c->x->at_sent);
    uint64_t left = p.len - c->x->at_sent;
    ssize_t n =
        sendfile(c->fd, p.fd, &offset, left < SENDFILE_SLICE ? (size_t)left : SENDFILE_SLICE);

    if (n == 0) { /* the file is shorter than promised */
        errno = EIO;
        return -1;
    }
    return n;
}

enum sent send_parts(struct conn *c, uint64_t budget, bool *ret_progress)
{
    struct exchange *x = c->x;

    *ret_progress = false;
    for (;;) {
        struct source_part p;
        ssize_t n;

        while (x->at < segment_count(x) && segment(x, x->at).len == 0)
            x->at++;
        if (x->at == segment_count(x))
            return SENT_ALL;
        if (budget == 0)
            return SENT_BLOCKED;
        p = segment(x, x->at);
        n = p.fd >= 0 ? send_file(c, p) : send_bytes(c);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? SENT_BLOCKED : SENT_BROKEN;
        *ret_progress = true;
        advance(x, (uint64_t)n);
        budget -= (uint64_t)n < budget ? (uint64_t)n : budget;
    }
}
