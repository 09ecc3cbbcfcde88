/* store_xet_upload_test.c — xorbs and shards as Xet clients send them: what is true goes in, what
 * is not leaves nothing behind, and claims become facts or go. */
#include "base/clock.h"
#include "cas/chunk.h"
#include "store/content_rows.h"
#include "store/xet.h"
#include "store/xorb.h"
#include "store_large.h"

#define CHUNK 5000
#define CHUNKS 40

struct made { /* a xorb as a client holds it */
    struct xorb_index *index;
    struct buf body;
    char *data;
    size_t len;
};

struct xet {
    struct large l;
    struct repo repo;
};

static int begin(void **state)
{
    static struct xet x;

    setenv("HEARTH_DB_RERUN", "1", 1);
    x = (struct xet){.repo = {.id = 1, .kind = REPO_MODEL}};
    large_begin(&x.l);
    *state = &x;
    return 0;
}

static int end(void **state)
{
    struct xet *x = *state;

    large_end(&x->l);
    return 0;
}

/* --- making --- */

static err to_buf(void *arg, const void *p, size_t len)
{
    buf_add(arg, (str){p, len});
    return OK;
}

static struct made make(char *data, uint32_t chunks)
{
    struct made m = {.body = BUF(64u << 20), .data = data, .len = (size_t)chunks * CHUNK};
    struct chunk_encoder *e = chunk_encoder_new();
    struct xorb_builder *b = xorb_builder_new(to_buf, &m.body);

    for (uint32_t i = 0; i < chunks; i++) {
        struct chunk_packed c = chunk_encode(e, data + (size_t)i * CHUNK, CHUNK);
        uint32_t at;

        check_ok(xorb_builder_add(b, chunk_hash_of(data + (size_t)i * CHUNK, CHUNK), &c, &at));
    }
    m.index = xorb_builder_end(b);
    xorb_builder_free(b);
    chunk_encoder_free(e);
    return m;
}

/* Half noise, half text that LZ4 likes. */
static struct made make_seed(uint64_t seed)
{
    char *data = random_data(seed, CHUNK * CHUNKS);

    memset(data, 'x', CHUNK * CHUNKS / 2);
    for (uint64_t i = 0, mark = seed << 8; i < CHUNKS / 2; i++, mark++)
        memcpy(data + i * CHUNK, &mark, sizeof mark);
    return make(data, CHUNKS);
}

static void unmake(struct made *m)
{
    xorb_index_free(m->index);
    buf_free(&m->body);
    free(m->data);
}

static err send(struct large *l, xorb_hash name, str body, bool *ret_new)
{
    struct xorb_upload *u;

    TRY(xorb_upload_new(l->s, l->a, name, &u));
    while (body.len > 0) {
        str piece = str_first(body, 1 + next_random(&l->random) % 30000);
        err e = xorb_upload_feed(u, l->a, piece.ptr, piece.len);

        if (e) {
            xorb_upload_drop(u);
            return e;
        }
        body = str_from(body, piece.len);
    }
    return xorb_upload_end(u, l->a, ret_new);
}

static bool must_send(struct large *l, const struct made *m)
{
    bool is_new = false;

    check_ok(send(l, m->index->hash, buf_str(&m->body), &is_new));
    return is_new;
}

/* A file of the chunks [first, end) of up to two xorbs. */
struct part {
    const struct made *m;
    uint32_t first, end;
};
struct file {
    struct part part[2];
    size_t parts;
    sha256 claim;
    bool has_claim, no_ranges, bad_range, bad_hash;
    int bad_length; /* added to the length of the first term */
};

static file_hash hash_of(const struct file *f)
{
    struct merkle *t = calloc(1, sizeof *t);
    file_hash h;

    for (size_t i = 0; i < f->parts; i++)
        for (uint32_t c = f->part[i].first; c < f->part[i].end; c++)
            merkle_add(t, f->part[i].m->index->chunks[c], CHUNK);
    h = merkle_file_hash(t);
    free(t);
    return h;
}

static uint64_t size_of(const struct file *f)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < f->parts; i++)
        sum += (f->part[i].end - f->part[i].first) * CHUNK;
    return sum;
}

static sha256 sum_of(const struct file *f)
{
    struct hasher *h = sha256_new();

    for (size_t i = 0; i < f->parts; i++)
        hasher_add(h, f->part[i].m->data + f->part[i].first * CHUNK,
                   (f->part[i].end - f->part[i].first) * CHUNK);
    return sha256_end(h);
}

static void put_file(struct shard_writer *w, const struct file *f)
{
    file_hash h = hash_of(f);

    h.b[3] ^= f->bad_hash;
    shard_add_file(w, h, (uint32_t)f->parts, !f->no_ranges, f->has_claim);
    for (size_t i = 0; i < f->parts; i++) {
        const struct part *p = &f->part[i];
        uint32_t len = (p->end - p->first) * CHUNK;

        shard_add_term(w, (struct shard_term){p->m->index->hash,
                                              (uint32_t)((int)len + (i == 0 ? f->bad_length : 0)),
                                              p->first, p->end});
    }
    for (size_t i = 0; !f->no_ranges && i < f->parts; i++) {
        range_hash r = range_hash_of(f->part[i].m->index->chunks + f->part[i].first,
                                     f->part[i].end - f->part[i].first);

        r.b[0] ^= f->bad_range;
        shard_add_range(w, r);
    }
    if (f->has_claim)
        shard_add_sha256(w, f->claim);
}

static void put_list(struct shard_writer *w, const struct made *m, bool lie)
{
    shard_add_xorb(w, m->index->hash, m->index->count, (uint32_t)m->len);
    for (uint32_t i = 0; i < m->index->count; i++) {
        chunk_hash h = m->index->chunks[i];

        h.b[0] ^= lie && i == 7;
        shard_add_chunk(w, h, CHUNK, i == 5);
    }
}

static err register_all(struct xet *x, const struct file *files, size_t count,
                        const struct made *listed, bool lie, bool *ret_new)
{
    AUTO_BUF struct buf out = BUF(16u << 20);
    struct shard_writer w;

    shard_begin(&w, &out, NULL);
    for (size_t i = 0; i < count; i++)
        put_file(&w, &files[i]);
    shard_files_end(&w);
    if (listed)
        put_list(&w, listed, lie);
    shard_xorbs_end(&w);
    return shard_register(x->l.s, x->l.a, buf_str(&out), &x->repo, 7, NULL, ret_new);
}

static err register_file(struct xet *x, const struct file *f)
{
    bool is_new;

    return register_all(x, f, 1, f->part[0].m, false, &is_new);
}

static void check_code(err e, int status, const char *code)
{
    check_fails(e, status);
    assert_string_equal(e->code, code);
}

static struct content must_find(struct xet *x, int64_t repo_id, const struct file *f)
{
    struct content c;
    bool found;
    str path;

    check_ok(xet_file_find(x->l.s->hub, x->l.a, repo_id, hash_of(f), &c, &path, &found));
    assert_true(found);
    assert_int_equal(c.size, size_of(f));
    return c;
}

static void check_bytes(struct xet *x, const struct file *f)
{
    struct content c = must_find(x, x->repo.id, f);
    char *back = malloc(c.size + 1), *at = back;
    struct read_counts counts;

    check_ok(read_range(&x->l, &c, 0, c.size, back, &counts));
    for (size_t i = 0; i < f->parts; i++) {
        size_t len = (f->part[i].end - f->part[i].first) * CHUNK;

        assert_memory_equal(at, f->part[i].m->data + f->part[i].first * CHUNK, len);
        at += len;
    }
    free(back);
}

static err run_text_fn(struct db *tx, void *arg)
{
    return db_exec(tx, *(struct sql *)arg);
}

static void run_sql(struct xet *x, struct sql sql)
{
    check_ok(db_write(x->l.s->hub, run_text_fn, &sql));
}

static int64_t one(struct xet *x, struct sql sql)
{
    return count_of(&x->l, sql);
}
#define KEYS SQL("SELECT count(*) FROM chunk_key")
#define CONDEMN SQL("UPDATE xorb SET state = 'condemned', condemned_at = 5, lease_until = 5")
#define LIVE SQL("SELECT count(*) FROM xorb WHERE state = 'live' AND lease_until > 5")

static err count_blob(struct blob_key key, void *arg)
{
    (void)key;
    ++*(unsigned *)arg;
    return OK;
}

static unsigned blobs(struct xet *x, enum blob_kind kind)
{
    unsigned n = 0;

    check_ok(blob_each(x->l.s->blobs, x->l.a, kind, count_blob, &n));
    return n;
}

/* --- xorbs --- */

static void xorb_good(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(1);
    uint64_t size;
    bool found;

    assert_true(must_send(&x->l, &m));
    assert_int_equal(one(x, LIVE), 1);
    assert_true(one(x, KEYS) >= 1);
    check_ok(xorb_stored_size(x->l.s->hub, m.index->hash, &size, &found));
    assert_true(found);
    assert_int_equal(size, m.body.len);
    assert_int_equal(one(x, SQL("SELECT raw_bytes FROM xorb")), m.len);
    assert_int_equal(one(x, SQL("SELECT chunk_count FROM xorb")), CHUNKS);

    assert_false(must_send(&x->l, &m)); /* the same again: proved, not stored */
    assert_int_equal(one(x, XORB_COUNT), 1);
    assert_int_equal(blobs(x, BLOB_XORB), 1);
    assert_int_equal(blobs(x, BLOB_XORB_INDEX), 1);
    unmake(&m);
}

/* Another serialization of the same chunks has the same name; the first one stays. */
static void xorb_other_bytes(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(2);
    AUTO_BUF struct buf plain = BUF(64u << 20);
    bool is_new;

    for (uint32_t i = 0; i < CHUNKS; i++) {
        unsigned char head[CHUNK_HEAD];

        chunk_head_write(head, (struct chunk_head){CHUNK_STORED, CHUNK, CHUNK});
        buf_add(&plain, (str){(char *)head, CHUNK_HEAD});
        buf_add(&plain, (str){m.data + (size_t)i * CHUNK, CHUNK});
    }
    assert_true(plain.len > m.body.len);
    check_ok(send(&x->l, m.index->hash, buf_str(&plain), &is_new));
    assert_true(is_new);
    assert_false(must_send(&x->l, &m));
    assert_int_equal(one(x, XORB_BYTES), plain.len);
    unmake(&m);
}

static void xorb_bad(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(3), other = make_seed(4);
    bool is_new;

    check_code(send(&x->l, other.index->hash, buf_str(&m.body), &is_new), 400, "BadXorb");
    check_code(send(&x->l, m.index->hash, str_first(buf_str(&m.body), m.body.len - 1), &is_new),
               400, "BadXorb");
    check_code(send(&x->l, m.index->hash, STR(""), &is_new), 400, "BadXorb");
    m.body.ptr[m.body.len - 10] ^= 1;
    check_code(send(&x->l, m.index->hash, buf_str(&m.body), &is_new), 400, "BadXorb");
    m.body.ptr[0] = 9;
    check_code(send(&x->l, m.index->hash, buf_str(&m.body), &is_new), 400, "BadXorb");
    assert_int_equal(one(x, XORB_COUNT), 0);
    assert_int_equal(blobs(x, BLOB_XORB) + blobs(x, BLOB_XORB_INDEX), 0);
    unmake(&m);
    unmake(&other);
}

static void xorb_condemned(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(5);

    must_send(&x->l, &m);
    run_sql(x, CONDEMN);
    run_sql(x, SQL("DELETE FROM chunk_key"));
    assert_false(must_send(&x->l, &m));
    assert_int_equal(one(x, LIVE), 1);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM xorb WHERE condemned_at IS NULL")), 1);
    assert_true(one(x, KEYS) >= 1);
    assert_int_equal(blobs(x, BLOB_XORB), 1);
    unmake(&m);
}

static str xorb_path(struct xet *x, const struct made *m)
{
    int64_t generation = one(x, SQL("SELECT generation FROM xorb"));
    str h = xorb_hash_text(x->l.a, m->index->hash);

    return arena_printf(x->l.a, "%s/blob/xorb/%.2s/%.*s.%lld", x->l.dir, h.ptr, STR_FMT(h),
                        (long long)generation);
}

/* What is known to be damaged, or gone, is replaced by the bytes that come. */
static void xorb_damaged(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(6);
    struct file f = {.part = {{&m, 0, CHUNKS}}, .parts = 1};
    int64_t generation;

    must_send(&x->l, &m);
    check_ok(register_file(x, &f));
    generation = one(x, SQL("SELECT generation FROM xorb"));
    run_sql(x, SQL("UPDATE xorb SET state = 'damaged'"));
    assert_false(must_send(&x->l, &m));
    assert_int_equal(one(x, LIVE), 1);
    assert_true(one(x, SQL("SELECT generation FROM xorb")) != generation);
    check_bytes(x, &f);

    assert_int_equal(unlink(xorb_path(x, &m).ptr), 0);
    assert_false(must_send(&x->l, &m));
    check_bytes(x, &f);
    unmake(&m);
}

struct sender {
    struct large l;
    const struct made *m;
    bool is_new;
};

static void *send_too(void *arg)
{
    struct sender *s = arg;

    s->l.a = arena_new(0);
    s->is_new = must_send(&s->l, s->m);
    arena_free(s->l.a);
    return NULL;
}

static void xorb_at_the_same_time(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(7);
    struct sender s[4];
    pthread_t t[4];
    int news = 0;

    for (int i = 0; i < 4; i++) {
        s[i] = (struct sender){.l = x->l, .m = &m};
        assert_int_equal(pthread_create(&t[i], NULL, send_too, &s[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        news += s[i].is_new;
    }
    assert_int_equal(news, 1);
    assert_int_equal(one(x, XORB_COUNT), 1);
    assert_int_equal(blobs(x, BLOB_XORB), 1);
    assert_int_equal(blobs(x, BLOB_XORB_INDEX), 1);
    unmake(&m);
}

static void leases(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(8), n = make_seed(9);
    int64_t ids[3] = {0}, now = clock_ms();
    struct xorb_row row;
    uint64_t size;
    bool all;

    must_send(&x->l, &m);
    must_send(&x->l, &n);
    check_ok(xorb_row_find(x->l.s->hub, m.index->hash, &row));
    ids[0] = row.id;
    check_ok(xorb_row_find(x->l.s->hub, n.index->hash, &row));
    ids[1] = row.id;
    run_sql(x, CONDEMN);
    ids[2] = 12345; /* one is gone: nothing is promised */
    check_ok(xorb_lease(x->l.s, ids, 3, &all));
    assert_false(all);
    assert_int_equal(one(x, LIVE), 0);
    check_ok(xorb_lease(x->l.s, ids, 2, &all));
    assert_true(all);
    assert_int_equal(one(x, LIVE), 2);
    assert_true(one(x, SQL("SELECT min(lease_until) FROM xorb")) >= now + LEASE_MS);
    run_sql(x, SQL("UPDATE xorb SET state = 'damaged'"));
    check_ok(xorb_lease(x->l.s, ids, 1, &all));
    assert_false(all);
    check_ok(xorb_lease_named(x->l.s, m.index->hash, &size, &all));
    assert_false(all);
    unmake(&m);
    unmake(&n);
}

/* --- shards --- */

static void shard_good(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(10), n = make_seed(11);
    struct file f[3] = {{.part = {{&m, 0, CHUNKS}, {&n, 3, 9}}, .parts = 2},
                        {.part = {{&n, 1, 2}}, .parts = 1},
                        {.part = {{&n, 1, 2}}, .parts = 1}}; /* twice the same */
    int64_t keys;
    bool is_new;

    must_send(&x->l, &m);
    must_send(&x->l, &n);
    keys = one(x, KEYS);
    check_ok(register_all(x, f, 3, &m, false, &is_new));
    assert_true(is_new);
    check_bytes(x, &f[0]);
    check_bytes(x, &f[1]);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM file")), 2);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM file_xorb")), 3);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM file_hold WHERE repo_id = 1")), 2);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM repo_file")), 0);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM shard_file")), 2);
    assert_int_equal(blobs(x, BLOB_SHARD), 1);
    assert_int_equal(one(x, KEYS), keys + 2); /* chunk 5 of m as flagged, chunk 1 of n */

    check_ok(register_all(x, f, 3, &m, false, &is_new)); /* a repeated request */
    assert_false(is_new);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM file")), 2);
    check_ok(register_all(x, f, 2, NULL, false, &is_new)); /* other bytes, the same files */
    assert_false(is_new);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM shard")), 1);
    assert_int_equal(blobs(x, BLOB_SHARD), 1);
    f[2].part[0].end = 3;
    check_ok(register_all(x, f, 3, NULL, false, &is_new)); /* one file more */
    assert_true(is_new);
    assert_int_equal(blobs(x, BLOB_SHARD), 2);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM shard_file")), 5);
    unmake(&m);
    unmake(&n);
}

static void check_nothing(struct xet *x)
{
    assert_int_equal(one(x, SQL("SELECT count(*) FROM file")), 0);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM shard")), 0);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM file_hold")), 0);
    assert_int_equal(one(x, SQL("SELECT count(*) FROM repo_file")), 0);
    assert_int_equal(blobs(x, BLOB_SHARD), 0);
}

static void shard_lies(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(12);
    const struct file good = {.part = {{&m, 2, 20}}, .parts = 1};
    struct file bad[8];
    bool is_new;

    must_send(&x->l, &m);
    for (int i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].bad_range = true;
    bad[1].bad_length = 1;
    bad[2].bad_length = -CHUNK;
    bad[3].bad_hash = true;
    bad[4].no_ranges = true;
    for (int i = 0; i < 5; i++) {
        check_code(register_file(x, &bad[i]), 400, "BadShard");
        check_nothing(x);
    }
    check_code(register_all(x, &good, 1, &m, true, &is_new), 400, "BadShard");
    check_nothing(x);
    check_code(shard_register(x->l.s, x->l.a, STR("nothing"), &x->repo, 7, NULL, &is_new), 400,
               "BadShard");
    unmake(&m);
}

/* More chunks than the xorb has. */
static void shard_past_the_end(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(13);
    AUTO_BUF struct buf out = BUF(1u << 20);
    struct shard_writer w;
    bool is_new;

    must_send(&x->l, &m);
    shard_begin(&w, &out, NULL);
    shard_add_file(&w, (file_hash){{1}}, 1, true, false);
    shard_add_term(&w, (struct shard_term){m.index->hash, CHUNK, CHUNKS, CHUNKS + 1});
    shard_add_range(&w, (range_hash){{0}});
    shard_files_end(&w);
    shard_xorbs_end(&w);
    check_code(shard_register(x->l.s, x->l.a, buf_str(&out), &x->repo, 7, NULL, &is_new), 400,
               "BadShard");
    check_nothing(x);
    unmake(&m);
}

static void shard_unknown_xorb(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(14), n = make_seed(15);
    struct file f = {.part = {{&m, 0, 5}, {&n, 0, 5}}, .parts = 2};
    err e;

    must_send(&x->l, &m);
    e = register_file(x, &f);
    check_code(e, 400, "UnknownXorb");
    assert_true(str_has(e->text, xorb_hash_text(x->l.a, n.index->hash)));
    assert_true(str_has(e->text, STR("huggingface/xet")));
    check_nothing(x);
    run_sql(x, SQL("UPDATE xorb SET state = 'damaged'")); /* as good as none */
    f.parts = 1;
    check_code(register_file(x, &f), 400, "UnknownXorb");
    unmake(&m);
    unmake(&n);
}

static void shard_revives(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(16);
    struct file f = {.part = {{&m, 1, 30}}, .parts = 1};
    int64_t keys;

    must_send(&x->l, &m);
    keys = one(x, KEYS);
    run_sql(x, CONDEMN);
    run_sql(x, SQL("DELETE FROM chunk_key"));
    check_ok(register_file(x, &f));
    assert_int_equal(one(x, LIVE), 1);
    assert_int_equal(one(x, KEYS), keys + 2); /* those of the xorb, flagged, start of the file */
    check_bytes(x, &f);
    unmake(&m);
}

/* A file that lost its data gets the terms that came. */
static void shard_repairs_file(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(17), tail;
    struct file f = {.part = {{&m, 0, CHUNKS}}, .parts = 1}, g;
    char *data;

    must_send(&x->l, &m);
    check_ok(register_file(x, &f));
    run_sql(x, SQL("UPDATE xorb SET state = 'damaged'"));
    data = malloc(m.len);
    memcpy(data, m.data, m.len);
    tail = make(data, CHUNKS - 1); /* the same chunks in another xorb */
    must_send(&x->l, &tail);
    must_send(&x->l, &m);
    run_sql(x, SQL("UPDATE xorb SET state = 'damaged' WHERE chunk_count = 40"));
    g = (struct file){.part = {{&tail, 0, CHUNKS - 1}}, .parts = 1};
    check_ok(register_file(x, &g));
    check_bytes(x, &g);
    unmake(&m);
    unmake(&tail);
}

static void only_xorbs_and_the_empty_file(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(18);
    struct file empty = {.has_claim = true}, zero = {.has_claim = true};
    bool is_new, found;
    struct content c;
    str path;

    must_send(&x->l, &m);
    check_ok(register_all(x, NULL, 0, &m, false, &is_new));
    assert_int_equal(blobs(x, BLOB_SHARD), 0);
    check_ok(register_all(x, &zero, 1, NULL, false, &is_new)); /* hf_xet's SHA-256 of nothing */
    assert_int_equal(one(x, SQL("SELECT count(*) FROM repo_file")), 0);
    empty.claim = sha256_of("", 0);
    check_ok(register_all(x, &empty, 1, NULL, false, &is_new));
    check_ok(repo_file_find(x->l.s->hub, 1, empty.claim, &c, &found));
    assert_true(found && c.is_verified && c.size == 0);
    empty.claim.b[0] ^= 1;
    check_code(register_all(x, &empty, 1, NULL, false, &is_new), 400, "BadShard");
    check_ok(xet_file_find(x->l.s->hub, x->l.a, 99, (file_hash){{0}}, &c, &path, &found));
    assert_true(found && c.file_id == 0 && c.size == 0);
    unmake(&m);
}

/* Enough files for several transactions. */
static void many_files(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(19);
    struct file *f = calloc(2500, sizeof *f);
    size_t count = 0;
    bool is_new;

    must_send(&x->l, &m);
    for (uint32_t i = 0; i < CHUNKS; i++)
        for (uint32_t k = i + 1; k <= CHUNKS; k++)
            f[count++] = (struct file){.part = {{&m, i, k}}, .parts = 1};
    for (uint32_t i = 0; count < 2300; i++) {
        uint32_t first = i % 30, cut = i / 30 % 9 + 1;

        f[count++] = (struct file){
            .part = {{&m, first, first + 1}, {&m, cut + 20, cut + 30 - i / 270}}, .parts = 2};
    }
    check_ok(register_all(x, f, count, &m, false, &is_new));
    assert_true(is_new);
    assert_true(one(x, SQL("SELECT count(*) FROM file")) > 1000);
    for (size_t i = 0; i < count; i += 150)
        check_bytes(x, &f[i]);
    free(f);
    unmake(&m);
}

static bool report(void *arg, uint64_t verified, uint64_t total)
{
    uint64_t *last = arg;

    assert_true(verified >= last[0] && verified <= total);
    last[0] = verified;
    last[1] = total;
    return last[2] == 0;
}

static void progress(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(20);
    AUTO_BUF struct buf out = BUF(1u << 20);
    struct file f = {.part = {{&m, 0, 9}, {&m, 11, 20}}, .parts = 2};
    struct shard_writer w;
    uint64_t last[3] = {0, 0, 1};
    struct shard_progress p = {report, last};
    bool is_new;

    must_send(&x->l, &m);
    shard_begin(&w, &out, NULL);
    put_file(&w, &f);
    shard_files_end(&w);
    shard_xorbs_end(&w);
    check_fails(shard_register(x->l.s, x->l.a, buf_str(&out), &x->repo, 7, &p, &is_new), 503);
    check_nothing(x);
    last[0] = last[2] = 0;
    check_ok(shard_register(x->l.s, x->l.a, buf_str(&out), &x->repo, 7, &p, &is_new));
    assert_int_equal(last[0], 2);
    assert_int_equal(last[1], 2);
    unmake(&m);
}

/* --- claims --- */

static bool has(struct xet *x, int64_t repo_id, sha256 h, struct content *ret)
{
    bool found;

    check_ok(repo_file_find(x->l.s->hub, repo_id, h, ret, &found));
    return found;
}

static void note_lie(void *arg, const struct content *lie)
{
    (void)lie;
    ++*(unsigned *)arg;
}

static unsigned prove_all(struct xet *x)
{
    unsigned lies = 0;
    struct claim_watch w = {.refuted = note_lie, .arg = &lies};
    bool more;

    check_ok(claim_prove_next(x->l.s, x->l.a, 60000, &w, &more));
    assert_false(more);
    return lies;
}

static void claims(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(30);
    struct file f = {.part = {{&m, 0, CHUNKS}}, .parts = 1, .has_claim = true},
                g = {.part = {{&m, 0, 3}}, .parts = 1, .has_claim = true};
    struct content c;

    must_send(&x->l, &m);
    run_sql(x, SQL("INSERT INTO repo(id, oid, kind, owner_id, full_name, full_key, name_key, "
                   "visibility, state, creator_id, created_at, updated_at, head) VALUES "
                   "(1, 'a', 0, 5, 'a/b', 'a/b', 'b', 'public', 'live', 5, 1, 1, x'00')"));
    f.claim = sum_of(&f);
    g.claim = sha256_of("lie", 3);
    check_ok(register_file(x, &f));
    check_ok(register_file(x, &g));
    assert_int_equal(one(x, SQL("SELECT used_storage FROM repo")), size_of(&f) + size_of(&g));
    assert_true(has(x, 1, f.claim, &c) && !c.is_verified && c.size == size_of(&f));
    assert_int_equal(c.pusher_id, 7);
    assert_int_equal(prove_all(x), 1);
    assert_true(has(x, 1, f.claim, &c) && c.is_verified);
    assert_false(has(x, 1, g.claim, &c));
    assert_int_equal(one(x, SQL("SELECT used_storage FROM repo")), size_of(&f));
    assert_int_equal(must_find(x, 1, &g).is_verified, false); /* the content itself stays held */

    x->repo.id = 2; /* a fact holds in another repository at once */
    check_ok(register_file(x, &f));
    assert_true(has(x, 2, f.claim, &c) && c.is_verified);
    assert_true(must_find(x, 2, &f).is_verified);
    x->repo.kind = REPO_BUCKET; /* which has no such rows */
    x->repo.id = 3;
    check_ok(register_file(x, &f));
    assert_false(has(x, 3, f.claim, &c));
    must_find(x, 3, &f);
    unmake(&m);
}

/* Somebody claimed our SHA-256 for other bytes before us. */
static void contradicting_claims(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(31);
    struct file lie = {.part = {{&m, 0, 3}}, .parts = 1, .has_claim = true},
                truth = {.part = {{&m, 3, 9}}, .parts = 1, .has_claim = true};
    struct content c;

    must_send(&x->l, &m);
    truth.claim = lie.claim = sum_of(&truth);
    check_ok(register_file(x, &lie));
    assert_true(has(x, 1, truth.claim, &c) && c.size == size_of(&lie));
    check_ok(register_file(x, &truth));
    assert_true(has(x, 1, truth.claim, &c) && c.size == size_of(&truth));

    check_ok(register_file(x, &lie)); /* the lie again: the truth is proved and stays */
    assert_true(has(x, 1, truth.claim, &c) && c.size == size_of(&truth) && c.is_verified);
    check_ok(register_file(x, &lie));
    assert_true(has(x, 1, truth.claim, &c) && c.size == size_of(&truth) && c.is_verified);
    unmake(&m);
}

/* Damage decides nothing: the claim waits, and others are proved meanwhile. */
static void claim_of_damaged_data(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(32), n = make_seed(33);
    struct file f = {.part = {{&m, 0, 30}}, .parts = 1, .has_claim = true},
                g = {.part = {{&n, 0, 30}}, .parts = 1, .has_claim = true};
    struct content c;
    bool more;

    must_send(&x->l, &m);
    f.claim = sum_of(&f);
    g.claim = sum_of(&g);
    check_ok(register_file(x, &f));
    assert_int_equal(unlink(xorb_path(x, &m).ptr), 0);
    must_send(&x->l, &n);
    check_ok(register_file(x, &g));
    check_fails(claim_prove_next(x->l.s, x->l.a, 60000, NULL, &more), 500);
    assert_true(has(x, 1, f.claim, &c) && !c.is_verified);
    assert_true(has(x, 1, g.claim, &c) && c.is_verified);
    assert_int_equal(prove_all(x), 0); /* known to be damaged now: not tried */
    must_send(&x->l, &m);
    assert_int_equal(prove_all(x), 0);
    assert_true(has(x, 1, f.claim, &c) && c.is_verified);
    unmake(&m);
    unmake(&n);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void claims_can_wait(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(34);
    struct file f = {.part = {{&m, 0, 30}}, .parts = 1, .has_claim = true};
    struct claim_watch w = {.go_on = never};
    bool more;

    must_send(&x->l, &m);
    f.claim = sum_of(&f);
    check_ok(register_file(x, &f));
    check_ok(claim_prove_next(x->l.s, x->l.a, 60000, &w, &more));
    assert_true(more);
    check_ok(claim_prove_next(x->l.s, x->l.a, 0, NULL, &more));
    assert_true(more);
    unmake(&m);
}

static void quota(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(35);
    struct file f = {.part = {{&m, 0, CHUNKS}}, .parts = 1, .has_claim = true};
    struct account_new n = {.name = STR("ada"), .kind = ACCOUNT_USER};
    struct account u;

    check_ok(account_add(x->l.s, x->l.a, &n, &u));
    check_ok(account_set_quota(x->l.s, u.id, CHUNK));
    x->repo.owner_id = u.id;
    must_send(&x->l, &m);
    f.claim = sum_of(&f);
    check_code(register_file(x, &f), 413, "QuotaExceeded");
    check_nothing(x);
    check_ok(account_set_quota(x->l.s, u.id, CHUNK * CHUNKS));
    check_ok(register_file(x, &f));
    unmake(&m);
}

/* --- who may read --- */

static void access_by_hash(void **state)
{
    struct xet *x = *state;
    struct made m = make_seed(40);
    struct file f = {.part = {{&m, 4, 8}}, .parts = 1};
    struct content c;
    bool found;
    str path;

    must_send(&x->l, &m);
    check_ok(register_file(x, &f));
    check_ok(file_find(x->l.s->hub, hash_of(&f), &c, &found));
    assert_true(found);
    check_ok(xet_file_find(x->l.s->hub, x->l.a, 2, hash_of(&f), &c, &path, &found));
    assert_false(found); /* another repository */
    check_ok(file_hold_add(x->l.s->hub, 2, must_find(x, 1, &f).file_id, 1000));
    check_ok(xet_file_find(x->l.s->hub, x->l.a, 2, hash_of(&f), &c, &path, &found));
    assert_false(found); /* over */
    check_ok(file_hold_add(x->l.s->hub, 2, must_find(x, 1, &f).file_id, clock_ms() + 60000));
    check_ok(file_hold_add(x->l.s->hub, 2, must_find(x, 1, &f).file_id, 1000));
    must_find(x, 2, &f);
    c = must_find(x, 1, &f);
    c.sha256 = sum_of(&f);
    check_ok(repo_file_add(x->l.s->hub, 3, &c, 7));
    check_ok(repo_file_set_path(x->l.s->hub, 3, c.sha256, STR("a/b")));
    check_ok(xet_file_find(x->l.s->hub, x->l.a, 3, hash_of(&f), &c, &path, &found));
    assert_true(found);
    check_str(path, "a/b");
    unmake(&m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(xorb_good),
        TEST(xorb_other_bytes),
        TEST(xorb_bad),
        TEST(xorb_condemned),
        TEST(xorb_damaged),
        TEST(xorb_at_the_same_time),
        TEST(leases),
        TEST(shard_good),
        TEST(shard_lies),
        TEST(shard_past_the_end),
        TEST(shard_unknown_xorb),
        TEST(shard_revives),
        TEST(shard_repairs_file),
        TEST(only_xorbs_and_the_empty_file),
        TEST(many_files),
        TEST(progress),
        TEST(claims),
        TEST(contradicting_claims),
        TEST(claim_of_damaged_data),
        TEST(claims_can_wait),
        TEST(quota),
        TEST(access_by_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
