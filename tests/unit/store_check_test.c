/* store_check_test.c — every kind of damage, made on purpose, is named; what can be repaired is; a
 * store in order, also one that changes meanwhile, gives no finding. */
#include "base/clock.h"
#include "blob/blob.h"
#include "cas/shard.h"
#include "git/lfs_pointer.h"
#include "store/check.h"
#include "store/file.h"
#include "store/xorb.h"
#include "store_world.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#define LARGE (300u << 10)

struct found {
    enum check_state state;
    char what[32], text[400];
};
struct report {
    struct found found[64];
    size_t count, touch_count;
    char touched[200];
    struct check_result result;
};

struct shop { /* the world, and what is in it */
    struct world *w;
    struct account user;
    struct repo repo;
    struct content content;
    char *data;
};

/* --- running the check --- */

static void note_found(void *arg, const struct check_finding *f)
{
    struct report *r = arg;
    struct found *to = &r->found[r->count];

    assert_true(r->count < 64);
    r->count++;
    to->state = f->state;
    snprintf(to->what, sizeof to->what, "%s", f->what);
    snprintf(to->text, sizeof to->text, "%.*s: %.*s", STR_FMT(f->name), STR_FMT(f->why));
}

static void note_touch(void *arg, const struct check_place *p)
{
    struct report *r = arg;

    if (r->touch_count++ == 0)
        snprintf(r->touched, sizeof r->touched, "%.*s %.*s %.*s", STR_FMT(p->repo),
                 STR_FMT(p->revision), STR_FMT(p->path));
}

static struct report run_with(struct world *w, struct check_options o)
{
    static struct report r;
    struct check_watch watch = {note_found, note_touch, NULL, &r};

    r = (struct report){0};
    check_ok(check_run(w->s, w->a, &o, &watch, &r.result));
    assert_int_equal(r.count, r.result.damaged + r.result.repairable + r.result.repaired);
    return r;
}

static struct report run(struct world *w, bool repair)
{
    return run_with(w, (struct check_options){.repair = repair});
}

static void check_clean(struct world *w)
{
    struct report r = run_with(w, (struct check_options){.contents = true});

    for (size_t i = 0; i < r.count; i++)
        print_message("# %s %s\n", r.found[i].what, r.found[i].text);
    assert_int_equal(r.count, 0);
}

static bool names(const struct report *r, enum check_state state, const char *what)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->found[i].state == state && strcmp(r->found[i].what, what) == 0)
            return true;
    for (size_t i = 0; i < r->count; i++)
        print_message("# %d %s %s\n", r->found[i].state, r->found[i].what, r->found[i].text);
    return false;
}

/* --- a store with something in it --- */

static struct content take(struct world *w, const char *data, size_t len)
{
    struct intake *in;
    struct content c;

    check_ok(intake_new(w->s, w->a, &in));
    check_ok(intake_feed(in, w->a, data, len));
    check_ok(intake_end(in, w->a, sha256_of(data, len), len, &c));
    return c;
}

static void commit_pointer(struct shop *s, const char *path)
{
    struct lfs_pointer p = {s->content.sha256, s->content.size};
    str text = lfs_pointer_format(s->w->a, p);

    commit_main(s->w, &s->repo, arena_printf(s->w->a, "+%s=%.*s", path, STR_FMT(text)).ptr);
}

static char *some_bytes(size_t len, uint64_t x)
{
    char *p = malloc(len);

    assert_non_null(p);
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (char)x;
    }
    return p;
}

static int begin(void **state)
{
    static struct shop s;

    world_begin((void **)&s.w);
    s.user = add_user(s.w, "ada");
    s.repo = add_repo(s.w, &s.user, "m");
    commit_main(s.w, &s.repo, "+a/b.txt=one|+a/c/d.txt=two");
    commit_main(s.w, &s.repo, "+a/b.txt=three|-a/c/d.txt|+e.txt=four");
    s.data = some_bytes(LARGE, 7);
    s.content = take(s.w, s.data, LARGE);
    check_ok(repo_file_add(s.w->s->hub, s.repo.id, &s.content, s.user.id));
    commit_pointer(&s, "weights.bin");
    *state = &s;
    return 0;
}

static int end(void **state)
{
    struct shop *s = *state;

    free(s->data);
    return world_end((void **)&s->w);
}

/* --- rows --- */

static void clean(void **state)
{
    struct shop *s = *state;

    check_clean(s->w);
    assert_int_equal(run_with(s->w, (struct check_options){.fast = true}).count, 0);
    assert_int_equal(run(s->w, true).count, 0); /* nothing is repaired that is in order */
    check_clean(s->w);
}

/* What --repair makes right. */
static void repairable_rows(void **state)
{
    static const struct {
        struct sql damage;
        const char *what;
    } cases[] = {
        {SQL_INIT("UPDATE repo SET used_storage = used_storage + 1"), "repository"},
        {SQL_INIT("UPDATE repo SET likes = 7"), "repository"},
        {SQL_INIT("UPDATE repo SET head = randomblob(20)"), "repository"},
        {SQL_INIT("UPDATE repo_file SET state = 'werified'"), "large file"},
        {SQL_INIT("UPDATE ref SET peeled = randomblob(20)"), "reference"},
        {SQL_INIT("UPDATE ref SET oid = randomblob(20)"), "reference"},
        {SQL_INIT("UPDATE branch_file SET size = size + 1 WHERE key = x'612f622e747874'"),
         "branch"},
        {SQL_INIT("UPDATE branch_file SET oid = randomblob(20) WHERE sha256 IS NULL"), "branch"},
        {SQL_INIT("UPDATE branch_file SET sha256 = randomblob(32) WHERE sha256 NOT NULL"),
         "branch"},
        {SQL_INIT("UPDATE branch_file SET last_commit = randomblob(20)"), "branch"},
        {SQL_INIT("UPDATE branch_file SET parent = x'62' WHERE parent = x'61'"), "branch"},
        {SQL_INIT("DELETE FROM branch_file WHERE key = x'652e747874'"), "branch"},
        {SQL_INIT(
             "INSERT INTO branch_file(ref_id, key, parent, mode, oid, size, last_commit) SELECT "
             "ref_id, x'7a', parent, mode, oid, size, last_commit FROM branch_file LIMIT 1"),
         "branch"},
        {SQL_INIT(
             "INSERT INTO branch_file(ref_id, key, parent, mode, oid, size, last_commit) SELECT "
             "99, x'7a', parent, mode, oid, size, last_commit FROM branch_file LIMIT 1"),
         "branch"},
        {SQL_INIT("UPDATE xorb SET raw_bytes = raw_bytes + 1"), "xorb"},
        {SQL_INIT("UPDATE xorb SET generation = generation + 1024"), "xorb"},
        {SQL_INIT("UPDATE xorb SET hash = randomblob(32)"), "xorb"},
        {SQL_INIT("UPDATE xorb SET state = 'lively'"), "xorb"},
        {SQL_INIT("UPDATE chunk_key SET chunk_index = chunk_index + 1"), "chunk key"},
        {SQL_INIT("INSERT INTO chunk_key VALUES (randomblob(32), 77, 0)"), "chunk key"},
        {SQL_INIT("DELETE FROM file_xorb"), "content"},
        {SQL_INIT("INSERT INTO file_xorb VALUES (55, 1)"), "content"},
        {SQL_INIT("INSERT INTO file_xorb VALUES (1, 55)"), "content"},
        {SQL_INIT("INSERT INTO file_part(file_id, first, terms) VALUES (55, 0, x'')"), "content"},
        {SQL_INIT("INSERT INTO repo_like VALUES (99, 1, 1)"), "like"},
        {SQL_INIT("INSERT INTO repo_tag VALUES (0, 'x', 99)"), "tag"},
        {SQL_INIT("INSERT INTO tag_count VALUES (0, 'x', 3)"), "tag"},
        {SQL_INIT("INSERT INTO repo_alias VALUES (0, 'a/b', 99)"), "old name"},
        {SQL_INIT("INSERT INTO file_hold VALUES (99, 1, 1)"), "hold"},
        {SQL_INIT("INSERT INTO shard_file VALUES (1, 9)"), "shard"},
        {SQL_INIT("INSERT INTO shard(hash, size, created_at) VALUES (randomblob(32), 5, 5)"),
         "shard"},
        {SQL_INIT("INSERT INTO upload_part VALUES ('none', 1, 1, 'x')"), "upload part"},
        {SQL_INIT("INSERT INTO repo_search(repo_search) VALUES ('delete-all')"), "search index"},
        {SQL_INIT("UPDATE repo SET full_key = 'ada/n', full_name = 'ada/n', name_key = 'n'"),
         "search index"},
    };
    struct shop *s = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report r;

        print_message("# %s\n", cases[i].damage.text);
        run_sql(s->w, cases[i].damage);
        r = run(s->w, false);
        assert_true(names(&r, CHECK_REPAIRABLE, cases[i].what));
        assert_int_equal(r.result.damaged + r.result.repaired, 0);
        r = run(s->w, true);
        assert_true(names(&r, CHECK_REPAIRED, cases[i].what));
        (void)run(s->w, true); /* what followed from it */
        check_clean(s->w);
    }
    check_branch(s->w, &s->repo, "main");
}

/* What nobody but people can decide. */
static void damaged_rows(void **state)
{
    static const struct {
        struct sql damage, undo;
        const char *what;
    } cases[] = {
        {SQL_INIT("UPDATE account SET role = 'rite-admin'"),
         SQL_INIT("UPDATE account SET role = ''"), "account"},
        {SQL_INIT("UPDATE account SET state = x''"),
         SQL_INIT("UPDATE account SET state = 'active'"), "account"},
        {SQL_INIT("UPDATE account SET name_key = 'bda'"),
         SQL_INIT("UPDATE account SET name_key = 'ada'"), "account"},
        {SQL_INIT("UPDATE account SET name = 'Ada'"), SQL_INIT("UPDATE account SET name = 'ada'"),
         "repository"},
        {SQL_INIT("UPDATE repo SET visibility = 'publib'"),
         SQL_INIT("UPDATE repo SET visibility = 'public'"), "repository"},
        {SQL_INIT("UPDATE repo SET kind = 64"), SQL_INIT("UPDATE repo SET kind = 0"), "repository"},
        {SQL_INIT("UPDATE repo SET tags = '[}'"), SQL_INIT("UPDATE repo SET tags = '[]'"),
         "repository"},
        {SQL_INIT("INSERT INTO member VALUES (7, 8, 'read', 0)"), SQL_INIT("DELETE FROM member"),
         "member"},
        {SQL_INIT("INSERT INTO token(user_id, name, role, hash, hint, created_at) VALUES (1, '', "
                  "'writf', randomblob(32), '', 0)"),
         SQL_INIT("DELETE FROM token"), "token"},
        {SQL_INIT("INSERT INTO signing_key VALUES ('0123456x', randomblob(32), 0, NULL)"),
         SQL_INIT("DELETE FROM signing_key"), "signing key"},
        {SQL_INIT("UPDATE repo_file SET size = size + 1"),
         SQL_INIT("UPDATE repo_file SET size = size "
                  "- 1"),
         "large file"},
        {SQL_INIT("UPDATE file SET size = size + 1"), SQL_INIT("UPDATE file SET size = size - 1"),
         "content"},
        {SQL_INIT("UPDATE file_part SET first = 1"), SQL_INIT("UPDATE file_part SET first = 0"),
         "content"},
        {SQL_INIT("UPDATE file SET created_at = 'x'"), SQL_INIT("UPDATE file SET created_at = 5"),
         "database"},
        {SQL_INIT("CREATE INDEX extra ON repo(likes)"), SQL_INIT("DROP INDEX extra"), "database"},
    };
    struct shop *s = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report r;

        print_message("# %s\n", cases[i].damage.text);
        run_sql(s->w, cases[i].damage);
        r = run(s->w, false);
        assert_true(names(&r, CHECK_DAMAGED, cases[i].what));
        run_sql(s->w, cases[i].undo);
        (void)run(s->w, true);
        check_clean(s->w);
    }
}

/* --- blobs --- */

/* Changes one byte of the only blob of a kind, or removes it. */
static void hit_blob(struct world *w, const char *pattern, long at)
{
    str path = arena_printf(w->a, "%s/blob/xorb", w->dir.path), command;
    FILE *f;
    char file[700] = "";

    command = arena_printf(w->a, "find %s -type f %s", path.ptr, pattern);
    f = popen(command.ptr, "r");
    assert_non_null(f);
    assert_non_null(fgets(file, sizeof file, f));
    assert_int_equal(pclose(f), 0);
    file[strcspn(file, "\n")] = '\0';
    if (at < 0) {
        assert_int_equal(unlink(file), 0);
        return;
    }
    f = fopen(file, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_true(fputc(byte ^ 4, f) != EOF);
    assert_int_equal(fclose(f), 0);
}
#define BODY "! -name '*.idx'"
#define SIDECAR "-name '*.idx'"

static void sidecar(void **state)
{
    struct shop *s = *state;

    for (long at = -1; at < 300; at += 50) {
        struct report r;

        hit_blob(s->w, SIDECAR, at);
        r = run(s->w, false);
        assert_true(names(&r, CHECK_REPAIRABLE, "xorb index"));
        r = run(s->w, true);
        assert_true(names(&r, CHECK_REPAIRED, "xorb index"));
        check_clean(s->w);
    }
}

static void body(void **state)
{
    struct shop *s = *state;

    for (int round = 0; round < 2; round++) {
        struct report r;

        hit_blob(s->w, BODY, round ? -1 : 100000);
        r = run(s->w, false);
        assert_true(names(&r, CHECK_DAMAGED, "xorb"));
        assert_string_equal(r.touched, "models/ada/m main weights.bin");
        r = run(s->w, true); /* marks it */
        assert_true(names(&r, CHECK_DAMAGED, "xorb"));
        r = run(s->w, false);
        assert_true(names(&r, CHECK_DAMAGED, "xorb")); /* still lost */
        s->content = take(s->w, s->data, LARGE);
        check_clean(s->w);
    }
}

static void orphans(void **state)
{
    struct shop *s = *state;
    int64_t old = (clock_ms() - 3 * 86400000LL) << 20;
    str hash = STR("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    struct blob_key keys[] = {{BLOB_XORB, hash, old},
                              {BLOB_XORB_INDEX, hash, old},
                              {BLOB_SHARD, hash, 0},
                              {BLOB_XORB, hash, clock_ms() << 20}}; /* young: stays */
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct report r;

    for (size_t i = 0; i < 4; i++) {
        struct blob_writer *b;
        bool is_new;
        int fd;
        uint64_t size;

        check_ok(blob_writer_new(s->w->s->blobs, s->w->a, &b));
        check_ok(blob_write(b, s->w->a, "x", 1));
        check_ok(blob_put(b, s->w->a, keys[i], &is_new));
        check_ok(blob_open(s->w->s->blobs, s->w->a, keys[i], &fd, &size));
        assert_int_equal(futimens(fd, times), 0);
        close(fd);
    }
    assert_int_equal(run(s->w, false).result.repairable, 3);
    r = run(s->w, true);
    assert_int_equal(r.result.repaired, 3);
    check_clean(s->w);
    check_ok(blob_remove(s->w->s->blobs, s->w->a, keys[3]));
}

/* --- git --- */

static void run_git(struct world *w, struct sql sql)
{
    check_ok(db_write(w->s->git, run_text_fn, &sql));
}

static void git_objects(void **state)
{
    struct shop *s = *state;
    struct report r;

    run_git(s->w, SQL("UPDATE object SET type = 7 - type WHERE type IN (3, 4)"));
    r = run(s->w, false);
    assert_true(names(&r, CHECK_REPAIRABLE, "git object"));
    r = run(s->w, true);
    assert_true(names(&r, CHECK_REPAIRED, "git object"));
    check_clean(s->w);

    run_git(s->w, SQL("UPDATE object SET size = size + 1, stored = stored + 2"));
    (void)run(s->w, true);
    check_clean(s->w);

    run_git(s->w, SQL("UPDATE object SET repo_id = 900 WHERE type = 2"));
    r = run(s->w, false);
    assert_true(names(&r, CHECK_DAMAGED, "git object"));
    run_git(s->w, SQL("UPDATE object SET repo_id = 1 WHERE repo_id = 900"));
    check_clean(s->w);

    run_git(s->w, SQL("UPDATE object SET data = x'789c4bce2f4a4d0400067201d5' WHERE type = 3"));
    r = run(s->w, false);
    assert_true(names(&r, CHECK_DAMAGED, "git object"));
    assert_true(r.touch_count > 0);
}

/* --- terms come back from a shard --- */

struct xorb_of {
    xorb_hash hash;
    int64_t chunks;
};

static void one_xorb(struct world *w, struct xorb_of *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    check_ok(db_query(w->s->hub, &q, SQL("SELECT hash, chunk_count FROM xorb")));
    assert_true(db_next(q));
    assert_true(db_hash(q, 0, ret->hash.b, sizeof ret->hash.b));
    ret->chunks = db_i64(q, 1);
}

static err add_shard(struct db *tx, void *arg)
{
    AUTO_STMT struct db_stmt *q = NULL;
    const chunk_hash *h = arg;

    TRY(db_exec(tx, SQL("INSERT OR REPLACE INTO shard_file VALUES (1, 500)")));
    TRY(db_query(tx, &q,
                 SQL("INSERT OR REPLACE INTO shard(id, hash, size, created_at) VALUES (500, ?1, "
                     "?2, 0)")));
    db_bind_hash(q, 1, h[0]);
    db_bind_i64(q, 2, h[1].b[0] | h[1].b[1] << 8);
    return db_run(q);
}

static void terms_from_shard(void **state)
{
    struct shop *s = *state;
    struct shard_writer writer;
    struct buf out = BUF(1 << 16);
    struct xorb_of x;
    struct blob_writer *b;
    struct report r;
    chunk_hash name[2] = {{{0}}};
    bool is_new;

    one_xorb(s->w, &x);
    shard_begin(&writer, &out, NULL);
    shard_add_file(&writer, s->content.hash, 1, false, false);
    shard_add_term(&writer, (struct shard_term){x.hash, LARGE, 0, (uint32_t)x.chunks});
    shard_files_end(&writer);
    shard_xorbs_end(&writer);
    name[0] = chunk_hash_of(out.ptr, out.len);
    name[1].b[0] = (unsigned char)out.len;
    name[1].b[1] = (unsigned char)(out.len >> 8);
    check_ok(blob_writer_new(s->w->s->blobs, s->w->a, &b));
    check_ok(blob_write(b, s->w->a, out.ptr, out.len));
    check_ok(blob_put(
        b, s->w->a, (struct blob_key){BLOB_SHARD, chunk_hash_text(s->w->a, name[0]), 0}, &is_new));
    buf_free(&out);
    check_ok(db_write(s->w->s->hub, add_shard, name));
    check_clean(s->w);

    run_sql(s->w, SQL("UPDATE file_part SET terms = x'00'"));
    r = run(s->w, false);
    assert_true(names(&r, CHECK_REPAIRABLE, "content"));
    r = run(s->w, true);
    assert_true(names(&r, CHECK_REPAIRED, "content"));
    check_clean(s->w);
    run_sql(s->w, SQL("DELETE FROM file_part"));
    (void)run(s->w, true);
    check_clean(s->w);
}

/* --- beside a hub that works --- */

struct busy {
    struct shop *shop;
    atomic_bool stop;
    atomic_uint done;
};

static void *keep_busy(void *arg)
{
    struct busy *b = arg;
    struct world w = *b->shop->w;

    w.a = arena_new(0);
    for (unsigned i = 0; !atomic_load(&b->stop); i++) {
        struct arena_mark m = arena_mark(w.a);
        char *data = some_bytes(100000, i + 100);
        struct content c = take(&w, data, 100000);

        check_ok(repo_file_add(w.s->hub, b->shop->repo.id, &c, b->shop->user.id));
        commit_main(&w, &b->shop->repo, arena_printf(w.a, "+busy/%u.txt=%u", i % 5, i).ptr);
        free(data);
        arena_rewind(w.a, m);
        atomic_fetch_add(&b->done, 1);
    }
    arena_free(w.a);
    return NULL;
}

static void beside_changes(void **state)
{
    struct shop *s = *state;
    struct busy b = {.shop = s};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, keep_busy, &b), 0);
    for (int i = 0; i < 20 || atomic_load(&b.done) < 20; i++) {
        struct report r = run_with(s->w, (struct check_options){.settle_ms = 20});

        for (size_t k = 0; k < r.count; k++)
            print_message("# %s %s\n", r.found[k].what, r.found[k].text);
        assert_int_equal(r.count, 0);
    }
    atomic_store(&b.stop, true);
    pthread_join(thread, NULL);
    check_clean(s->w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clean, begin, end),
        cmocka_unit_test_setup_teardown(repairable_rows, begin, end),
        cmocka_unit_test_setup_teardown(damaged_rows, begin, end),
        cmocka_unit_test_setup_teardown(sidecar, begin, end),
        cmocka_unit_test_setup_teardown(body, begin, end),
        cmocka_unit_test_setup_teardown(orphans, begin, end),
        cmocka_unit_test_setup_teardown(git_objects, begin, end),
        cmocka_unit_test_setup_teardown(terms_from_shard, begin, end),
        cmocka_unit_test_setup_teardown(beside_changes, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
