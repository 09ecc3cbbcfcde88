/* git_receive_test.c — see git/receive.h. */
#include "git/receive.h"
#include "git_fixture.h"

#define A "1111111111111111111111111111111111111111"
#define B "2222222222222222222222222222222222222222"
#define Z "0000000000000000000000000000000000000000"

static err from_str(void *ctx, struct arena *a, void *p, size_t len, size_t *ret_len)
{
    str *s = ctx;
    size_t n = s->len < len ? s->len : len;

    (void)a;
    if (n > 0)
        memcpy(p, s->ptr, n);
    *s = str_from(*s, n);
    *ret_len = n;
    return OK;
}

static void test_advert(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf out = BUF(10000);
    struct ref_tip tip = {STR("refs/heads/main"), oid_empty_tree, OID_ZERO};
    struct fetch_repo r = {f.odb, &tip, 1, tip.name, STR("hearth/1")};

    (void)state;
    receive_advert(&r, 2, &out);
    assert_true(str_starts(buf_str(&out), STR("001f# service=git-receive-pack\n0000")));
    assert_true(
        str_has(buf_str(&out),
                STR("4b825dc642cb6eb9a060e54bf8d69288fbee4904 refs/heads/main\0report-status "
                    "delete-refs")));
    assert_true(str_ends(buf_str(&out), STR(" agent=hearth/1\n0000")));
    buf_clear(&out);
    r.ref_count = 0;
    receive_advert(&r, 0, &out);
    assert_true(str_has(buf_str(&out), STR(Z " capabilities^{}\0report-status")));
}

static void test_commands(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf b = BUF(10000);
    struct pkt_input in;
    struct push p;
    str s;

    (void)state;
    pkt_line(&b, STR("shallow " A));
    pkt_line(&b, STR(Z " " A " refs/heads/main\0 report-status side-band-64k atomic quiet "
                       "push-options object-format=sha1 agent=git/2"));
    pkt_line(&b, STR(A " " Z " refs/heads/gone\n"));
    pkt_flush(&b);
    pkt_line(&b, STR("ci.skip"));
    pkt_flush(&b);
    buf_add(&b, STR("PACK…"));
    s = buf_str(&b);
    in = (struct pkt_input){from_str, &s};
    check_ok(receive_commands(f.a, &in, &p));
    assert_int_equal(p.count, 2);
    assert_true(p.report_status && p.side_band && p.is_atomic && p.is_quiet && p.has_pack);
    check_str(p.commands[0].name, "refs/heads/main");
    assert_true(sha1_is_zero(p.commands[0].old_id) && !sha1_is_zero(p.commands[0].new_id));
    check_str(p.commands[1].name, "refs/heads/gone");
    check_str(s, "PACK…");
}

static void test_probe(void **state)
{
    FIXTURE f = fixture_new();
    struct push p;
    str s = STR("0000");
    struct pkt_input in = {from_str, &s};

    (void)state;
    check_ok(receive_commands(f.a, &in, &p));
    assert_int_equal(p.count, 0);
    assert_false(p.has_pack);
}

static void test_refusals(void **state)
{
    static const char *const lines[] = {
        "nonsense",
        Z " " A,
        Z " " A " main",
        Z " " A " refs/heads/../x",
        Z " " A " refs/heads/a b",
        Z "_" A " refs/heads/main",
        "push-cert",
    };
    FIXTURE f = fixture_new();

    (void)state;
    for (size_t i = 0; i <= sizeof lines / sizeof *lines; i++) {
        AUTO_BUF struct buf b = BUF(10000);
        struct pkt_input in;
        struct push p;
        str s;

        if (i < sizeof lines / sizeof *lines) {
            pkt_line(&b, str_c(lines[i]));
        } else { /* the same reference twice */
            pkt_line(&b, STR(Z " " A " refs/heads/x"));
            pkt_line(&b, STR(Z " " B " refs/heads/x"));
        }
        pkt_flush(&b);
        s = buf_str(&b);
        in = (struct pkt_input){from_str, &s};
        check_fails(receive_commands(f.a, &in, &p), 400);
    }
}

static void test_report(void **state)
{
    FIXTURE f = fixture_new();
    AUTO_BUF struct buf out = BUF(10000);
    struct push_command c[] = {
        {.name = STR("refs/heads/a"), .is_ok = true},
        {.name = STR("refs/heads/b"), .reason = STR("too\nlarge")},
    };
    struct push p = {.commands = c, .count = 2, .report_status = true};

    (void)state;
    receive_report(f.a, &p, STR_NONE, &out);
    check_str(buf_str(&out), "000eunpack ok\n0014ok refs/heads/a\n001eng refs/heads/b too "
                             "large\n0000");
    buf_clear(&out);
    receive_say(&p, &out, STR("unheard"));
    p.side_band = true;
    receive_say(&p, &out, STR("hello"));
    receive_report(f.a, &p, STR("bad pack"), &out);
    check_str(buf_str(&out), "000b\002hello\n004f\0010014unpack bad pack\n0014ok "
                             "refs/heads/a\n001eng refs/heads/b too large\n00000000");
    buf_clear(&out);
    p.side_band = p.report_status = false;
    receive_report(f.a, &p, STR_NONE, &out);
    check_str(buf_str(&out), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advert), cmocka_unit_test(test_commands),
        cmocka_unit_test(test_probe),  cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
