/* http_multipart_test.c — forms with files, fed in pieces of every size. */
#include "check.h"
#include "http/multipart.h"

struct feed {
    str rest;
    size_t piece;
};

static err give(void *arg, void *p, size_t len, size_t *ret)
{
    struct feed *f = arg;

    *ret = len < f->piece ? len : f->piece;
    if (*ret > f->rest.len)
        *ret = f->rest.len;
    if (*ret)
        memcpy(p, f->rest.ptr, *ret);
    f->rest = str_from(f->rest, *ret);
    return OK;
}

/* "name/filename=content;" of every part, or the status of what failed. */
static str read_all(struct arena *a, str type, str body, size_t piece)
{
    struct feed f = {body, piece};
    struct multipart *m;
    struct multipart_part part;
    str out = STR(""), text;
    bool found;
    err e = multipart_open(a, type, give, &f, &m);

    while (!e) {
        e = multipart_next(m, &part, &found);
        if (e || !found)
            break;
        e = multipart_text(m, 1000, &text);
        out = arena_cat(a, out, part.name, STR("/"), part.filename.ptr ? part.filename : STR("-"),
                        STR("="), e ? STR("") : text, STR(";"));
    }
    return e ? arena_printf(a, "%d", e->status) : out;
}

#define TYPE STR("multipart/form-data; boundary=B")

static const struct {
    const char *what;
    str body, expected;
} cases[] = {
    {"two fields",
     STR_INIT("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\n"
              "content-disposition: form-data; name=b\r\n\r\n2\r\n--B--\r\n"),
     STR_INIT("a/-=1;b/-=2;")},
    {"a file",
     STR_INIT("--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x y;z.txt\"\r\n"
              "Content-Type: text/plain\r\n\r\nab\r\ncd\r\n--B--"),
     STR_INIT("f/x y;z.txt=ab\r\ncd;")},
    {"empty content",
     STR_INIT("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--B--"),
     STR_INIT("a/-=;")},
    {"nearly a boundary",
     STR_INIT("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
              "x\r\n--A\r\n-\r\n\r\n--B--"),
     STR_INIT("a/-=x\r\n--A\r\n-\r\n;")},
    {"no parts", STR_INIT("--B--\r\n"), STR_INIT("")},
    {"text before the first",
     STR_INIT("hello\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
              "1\r\n--B--"),
     STR_INIT("a/-=1;")},
    {"broken off in a part", STR_INIT("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1"),
     STR_INIT("400")},
    {"broken off in headers", STR_INIT("--B\r\nContent-Disposition: form-da"), STR_INIT("400")},
    {"nothing", STR_INIT(""), STR_INIT("400")},
    {"no name", STR_INIT("--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n--B--"),
     STR_INIT("400")},
    {"not a form", STR_INIT("--B\r\nContent-Disposition: inline; name=\"a\"\r\n\r\n1\r\n--B--"),
     STR_INIT("400")},
    {"quoted quotes",
     STR_INIT("--B\r\nContent-Disposition: form-data; name=\"a\\\"b\"\r\n\r\n1\r\n--B--"),
     STR_INIT("a\"b/-=1;")},
};

static void in_pieces_of_every_size(void **state)
{
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 40; piece++) {
            str got = read_all(a, TYPE, cases[i].body, piece);

            if (!str_eq(got, cases[i].expected))
                fail_msg("%s in pieces of %zu: %.*s", cases[i].what, piece, STR_FMT(got));
        }
    arena_free(a);
}

static void other_types_are_refused(void **state)
{
    struct arena *a = arena_new(0);

    (void)state;
    check_str(read_all(a, STR("text/plain"), cases[0].body, 99), "400");
    check_str(read_all(a, STR("multipart/form-data"), cases[0].body, 99), "400");
    check_str(read_all(a, STR("multipart/form-data; boundary="), cases[0].body, 99), "400");
    check_str(read_all(a, STR("Multipart/Form-Data; charset=x; boundary=\"B\""), cases[0].body, 99),
              "a/-=1;b/-=2;");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_pieces_of_every_size),
        cmocka_unit_test(other_types_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
