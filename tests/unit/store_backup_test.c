/* store_backup_test.c — a hub into a folder and out of it again: alone, beside a writer, stopped at
 * every step, with damage. */
#include "base/clock.h"
#include "blob/blob.h"
#include "store/backup.h"
#include "store/gc.h"
#include "store/token.h"
#include "store/upload.h"
#include "store_large.h"
#include "store_world.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#define BIG (300u << 10)

/* --- a hub, a place for backups, and places to restore to --- */

struct test {
    struct world w;
    char root[512], dest[600];
    int restored;
    struct account ada;
    struct repo repo;
    str token;
};

static struct content add_content(struct test *t, uint64_t seed, const char *path)
{
    struct large l = {.a = t->w.a, .s = t->w.s, .random = 88172645463325252ull};
    char *data = random_data(seed, BIG);
    struct content c = must_take_in(&l, data, BIG);

    check_ok(repo_file_add(t->w.s->hub, t->repo.id, &c, t->ada.id));
    check_ok(repo_file_set_path(t->w.s->hub, t->repo.id, c.sha256, str_c(path)));
    free(data);
    return c;
}

static int begin(void **state)
{
    struct test *t = calloc(1, sizeof *t);

    assert_non_null(t);
    setenv("HEARTH_DB_RERUN", "1", 1);
    t->w.a = arena_new(0);
    temp_dir_make(&t->w.dir);
    memcpy(t->root, t->w.dir.path, sizeof t->root);
    snprintf(t->w.dir.path, sizeof t->w.dir.path, "%.480s/data", t->root);
    snprintf(t->dest, sizeof t->dest, "%s/backup", t->root);
    world_open(&t->w);
    t->ada = add_user(&t->w, "ada");
    check_ok(token_add(t->w.s, t->w.a, t->ada.id, STR("all"), TOKEN_WRITE, STR_NONE,
                       STR("hf_ThisIsAda"), &t->token));
    t->repo = add_repo(&t->w, &t->ada, "model");
    commit_main(&t->w, &t->repo, "+a.txt=one|+sub/b.txt=two");
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct test *t = *state;

    store_close(t->w.s);
    arena_free(t->w.a);
    memcpy(t->w.dir.path, t->root, sizeof t->root);
    temp_dir_remove(&t->w.dir);
    free(t);
    return 0;
}

/* --- what the watch hears --- */

struct heard {
    struct test *t;
    int steps, stop_at; /* 0: never */
    int damaged, touched;
    char last_damage[300], last_file[300];
    const char *at;               /* before this is copied … */
    void (*then)(struct test *t); /* … this happens */
};

static bool on_step(void *arg, const struct backup_progress *p)
{
    struct heard *h = arg;

    if (h->at && strcmp(p->what, h->at) == 0) {
        h->at = NULL;
        h->then(h->t);
    }
    return ++h->steps != h->stop_at;
}

static void on_damage(void *arg, str what, str why)
{
    struct heard *h = arg;

    h->damaged++;
    snprintf(h->last_damage, sizeof h->last_damage, "%.*s: %.*s", STR_FMT(what), STR_FMT(why));
}

static void on_touches(void *arg, str file)
{
    struct heard *h = arg;

    h->touched++;
    snprintf(h->last_file, sizeof h->last_file, "%.*s", STR_FMT(file));
}

static struct backup_watch watch(struct heard *h, struct test *t)
{
    h->t = t;
    return (struct backup_watch){on_step, on_damage, on_touches, h};
}

static err try_backup(struct test *t, unsigned keep, bool verify, struct heard *h,
                      struct backup_result *ret)
{
    struct backup_options o = {t->dest, keep, verify, "test"};
    struct backup_watch w = watch(h, t);

    return backup_run(t->w.s, t->w.a, &o, &w, ret);
}

static struct backup_result backup(struct test *t)
{
    struct heard h = {0};
    struct backup_result n;

    check_ok(try_backup(t, 3, false, &h, &n));
    assert_int_equal(h.damaged, 0);
    assert_int_equal(n.damaged, 0);
    return n;
}

static const char *fresh_place(struct test *t)
{
    return arena_printf(t->w.a, "%s/restored-%d", t->root, ++t->restored).ptr;
}

static err try_restore(struct test *t, const char *name, const char *place, struct heard *h,
                       struct restore_result *ret)
{
    struct restore_options o = {t->dest, name, place};
    struct backup_watch w = watch(h, t);

    return restore_run(t->w.a, &o, &w, ret);
}

/* The restored hub, opened as a server does it; the live one goes on meanwhile. */
static struct world open_place(struct test *t, const char *place)
{
    struct world r = {.a = t->w.a};

    snprintf(r.dir.path, sizeof r.dir.path, "%s", place);
    world_open(&r);
    return r;
}

static struct world restore(struct test *t, const char *name)
{
    const char *place = fresh_place(t);
    struct heard h = {0};
    struct restore_result n;

    check_ok(try_restore(t, name, place, &h, &n));
    assert_int_equal(n.damaged, 0);
    assert_int_equal(h.damaged, 0);
    return open_place(t, place);
}

/* Reads a content of a hub to its end and compares. */
static void check_content(struct world *w, const struct repo *r, sha256 h, uint64_t seed)
{
    char *data = random_data(seed, BIG);
    struct content c;
    bool found;

    check_ok(repo_file_find(w->s->hub, r->id, h, &c, &found));
    assert_true(found);
    for (uint64_t at = 0; at < BIG;) {
        str piece;

        check_ok(content_read(w->s, w->a, &c, at, 100000, &piece));
        assert_memory_equal(piece.ptr, data + at, piece.len);
        at += piece.len;
    }
    free(data);
}

static int64_t number(struct db *db, struct sql sql)
{
    struct db_stmt *q = NULL;
    int64_t n;

    check_ok(db_query(db, &q, sql));
    assert_true(db_next(q));
    n = db_i64(q, 0);
    db_stmt_close(&q);
    return n;
}

/* Every row that names a blob finds it, and a sidecar. */
static void check_blobs(struct world *w)
{
    struct db_stmt *q = NULL;
    struct blob_key keys[64];
    size_t count = 0;

    check_ok(
        db_query(w->s->hub, &q, SQL("SELECT hash, generation FROM xorb WHERE state = 'live'")));
    while (db_next(q)) {
        xorb_hash h;

        assert_true(count < 64 && db_hash(q, 0, h.b, sizeof h.b));
        keys[count++] = (struct blob_key){BLOB_XORB, xorb_hash_text(w->a, h), db_i64(q, 1)};
    }
    db_stmt_close(&q);
    for (size_t i = 0; i < 2 * count; i++) {
        struct blob_key key = keys[i / 2];
        struct blob_stat st;

        key.kind = i % 2 ? BLOB_XORB : BLOB_XORB_INDEX;
        check_ok(blob_stat(w->s->blobs, w->a, key, &st));
        assert_true(st.found);
    }
}

static err count_blob(struct blob_key key, void *arg)
{
    (void)key;
    ++*(int *)arg;
    return OK;
}

static int blobs_in(struct test *t, const char *place)
{
    struct blobs *b;
    int n = 0;

    check_ok(blobs_open(t->w.a, place, false, &b));
    check_ok(blob_each(b, t->w.a, BLOB_XORB, count_blob, &n));
    blobs_close(b);
    return n;
}

static int snapshots_in(struct test *t)
{
    struct manifest m;
    struct dirent *e;
    DIR *d = opendir(t->dest);
    int folders = 0;

    assert_non_null(d);
    while ((e = readdir(d)))
        folders += strncmp(e->d_name, "SNAPSHOT-", 9) == 0;
    closedir(d);
    check_ok(manifest_read(t->w.a, t->dest, &m));
    assert_int_equal(folders, m.count);
    return folders;
}

/* --- the usual case --- */

static void everything_comes_back(void **state)
{
    struct test *t = *state;
    struct content c = add_content(t, 1, "big.bin");
    struct upload u;
    struct token token;
    struct account who;
    struct world r;
    str value;

    check_ok(upload_begin(t->w.s, t->w.a, t->repo.id, t->ada.id, sha256_of("x", 1), 40 << 20, &u));
    assert_int_equal(backup(t).new_blobs, 1);
    assert_int_equal(number(t->w.s->hub, SQL("SELECT count(*) FROM gc_hold")), 0);
    commit_main(&t->w, &t->repo, "+a.txt=later");

    r = restore(t, NULL);
    check_str(text_at(&r, &t->repo, "main", "a.txt"), "one");
    check_str(text_at(&r, &t->repo, "main", "sub/b.txt"), "two");
    check_branch(&r, &t->repo, "main");
    check_content(&r, &t->repo, c.sha256, 1);
    check_blobs(&r);
    check_ok(token_find(r.s, r.a, STR("hf_ThisIsAda"), &token, &who));
    check_str(who.name, "ada");
    assert_string_not_equal(r.s->id, t->w.s->id);
    check_ok(store_fact(r.s->hub, r.a, STR("restored_from"), STR("-"), &value));
    check_str(value, t->w.s->id);
    assert_int_equal(number(r.s->hub, SQL("SELECT count(*) FROM upload")), 0);
    assert_int_equal(number(r.s->hub, SQL("SELECT count(*) FROM gc_hold")), 0);
    store_close(r.s);
}

static void a_second_run_copies_what_is_new(void **state)
{
    struct test *t = *state;
    struct content one = add_content(t, 1, "one.bin"), two;
    struct backup_result first = backup(t), second;
    struct world r;

    commit_main(&t->w, &t->repo, "+a.txt=newer");
    two = add_content(t, 2, "two.bin");
    second = backup(t);
    assert_int_equal(second.blobs, 2);
    assert_int_equal(second.new_blobs, 1);
    assert_string_not_equal(str_z(t->w.a, first.snapshot), str_z(t->w.a, second.snapshot));
    assert_int_equal(snapshots_in(t), 2);

    r = restore(t, str_z(t->w.a, first.snapshot));
    check_str(text_at(&r, &t->repo, "main", "a.txt"), "one");
    check_content(&r, &t->repo, one.sha256, 1);
    store_close(r.s);
    r = restore(t, NULL);
    check_str(text_at(&r, &t->repo, "main", "a.txt"), "newer");
    check_content(&r, &t->repo, two.sha256, 2);
    store_close(r.s);
}

static void old_snapshots_and_their_blobs_go(void **state)
{
    struct test *t = *state;
    struct heard h = {0};
    struct backup_result n;
    struct content c = add_content(t, 1, "one.bin");
    sha256 gone = c.sha256;

    backup(t);
    add_content(t, 2, "two.bin");
    backup(t);
    /* the hub forgets the first content, as gc would make it */
    check_ok(repo_file_forget(t->w.s->hub, t->repo.id, &gone, 1));
    run_sql(&t->w, SQL("DELETE FROM xorb WHERE id = (SELECT min(id) FROM xorb)"));
    check_ok(try_backup(t, 1, false, &h, &n));
    assert_int_equal(n.removed_snapshots, 1);
    assert_int_equal(n.removed_blobs, 0); /* the second snapshot has it still */
    assert_int_equal(blobs_in(t, t->dest), 2);
    assert_int_equal(snapshots_in(t), 2);
    check_ok(try_backup(t, 0, false, &h, &n));
    assert_int_equal(n.removed_snapshots, 2);
    assert_int_equal(n.removed_blobs, 1);
    assert_int_equal(blobs_in(t, t->dest), 1);
    assert_int_equal(snapshots_in(t), 1);
}

/* --- beside others --- */

struct writer {
    struct world w; /* an arena of its own */
    struct repo repo;
    atomic_bool stop;
    atomic_int commits;
};

static void *write_on(void *arg)
{
    struct writer *x = arg;

    for (int n = 0; !atomic_load(&x->stop); n++) {
        char line[100];

        snprintf(line, sizeof line, "+n.txt=%d|+dir-%d/file.txt=%d", n, n % 7, n);
        commit_to(&x->w, &x->repo, MAIN, line);
        atomic_store(&x->commits, n + 1);
        arena_reset(x->w.a);
    }
    return NULL;
}

static void a_writer_commits_meanwhile(void **state)
{
    struct test *t = *state;
    struct writer x = {.w = {.a = arena_new(0), .s = t->w.s}, .repo = t->repo};
    struct content c = add_content(t, 1, "one.bin");
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, write_on, &x), 0);
    for (int i = 0; i < 4; i++) {
        int before = atomic_load(&x.commits);
        uint64_t n = 0;
        struct world r;
        str text;

        backup(t);
        r = restore(t, NULL);
        text = text_at(&r, &t->repo, "main", "n.txt");
        assert_true(before == 0 || (str_u64(text, &n) && n + 1 >= (uint64_t)before));
        check_branch(&r, &t->repo, "main");
        check_content(&r, &t->repo, c.sha256, 1);
        store_close(r.s);
    }
    atomic_store(&x.stop, true);
    pthread_join(thread, NULL);
    arena_free(x.w.a);
}

static void make_another(struct test *t)
{
    struct repo r = add_repo(&t->w, &t->ada, "another");

    commit_main(&t->w, &r, "+secret.txt=of another");
}

/* What came between the copies of two databases is not found by who gets its number. */
static void a_repository_made_between_the_copies(void **state)
{
    struct test *t = *state;
    struct heard h = {.at = "git.db", .then = make_another};
    struct backup_result n;
    struct world r;

    check_ok(try_backup(t, 3, false, &h, &n));
    r = restore(t, NULL);
    assert_int_equal(number(r.s->hub, SQL("SELECT count(*) FROM repo")), 1);
    assert_int_equal(number(r.s->git, SQL("SELECT count(DISTINCT repo_id) FROM object")), 1);
    assert_int_equal(number(t->w.s->git, SQL("SELECT count(DISTINCT repo_id) FROM object")), 2);
    store_close(r.s);
}

static void hide_and_clear(struct test *t)
{
    bool more = true;

    check_ok(repo_hide(t->w.s, t->repo.id));
    for (int i = 0; more && i < 100; i++)
        check_ok(repo_clear_next(t->w.s, t->w.a, &more));
}

static void a_repository_deleted_between_the_copies(void **state)
{
    struct test *t = *state;
    struct heard h = {.at = "git.db", .then = hide_and_clear};
    struct backup_result n;
    struct world r;

    check_ok(try_backup(t, 3, false, &h, &n));
    r = restore(t, NULL);
    check_branch(&r, &t->repo, "main");
    check_str(text_at(&r, &t->repo, "main", "a.txt"), "one");
    store_close(r.s);
    hide_and_clear(t); /* nobody holds the store any more */
    assert_int_equal(number(t->w.s->git, SQL("SELECT count(*) FROM object")), 0);
}

static void drop_hold(struct test *t)
{
    run_sql(&t->w, SQL("DELETE FROM gc_hold"));
}

static void a_lost_hold_ends_it(void **state)
{
    struct test *t = *state;
    struct heard h = {.at = "large files", .then = drop_hold};
    struct backup_result n;
    struct manifest m;

    add_content(t, 1, "one.bin");
    check_fails(try_backup(t, 3, false, &h, &n), 409);
    check_fails(manifest_read(t->w.a, t->dest, &m), 404);
    backup(t);
}

/* --- stopped --- */

static void a_stopped_backup_leaves_the_earlier_one(void **state)
{
    struct test *t = *state;
    struct content c = add_content(t, 1, "one.bin");
    struct backup_result first = backup(t), n;
    err e = &err_no_space;

    add_content(t, 2, "more.bin");
    add_content(t, 3, "most.bin");
    for (int stop = 1; e && stop < 50; stop++) {
        struct heard h = {.stop_at = stop};
        struct manifest m;
        struct world r;

        e = try_backup(t, 3, false, &h, &n);
        check_ok(manifest_read(t->w.a, t->dest, &m));
        assert_int_equal(snapshots_in(t), e ? 1 : 2);
        assert_int_equal(number(t->w.s->hub, SQL("SELECT count(*) FROM gc_hold")), 0);
        if (e)
            assert_int_equal(e->status, 499);
        assert_true(str_eq(m.items[m.count - 1].name, first.snapshot));
        r = restore(t, str_z(t->w.a, first.snapshot));
        check_content(&r, &t->repo, c.sha256, 1);
        store_close(r.s);
    }
    assert_null(e);
}

static void a_stopped_restore_is_no_store(void **state)
{
    struct test *t = *state;
    struct content c = add_content(t, 1, "one.bin"), d = add_content(t, 2, "two.bin");
    const char *place = fresh_place(t);
    err e = &err_no_space;
    struct world r;
    int stop = 1;

    backup(t);
    for (; e && stop < 50; stop++) {
        struct store_config server = {.data_dir = place, .server = true};
        struct store_config command = {.data_dir = place};
        struct heard h = {.stop_at = stop};
        struct restore_result n;

        e = try_restore(t, NULL, place, &h, &n); /* goes on where the last one stopped */
        if (!e)
            break;
        assert_int_equal(e->status, 499);
        check_fails(store_open(t->w.a, &server, &r.s), 409);
        check_fails(store_open(t->w.a, &command, &r.s), 409);
    }
    assert_true(stop > 5);
    assert_null(e);
    r = open_place(t, place);
    check_content(&r, &t->repo, c.sha256, 1);
    check_content(&r, &t->repo, d.sha256, 2);
    check_blobs(&r);
    store_close(r.s);
}

/* --- damage --- */

/* Turns one bit of the one xorb below `place`. */
static void flip_blob(struct test *t, const char *place)
{
    char command[900];
    FILE *found;
    char path[600];
    int fd;
    unsigned char byte;

    snprintf(command, sizeof command, "find '%s/blob/xorb' -type f ! -name '*.idx'", place);
    found = popen(command, "r");
    assert_non_null(found);
    assert_non_null(fgets(path, sizeof path, found));
    pclose(found);
    path[strcspn(path, "\n")] = '\0';
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread_full(fd, &byte, 1, 5000), 1);
    byte ^= 4;
    assert_int_equal(pwrite_full(fd, &byte, 1, 5000), 0);
    close(fd);
    (void)t;
}

static void damage_is_told_and_the_rest_is_saved(void **state)
{
    struct test *t = *state;
    struct heard h = {0}, back = {0};
    struct content bad = add_content(t, 1, "hurt.bin"), good;
    const char *place = fresh_place(t);
    struct restore_result restored;
    struct backup_result n;
    struct world r;
    bool is_damaged;

    flip_blob(t, t->w.s->dir);
    good = add_content(t, 2, "fine.bin");
    check_ok(try_backup(t, 3, false, &h, &n));
    assert_int_equal(n.damaged, 1);
    assert_int_equal(h.damaged, 1);
    assert_int_equal(h.touched, 1);
    assert_string_equal(h.last_file, "models/ada/model: hurt.bin");
    assert_non_null(strstr(h.last_damage, "does not match its name"));

    check_ok(try_restore(t, NULL, place, &back, &restored));
    assert_int_equal(restored.damaged, 1);
    assert_string_equal(back.last_file, "models/ada/model: hurt.bin");
    r = open_place(t, place);
    check_content(&r, &t->repo, good.sha256, 2);
    check_blobs(&r); /* the row of the bad one says damaged */
    check_ok(content_is_damaged(r.s->hub, &bad, &is_damaged));
    assert_true(is_damaged);
    store_close(r.s);
}

/* What an earlier backup has is not lost when the hub loses it. */
static void an_earlier_copy_heals(void **state)
{
    struct test *t = *state;
    struct content c = add_content(t, 1, "hurt.bin");
    struct heard h = {0};
    struct backup_result n;
    struct world r;

    backup(t);
    run_sql(&t->w, SQL("UPDATE xorb SET state = 'damaged'"));
    check_ok(try_backup(t, 3, false, &h, &n));
    assert_int_equal(n.damaged, 1);
    assert_non_null(strstr(h.last_damage, "a good copy"));
    r = restore(t, NULL);
    check_content(&r, &t->repo, c.sha256, 1);
    store_close(r.s);
}

static void verify_finds_and_replaces(void **state)
{
    struct test *t = *state;
    struct content c = add_content(t, 1, "one.bin");
    struct heard h = {0};
    struct backup_result n;
    struct world r;

    backup(t);
    flip_blob(t, t->dest);
    assert_int_equal(backup(t).new_blobs, 0); /* it is there and has its size */
    check_ok(try_backup(t, 3, true, &h, &n));
    assert_int_equal(n.new_blobs, 1);
    assert_int_equal(n.damaged, 0);
    r = restore(t, NULL);
    check_content(&r, &t->repo, c.sha256, 1);
    store_close(r.s);
}

/* A flipped bit in any file of a snapshot: nothing is restored; in a blob: it is told. */
static void a_damaged_backup_is_not_believed(void **state)
{
    static const char *const files[] = {"hearth.db", "git.db", "stats.db"};
    struct test *t = *state;
    struct backup_result made;
    struct restore_result n;
    struct heard h = {0};

    add_content(t, 1, "one.bin");
    made = backup(t);
    for (int i = 0; i < 3; i++) {
        const char *path =
            arena_printf(t->w.a, "%s/%.*s/%s", t->dest, STR_FMT(made.snapshot), files[i]).ptr;
        unsigned char byte;
        int fd = open(path, O_RDWR | O_CLOEXEC);

        assert_int_equal(pread_full(fd, &byte, 1, 4000), 1);
        byte ^= 1;
        assert_int_equal(pwrite_full(fd, &byte, 1, 4000), 0);
        check_fails(try_restore(t, NULL, fresh_place(t), &h, &n), 500);
        byte ^= 1;
        assert_int_equal(pwrite_full(fd, &byte, 1, 4000), 0);
        close(fd);
    }
    flip_blob(t, t->dest);
    check_ok(try_restore(t, NULL, fresh_place(t), &h, &n));
    assert_int_equal(n.damaged, 1);
    assert_string_equal(h.last_file, "models/ada/model: one.bin");
}

/* --- where not --- */

static void folders_that_will_not_do(void **state)
{
    struct test *t = *state;
    struct heard h = {0};
    struct backup_result n;
    struct restore_result r;
    struct test other = *t;

    check_fails(try_restore(t, NULL, fresh_place(t), &h, &r), 404); /* no backup yet */
    snprintf(other.dest, sizeof other.dest, "%s/tmp/here", t->w.s->dir);
    check_fails(try_backup(&other, 3, false, &h, &n), 409); /* inside the data directory */
    snprintf(other.dest, sizeof other.dest, "%s", t->root);
    check_fails(try_backup(&other, 3, false, &h, &n), 409); /* around it */

    backup(t);
    check_fails(try_restore(t, NULL, t->w.s->dir, &h, &r), 409); /* a server runs there */
    check_fails(try_restore(t, NULL, t->dest, &h, &r), 409);
    check_fails(try_restore(t, "SNAPSHOT-20200101-000000.000", fresh_place(t), &h, &r), 404);
    snprintf(other.w.dir.path, sizeof other.w.dir.path, "%.480s/second", t->root);
    world_open(&other.w);
    memcpy(other.dest, t->dest, sizeof other.dest);
    check_fails(try_backup(&other, 3, false, &h, &n), 409); /* of another hub */
    store_close(other.w.s);
}

/* A restored hub goes on with the backups it came from. */
static void the_chain_goes_on(void **state)
{
    struct test *t = *state, other = *t;
    struct heard h = {0};
    struct backup_result n;
    struct world r;

    add_content(t, 1, "one.bin");
    backup(t);
    r = restore(t, NULL);
    other.w = r;
    check_ok(try_backup(&other, 3, false, &h, &n));
    assert_int_equal(n.new_blobs, 0);
    assert_int_equal(snapshots_in(t), 2);
    store_close(r.s);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(everything_comes_back),
        STORY(a_second_run_copies_what_is_new),
        STORY(old_snapshots_and_their_blobs_go),
        STORY(a_writer_commits_meanwhile),
        STORY(a_repository_made_between_the_copies),
        STORY(a_repository_deleted_between_the_copies),
        STORY(a_lost_hold_ends_it),
        STORY(a_stopped_backup_leaves_the_earlier_one),
        STORY(a_stopped_restore_is_no_store),
        STORY(damage_is_told_and_the_rest_is_saved),
        STORY(an_earlier_copy_heals),
        STORY(verify_finds_and_replaces),
        STORY(a_damaged_backup_is_not_believed),
        STORY(folders_that_will_not_do),
        STORY(the_chain_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
