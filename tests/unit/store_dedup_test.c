/* store_dedup_test.c — what a deduplication answer tells to whom.  Two tenants with private files:
 * neither learns anything of the other's, and both find all of their own. */
#include "base/clock.h"
#include "store/content_rows.h"
#include "store/dedup.h"
#include "store/reconstruct.h"
#include "store/xorb.h"
#include "store_large.h"
#include "store_world.h"

#define MIB (1u << 20)
#define LEN (3 * MIB)

struct tenants {
    struct world *w;
    struct large l; /* the same store */
    struct account ann, ben, org, eve;
    struct repo ann_repo, ben_repo, org_repo, open_repo;
};
static struct tenants t;

static void make_private(const struct repo *r)
{
    check_ok(repo_set_private(t.w->s, r->id, true));
}

static int begin(void **state)
{
    void *w;

    world_begin(&w);
    t = (struct tenants){.w = w};
    t.l = (struct large){.a = t.w->a, .s = t.w->s, .random = 88172645463325252ull};
    t.ann = add_user(t.w, "ann");
    t.ben = add_user(t.w, "ben");
    t.eve = add_user(t.w, "eve");
    t.org = add_org(t.w, "lab");
    check_ok(member_set(t.w->s, t.org.id, t.eve.id, MEMBER_READ));
    t.ann_repo = add_repo(t.w, &t.ann, "m");
    t.ben_repo = add_repo(t.w, &t.ben, "m");
    t.org_repo = add_repo(t.w, &t.org, "m");
    t.open_repo = add_repo(t.w, &t.ann, "open");
    make_private(&t.ann_repo);
    make_private(&t.ben_repo);
    make_private(&t.org_repo);
    *state = &t;
    return 0;
}

static int end(void **state)
{
    void *w = t.w;

    (void)state;
    return world_end(&w);
}

static struct content put(const char *data, size_t len, const struct repo *r)
{
    struct content c = must_take_in(&t.l, data, len);

    check_ok(repo_file_add(t.w->s->hub, r->id, &c, r->owner_id));
    return c;
}

/* --- asking --- */

struct told { /* an answer, opened */
    str text;
    struct shard shard;
    struct shard_footer footer;
    size_t named; /* of the chunks of one content: see check_named() */
};

static bool ask(chunk_hash h, const struct account *user, bool all, struct told *ret)
{
    struct dedup_query q = {h, user, all};

    check_ok(dedup_answer(t.w->s, t.w->a, &q, &ret->text));
    if (!ret->text.ptr)
        return false;
    check_ok(shard_open(ret->text, &ret->shard));
    assert_true(shard_footer_read(&ret->shard, &ret->footer));
    assert_int_equal(ret->shard.file_count, 0);
    return true;
}

/* Does the answer say where this chunk is?  As a client looks: by its keyed hash. */
static bool tells(const struct told *told, chunk_hash h, uint32_t len)
{
    chunk_hash keyed = chunk_hash_keyed(h, told->footer.key);
    struct shard_xorb x;

    for (size_t at = 0; shard_next_xorb(&told->shard, &at, &x);)
        for (uint32_t i = 0; i < x.chunk_count; i++) {
            struct shard_chunk c = shard_chunk_at(&x, i);

            if (chunk_hash_eq(c.hash, keyed)) {
                assert_int_equal(c.raw_len, len);
                return true;
            }
        }
    return false;
}

/* The chunks of a content, from the stored indexes. */
static size_t chunks_of(const struct content *c, chunk_hash *hashes, uint32_t *lens, size_t max)
{
    struct reconstruction *rc = reconstruction_new(t.w->a);
    size_t n = 0;

    check_ok(reconstruction_add(t.w->s, rc, c, 0, c->size));
    check_ok(reconstruction_end(t.w->s, t.w->a, rc));
    for (size_t i = 0; i < rc->term_count; i++) {
        struct xorb *x;

        check_ok(xorb_get(t.w->s, t.w->a, rc->xorbs[rc->terms[i].xorb].id, &x));
        for (uint32_t j = rc->terms[i].first_chunk; j < rc->terms[i].end_chunk; j++) {
            assert_true(n < max);
            hashes[n] = x->index->chunks[j];
            lens[n++] = xorb_raw_len(x->index, j);
        }
        xorb_unref(t.w->s, x);
    }
    return n;
}

#define CHUNKS 4000
struct parts {
    chunk_hash hash[CHUNKS];
    uint32_t len[CHUNKS];
    size_t count;
};

static struct parts *parts_of(const struct content *c)
{
    struct parts *p = arena_one(t.w->a, struct parts);

    p->count = chunks_of(c, p->hash, p->len, CHUNKS);
    return p;
}

static size_t count_told(const struct told *told, const struct parts *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++)
        n += tells(told, p->hash[i], p->len[i]);
    return n;
}

/* --- who is told --- */

static void own_file(void **state)
{
    char *data = random_data(1, LEN);
    struct content c = put(data, LEN, &t.ann_repo);
    struct parts *p = parts_of(&c);
    struct told told, other;
    int64_t now_s = clock_ms() / 1000;

    (void)state;
    assert_true(ask(p->hash[0], &t.ann, false, &told));
    assert_int_equal(count_told(&told, p), p->count);
    assert_false(ask(p->hash[0], &t.ben, false, &other));
    assert_false(ask(p->hash[0], NULL, false, &other));
    assert_false(ask(chunk_hash_of("x", 1), &t.ann, false, &other));
    assert_true(ask(p->hash[0], &t.ben, true, &other)); /* unless the operator says so */
    assert_true(ask(p->hash[0], NULL, true, &other));
    assert_int_equal(count_told(&other, p), p->count);

    assert_memory_not_equal(told.footer.key, other.footer.key, sizeof told.footer.key);
    assert_true(told.footer.expires_s <= now_s + (LEASE_RENEW_MS - 21 * 86400000LL) / 1000 + 1);
    assert_true(told.footer.expires_s > now_s + 86400);
    assert_true(count_rows(t.w, SQL("SELECT min(lease_until) FROM xorb WHERE ?1 = 0"), 0) / 1000 >=
                told.footer.expires_s + 21 * 86400);
    free(data);
}

/* A xorb with chunks of both: each is told of their own part. */
static void shared_xorb(void **state)
{
    char *x = random_data(2, LEN), *y = random_data(3, LEN), *both = malloc(2 * LEN);
    struct content cx, cy, cb;
    struct parts *px, *py;
    struct told told;
    size_t mine;

    (void)state;
    memcpy(both, x, LEN);
    memcpy(both + LEN, y, LEN);
    cb = must_take_in(&t.l, both, 2 * LEN); /* one xorb; nobody has this file */
    (void)cb;
    cx = put(x, LEN, &t.ann_repo);
    cy = put(y, LEN, &t.ben_repo);
    px = parts_of(&cx);
    py = parts_of(&cy);
    assert_true(ask(px->hash[0], &t.ann, false, &told));
    mine = count_told(&told, px);
    assert_true(mine > px->count - 3);
    assert_true(count_told(&told, py) <= 1); /* the chunk over the seam is in no file of hers */
    for (size_t i = 2; i < py->count; i++)
        assert_false(tells(&told, py->hash[i], py->len[i]));
    assert_true(ask(px->hash[0], &t.ann, true, &told));
    assert_true(count_told(&told, py) > py->count - 3);
    for (size_t i = 2; i < py->count; i++)
        assert_false(ask(py->hash[i], &t.ann, false, &told));
    free(x);
    free(y);
    free(both);
}

/* What a masked entry says of its chunk: nothing, not even its length. */
static void masks_say_nothing(void **state)
{
    char *x = random_data(4, LEN), *both = random_data(5, 2 * LEN);
    struct content c, cb;
    struct parts *pb;
    struct told one, two;
    struct shard_xorb s1, s2;
    size_t at1 = 0, at2 = 0, masked = 0;

    (void)state;
    memcpy(both, x, LEN);
    cb = put(both, 2 * LEN, &t.ben_repo);
    c = put(x, LEN, &t.ann_repo);
    pb = parts_of(&cb);
    assert_true(ask(parts_of(&c)->hash[0], &t.ann, false, &one));
    assert_true(ask(parts_of(&c)->hash[0], &t.ann, false, &two));
    assert_true(shard_next_xorb(&one.shard, &at1, &s1) && shard_next_xorb(&two.shard, &at2, &s2));
    assert_true(s1.chunk_count == s2.chunk_count && s1.raw_len == s2.raw_len);
    for (uint32_t i = 0; i < s1.chunk_count; i++) {
        struct shard_chunk c1 = shard_chunk_at(&s1, i), c2 = shard_chunk_at(&s2, i);

        assert_false(chunk_hash_eq(c1.hash, c2.hash));
        assert_false(c1.starts_a_file);
        assert_int_equal(c1.raw_len, c2.raw_len);
        if (i >= pb->count ||
            !chunk_hash_eq(c1.hash, chunk_hash_keyed(pb->hash[i], one.footer.key))) {
            assert_int_equal(c1.raw_len, DEDUP_MASKED_LEN);
            masked++;
        }
    }
    assert_true(masked > pb->count / 3);
    free(x);
    free(both);
}

static void ways_to_read(void **state)
{
    char *data = random_data(6, LEN);
    struct content c = must_take_in(&t.l, data, LEN);
    struct parts *p = parts_of(&c);
    struct account admin = t.eve;
    struct told told;

    (void)state;
    assert_false(ask(p->hash[0], &t.ann, false, &told)); /* nobody has it */
    check_ok(repo_file_add(t.w->s->hub, t.org_repo.id, &c, t.eve.id));
    assert_true(ask(p->hash[0], &t.eve, false, &told)); /* a member */
    assert_false(ask(p->hash[0], &t.ben, false, &told));
    admin.id = t.ben.id;
    admin.is_site_admin = true;
    assert_true(ask(p->hash[0], &admin, false, &told));
    check_ok(file_hold_add(t.w->s->hub, t.ben_repo.id, c.file_id, clock_ms() - 1));
    assert_false(ask(p->hash[0], &t.ben, false, &told)); /* over */
    check_ok(file_hold_add(t.w->s->hub, t.ben_repo.id, c.file_id, clock_ms() + 60000));
    assert_true(ask(p->hash[0], &t.ben, false, &told));
    assert_false(ask(p->hash[0], NULL, false, &told));
    check_ok(repo_file_add(t.w->s->hub, t.open_repo.id, &c, t.ann.id));
    assert_true(ask(p->hash[0], NULL, false, &told)); /* public */
    check_ok(repo_hide(t.w->s, t.open_repo.id));
    assert_false(ask(p->hash[0], NULL, false, &told)); /* deleted */
    free(data);
}

static err bucket_file_fn(struct db *tx, void *arg)
{
    const struct content *c = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(
        tx, &q,
        SQL("INSERT INTO bucket_file(repo_id, path, file_id, size, mtime, uploaded_at, seq) "
            "VALUES (?1, ?2, ?3, ?4, 0, 0, 1)")));
    db_bind_i64(q, 1, t.ben_repo.id); /* any repository will do as a bucket here */
    db_bind_blob(q, 2, STR("a/b.bin"));
    db_bind_i64(q, 3, c->file_id);
    db_bind_i64(q, 4, (int64_t)c->size);
    return db_run(q);
}

static void in_a_bucket(void **state)
{
    char *data = random_data(7, LEN);
    struct content c = must_take_in(&t.l, data, LEN);
    struct parts *p = parts_of(&c);
    struct told told;

    (void)state;
    check_ok(db_write(t.w->s->hub, bucket_file_fn, &c));
    assert_true(ask(p->hash[0], &t.ben, false, &told));
    assert_false(ask(p->hash[0], &t.ann, false, &told));
    free(data);
}

/* --- what may be asked --- */

static void eligible(void **state)
{
    char *data = random_data(8, 24 * MIB);
    struct content c = put(data, 24 * MIB, &t.ann_repo);
    struct parts *p = parts_of(&c);
    struct told told;
    size_t refused = 0;

    (void)state;
    for (size_t i = 1; i < p->count; i++) {
        bool answered = ask(p->hash[i], &t.ann, false, &told);

        if (chunk_is_sampled(p->hash[i]) && !chunk_hash_is_eligible(p->hash[i])) {
            assert_false(answered); /* a key for our own uploads only */
            refused++;
        }
        assert_int_equal(answered, chunk_hash_is_eligible(p->hash[i]));
    }
    assert_true(refused > 0);
    assert_true(ask(p->hash[0], &t.ann, false, &told));
    free(data);
}

/* Condemned, damaged or vanished: no answer, and no failure. */
static void not_in_order(void **state)
{
    char *data = random_data(9, LEN);
    struct content c = put(data, LEN, &t.ann_repo);
    struct parts *p = parts_of(&c);
    struct told told;

    (void)state;
    run_sql(t.w, SQL("UPDATE xorb SET state = 'damaged' WHERE id = (SELECT max(id) FROM xorb)"));
    assert_false(ask(p->hash[0], &t.ann, false, &told));
    run_sql(t.w, SQL("UPDATE xorb SET state = 'condemned' WHERE id = (SELECT max(id) FROM xorb)"));
    assert_false(ask(p->hash[0], &t.ann, false, &told));
    run_sql(t.w, SQL("UPDATE xorb SET state = 'live' WHERE id = (SELECT max(id) FROM xorb)"));
    assert_true(ask(p->hash[0], &t.ann, false, &told));
    run_sql(t.w, SQL("DELETE FROM xorb WHERE id = (SELECT max(id) FROM xorb)"));
    assert_false(ask(p->hash[0], &t.ann, false, &told));
    free(data);
}

/* A file of many xorbs: answers end right before a chunk that clients ask for, so that asking
 * wherever the last answer ended gives all of the file. */
static void no_gaps(void **state)
{
    size_t len = 700u * MIB, step = 64 * MIB, told_of = 0, asked = 0;
    char *data = random_data(11, step);
    struct intake *in;
    struct content c;
    struct hasher *sha = sha256_new();
    chunk_hash *hashes = malloc(20000 * sizeof *hashes);
    uint32_t *lens = malloc(20000 * sizeof *lens);
    size_t count;

    (void)state;
    check_ok(intake_new(t.w->s, t.w->a, &in));
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;

        for (size_t i = 0; i < n; i += 256) /* no chunk twice, and little to write */
            memset(data + i, (int)next_random(&t.l.random), 250);
        hasher_add(sha, data, n);
        check_ok(intake_feed(in, t.w->a, data, n));
    }
    check_ok(intake_end(in, t.w->a, sha256_end(sha), len, &c));
    check_ok(repo_file_add(t.w->s->hub, t.ann_repo.id, &c, t.ann.id));
    count = chunks_of(&c, hashes, lens, 20000);
    while (told_of < count) {
        struct told told;

        assert_true(told_of == 0 || chunk_hash_is_eligible(hashes[told_of]));
        assert_true(ask(hashes[told_of], &t.ann, false, &told));
        assert_true(told.shard.xorb_count <= DEDUP_XORBS_MAX);
        assert_true(told.shard.chunk_count <= DEDUP_CHUNKS_MAX);
        asked++;
        while (told_of < count && tells(&told, hashes[told_of], lens[told_of]))
            told_of++;
    }
    assert_true(asked > 1 && asked < 8);
    free(hashes);
    free(lens);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_file),          cmocka_unit_test(shared_xorb),
        cmocka_unit_test(masks_say_nothing), cmocka_unit_test(ways_to_read),
        cmocka_unit_test(in_a_bucket),       cmocka_unit_test(eligible),
        cmocka_unit_test(not_in_order),      cmocka_unit_test(no_gaps),
    };

    return cmocka_run_group_tests_name("store_dedup", tests, begin, end);
}
