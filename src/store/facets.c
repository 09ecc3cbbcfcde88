/* facets.c — see facets.h.
 *
 *     repo_change ──new rows──▶ refresh ──▶ rows[] ── tags of row i: pool[first, first + count)
 *                                                     pool holds numbers into names[]
 *
 * A changed repository gets its tags at the end of the pool; what it had before is waste, and when
 * half of the pool is, everything is read again.
 */
#include "store/facets.h"
#include "base/io.h"
#include "base/text.h"
#include "store/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_KEPT 200000  /* a process that is further behind reads everything again */
#define SEARCH_IDS_MAX 50000 /* repositories of one search term */

struct row {
    int64_t id, owner_id;
    uint32_t first, count;
    uint8_t kind;
    bool is_live, is_private;
    int64_t parameters;
};

struct name {
    char *ptr;
    uint32_t len;
};

struct facets {
    pthread_rwlock_t lock; /* guards everything below */
    struct row *rows;      /* by id */
    uint32_t *pool;
    struct name *names;
    uint32_t *slots; /* open addressing: number of a name + 1 */
    size_t row_count, row_cap, pool_count, pool_cap, waste, name_count, name_cap, slot_count;
    int64_t seq; /* of repo_change, applied */
    bool is_loaded;
};

static void *grown(void *p, size_t *cap, size_t need_count, size_t item)
{
    size_t cap_new = *cap ? *cap : 1024;

    if (need_count <= *cap)
        return p;
    while (cap_new < need_count)
        cap_new *= 2;
    p = realloc(p, cap_new * item);
    if (!p)
        abort();
    *cap = cap_new;
    return p;
}

struct facets *facets_new(void)
{
    struct facets *f = calloc(1, sizeof *f);

    if (!f)
        abort();
    pthread_rwlock_init(&f->lock, NULL);
    return f;
}

static void clear(struct facets *f)
{
    for (size_t i = 0; i < f->name_count; i++)
        free(f->names[i].ptr);
    f->row_count = f->pool_count = f->waste = f->name_count = 0;
    if (f->slots)
        memset(f->slots, 0, f->slot_count * sizeof *f->slots);
    f->is_loaded = false;
}

void facets_free(struct facets *f)
{
    if (!f)
        return;
    clear(f);
    free(f->rows);
    free(f->pool);
    free(f->names);
    free(f->slots);
    pthread_rwlock_destroy(&f->lock);
    free(f);
}

/* --- names --- */

static size_t slot_of(const struct facets *f, str name)
{
    size_t i = str_hash(name) & (f->slot_count - 1);

    while (f->slots[i]) {
        const struct name *n = &f->names[f->slots[i] - 1];

        if (str_eq(name, (str){n->ptr, n->len}))
            break;
        i = (i + 1) & (f->slot_count - 1);
    }
    return i;
}

static void grow_slots(struct facets *f)
{
    size_t count = f->slot_count ? f->slot_count * 2 : 1024;

    free(f->slots);
    f->slots = calloc(count, sizeof *f->slots);
    if (!f->slots)
        abort();
    f->slot_count = count;
    for (size_t i = 0; i < f->name_count; i++)
        f->slots[slot_of(f, (str){f->names[i].ptr, f->names[i].len})] = (uint32_t)i + 1;
}

/* The number of a tag; UINT32_MAX when there is none and `make` is false. */
static uint32_t number_of(struct facets *f, str name, bool make)
{
    size_t slot;
    char *copy;

    if (f->name_count * 2 >= f->slot_count) {
        if (!make && !f->slot_count)
            return UINT32_MAX;
        if (make)
            grow_slots(f);
    }
    slot = slot_of(f, name);
    if (f->slots[slot] || !make)
        return f->slots[slot] ? f->slots[slot] - 1 : UINT32_MAX;
    f->names = grown(f->names, &f->name_cap, f->name_count + 1, sizeof *f->names);
    copy = malloc(name.len + 1);
    if (!copy)
        abort();
    memcpy(copy, name.ptr, name.len);
    f->names[f->name_count] = (struct name){copy, (uint32_t)name.len};
    f->slots[slot] = (uint32_t)++f->name_count;
    return (uint32_t)f->name_count - 1;
}

/* --- reading the database --- */

/* The row of this id, made in its place. */
static struct row *row_of(struct facets *f, int64_t id)
{
    size_t low = 0, high = f->row_count;

    if (high && f->rows[high - 1].id < id)
        low = high; /* the usual case: ids grow */
    while (low < high) {
        size_t mid = (low + high) / 2;

        if (f->rows[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < f->row_count && f->rows[low].id == id)
        return &f->rows[low];
    f->rows = grown(f->rows, &f->row_cap, f->row_count + 1, sizeof *f->rows);
    memmove(&f->rows[low + 1], &f->rows[low], (f->row_count - low) * sizeof *f->rows);
    f->row_count++;
    f->rows[low] = (struct row){.id = id};
    return &f->rows[low];
}

static void set_row(struct facets *f, struct db_stmt *q)
{
    struct row *row = row_of(f, db_i64(q, 0));

    f->waste += row->count;
    row->kind = (uint8_t)db_i64(q, 1);
    row->owner_id = db_i64(q, 2);
    row->is_private = !str_eq(db_view(q, 3), STR("public"));
    row->is_live = str_eq(db_view(q, 4), STR("live"));
    row->parameters = db_i64(q, 5);
    row->first = (uint32_t)f->pool_count;
    row->count = 0;
}

static void add_tag(struct facets *f, int64_t id, str tag)
{
    struct row *row = row_of(f, id);
    uint32_t number = number_of(f, tag, true);

    if (row->count && row->first + row->count != f->pool_count)
        return; /* rows come in order of their ids; anything else is damage */
    if (!row->count)
        row->first = (uint32_t)f->pool_count;
    f->pool = grown(f->pool, &f->pool_cap, f->pool_count + 1, sizeof *f->pool);
    f->pool[f->pool_count++] = number;
    row->count++;
}

#define ROW_COLS "id, kind, owner_id, visibility, state, num_parameters"
static const struct sql ALL_ROWS = SQL_INIT("SELECT " ROW_COLS " FROM repo ORDER BY id");
static const struct sql ALL_TAGS = SQL_INIT("SELECT repo_id, tag FROM repo_tag ORDER BY repo_id");
static const struct sql ONE_ROW = SQL_INIT("SELECT " ROW_COLS " FROM repo WHERE id = ?1");
static const struct sql ONE_TAGS = SQL_INIT("SELECT repo_id, tag FROM repo_tag WHERE repo_id = ?1");
static const struct sql LAST =
    SQL_INIT("SELECT coalesce(max(seq), 0), coalesce(min(seq), 0) FROM repo_change");
static const struct sql CHANGED =
    SQL_INIT("SELECT DISTINCT repo_id FROM repo_change WHERE seq > ?1 AND seq <= ?2 ORDER BY 1");
static const struct sql TRIM =
    SQL_INIT("DELETE FROM repo_change WHERE seq <= (SELECT max(seq) FROM repo_change) - ?1");

static err read_rows(struct facets *f, struct db *db, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    if (id)
        db_bind_i64(q, 1, id);
    while (db_next(q))
        set_row(f, q);
    return db_error(q);
}

static err read_tags(struct facets *f, struct db *db, struct sql sql, int64_t id)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, sql));
    if (id)
        db_bind_i64(q, 1, id);
    while (db_next(q))
        add_tag(f, db_i64(q, 0), db_view(q, 1));
    return db_error(q);
}

static err read_seq(struct db *db, int64_t *ret_last, int64_t *ret_first)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, LAST));
    if (!db_next(q))
        return db_error(q);
    *ret_last = db_i64(q, 0);
    *ret_first = db_i64(q, 1);
    return OK;
}

static err read_changed(struct db *db, int64_t after, int64_t last, int64_t *ids, size_t max,
                        size_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, CHANGED));
    db_bind_i64(q, 1, after);
    db_bind_i64(q, 2, last);
    *ret = 0;
    while (*ret < max && db_next(q))
        ids[(*ret)++] = db_i64(q, 0);
    return db_error(q);
}

static err load_fn(struct db *db, void *arg)
{
    struct facets *f = arg;
    int64_t first;

    clear(f);
    TRY(read_seq(db, &f->seq, &first));
    TRY(read_rows(f, db, ALL_ROWS, 0));
    TRY(read_tags(f, db, ALL_TAGS, 0));
    f->waste = 0;
    f->is_loaded = true;
    return OK;
}

static err refresh_fn(struct db *db, void *arg)
{
    struct facets *f = arg;
    int64_t last, first, *ids;
    size_t count = 0;
    err e = OK;

    TRY(read_seq(db, &last, &first));
    if (last == f->seq)
        return OK;
    if (first > f->seq + 1 || last < f->seq || last - f->seq > CHANGES_KEPT / 2 ||
        f->waste * 2 > f->pool_count + 1024)
        return load_fn(db, f);
    ids = malloc((size_t)(last - f->seq) * sizeof *ids);
    if (!ids)
        abort();
    e = read_changed(db, f->seq, last, ids, (size_t)(last - f->seq), &count);
    for (size_t i = 0; i < count && !e; i++) {
        struct row *row = row_of(f, ids[i]);

        row->is_live = false; /* stays so when its row is gone */
        e = read_rows(f, db, ONE_ROW, ids[i]);
        if (!e)
            e = read_tags(f, db, ONE_TAGS, ids[i]);
    }
    free(ids);
    if (!e)
        f->seq = last;
    else
        f->is_loaded = false;
    return e;
}

/* After this the index is what the database was a moment ago. */
static err refresh(struct store *s)
{
    struct facets *f = s->facets;
    err e;

    pthread_rwlock_wrlock(&f->lock);
    e = db_read(s->hub, f->is_loaded ? refresh_fn : load_fn, f);
    pthread_rwlock_unlock(&f->lock);
    return e;
}

/* --- counting --- */

struct question {
    const struct repo_query *q;
    uint32_t filters[REPO_FILTERS_MAX];
    int64_t owner_id; /* 0: any; -1: nobody of that name */
    int64_t *mine;    /* owners whose private repositories the viewer sees */
    size_t mine_count;
    int64_t *found; /* ids of the search, sorted; NULL: no search */
    size_t found_count;
    bool is_nothing, is_partial;
};

static bool is_mine(const struct question *x, int64_t owner_id)
{
    for (size_t i = 0; i < x->mine_count; i++)
        if (x->mine[i] == owner_id)
            return true;
    return false;
}

static bool has_tags(const struct facets *f, const struct question *x, const struct row *row)
{
    for (size_t i = 0; i < x->q->filter_count; i++) {
        uint32_t k = 0;

        while (k < row->count && f->pool[row->first + k] != x->filters[i])
            k++;
        if (k == row->count)
            return false;
    }
    return true;
}

static bool meets(const struct facets *f, const struct question *x, const struct row *row)
{
    if (row->kind != (uint8_t)x->q->kind || !row->is_live ||
        (row->is_private && !x->q->sees_all && !is_mine(x, row->owner_id)))
        return false;
    if ((x->owner_id && row->owner_id != x->owner_id) ||
        (x->q->parameters_min && row->parameters < x->q->parameters_min) ||
        (x->q->parameters_max && (row->parameters > x->q->parameters_max || row->parameters == 0)))
        return false;
    return has_tags(f, x, row);
}

/* Rows and found ids are both sorted: one walk over the two. */
static int64_t count_rows(const struct facets *f, const struct question *x, uint32_t *counts)
{
    int64_t total = 0;
    size_t at = 0;

    for (size_t i = 0; i < f->row_count; i++) {
        const struct row *row = &f->rows[i];

        if (x->found) {
            while (at < x->found_count && x->found[at] < row->id)
                at++;
            if (at == x->found_count)
                break;
            if (x->found[at] != row->id)
                continue;
        }
        if (!meets(f, x, row))
            continue;
        total++;
        for (uint32_t k = 0; k < row->count; k++)
            counts[f->pool[row->first + k]]++;
    }
    return total;
}

static int by_count(const void *x, const void *y)
{
    const struct facet_count *p = x, *q = y;

    if (p->repos != q->repos)
        return p->repos > q->repos ? -1 : 1;
    return str_cmp(p->tag, q->tag);
}

static void collect(const struct facets *f, struct arena *a, const uint32_t *counts,
                    struct facet_list *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < f->name_count; i++)
        n += counts[i] > 0;
    ret->items = arena_many(a, struct facet_count, n + 1);
    for (size_t i = 0; i < f->name_count; i++)
        if (counts[i])
            ret->items[ret->count++] =
                (struct facet_count){(str){f->names[i].ptr, f->names[i].len}, counts[i]};
    if (n)
        qsort(ret->items, n, sizeof *ret->items, by_count);
    if (ret->count > FACETS_MAX)
        ret->count = FACETS_MAX;
    for (size_t i = 0; i < ret->count; i++) /* the names move when the index does */
        ret->items[i].tag = arena_str(a, ret->items[i].tag);
}

static err find_owners(struct store *s, struct arena *a, struct question *x)
{
    struct membership_list orgs = {0};
    struct account author;

    if (x->q->author.ptr) {
        TRY(account_find(s->hub, a, x->q->author, &author));
        x->owner_id = author.id ? author.id : -1;
    }
    if (!x->q->viewer)
        return OK;
    TRY(member_orgs(s->hub, a, x->q->viewer->id, &orgs));
    x->mine = arena_many(a, int64_t, orgs.count + 1);
    x->mine[x->mine_count++] = x->q->viewer->id;
    for (size_t i = 0; i < orgs.count; i++)
        x->mine[x->mine_count++] = orgs.items[i].account.id;
    return OK;
}

static int by_id(const void *x, const void *y)
{
    int64_t p = *(const int64_t *)x, q = *(const int64_t *)y;

    return p < q ? -1 : p > q;
}

/* The ids of one term; terms of one or two letters are not counted. */
static err find_term(struct store *s, struct arena *a, str term, int64_t **ret, size_t *ret_count)
{
    static const struct sql search =
        SQL_INIT("SELECT rowid FROM repo_search WHERE repo_search MATCH ?1 LIMIT 50001");
    AUTO_STMT struct db_stmt *q = NULL;
    str quoted = STR("\"");

    for (str rest = text_lower(a, term); rest.ptr;) {
        str part = str_cut(&rest, '"');

        quoted = arena_cat(a, quoted, part, rest.ptr ? STR("\"\"") : STR("\""));
    }
    *ret = arena_many(a, int64_t, SEARCH_IDS_MAX + 1);
    TRY(db_query(s->hub, &q, search));
    db_bind_str(q, 1, quoted);
    while (*ret_count <= SEARCH_IDS_MAX && db_next(q))
        (*ret)[(*ret_count)++] = db_i64(q, 0);
    qsort(*ret, *ret_count, sizeof **ret, by_id);
    return db_error(q);
}

static err find_search(struct store *s, struct arena *a, struct question *x)
{
    for (size_t i = 0; i < x->q->search_count && !x->is_partial; i++) {
        int64_t *ids = NULL;
        size_t count = 0, kept = 0, at = 0;

        if (x->q->search[i].len < 3) {
            x->is_partial = true;
            return OK;
        }
        TRY(find_term(s, a, x->q->search[i], &ids, &count));
        x->is_partial = count > SEARCH_IDS_MAX;
        if (!x->found) {
            x->found = ids;
            x->found_count = count;
            continue;
        }
        for (size_t k = 0; k < x->found_count; k++) {
            while (at < count && ids[at] < x->found[k])
                at++;
            if (at < count && ids[at] == x->found[k])
                x->found[kept++] = x->found[k];
        }
        x->found_count = kept;
    }
    return OK;
}

err facets_count(struct store *s, struct arena *a, const struct repo_query *q,
                 struct facet_list *ret)
{
    struct question x = {.q = q};
    struct facets *f = s->facets;
    uint32_t *counts;

    *ret = (struct facet_list){0};
    TRY(find_owners(s, a, &x));
    TRY(find_search(s, a, &x));
    if (x.is_partial) {
        ret->is_partial = true;
        return OK;
    }
    TRY(refresh(s));
    pthread_rwlock_rdlock(&f->lock);
    for (size_t i = 0; i < q->filter_count; i++) {
        x.filters[i] = number_of(f, q->filter[i], false);
        x.is_nothing |= x.filters[i] == UINT32_MAX;
    }
    counts = calloc(f->name_count + 1, sizeof *counts);
    if (!counts)
        abort();
    if (!x.is_nothing)
        ret->total = count_rows(f, &x, counts);
    collect(f, a, counts, ret);
    pthread_rwlock_unlock(&f->lock);
    free(counts);
    return OK;
}

static err trim_fn(struct db *tx, void *arg)
{
    AUTO_STMT struct db_stmt *q = NULL;

    (void)arg;
    TRY(db_query(tx, &q, TRIM));
    db_bind_i64(q, 1, CHANGES_KEPT);
    return db_run(q);
}

err facets_trim(struct store *s)
{
    return db_write(s->hub, trim_fn, NULL);
}
