/* receive.c — see receive.h. */
#include "git/receive.h"
#include "base/text.h"
#include "git/refname.h"
#include <stdlib.h>
#include <string.h>

#define CAPS "report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1"

/* One reference; the first line carries the capabilities. */
static void advertise(struct buf *out, oid id, str name, str *caps)
{
    char hex[40];
    size_t len = 4 + sizeof hex + 1 + name.len + 1 + (caps->len ? caps->len + 1 : 0);

    hex_write(hex, id.b, sizeof id.b);
    buf_printf(out, "%04zx", len);
    buf_add(out, (str){hex, sizeof hex});
    buf_addc(out, ' ');
    buf_add(out, name);
    if (caps->len > 0) {
        buf_addc(out, '\0');
        buf_add(out, *caps);
    }
    buf_addc(out, '\n');
    *caps = STR_NONE;
}

void receive_advert(const struct fetch_repo *r, int version, struct buf *out)
{
    AUTO_BUF struct buf text = BUF(4096);
    str caps;

    buf_printf(&text, CAPS " agent=%.*s", STR_FMT(r->agent));
    caps = buf_str(&text);
    pkt_line(out, STR("# service=git-receive-pack\n"));
    pkt_flush(out);
    if (version == 1)
        pkt_line(out, STR("version 1\n"));
    for (size_t i = 0; i < r->ref_count; i++)
        advertise(out, r->refs[i].id, r->refs[i].name, &caps);
    if (r->ref_count == 0)
        advertise(out, OID_ZERO, STR("capabilities^{}"), &caps);
    pkt_flush(out);
}

/* --- reading --- */

static err bad_line(struct arena *a, str line)
{
    return err_new(a, 400, NULL, "receive-pack: unexpected line \"%.*s\"",
                   STR_FMT(str_first(line, 200)));
}

/* The line "OLD NEW NAME". */
static err parse_command(struct arena *a, str line, struct push_command *ret)
{
    struct push_command c = {0};

    if (line.len < 83 || !sha1_from_hex(str_first(line, 40), &c.old_id) || line.ptr[40] != ' ' ||
        !sha1_from_hex(str_first(str_from(line, 41), 40), &c.new_id) || line.ptr[81] != ' ')
        return bad_line(a, line);
    c.name = arena_str(a, str_from(line, 82));
    if (!refname_valid(c.name))
        return err_new(a, 400, NULL, "receive-pack: \"%.*s\" is no name for a reference",
                       STR_FMT(str_first(c.name, 200)));
    *ret = c;
    return OK;
}

static err read_caps(struct arena *a, str caps, struct push *p, bool *ret_options)
{
    while (caps.ptr) {
        str cap = str_cut(&caps, ' ');

        if (str_eq(cap, STR("report-status")))
            p->report_status = true;
        else if (str_eq(cap, STR("side-band-64k")))
            p->side_band = true;
        else if (str_eq(cap, STR("atomic")))
            p->is_atomic = true;
        else if (str_eq(cap, STR("quiet")))
            p->is_quiet = true;
        else if (str_eq(cap, STR("push-options")))
            *ret_options = true;
        else if (str_skip(&cap, STR("object-format=")) && !str_eq(cap, STR("sha1")))
            return err_new(a, 400, NULL, "receive-pack: this server has SHA-1 repositories only");
    }
    return OK;
}

static void add_command(struct arena *a, struct push *p, size_t *cap, struct push_command c)
{
    if (p->count == *cap) {
        size_t more = *cap ? *cap * 2 : 16;
        struct push_command *list = arena_many(a, struct push_command, more);

        if (p->count > 0)
            memcpy(list, p->commands, p->count * sizeof c);
        p->commands = list;
        *cap = more;
    }
    p->commands[p->count++] = c;
    p->has_pack = p->has_pack || !sha1_is_zero(c.new_id);
}

static int order_name(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static err check_distinct(struct arena *a, const struct push *p)
{
    str *names = arena_many(a, str, p->count + 1);

    for (size_t i = 0; i < p->count; i++)
        names[i] = p->commands[i].name;
    qsort(names, p->count, sizeof *names, order_name);
    for (size_t i = 1; i < p->count; i++)
        if (str_eq(names[i - 1], names[i]))
            return err_new(a, 400, NULL, "receive-pack: %.*s is named twice", STR_FMT(names[i]));
    return OK;
}

/* Push options are read and forgotten: they end at their own flush. */
static err skip_options(struct arena *a, const struct pkt_input *in, char *line)
{
    struct pkt p;

    for (unsigned i = 0; i <= RECEIVE_MAX_OPTIONS; i++) {
        TRY(pkt_read(a, in, line, &p));
        if (p.kind != PKT_LINE)
            return OK;
    }
    return err_new(a, 413, NULL, "receive-pack: too many push options");
}

err receive_commands(struct arena *a, const struct pkt_input *in, struct push *ret)
{
    char *line = arena_alloc(a, PKT_MAX);
    struct push push = {0};
    bool has_options = false;
    size_t cap = 0, shallows = 0;

    for (;;) {
        struct push_command c;
        struct pkt p;
        str text;
        ptrdiff_t nul;

        TRY(pkt_read(a, in, line, &p));
        if (p.kind != PKT_LINE)
            break;
        text = pkt_text(&p);
        if (str_starts(text, STR("shallow ")) && ++shallows <= RECEIVE_MAX_COMMANDS)
            continue;
        if (str_starts(text, STR("push-cert")))
            return err_new(a, 400, NULL, "receive-pack: signed pushes are not supported");
        if (push.count == RECEIVE_MAX_COMMANDS)
            return err_new(a, 413, NULL, "receive-pack: at most %d references in one push",
                           RECEIVE_MAX_COMMANDS);
        nul = str_find(text, '\0');
        if (nul >= 0) {
            if (push.count > 0)
                return bad_line(a, str_first(text, (size_t)nul));
            TRY(read_caps(a, str_from(text, (size_t)nul + 1), &push, &has_options));
            text = str_first(text, (size_t)nul);
        }
        TRY(parse_command(a, text, &c));
        add_command(a, &push, &cap, c);
    }
    if (has_options)
        TRY(skip_options(a, in, line));
    TRY(check_distinct(a, &push));
    *ret = push;
    return OK;
}

/* --- answering --- */

void receive_say(const struct push *p, struct buf *out, str line)
{
    if (!p->side_band)
        return;
    line = str_first(line, 2000);
    pkt_printf(out, "\002%.*s\n", STR_FMT(line));
}

/* A reason must stay on its line. */
static str one_line(struct arena *a, str s)
{
    str copy = arena_printf(a, "%.*s", STR_FMT(str_first(s, 500)));
    char *p = arena_alloc(a, copy.len + 1);

    for (size_t i = 0; i < copy.len; i++)
        if ((unsigned char)(p[i] = copy.ptr[i]) < ' ')
            p[i] = ' ';
    return (str){p, copy.len};
}

void receive_report(struct arena *a, const struct push *p, str unpack_reason, struct buf *out)
{
    AUTO_BUF struct buf report = BUF((p->count + 1) * (REFNAME_MAX + 600) + 100);

    if (p->report_status) {
        pkt_printf(&report, "unpack %.*s\n",
                   STR_FMT(unpack_reason.len ? one_line(a, unpack_reason) : STR("ok")));
        for (size_t i = 0; i < p->count; i++) {
            const struct push_command *c = &p->commands[i];

            if (c->is_ok)
                pkt_printf(&report, "ok %.*s\n", STR_FMT(c->name));
            else
                pkt_printf(&report, "ng %.*s %.*s\n", STR_FMT(c->name),
                           STR_FMT(one_line(a, c->reason.len ? c->reason : STR("rejected"))));
        }
        pkt_flush(&report);
    }
    if (p->side_band) {
        pkt_band(out, 1, buf_str(&report));
        pkt_flush(out);
    } else {
        buf_add(out, buf_str(&report));
    }
}
