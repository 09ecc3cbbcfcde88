/* db.h — one small SQL interface over SQLite (PostgreSQL later), with group commit.
 *
 * `struct db` is a database, or, inside db_write() and db_read(), the one connection of that
 * transaction: functions of store/ take a struct db * and work with both.  On a database a query
 * borrows a read connection until its statement closes.  One connection has at most one open
 * statement, so read the rows you need before you run the next query; this is asserted.
 *
 * Writes are functions: db_write(db, fn, arg) runs fn in one transaction and returns after the
 * commit is on disk.  fn touches nothing outside the database and may run again.
 *
 * Durability (see docs/adr/0004): WAL, synchronous=NORMAL; after COMMIT one syncer thread per file
 * does one fdatasync of the WAL for everybody who waits.  A failed sync ends the process.
 *
 * SQL is written in the subset that SQLite and PostgreSQL share: ?1 parameters, RETURNING,
 * ON CONFLICT.  Integers are int64, text is UTF-8, hashes are BLOBs.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct db;
struct db_stmt;
struct sql {
    const char *text;
};
#define SQL(lit) ((struct sql){"" lit})
#define SQL_INIT(lit)                                                                              \
    {                                                                                              \
        "" lit                                                                                     \
    } /* for static const struct sql NAME = SQL_INIT("…") */

struct db_migration {
    int version;     /* 1, 2, 3 … without gaps; never edited after a release */
    const char *sql; /* any number of statements */
};

struct db_config {
    const char *path;
    int page_size;     /* 0: 4096 */
    int readers;       /* connections kept for reading; 0: 2 per core */
    bool shared;       /* another process may be the server: synchronous=FULL, no syncer */
    bool frozen;       /* a file that nobody changes: only read, not migrated, no other file made */
    bool grouping_off; /* for bench and tests: every commit syncs alone */
    int sync_delay_ms; /* for bench: injected before each fdatasync */
    const struct db_migration *migrations;
    size_t migration_count;
};

/* Opens or creates the file, migrates it.  Fails with a sentence when the file is newer than this
 * program (code "DataNewer"). */
MUST err db_open(struct arena *a, const struct db_config *c, struct db **ret);
void db_close(struct db *db); /* checkpoint and close; accepts NULL */

typedef err (*db_fn)(struct db *tx, void *arg);
MUST err db_write(struct db *db, db_fn fn, void *arg); /* inside a transaction: just calls fn */
MUST err db_read(struct db *db, db_fn fn, void *arg);  /* one snapshot for several statements */

/* --- statements: prepared once per connection, found again by the address of their text --- */
#define AUTO_STMT __attribute__((cleanup(db_stmt_close)))
MUST err db_query(struct db *db, struct db_stmt **ret, struct sql q);
void db_stmt_close(struct db_stmt **q);
/* For SQL built at run time from literals (lists with optional conditions): prepared each time.
 * `text` must consist of program literals only, values are bound. */
MUST err db_query_built(struct db *db, struct db_stmt **ret, str text);

void db_bind_i64(struct db_stmt *q, int i, int64_t v);
void db_bind_str(struct db_stmt *q, int i,
                 str s); /* TEXT; ptr NULL binds NULL; bytes must live until the step */
void db_bind_blob(struct db_stmt *q, int i, str s); /* BLOB; ptr NULL binds NULL */
void db_bind_null(struct db_stmt *q, int i);
void db_bind_real(struct db_stmt *q, int i, double v);
#define db_bind_hash(q, i, h) db_bind_blob((q), (i), (str){(const char *)(h).b, sizeof(h).b})

bool db_next(struct db_stmt *q);               /* true: a row; false: the end or an error */
err db_error(const struct db_stmt *q);         /* OK when db_next ended well */
MUST err db_run(struct db_stmt *q);            /* steps to the end, for writes */
MUST err db_exec(struct db *db, struct sql q); /* no parameters, no rows */
int64_t
db_changes(const struct db_stmt *q); /* rows changed by the last db_run of this connection */

bool db_is_null(struct db_stmt *q, int column);
int64_t db_i64(struct db_stmt *q, int column);
double db_real(struct db_stmt *q, int column);
bool db_bool(struct db_stmt *q, int column);
str db_str(struct db_stmt *q, int column, struct arena *a);  /* copied; ptr NULL for NULL */
str db_blob(struct db_stmt *q, int column, struct arena *a); /* copied; ptr NULL for NULL */
str db_view(struct db_stmt *q, int column);                  /* not copied: until the next step */
/* Copies exactly `len` bytes of a BLOB into dst; false (dst zeroed) when it has another length. */
bool db_hash(struct db_stmt *q, int column, void *dst, size_t len);

/* A unique index refused the row.  Compare by address: if (e == &db_unique) … */
extern const struct err_info db_unique;

/* Tables, indexes and columns against those that these migrations make: *ret is the name of the
 * first one that differs, ptr NULL when none does. */
MUST err db_schema_differs(struct db *db, struct arena *a, const struct db_migration *migrations,
                           size_t count, str *ret);

/* Changes whenever any process committed to the file (PRAGMA data_version of one connection plus
 * our own commits): for caches.  Cheap. */
uint64_t db_generation(struct db *db);

/* Writes one snapshot of the database into the new file `path` (it must not exist, or be empty),
 * compacted, and syncs the file; its name in the folder is for the caller to sync.  507 when that
 * disk is full; what was written stays.  It is one read transaction of a connection of its own:
 * nobody waits for it, but the WAL cannot shrink meanwhile.  The copy is an ordinary database
 * without a WAL. */
MUST err db_copy_into(struct db *db, struct arena *a, const char *path);

struct db_stats {
    uint64_t commits, syncs;
    uint64_t wal_bytes;
};
struct db_stats db_stats(struct db *db);
const char *db_path(const struct db *db);
