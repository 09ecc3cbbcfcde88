/* reconstructions.c — how to put a file together: terms, and links to the xorbs that have them
 * (xet.md 7.2 to 7.5).
 *
 * The plan is in memory (store/reconstruct.h); its text is made while it is sent, about 64 KiB at
 * a time.  Each range of a xorb gets a link of its own, so that no client has to ask for several
 * ranges at once.
 */
#include "base/buf.h"
#include "store/reconstruct.h"
#include "store/stat.h"
#include "xet/fetch.h"
#include <assert.h>

#define FILL_BYTES (64u << 10)
#define BATCH_MAX 256 /* files in one request */
#define TEXT_MAGIC 0x74657874u

static const struct err_info bad_hash = {
    400, NULL, STR_INIT("A file is named by the 64 hex digits of its Xet hash."), NULL, {0}};
static const struct err_info no_file = {
    404,
    "EntryNotFound",
    STR_INIT("There is no file of this hash in the repository of this token."),
    NULL,
    {0}};

enum form { FORM_V1, FORM_V2, FORM_BATCH };

/* --- the text --- */

struct text {
    struct source source; /* first, so that it is a source */
    unsigned magic;
    struct store *store;
    struct arena *a;
    const struct reconstruction *rc;
    const file_hash *hashes; /* of the files, for FORM_BATCH */
    enum form form;
    str cas;
    int64_t expires_ms;
    struct json_out *j;
    enum { AT_HEAD, AT_TERMS, AT_XORBS, AT_END } stage;
    size_t file, term, xorb, range; /* what comes next */
};

static void put_range(struct json_out *j, const char *key, int64_t first, int64_t end)
{
    json_key(j, key);
    json_obj(j);
    json_kv_i64(j, "start", first);
    json_kv_i64(j, "end", end);
    json_obj_end(j);
}

static void put_term(struct text *t, const struct recon_term *term)
{
    struct json_out *j = t->j;
    char hash[HASH_TEXT];

    xorb_hash_write(hash, t->rc->xorbs[term->xorb].hash);
    json_obj(j);
    json_kv_str(j, "hash", (str){hash, sizeof hash});
    json_kv_i64(j, "unpacked_length", term->raw_len);
    put_range(j, "range", term->first_chunk, term->end_chunk);
    json_obj_end(j);
}

static err put_link(struct text *t, const struct recon_xorb *x, const struct recon_range *r)
{
    struct xorb_link link = {x->id, x->generation, r->first_byte, r->end_byte - 1};
    struct arena_mark m = arena_mark(t->a);
    struct json_out *j = t->j;
    str url;

    TRY(fetch_url(t->store, t->a, t->cas, x->hash, &link, t->expires_ms, &url));
    json_obj(j);
    json_kv_str(j, "url", url);
    if (t->form == FORM_V2) {
        json_key(j, "ranges");
        json_arr(j);
        json_obj(j);
        put_range(j, "chunks", r->first_chunk, r->end_chunk);
        put_range(j, "bytes", (int64_t)link.first, (int64_t)link.last);
        json_obj_end(j);
        json_arr_end(j);
    } else {
        put_range(j, "range", r->first_chunk, r->end_chunk);
        put_range(j, "url_range", (int64_t)link.first, (int64_t)link.last);
    }
    json_obj_end(j);
    arena_rewind(t->a, m);
    return OK;
}

static void put_head(struct text *t)
{
    json_obj(t->j);
    if (t->form == FORM_BATCH) {
        json_key(t->j, "files");
        json_obj(t->j);
    } else {
        assert(t->rc->file_count == 1);
        json_kv_i64(t->j, "offset_into_first_range", t->rc->files[0].skip);
    }
    t->stage = AT_TERMS;
}

static void begin_file(struct text *t)
{
    if (t->form == FORM_BATCH) {
        char hash[HASH_TEXT];

        file_hash_write(hash, t->hashes[t->file]);
        json_key_str(t->j, (str){hash, sizeof hash});
    } else {
        json_key(t->j, "terms");
    }
    json_arr(t->j);
}

/* One term, or the end of the terms. */
static void step_terms(struct text *t)
{
    if (t->file < t->rc->file_count) {
        const struct recon_file *f = &t->rc->files[t->file];

        if (t->term == 0)
            begin_file(t);
        if (t->term < f->term_count) {
            put_term(t, &t->rc->terms[f->first_term + t->term++]);
        } else {
            json_arr_end(t->j);
            t->file++;
            t->term = 0;
        }
        return;
    }
    if (t->form == FORM_BATCH)
        json_obj_end(t->j);
    json_key(t->j, t->form == FORM_V2 ? "xorbs" : "fetch_info");
    json_obj(t->j);
    t->stage = AT_XORBS;
}

/* One range of a xorb, or the end. */
static err step_xorbs(struct text *t)
{
    const struct recon_xorb *x;

    if (t->xorb == t->rc->xorb_count) {
        json_obj_end(t->j);
        json_obj_end(t->j);
        t->stage = AT_END;
        return OK;
    }
    x = &t->rc->xorbs[t->xorb];
    if (t->range == 0) {
        char hash[HASH_TEXT];

        xorb_hash_write(hash, x->hash);
        json_key_str(t->j, (str){hash, sizeof hash});
        json_arr(t->j);
    }
    TRY(put_link(t, x, &t->rc->ranges[x->first_range + t->range]));
    if (++t->range == x->range_count) {
        json_arr_end(t->j);
        t->xorb++;
        t->range = 0;
    }
    return OK;
}

static err text_fill(struct source *source, struct source_out *out, enum source_state *ret)
{
    struct text *t = (struct text *)source;

    assert(t->magic == TEXT_MAGIC);
    buf_clear(&t->j->buf);
    while (t->stage != AT_END && t->j->buf.len < FILL_BYTES) {
        if (t->stage == AT_HEAD)
            put_head(t);
        else if (t->stage == AT_TERMS)
            step_terms(t);
        else
            TRY(step_xorbs(t));
    }
    source_out_bytes(out, t->j->buf.ptr, t->j->buf.len);
    *ret = t->stage == AT_END ? SOURCE_END : SOURCE_MORE;
    return OK;
}

static void text_close(struct source *source)
{
    struct text *t = (struct text *)source;

    assert(t->magic == TEXT_MAGIC);
    t->magic = 0;
}

static err send_text(struct req *r, const struct reconstruction *rc, enum form form,
                     const file_hash *hashes)
{
    struct text *t = arena_one(r->a, struct text);

    *t = (struct text){
        .source = {.fill = text_fill, .close = text_close},
        .magic = TEXT_MAGIC,
        .store = r->store,
        .a = r->a,
        .rc = rc,
        .hashes = hashes,
        .form = form,
        .cas = xet_cas_url(r),
        .expires_ms = fetch_expires_ms(),
        .j = json_out_new(r->a),
    };
    reply_header(r, "Cache-Control", STR("no-store"));
    return reply_source(r, 200, "application/json", &t->source, REPLY_UNKNOWN);
}

/* --- one file --- */

/* A download begins at its first byte; whoever repeats that with the same token is the same. */
static void count(struct req *r, const struct xet_token *token, file_hash h, str path,
                  struct xet_range range)
{
    if (range.first == 0 && !req_is_head(r) &&
        stat_first(r->store, token->nonce, file_hash_text(r->a, h)))
        stat_file(r->store, r->repo, path, r->client, range.count);
}

static err reconstruct(struct req *r, enum form form)
{
    struct reconstruction *rc;
    struct xet_token token;
    struct content c;
    struct xet_range range;
    file_hash h;
    bool found;
    str path;
    err e;

    TRY(xet_token_check(r, false, &token));
    if (!file_hash_parse(req_param(r, "file"), &h))
        return &bad_hash;
    TRY(xet_file_find(r->store->hub, r->a, r->repo->id, h, &c, &path, &found));
    if (!found)
        return &no_file;
    e = xet_range_parse(req_header(r, "Range"), c.size, &range);
    if (e && e->status == 416)
        reply_header(r, "Content-Range",
                     arena_printf(r->a, "bytes */%llu", (unsigned long long)c.size));
    TRY(e);
    rc = reconstruction_new(r->a);
    TRY(reconstruction_add(r->store, rc, &c, range.first, range.count));
    TRY(reconstruction_end(r->store, r->a, rc));
    count(r, &token, h, path, range);
    return send_text(r, rc, form, NULL);
}

err xet_reconstruction_v1(struct req *r)
{
    return reconstruct(r, FORM_V1);
}

err xet_reconstruction_v2(struct req *r)
{
    return reconstruct(r, FORM_V2);
}

/* --- many files --- */

static bool is_named_before(const file_hash *hashes, size_t count, file_hash h)
{
    for (size_t i = 0; i < count; i++)
        if (file_hash_eq(hashes[i], h))
            return true;
    return false;
}

static err add_file(struct req *r, struct reconstruction *rc, str text, file_hash *hashes)
{
    struct content c;
    file_hash h;
    bool found;
    str path;

    if (!file_hash_parse(text, &h))
        return &bad_hash;
    if (is_named_before(hashes, rc->file_count, h))
        return OK;
    TRY(xet_file_find(r->store->hub, r->a, r->repo->id, h, &c, &path, &found));
    if (!found)
        return OK; /* what is missing is left out */
    if (rc->file_count == BATCH_MAX)
        return err_new(r->a, 400, NULL, "Ask for at most %d files at once.", BATCH_MAX);
    hashes[rc->file_count] = h;
    return reconstruction_add(r->store, rc, &c, 0, c.size);
}

err xet_reconstruction_batch(struct req *r)
{
    struct reconstruction *rc = reconstruction_new(r->a);
    file_hash *hashes = arena_many(r->a, file_hash, BATCH_MAX);
    struct xet_token token;
    bool any = false;

    TRY(xet_token_check(r, false, &token));
    for (size_t i = 0; i < r->query.count; i++)
        if (str_eq(r->query.pairs[i].name, STR("file_id"))) {
            any = true;
            TRY(add_file(r, rc, r->query.pairs[i].value, hashes));
        }
    if (!any)
        return err_new(r->a, 400, NULL, "Name the files in the query: ?file_id=HASH&file_id=HASH.");
    TRY(reconstruction_end(r->store, r->a, rc));
    return send_text(r, rc, FORM_BATCH, hashes);
}
