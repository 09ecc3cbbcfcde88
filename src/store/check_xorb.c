/* check_xorb.c — xorbs: rows against bodies, bodies against their names, sidecars against bodies,
 * chunk keys against sidecars.
 *
 * Bodies are read here without the cache of xorb.c, which repairs and quarantines on its own.
 */
#include "base/clock.h"
#include "store/check_private.h"
#include "store/content_rows.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 200
#define PIECE (256u << 10)
#define INDEXES 32 /* kept between files */

static const struct sql NEXT = SQL_INIT("SELECT id FROM xorb WHERE id > ?1 ORDER BY id LIMIT ?2");
static const struct sql BY_ID =
    SQL_INIT("SELECT hash, generation, chunk_count, raw_bytes, disk_bytes, state, (SELECT count(*) "
             "FROM file_xorb WHERE xorb_id = xorb.id) FROM xorb WHERE id = ?1");
static const struct sql KEYS =
    SQL_INIT("SELECT hash, chunk_index FROM chunk_key WHERE xorb_id = ?1");
static const struct sql KEY_REMOVE =
    SQL_INIT("DELETE FROM chunk_key WHERE hash = ?1 AND xorb_id = ?2");
static const struct sql NEXT_KEY =
    SQL_INIT("SELECT coalesce(min(xorb_id), 0) FROM chunk_key WHERE xorb_id > ?1");
static const struct sql IS_THERE = SQL_INIT("SELECT count(*) FROM xorb WHERE id = ?1");
static const struct sql KEYS_REMOVE = SQL_INIT("DELETE FROM chunk_key WHERE xorb_id = ?1");
static const struct sql SET_FACTS =
    SQL_INIT("UPDATE xorb SET chunk_count = ?2, raw_bytes = ?3, disk_bytes = ?4 WHERE id = ?1");
static const struct sql SET_NAME =
    SQL_INIT("UPDATE xorb SET hash = ?2, generation = ?3 WHERE id = ?1");

struct row {
    int64_t id, generation, users;
    xorb_hash hash;
    uint64_t chunk_count, raw_bytes, disk_bytes;
    bool found, is_named, is_damaged, is_known; /* hash has 32 bytes; the word is known */
};

/* What is wrong with one xorb. */
enum trouble {
    FINE,
    BAD_ROW,   /* nothing can be looked for */
    BAD_STATE, /* a word that is not known */
    KNOWN_BAD, /* marked damaged, and files need it */
    BODY_GONE,
    BODY_BAD,
    BAD_FACTS, /* counts of the row are not those of the body */
};

struct look {
    struct row row;
    enum trouble trouble;
    const char *why;
    bool sidecar_bad;
    struct xorb_index *index; /* of the body, when it was read and is good; else of the sidecar */
};

static err read_row(struct check *c, int64_t id, struct row *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;
    str state;

    *ret = (struct row){.id = id};
    TRY(db_query(c->store->hub, &q, BY_ID));
    db_bind_i64(q, 1, id);
    if (!db_next(q))
        return db_error(q);
    ret->found = true;
    ret->is_named = db_hash(q, 0, ret->hash.b, sizeof ret->hash.b);
    ret->generation = db_i64(q, 1);
    ret->chunk_count = (uint64_t)db_i64(q, 2);
    ret->raw_bytes = (uint64_t)db_i64(q, 3);
    ret->disk_bytes = (uint64_t)db_i64(q, 4);
    state = db_view(q, 5);
    ret->is_damaged = str_eq(state, STR("damaged"));
    ret->is_known =
        ret->is_damaged || str_eq(state, STR("live")) || str_eq(state, STR("condemned"));
    ret->users = db_i64(q, 6);
    return OK;
}

/* --- bodies and sidecars --- */

static err read_body(struct check *c, const struct row *x, struct xorb_index **ret,
                     const char **ret_why)
{
    struct arena_mark m = arena_mark(c->a);
    struct chunk_reader *r = chunk_reader_get(c->store);
    struct xorb_verifier *v = xorb_verifier_new(chunk_reader_decoder(r));
    char *piece = need(malloc(PIECE));
    AUTO_FD int fd = -1;
    uint64_t size, at = 0;
    size_t body;
    err e = blob_open(c->store->blobs, c->a, xorb_key(c->a, BLOB_XORB, x->hash, x->generation), &fd,
                      &size);

    *ret_why = e ? "its file is missing" : NULL;
    if (e && e->status == 404)
        e = OK;
    while (!e && !*ret_why && at < size) {
        ssize_t n = pread_full(fd, piece, PIECE, at);

        if (n <= 0)
            *ret_why = "the disk cannot read it";
        else if (xorb_verifier_feed(v, piece, (size_t)n, &body) || body != (size_t)n)
            *ret_why = "its records are malformed";
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (!e && !*ret_why && xorb_verifier_end(v, x->hash, ret))
        *ret_why = "its content does not match its name";
    free(piece);
    xorb_verifier_free(v);
    chunk_reader_put(c->store, r);
    c->result.xorb_bytes += at;
    arena_rewind(c->a, m);
    return e;
}

/* *ret NULL: there is no good sidecar. */
static err read_sidecar(struct check *c, const struct row *x, uint64_t body_size,
                        struct xorb_index **ret)
{
    struct arena_mark m = arena_mark(c->a);
    AUTO_FD int fd = -1;
    uint64_t size;
    char *p;
    err e = blob_open(c->store->blobs, c->a,
                      xorb_key(c->a, BLOB_XORB_INDEX, x->hash, x->generation), &fd, &size);

    *ret = NULL;
    if (!e && size <= xorb_index_file_len(XORB_CHUNKS_MAX)) {
        p = need(malloc((size_t)size + 1));
        if (pread_full(fd, p, (size_t)size, 0) != (ssize_t)size ||
            xorb_index_read((str){p, (size_t)size}, ret))
            *ret = NULL;
        free(p);
    }
    if (*ret && (!xorb_hash_eq((*ret)->hash, x->hash) || xorb_body_len(*ret) != body_size ||
                 !xorb_index_check(*ret))) {
        xorb_index_free(*ret);
        *ret = NULL;
    }
    arena_rewind(c->a, m);
    return e && e->status != 404 ? e : OK;
}

static bool same_index(const struct xorb_index *x, const struct xorb_index *y)
{
    return x->count == y->count &&
           memcmp(x->raw_end, y->raw_end, x->count * sizeof *x->raw_end) == 0 &&
           memcmp(x->phys_end, y->phys_end, x->count * sizeof *x->phys_end) == 0 &&
           memcmp(x->schemes, y->schemes, x->count) == 0 &&
           memcmp(x->chunks, y->chunks, x->count * sizeof *x->chunks) == 0;
}

static bool facts_agree(const struct row *x, const struct xorb_index *i)
{
    return x->chunk_count == i->count && x->raw_bytes == i->raw_end[i->count - 1] &&
           x->disk_bytes == xorb_body_len(i);
}

static err look_at_blobs(struct check *c, struct look *l)
{
    struct xorb_index *body = NULL, *sidecar = NULL;
    struct blob_stat st;

    TRY(blob_stat(c->store->blobs, c->a, xorb_key(c->a, BLOB_XORB, l->row.hash, l->row.generation),
                  &st));
    if (!st.found) {
        l->trouble = BODY_GONE;
        l->why = "its file is missing";
        return OK;
    }
    TRY(read_sidecar(c, &l->row, st.size, &sidecar));
    if (!c->options.fast || !sidecar) {
        err e = read_body(c, &l->row, &body, &l->why);

        if (e || l->why) {
            xorb_index_free(sidecar);
            l->trouble = BODY_BAD;
            return e;
        }
    }
    l->sidecar_bad = !sidecar || (body && !same_index(body, sidecar));
    l->index = body ?: sidecar;
    if (body)
        xorb_index_free(sidecar);
    if (!facts_agree(&l->row, l->index))
        l->trouble = BAD_FACTS;
    return OK;
}

static err look(struct check *c, int64_t id, struct look *ret)
{
    *ret = (struct look){0};
    TRY(read_row(c, id, &ret->row));
    if (!ret->row.found)
        return OK;
    if (!ret->row.is_named)
        ret->trouble = BAD_ROW;
    else if (ret->row.is_damaged)
        ret->trouble = ret->row.users ? KNOWN_BAD : FINE;
    else
        TRY(look_at_blobs(c, ret));
    if (ret->trouble == FINE && !ret->row.is_known)
        ret->trouble = BAD_STATE;
    return OK;
}

/* --- repairs --- */

/* A body whose row was hit: a file that has the generation, or the hash, that the row has lost. */
struct search {
    struct row row;
    xorb_hash hash;
    int64_t generation;
    bool found;
};

static err compare(struct blob_key key, void *arg)
{
    struct search *s = arg;
    xorb_hash h;

    if (!s->found && xorb_hash_parse(key.hash, &h) &&
        (key.generation == s->row.generation || xorb_hash_eq(h, s->row.hash))) {
        s->hash = h;
        s->generation = key.generation;
        s->found = true;
    }
    return OK;
}

static err name_fn(struct db *tx, void *arg)
{
    const struct search *s = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SET_NAME));
    db_bind_i64(q, 1, s->row.id);
    db_bind_hash(q, 2, s->hash);
    db_bind_i64(q, 3, s->generation);
    return db_run(q);
}

/* Is the body there under another name, and whole?  Then the row was hit, not the body. */
static err find_body(struct check *c, const struct look *l, struct search *ret)
{
    struct row other = l->row;
    struct search s = {.row = other};
    struct xorb_index *index = NULL;
    const char *why;

    *ret = s;
    TRY(blob_each(c->store->blobs, c->a, BLOB_XORB, compare, &s));
    if (!s.found)
        return OK;
    other.hash = s.hash;
    other.generation = s.generation;
    TRY(read_body(c, &other, &index, &why));
    s.found = !why;
    xorb_index_free(index);
    *ret = s;
    return OK;
}

static err facts_fn(struct db *tx, void *arg)
{
    const struct look *l = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, SET_FACTS));
    db_bind_i64(q, 1, l->row.id);
    db_bind_i64(q, 2, l->index->count);
    db_bind_i64(q, 3, l->index->raw_end[l->index->count - 1]);
    db_bind_i64(q, 4, xorb_body_len(l->index));
    return db_run(q);
}

static err state_fn(struct db *tx, void *arg)
{
    return check_run_id(tx, SQL("UPDATE xorb SET state = 'live' WHERE id = ?1"), *(int64_t *)arg);
}

static enum check_state mend_sidecar(struct check *c, const struct look *l)
{
    struct blob_key key = xorb_key(c->a, BLOB_XORB_INDEX, l->row.hash, l->row.generation);

    if (!c->options.repair || blob_remove(c->store->blobs, c->a, key))
        return CHECK_REPAIRABLE;
    return xorb_sidecar_put(c->store, c->a, l->index, l->row.generation) ? CHECK_REPAIRABLE
                                                                         : CHECK_REPAIRED;
}

/* --- telling --- */

static str name_of(struct check *c, const struct row *x)
{
    return arena_printf(c->a, "%.*s.%lld", STR_FMT(xorb_hash_text(c->a, x->hash)),
                        (long long)x->generation);
}

static err tell_body(struct check *c, const struct look *l)
{
    struct search s;

    if (l->trouble == BODY_GONE) {
        TRY(find_body(c, l, &s));
        if (s.found) {
            check_found(c, check_fix(c, name_fn, &s), "xorb", name_of(c, &l->row),
                        "its row is damaged: its body is there as %.*s.%lld",
                        STR_FMT(xorb_hash_text(c->a, s.hash)), (long long)s.generation);
            return OK;
        }
    }
    if (c->options.repair) /* so that nobody is pointed at it, and the next upload repairs it */
        TRY(xorb_set_damaged(c->store, c->a, l->row.id, l->row.hash, l->row.generation));
    if (l->row.users == 0) {
        check_found(c, c->options.repair ? CHECK_REPAIRED : CHECK_REPAIRABLE, "xorb",
                    name_of(c, &l->row), "%s; no file needs it", l->why);
        return OK;
    }
    check_found(c, CHECK_DAMAGED, "xorb", name_of(c, &l->row),
                "%s; uploading one of these files again repairs it", l->why);
    check_touch_xorb(c, l->row.id);
    return OK;
}

static err tell(struct check *c, struct look *l)
{
    int64_t id = l->row.id;

    switch (l->trouble) {
    case FINE:
        return OK;
    case BAD_ROW:
        check_found(c, CHECK_DAMAGED, "xorb", arena_printf(c->a, "row %lld", (long long)id),
                    "its hash has another length; restore a backup");
        check_touch_xorb(c, id);
        return OK;
    case KNOWN_BAD:
        check_found(c, CHECK_DAMAGED, "xorb", name_of(c, &l->row),
                    "it was found damaged before; uploading one of these files again repairs it");
        check_touch_xorb(c, id);
        return OK;
    case BODY_GONE:
    case BODY_BAD:
        return tell_body(c, l);
    case BAD_STATE:
        check_found(c, check_fix(c, state_fn, &id), "xorb", name_of(c, &l->row),
                    "its state is no known word");
        return OK;
    case BAD_FACTS:
        check_found(c, check_fix(c, facts_fn, l), "xorb", name_of(c, &l->row),
                    "the counts in its row are not those of its body");
        return OK;
    }
    return OK;
}

/* --- chunk keys --- */

struct key {
    chunk_hash hash;
    int64_t xorb_id, chunk;
    bool bad;
};

static err remove_key(struct db *tx, void *arg)
{
    const struct key *k = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, KEY_REMOVE));
    db_bind_hash(q, 1, k->hash);
    db_bind_i64(q, 2, k->xorb_id);
    return db_run(q);
}

static err check_keys(struct check *c, const struct look *l)
{
    struct key *keys = arena_many(c->a, struct key, XORB_CHUNKS_MAX);
    size_t count = 0;
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(c->store->hub, &q, KEYS));
        db_bind_i64(q, 1, l->row.id);
        while (count < XORB_CHUNKS_MAX && db_next(q)) {
            struct key *k = &keys[count];

            *k = (struct key){.xorb_id = l->row.id, .chunk = db_i64(q, 1)};
            if (!db_hash(q, 0, k->hash.b, sizeof k->hash.b) || k->chunk < 0 ||
                k->chunk >= l->index->count || !chunk_hash_eq(k->hash, l->index->chunks[k->chunk]))
                count++;
        }
        TRY(db_error(q));
    }
    for (size_t i = 0; i < count; i++)
        check_found(c, check_fix(c, remove_key, &keys[i]), "chunk key",
                    chunk_hash_text(c->a, keys[i].hash),
                    "chunk %lld of xorb %.*s is another one; the key is removed",
                    (long long)keys[i].chunk, STR_FMT(name_of(c, &l->row)));
    return OK;
}

static err remove_keys(struct db *tx, void *arg)
{
    return check_run_id(tx, KEYS_REMOVE, *(int64_t *)arg);
}

static err one_number(struct check *c, struct sql sql, int64_t arg, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    TRY(db_query(c->store->hub, &q, sql));
    db_bind_i64(q, 1, arg);
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

/* Keys of xorbs that are not there. */
static err check_homeless_keys(struct check *c)
{
    int64_t id = INT64_MIN, there = 0;

    for (;;) {
        TRY(one_number(c, NEXT_KEY, id, &id));
        if (id == 0)
            return OK;
        TRY(one_number(c, IS_THERE, id, &there));
        if (there)
            continue;
        check_settle(c);
        TRY(one_number(c, IS_THERE, id, &there));
        if (!there)
            check_found(c, check_fix(c, remove_keys, &id), "chunk key",
                        arena_printf(c->a, "of xorb row %lld", (long long)id),
                        "there is no such xorb; the keys are removed");
    }
}

/* --- all of them --- */

static void look_free(struct look *l)
{
    xorb_index_free(l->index);
    l->index = NULL;
}
#define AUTO_LOOK __attribute__((cleanup(look_free)))

static err check_one(struct check *c, int64_t id)
{
    struct arena_mark m = arena_mark(c->a);
    AUTO_LOOK struct look l = {0};

    TRY(look(c, id, &l));
    if (l.trouble != FINE || l.sidecar_bad) {
        look_free(&l);
        check_settle(c);
        TRY(look(c, id, &l));
    }
    TRY(tell(c, &l));
    if (l.sidecar_bad)
        check_found(c, mend_sidecar(c, &l), "xorb index", name_of(c, &l.row),
                    "it is not that of its body; it is written anew");
    if (l.index && l.row.found)
        TRY(check_keys(c, &l));
    c->result.xorbs += l.row.found;
    arena_rewind(c->a, m);
    return OK;
}

err check_xorbs(struct check *c)
{
    struct id_list page;
    int64_t after = INT64_MIN;

    do {
        struct arena_mark m = arena_mark(c->a);

        TRY(check_page(c, c->store->hub, NEXT, after, PAGE, &page));
        for (size_t i = 0; i < page.count; i++) {
            TRY(check_one(c, after = page.ids[i]));
            check_progress(c, "xorbs", c->result.xorbs);
        }
        arena_rewind(c->a, m);
    } while (page.count == PAGE);
    return check_homeless_keys(c);
}

/* --- chunk lists for check_file.c --- */

struct index_slot {
    int64_t xorb_id;
    struct xorb_index *index;
};

void check_indexes_free(struct check *c)
{
    for (size_t i = 0; c->indexes && i < INDEXES; i++)
        xorb_index_free(c->indexes[i].index);
    free(c->indexes);
    c->indexes = NULL;
}

err check_index(struct check *c, int64_t xorb_id, const struct xorb_index **ret)
{
    struct index_slot *slot;
    struct blob_stat st;
    struct row x;
    const char *why;

    if (!c->indexes)
        c->indexes = need(calloc(INDEXES, sizeof *c->indexes));
    slot = &c->indexes[(uint64_t)xorb_id % INDEXES];
    *ret = slot->index;
    if (slot->index && slot->xorb_id == xorb_id)
        return OK;
    xorb_index_free(slot->index);
    *slot = (struct index_slot){.xorb_id = xorb_id};
    *ret = NULL;
    TRY(read_row(c, xorb_id, &x));
    if (!x.found || !x.is_named || x.is_damaged)
        return OK;
    TRY(blob_stat(c->store->blobs, c->a, xorb_key(c->a, BLOB_XORB, x.hash, x.generation), &st));
    if (st.found)
        TRY(read_sidecar(c, &x, st.size, &slot->index));
    if (st.found && !slot->index)
        TRY(read_body(c, &x, &slot->index, &why));
    *ret = slot->index;
    return OK;
}
