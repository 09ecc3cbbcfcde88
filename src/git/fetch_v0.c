/* fetch_v0.c — protocol versions 0 and 1 as spoken over HTTP.
 *
 * A request holds wants (the first with capabilities), shallow and deepen lines, a flush, then
 * haves with flushes between them, perhaps "done".  Every request repeats the wants, so nothing
 * is remembered between them.
 */
#include "base/text.h"
#include "git/fetch_plan.h"

#define CAPS                                                                                       \
    "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not "       \
    "deepen-relative no-progress include-tag multi_ack_detailed allow-tip-sha1-in-want "           \
    "allow-reachable-sha1-in-want no-done filter object-format=sha1"

/* One advertised line; the first carries the capabilities. */
static void advertise(struct buf *out, oid id, str name, const char *suffix, str *caps)
{
    char hex[40];
    str none = STR_NONE;
    size_t len = sizeof hex + 1 + name.len + (*suffix ? 3 : 0) + 1;

    hex_write(hex, id.b, sizeof id.b);
    buf_printf(out, "%04zx", 4 + len + (caps->len ? caps->len + 1 : 0));
    buf_add(out, (str){hex, sizeof hex});
    buf_addc(out, ' ');
    buf_add(out, name);
    buf_add(out, str_c(suffix));
    if (caps->len > 0) {
        buf_addc(out, '\0');
        buf_add(out, *caps);
    }
    buf_addc(out, '\n');
    *caps = none;
}

void fetch_advert_v0(const struct fetch_repo *r, int version, struct buf *out)
{
    const struct ref_tip *head = fetch_ref(r, r->head);
    AUTO_BUF struct buf text = BUF(8192);
    str caps;

    buf_add(&text, STR(CAPS));
    if (head)
        buf_printf(&text, " symref=HEAD:%.*s", STR_FMT(r->head));
    buf_printf(&text, " agent=%.*s", STR_FMT(r->agent));
    caps = buf_str(&text);

    pkt_line(out, STR("# service=git-upload-pack\n"));
    pkt_flush(out);
    if (version == 1)
        pkt_line(out, STR("version 1\n"));
    if (head)
        advertise(out, head->id, STR("HEAD"), "", &caps);
    for (size_t i = 0; i < r->ref_count; i++) {
        advertise(out, r->refs[i].id, r->refs[i].name, "", &caps);
        if (!sha1_is_zero(r->refs[i].peeled))
            advertise(out, r->refs[i].peeled, r->refs[i].name, "^{}", &caps);
    }
    if (r->ref_count == 0)
        advertise(out, OID_ZERO, STR("capabilities"), "^{}", &caps);
    pkt_flush(out);
}

/* What the client's capabilities mean for the reply. */
struct dialect {
    enum { ACK_PLAIN, ACK_MULTI, ACK_DETAILED } ack;
    bool no_done;
};

static err read_caps(struct arena *a, str caps, struct fetch_args *x, struct dialect *d,
                     struct fetch_reply *reply)
{
    while (caps.ptr) {
        str cap = str_cut(&caps, ' ');

        if (str_eq(cap, STR("multi_ack_detailed")))
            d->ack = ACK_DETAILED;
        else if (str_eq(cap, STR("multi_ack")) && d->ack == ACK_PLAIN)
            d->ack = ACK_MULTI;
        else if (str_eq(cap, STR("no-done")))
            d->no_done = true;
        else if (str_eq(cap, STR("side-band-64k")))
            reply->band_max = PKT_MAX_BAND;
        else if (str_eq(cap, STR("side-band")) && reply->band_max == 0)
            reply->band_max = 995;
        else if (str_eq(cap, STR("no-progress")))
            x->no_progress = true;
        else if (str_eq(cap, STR("include-tag")))
            x->include_tag = true;
        else if (str_eq(cap, STR("deepen-relative")))
            x->deepen_relative = true;
        else if (str_skip(&cap, STR("object-format=")) && !str_eq(cap, STR("sha1")))
            return err_new(a, 400, NULL, "upload-pack: this server has SHA-1 repositories only");
    }
    return OK;
}

/* Reads up to the first flush. */
static err read_needs(const struct fetch_repo *r, struct arena *a, str *body, struct fetch_args *x,
                      struct dialect *d, struct fetch_reply *reply)
{
    for (bool is_first = true;; is_first = false) {
        struct pkt p;
        bool known;
        str line, want;

        TRY(pkt_take(a, body, &p));
        if (p.kind != PKT_LINE)
            return OK;
        line = pkt_text(&p);
        if (is_first && str_starts(line, STR("want ")) && line.len > 45) {
            want = str_first(line, 45);
            TRY(read_caps(a, str_from(line, 45), x, d, reply));
            line = want;
        }
        if (str_starts(line, STR("have ")))
            known = false;
        else
            TRY(fetch_args_line(r, a, line, x, &known));
        if (!known)
            return err_new(a, 400, NULL, "upload-pack: unexpected line \"%.*s\"",
                           STR_FMT(str_first(line, 200)));
    }
}

/* State of the negotiation within one request. */
struct talk {
    oid last;                   /* newest common commit named */
    bool got_common, got_other; /* since the last flush */
    bool sent_ready;
    unsigned checks; /* readiness is looked at READY_MAX_CHECKS times, for it costs a walk */
};
#define READY_MAX_CHECKS 4

static void ack(struct arena *a, struct buf *out, oid id, const char *how)
{
    pkt_printf(out, "ACK %.*s%s\n", STR_FMT(sha1_hex(a, id)), how);
}

static err on_have(const struct fetch_repo *r, struct arena *a, const struct fetch_args *x,
                   size_t common_before, const struct dialect *d, struct talk *t, struct buf *out)
{
    oid id = x->haves.ids[x->haves.count - 1];
    bool ready;

    if (x->common.count > common_before) {
        t->got_common = true;
        t->last = id;
        if (d->ack != ACK_PLAIN)
            ack(a, out, id, d->ack == ACK_DETAILED ? " common" : " continue");
        else if (x->common.count == 1)
            ack(a, out, id, "");
        return OK;
    }
    t->got_other = true;
    if (d->ack == ACK_PLAIN || x->common.count == 0)
        return OK;
    ready = t->sent_ready;
    if (!ready && t->checks++ < READY_MAX_CHECKS)
        TRY(fetch_is_ready(r, a, x, &ready));
    if (ready) {
        t->sent_ready = d->ack == ACK_DETAILED;
        ack(a, out, id, d->ack == ACK_DETAILED ? " ready" : " continue");
    }
    return OK;
}

static err on_flush(const struct fetch_repo *r, struct arena *a, const struct fetch_args *x,
                    const struct dialect *d, struct talk *t, struct buf *out, bool *ret_pack)
{
    bool ready = false;

    if (d->ack == ACK_DETAILED && t->got_common && !t->got_other && t->checks++ < READY_MAX_CHECKS)
        TRY(fetch_is_ready(r, a, x, &ready));
    if (ready) {
        t->sent_ready = true;
        ack(a, out, t->last, " ready");
    }
    if (x->common.count == 0 || d->ack != ACK_PLAIN)
        pkt_line(out, STR("NAK\n"));
    *ret_pack = d->no_done && t->sent_ready;
    if (*ret_pack)
        ack(a, out, t->last, "");
    t->got_common = t->got_other = false;
    return OK;
}

/* Reads haves and acknowledges them; *ret_pack tells whether the pack follows. */
static err negotiate(const struct fetch_repo *r, struct arena *a, str body, struct fetch_args *x,
                     const struct dialect *d, struct buf *out, bool *ret_pack)
{
    struct talk t = {0};

    *ret_pack = false;
    while (!*ret_pack) {
        size_t before = x->common.count;
        struct pkt p;
        bool known;

        TRY(pkt_take(a, &body, &p));
        if (p.kind == PKT_END)
            return OK;
        if (p.kind != PKT_LINE) {
            TRY(on_flush(r, a, x, d, &t, out, ret_pack));
        } else if (str_eq(pkt_text(&p), STR("done"))) {
            if (x->common.count == 0)
                pkt_line(out, STR("NAK\n"));
            else if (d->ack != ACK_PLAIN)
                ack(a, out, t.last, "");
            *ret_pack = true;
        } else if (str_starts(p.line, STR("have "))) {
            TRY(fetch_args_line(r, a, pkt_text(&p), x, &known));
            TRY(on_have(r, a, x, before, d, &t, out));
        } else {
            return err_new(a, 400, NULL, "upload-pack: unexpected line \"%.*s\"",
                           STR_FMT(str_first(p.line, 200)));
        }
    }
    return OK;
}

err fetch_answer_v0(const struct fetch_repo *r, struct arena *a, str body, struct fetch_reply *ret)
{
    AUTO_ARGS struct fetch_args x = {.filter = REACH_ALL};
    AUTO_BORDER struct fetch_border border = {0};
    struct dialect d = {0};
    bool pack;

    TRY(read_needs(r, a, &body, &x, &d, ret));
    if (x.wants.count == 0)
        return OK;
    if (fetch_deepens(&x)) {
        TRY(fetch_border_find(r, a, &x, &border));
        fetch_border_write(a, &border, &ret->head);
        pkt_flush(&ret->head);
    }
    TRY(negotiate(r, a, body, &x, &d, &ret->head, &pack));
    return pack ? fetch_plan_pack(r, a, &x, &border, ret) : OK;
}
