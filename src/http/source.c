/* source.c — see source.h: bodies in memory and in one file. */
#include "base/io.h"
#include "http/conn.h"
#include <assert.h>

struct bytes_source {
    struct source source;
    str rest;
};

static err bytes_fill(struct source *s, struct source_out *out, enum source_state *ret)
{
    struct bytes_source *b = (struct bytes_source *)s;
    str piece = str_first(b->rest, SOURCE_BYTES_MAX);

    source_out_bytes(out, piece.ptr, piece.len);
    b->rest = str_from(b->rest, piece.len);
    *ret = b->rest.len > 0 ? SOURCE_MORE : SOURCE_END;
    return OK;
}

static void bytes_close(struct source *s)
{
    (void)s;
}

struct source *source_bytes(struct arena *a, str body)
{
    struct bytes_source *b = arena_one(a, struct bytes_source);

    *b = (struct bytes_source){{.fill = bytes_fill, .close = bytes_close}, body};
    return &b->source;
}

struct file_source {
    struct source source;
    int fd;
    uint64_t offset, count;
};

static err file_fill(struct source *s, struct source_out *out, enum source_state *ret)
{
    struct file_source *f = (struct file_source *)s;

    source_out_file(out, f->fd, f->offset, f->count);
    *ret = SOURCE_END;
    return OK;
}

static void file_close(struct source *s)
{
    fd_close(&((struct file_source *)s)->fd);
}

struct source *source_file(struct arena *a, int fd, uint64_t offset, uint64_t count)
{
    struct file_source *f = arena_one(a, struct file_source);

    *f = (struct file_source){{.fill = file_fill, .close = file_close}, fd, offset, count};
    return &f->source;
}

static void add_part(struct source_out *out, struct source_part part)
{
    if (part.len == 0)
        return;
    assert(out->count < SOURCE_PARTS_MAX);
    out->part[out->count++] = part;
}

void source_out_bytes(struct source_out *out, const void *p, size_t len)
{
    add_part(out, (struct source_part){.fd = -1, .ptr = p, .len = len});
}

void source_out_file(struct source_out *out, int fd, uint64_t offset, uint64_t len)
{
    assert(fd >= 0);
    add_part(out, (struct source_part){.fd = fd, .offset = offset, .len = len});
}

void source_wake(struct source *s)
{
    struct conn *c = __atomic_load_n(&s->conn, __ATOMIC_ACQUIRE);

    if (!c) /* not yet in use: it will be filled soon anyway */
        return;
    if (!atomic_exchange(&c->woken, true))
        loop_post(c->loop, c);
}
