/* store_reconstruct_test.c — what a client puts together from terms and ranges of xorbs is what was
 * stored, for every range; damaged bytes never leave; links end with the body they were made for.
 */
#include "blob/blob.h"
#include "store/content_rows.h"
#include "store/reconstruct.h"
#include "store/xorb.h"
#include "store/xorb_source.h"
#include "store_large.h"

#define MIB (1u << 20)

static int begin(void **state)
{
    static struct large l;

    large_begin(&l);
    *state = &l;
    return 0;
}

static int end(void **state)
{
    large_end(*state);
    return 0;
}

static void again(struct large *l)
{
    store_close(l->s);
    large_open(l, false);
}

/* --- a client --- */

/* Everything a source gives. */
static err drain(struct source *s, char *dst, size_t room, size_t *ret_len, uint64_t *ret_copied)
{
    enum source_state state = SOURCE_MORE;
    err e = OK;

    *ret_len = *ret_copied = 0;
    while (!e && state == SOURCE_MORE) {
        struct source_out out;
        size_t bytes = 0;

        out.count = 0;
        e = s->fill(s, &out, &state);
        for (size_t i = 0; !e && i < out.count; i++) {
            const struct source_part *p = &out.part[i];

            assert_true(p->len <= room - *ret_len);
            if (p->fd >= 0) {
                assert_int_equal(pread_full(p->fd, dst + *ret_len, p->len, p->offset), p->len);
            } else {
                memcpy(dst + *ret_len, p->ptr, p->len);
                bytes += p->len;
            }
            *ret_len += p->len;
        }
        assert_true(bytes <= SOURCE_BYTES_MAX);
        *ret_copied += bytes;
    }
    s->close(s);
    return e;
}

static err fetch(struct large *l, struct xorb_link link, char *dst, uint64_t *ret_copied)
{
    struct xorb_slice slice = {STR_NONE, link.first, link.last - link.first + 1};
    struct source *s;
    struct xorb *x;
    uint64_t size;
    size_t len;

    TRY(xorb_link_open(l->s, l->a, &link, &x, &size));
    if (!x)
        return err_new(l->a, 403, NULL, "gone");
    TRY(xorb_source(l->s, l->a, x, &slice, 1, STR_NONE, &s));
    TRY(drain(s, dst, slice.count, &len, ret_copied));
    assert_int_equal(len, slice.count);
    return OK;
}

static struct xorb_link link_of(const struct reconstruction *rc, const struct recon_range *r)
{
    const struct recon_xorb *x = &rc->xorbs[r->xorb];

    return (struct xorb_link){x->id, x->generation, r->first_byte, r->end_byte - 1};
}

/* The one range that holds a term. */
static const struct recon_range *range_for(const struct reconstruction *rc,
                                           const struct recon_term *t)
{
    const struct recon_xorb *x = &rc->xorbs[t->xorb];
    const struct recon_range *found = NULL;

    for (uint32_t i = 0; i < x->range_count; i++) {
        const struct recon_range *r = &rc->ranges[x->first_range + i];

        assert_int_equal(r->xorb, t->xorb);
        assert_true(i == 0 || r[-1].end_chunk < r->first_chunk);
        if (r->first_chunk <= t->first_chunk && t->end_chunk <= r->end_chunk) {
            assert_null(found);
            found = r;
        }
    }
    assert_non_null(found);
    return found;
}

/* Unpacks the chunks of a term from the bytes of its range. */
static size_t unpack_term(struct chunk_decoder *d, const char *bytes, const struct recon_range *r,
                          const struct recon_term *t, char *dst)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t used = 0;

    for (uint32_t i = r->first_chunk; i < r->end_chunk; i++) {
        struct chunk_head head;
        str raw;

        check_ok(chunk_head_parse(p, &head));
        if (i >= t->first_chunk && i < t->end_chunk) {
            check_ok(chunk_decode(d, head, p + CHUNK_HEAD, &raw));
            memcpy(dst + used, raw.ptr, raw.len);
            used += raw.len;
        }
        p += CHUNK_HEAD + head.packed_len;
    }
    assert_int_equal(p - (const unsigned char *)bytes, r->end_byte - r->first_byte);
    assert_int_equal(used, t->raw_len);
    return used;
}

/* Puts one file of a reconstruction together; *ret_len of bytes, the first `skip` too many. */
static char *assemble(struct large *l, const struct reconstruction *rc, size_t file,
                      size_t *ret_len)
{
    const struct recon_file *f = &rc->files[file];
    struct chunk_decoder *d = chunk_decoder_new();
    char *bytes = malloc(XORB_BODY_MAX), *out;
    const struct recon_range *have = NULL;
    size_t size = 0, used = 0;
    uint64_t copied;

    for (uint32_t i = 0; i < f->term_count; i++)
        size += rc->terms[f->first_term + i].raw_len;
    out = malloc(size + 1);
    for (uint32_t i = 0; i < f->term_count; i++) {
        const struct recon_term *t = &rc->terms[f->first_term + i];
        const struct recon_range *r = range_for(rc, t);

        if (r != have)
            check_ok(fetch(l, link_of(rc, r), bytes, &copied));
        have = r;
        used += unpack_term(d, bytes, r, t, out + used);
    }
    chunk_decoder_free(d);
    free(bytes);
    *ret_len = used;
    return out;
}

static struct reconstruction *plan_range(struct large *l, const struct content *c, uint64_t first,
                                         uint64_t count)
{
    struct reconstruction *rc = reconstruction_new(l->a);

    check_ok(reconstruction_add(l->s, rc, c, first, count));
    check_ok(reconstruction_end(l->s, l->a, rc));
    return rc;
}

static void check_range(struct large *l, const struct content *c, const char *data, uint64_t first,
                        uint64_t count)
{
    struct reconstruction *rc = plan_range(l, c, first, count);
    size_t len;
    char *back = assemble(l, rc, 0, &len);

    assert_true(len >= rc->files[0].skip + count);
    assert_memory_equal(back + rc->files[0].skip, data + first, count);
    assert_true(rc->files[0].skip < CHUNK_MAX);
    assert_true(len - rc->files[0].skip - count < CHUNK_MAX);
    free(back);
}

/* --- shapes --- */

static char *shape(int kind, size_t len)
{
    char *p = random_data(41 + (uint64_t)kind, len), *tile = random_data(6, 700 * 1000);

    for (size_t i = 0; i < len; i++)
        if (kind == 1) /* terms that go back to what was there */
            p[i] = tile[i % (700 * 1000)];
        else if (kind == 2) /* compressed chunks */
            p[i] = (char)(i / 1000 * 7 + (p[i] & 3));
        else if (kind == 3 && i >= len / 2) /* the beginning again, after something else */
            p[i] = p[i - len / 2];
    free(tile);
    return p;
}

static void every_range(void **state)
{
    struct large *l = *state;
    size_t len = 9 * MIB + 77;

    for (int kind = 0; kind < 4; kind++) {
        char *data = shape(kind, len);
        struct content c = must_take_in(l, data, len);

        for (int i = 0; i < 25; i++) {
            uint64_t first = next_random(&l->random) % len;
            uint64_t count = 1 + next_random(&l->random) % (i % 2 ? 1000 : len - first);

            check_range(l, &c, data, first, count < len - first ? count : len - first);
        }
        check_range(l, &c, data, 0, len);
        check_range(l, &c, data, len - 1, 1);
        check_range(l, &c, data, 0, 1);
        free(data);
    }
}

/* Two xorbs, whole and in pieces; the row alone describes a whole one. */
static void large_file(void **state)
{
    struct large *l = *state;
    size_t len = 70 * MIB;
    char *data = random_data(9, len);
    struct content c = must_take_in(l, data, len);
    struct reconstruction *rc;

    again(l);
    rc = plan_range(l, &c, 0, len);
    assert_int_equal(rc->term_count, 2);
    assert_int_equal(rc->range_count, 2);
    assert_int_equal(rc->ranges[0].first_byte, 0);
    assert_int_equal(rc->ranges[0].end_byte, rc->xorbs[0].disk_bytes);
    check_range(l, &c, data, 0, len);
    check_range(l, &c, data, 60 * MIB, 10 * MIB);
    check_range(l, &c, data, 3, 66 * MIB);
    free(data);
}

static void empty_and_many(void **state)
{
    struct large *l = *state;
    char *x = random_data(10, MIB), *y = random_data(11, MIB), *back;
    struct content cx = must_take_in(l, x, MIB), cy, empty = {.size = 0};
    struct reconstruction *rc = plan_range(l, &empty, 0, 0);
    size_t len;

    assert_int_equal(rc->file_count, 1);
    assert_int_equal(rc->term_count + rc->range_count + rc->xorb_count, 0);
    memcpy(y, x, MIB / 2);
    cy = must_take_in(l, y, MIB); /* shares chunks with the first */
    rc = reconstruction_new(l->a);
    check_ok(reconstruction_add(l->s, rc, &cx, 0, MIB));
    check_ok(reconstruction_add(l->s, rc, &empty, 0, 0));
    check_ok(reconstruction_add(l->s, rc, &cy, 0, MIB));
    check_ok(reconstruction_end(l->s, l->a, rc));
    assert_int_equal(rc->file_count, 3);
    back = assemble(l, rc, 0, &len);
    assert_int_equal(len, MIB);
    assert_memory_equal(back, x, MIB);
    free(back);
    back = assemble(l, rc, 2, &len);
    assert_int_equal(len, MIB);
    assert_memory_equal(back, y, MIB);
    free(back);
    free(x);
    free(y);
}

/* --- rows that are not what they should be --- */

static err run_text_fn(struct db *tx, void *arg)
{
    return db_exec(tx, *(struct sql *)arg);
}

static void run_sql(struct large *l, struct sql sql)
{
    check_ok(db_write(l->s->hub, run_text_fn, &sql));
}

static err try_whole(struct large *l, const struct content *c)
{
    struct reconstruction *rc = reconstruction_new(l->a);

    TRY(reconstruction_add(l->s, rc, c, 0, c->size));
    return reconstruction_end(l->s, l->a, rc);
}

static void states(void **state)
{
    struct large *l = *state;
    char *data = random_data(12, MIB);
    struct content c = must_take_in(l, data, MIB), larger = c;

    run_sql(l, SQL("UPDATE xorb SET state = 'condemned'"));
    check_range(l, &c, data, 0, MIB);
    run_sql(l, SQL("UPDATE xorb SET state = 'damaged'"));
    check_fails(try_whole(l, &c), 500);
    run_sql(l, SQL("UPDATE xorb SET state = 'live', raw_bytes = raw_bytes - 1"));
    check_fails(try_whole(l, &c), 500);
    run_sql(l, SQL("UPDATE xorb SET raw_bytes = raw_bytes + 1"));
    check_range(l, &c, data, 0, MIB);
    larger.size += 10;
    check_fails(try_whole(l, &larger), 500);
    run_sql(l, SQL("DELETE FROM xorb"));
    check_fails(try_whole(l, &c), 500);
    free(data);
}

struct fragments {
    int64_t file_id, xorb_id;
    uint32_t rows;
    file_hash hash;
};

static err fragments_fn(struct db *tx, void *arg)
{
    struct fragments *f = arg;
    unsigned char packed[PART_TERMS * TERM_BYTES];

    for (size_t i = 0; i < PART_TERMS; i++)
        term_pack(packed + i * TERM_BYTES, (struct term){f->xorb_id, i % 2, i % 2 + 1, 70001});
    f->file_id = 0;
    TRY(file_row_begin(tx, f->hash, f->rows * PART_TERMS * 70001ull, 1, &f->file_id));
    for (uint64_t i = 0; i < f->rows; i++)
        TRY(file_part_add(tx, f->file_id, i * PART_TERMS * 70001, packed, PART_TERMS));
    return file_xorb_add(tx, f->file_id, f->xorb_id);
}

/* A file of very many terms: memory has a limit, and a part of it still has an answer. */
static void fragmented(void **state)
{
    struct large *l = *state;
    char *data = calloc(1, 140000);
    struct fragments f = {.rows = RECONSTRUCT_TERMS_MAX / PART_TERMS + 1, .hash = {{7}}};
    struct content c;
    struct reconstruction *rc = reconstruction_new(l->a);
    err e;

    must_take_in(l, data, 140000);
    f.xorb_id = count_of(l, SQL("SELECT max(id) FROM xorb"));
    check_ok(db_write(l->s->hub, fragments_fn, &f));
    c = (struct content){.file_id = f.file_id, .size = f.rows * PART_TERMS * 70001ull};
    e = reconstruction_add(l->s, rc, &c, 0, c.size);
    check_fails(e, 400);
    rc = reconstruction_new(l->a);
    check_ok(reconstruction_add(l->s, rc, &c, c.size - 700010, 700010));
    assert_int_equal(rc->term_count, 10);
    assert_int_equal(rc->xorb_count, 1);
    check_fails(reconstruction_end(l->s, l->a, rc), 500); /* no chunk has 70,001 bytes */
    run_sql(l, SQL("DELETE FROM file WHERE size > 1000000000"));
    run_sql(l, SQL("DELETE FROM file_part WHERE first > 1000000000"));
    free(data);
}

/* --- bytes of xorbs --- */

static struct xorb_link whole_link(struct large *l, const struct content *c)
{
    struct reconstruction *rc = plan_range(l, c, 0, c->size);

    assert_int_equal(rc->range_count, 1);
    return link_of(rc, &rc->ranges[0]);
}

static char *body_path(struct large *l, struct xorb_link link)
{
    struct db_stmt *q = NULL;
    xorb_hash h;
    str text;

    check_ok(db_query(l->s->hub, &q, SQL("SELECT hash FROM xorb WHERE id = ?1")));
    db_bind_i64(q, 1, link.id);
    assert_true(db_next(q) && db_hash(q, 0, h.b, sizeof h.b));
    db_stmt_close(&q);
    text = xorb_hash_text(l->a, h);
    return (char *)(uintptr_t)str_z(l->a, arena_printf(l->a, "%s/blob/xorb/%.2s/%.*s.%lld", l->dir,
                                                       text.ptr, STR_FMT(text),
                                                       (long long)link.generation));
}

/* Any piece of the body, whether it was verified since start or not. */
static void any_slice(void **state)
{
    struct large *l = *state;
    size_t len = 6 * MIB;
    char *data = shape(2, len), *body = malloc(len), *back = malloc(len);
    struct content c = must_take_in(l, data, len);
    struct xorb_link whole = whole_link(l, &c);
    uint64_t copied;

    check_ok(fetch(l, whole, body, &copied));
    for (int i = 0; i < 60; i++) {
        uint64_t size = whole.last + 1, first = next_random(&l->random) % size;
        uint64_t count = 1 + next_random(&l->random) % (i % 3 ? size / 8 : 300);
        struct xorb_link link = whole;

        if (count > size - first)
            count = size - first;
        link.first = first;
        link.last = first + count - 1;
        if (i % 2)
            again(l);
        check_ok(fetch(l, link, back, &copied));
        assert_memory_equal(back, body + first, count);
        assert_true(i % 2 == 0 || copied == count || count >= size / 2);
    }
    check_ok(fetch(l, whole, back, &copied)); /* this verifies it … */
    check_ok(fetch(l, whole, back, &copied));
    assert_int_equal(copied, 0); /* … so that it leaves by sendfile */
    free(data);
    free(body);
    free(back);
}

/* Several ranges with text around them, as multipart needs. */
static void slices(void **state)
{
    struct large *l = *state;
    size_t len = 3 * MIB;
    char *data = random_data(17, len), *body = malloc(len + MIB), *back = malloc(len + MIB);
    struct content c = must_take_in(l, data, len);
    struct xorb_link whole = whole_link(l, &c);
    struct xorb_slice list[400];
    uint64_t copied;

    check_ok(fetch(l, whole, body, &copied));
    for (int round = 0; round < 2; round++) {
        struct source *s;
        struct xorb *x;
        uint64_t size;
        size_t got, at = 0;

        for (size_t i = 0; i < 400; i++)
            list[i] = (struct xorb_slice){arena_printf(l->a, "<%zu>", i), i * 5000, 1 + i * 12};
        if (round == 0)
            again(l); /* not verified yet */
        check_ok(xorb_link_open(l->s, l->a, &whole, &x, &size));
        check_ok(xorb_source(l->s, l->a, x, list, 400, STR("<end>"), &s));
        check_ok(drain(s, back, len + MIB, &got, &copied));
        for (size_t i = 0; i < 400; i++) {
            assert_memory_equal(back + at, list[i].head.ptr, list[i].head.len);
            at += list[i].head.len;
            assert_memory_equal(back + at, body + list[i].first, list[i].count);
            at += list[i].count;
        }
        assert_memory_equal(back + at, "<end>", 5);
        assert_int_equal(at + 5, got);
        check_ok(fetch(l, whole, back, &copied));
    }
    free(data);
    free(body);
    free(back);
}

/* One changed byte: an error, never a wrong byte, in whatever size the body is fetched. */
static void damage(void **state)
{
    struct large *l = *state;
    static const uint64_t sizes[] = {1000, 200000, 3 * MIB};
    size_t len = 3 * MIB;
    char *back = malloc(len + MIB);

    for (size_t i = 0; i < 3; i++) {
        char *data = random_data(20 + i, len);
        struct content c = must_take_in(l, data, len);
        struct xorb_link whole = whole_link(l, &c), link = whole;
        int fd = open(body_path(l, whole), O_RDWR);
        uint64_t copied;
        char byte;

        assert_true(fd >= 0 && pread(fd, &byte, 1, 500) == 1);
        byte ^= 4;
        assert_true(pwrite(fd, &byte, 1, 500) == 1);
        close(fd);
        again(l);
        link.last = sizes[i] - 1;
        check_fails(fetch(l, link, back, &copied), 500);
        check_fails(fetch(l, link, back, &copied), 500); /* and it stays so … */
        check_fails(try_whole(l, &c), 500);
        c = must_take_in(l, data, len); /* … until it is uploaded again */
        check_fails(fetch(l, link, back, &copied), 403);
        check_range(l, &c, data, 0, len);
        free(data);
    }
    free(back);
}

static void old_links(void **state)
{
    struct large *l = *state;
    char *data = random_data(30, MIB), *back = malloc(2 * MIB);
    struct content c = must_take_in(l, data, MIB);
    struct xorb_link whole = whole_link(l, &c), link = whole;
    uint64_t copied;

    link.generation++;
    check_fails(fetch(l, link, back, &copied), 403);
    link = whole;
    link.id += 1000;
    check_fails(fetch(l, link, back, &copied), 403);
    link = whole;
    link.last++;
    check_fails(fetch(l, link, back, &copied), 403);
    run_sql(l, SQL("UPDATE xorb SET state = 'condemned'"));
    check_ok(fetch(l, whole, back, &copied));
    free(data);
    free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_range, begin, end),
        cmocka_unit_test_setup_teardown(large_file, begin, end),
        cmocka_unit_test_setup_teardown(empty_and_many, begin, end),
        cmocka_unit_test_setup_teardown(states, begin, end),
        cmocka_unit_test_setup_teardown(fragmented, begin, end),
        cmocka_unit_test_setup_teardown(any_slice, begin, end),
        cmocka_unit_test_setup_teardown(slices, begin, end),
        cmocka_unit_test_setup_teardown(damage, begin, end),
        cmocka_unit_test_setup_teardown(old_links, begin, end),
    };

    return cmocka_run_group_tests_name("store_reconstruct", tests, NULL, NULL);
}
