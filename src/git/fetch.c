/* fetch.c — see fetch.h and fetch_plan.h: reading arguments, listing objects, streaming. */
#include "git/fetch_plan.h"
#include <string.h>

#define READY_MAX_WANTS 256   /* more wants than that: any common commit will do */
#define READY_MAX_STEPS 50000 /* commits looked at for all wants together */

int fetch_protocol_version(str header)
{
    while (header.ptr) {
        str part = str_trim(str_cut(&header, ':'));

        if (str_eq(part, STR("version=2")))
            return 2;
        if (str_eq(part, STR("version=1")))
            return 1;
    }
    return 0;
}

void fetch_advert(const struct fetch_repo *r, int version, struct buf *out)
{
    if (version == 2)
        fetch_advert_v2(r, out);
    else
        fetch_advert_v0(r, version, out);
}

err fetch_answer(const struct fetch_repo *r, struct arena *scratch, int version, str body,
                 struct fetch_reply *ret)
{
    struct fetch_reply reply = {.head = BUF((size_t)FETCH_MAX_BODY * 2)};
    err e = version == 2 ? fetch_answer_v2(r, scratch, body, &reply)
                         : fetch_answer_v0(r, scratch, body, &reply);

    if (!e && reply.head.full)
        e = err_new(scratch, 507, NULL, "This repository has too many references to list.");
    if (e) {
        fetch_reply_free(&reply);
        return e;
    }
    *ret = reply;
    return OK;
}

const struct ref_tip *fetch_ref(const struct fetch_repo *r, str name)
{
    for (size_t i = 0; i < r->ref_count; i++)
        if (str_eq(r->refs[i].name, name))
            return &r->refs[i];
    return NULL;
}

/* --- arguments --- */

void fetch_args_free(struct fetch_args *x)
{
    oid_list_free(&x->wants);
    oid_list_free(&x->haves);
    oid_list_free(&x->deepen_not);
    oid_list_free(&x->common);
    oid_map_free(&x->shallow);
    oid_map_free(&x->wanted);
}

static err bad_line(struct arena *a, str line)
{
    return err_new(a, 400, NULL, "upload-pack: unexpected line \"%.*s\"",
                   STR_FMT(str_first(line, 200)));
}

static err add_want(const struct fetch_repo *r, struct arena *a, oid id, struct fetch_args *x)
{
    enum obj_type type;
    uint64_t size;
    bool found;

    if (!oid_set_add(&x->wanted, id))
        return OK;
    TRY(odb_header(r->odb, a, id, &type, &size, &found));
    if (!found)
        return err_new(a, 404, "ObjectNotFound", "upload-pack: not our ref %.*s",
                       STR_FMT(sha1_hex(a, id)));
    oid_list_add(&x->wants, id);
    return OK;
}

static err add_have(const struct fetch_repo *r, struct arena *a, oid id, struct fetch_args *x)
{
    enum obj_type type;
    uint64_t size;
    bool found;

    oid_list_add(&x->haves, id);
    TRY(odb_header(r->odb, a, id, &type, &size, &found));
    if (found && type == OBJ_COMMIT)
        oid_list_add(&x->common, id);
    return OK;
}

static err add_deepen_not(const struct fetch_repo *r, struct arena *a, str name,
                          struct fetch_args *x)
{
    const struct ref_tip *ref = fetch_ref(r, name);

    if (!ref)
        ref = fetch_ref(r, arena_cat(a, STR("refs/tags/"), name));
    if (!ref)
        ref = fetch_ref(r, arena_cat(a, STR("refs/heads/"), name));
    if (!ref)
        return err_new(a, 400, NULL, "upload-pack: ambiguous deepen-not: %.*s",
                       STR_FMT(str_first(name, 200)));
    oid_list_add(&x->deepen_not, sha1_is_zero(ref->peeled) ? ref->id : ref->peeled);
    return OK;
}

err fetch_args_line(const struct fetch_repo *r, struct arena *a, str line, struct fetch_args *x,
                    bool *ret_known)
{
    str rest = line;
    uint64_t n;
    oid id;

    *ret_known = true;
    if (x->wants.count > FETCH_MAX_LINES || x->haves.count > FETCH_MAX_LINES ||
        x->shallow.count > FETCH_MAX_LINES || x->deepen_not.count > 1000)
        return err_new(a, 413, NULL, "upload-pack: too many lines in one request");
    if (str_skip(&rest, STR("want ")))
        return sha1_from_hex(rest, &id) ? add_want(r, a, id, x) : bad_line(a, line);
    if (str_skip(&rest, STR("have ")))
        return sha1_from_hex(rest, &id) ? add_have(r, a, id, x) : bad_line(a, line);
    if (str_skip(&rest, STR("shallow "))) {
        if (!sha1_from_hex(rest, &id))
            return bad_line(a, line);
        oid_set_add(&x->shallow, id);
    } else if (str_skip(&rest, STR("deepen "))) {
        if (!str_u64(rest, &n) || n == 0 || n > FETCH_DEPTH_ALL)
            return bad_line(a, line);
        x->depth = n;
    } else if (str_skip(&rest, STR("deepen-since "))) {
        x->has_since = str_i64(rest, &x->since_s);
        if (!x->has_since)
            return bad_line(a, line);
    } else if (str_skip(&rest, STR("deepen-not "))) {
        return add_deepen_not(r, a, rest, x);
    } else if (str_skip(&rest, STR("filter "))) {
        if (!reach_filter_parse(rest, &x->filter))
            return err_new(a, 400, NULL, "upload-pack: this server has no filter \"%.*s\"",
                           STR_FMT(str_first(rest, 100)));
    } else {
        *ret_known = false;
    }
    return OK;
}

/* --- negotiation --- */

static err reaches_common(const struct fetch_repo *r, struct arena *scratch, oid want,
                          const struct oid_map *common, unsigned *steps, bool *ret)
{
    AUTO_WALK struct walk *w = walk_new(r->odb, scratch);

    *ret = false;
    TRY(walk_from(w, want));
    for (; *steps < READY_MAX_STEPS; (*steps)++) {
        struct walk_step s;
        bool more;

        TRY(walk_next(w, &s, &more));
        if (!more)
            return OK;
        if (oid_set_has(common, s.id)) {
            *ret = true;
            return OK;
        }
    }
    return OK;
}

err fetch_is_ready(const struct fetch_repo *r, struct arena *scratch, const struct fetch_args *x,
                   bool *ret)
{
    AUTO_OID_MAP struct oid_map common = {0};
    bool ready = x->common.count > 0;
    unsigned steps = 0;

    for (size_t i = 0; i < x->common.count; i++)
        oid_set_add(&common, x->common.ids[i]);
    for (size_t i = 0; ready && i < x->wants.count && x->wants.count <= READY_MAX_WANTS; i++) {
        enum obj_type type;
        bool found;
        oid id;

        TRY(object_peel(r->odb, scratch, x->wants.ids[i], &id, &type, &found));
        if (found && type == OBJ_COMMIT)
            TRY(reaches_common(r, scratch, id, &common, &steps, &ready));
    }
    *ret = ready;
    return OK;
}

/* --- the pack --- */

/* Adds the annotated tags whose targets are sent anyway. */
static err add_tags(const struct fetch_repo *r, struct arena *scratch, struct oid_list *ids)
{
    AUTO_OID_MAP struct oid_map sent = {0};

    for (size_t i = 0; i < ids->count; i++)
        oid_set_add(&sent, ids->ids[i]);
    for (size_t i = 0; i < r->ref_count; i++) {
        oid id = r->refs[i].id;

        if (sha1_is_zero(r->refs[i].peeled) || !oid_set_has(&sent, r->refs[i].peeled))
            continue;
        for (int chain = 0; chain < TAG_MAX_CHAIN && oid_set_add(&sent, id); chain++) {
            struct tag_obj tag;
            str data;

            oid_list_add(ids, id);
            TRY(odb_read(r->odb, scratch, id, OBJ_TAG, &data));
            if (!tag_parse(data, &tag) || tag.type != OBJ_TAG)
                break;
            id = tag.target;
        }
    }
    return OK;
}

err fetch_plan_pack(const struct fetch_repo *r, struct arena *scratch, const struct fetch_args *x,
                    const struct fetch_border *b, struct fetch_reply *reply)
{
    AUTO_OIDS struct oid_list ids = {0};
    bool deepens = fetch_deepens(x);
    struct reach_query q = {
        .wants = x->wants.ids,
        .want_count = x->wants.count,
        .haves = x->common.ids,
        .have_count = x->common.count,
        .have_cuts = &x->shallow,
        .want_cuts = deepens ? &b->cuts : &x->shallow,
        .pass_haves = deepens,
        .filter = x->filter,
    };

    TRY(reach_list(r->odb, scratch, &q, &ids));
    if (x->include_tag)
        TRY(add_tags(r, scratch, &ids));
    reply->has_pack = true;
    reply->is_quiet = x->no_progress;
    reply->object_count = ids.count;
    pack_writer_init(&reply->pack, &ids);
    return OK;
}

void fetch_reply_free(struct fetch_reply *reply)
{
    buf_free(&reply->head);
    if (reply->has_pack)
        pack_writer_deinit(&reply->pack);
    *reply = (struct fetch_reply){0};
}

/* --- streaming --- */

/* Cuts `data` into side-band packets of at most band_max bytes. */
static void put_band(const struct fetch_reply *reply, struct buf *out, char band, str data)
{
    while (data.len > 0) {
        str piece = str_first(data, reply->band_max);

        pkt_band(out, band, piece);
        data = str_from(data, piece.len);
    }
}

static void say(const struct fetch_reply *reply, struct arena *scratch, struct buf *out,
                const char *what)
{
    if (reply->band_max > 0 && !reply->is_quiet)
        put_band(reply, out, 2,
                 arena_printf(scratch, "%s %zu, done.\n", what, reply->object_count));
}

static err step_pack(struct fetch_reply *reply, struct odb *o, struct arena *scratch,
                     struct buf *out)
{
    AUTO_BUF struct buf piece = BUF(PACK_PIECE + ODB_PART + 256);

    TRY(pack_writer_step(&reply->pack, o, scratch, &piece));
    if (reply->band_max > 0)
        put_band(reply, out, 1, buf_str(&piece));
    else
        buf_add(out, buf_str(&piece));
    return OK;
}

err fetch_reply_step(struct fetch_reply *reply, struct odb *o, struct arena *scratch,
                     struct buf *out)
{
    err e;

    if (reply->head.len > 0) { /* may be long: many references */
        str piece = str_first(buf_str(&reply->head), FETCH_STEP_MAX);

        buf_add(out, piece);
        buf_shift(&reply->head, piece.len);
        reply->is_done = reply->head.len == 0 && !reply->has_pack;
        return OK;
    }
    if (!reply->has_pack) {
        reply->is_done = true;
        return OK;
    }
    if (!reply->said_start)
        say(reply, scratch, out, "Enumerating objects:");
    reply->said_start = true;
    e = step_pack(reply, o, scratch, out);
    if (e && reply->band_max > 0)
        put_band(reply, out, 3, e->text);
    if (e)
        return e;
    if (reply->pack.is_done) {
        say(reply, scratch, out, "Sending objects:");
        if (reply->band_max > 0)
            pkt_flush(out);
        reply->is_done = true;
    }
    return OK;
}
