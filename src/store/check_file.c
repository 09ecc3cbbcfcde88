/* check_file.c — contents: terms that fit together and into their xorbs, and from which the file
 * hash follows; the list of xorbs a file needs; with --contents, the SHA-256.
 *
 * A file whose xorb is damaged is not told again here: the xorb was, with its files.
 */
#include "store/check_private.h"
#include "store/content_rows.h"
#include "store/file.h"
#include <stdlib.h>
#include <string.h>

#define PAGE 500
#define PIECE (256u << 10)
#define CLAIMS_MAX 1000 /* different SHA-256 that are said to be of one content */

static const struct sql NEXT = SQL_INIT("SELECT id FROM file WHERE id > ?1 ORDER BY id LIMIT ?2");
static const struct sql BY_ID = SQL_INIT("SELECT hash, size FROM file WHERE id = ?1");
static const struct sql PART =
    SQL_INIT("SELECT first, terms FROM file_part WHERE file_id = ?1 AND first >= ?2 ORDER BY first "
             "LIMIT 1");
static const struct sql XORBS =
    SQL_INIT("SELECT xorb_id FROM file_xorb WHERE file_id = ?1 ORDER BY xorb_id");
static const struct sql XORB_FACTS = SQL_INIT("SELECT state, chunk_count FROM xorb WHERE id = ?1");
static const struct sql XORBS_REMOVE = SQL_INIT("DELETE FROM file_xorb WHERE file_id = ?1");
static const struct sql CLAIMS = SQL_INIT(
    "SELECT DISTINCT sha256 FROM repo_file WHERE file_id = ?1 AND state = 'verified' LIMIT 1000");

/* --- the xorbs that terms name: a growing list that stays small --- */

struct ids {
    int64_t *at;
    size_t count, room;
};

static void ids_free(struct ids *l)
{
    free(l->at);
}
#define AUTO_IDS __attribute__((cleanup(ids_free)))

static int by_value(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

    return (a > b) - (a < b);
}

static void ids_tidy(struct ids *l)
{
    size_t kept = 0;

    qsort(l->at, l->count, sizeof *l->at, by_value);
    for (size_t i = 0; i < l->count; i++)
        if (kept == 0 || l->at[kept - 1] != l->at[i])
            l->at[kept++] = l->at[i];
    l->count = kept;
}

static void ids_add(struct ids *l, int64_t id)
{
    if (l->count > 0 && l->at[l->count - 1] == id)
        return;
    if (l->count == l->room && l->count > 0)
        ids_tidy(l);
    if (l->count * 2 >= l->room) {
        l->room = l->room ? l->room * 2 : 64;
        l->at = need(realloc(l->at, l->room * sizeof *l->at));
    }
    l->at[l->count++] = id;
}

/* --- one file --- */

struct look {
    int64_t id;
    file_hash hash;
    uint64_t size;
    bool found;
    const char *why;      /* NULL: its terms are in order */
    bool has_bad_xorb;    /* then the hash cannot be told */
    bool names_are_wrong; /* file_xorb is not what the terms name */
    struct ids ids;
    struct merkle tree;
};

static err find_row(struct check *c, int64_t id, struct look *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    ret->id = id;
    TRY(db_query(c->store->hub, &q, BY_ID));
    db_bind_i64(q, 1, id);
    ret->found = db_next(q);
    if (!ret->found)
        return db_error(q);
    if (!db_hash(q, 0, ret->hash.b, sizeof ret->hash.b))
        ret->why = "its hash has another length";
    ret->size = (uint64_t)db_i64(q, 1);
    return OK;
}

/* *ret_chunks 0: there is no such xorb; *ret_bad: it cannot be read. */
static err xorb_facts(struct check *c, int64_t id, int64_t *ret_chunks, bool *ret_bad)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret_chunks = 0;
    TRY(db_query(c->store->hub, &q, XORB_FACTS));
    db_bind_i64(q, 1, id);
    if (!db_next(q))
        return db_error(q);
    *ret_bad = str_eq(db_view(q, 0), STR("damaged"));
    *ret_chunks = db_i64(q, 1);
    return OK;
}

static err look_at_term(struct check *c, struct look *l, struct term t)
{
    const struct xorb_index *x = NULL;
    int64_t chunks;
    bool bad = false;

    ids_add(&l->ids, t.xorb_id);
    if (!c->options.fast)
        TRY(check_index(c, t.xorb_id, &x));
    if (!x) {
        TRY(xorb_facts(c, t.xorb_id, &chunks, &bad));
        if (chunks == 0)
            l->why = "it needs a xorb that is not there";
        else if (!bad && t.end_chunk > chunks)
            l->why = "it needs chunks that its xorb does not have";
        l->has_bad_xorb |= bad || !c->options.fast;
        return OK;
    }
    if (t.end_chunk > x->count ||
        x->raw_end[t.end_chunk - 1] - xorb_raw_start(x, t.first_chunk) != t.raw_len) {
        l->why = "its terms do not fit its xorbs";
        return OK;
    }
    for (uint32_t k = t.first_chunk; k < t.end_chunk; k++)
        merkle_add(&l->tree, x->chunks[k], xorb_raw_len(x, k));
    return OK;
}

/* The part that begins at `offset`; ptr NULL: there is none. */
static err read_part(struct check *c, const struct look *l, uint64_t offset, str *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = STR_NONE;
    TRY(db_query(c->store->hub, &q, PART));
    db_bind_i64(q, 1, l->id);
    db_bind_i64(q, 2, (int64_t)offset);
    if (db_next(q) && db_i64(q, 0) == (int64_t)offset)
        *ret = db_blob(q, 1, c->a);
    return db_error(q);
}

static err look_at_terms(struct check *c, struct look *l)
{
    uint64_t offset = 0;

    merkle_init(&l->tree);
    while (!l->why && offset < l->size) {
        struct arena_mark m = arena_mark(c->a);
        struct term_list list = {0};
        str packed;

        TRY(read_part(c, l, offset, &packed));
        if (!packed.ptr || term_list_open(packed, &list) || list.count == 0)
            l->why = "a part of its terms is missing or damaged";
        for (uint64_t i = 0; !l->why && i < list.count; i++)
            TRY(look_at_term(c, l, term_at(&list, i)));
        offset += list.size;
        arena_rewind(c->a, m);
    }
    if (!l->why && offset != l->size)
        l->why = "its terms add up to another size";
    if (!l->why && !l->has_bad_xorb && !c->options.fast &&
        !file_hash_eq(merkle_file_hash(&l->tree), l->hash))
        l->why = "its terms do not give its hash";
    return OK;
}

static err look_at_names(struct check *c, struct look *l)
{
    size_t count = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    if (l->ids.count)
        ids_tidy(&l->ids);
    TRY(db_query(c->store->hub, &q, XORBS));
    db_bind_i64(q, 1, l->id);
    while (db_next(q)) {
        l->names_are_wrong |= count >= l->ids.count || l->ids.at[count] != db_i64(q, 0);
        count++;
    }
    l->names_are_wrong |= count != l->ids.count;
    return db_error(q);
}

static void look_free(struct look *l)
{
    ids_free(&l->ids);
    l->ids = (struct ids){0};
}
#define AUTO_LOOK __attribute__((cleanup(look_free)))

static err look(struct check *c, int64_t id, struct look *ret)
{
    look_free(ret);
    *ret = (struct look){0};
    TRY(find_row(c, id, ret));
    if (!ret->found || ret->why)
        return OK;
    TRY(look_at_terms(c, ret));
    return ret->why ? OK : look_at_names(c, ret);
}

/* --- telling and repairing --- */

static str name_of(struct check *c, const struct look *l)
{
    return file_hash_text(c->a, l->hash);
}

static err names_fn(struct db *tx, void *arg)
{
    const struct look *l = arg;

    TRY(check_run_id(tx, XORBS_REMOVE, l->id));
    for (size_t i = 0; i < l->ids.count; i++)
        TRY(file_xorb_add(tx, l->id, l->ids.at[i]));
    return OK;
}

static err tell(struct check *c, struct look *l)
{
    bool done = false;

    if (l->why) {
        if (!c->options.fast)
            TRY(check_terms_restore(c, l->id, &done));
        check_found(c,
                    !done               ? CHECK_DAMAGED
                    : c->options.repair ? CHECK_REPAIRED
                                        : CHECK_REPAIRABLE,
                    "content", name_of(c, l), "%s; %s", l->why,
                    done ? "a shard that was kept has them" : "upload it again");
        check_touch_file(c, l->id);
    } else if (l->names_are_wrong) {
        check_found(c, check_fix(c, names_fn, l), "content", name_of(c, l),
                    "the xorbs it is said to need are not those of its terms");
    }
    return OK;
}

/* --- SHA-256 --- */

static err hash_parts(struct hasher *h, const struct source_out *out, char *piece)
{
    for (size_t i = 0; i < out->count; i++) {
        const struct source_part *p = &out->part[i];
        uint64_t done = 0;

        if (p->fd < 0) {
            hasher_add(h, p->ptr, p->len);
            continue;
        }
        while (done < p->len) {
            size_t want = p->len - done < PIECE ? (size_t)(p->len - done) : PIECE;

            if (pread_full(p->fd, piece, want, p->offset + done) != (ssize_t)want)
                return &data_corrupt;
            hasher_add(h, piece, want);
            done += want;
        }
    }
    return OK;
}

static err hash_content(struct check *c, const struct content *content, sha256 *ret)
{
    struct source *s;
    enum source_state state = SOURCE_MORE;
    struct hasher *h;
    char *piece;
    err e = OK;

    TRY(content_source(c->store, c->a, content, 0, content->size, &s));
    h = sha256_new();
    piece = need(malloc(PIECE));
    while (!e && state == SOURCE_MORE) {
        struct source_out out;

        out.count = 0;
        e = s->fill(s, &out, &state);
        if (!e)
            e = hash_parts(h, &out, piece);
    }
    s->close(s);
    free(piece);
    *ret = sha256_end(h);
    return e;
}

static err unverify_fn(struct db *tx, void *arg)
{
    const struct content *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q,
                 SQL("UPDATE repo_file SET state = 'claimed' WHERE file_id = ?1 AND sha256 = ?2")));
    db_bind_i64(q, 1, x->file_id);
    db_bind_hash(q, 2, x->sha256);
    return db_run(q);
}

static err check_contents(struct check *c, const struct look *l)
{
    struct content content = {.file_id = l->id, .hash = l->hash, .size = l->size};
    sha256 *claims = arena_many(c->a, sha256, CLAIMS_MAX), real;
    size_t count = 0;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(c->store->hub, &q, CLAIMS));
        db_bind_i64(q, 1, l->id);
        while (count < CLAIMS_MAX && db_next(q))
            if (db_hash(q, 0, claims[count].b, sizeof claims[count].b))
                count++;
        TRY(db_error(q));
    }
    if (count == 0)
        return OK;
    if (hash_content(c, &content, &real))
        return OK; /* some of it is damaged, which the xorbs told */
    c->result.file_bytes += l->size;
    for (size_t i = 0; i < count; i++) {
        if (sha256_eq(claims[i], real))
            continue;
        content.sha256 = claims[i];
        if (c->options.repair)
            TRY(db_write(c->store->hub, unverify_fn, &content));
        check_found(c, CHECK_DAMAGED, "content", name_of(c, l),
                    "it is not the file with the SHA-256 %.*s; upload that again",
                    STR_FMT(sha256_hex(c->a, claims[i])));
        check_touch_file(c, l->id);
    }
    return OK;
}

/* --- all of them --- */

static err check_one(struct check *c, int64_t id)
{
    struct arena_mark m = arena_mark(c->a);
    AUTO_LOOK struct look l = {0};

    TRY(look(c, id, &l));
    if (l.why || l.names_are_wrong) {
        check_indexes_free(c);
        check_settle(c);
        TRY(look(c, id, &l));
    }
    TRY(tell(c, &l));
    if (c->options.contents && l.found && !l.why && !l.has_bad_xorb)
        TRY(check_contents(c, &l));
    c->result.files += l.found;
    arena_rewind(c->a, m);
    return OK;
}

static err run_fn(struct db *tx, void *arg)
{
    return db_exec(tx, *(struct sql *)arg);
}

/* Rows of files that are not there. */
static err check_homeless(struct check *c)
{
    static const struct {
        struct sql find, remove;
        const char *what;
    } rules[] = {
        {SQL_INIT(
             "SELECT count(*) FROM file_part WHERE NOT EXISTS(SELECT 1 FROM file WHERE file.id "
             "= file_id)"),
         SQL_INIT("DELETE FROM file_part WHERE NOT EXISTS(SELECT 1 FROM file WHERE "
                  "file.id = file_id)"),
         "terms"},
        {SQL_INIT(
             "SELECT count(*) FROM file_xorb WHERE NOT EXISTS(SELECT 1 FROM file WHERE file.id "
             "= file_id)"),
         SQL_INIT("DELETE FROM file_xorb WHERE NOT EXISTS(SELECT 1 FROM file WHERE "
                  "file.id = file_id)"),
         "names of xorbs"},
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        int64_t count;
        enum check_state state = CHECK_REPAIRABLE;

        TRY(check_count(c->store->hub, rules[i].find, &count));
        if (count == 0)
            continue;
        if (c->options.repair && !c->rows_doubtful) {
            struct sql remove = rules[i].remove;

            state = check_fix(c, run_fn, &remove);
        }
        check_found(c, state, "content", arena_printf(c->a, "%lld rows", (long long)count),
                    "%s of contents that are not there", rules[i].what);
    }
    return OK;
}

err check_files(struct check *c)
{
    struct id_list page;
    int64_t after = INT64_MIN;

    do {
        struct arena_mark m = arena_mark(c->a);

        TRY(check_page(c, c->store->hub, NEXT, after, PAGE, &page));
        for (size_t i = 0; i < page.count; i++) {
            TRY(check_one(c, after = page.ids[i]));
            check_progress(c, "files", c->result.files);
        }
        arena_rewind(c->a, m);
    } while (page.count == PAGE);
    return check_homeless(c);
}
