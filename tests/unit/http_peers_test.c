/* http_peers_test.c — counting connections per address, and the minimum rate of bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "http/conn.h"
#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage s = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&s;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        s.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        s.ss_family = AF_INET6;
    else
        fail_msg("%s", text);
    return s;
}

static bool enter(struct peers *p, const char *text, struct peer **ret)
{
    struct sockaddr_storage s = address(text);

    return peers_enter(p, &s, 2, ret);
}

static void test_counts(void **state)
{
    struct peers *p = peers_new();
    struct peer *a1, *a2, *none, *b;

    (void)state;
    assert_true(enter(p, "10.0.0.1", &a1));
    assert_true(enter(p, "::ffff:10.0.0.1", &a2)); /* the same client on a dual-stack socket */
    assert_false(enter(p, "10.0.0.1", &none));
    assert_null(none);
    assert_true(enter(p, "10.0.0.2", &b));
    peers_leave(p, a1);
    assert_true(enter(p, "10.0.0.1", &a1));
    peers_leave(p, a1);
    peers_leave(p, a2);
    peers_leave(p, b);
    peers_leave(p, NULL);
    peers_free(p); /* asserts that nothing is left */
}

static void test_ipv6_counts_by_network(void **state)
{
    struct peers *p = peers_new();
    struct peer *a, *b, *c;

    (void)state;
    assert_true(enter(p, "2001:db8:1:2::1", &a));
    assert_true(enter(p, "2001:db8:1:2:ffff::9", &b));
    assert_false(enter(p, "2001:db8:1:2:1:2:3:4", &c));
    assert_true(enter(p, "2001:db8:1:3::1", &c));
    peers_leave(p, a);
    peers_leave(p, b);
    peers_leave(p, c);
    peers_free(p);
}

static void test_loopback_is_exempt(void **state)
{
    static const char *const texts[] = {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"};
    struct peers *p = peers_new();
    struct peer *e;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (unsigned n = 0; n < 5; n++) {
            assert_true(enter(p, texts[i], &e));
            assert_null(e);
        }
    peers_free(p);
}

static void test_text(void **state)
{
    static const char *const texts[][2] = {
        {"10.0.0.1", "10.0.0.1"}, {"::ffff:10.0.0.1", "10.0.0.1"}, {"2001:db8::1", "2001:db8::1"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_storage s = address(texts[i][0]);
        char out[48];

        peers_text(&s, out, sizeof out);
        assert_string_equal(out, texts[i][1]);
    }
}

/* Waits one window in four steps, with `bytes` received meanwhile. */
static bool too_slow(struct http_body *b, uint64_t bytes)
{
    for (unsigned i = 0; i < 4; i++) {
        b->window_bytes += bytes / 4;
        if (body_note_wait(b, BODY_RATE_WINDOW_MS / 4, 1000))
            return true;
    }
    return false;
}

static void test_minimum_rate(void **state)
{
    struct http_body b;

    (void)state;
    body_begin(&b, 1u << 30, false);
    assert_false(too_slow(&b, 0)); /* the first window is free */
    assert_false(too_slow(&b, 10000));
    assert_false(too_slow(&b, 50000));
    assert_true(too_slow(&b, 9996)); /* and a fast past does not help */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_ipv6_counts_by_network),
        cmocka_unit_test(test_loopback_is_exempt),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_minimum_rate),
    };

    return cmocka_run_group_tests_name("http_peers", tests, NULL, NULL);
}
