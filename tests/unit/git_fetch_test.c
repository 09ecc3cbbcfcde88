/* git_fetch_test.c — see git/fetch.h.  A request and a reply are written as lines: "0000" and
 * "0001" stand for themselves, other lines are packets; of a pack only the count is shown. */
#include "git/fetch.h"
#include "git_fixture.h"
#include <stdlib.h>

struct server {
    struct fixture f;
    oid c[6], tag;
    struct ref_tip refs[3];
    struct fetch_repo repo;
};

static struct server *server_new(void)
{
    struct server *s = calloc(1, sizeof *s);
    struct tag_obj t = {.type = OBJ_COMMIT, .name = STR("v1"), .message = STR("one")};

    s->f = fixture_new();
    put_line(&s->f, s->c, 6);
    t.target = s->c[2];
    check_ok(odb_write(s->f.odb, s->f.a, OBJ_TAG, tag_format(s->f.a, &t), &s->tag));
    s->refs[0] = (struct ref_tip){STR("refs/heads/main"), s->c[5], OID_ZERO};
    s->refs[1] = (struct ref_tip){STR("refs/heads/old"), s->c[3], OID_ZERO};
    s->refs[2] = (struct ref_tip){STR("refs/tags/v1"), s->tag, s->c[2]};
    s->repo = (struct fetch_repo){s->f.odb, s->refs, 3, STR("refs/heads/main"), STR("hearth/1")};
    return s;
}

static void server_free(struct server **s)
{
    fixture_free(&(*s)->f);
    free(*s);
}
#define SERVER __attribute__((cleanup(server_free))) struct server

/* "$3" becomes the id of commit 3, "$t" that of the tag. */
static str expand(struct server *s, const char *text)
{
    AUTO_BUF struct buf b = BUF(100000);

    for (const char *p = text; *p; p++)
        if (p[0] == '$' && p[1]) {
            oid id = p[1] == 't' ? s->tag : s->c[p[1] - '0'];

            buf_add(&b, sha1_hex(s->f.a, id));
            p++;
        } else {
            buf_addc(&b, *p);
        }
    return arena_str(s->f.a, buf_str(&b));
}

static str request(struct server *s, const char *lines)
{
    AUTO_BUF struct buf b = BUF(100000);
    str rest = expand(s, lines);

    while (rest.ptr) {
        str line = str_cut(&rest, '\n');

        if (str_eq(line, STR("0000")) || str_eq(line, STR("0001")))
            buf_add(&b, line);
        else
            pkt_line(&b, arena_cat(s->f.a, line, STR("\n")));
    }
    return arena_str(s->f.a, buf_str(&b));
}

/* Shows packets as lines; the pack's packets are summed up as "pack N". */
static str show(struct server *s, str bytes)
{
    AUTO_BUF struct buf b = BUF(100000), pack = BUF(1u << 20);

    while (bytes.len > 0) {
        struct pkt p;

        check_ok(pkt_take(s->f.a, &bytes, &p));
        if (p.kind == PKT_LINE && p.line.len > 0 && p.line.ptr[0] == 1) {
            buf_add(&pack, str_from(p.line, 1));
            continue;
        }
        if (p.kind == PKT_LINE && p.line.len > 0 && p.line.ptr[0] == 2)
            continue;
        if (pack.len > 0)
            buf_printf(&b, "pack %d\n", pack.ptr[11]);
        buf_clear(&pack);
        if (p.kind == PKT_LINE)
            buf_printf(&b, "%.*s\n", STR_FMT(pkt_text(&p)));
        else
            buf_printf(&b, "%s\n", p.kind == PKT_FLUSH ? "0000" : "0001");
    }
    return arena_str(s->f.a, buf_str(&b));
}

static str answer_bytes(struct server *s, int version, const char *lines)
{
    AUTO_BUF struct buf out = BUF(1u << 20);
    AUTO_FETCH_REPLY struct fetch_reply reply = {0};

    check_ok(fetch_answer(&s->repo, s->f.a, version, request(s, lines), &reply));
    while (!reply.is_done)
        check_ok(fetch_reply_step(&reply, s->f.odb, s->f.a, &out));
    return arena_str(s->f.a, buf_str(&out));
}

#define check_talk(s, version, lines, expected)                                                    \
    do {                                                                                           \
        str got_ = show(s, answer_bytes(s, version, lines)), want_ = expand(s, expected);          \
        if (!str_eq(got_, want_))                                                                  \
            fail_msg("got:\n%.*sexpected:\n%.*s", STR_FMT(got_), STR_FMT(want_));                  \
    } while (0)

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(fetch_protocol_version(STR("version=2")), 2);
    assert_int_equal(fetch_protocol_version(STR("x=y:version=1")), 1);
    assert_int_equal(fetch_protocol_version(STR("")), 0);
    assert_int_equal(fetch_protocol_version(STR("version=22")), 0);
}

static void test_advert(void **state)
{
    SERVER *s = server_new();
    AUTO_BUF struct buf out = BUF(10000);
    struct pkt p;
    str in;

    (void)state;
    fetch_advert(&s->repo, 2, &out);
    check_str(show(s, buf_str(&out)),
              "version 2\nagent=hearth/1\nls-refs=unborn\nfetch=shallow wait-for-done filter\n"
              "object-format=sha1\n0000\n");
    buf_clear(&out);
    fetch_advert(&s->repo, 0, &out);
    in = buf_str(&out);
    check_ok(pkt_take(s->f.a, &in, &p));
    check_str(p.line, "# service=git-upload-pack\n");
    check_ok(pkt_take(s->f.a, &in, &p));
    check_ok(pkt_take(s->f.a, &in, &p));
    assert_true(str_starts(str_from(p.line, 40), STR(" HEAD\0multi_ack ")));
    assert_true(str_has(p.line, STR(" symref=HEAD:refs/heads/main ")));
    assert_true(str_starts(show(s, in), expand(s, "$5 refs/heads/main\n$3 refs/heads/old\n"
                                                  "$t refs/tags/v1\n$2 refs/tags/v1^{}\n")));
    buf_clear(&out);
    s->repo.ref_count = 0;
    fetch_advert(&s->repo, 1, &out);
    assert_true(str_has(buf_str(&out), STR("version 1\n")));
    assert_true(str_has(buf_str(&out), STR("0000000000000000 capabilities^{}\0multi_ack")));
}

static void test_ls_refs(void **state)
{
    SERVER *s = server_new();

    (void)state;
    check_talk(s, 2, "command=ls-refs\nagent=x\nobject-format=sha1\n0001\npeel\nsymrefs\n0000",
               "$5 HEAD symref-target:refs/heads/main\n$5 refs/heads/main\n$3 refs/heads/old\n"
               "$t refs/tags/v1 peeled:$2\n0000\n");
    check_talk(s, 2, "command=ls-refs\n0001\nref-prefix refs/tags/\nref-prefix HEAD\n0000",
               "$5 HEAD\n$t refs/tags/v1\n0000\n");
    s->repo.head = STR("refs/heads/none");
    check_talk(s, 2, "command=ls-refs\n0001\nunborn\nsymrefs\nref-prefix HEAD\n0000",
               "unborn HEAD symref-target:refs/heads/none\n0000\n");
    check_talk(s, 2, "command=ls-refs\n0000",
               "$5 refs/heads/main\n$3 refs/heads/old\n"
               "$t refs/tags/v1\n0000\n");
}

static void test_v2_fetch(void **state)
{
    static const struct {
        const char *name, *request, *reply;
    } cases[] = {
        {"clone", "want $5\nofs-delta\ndone\n0000", "packfile\npack 24\n0000\n"},
        {"clone with tags", "want $5\ninclude-tag\ndone\n0000", "packfile\npack 25\n0000\n"},
        {"have all", "want $5\nhave $5\ndone\n0000", "packfile\npack 0\n0000\n"},
        {"have some", "want $5\nhave $3\ndone\n0000", "packfile\npack 8\n0000\n"},
        {"ready at once", "want $5\nhave $3\n0000",
         "acknowledgments\nACK $3\nready\n0001\npackfile\npack 8\n0000\n"},
        {"nothing in common", "want $5\nhave 1111111111111111111111111111111111111111\n0000",
         "acknowledgments\nNAK\n0000\n"},
        {"waits for done", "want $5\nhave $3\nwait-for-done\n0000",
         "acknowledgments\nACK $3\n0000\n"},
        {"tag", "want $t\ndone\n0000", "packfile\npack 13\n0000\n"},
        {"depth 1", "want $5\ndeepen 1\ndone\n0000",
         "shallow-info\nshallow $5\n0001\npackfile\npack 11\n0000\n"},
        {"depth past the root", "want $1\ndeepen 9\ndone\n0000",
         "shallow-info\n0001\npackfile\npack 8\n0000\n"},
        {"deeper", "want $5\nshallow $5\nhave $5\ndeepen 2\ndone\n0000",
         "shallow-info\nshallow $4\nunshallow $5\n0001\npackfile\npack 3\n0000\n"},
        {"deeper by one", "want $5\nshallow $4\nhave $5\ndeepen 1\ndeepen-relative\ndone\n0000",
         "shallow-info\nshallow $3\nunshallow $4\n0001\npackfile\npack 4\n0000\n"},
        {"unshallow", "want $5\nshallow $5\nhave $5\ndeepen 2147483647\ndone\n0000",
         "shallow-info\nunshallow $5\n0001\npackfile\npack 13\n0000\n"},
        {"since", "want $5\ndeepen-since 1700000003\ndone\n0000",
         "shallow-info\nshallow $3\n0001\npackfile\npack 17\n0000\n"},
        {"not", "want $5\ndeepen-not refs/tags/v1\ndone\n0000",
         "shallow-info\nshallow $3\n0001\npackfile\npack 17\n0000\n"},
        {"shallow client fetches on", "want $5\nshallow $4\nhave $4\ndone\n0000",
         "shallow-info\n0001\npackfile\npack 4\n0000\n"},
        {"no blobs", "want $5\nfilter blob:none\ndone\n0000", "packfile\npack 18\n0000\n"},
        {"no trees", "want $5\nfilter tree:0\ndone\n0000", "packfile\npack 6\n0000\n"},
        {"no wants", "done\n0000", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SERVER *s = server_new();
        str text = arena_cat(s->f.a, STR("command=fetch\n0001\n"), str_c(cases[i].request));
        str got = show(s, answer_bytes(s, 2, str_z(s->f.a, text)));

        if (!str_eq(got, expand(s, cases[i].reply)))
            fail_msg("%s:\n%.*s", cases[i].name, STR_FMT(got));
    }
}

static void test_v0_fetch(void **state)
{
    static const struct {
        const char *name, *request, *reply;
    } cases[] = {
        {"clone", "want $5 side-band-64k multi_ack_detailed no-done\nwant $5\n0000\ndone",
         "NAK\npack 24\n0000\n"},
        {"clone with tags", "want $5 side-band-64k include-tag\n0000\ndone",
         "NAK\npack 25\n0000\n"},
        {"small packets", "want $5 side-band\n0000\ndone", "NAK\npack 24\n0000\n"},
        {"no wants", "0000", ""},
        {"detailed, ready, no done",
         "want $5 side-band-64k multi_ack_detailed no-done\n0000\nhave $3\n0000",
         "ACK $3 common\nACK $3 ready\nNAK\nACK $3\npack 8\n0000\n"},
        {"detailed, ready, done follows",
         "want $5 side-band-64k multi_ack_detailed\n0000\nhave $3\n0000",
         "ACK $3 common\nACK $3 ready\nNAK\n"},
        {"detailed, done", "want $5 side-band-64k multi_ack_detailed\n0000\nhave $3\ndone",
         "ACK $3 common\nACK $3\npack 8\n0000\n"},
        {"unknown haves",
         "want $5 side-band-64k multi_ack_detailed\n0000\n"
         "have 1111111111111111111111111111111111111111\n0000",
         "NAK\n"},
        {"plain acks", "want $5 side-band-64k\n0000\nhave $3\nhave $2\n0000\ndone",
         "ACK $3\npack 8\n0000\n"},
        {"depth, first request", "want $5 side-band-64k\ndeepen 1\n0000", "shallow $5\n0000\n"},
        {"depth, with done", "want $5 side-band-64k\ndeepen 1\n0000\ndone",
         "shallow $5\n0000\nNAK\npack 11\n0000\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SERVER *s = server_new();
        str got = show(s, answer_bytes(s, 0, cases[i].request));

        if (!str_eq(got, expand(s, cases[i].reply)))
            fail_msg("%s:\n%.*s", cases[i].name, STR_FMT(got));
    }
}

static void test_v0_bare_pack(void **state)
{
    SERVER *s = server_new();
    str got = answer_bytes(s, 0, "want $5\n0000\ndone");

    (void)state;
    assert_true(str_starts(got, STR("0008NAK\nPACK\0\0\0\2")));
}

static void test_refusals(void **state)
{
    static const struct {
        int version;
        const char *request, *text;
    } cases[] = {
        {2, "command=fetch\n0001\nwant 1111111111111111111111111111111111111111\ndone\n0000",
         "not our ref 1111"},
        {2, "command=fetch\n0001\nwant xyz\n0000", "unexpected line"},
        {2, "command=fetch\n0001\nnonsense\n0000", "unexpected line"},
        {2, "command=fetch\n0001\nfilter sparse:oid=x\n0000", "no filter"},
        {2, "command=fetch\n0001\ndeepen 0\n0000", "unexpected line"},
        {2, "command=fetch\n0001\ndeepen-not nowhere\n0000", "deepen-not"},
        {2, "command=fetch\n0001\nwant $5\ndeepen-since 9999999999\ndone\n0000", "no commits"},
        {2, "command=destroy\n0000", "unknown command"},
        {2, "command=fetch\nobject-format=sha256\n0001\n0000", "SHA-1"},
        {0, "have $5\n0000", "unexpected line"},
        {0, "want $5 object-format=sha256\n0000", "SHA-1"},
        {0, "want $5\n0000\nwant $4", "unexpected line"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SERVER *s = server_new();
        struct fetch_reply reply;
        err e =
            fetch_answer(&s->repo, s->f.a, cases[i].version, request(s, cases[i].request), &reply);

        if (!e || !str_has(e->text, str_c(cases[i].text)))
            fail_msg("%s: %.*s", cases[i].request, STR_FMT(e ? e->text : STR("none")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions), cmocka_unit_test(test_advert),
        cmocka_unit_test(test_ls_refs),  cmocka_unit_test(test_v2_fetch),
        cmocka_unit_test(test_v0_fetch), cmocka_unit_test(test_v0_bare_pack),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
