/* xorbs.c — xorbs come in: POST of a body, HEAD for the clients of old that asked first.
 *
 * hf_xet since 1.8 asks for a grant before each xorb: a place of its own to send the body to.  404
 * means "send it here", and any other refusal would end its upload.  There is no "I have it" for
 * who only names a hash: the bytes are the proof that one has them.
 */
#include "store/xet.h"
#include "xet/xet.h"
#include <stdlib.h>

#define READ_BYTES (128u << 10)

static const struct err_info bad_name = {
    400,
    "BadXorb",
    STR_INIT("The address of a xorb ends with its hash, 64 hex digits."),
    NULL,
    {0}};
static const struct err_info no_space = {
    404, NULL, STR_INIT("Xorbs are kept under the prefix \"default\"."), NULL, {0}};
static const struct err_info no_length = {
    411, NULL, STR_INIT("Send the xorb with its Content-Length."), NULL, {0}};
static const struct err_info too_large = {
    413, "BadXorb", STR_INIT("A xorb has at most 64 MiB; put the chunks into several."), NULL, {0}};
static const struct err_info no_grants = {
    404, NULL, STR_INIT("This hub takes xorbs itself; send the body to /v1/xorbs."), NULL, {0}};
static const struct err_info not_here = {
    404, NULL, STR_INIT("No xorb of this hash is stored here."), NULL, {0}};

bool xet_space_known(const struct req *r)
{
    str name = req_param(r, "space");

    return str_eq(name, STR("default")) || str_eq(name, STR("default-merkledb"));
}

static err name_of(struct req *r, xorb_hash *ret)
{
    if (!xet_space_known(r))
        return &no_space;
    return xorb_hash_parse(req_param(r, "hash"), ret) ? OK : &bad_name;
}

static err stream_body(struct req *r, struct xorb_upload *u)
{
    char *buffer = malloc(READ_BYTES);
    size_t n = 1;
    err e = OK;

    if (!buffer)
        abort();
    while (!e && n > 0) {
        struct arena_mark m = arena_mark(r->a);

        e = http_body_read(r, buffer, READ_BYTES, &n);
        if (!e && n > 0)
            e = xorb_upload_feed(u, r->a, buffer, n);
        if (!e)
            arena_rewind(r->a, m);
    }
    free(buffer);
    return e;
}

/* A xorb that is here is read and verified all the same: it proves possession, and repairs one
 * that was damaged. */
err xet_xorb_put(struct req *r)
{
    struct json_out *j = json_out_new(r->a);
    struct xorb_upload *u;
    struct xet_token t;
    xorb_hash name;
    bool is_new;
    err e;

    TRY(xet_token_check(r, true, &t));
    TRY(name_of(r, &name));
    if (r->content_length == UINT64_MAX)
        return &no_length;
    if (r->content_length > XORB_BODY_MAX + XORB_FOOTER_MAX)
        return &too_large;
    TRY(store_disk_check(r->store, r->a, r->content_length));
    TRY(xorb_upload_new(r->store, r->a, name, &u));
    e = stream_body(r, u);
    if (e) {
        xorb_upload_drop(u);
        return e;
    }
    TRY(xorb_upload_end(u, r->a, &is_new));
    json_obj(j);
    json_kv_bool(j, "was_inserted", is_new);
    json_obj_end(j);
    return reply_json(r, 200, j);
}

/* Whoever may refer to a xorb relies on this answer, so it is a promise to them. */
err xet_xorb_head(struct req *r)
{
    struct xet_token t;
    xorb_hash name;
    uint64_t size;
    bool found;

    TRY(xet_token_check(r, false, &t));
    TRY(name_of(r, &name));
    TRY(t.may_write ? xorb_lease_named(r->store, name, &size, &found)
                    : xorb_stored_size(r->store->hub, name, &size, &found));
    if (!found)
        return &not_here;
    return reply_source(r, 200, "application/octet-stream", source_bytes(r->a, STR("")), size);
}

err xet_xorb_grant(struct req *r)
{
    struct xet_token t;

    TRY(xet_token_check(r, true, &t));
    return &no_grants;
}
