/* check_database.c — the three database files themselves: SQLite's own check of pages, trees and
 * indexes, and whether every value has the type of its column.
 *
 * An index that disagrees with its table is made anew only where something else proves that the
 * table is right: git ids, hashes, blobs.  Elsewhere nobody knows which of the two was hit.
 * This file speaks SQLite's dialect.
 */
#include "store/check_private.h"
#include "store/migrations_git.h"
#include "store/migrations_hearth.h"
#include "store/migrations_stats.h"
#include <sys/stat.h>

#define MESSAGES_MAX 50
#define WHOLE_BYTES                                                                                \
    (1ll << 30) /* larger files are checked table by table: shorter transactions                   \
                 */

static const char *const provable[] = {"object",    "object_part", "branch_file", "chunk_key",
                                       "file_part", "file_xorb",   "repo_tag",    "tag_count",
                                       "shard",     "shard_file",  "xorb",        "file"};

struct file { /* one of the three */
    struct db *db;
    const char *name;
    const struct embedded *migrations;
    unsigned long migration_count;
};

static bool is_plain(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!((name.ptr[i] >= 'a' && name.ptr[i] <= 'z') || name.ptr[i] == '_' ||
              (name.ptr[i] >= '0' && name.ptr[i] <= '9')))
            return false;
    return name.len > 0;
}

/* --- structure --- */

static err messages(struct check *c, struct db *db, str sql, str *ret, size_t *ret_count)
{
    size_t count = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query_built(db, &q, sql));
    while (count < MESSAGES_MAX && db_next(q))
        if (!str_eq(db_view(q, 0), STR("ok")))
            ret[count++] = db_str(q, 0, c->a);
    *ret_count = count;
    return db_error(q);
}

/* The index that a message is about; empty: it is about something else. */
static str index_of(str message)
{
    static const str before[] = {
        STR_INIT("missing from index "), STR_INIT("wrong # of entries in index "),
        STR_INIT("non-unique entry in index "), STR_INIT("values differ from index ")};

    for (size_t i = 0; i < message.len; i++)
        for (size_t k = 0; k < sizeof before / sizeof *before; k++)
            if (str_starts(str_from(message, i), before[k]))
                return str_trim(str_from(message, i + before[k].len));
    return STR_NONE;
}

static err table_of(struct check *c, struct db *db, str index, str *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = STR_NONE;
    TRY(db_query(db, &q, SQL("SELECT tbl_name FROM sqlite_master WHERE name = ?1")));
    db_bind_str(q, 1, index);
    if (db_next(q))
        *ret = db_str(q, 0, c->a);
    return db_error(q);
}

static bool is_provable(str table)
{
    for (size_t i = 0; i < sizeof provable / sizeof *provable; i++)
        if (str_eq(table, str_c(provable[i])))
            return true;
    return false;
}

static err reindex_fn(struct db *tx, void *arg)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query_built(tx, &q, *(str *)arg));
    return db_run(q);
}

static void tell_index(struct check *c, const struct file *f, str index, str message)
{
    str table, sql = arena_cat(c->a, STR("REINDEX \""), index, STR("\""));
    enum check_state state = CHECK_DAMAGED;

    if (!table_of(c, f->db, index, &table) && is_provable(table) && is_plain(index)) {
        state = CHECK_REPAIRABLE;
        if (c->options.repair && !db_write(f->db, reindex_fn, &sql))
            state = CHECK_REPAIRED;
    }
    check_found(c, state, "database", str_c(f->name), "%.*s%s", STR_FMT(message),
                state == CHECK_DAMAGED
                    ? "; table and index disagree and nothing proves which is right: restore a "
                      "backup"
                    : "; the index is made anew");
}

/* One finding per index is enough: its first message, usually that of one row. */
static void tell(struct check *c, const struct file *f, const str *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        str index = index_of(all[i]);
        bool again = false;

        for (size_t k = 0; k < i && index.len; k++)
            again |= str_eq(index_of(all[k]), index);
        if (again)
            continue;
        if (index.len) {
            tell_index(c, f, index, all[i]);
            continue;
        }
        c->rows_doubtful = true;
        check_found(c, CHECK_DAMAGED, "database", str_c(f->name), "%.*s; restore a backup",
                    STR_FMT(all[i]));
    }
}

static err table_names(struct check *c, struct db *db, str *ret, size_t max, size_t *ret_count)
{
    size_t count = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q,
                 SQL("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE "
                     "'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite%' ORDER BY name")));
    while (count < max && db_next(q)) {
        str name = db_str(q, 0, c->a);

        if (is_plain(name))
            ret[count++] = name;
    }
    *ret_count = count;
    return db_error(q);
}

static err structure(struct check *c, const struct file *f)
{
    struct stat st;
    str all[MESSAGES_MAX], tables[100];
    size_t count, table_count;

    if (stat(db_path(f->db), &st) != 0 || st.st_size <= WHOLE_BYTES) {
        TRY(messages(c, f->db, STR("PRAGMA integrity_check"), all, &count));
        tell(c, f, all, count);
        return OK;
    }
    TRY(table_names(c, f->db, tables, 100, &table_count));
    for (size_t i = 0; i < table_count; i++) {
        check_progress(c, "databases", i);
        TRY(messages(c, f->db,
                     arena_cat(c->a, STR("PRAGMA integrity_check('"), tables[i], STR("')")), all,
                     &count));
        tell(c, f, all, count);
    }
    return OK;
}

static err schema(struct check *c, const struct file *f)
{
    struct db_migration *m = arena_many(c->a, struct db_migration, f->migration_count);
    str name;

    for (unsigned long i = 0; i < f->migration_count; i++)
        m[i] = (struct db_migration){(int)i + 1, f->migrations[i].bytes};
    TRY(db_schema_differs(f->db, c->a, m, f->migration_count, &name));
    if (name.ptr)
        check_found(c, CHECK_DAMAGED, "database", str_c(f->name),
                    "the definition of \"%.*s\" is not the one that hearth makes; restore a backup",
                    STR_FMT(name));
    return OK;
}

/* --- types --- */

/* "typeof(x) <> 'blob' OR …" over the columns of a table. */
static err mistyped(struct check *c, struct db *db, str table, str *ret)
{
    str text = STR("0");
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q,
                 SQL("SELECT name, CASE type WHEN 'INTEGER' THEN 'integer' WHEN 'TEXT' THEN 'text' "
                     "WHEN 'BLOB' THEN 'blob' END FROM pragma_table_info(?1)")));
    db_bind_str(q, 1, table);
    while (db_next(q))
        if (is_plain(db_view(q, 0)) && !db_is_null(q, 1))
            text = arena_cat(c->a, text, STR(" OR typeof(\""), db_view(q, 0), STR("\") NOT IN ('"),
                             db_view(q, 1), STR("', 'null')"));
    *ret = arena_cat(c->a, STR("SELECT count(*) FROM \""), table, STR("\" WHERE "), text);
    return db_error(q);
}

static err count_built(struct db *db, str sql, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    TRY(db_query_built(db, &q, sql));
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

static err types(struct check *c, const struct file *f)
{
    str tables[100], sql;
    size_t count;
    int64_t wrong;

    TRY(table_names(c, f->db, tables, 100, &count));
    for (size_t i = 0; i < count; i++) {
        if (str_starts(tables[i], STR("repo_search")))
            continue; /* the full-text index's own */
        TRY(mistyped(c, f->db, tables[i], &sql));
        TRY(count_built(f->db, sql, &wrong));
        if (wrong)
            check_found(c, CHECK_DAMAGED, "database", str_c(f->name),
                        "%lld rows of \"%.*s\" hold a value that is not of its column's type; "
                        "restore a backup",
                        (long long)wrong, STR_FMT(tables[i]));
    }
    return OK;
}

err check_databases(struct check *c)
{
    const struct file files[] = {
        {c->store->git, "git.db", migrations_git, migrations_git_count},
        {c->store->hub, "hearth.db", migrations_hearth, migrations_hearth_count},
        {c->store->stats, "stats.db", migrations_stats, migrations_stats_count}};

    for (size_t i = 0; i < 3; i++) {
        uint64_t before = c->result.damaged;
        err e = c->options.fast ? OK : structure(c, &files[i]);

        if (!e)
            e = schema(c, &files[i]);
        if (!e)
            e = types(c, &files[i]);
        if (e) {
            str words = e->detail.len ? e->detail : e->text;

            c->rows_doubtful = true;
            check_found(c, CHECK_DAMAGED, "database", str_c(files[i].name),
                        "%.*s; restore a backup", STR_FMT(words));
        }
        c->rows_doubtful |= c->result.damaged > before;
    }
    return OK;
}
