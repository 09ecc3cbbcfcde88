/* check_search.c — the full-text index of repository names against the names.
 *
 * The index says (trigram, repository, position) for everything it holds; the names say the same.
 * Both are summed up by a hash, in any order, within one snapshot: equal sums, equal sets.  This
 * file speaks SQLite's dialect.
 */
#include "store/check_private.h"

#define GRAM 3

static const struct sql VOCABULARY =
    SQL_INIT("CREATE VIRTUAL TABLE temp.check_search USING fts5vocab(main, repo_search, instance)");
static const struct sql INSTANCES = SQL_INIT("SELECT term, doc, offset FROM temp.check_search");
static const struct sql NAMES = SQL_INIT("SELECT id, full_key FROM repo WHERE state = 'live'");
static const struct sql CLEAR =
    SQL_INIT("INSERT INTO repo_search(repo_search) VALUES ('delete-all')");
static const struct sql FILL = SQL_INIT(
    "INSERT INTO repo_search(rowid, full_key) SELECT id, full_key FROM repo WHERE state = 'live'");

struct sums {
    uint64_t index, names;
};

static uint64_t mix(uint64_t h, str gram, int64_t doc, int64_t offset)
{
    uint64_t x = str_hash(gram) ^ (uint64_t)doc * 0x9e3779b97f4a7c15ull ^
                 (uint64_t)offset * 0xc2b2ae3d27d4eb4full;

    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 29;
    return h + x * 0x9e3779b97f4a7c15ull;
}

static err sum_index(struct db *tx, struct sums *s)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, INSTANCES));
    while (db_next(q))
        s->index = mix(s->index, db_view(q, 0), db_i64(q, 1), db_i64(q, 2));
    return db_error(q);
}

static err sum_names(struct db *tx, struct sums *s)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, NAMES));
    while (db_next(q)) {
        str name = db_view(q, 1);

        for (size_t i = 0; i + GRAM <= name.len; i++)
            s->names = mix(s->names, str_first(str_from(name, i), GRAM), db_i64(q, 0), (int64_t)i);
    }
    return db_error(q);
}

static err sum_fn(struct db *tx, void *arg)
{
    struct sums *s = arg;

    *s = (struct sums){0};
    TRY(db_exec(tx, VOCABULARY)); /* gone when the snapshot is */
    TRY(sum_index(tx, s));
    return sum_names(tx, s);
}

static err fill_fn(struct db *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, CLEAR));
    return db_exec(tx, FILL);
}

err check_search(struct check *c)
{
    struct sums s = {0};
    err e = db_read(c->store->hub, sum_fn, &s);

    if (e || s.index != s.names)
        check_found(c, c->rows_doubtful ? CHECK_REPAIRABLE : check_fix(c, fill_fn, NULL),
                    "search index", STR("repo_search"),
                    "it does not hold the names of the repositories; it is made anew");
    return OK;
}
