/* db_recovery_test.c — what is left of a database after its process was killed and its WAL cut
 * short or followed by garbage, and several processes on one file. */
#include "base/clock.h"
#include "base/io.h"
#include "db_world.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>

#define ROWS 60
#define MARKED 40 /* rows whose end in the WAL is known */

/* --- this program as another process --- */

/* Adds one row as the admin commands do. */
static int child_add(struct db_world *w, const char *name)
{
    struct db_config c = db_world_config(w);

    err e;

    c.shared = true;
    e = db_open(w->a, &c, &w->db);
    if (!e)
        e = put_item(w->db, str_c(name), 1);
    if (e)
        fprintf(stderr, "%.*s (%.*s)\n", STR_FMT(e->text), STR_FMT(e->detail));
    db_close(w->db);
    arena_free(w->a);
    return e != OK;
}

/* Writes ROWS rows, notes how long the WAL is after MARKED of them, and is killed. */
static int child_crash(struct db_world *w, const char *mark)
{
    struct db_config c = db_world_config(w);
    AUTO_FD int fd = open(mark, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (db_open(w->a, &c, &w->db))
        return 1;
    for (int i = 0; i < ROWS; i++) {
        char name[32];

        snprintf(name, sizeof name, "row %d", i);
        if (put_item(w->db, str_c(name), i))
            return 1;
        if (i + 1 == MARKED) {
            uint64_t size = db_stats(w->db).wal_bytes;

            if (write_full(fd, &size, sizeof size) != 0)
                return 1;
        }
    }
    raise(SIGKILL);
    return 1;
}

static int child(int argc, char **argv)
{
    struct db_world w = {.a = arena_new(0)};

    if (argc != 4)
        return 2;
    snprintf(w.path, sizeof w.path, "%s", argv[2]);
    if (strcmp(argv[1], "add") == 0)
        return child_add(&w, argv[3]);
    return strcmp(argv[1], "crash") == 0 ? child_crash(&w, argv[3]) : 2;
}

/* --- after a crash --- */

/* A database whose process was killed; returns the length of the WAL after MARKED rows. */
static uint64_t crash(struct db_world *w)
{
    struct temp_dir *d = &w->dir;
    char mark[600];
    uint64_t size = 0;
    AUTO_FD int fd = -1;
    int status;

    db_world_make(w);
    snprintf(mark, sizeof mark, "%s/mark", d->path);
    status = wait_for(start_again("crash", w->path, mark));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fd = open(mark, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read_full(fd, &size, sizeof size), sizeof size);
    assert_true(size > 0);
    return size;
}

static uint64_t wal_size(const struct db_world *w)
{
    struct stat st;

    assert_int_equal(stat(w->wal, &st), 0);
    return (uint64_t)st.st_size;
}

/* The first `least` rows, and after them no gap. */
static void check_rows(struct db_world *w, int64_t least)
{
    int64_t rows;

    db_world_open(w, db_world_config(w));
    check_sound(w->db);
    rows = must_number(w->db, ITEMS);
    assert_in_range(rows, least, ROWS);
    assert_int_equal(must_number(w->db, SQL("SELECT coalesce(max(n) + 1, 0) FROM item")), rows);
    check_ok(put_item(w->db, STR("life goes on"), 1));
    db_world_close(w);
    db_world_open(w, db_world_config(w));
    assert_int_equal(must_number(w->db, ITEMS), rows + 1);
}

static void a_killed_process_loses_nothing(void **state)
{
    DB_WORLD w;

    (void)state;
    (void)crash(&w);
    check_rows(&w, ROWS);
}

static void write_at(const char *path, uint64_t at, const void *p, size_t len)
{
    AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_int_equal(pwrite_full(fd, p, len, at), 0);
}

static void garbage_behind_the_wal_is_ignored(void **state)
{
    static const size_t lengths[] = {1, 24, 4120, 100000};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        DB_WORLD w;
        char *garbage;

        (void)crash(&w);
        garbage = arena_alloc(w.a, lengths[i]);
        random_bytes(garbage, lengths[i]);
        write_at(w.wal, wal_size(&w), garbage, lengths[i]);
        check_rows(&w, ROWS);
    }
}

static void a_wal_cut_short_keeps_what_was_synced(void **state)
{
    static const uint64_t behind[] = {0, 1, 23, 24, 3000, 4120, 4121, 50000};

    (void)state;
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        DB_WORLD w;
        uint64_t size = crash(&w);

        assert_true(size + behind[i] < wal_size(&w));
        assert_int_equal(truncate(w.wal, (off_t)(size + behind[i])), 0);
        check_rows(&w, MARKED);
    }
}

/* A page of the tail never reached the disk: its bytes are zero, or something else. */
static void a_torn_tail_keeps_what_was_synced(void **state)
{
    char page[4096] = {0};

    (void)state;
    for (uint64_t i = 0; i < 6; i++) {
        DB_WORLD w;
        uint64_t size = crash(&w);

        if (i % 2)
            random_bytes(page, sizeof page);
        write_at(w.wal, size + i * 1000, page, sizeof page);
        check_rows(&w, MARKED);
    }
}

/* --- several processes --- */

static void closing_and_opening_keeps_everything(void **state)
{
    DB_WORLD w;

    (void)state;
    db_world_make(&w);
    for (int i = 0; i < 20; i++) {
        db_world_open(&w, db_world_config(&w));
        assert_int_equal(must_number(w.db, ITEMS), i);
        check_ok(put_item(w.db, arena_printf(w.a, "%d", i), i));
        db_world_close(&w);
    }
}

static void another_process_is_seen(void **state)
{
    DB_WORLD w;
    uint64_t before, now;

    (void)state;
    db_world_make(&w);
    db_world_open(&w, db_world_config(&w));
    check_ok(put_item(w.db, STR("mine"), 1));
    for (int64_t until = clock_mono_ms() + 250; clock_mono_ms() < until; sched_yield())
        before = db_generation(w.db);
    before = db_generation(w.db);
    assert_int_equal(wait_for(start_again("add", w.path, "theirs")), 0);
    now = before;
    for (int64_t until = clock_mono_ms() + 5000; now == before && clock_mono_ms() < until;)
        now = db_generation(w.db);
    assert_true(now != before);
    assert_int_equal(must_number(w.db, SQL("SELECT count(*) FROM item WHERE name = 'theirs'")), 1);
    check_ok(put_item(w.db, STR("mine again"), 1));
    db_world_close(&w);
    db_world_open(&w, db_world_config(&w));
    assert_int_equal(must_number(w.db, ITEMS), 3);
}

/* Five start on a file that is not there yet: it is migrated once. */
static void many_processes_may_begin_together(void **state)
{
    DB_WORLD w;
    pid_t pids[5];

    (void)state;
    db_world_make(&w);
    for (int i = 0; i < 5; i++)
        pids[i] = start_again("add", w.path, arena_printf(w.a, "process %d", i).ptr);
    for (int i = 0; i < 5; i++)
        assert_int_equal(wait_for(pids[i]), 0);
    db_world_open(&w, db_world_config(&w));
    assert_int_equal(must_number(w.db, ITEMS), 5);
    assert_int_equal(must_number(w.db, SQL("SELECT count(*) FROM log")), 2);
    assert_int_equal(must_number(w.db, SQL("SELECT count(*) FROM schema_version")), 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_process_loses_nothing),
        cmocka_unit_test(garbage_behind_the_wal_is_ignored),
        cmocka_unit_test(a_wal_cut_short_keeps_what_was_synced),
        cmocka_unit_test(a_torn_tail_keeps_what_was_synced),
        cmocka_unit_test(closing_and_opening_keeps_everything),
        cmocka_unit_test(another_process_is_seen),
        cmocka_unit_test(many_processes_may_begin_together),
    };

    unsetenv("HEARTH_DB_RERUN");
    if (argc > 1)
        return child(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
