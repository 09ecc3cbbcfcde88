/* ref.c — refs, and revisions as clients name them; what stands on them is in entry.c. */
#include "store/ref.h"
#include "base/text.h"
#include "git/object.h"
#include "store/object.h"
#include <string.h>

#define REF_COLS "id, name, oid, peeled, updated_at"
#define REFS_MAX 200000
static const struct sql LIST =
    SQL_INIT("SELECT " REF_COLS " FROM ref WHERE repo_id = ?1 ORDER BY name");
static const struct sql FIND =
    SQL_INIT("SELECT " REF_COLS " FROM ref WHERE repo_id = ?1 AND name = ?2");
static const struct sql BRANCH_AT =
    SQL_INIT("SELECT id FROM ref WHERE repo_id = ?1 AND peeled = ?2 AND name >= 'refs/heads/' AND "
             "name < 'refs/heads0' LIMIT 1");
static const struct sql PREFIX = SQL_INIT(
    "SELECT oid FROM object WHERE repo_id = ?1 AND oid >= ?2 AND oid <= ?3 AND type = 1 LIMIT 2");

static struct ref read_ref(struct db_stmt *q, struct arena *a)
{
    struct ref r = {.id = db_i64(q, 0), .name = db_str(q, 1, a), .updated_at_ms = db_i64(q, 4)};

    db_hash(q, 2, r.oid.b, sizeof r.oid.b);
    db_hash(q, 3, r.peeled.b, sizeof r.peeled.b);
    return r;
}

err ref_list(struct db *db, struct arena *a, int64_t repo_id, struct ref_list *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct ref *items = NULL;
    size_t count = 0, room = 0;

    TRY(db_query(db, &q, LIST));
    db_bind_i64(q, 1, repo_id);
    while (count < REFS_MAX && db_next(q)) {
        if (count == room) {
            struct ref *wider = arena_many(a, struct ref, room = room ? room * 2 : 8);

            if (count)
                memcpy(wider, items, count * sizeof *items);
            items = wider;
        }
        items[count++] = read_ref(q, a);
    }
    TRY(db_error(q));
    *ret = (struct ref_list){items, count};
    return OK;
}

err ref_find(struct db *db, struct arena *a, int64_t repo_id, str name, struct ref *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct ref){0};
    TRY(db_query(db, &q, FIND));
    db_bind_i64(q, 1, repo_id);
    db_bind_str(q, 2, name);
    if (db_next(q))
        *ret = read_ref(q, a);
    return db_error(q);
}

/* The branch whose head is this commit: its files can be read from branch_file. */
static err branch_at(struct store *s, int64_t repo_id, oid commit, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    TRY(db_query(s->hub, &q, BRANCH_AT));
    db_bind_i64(q, 1, repo_id);
    db_bind_hash(q, 2, commit);
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

static err find_named(struct store *s, struct arena *a, const struct repo *r, str rev,
                      struct ref *ret)
{
    if (str_eq(rev, STR("HEAD")))
        rev = STR("main");
    TRY(ref_find(s->hub, a, r->id, arena_cat(a, STR("refs/heads/"), rev), ret));
    if (ret->id == 0)
        TRY(ref_find(s->hub, a, r->id, arena_cat(a, STR("refs/tags/"), rev), ret));
    if (ret->id == 0 && str_starts(rev, STR("refs/")))
        TRY(ref_find(s->hub, a, r->id, rev, ret));
    return OK;
}

/* A commit by at least four hex digits; found only when it is the one. */
static err find_prefix(struct store *s, struct arena *a, const struct repo *r, str rev, oid *ret,
                       bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;
    oid low = {{0}}, high;
    char digits[40];

    *ret_found = false;
    if (rev.len < 4 || rev.len > 40 || !hex_is(rev, rev.len))
        return OK;
    memset(digits, '0', sizeof digits);
    memcpy(digits, rev.ptr, rev.len);
    (void)hex_decode((str){digits, 40}, low.b, sizeof low.b);
    memset(digits + rev.len, 'f', sizeof digits - rev.len);
    (void)hex_decode((str){digits, 40}, high.b, sizeof high.b);
    TRY(db_query(s->git, &q, PREFIX));
    db_bind_i64(q, 1, r->id);
    db_bind_hash(q, 2, low);
    db_bind_hash(q, 3, high);
    if (db_next(q)) {
        *ret_found = db_hash(q, 0, ret->b, sizeof ret->b);
        if (db_next(q))
            *ret_found = false; /* more than one */
    }
    (void)a;
    return db_error(q);
}

err revision_find(struct store *s, struct arena *a, const struct repo *r, str rev,
                  struct revision *ret)
{
    struct revision found = {0};
    bool is_there = false;

    if (rev.len == 40 && sha1_from_hex(rev, &found.commit)) {
        TRY(branch_at(s, r->id, found.commit, &found.branch_id));
        if (found.branch_id) {
            *ret = found;
            return OK;
        }
        TRY(find_prefix(s, a, r, rev, &found.commit, &is_there));
        if (is_there) {
            *ret = found;
            return OK;
        }
    }
    TRY(find_named(s, a, r, rev, &found.ref));
    if (found.ref.id != 0) {
        found.commit = found.ref.peeled;
        if (str_starts(found.ref.name, STR("refs/heads/")))
            found.branch_id = found.ref.id;
        *ret = found;
        return OK;
    }
    TRY(find_prefix(s, a, r, rev, &found.commit, &is_there));
    if (!is_there)
        return err_new(a, 404, "RevisionNotFound", "Invalid rev id: %.*s",
                       STR_FMT(str_first(rev, 200)));
    TRY(branch_at(s, r->id, found.commit, &found.branch_id));
    *ret = found;
    return OK;
}
