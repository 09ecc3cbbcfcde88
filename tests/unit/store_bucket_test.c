/* store_bucket_test.c — buckets: listings in every shape against a plain model, batches that are
 * whole or not at all, hashes that are no keys, and what stays readable. */
#include "base/clock.h"
#include "store/bucket_batch.h"
#include "store/xet.h"
#include "store_world.h"
#include <stdlib.h>

#define HOUR 3600000

/* --- contents: rows of `file`, as if uploaded --- */

static file_hash hash_of(unsigned n)
{
    file_hash h = {{0}};

    memset(h.b, 0x5a, sizeof h.b);
    memcpy(h.b, &n, sizeof n);
    return h;
}

struct content_row {
    file_hash hash;
    int64_t size, id;
};

static err add_content_fn(struct db *tx, void *arg)
{
    struct content_row *c = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO file(hash, size, created_at) VALUES (?1, ?2, 0) RETURNING id")));
    db_bind_hash(q, 1, c->hash);
    db_bind_i64(q, 2, c->size);
    assert_true(db_next(q));
    c->id = db_i64(q, 0);
    return db_run(q);
}

static int64_t add_content(struct world *w, unsigned n, int64_t size)
{
    struct content_row c = {hash_of(n), size, 0};

    check_ok(db_write(w->s->hub, add_content_fn, &c));
    return c.id;
}

struct hold_row {
    int64_t repo_id, file_id, until;
};

static err add_hold_fn(struct db *tx, void *arg)
{
    const struct hold_row *h = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("INSERT INTO file_hold(repo_id, file_id, until) VALUES (?1, ?2, ?3)")));
    db_bind_i64(q, 1, h->repo_id);
    db_bind_i64(q, 2, h->file_id);
    db_bind_i64(q, 3, h->until);
    return db_run(q);
}

/* A content that was uploaded for this bucket. */
static int64_t upload(struct world *w, const struct repo *r, unsigned n, int64_t size)
{
    struct hold_row h = {r->id, add_content(w, n, size), clock_ms() + HOUR};

    check_ok(db_write(w->s->hub, add_hold_fn, &h));
    return h.file_id;
}

static struct repo add_bucket(struct world *w, const struct account *owner, const char *name)
{
    struct repo_new n = {
        .kind = REPO_BUCKET, .owner = owner, .creator_id = owner->id, .name = str_c(name)};
    struct repo r;

    check_ok(bucket_create(w->s, w->a, &n, &r));
    return r;
}

/* --- batches: "+path=content number", "-path", "<path=number" copies from `source`; '|' --- */

struct batch_world {
    struct world *w;
    const struct repo *source;
    struct bucket_batch *batch; /* the last one, until the next */
    struct bucket_batch_options options;
};

static struct bucket_op read_op(struct batch_world *b, str word)
{
    struct bucket_op op = {.kind = BUCKET_ADD, .mtime_ns = -1};
    uint64_t number;

    if (str_skip(&word, STR("-")))
        op.kind = BUCKET_DELETE;
    else if (str_skip(&word, STR("<")))
        op.kind = BUCKET_COPY;
    else
        assert_true(str_skip(&word, STR("+")));
    op.path = str_cut(&word, '=');
    if (op.kind == BUCKET_DELETE)
        return op;
    assert_true(str_u64(word, &number));
    if (number)
        op.hash = hash_of((unsigned)number);
    if (op.kind == BUCKET_COPY && b->source) {
        op.source_id = b->source->id;
        op.source_kind = b->source->kind;
    }
    return op;
}

static err try_batch(struct batch_world *b, const struct repo *r, const char *text,
                     struct bucket_batch_result *ret)
{
    str rest = str_c(text);

    bucket_batch_free(b->batch);
    b->batch = NULL;
    check_ok(bucket_batch_new(b->w->s, b->w->a, &b->batch));
    while (rest.ptr) {
        struct bucket_op op = read_op(b, str_cut(&rest, '|'));

        TRY(bucket_batch_add(b->batch, b->w->a, &op));
    }
    return bucket_batch_apply(b->batch, b->w->a, r->id, &b->options, ret);
}

/* What failed, as "path path". */
static const char *failed_paths(struct batch_world *b)
{
    const char *why;
    size_t at = 0;
    str path, all = STR("");

    while (bucket_batch_next_failed(b->batch, &at, &path, &why)) {
        assert_true(strlen(why) > 5);
        all = arena_cat(b->w->a, all, all.len ? STR(" ") : STR(""), path);
    }
    return all.ptr;
}

static struct bucket_batch_result batch(struct batch_world *b, const struct repo *r,
                                        const char *text)
{
    struct bucket_batch_result result;

    check_ok(try_batch(b, r, text, &result));
    return result;
}

static struct batch_world batches(struct world *w)
{
    return (struct batch_world){.w = w, .options = {.grace_ms = 24 * HOUR}};
}

/* The whole bucket as "path:size path:size". */
static const char *listed(struct world *w, const struct repo *r)
{
    struct bucket_query q = {.repo_id = r->id, .recursive = true, .limit = BUCKET_PAGE_MAX};
    struct bucket_page page;
    str all = STR("");

    check_ok(bucket_list(w->s->hub, w->a, &q, &page));
    for (size_t i = 0; i < page.count; i++)
        all = arena_printf(w->a, "%.*s%s%.*s:%llu", STR_FMT(all), i ? " " : "",
                           STR_FMT(page.items[i].file.path),
                           (unsigned long long)page.items[i].file.size);
    return all.ptr;
}

/* Every sum that is kept is what counting finds. */
static void check_sums(struct world *w, const struct repo *r)
{
    struct repo now = reread(w, r);
    struct bucket b;

    check_ok(bucket_find(w->s->hub, r->id, &b));
    assert_int_equal(
        b.file_count,
        count_rows(w, SQL("SELECT count(*) FROM bucket_file WHERE repo_id = ?1"), r->id));
    assert_int_equal(
        now.used_storage,
        count_rows(w, SQL("SELECT coalesce(sum(size), 0) FROM bucket_file WHERE repo_id = ?1"),
                   r->id));
    /* no folder has other sums than the files below it, and none is empty */
    assert_int_equal(
        0, count_rows(
               w,
               SQL("SELECT count(*) FROM (SELECT repo_id, file_count, size, CASE WHEN "
                   "length(parent) = 0 THEN name ELSE CAST(parent || '/' || name AS BLOB) END AS "
                   "key FROM bucket_dir) AS d WHERE repo_id = ?1 AND (file_count < 1 OR "
                   "file_count <> (SELECT count(*) FROM bucket_file AS f WHERE f.repo_id = "
                   "d.repo_id AND substr(f.path, 1, length(d.key)) = CAST(d.key AS BLOB)) OR "
                   "size <> (SELECT coalesce(sum(size), 0) FROM bucket_file AS f WHERE f.repo_id = "
                   "d.repo_id AND substr(f.path, 1, length(d.key)) = CAST(d.key AS BLOB)))"),
               r->id));
}

/* --- paths --- */

static void paths_that_fit(void **state)
{
    static const struct {
        const char *path;
        bool fits;
    } rows[] = {
        {"a", 1},    {"a/b c/d", 1}, {".hidden", 1},     {"a/.b", 1}, {"a/./b", 1},
        {"a.", 1},   {"...x", 1},    {"caf\xc3\xa9", 1}, {"a\nb", 1}, {"a|b#?%", 1},
        {"", 0},     {"/a", 0},      {"a/", 0},          {"a//b", 0}, {"./a", 0},
        {"../a", 0}, {"a/../b", 0},  {"a..", 0},         {"..", 0},   {"x../y", 0},
        {"a\\b", 0}, {"\xff", 0},    {"a\xc3", 0},       {"/", 0},    {"a/..", 0},
    };
    char longest[BUCKET_PATH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((bucket_path_wrong(str_c(rows[i].path)) == NULL) != rows[i].fits)
            fail_msg("\"%s\"", rows[i].path);
    memset(longest, 'x', sizeof longest);
    assert_null(bucket_path_wrong((str){longest, BUCKET_PATH_MAX}));
    assert_non_null(bucket_path_wrong((str){longest, BUCKET_PATH_MAX + 1}));
    longest[3] = 0;
    assert_non_null(bucket_path_wrong((str){longest, 10}));
}

static void types_by_extension(void **state)
{
    (void)state;
    check_str(bucket_type_of(STR("a/b.TXT")), "text/plain");
    check_str(bucket_type_of(STR("x.json")), "application/json");
    check_str(bucket_type_of(STR("t.tar.gz")), "application/gzip");
    assert_null(bucket_type_of(STR("a.json/b")).ptr);
    assert_null(bucket_type_of(STR("plain")).ptr);
    assert_null(bucket_type_of(STR("a.")).ptr);
}

/* --- life --- */

static void a_new_bucket(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "bucketeer");
    struct repo r = add_bucket(w, &ada, "data"), x, before;
    struct repo_new again = {
        .kind = REPO_BUCKET, .owner = &ada, .creator_id = ada.id, .name = STR("DATA")};
    struct bucket b;
    bool moved;

    check_fails(bucket_create(w->s, w->a, &again, &x), 409);
    check_ok(repo_find(w->s, w->a, REPO_BUCKET, STR("bucketeer/data"), &x, NULL));
    assert_int_equal(x.id, r.id);
    check_ok(repo_find(w->s, w->a, REPO_MODEL, STR("bucketeer/data"), &x, NULL));
    assert_int_equal(x.id, 0);
    check_ok(bucket_find(w->s->hub, r.id, &b));
    assert_int_equal(b.file_count | b.seq, 0);
    before = reread(w, &r);
    check_ok(bucket_set_private(w->s, r.id, true));
    assert_true(reread(w, &r).is_private);
    assert_true(reread(w, &r).updated_at_ms > before.updated_at_ms);
    check_ok(repo_move(w->s, w->a, &r, &ada, STR("other")));
    check_ok(repo_find(w->s, w->a, REPO_BUCKET, STR("bucketeer/data"), &x, &moved));
    assert_true(x.id == r.id && moved);
}

static void cleared_in_pieces(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "clearer");
    struct repo r = add_bucket(w, &ada, "big");
    struct batch_world b = batches(w);
    struct bucket_batch_result result;
    bool more = true;
    int calls = 0;

    check_ok(bucket_batch_new(w->s, w->a, &b.batch));
    for (int i = 0; i < 12000; i++) {
        struct bucket_op op = {.path = arena_printf(w->a, "d%d/f%d", i / 2, i), .mtime_ns = -1};

        check_ok(bucket_batch_add(b.batch, w->a, &op));
    }
    check_ok(bucket_batch_apply(b.batch, w->a, r.id, &b.options, &result));
    bucket_batch_free(b.batch);
    assert_int_equal(result.failed, 0);
    check_sums(w, &r);
    check_ok(repo_hide(w->s, r.id));
    for (; more; calls++)
        check_ok(repo_clear_next(w->s, w->a, &more));
    assert_true(calls >= 3);
    assert_int_equal(
        0, count_rows(w, SQL("SELECT count(*) FROM bucket_file WHERE repo_id = ?1"), r.id));
    assert_int_equal(
        0, count_rows(w, SQL("SELECT count(*) FROM bucket_dir WHERE repo_id = ?1"), r.id));
    assert_int_equal(0, count_rows(w, SQL("SELECT count(*) FROM bucket WHERE repo_id = ?1"), r.id));
}

/* --- batches --- */

static void what_a_batch_does(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "batcher");
    struct repo r = add_bucket(w, &ada, "b");
    struct batch_world b = batches(w);
    struct bucket_batch_result result;
    int64_t before;

    upload(w, &r, 1, 10);
    upload(w, &r, 2, 20);
    result = batch(&b, &r, "+a/x.txt=1|+a/b/y=2|+z=0|-nothing");
    assert_int_equal(result.processed, 4);
    assert_int_equal(result.failed, 0);
    assert_int_equal(result.seq, 3); /* a removal of nothing is none */
    assert_string_equal(listed(w, &r), "a/b/y:20 a/x.txt:10 z:0");
    check_sums(w, &r);
    before = reread(w, &r).updated_at_ms;
    result = batch(&b, &r, "-nothing");
    assert_int_equal(reread(w, &r).updated_at_ms, before);
    for (int i = 0; i < 5; i++) { /* strictly growing, also within one millisecond */
        result = batch(&b, &r, i % 2 ? "+n=1" : "-n|-z");
        assert_true(reread(w, &r).updated_at_ms > before || i > 1);
        before = reread(w, &r).updated_at_ms;
    }
    assert_string_equal(listed(w, &r), "a/b/y:20 a/x.txt:10");
    result = batch(&b, &r, "+p=1|+p=2|+q=1|-q"); /* the last one wins */
    assert_string_equal(listed(w, &r), "a/b/y:20 a/x.txt:10 p:20");
    check_sums(w, &r);
    result = batch(&b, &r, "-a/b/y|-a/x.txt|-p");
    assert_string_equal(listed(w, &r), "");
    check_sums(w, &r);
    assert_int_equal(
        0, count_rows(w, SQL("SELECT count(*) FROM bucket_dir WHERE repo_id = ?1"), r.id));
    check_fails(try_batch(&b, &r, "-a|+b=1", &result), 400);
    bucket_batch_free(b.batch);
}

static void hashes_are_no_keys(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "keyless");
    struct repo mine = add_bucket(w, &ada, "mine"), other = add_bucket(w, &ada, "other");
    struct batch_world b = batches(w);
    struct bucket_batch_result result;
    struct hold_row old = {mine.id, 0, clock_ms() - 1};

    upload(w, &other, 11, 5);
    old.file_id = add_content(w, 12, 5);
    check_ok(db_write(w->s->hub, add_hold_fn, &old));
    (void)batch(&b, &other, "+there=11");
    result = batch(&b, &mine, "+a=11|+b=12|+c=99|+d=0");
    assert_string_equal(failed_paths(&b), "a b c"); /* another's, too late, unknown */
    assert_int_equal(result.processed - result.failed, 1);
    assert_string_equal(listed(w, &mine), "d:0");
    result = batch(&b, &mine, "<e=11"); /* a source that cannot be read */
    assert_string_equal(failed_paths(&b), "e");
    b.source = &other;
    result = batch(&b, &mine, "<e=11|<f=12|<g=99");
    assert_string_equal(failed_paths(&b), "f g");
    assert_string_equal(listed(w, &mine), "d:0 e:5");
    result = batch(&b, &mine, "+h=11"); /* the bucket has it now */
    assert_int_equal(result.failed, 0);
    check_sums(w, &mine);
    bucket_batch_free(b.batch);
}

static void copies_from_repositories(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "copier");
    struct repo mine = add_bucket(w, &ada, "mine"), model = add_repo(w, &ada, "model");
    struct content c = {.file_id = add_content(w, 31, 7), .hash = hash_of(31), .size = 7};
    struct batch_world b = batches(w);
    struct bucket_file f;
    bool found;

    c.is_verified = true;
    check_ok(repo_file_add(w->s->hub, model.id, &c, ada.id));
    b.source = &model;
    (void)batch(&b, &mine, "<w/m.json=31");
    assert_string_equal(failed_paths(&b), "");
    check_ok(bucket_file_find(w->s->hub, w->a, mine.id, STR("w/m.json"), &f, &found));
    assert_true(found && f.file_id == c.file_id && f.size == 7 && f.mtime_ns == -1);
    assert_true(file_hash_eq(f.hash, c.hash));
    check_str(f.content_type, "application/json");
    bucket_batch_free(b.batch);
}

static void nothing_is_lost(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "careful");
    struct repo r = add_bucket(w, &ada, "b");
    struct batch_world b = batches(w);
    struct bucket_batch_result result;

    upload(w, &r, 21, 1);
    (void)batch(&b, &r, "+old/1=21|+old/2=21");
    result = batch(&b, &r, "+new/1=21|+new/2=77|-old/1|-old/2");
    assert_string_equal(failed_paths(&b), "new/2 old/1 old/2");
    assert_int_equal(result.failed, 3);
    assert_string_equal(listed(w, &r), "new/1:1 old/1:1 old/2:1");
    b.options.atomic = true;
    result = batch(&b, &r, "+other=21|+bad=77|-old/1");
    assert_string_equal(failed_paths(&b), "other bad old/1");
    assert_string_equal(listed(w, &r), "new/1:1 old/1:1 old/2:1");
    result = batch(&b, &r, "+x=77|+x=21|-x|-old/1"); /* still atomic: one is bad */
    assert_string_equal(listed(w, &r), "new/1:1 old/1:1 old/2:1");
    b.options.atomic = false;
    result = batch(&b, &r, "+x=21|+x=77"); /* the last that can be done */
    assert_string_equal(listed(w, &r), "new/1:1 old/1:1 old/2:1 x:1");
    check_sums(w, &r);
    bucket_batch_free(b.batch);
}

/* Is the content readable by its hash? */
static bool is_readable(struct world *w, const struct repo *r, unsigned n)
{
    struct content c;
    bool found;
    str path;

    check_ok(xet_file_find(w->s->hub, w->a, r->id, hash_of(n), &c, &path, &found));
    return found;
}

static void overwritten_stays_a_while(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "graceful");
    struct repo r = add_bucket(w, &ada, "b");
    struct batch_world b = batches(w);

    upload(w, &r, 41, 1);
    upload(w, &r, 42, 2);
    (void)batch(&b, &r, "+f=41");
    run_sql(w, SQL("DELETE FROM file_hold"));
    assert_true(is_readable(w, &r, 41));
    assert_false(is_readable(w, &r, 42));
    upload(w, &r, 43, 3);
    (void)batch(&b, &r, "+f=43");
    assert_true(is_readable(w, &r, 41));
    (void)batch(&b, &r, "-f");
    assert_true(is_readable(w, &r, 43));
    run_sql(w, SQL("UPDATE file_hold SET until = 5"));
    assert_false(is_readable(w, &r, 41));
    (void)batch(&b, &r, "+e=0|+e=0");
    (void)batch(&b, &r, "-e"); /* the empty content needs no hold */
    assert_int_equal(
        0, count_rows(w, SQL("SELECT count(*) FROM file_hold WHERE file_id = 0 OR ?1 = 0"), r.id));
    bucket_batch_free(b.batch);
}

static void quota(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "limited");
    struct repo r = add_bucket(w, &ada, "b");
    struct batch_world b = batches(w);
    struct bucket_batch_result result;

    upload(w, &r, 51, 60);
    upload(w, &r, 52, 50);
    check_ok(account_set_quota(w->s, ada.id, 100));
    (void)batch(&b, &r, "+a=51");
    check_fails(try_batch(&b, &r, "+b=52|+c=0", &result), 507);
    assert_string_equal(listed(w, &r), "a:60");
    (void)batch(&b, &r, "+b=52|-a"); /* what it is afterwards counts */
    assert_string_equal(listed(w, &r), "b:50");
    check_sums(w, &r);
    bucket_batch_free(b.batch);
}

static void times_and_types(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "timely");
    struct repo r = add_bucket(w, &ada, "b"), copy = add_bucket(w, &ada, "copy");
    struct batch_world b = batches(w);
    struct bucket_batch_result result;
    struct bucket_op op = {.path = STR("a.txt"),
                           .has_mtime = true,
                           .mtime_ms = -62135596800000,
                           .mtime_ns = 999999,
                           .content_type = STR("x/y")};
    struct bucket_file f;
    bool found;

    op.hash = hash_of(61);
    upload(w, &r, 61, 4);
    check_ok(bucket_batch_new(w->s, w->a, &b.batch));
    check_ok(bucket_batch_add(b.batch, w->a, &op));
    check_ok(bucket_batch_apply(b.batch, w->a, r.id, &b.options, &result));
    check_ok(bucket_file_find(w->s->hub, w->a, r.id, STR("a.txt"), &f, &found));
    assert_true(found && f.mtime_ms == op.mtime_ms && f.mtime_ns == 999999);
    check_str(f.content_type, "x/y");
    assert_int_equal(f.seq, 1);
    b.source = &r;
    (void)batch(&b, &copy, "<b.json=61"); /* the source's type */
    check_ok(bucket_file_find(w->s->hub, w->a, copy.id, STR("b.json"), &f, &found));
    check_str(f.content_type, "x/y");
    assert_true(f.mtime_ns == -1 && f.mtime_ms == f.uploaded_at_ms);
    bucket_batch_free(b.batch);
}

/* --- listings against a plain model --- */

#define MODEL_MAX 400
struct model {
    struct {
        char path[64];
        int64_t at;
    } files[MODEL_MAX];
    size_t count;
};

static int path_cmp(const void *x, const void *y)
{
    return strcmp(x, y);
}

struct shown {
    char key[72];
    int64_t at;
};
struct expected {
    struct shown items[MODEL_MAX];
    size_t count;
};

static bool below(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return n == 0 || (strncmp(path, folder, n) == 0 && path[n] == '/');
}

static void expect(struct expected *e, const char *key, size_t len, int64_t at)
{
    for (size_t i = 0; i < e->count; i++)
        if (strlen(e->items[i].key) == len && memcmp(e->items[i].key, key, len) == 0) {
            if (e->items[i].at < at)
                e->items[i].at = at;
            return;
        }
    memcpy(e->items[e->count].key, key, len);
    e->items[e->count].key[len] = 0;
    e->items[e->count++].at = at;
}

static int time_cmp(const void *x, const void *y)
{
    const struct shown *p = x, *q = y;

    return p->at < q->at ? -1 : p->at > q->at ? 1 : strcmp(p->key, q->key);
}

/* What a listing has to show, without pages. */
static void model_list(const struct model *m, const struct bucket_query *q, const char *folder,
                       struct expected *e)
{
    size_t n = strlen(folder);

    e->count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const char *p = m->files[i].path, *rest = p + (n ? n + 1 : 0), *slash;

        if (strcmp(p, folder) == 0)
            expect(e, p, strlen(p), m->files[i].at);
        if (!below(p, folder))
            continue;
        slash = q->recursive ? NULL : strchr(rest, '/');
        expect(e, p, slash ? (size_t)(slash - p) + 1 : strlen(p), m->files[i].at);
    }
    if (e->count == 0 && q->recursive && n > 0)
        for (size_t i = 0; i < m->count; i++)
            if (strncmp(m->files[i].path, folder, n) == 0)
                expect(e, m->files[i].path, strlen(m->files[i].path), m->files[i].at);
    qsort(e->items, e->count, sizeof e->items[0], q->by_time ? time_cmp : path_cmp);
    for (size_t i = 0; q->descending && i < e->count / 2; i++) {
        struct shown t = e->items[i];

        e->items[i] = e->items[e->count - 1 - i];
        e->items[e->count - 1 - i] = t;
    }
}

static void check_item(const struct bucket_entry *x, const struct shown *s, const char *what)
{
    char key[80];

    snprintf(key, sizeof key, "%.*s%s", STR_FMT(x->file.path), x->is_dir ? "/" : "");
    if (strcmp(key, s->key) != 0 || x->file.uploaded_at_ms != s->at)
        fail_msg("%s: \"%s\" at %lld where \"%s\" at %lld is due", what, key,
                 (long long)x->file.uploaded_at_ms, s->key, (long long)s->at);
}

static void check_listing(struct world *w, const struct model *m, struct bucket_query q,
                          const char *folder)
{
    static struct expected e;
    struct bucket_page page = {.more = true};
    char what[200];
    size_t at = 0;

    snprintf(what, sizeof what, "\"%s\"%s%s%s, %zu a page", folder, q.recursive ? " recursive" : "",
             q.by_time ? " by time" : "", q.descending ? " down" : "", q.limit);
    q.path = str_c(folder);
    model_list(m, &q, folder, &e);
    while (page.more) {
        struct arena_mark mark = arena_mark(w->a);

        check_ok(bucket_list(w->s->hub, w->a, &q, &page));
        assert_true(page.count <= q.limit);
        assert_true(!page.more || page.count > 0);
        for (size_t i = 0; i < page.count; i++, at++) {
            if (at >= e.count)
                fail_msg("%s: more than %zu", what, e.count);
            check_item(&page.items[i], &e.items[at], what);
        }
        q.after = page.next;
        if (!page.more)
            arena_rewind(w->a, mark);
    }
    if (at != e.count)
        fail_msg("%s: %zu of %zu", what, at, e.count);
}

static void check_listings(struct world *w, const struct model *m, int64_t repo_id,
                           const char *folder, bool exists)
{
    static const size_t limits[] = {1, 2, 3, 7, 5000};

    for (unsigned shape = 0; shape < 8; shape++)
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
            struct bucket_query q = {.repo_id = repo_id,
                                     .recursive = shape & 1,
                                     .descending = shape & 2,
                                     .by_time = shape & 4,
                                     .limit = limits[i]};
            struct bucket_page page;

            q.path = str_c(folder);
            if (q.by_time && folder[0] && (q.recursive || !exists))
                check_fails(bucket_list(w->s->hub, w->a, &q, &page), 400);
            else
                check_listing(w, m, q, folder);
        }
}

/* A path of a few short parts that meet and overtake each other in byte order. */
static void random_path(uint64_t *random, char *ret)
{
    static const char *const parts[] = {"a", "a-b", "a.txt", "a0", "b", "ab", "\xc3\xa9", "z!"};
    size_t depth = 1 + (*random >> 13) % 4, n = 0;

    for (size_t i = 0; i < depth; i++) {
        *random = *random * 6364136223846793005ull + 1442695040888963407ull;
        n += (size_t)snprintf(ret + n, 64 - n, "%s%s", i ? "/" : "", parts[(*random >> 40) % 8]);
    }
}

static void model_add(struct model *m, const char *path, int64_t at)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->files[i].path, path) == 0) {
            m->files[i].at = at;
            return;
        }
    assert_true(m->count < MODEL_MAX);
    snprintf(m->files[m->count].path, 64, "%s", path);
    m->files[m->count++].at = at;
}

static err set_time_fn(struct db *tx, void *arg)
{
    int64_t *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("UPDATE bucket_file SET uploaded_at = seq / 7 WHERE repo_id = ?1")));
    db_bind_i64(q, 1, *x);
    return db_run(q);
}

static void read_model(struct world *w, int64_t repo_id, struct model *m)
{
    struct db_stmt *q = NULL;

    check_ok(db_query(
        w->s->hub, &q,
        SQL("SELECT path, uploaded_at FROM bucket_file WHERE repo_id = ?1 ORDER BY path")));
    db_bind_i64(q, 1, repo_id);
    m->count = 0;
    while (db_next(q)) {
        str path = db_blob(q, 0, w->a);

        model_add(m, str_z(w->a, path), db_i64(q, 1));
    }
    db_stmt_close(&q);
}

/* Folders show the latest time that was ever below them; here, what is below them now. */
static void set_times(struct world *w, int64_t repo_id)
{
    check_ok(db_write(w->s->hub, set_time_fn, &repo_id));
    run_sql(w, SQL("UPDATE bucket_dir SET uploaded_at = coalesce((SELECT max(uploaded_at) FROM "
                   "bucket_file AS f WHERE f.repo_id = bucket_dir.repo_id AND substr(f.path, 1, "
                   "length(CASE WHEN length(parent) = 0 THEN name ELSE CAST(parent || '/' || name "
                   "AS BLOB) END)) = CASE WHEN length(parent) = 0 THEN name ELSE CAST(parent || "
                   "'/' || name AS BLOB) END), uploaded_at)"));
}

static bool is_folder(const struct model *m, const char *path)
{
    for (size_t i = 0; i < m->count; i++)
        if (below(m->files[i].path, path))
            return true;
    return path[0] == 0;
}

static void change_at_random(struct world *w, const struct repo *r, struct batch_world *b,
                             uint64_t *random)
{
    struct bucket_batch_result result;
    char path[64];

    bucket_batch_free(b->batch);
    check_ok(bucket_batch_new(w->s, w->a, &b->batch));
    for (int i = 0; i < 120; i++) {
        struct bucket_op op = {.kind = i < 70 ? BUCKET_ADD : BUCKET_DELETE, .mtime_ns = -1};

        random_path(random, path);
        op.path = str_c(path);
        op.hash = hash_of(200 + (unsigned)(*random >> 50) % 3);
        check_ok(bucket_batch_add(b->batch, w->a, &op));
    }
    check_ok(bucket_batch_apply(b->batch, w->a, r->id, &b->options, &result));
    assert_int_equal(result.failed, 0);
}

static void listings_of_every_shape(void **state)
{
    static const char *const folders[] = {"",    "a",      "a-b", "b",   "a/a", "a/a-b",
                                          "a/b", "a/a/a0", "a0",  "zzz", "z",   "a/z"};
    struct world *w = *state;
    struct account ada = add_user(w, "lister");
    struct repo r = add_bucket(w, &ada, "b");
    struct batch_world b = batches(w);
    static struct model m;
    uint64_t random = 99;

    for (unsigned n = 200; n < 203; n++)
        upload(w, &r, n, 1 + n % 5);
    for (int round = 0; round < 6; round++) {
        change_at_random(w, &r, &b, &random);
        check_sums(w, &r);
        set_times(w, r.id);
        read_model(w, r.id, &m);
        for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
            check_listings(w, &m, r.id, folders[i], is_folder(&m, folders[i]));
    }
    run_sql(w, SQL("DELETE FROM bucket_dir")); /* without them the files still say it all */
    for (size_t i = 0; i < 4; i++)
        for (unsigned shape = 0; shape < 2; shape++) {
            struct bucket_query q = {.repo_id = r.id, .descending = shape, .limit = 3};
            static struct expected e;
            struct bucket_page page = {.more = true};
            size_t at = 0;

            q.path = str_c(folders[i]);
            model_list(&m, &q, folders[i], &e);
            for (; page.more; q.after = page.next) {
                check_ok(bucket_list(w->s->hub, w->a, &q, &page));
                at += page.count;
            }
            assert_int_equal(at, e.count);
        }
    bucket_batch_free(b.batch);
}

static void prefixes(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "prefixer");
    struct repo r = add_bucket(w, &ada, "b");
    struct batch_world b = batches(w);
    struct bucket_query q = {.repo_id = r.id, .recursive = true, .limit = 10};
    static const struct {
        const char *path;
        size_t count;
    } rows[] = {{"logs", 1},       {"logs/", 1},     {"log", 3},     {"log/", 0},
                {"logs_old/x", 1}, {"logs_old/", 1}, {"nothing", 0}, {"", 4}};
    struct bucket_page page;

    (void)batch(&b, &r, "+logs/a=0|+logs_old/x=0|+logs_old/x#1=0|+z=0|-logs_old/x#1|-q");
    (void)batch(&b, &r, "+logs2=0");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        q.path = str_c(rows[i].path);
        check_ok(bucket_list(w->s->hub, w->a, &q, &page));
        if (page.count != rows[i].count)
            fail_msg("\"%s\": %zu", rows[i].path, page.count);
    }
    bucket_batch_free(b.batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_fit),
        cmocka_unit_test(types_by_extension),
        cmocka_unit_test(a_new_bucket),
        cmocka_unit_test(cleared_in_pieces),
        cmocka_unit_test(what_a_batch_does),
        cmocka_unit_test(hashes_are_no_keys),
        cmocka_unit_test(copies_from_repositories),
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(overwritten_stays_a_while),
        cmocka_unit_test(quota),
        cmocka_unit_test(times_and_types),
        cmocka_unit_test(listings_of_every_shape),
        cmocka_unit_test(prefixes),
    };

    return cmocka_run_group_tests(tests, world_begin, world_end);
}
