/* fetch_v2.c — protocol version 2: "command=ls-refs" and "command=fetch". */
#include "git/fetch_plan.h"

void fetch_advert_v2(const struct fetch_repo *r, struct buf *out)
{
    pkt_line(out, STR("version 2\n"));
    pkt_printf(out, "agent=%.*s\n", STR_FMT(r->agent));
    pkt_line(out, STR("ls-refs=unborn\n"));
    pkt_line(out, STR("fetch=shallow wait-for-done filter\n"));
    pkt_line(out, STR("object-format=sha1\n"));
    pkt_flush(out);
}

/* --- ls-refs --- */

#define MAX_PREFIXES 65536 /* git sends a handful; more: they are ignored and all refs are sent */

struct ls_args {
    bool symrefs, peel, unborn, has_too_many;
    str *prefixes;
    size_t prefix_count, prefix_cap;
};

static bool is_asked_for(const struct ls_args *x, str name)
{
    if (x->prefix_count == 0 || x->has_too_many)
        return true;
    for (size_t i = 0; i < x->prefix_count; i++)
        if (str_starts(name, x->prefixes[i]))
            return true;
    return false;
}

static void add_prefix(struct arena *a, struct ls_args *x, str prefix)
{
    if (x->prefix_count == MAX_PREFIXES) {
        x->has_too_many = true;
        return;
    }
    if (x->prefix_count == x->prefix_cap) {
        size_t cap = x->prefix_cap ? x->prefix_cap * 2 : 16;
        str *more = arena_many(a, str, cap);

        for (size_t i = 0; i < x->prefix_count; i++)
            more[i] = x->prefixes[i];
        x->prefixes = more;
        x->prefix_cap = cap;
    }
    x->prefixes[x->prefix_count++] = prefix;
}

static void list_head(const struct fetch_repo *r, struct arena *a, const struct ls_args *x,
                      struct buf *out)
{
    const struct ref_tip *head = fetch_ref(r, r->head);
    str target = x->symrefs ? arena_cat(a, STR(" symref-target:"), r->head) : STR_NONE;

    if (!is_asked_for(x, STR("HEAD")))
        return;
    if (head)
        pkt_printf(out, "%.*s HEAD%.*s\n", STR_FMT(sha1_hex(a, head->id)), STR_FMT(target));
    else if (x->unborn)
        pkt_printf(out, "unborn HEAD%.*s\n", STR_FMT(target));
}

static err ls_refs(const struct fetch_repo *r, struct arena *a, str body, struct buf *out)
{
    struct ls_args x = {0};
    struct pkt p;

    for (;;) {
        str line;

        TRY(pkt_take(a, &body, &p));
        if (p.kind != PKT_LINE)
            break;
        line = pkt_text(&p);
        if (str_eq(line, STR("symrefs")))
            x.symrefs = true;
        else if (str_eq(line, STR("peel")))
            x.peel = true;
        else if (str_eq(line, STR("unborn")))
            x.unborn = true;
        else if (str_skip(&line, STR("ref-prefix ")))
            add_prefix(a, &x, line);
    }
    list_head(r, a, &x, out);
    for (size_t i = 0; i < r->ref_count; i++) {
        const struct ref_tip *t = &r->refs[i];
        struct arena_mark m = arena_mark(a);
        str peeled = STR_NONE;

        if (!is_asked_for(&x, t->name))
            continue;
        if (x.peel && !sha1_is_zero(t->peeled))
            peeled = arena_cat(a, STR(" peeled:"), sha1_hex(a, t->peeled));
        pkt_printf(out, "%.*s %.*s%.*s\n", STR_FMT(sha1_hex(a, t->id)), STR_FMT(t->name),
                   STR_FMT(peeled));
        arena_rewind(a, m);
    }
    pkt_flush(out);
    return OK;
}

/* --- fetch --- */

static err read_args(const struct fetch_repo *r, struct arena *a, str body, struct fetch_args *x)
{
    static const str ignored[] = {STR_INIT("thin-pack"), STR_INIT("ofs-delta")};

    for (;;) {
        struct pkt p;
        bool known;
        str line;

        TRY(pkt_take(a, &body, &p));
        if (p.kind != PKT_LINE)
            return OK;
        line = pkt_text(&p);
        if (str_eq(line, STR("done")))
            x->done = true;
        else if (str_eq(line, STR("no-progress")))
            x->no_progress = true;
        else if (str_eq(line, STR("include-tag")))
            x->include_tag = true;
        else if (str_eq(line, STR("wait-for-done")))
            x->wait_for_done = true;
        else if (str_eq(line, STR("deepen-relative")))
            x->deepen_relative = true;
        else if (!str_eq(line, ignored[0]) && !str_eq(line, ignored[1])) {
            TRY(fetch_args_line(r, a, line, x, &known));
            if (!known)
                return err_new(a, 400, NULL, "upload-pack: unexpected line \"%.*s\"",
                               STR_FMT(str_first(line, 200)));
        }
    }
}

/* Writes the acknowledgements; *ret_ready tells whether the pack follows at once. */
static err acknowledge(const struct fetch_repo *r, struct arena *a, const struct fetch_args *x,
                       struct buf *out, bool *ret_ready)
{
    *ret_ready = false;
    pkt_line(out, STR("acknowledgments\n"));
    if (x->common.count == 0)
        pkt_line(out, STR("NAK\n"));
    for (size_t i = 0; i < x->common.count; i++)
        pkt_printf(out, "ACK %.*s\n", STR_FMT(sha1_hex(a, x->common.ids[i])));
    if (!x->wait_for_done)
        TRY(fetch_is_ready(r, a, x, ret_ready));
    if (*ret_ready) {
        pkt_line(out, STR("ready\n"));
        pkt_delim(out);
    } else {
        pkt_flush(out);
    }
    return OK;
}

static err fetch(const struct fetch_repo *r, struct arena *a, str body, struct fetch_reply *reply)
{
    AUTO_ARGS struct fetch_args x = {.filter = REACH_ALL};
    AUTO_BORDER struct fetch_border border = {0};
    bool ready = true;

    TRY(read_args(r, a, body, &x));
    if (x.wants.count == 0 && !x.wait_for_done)
        return OK;
    if (x.haves.count > 0 && !x.done)
        TRY(acknowledge(r, a, &x, &reply->head, &ready));
    if (!ready)
        return OK;
    if (fetch_deepens(&x))
        TRY(fetch_border_find(r, a, &x, &border));
    if (fetch_deepens(&x) || x.shallow.count > 0) {
        pkt_line(&reply->head, STR("shallow-info\n"));
        fetch_border_write(a, &border, &reply->head);
        pkt_delim(&reply->head);
    }
    pkt_line(&reply->head, STR("packfile\n"));
    reply->band_max = PKT_MAX_BAND;
    return fetch_plan_pack(r, a, &x, &border, reply);
}

err fetch_answer_v2(const struct fetch_repo *r, struct arena *a, str body, struct fetch_reply *ret)
{
    str command = STR_NONE;
    struct pkt p;

    for (;;) { /* command and capabilities, up to the delimiter */
        str line;

        TRY(pkt_take(a, &body, &p));
        if (p.kind != PKT_LINE)
            break;
        line = pkt_text(&p);
        if (str_skip(&line, STR("command=")))
            command = line;
        else if (str_skip(&line, STR("object-format=")) && !str_eq(line, STR("sha1")))
            return err_new(a, 400, NULL, "upload-pack: this server has SHA-1 repositories only");
    }
    if (p.kind != PKT_DELIM)
        body = STR_NONE; /* a command without arguments */
    if (str_eq(command, STR("ls-refs")))
        return ls_refs(r, a, body, &ret->head);
    if (str_eq(command, STR("fetch")))
        return fetch(r, a, body, ret);
    if (command.len == 0)
        return OK; /* an empty request, as probes send it */
    return err_new(a, 400, NULL, "upload-pack: unknown command \"%.*s\"",
                   STR_FMT(str_first(command, 100)));
}
