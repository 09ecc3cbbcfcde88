/* git_delta_test.c — deltas that fit, and the many ways in which one does not. */
#include "git/delta.h"
#include "pack_build.h"

/* Applies into a buffer of exactly this size, so that a sanitizer sees any byte too many. */
static bool apply(str base, struct buf delta, uint64_t size, char **ret)
{
    char *exact_base = malloc(base.len), *exact_delta = malloc(delta.len), *dst = malloc(size);
    bool fits;

    if (base.len)
        memcpy(exact_base, base.ptr, base.len);
    if (delta.len)
        memcpy(exact_delta, delta.ptr, delta.len);
    fits = delta_apply((str){exact_base, base.len}, (str){exact_delta, delta.len}, dst, size);
    free(exact_base);
    free(exact_delta);
    buf_free(&delta);
    if (fits && ret)
        *ret = dst;
    else
        free(dst);
    return fits;
}

static void check_result(str base, struct buf delta, const char *expected)
{
    char *result = NULL;

    assert_true(apply(base, delta, strlen(expected), &result));
    assert_memory_equal(result, expected, strlen(expected));
    free(result);
}

static void copies_and_inserts(void **state)
{
    const str base = STR("The quick brown fox");
    struct buf d;

    (void)state;
    check_result(STR(""), delta_of(0, STR("all new")), "all new");
    check_result(base, delta_of(base.len, STR("all new")), "all new");
    check_result(base, delta_begin(base.len, 0), "");
    d = delta_begin(base.len, 19);
    delta_copy(&d, 0, 19);
    check_result(base, d, "The quick brown fox");
    d = delta_begin(base.len, 20);
    delta_copy(&d, 16, 3);
    delta_insert(&d, STR(" and "));
    delta_copy(&d, 4, 5);
    delta_copy(&d, 9, 1);
    delta_copy(&d, 10, 5);
    delta_copy(&d, 18, 1);
    check_result(base, d, "fox and quick brownx");
}

static void copies_of_every_length(void **state)
{
    static const uint64_t lengths[] = {1, 255, 256, 65535, 65536, 65537, 0xffffff, 0x10001};
    static const uint64_t offsets[] = {0,       1,        255,       256,      0xffff,
                                       0x10000, 0xffffff, 0x1000000, 0x1000101};
    size_t size = 0x1000101 + 0xffffff;
    char *base = malloc(size);

    (void)state;
    for (size_t i = 0; i < size; i++)
        base[i] = (char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t k = i % 3; k < sizeof offsets / sizeof *offsets; k += 3) {
            struct buf d = delta_begin(size, lengths[i]);
            char *dst = malloc(lengths[i]);

            delta_copy(&d, offsets[k], lengths[i]);
            assert_true(delta_apply((str){base, size}, buf_str(&d), dst, lengths[i]));
            assert_memory_equal(dst, base + offsets[k], lengths[i]);
            free(dst);
            buf_free(&d);
        }
    free(base);
}

static struct buf raw(str bytes)
{
    struct buf d = BUF(1024);

    buf_add(&d, bytes);
    return d;
}

static void what_does_not_fit_is_refused(void **state)
{
    const str base = STR("0123456789");
    static const struct {
        str delta;
        uint64_t size;
        const char *why;
    } rows[] = {
        {STR_INIT(""), 0, "no sizes"},
        {STR_INIT("\x0a"), 0, "one size"},
        {STR_INIT("\x8a"), 0, "a size cut short"},
        {STR_INIT("\x8a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00"), 0,
         "a size of too many digits"},
        {STR_INIT("\x09\x00"), 0, "another base size"},
        {STR_INIT("\x0b\x00"), 0, "another base size"},
        {STR_INIT("\x0a\x01"), 0, "another result size"},
        {STR_INIT("\x0a\x01\x01x"), 2, "another result size"},
        {STR_INIT("\x0a\x01\x00"), 1, "the reserved instruction"},
        {STR_INIT("\x0a\x02\x02x"), 2, "an insert cut short"},
        {STR_INIT("\x0a\x01\x01"), 1, "an insert without bytes"},
        {STR_INIT("\x0a\x01\x02xy"), 1, "an insert past the result"},
        {STR_INIT("\x0a\x02\x01x"), 2, "a result too short"},
        {STR_INIT("\x0a\x01\x01x\x01y"), 1, "a result too long"},
        {STR_INIT("\x0a\x01\x91"), 1, "a copy cut short"},
        {STR_INIT("\x0a\x01\x91\x00"), 1, "a copy cut short"},
        {STR_INIT("\x0a\x01\x91\x0a\x01"), 1, "a copy from behind the base"},
        {STR_INIT("\x0a\x02\x91\x09\x02"), 2, "a copy past the end of the base"},
        {STR_INIT("\x0a\x0a\x80"), 10, "a copy of 64 KiB from ten bytes"},
        {STR_INIT("\x0a\x0a\xff\xff\xff\xff\xff\xff\xff\xff"), 10, "a copy from everywhere"},
        {STR_INIT("\x0a\x01\x90\x02"), 1, "a copy past the result"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (apply(base, raw(rows[i].delta), rows[i].size, NULL))
            fail_msg("row %zu applied: %s", i, rows[i].why);
}

static void sizes_are_read_and_stepped_over(void **state)
{
    static const uint64_t sizes[] = {
        0, 1, 127, 128, 16383, 16384, 1u << 31, 1ull << 40, (1ull << 63) - 1};
    uint64_t base, result;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf d = delta_begin(sizes[i], sizes[sizeof sizes / sizeof *sizes - 1 - i]);
        str text;

        buf_add(&d, STR("rest"));
        text = buf_str(&d);
        assert_true(delta_sizes(&text, &base, &result));
        assert_true(base == sizes[i]);
        assert_true(result == sizes[sizeof sizes / sizeof *sizes - 1 - i]);
        check_str(text, "rest");
        buf_free(&d);
    }
}

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Random programs give what a plain reading of them gives. */
static void random_programs(void **state)
{
    uint32_t random = 42;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        size_t base_len = 1 + next(&random) % 300, len = 0;
        char base[300], expected[4096], *got = NULL;
        struct buf body = BUF(8192), d;

        for (size_t i = 0; i < base_len; i++)
            base[i] = (char)next(&random);
        for (unsigned n = next(&random) % 12; n > 0; n--) {
            size_t offset = next(&random) % base_len,
                   count = 1 + next(&random) % (base_len - offset);

            if (next(&random) % 2) {
                delta_copy(&body, offset, count);
            } else {
                count = count > 127 ? 127 : count;
                delta_insert(&body, (str){base + offset, count});
            }
            memcpy(expected + len, base + offset, count);
            len += count;
        }
        d = delta_begin(base_len, len);
        buf_add(&d, buf_str(&body));
        buf_free(&body);
        assert_true(apply((str){base, base_len}, d, len, &got));
        assert_memory_equal(got, expected, len);
        free(got);
    }
}

static void noise_is_harmless(void **state)
{
    uint32_t random = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct buf d = delta_begin(50, 100);

        for (unsigned n = next(&random) % 60; n > 0; n--)
            buf_addc(&d, (char)next(&random));
        (void)apply(STR("01234567890123456789012345678901234567890123456789"), d, 100, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_inserts),
        cmocka_unit_test(copies_of_every_length),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(sizes_are_read_and_stepped_over),
        cmocka_unit_test(random_programs),
        cmocka_unit_test(noise_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
