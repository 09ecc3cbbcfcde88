/* fetch.c — pieces of stored xorbs by signed links (xet.md 7.11).
 *
 * The link is the authority: it names one body of one xorb and a range of its bytes.  Whatever is
 * wrong with it answers 403, because that is when clients ask for the reconstruction again; any
 * other status ends their download.
 */
#include "xet/fetch.h"
#include "base/clock.h"
#include "base/io.h"
#include "store/sign.h"

#define PURPOSE STR("xet-fetch")
#define OCTETS "application/octet-stream"
#define BOUNDARY_BYTES 20

static const struct err_info not_a_link = {
    403,
    "InvalidSignature",
    STR_INIT("This is not a link of this hub; ask for the reconstruction of the file."),
    NULL,
    {0}};
static const struct err_info replaced = {
    403,
    "ExpiredSignature",
    STR_INIT("These bytes are stored elsewhere by now; ask for the reconstruction of the file "
             "again."),
    NULL,
    {0}};
static const struct err_info outside = {
    403,
    "InvalidRange",
    STR_INIT("This link gives only the bytes that it names; send a Range within them, and several "
             "ranges in ascending order."),
    NULL,
    {0}};

/* --- making links --- */

int64_t fetch_expires_ms(void)
{
    int64_t s = clock_ms() / 1000 + FETCH_SECONDS + FETCH_ROUND_SECONDS;

    return (s - s % FETCH_ROUND_SECONDS) * 1000;
}

err fetch_url(struct store *s, struct arena *a, str cas, xorb_hash h, const struct xorb_link *l,
              int64_t expires_ms, str *ret)
{
    str signature;

    TRY(sign_make(s, a, PURPOSE, xet_link_claims(a, h, l), expires_ms, &signature));
    *ret = arena_cat(a, cas, STR("/fetch/"), xorb_hash_text(a, h), STR("?"), xet_link_query(a, l),
                     STR("&s="), signature);
    return OK;
}

/* --- following them --- */

static err check_link(struct req *r, struct xorb_link *ret)
{
    xorb_hash h;

    if (!str_eq(req_param(r, "store"), str_c(r->store->id)) ||
        !xorb_hash_parse(req_param(r, "hash"), &h) ||
        !xet_link_parse(req_query(r, "x"), req_query(r, "r"), ret) || !req_query(r, "s").ptr)
        return &not_a_link;
    return sign_check(r->store, r->a, PURPOSE, xet_link_claims(r->a, h, ret), req_query(r, "s"));
}

struct piece {
    struct xorb *xorb;
    uint64_t size; /* of the stored body */
    struct xet_range *ranges;
    size_t count;
};

static str content_range(struct arena *a, struct xet_range range, uint64_t size)
{
    return arena_printf(a, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                        (unsigned long long)(range.first + range.count - 1),
                        (unsigned long long)size);
}

static err send_slices(struct req *r, const struct piece *p, const char *type,
                       struct xorb_slice *slices, str tail)
{
    uint64_t length = tail.len;
    struct source *s;

    for (size_t i = 0; i < p->count; i++)
        length += slices[i].head.len + slices[i].count;
    if (req_is_head(r)) {
        xorb_link_close(r->store, p->xorb);
        return reply_source(r, 206, type, source_bytes(r->a, STR("")), length);
    }
    TRY(xorb_source(r->store, r->a, p->xorb, slices, p->count, tail, &s));
    return reply_source(r, 206, type, s, length);
}

static err send_one(struct req *r, const struct piece *p)
{
    struct xorb_slice *slice = arena_one(r->a, struct xorb_slice);

    *slice = (struct xorb_slice){STR_NONE, p->ranges[0].first, p->ranges[0].count};
    reply_header(r, "Content-Range", content_range(r->a, p->ranges[0], p->size));
    return send_slices(r, p, OCTETS, slice, STR_NONE);
}

/* multipart/byteranges: one part per range, in the order asked for. */
static err send_many(struct req *r, const struct piece *p)
{
    struct xorb_slice *slices = arena_many(r->a, struct xorb_slice, p->count);
    str boundary = random_hex(r->a, BOUNDARY_BYTES);
    str type = arena_cat(r->a, STR("multipart/byteranges; boundary="), boundary);

    for (size_t i = 0; i < p->count; i++)
        slices[i] = (struct xorb_slice){
            arena_cat(r->a, i ? STR("\r\n--") : STR("--"), boundary,
                      STR("\r\nContent-Type: " OCTETS "\r\nContent-Range: "),
                      content_range(r->a, p->ranges[i], p->size), STR("\r\n\r\n")),
            p->ranges[i].first, p->ranges[i].count};
    return send_slices(r, p, str_z(r->a, type), slices,
                       arena_cat(r->a, STR("\r\n--"), boundary, STR("--\r\n")));
}

err xet_fetch(struct req *r)
{
    struct piece p = {.ranges = arena_many(r->a, struct xet_range, XET_RANGES_MAX)};
    struct xorb_link link;

    TRY(check_link(r, &link));
    if (!xet_ranges_parse(req_header(r, "Range"), link.first, link.last, p.ranges, &p.count))
        return &outside;
    TRY(xorb_link_open(r->store, r->a, &link, &p.xorb, &p.size));
    if (!p.xorb)
        return &replaced;
    reply_no_gzip(r);
    reply_header(r, "Accept-Ranges", STR("bytes"));
    reply_header(r, "Cache-Control", STR("private, max-age=3600, immutable"));
    reply_header(r, "X-Content-Type-Options", STR("nosniff"));
    return p.count == 1 ? send_one(r, &p) : send_many(r, &p);
}
