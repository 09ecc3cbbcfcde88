/* db_world.h — what the tests of db/ share: a database file of its own with one small table, and
 * the test program started again as another process on the same file. */
#pragma once
#include "check.h"
#include "db/db.h"
#include "temp_dir.h"
#include <spawn.h>
#include <sys/wait.h>

static const struct db_migration migrations[] = {
    {1, "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, n INTEGER, "
        "body BLOB, x REAL); CREATE TABLE log(at INTEGER NOT NULL)"},
    {2, "INSERT INTO log(at) VALUES (2)"},
    {3, "INSERT INTO log(at) SELECT max(at) + 1 FROM log; "
        "CREATE TABLE pair(a INTEGER, b INTEGER, PRIMARY KEY(a, b))"},
};
#define MIGRATIONS (sizeof migrations / sizeof *migrations)

struct db_world {
    struct temp_dir dir;
    char path[600], wal[700];
    struct arena *a;
    struct db *db;
};

static inline struct db_config db_world_config(const struct db_world *w)
{
    return (struct db_config){
        .path = w->path, .readers = 4, .migrations = migrations, .migration_count = MIGRATIONS};
}

static inline void db_world_open(struct db_world *w, struct db_config c)
{
    check_ok(db_open(w->a, &c, &w->db));
}

/* The directory without a database yet. */
static inline void db_world_make(struct db_world *w)
{
    *w = (struct db_world){.a = arena_new(0)};
    temp_dir_make(&w->dir);
    snprintf(w->path, sizeof w->path, "%s/test.db", w->dir.path);
    snprintf(w->wal, sizeof w->wal, "%s-wal", w->path);
}

static inline void db_world_close(struct db_world *w)
{
    db_close(w->db);
    w->db = NULL;
}

static inline void db_world_free(struct db_world *w)
{
    db_world_close(w);
    temp_dir_remove(&w->dir);
    arena_free(w->a);
}
#define DB_WORLD __attribute__((cleanup(db_world_free))) struct db_world

struct item {
    str name;
    int64_t n;
};

static inline err add_item(struct db *tx, void *arg)
{
    const struct item *i = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SQL("INSERT INTO item(name, n) VALUES (?1, ?2)")));
    db_bind_str(q, 1, i->name);
    db_bind_i64(q, 2, i->n);
    return db_run(q);
}

static inline err put_item(struct db *db, str name, int64_t n)
{
    struct item i = {name, n};

    return db_write(db, add_item, &i);
}

/* The one number that a query gives. */
static inline err number_of(struct db *db, struct sql sql, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    if (!db_next(q))
        return db_error(q);
    *ret = db_i64(q, 0);
    return OK;
}

static inline int64_t must_number(struct db *db, struct sql sql)
{
    int64_t n = -1;

    check_ok(number_of(db, sql, &n));
    return n;
}
#define ITEMS SQL("SELECT count(*) FROM item")

static inline void check_sound(struct db *db)
{
    struct db_stmt *q = NULL;

    check_ok(db_query(db, &q, SQL("PRAGMA integrity_check")));
    assert_true(db_next(q));
    check_str(db_view(q, 0), "ok");
    db_stmt_close(&q);
}

/* This program again, as `program what path word`; its main() looks for them. */
static inline pid_t start_again(const char *what, const char *path, const char *word)
{
    char self[] = "/proc/self/exe", first[32], second[700], third[700];
    char *argv[] = {self, first, second, third, NULL};
    extern char **environ;
    pid_t pid;

    snprintf(first, sizeof first, "%s", what);
    snprintf(second, sizeof second, "%s", path);
    snprintf(third, sizeof third, "%s", word);
    assert_int_equal(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    return pid;
}

static inline int wait_for(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}
