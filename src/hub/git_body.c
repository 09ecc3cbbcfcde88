/* git_body.c — see git_body.h. */
#include "hub/git_body.h"
#include <zlib.h>

#define PIECE_BYTES 16384

struct git_body {
    struct req *r;
    bool gzip, ended;
    z_stream z;
    unsigned char piece[PIECE_BYTES];
};

static void end_inflate(void *p)
{
    struct git_body *b = p;

    inflateEnd(&b->z);
}

struct git_body *git_body_new(struct req *r)
{
    struct git_body *b = arena_one(r->a, struct git_body);
    str encoding = req_header(r, "Content-Encoding");

    b->r = r;
    b->gzip = str_ieq(encoding, STR("gzip")) || str_ieq(encoding, STR("x-gzip"));
    if (b->gzip && inflateInit2(&b->z, 15 + 16) == Z_OK)
        arena_defer(r->a, end_inflate, b);
    return b;
}

err git_body_read(struct git_body *b, void *p, size_t len, size_t *ret_len)
{
    if (!b->gzip)
        return http_body_read(b->r, p, len, ret_len);
    b->z.next_out = p;
    b->z.avail_out = (uInt)len;
    while (!b->ended && b->z.avail_out == len) {
        size_t got;
        int rc;

        if (b->z.avail_in == 0) {
            TRY(http_body_read(b->r, b->piece, sizeof b->piece, &got));
            if (got == 0)
                return err_new(b->r->a, 400, NULL, "The gzipped request body ends too early.");
            b->z.next_in = b->piece;
            b->z.avail_in = (uInt)got;
        }
        rc = inflate(&b->z, Z_NO_FLUSH);
        b->ended = rc == Z_STREAM_END;
        if (rc != Z_OK && rc != Z_STREAM_END)
            return err_new(b->r->a, 400, NULL, "The gzipped request body is damaged.");
    }
    *ret_len = len - b->z.avail_out;
    return OK;
}

static err input_read(void *ctx, struct arena *a, void *p, size_t len, size_t *ret_len)
{
    (void)a;
    return git_body_read(ctx, p, len, ret_len);
}

struct pkt_input git_body_input(struct git_body *b)
{
    return (struct pkt_input){input_read, b};
}

err git_body_all(struct git_body *b, size_t max, str *ret)
{
    AUTO_BUF struct buf all = BUF(max);
    char piece[PIECE_BYTES];
    size_t len;

    do {
        TRY(git_body_read(b, piece, sizeof piece, &len));
        buf_add(&all, (str){piece, len});
        if (all.full)
            return err_new(b->r->a, 413, NULL, "This git request has more than %zu bytes.", max);
    } while (len > 0);
    *ret = arena_str(b->r->a, buf_str(&all));
    return OK;
}
