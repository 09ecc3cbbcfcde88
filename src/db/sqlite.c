/* sqlite.c — db.h over SQLite.
 *
 *   threads that write ──writer lock──▶ BEGIN IMMEDIATE, fn, COMMIT ──▶ wait until `synced` ≥ my
 * number syncer thread      ── one fdatasync of the WAL for every number committed so far ──▶ wakes
 * them threads that read  ── borrow one of `readers` connections for one statement (or one db_read)
 *
 * What keeps this durable was measured (docs/adr/0004-group-commit.md):
 *   - `hold` stays open and has read once for the whole life of the database, so no close of
 *     another connection is the last one, and the WAL file is never deleted under the syncer;
 *   - before each sync the syncer compares its descriptor with the path and reopens on a
 * difference;
 *   - checkpoints stay where SQLite does them, in the committing thread, which syncs the WAL first;
 *   - nobody opens or closes the database file itself by another way (that would drop its locks).
 *
 * Locks, in order: writer → pool → sync (each is a leaf but for `writer`).
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "db/db.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DB_MAGIC 0x64624831u
#define STMT_SLOTS 512 /* per connection; more distinct statements than this abort in tests */
#define READERS_MAX 32
#define DATABASES_MAX 8
#define BUSY_TIMEOUT_MS 30000
#define GENERATION_POLL_MS 100
#define WAL_COPY_BYTES (256u << 10)

struct db_stmt {
    sqlite3_stmt *s;
    struct db_conn *conn;
    const char *text;
    int last;      /* result of the last step */
    bool borrowed; /* closing returns conn to the pool */
    bool cached;
    bool open;
};

struct db_conn {
    sqlite3 *handle;
    struct db *db; /* the database */
    struct db *tx; /* the handle that functions of a transaction get */
    struct db_stmt *slots[STMT_SLOTS];
    struct db_stmt *open; /* the one open statement */
    err failed;           /* no statement runs after an error inside a transaction */
    bool in_tx;
};

struct db {
    unsigned magic;
    struct db_conn *conn; /* set: this is a transaction's handle; the rest is unused */

    char *path, *wal_path;
    int index;
    struct db_config config;
    sqlite3 *hold;
    pthread_mutex_t writer_lock;
    struct db_conn *writer;

    pthread_mutex_t pool_lock;
    pthread_cond_t pool_free;
    struct db_conn *idle[READERS_MAX];
    int idle_count, reader_count;

    pthread_mutex_t sync_lock;
    pthread_cond_t sync_work, sync_done;
    uint64_t committed, synced; /* guarded by sync_lock */
    bool stopping, sync_failed;
    bool has_syncer;
    pthread_t syncer;
    int wal_fd; /* syncer only (or writer lock with grouping off) */

    atomic_uint_fast64_t own_commits, syncs, foreign;
    atomic_int_fast64_t polled_at_ms;
    int64_t seen_data_version;
    bool rerun; /* HEARTH_DB_RERUN: every write function runs twice, the first time for nothing */
};

static _Thread_local bool reading[DATABASES_MAX]; /* this thread holds a read connection */
static _Thread_local char last_message[256];      /* words of last_error */
static _Thread_local struct err_info last_error;  /* outlives the connection it came from */
static atomic_int next_index;

const struct err_info db_unique = {409, NULL, STR_INIT("This name is already taken."), NULL, {0}};
static const struct err_info unavailable = {
    503, NULL, STR_INIT("The hub could not write its database; try again shortly."), NULL, {0}};

/* --- errors --- */

static err conn_error(struct db_conn *c, int rc, const char *what)
{
    if ((rc & 0xff) == SQLITE_CONSTRAINT &&
        (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
         rc == SQLITE_CONSTRAINT_ROWID))
        return &db_unique;
    if ((rc & 0xff) == SQLITE_FULL)
        return &err_no_space;
    snprintf(last_message, sizeof last_message, "%s: %s (%d)", what, sqlite3_errmsg(c->handle), rc);
    last_error = (struct err_info){
        500, NULL, STR("Something went wrong on this hub; its log has the details."), "db/sqlite.c",
        str_c(last_message)};
    if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_IOERR) {
        last_error.status = 503;
        last_error.text = unavailable.text;
    }
    return &last_error;
}

/* --- connections --- */

static err run_text(struct db_conn *c, const char *sql)
{
    int rc = sqlite3_exec(c->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? OK : conn_error(c, sqlite3_extended_errcode(c->handle), sql);
}

/* SQLite takes a file for unchanging only when a URI says so. */
static int open_frozen(const char *path, sqlite3 **ret)
{
    struct arena *a = arena_new(0);
    str uri = arena_cat(a, STR("file:"), url_encode_path(a, str_c(path)), STR("?immutable=1"));
    int rc = sqlite3_open_v2(
        str_z(a, uri), ret,
        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    arena_free(a);
    return rc;
}

static sqlite3 *open_handle(const struct db_config *c, int *ret_rc)
{
    sqlite3 *h = NULL;

    *ret_rc = c->frozen ? open_frozen(c->path, &h)
                        : sqlite3_open_v2(c->path, &h,
                                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                              SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                          NULL);
    if (*ret_rc != SQLITE_OK) {
        sqlite3_close(h);
        return NULL;
    }
    sqlite3_busy_timeout(h, BUSY_TIMEOUT_MS);
    sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return h;
}

static void conn_free(struct db_conn *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < STMT_SLOTS; i++)
        if (c->slots[i]) {
            sqlite3_finalize(c->slots[i]->s);
            free(c->slots[i]);
        }
    sqlite3_close(c->handle);
    free(c->tx);
    free(c);
}

static err conn_new(struct arena *a, struct db *db, struct db_conn **ret)
{
    struct db_conn *c = calloc(1, sizeof *c);
    char pragma[160];
    int rc;
    err e;

    if (!c || !(c->tx = calloc(1, sizeof *c->tx)))
        abort();
    c->db = db;
    c->tx->magic = DB_MAGIC;
    c->tx->conn = c;
    c->handle = open_handle(&db->config, &rc);
    if (!c->handle) {
        conn_free(c);
        return err_internal(a, "cannot open %s: %s", db->path, sqlite3_errstr(rc));
    }
    snprintf(pragma, sizeof pragma,
             "PRAGMA synchronous=%s; PRAGMA cache_size=-1024; PRAGMA mmap_size=1073741824;"
             "PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF",
             db->config.shared ? "FULL" : "NORMAL");
    e = run_text(c, pragma);
    if (e) {
        e = err_internal(a, "%s", last_message);
        conn_free(c);
        return e;
    }
    *ret = c;
    return OK;
}

static struct db_conn *borrow(struct db *db, err *ret_err)
{
    struct arena *a;
    struct db_conn *c = NULL;

    assert(!reading[db->index] && "read the rows you need before the next query");
    {
        AUTO_LOCK(&db->pool_lock);
        while (db->idle_count == 0 && db->reader_count >= db->config.readers)
            pthread_cond_wait(&db->pool_free, &db->pool_lock);
        if (db->idle_count > 0)
            c = db->idle[--db->idle_count];
        else
            db->reader_count++;
    }
    if (!c) {
        a = arena_new(0);
        if (conn_new(a, db, &c)) {
            AUTO_LOCK(&db->pool_lock);
            db->reader_count--;
            pthread_cond_signal(&db->pool_free);
            *ret_err = &unavailable;
        }
        arena_free(a);
        if (!c)
            return NULL;
    }
    reading[db->index] = true;
    return c;
}

static void give_back(struct db *db, struct db_conn *c)
{
    AUTO_LOCK(&db->pool_lock);

    assert(!c->open);
    c->failed = OK;
    reading[db->index] = false;
    db->idle[db->idle_count++] = c;
    pthread_cond_signal(&db->pool_free);
}

/* --- the syncer --- */

/* One fdatasync of the WAL, through a descriptor that is certain to be the file at the path. */
static bool sync_wal(struct db *db)
{
    struct stat mine, theirs;

    if (stat(db->wal_path, &theirs) != 0)
        return errno == ENOENT; /* nothing was written since a truncating checkpoint */
    if (db->wal_fd < 0 || fstat(db->wal_fd, &mine) != 0 || mine.st_ino != theirs.st_ino ||
        mine.st_dev != theirs.st_dev) {
        fd_close(&db->wal_fd);
        db->wal_fd = open(db->wal_path, O_RDWR | O_CLOEXEC);
        if (db->wal_fd < 0)
            return false;
    }
    if (db->config.sync_delay_ms > 0)
        usleep((useconds_t)db->config.sync_delay_ms * 1000);
    atomic_fetch_add(&db->syncs, 1);
    return fdatasync(db->wal_fd) == 0;
}

static void *syncer_main(void *arg)
{
    struct db *db = arg;

    pthread_mutex_lock(&db->sync_lock);
    for (;;) {
        uint64_t target;
        bool ok;

        while (db->committed == db->synced && !db->stopping)
            pthread_cond_wait(&db->sync_work, &db->sync_lock);
        if (db->committed == db->synced)
            break;
        target = db->committed;
        pthread_mutex_unlock(&db->sync_lock);
        ok = sync_wal(db);
        pthread_mutex_lock(&db->sync_lock);
        if (!ok) {
            fprintf(stderr, "fatal: cannot sync %s: %s; stopping so that nothing is promised\n",
                    db->wal_path, strerror(errno));
            db->sync_failed = true;
            pthread_cond_broadcast(&db->sync_done);
            pthread_mutex_unlock(&db->sync_lock);
            usleep(200000); /* the waiters answer 503 first */
            abort();
        }
        db->synced = target;
        pthread_cond_broadcast(&db->sync_done);
    }
    pthread_mutex_unlock(&db->sync_lock);
    return NULL;
}

static err wait_synced(struct db *db, uint64_t number)
{
    AUTO_LOCK(&db->sync_lock);

    while (db->synced < number && !db->sync_failed)
        pthread_cond_wait(&db->sync_done, &db->sync_lock);
    return db->sync_failed ? &unavailable : OK;
}

/* Called under the writer lock, right after COMMIT.  Returns the number to wait for. */
static uint64_t note_commit(struct db *db)
{
    AUTO_LOCK(&db->sync_lock);

    atomic_fetch_add(&db->own_commits, 1);
    db->committed++;
    pthread_cond_signal(&db->sync_work);
    return db->committed;
}

/* --- transactions --- */

static err end_rollback(struct db_conn *c)
{
    sqlite3_exec(c->handle, "ROLLBACK", NULL, NULL, NULL);
    c->in_tx = false;
    c->failed = OK;
    return OK;
}

static err run_fn(struct db_conn *c, db_fn fn, void *arg)
{
    err e = fn(c->tx, arg);

    assert(!c->open && "close statements before the transaction ends");
    return e ?: c->failed;
}

/* One attempt under the writer lock. */
static err write_locked(struct db *db, db_fn fn, void *arg, uint64_t *ret_number)
{
    struct db_conn *c = db->writer;
    err e = OK;

    for (int round = db->rerun ? 0 : 1; round < 2; round++) {
        TRY(run_text(c, "BEGIN IMMEDIATE"));
        c->in_tx = true;
        e = run_fn(c, fn, arg);
        if (e || round == 0) {
            (void)end_rollback(c);
            if (e)
                return e;
        }
    }
    e = run_text(c, "COMMIT");
    if (e) {
        (void)end_rollback(c);
        return e;
    }
    c->in_tx = false;
    *ret_number = note_commit(db);
    return OK;
}

err db_write(struct db *db, db_fn fn, void *arg)
{
    uint64_t number = 0;

    assert(db->magic == DB_MAGIC);
    if (db->conn) {
        assert(db->conn == db->conn->db->writer && "a write inside db_read() would be lost");
        return fn(db, arg);
    }
    assert(!reading[db->index] && "a write inside an open read would wait for itself");
    {
        AUTO_LOCK(&db->writer_lock);
        TRY(write_locked(db, fn, arg, &number));
        if (db->config.grouping_off && !db->config.shared) {
            if (!sync_wal(db))
                abort();
            return OK;
        }
    }
    return db->has_syncer ? wait_synced(db, number) : OK;
}

err db_read(struct db *db, db_fn fn, void *arg)
{
    struct db_conn *c;
    err e = OK;

    if (db->conn)
        return fn(db, arg);
    c = borrow(db, &e);
    if (!c)
        return e;
    e = run_text(c, "BEGIN");
    if (!e) {
        c->in_tx = true;
        e = run_fn(c, fn, arg);
        (void)end_rollback(c);
    }
    give_back(db, c);
    return e;
}

/* --- statements --- */

static struct db_stmt *stmt_new(struct db_conn *c, const char *text, size_t len, bool cached)
{
    struct db_stmt *q = calloc(1, sizeof *q);
    int rc;

    if (!q)
        abort();
    rc = sqlite3_prepare_v3(c->handle, text, (int)len, cached ? SQLITE_PREPARE_PERSISTENT : 0,
                            &q->s, NULL);
    if (rc != SQLITE_OK) {
        fprintf(stderr, "sql: %s\n  in: %.*s\n", sqlite3_errmsg(c->handle), (int)len, text);
        free(q);
        return NULL;
    }
    q->conn = c;
    q->text = text;
    q->cached = cached;
    return q;
}

static struct db_stmt *cached_stmt(struct db_conn *c, const char *text)
{
    size_t slot = ((uintptr_t)text >> 3) * 0x9E3779B97F4A7C15ull >> 55;

    for (size_t n = 0; n < STMT_SLOTS; n++, slot = (slot + 1) % STMT_SLOTS) {
        if (!c->slots[slot])
            return c->slots[slot] = stmt_new(c, text, strlen(text), true);
        if (c->slots[slot]->text == text)
            return c->slots[slot];
    }
    assert(false && "more statements than STMT_SLOTS");
    return NULL;
}

static err query(struct db *db, struct db_stmt **ret, const char *text, size_t len, bool cached)
{
    struct db_conn *c = db->conn;
    struct db_stmt *q;
    err e = OK;

    assert(db->magic == DB_MAGIC && !*ret);
    if (!c && !(c = borrow(db, &e)))
        return e;
    if (c->failed)
        return c->failed;
    assert(!c->open && "one open statement per connection");
    q = cached ? cached_stmt(c, text) : stmt_new(c, text, len, false);
    if (!q) {
        e = conn_error(c, SQLITE_ERROR, "prepare");
        if (!db->conn)
            give_back(db, c);
        return e;
    }
    q->borrowed = !db->conn;
    q->last = SQLITE_OK;
    q->open = true;
    c->open = q;
    *ret = q;
    return OK;
}

err db_query(struct db *db, struct db_stmt **ret, struct sql q)
{
    return query(db, ret, q.text, 0, true);
}

err db_query_built(struct db *db, struct db_stmt **ret, str text)
{
    return query(db, ret, text.ptr, text.len, false);
}

void db_stmt_close(struct db_stmt **qp)
{
    struct db_stmt *q = *qp;
    struct db_conn *c;
    bool borrowed;

    if (!q)
        return;
    *qp = NULL;
    c = q->conn;
    borrowed = q->borrowed;
    assert(q->open && c->open == q);
    q->open = false;
    c->open = NULL;
    if (q->cached) {
        sqlite3_reset(q->s);
        sqlite3_clear_bindings(q->s);
    } else {
        sqlite3_finalize(q->s);
        free(q);
    }
    if (borrowed)
        give_back(c->db, c);
}

static void check_bind(int rc)
{
    assert(rc == SQLITE_OK && "no such parameter");
    (void)rc;
}

void db_bind_i64(struct db_stmt *q, int i, int64_t v)
{
    check_bind(sqlite3_bind_int64(q->s, i, v));
}

void db_bind_real(struct db_stmt *q, int i, double v)
{
    check_bind(sqlite3_bind_double(q->s, i, v));
}

void db_bind_null(struct db_stmt *q, int i)
{
    check_bind(sqlite3_bind_null(q->s, i));
}

void db_bind_str(struct db_stmt *q, int i, str s)
{
    check_bind(s.ptr ? sqlite3_bind_text64(q->s, i, s.ptr, s.len, SQLITE_STATIC, SQLITE_UTF8)
                     : sqlite3_bind_null(q->s, i));
}

void db_bind_blob(struct db_stmt *q, int i, str s)
{
    check_bind(s.ptr ? sqlite3_bind_blob64(q->s, i, s.ptr, s.len, SQLITE_STATIC)
                     : sqlite3_bind_null(q->s, i));
}

bool db_next(struct db_stmt *q)
{
    assert(q->open);
    if (q->conn->failed || (q->last != SQLITE_OK && q->last != SQLITE_ROW))
        return false; /* after its end or an error, SQLite would run the statement once more */
    q->last = sqlite3_step(q->s);
    if (q->conn->in_tx)
        (void)db_error(q); /* remembered, so that nobody commits over it */
    return q->last == SQLITE_ROW;
}

err db_error(const struct db_stmt *q)
{
    struct db_conn *c = q->conn;
    err e;

    if (c->failed)
        return c->failed;
    if (q->last == SQLITE_ROW || q->last == SQLITE_DONE || q->last == SQLITE_OK)
        return OK;
    e = conn_error(c, sqlite3_extended_errcode(c->handle), sqlite3_sql(q->s));
    if (c->in_tx)
        c->failed = e;
    return e;
}

err db_run(struct db_stmt *q)
{
    while (db_next(q))
        ;
    return db_error(q);
}

err db_exec(struct db *db, struct sql text)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, text));
    return db_run(q);
}

int64_t db_changes(const struct db_stmt *q)
{
    return sqlite3_changes64(q->conn->handle);
}

bool db_is_null(struct db_stmt *q, int column)
{
    return sqlite3_column_type(q->s, column) == SQLITE_NULL;
}

int64_t db_i64(struct db_stmt *q, int column)
{
    assert(column < sqlite3_column_count(q->s));
    return sqlite3_column_int64(q->s, column);
}

double db_real(struct db_stmt *q, int column)
{
    return sqlite3_column_double(q->s, column);
}

bool db_bool(struct db_stmt *q, int column)
{
    return db_i64(q, column) != 0;
}

str db_view(struct db_stmt *q, int column)
{
    const char *p;

    assert(column < sqlite3_column_count(q->s));
    if (sqlite3_column_type(q->s, column) == SQLITE_NULL)
        return STR_NONE;
    p = sqlite3_column_blob(q->s, column);
    return (str){p ?: "", (size_t)sqlite3_column_bytes(q->s, column)};
}

str db_str(struct db_stmt *q, int column, struct arena *a)
{
    str s = db_view(q, column);

    return s.ptr ? arena_str(a, s) : s;
}

str db_blob(struct db_stmt *q, int column, struct arena *a)
{
    return db_str(q, column, a);
}

bool db_hash(struct db_stmt *q, int column, void *dst, size_t len)
{
    str s = db_view(q, column);

    if (s.len != len) {
        memset(dst, 0, len);
        return false;
    }
    memcpy(dst, s.ptr, len);
    return true;
}

/* --- open and close --- */

static const char VERSION_TABLE[] =
    "CREATE TABLE IF NOT EXISTS schema_version(version INTEGER NOT NULL)";

static err schema_version(struct db *db, int *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, SQL("SELECT coalesce(max(version), 0) FROM schema_version")));
    if (!db_next(q))
        return db_error(q);
    *ret = (int)db_i64(q, 0);
    return OK;
}

static err migrate_one(struct db *tx, void *arg)
{
    const struct db_migration *m = arg;
    AUTO_STMT struct db_stmt *q = NULL;
    int have;

    TRY(schema_version(tx, &have));
    if (have >= m->version)
        return OK; /* another process did it while we waited for the lock */
    TRY(run_text(tx->conn, m->sql));
    TRY(db_query(tx, &q, SQL("INSERT INTO schema_version(version) VALUES (?1)")));
    db_bind_i64(q, 1, m->version);
    return db_run(q);
}

static err create_version_table(struct db *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, (struct sql){VERSION_TABLE});
}

static err migrate(struct arena *a, struct db *db)
{
    int have = 0, known = (int)db->config.migration_count;

    if (!db->config.frozen)
        TRY(db_write(db, create_version_table, NULL));
    TRY(schema_version(db, &have));
    if (have > known)
        return err_new(a, 500, "DataNewer",
                       "%s was written by a newer hearth (schema %d, this program knows %d); "
                       "start the newer program, or restore a backup made before the upgrade.",
                       db->path, have, known);
    for (int i = have; i < known && !db->config.frozen; i++) {
        struct db_migration m = db->config.migrations[i];

        assert(m.version == i + 1);
        TRY(db_write(db, migrate_one, &m));
    }
    return OK;
}

/* Changing to WAL does not wait for other processes that open the new file at this moment, so we
 * do.
 */
static int exec_patiently(sqlite3 *h, const char *sql)
{
    int64_t until = clock_mono_ms() + BUSY_TIMEOUT_MS;
    int rc;

    while (((rc = sqlite3_exec(h, sql, NULL, NULL, NULL)) & 0xff) == SQLITE_BUSY &&
           clock_mono_ms() < until)
        usleep(5000);
    return rc;
}

/* Writes the bytes of the WAL over themselves and syncs them. */
static bool rewrite_wal(const char *path)
{
    AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    char *buffer;
    uint64_t at = 0;
    ssize_t n;
    bool ok = true;

    if (fd < 0)
        return errno == ENOENT;
    buffer = malloc(WAL_COPY_BYTES);
    if (!buffer)
        abort();
    while (ok && (n = pread_full(fd, buffer, WAL_COPY_BYTES, at)) != 0) {
        ok = n > 0 && pwrite_full(fd, buffer, (size_t)n, at) == 0;
        at += (uint64_t)n;
    }
    free(buffer);
    return ok && fdatasync(fd) == 0;
}

/* After a failed sync the page cache holds a WAL that the disk may not have, and says that it is
 * clean: a checkpoint would sync nothing, and a power cut in its middle would leave half of it.
 * So the WAL becomes dirty and durable again first, under the write lock: nobody else adds to it.
 */
static bool harden_wal(struct db *db)
{
    bool ok = sqlite3_exec(db->hold, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;

    if (!ok)
        return false;
    ok = rewrite_wal(db->wal_path);
    return sqlite3_exec(db->hold, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && ok;
}

/* Opens the connection that is held for life, and sets what belongs to the file. */
static err open_hold(struct arena *a, struct db *db)
{
    char pragma[128];
    int rc, on = 1;

    db->hold = open_handle(&db->config, &rc);
    if (!db->hold)
        return err_internal(a, "cannot open %s: %s", db->path, sqlite3_errstr(rc));
    if (db->config.frozen)
        return OK;
    snprintf(pragma, sizeof pragma, "PRAGMA page_size=%d; PRAGMA journal_mode=WAL;",
             db->config.page_size ? db->config.page_size : 4096);
    sqlite3_file_control(db->hold, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    if ((rc = exec_patiently(db->hold, pragma)) == SQLITE_OK && !db->config.shared &&
        !harden_wal(db))
        return err_os(a, "sync", db->wal_path);
    if (rc != SQLITE_OK ||
        (!db->config.shared &&
         (rc = sqlite3_wal_checkpoint_v2(db->hold, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL)) !=
             SQLITE_OK) ||
        (rc = sqlite3_exec(db->hold, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL)) !=
            SQLITE_OK)
        return err_internal(a, "cannot use %s: %s", db->path, sqlite3_errmsg(db->hold));
    return OK;
}

static struct db *db_alloc(const struct db_config *c)
{
    struct db *db = calloc(1, sizeof *db);
    size_t len = strlen(c->path);

    if (!db || !(db->path = malloc(len + 1)) || !(db->wal_path = malloc(len + 5)))
        abort();
    memcpy(db->path, c->path, len + 1);
    snprintf(db->wal_path, len + 5, "%s-wal", c->path);
    db->magic = DB_MAGIC;
    db->config = *c;
    db->config.path = db->path;
    if (db->config.readers <= 0)
        db->config.readers = 2 * (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (db->config.readers > READERS_MAX)
        db->config.readers = READERS_MAX;
    db->wal_fd = -1;
    db->index = atomic_fetch_add(&next_index, 1) % DATABASES_MAX;
    db->rerun = getenv("HEARTH_DB_RERUN") != NULL;
    pthread_mutex_init(&db->writer_lock, NULL);
    pthread_mutex_init(&db->pool_lock, NULL);
    pthread_mutex_init(&db->sync_lock, NULL);
    pthread_cond_init(&db->pool_free, NULL);
    pthread_cond_init(&db->sync_work, NULL);
    pthread_cond_init(&db->sync_done, NULL);
    return db;
}

err db_open(struct arena *a, const struct db_config *c, struct db **ret)
{
    struct db *db = db_alloc(c);
    err e;

    e = open_hold(a, db);
    if (!e)
        e = conn_new(a, db, &db->writer);
    if (!e && !c->shared && !c->frozen && !c->grouping_off) {
        if (pthread_create(&db->syncer, NULL, syncer_main, db) != 0)
            e = err_os(a, "pthread_create", c->path);
        db->has_syncer = !e;
    }
    if (!e)
        e = migrate(a, db);
    if (e) {
        e = err_copy(a, e); /* the connection that owns the words goes away */
        db_close(db);
        return e;
    }
    *ret = db;
    return OK;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    assert(db->magic == DB_MAGIC && !db->conn);
    if (db->has_syncer) {
        pthread_mutex_lock(&db->sync_lock);
        db->stopping = true;
        pthread_cond_signal(&db->sync_work);
        pthread_mutex_unlock(&db->sync_lock);
        pthread_join(db->syncer, NULL);
    }
    for (int i = 0; i < db->idle_count; i++)
        conn_free(db->idle[i]);
    conn_free(db->writer);
    if (db->hold && !db->config.shared && !db->config.frozen)
        sqlite3_wal_checkpoint_v2(db->hold, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close(db->hold);
    fd_close(&db->wal_fd);
    pthread_mutex_destroy(&db->writer_lock);
    pthread_mutex_destroy(&db->pool_lock);
    pthread_mutex_destroy(&db->sync_lock);
    pthread_cond_destroy(&db->pool_free);
    pthread_cond_destroy(&db->sync_work);
    pthread_cond_destroy(&db->sync_done);
    free(db->path);
    free(db->wal_path);
    db->magic = 0;
    free(db);
}

/* --- is the schema what it should be? --- */

static const char SCHEMA[] =
    "SELECT name, type || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM "
    "sqlite_master ORDER BY name, type";

/* An empty database in memory that went through the migrations. */
static sqlite3 *reference(const struct db_migration *migrations, size_t count)
{
    int rc;
    sqlite3 *h = open_handle(&(struct db_config){.path = ":memory:"}, &rc);

    if (h && sqlite3_exec(h, VERSION_TABLE, NULL, NULL, NULL) != SQLITE_OK)
        rc = SQLITE_ERROR;
    for (size_t i = 0; h && rc == SQLITE_OK && i < count; i++)
        rc = sqlite3_exec(h, migrations[i].sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return h;
    sqlite3_close(h);
    return NULL;
}

static str column_of(sqlite3_stmt *s, int column)
{
    const char *p = sqlite3_column_blob(s, column);

    return (str){p ?: "", (size_t)sqlite3_column_bytes(s, column)};
}

/* Steps both lists in the order of names. */
static err compare_schemas(sqlite3_stmt *want, struct db_stmt *q, struct arena *a, str *ret)
{
    for (;;) {
        bool here = db_next(q), there = sqlite3_step(want) == SQLITE_ROW;

        TRY(db_error(q));
        if (!here && !there)
            return OK;
        if (here && there && str_eq(db_view(q, 0), column_of(want, 0)) &&
            str_eq(db_view(q, 1), column_of(want, 1)))
            continue;
        *ret = arena_str(a, there ? column_of(want, 0) : db_view(q, 0));
        return OK;
    }
}

err db_schema_differs(struct db *db, struct arena *a, const struct db_migration *migrations,
                      size_t count, str *ret)
{
    sqlite3 *h = reference(migrations, count);
    sqlite3_stmt *want = NULL;
    err e;

    *ret = STR_NONE;
    if (!h || sqlite3_prepare_v2(h, SCHEMA, -1, &want, NULL) != SQLITE_OK) {
        sqlite3_close(h);
        return err_internal(a, "cannot make a schema to compare with");
    }
    {
        AUTO_STMT struct db_stmt *q = NULL;

        e = db_query(db, &q, (struct sql){SCHEMA});
        if (!e)
            e = compare_schemas(want, q, a, ret);
    }
    sqlite3_finalize(want);
    sqlite3_close(h);
    return e;
}

/* --- what others did --- */

static int data_version_row(void *arg, int n, char **values, char **names)
{
    (void)n, (void)names;
    *(int64_t *)arg = strtoll(values[0], NULL, 10);
    return 0;
}

uint64_t db_generation(struct db *db)
{
    int64_t now = clock_mono_ms(), last = atomic_load(&db->polled_at_ms), version = 0;

    if (now - last >= GENERATION_POLL_MS &&
        atomic_compare_exchange_strong(&db->polled_at_ms, &last, now)) {
        AUTO_LOCK(&db->pool_lock); /* `hold` is one connection */

        sqlite3_exec(db->hold, "PRAGMA data_version", data_version_row, &version, NULL);
        if (version != db->seen_data_version) {
            db->seen_data_version = version;
            atomic_fetch_add(&db->foreign, 1);
        }
    }
    return atomic_load(&db->own_commits) + atomic_load(&db->foreign);
}

struct db_stats db_stats(struct db *db)
{
    struct stat st;

    return (struct db_stats){
        .commits = atomic_load(&db->own_commits),
        .syncs = atomic_load(&db->syncs),
        .wal_bytes = stat(db->wal_path, &st) == 0 ? (uint64_t)st.st_size : 0,
    };
}

const char *db_path(const struct db *db)
{
    return db->path;
}

/* --- a copy --- */

static err copy_into(struct db_conn *c, const char *path)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(c->handle, "VACUUM INTO ?1", -1, &q, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(q, 1, path, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? OK : conn_error(c, rc, "VACUUM INTO");
}

err db_copy_into(struct db *db, struct arena *a, const char *path)
{
    AUTO_FD int fd = -1;
    struct db_conn *c = NULL;
    err e;

    assert(db->magic == DB_MAGIC && !db->conn);
    TRY(conn_new(a, db, &c));
    assert(c);
    e = err_copy(a, copy_into(c, path));
    conn_free(c);
    TRY(e);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_os(a, "open", path);
    return fsync(fd) ? err_os(a, "fsync", path) : OK;
}
