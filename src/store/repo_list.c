/* repo_list.c — pages of repositories: filters, search, sorts, cursors.
 *
 * There are three ways to a page, and the cheapest by a rough count of rows is taken:
 *
 *   DRIVE  start from the rarest condition, look every repository of it up, sort
 *   WALK   walk the index of the sort order, test the conditions on each repository
 *   SET    the same walk in the index alone, with the ids of the rarest condition collected first:
 *          only those that stand in both are looked up
 *
 * The counts are exact for tags (tag_count) and for what is rare; common conditions are counted up
 * to a limit only.  So a walk may turn out long: it is given a budget of rows, and what it found in
 * them decides how the rest of the page is read, from where the walk stands.
 *
 * The cursor is the sort value and the id of the last row.  An index is entered by its first
 * columns only, so a walk is cut into stretches of one sort value (the ties) and of the rest; a
 * page costs the same anywhere.
 */
#include "base/buf.h"
#include "base/text.h"
#include "store/internal.h"
#include "store/repo_cols.h"
#include <assert.h>
#include <string.h>

#define LIST_LIMIT_MAX 1000
#define SEARCH_MAX_BYTES 256
#define SEARCHES_MAX (sizeof((struct repo_query *)0)->search / sizeof(str))
#define CONDITIONS_MAX (REPO_FILTERS_MAX + SEARCHES_MAX + 2)
#define CANDIDATES_MAX (LIST_LIMIT_MAX + 1) /* ids looked up at once */
#define PARAMS_MAX (CANDIDATES_MAX + 100)   /* those, and what the conditions bind */

/* Rows counted of a condition whose size nobody keeps; counting more costs more than it saves. */
#define COUNT_MAX_INDEX 20000
#define COUNT_MAX_SEARCH 4000
#define COMMON_SHARE 0.05 /* guessed of a condition that has more than that */

/* What a row costs, in nanoseconds; only their proportions matter. */
#define NS_DRIVE 2000.0 /* looked up in `repo` and sorted */
#define NS_TEST 1100.0  /* walked, looked up and tested */
#define NS_COLLECT 150.0
#define NS_STEP 150.0 /* walked and looked for in the set */
#define BUDGET_MIN 50

#define SET_BITS (1u << 20) /* of ids, the highest bits cut off: a set may hold too much */
#define CANDIDATES_MIN 50   /* looked up at once */

/* Where SQLite and PostgreSQL differ.  CROSS JOIN keeps the order of the tables in SQLite, and a
 * unary plus keeps a column away from the indexes; to PostgreSQL both say nothing. */
#define SQL_SEARCH "SELECT rowid AS n FROM repo_search WHERE repo_search MATCH "
#define SQL_HOLDS(column) "instr(" column ", "
#define SQL_NO_INDEX "+"

static const char *const sort_columns[] = {
    [SORT_TRENDING] = "trending",
    [SORT_UPDATED] = "updated_at",
    [SORT_CREATED] = "created_at",
    [SORT_DOWNLOADS] = "downloads",
    [SORT_LIKES] = "likes",
    [SORT_PARAMETERS] = "num_parameters",
    [SORT_ID] = "id",
};

/* A query under construction: literals and the values of its parameters, in order. */
struct builder {
    struct buf text;
    struct {
        str s;
        int64_t i;
        bool is_str;
    } params[PARAMS_MAX];
    int count;
};

struct condition {
    enum { BY_OWNER, BY_TAG, BY_PARAMETERS, BY_PREFIX, BY_TERM } by;
    str text, above;   /* tag or search text; of a prefix: the range of names */
    int64_t low, high; /* owner, or the range of parameters */
    int64_t rows;      /* how many repositories meet it */
    bool is_more;      /* that many were counted, there are more */
};

struct place { /* in the sort order */
    int64_t value, id;
};

struct listing {
    const struct repo_query *q;
    struct arena *a;
    struct db *db;
    struct builder b;
    struct condition conditions[CONDITIONS_MAX], *rarest; /* NULL: no condition */
    size_t condition_count;
    bool is_nothing; /* a condition that no repository can meet */
    double total;    /* repositories, at most */
    struct repo_list list;
    int64_t steps;   /* that a walk for the set may still take */
    struct place at; /* where it stopped */
    uint64_t *set;   /* ids that may meet the rarest condition; NULL: not collected */
    int64_t candidates[CANDIDATES_MAX];
    size_t wanted, room; /* `wanted` is one more than the page, to see whether there is more */
};

static void lit(struct builder *b, const char *text)
{
    buf_add(&b->text, str_c(text));
}

static void param_str(struct builder *b, str s)
{
    assert(b->count < PARAMS_MAX);
    b->params[b->count].s = s;
    b->params[b->count].is_str = true;
    buf_printf(&b->text, "?%d", ++b->count);
}

static void param_i64(struct builder *b, int64_t v)
{
    assert(b->count < PARAMS_MAX);
    b->params[b->count].i = v;
    b->params[b->count].is_str = false;
    buf_printf(&b->text, "?%d", ++b->count);
}

static void with_str(struct builder *b, const char *text, str s)
{
    lit(b, text);
    param_str(b, s);
}

static void with_i64(struct builder *b, const char *text, int64_t v)
{
    lit(b, text);
    param_i64(b, v);
}

static struct builder *begin(struct listing *l)
{
    buf_clear(&l->b.text);
    l->b.count = 0;
    return &l->b;
}

static err prepare(struct listing *l, struct db_stmt **ret)
{
    struct builder *b = &l->b;

    TRY(db_query_built(l->db, ret, buf_str(&b->text)));
    for (int i = 0; i < b->count; i++)
        if (b->params[i].is_str)
            db_bind_str(*ret, i + 1, b->params[i].s);
        else
            db_bind_i64(*ret, i + 1, b->params[i].i);
    return OK;
}

/* --- conditions --- */

/* A text as one FTS5 phrase: quoted, so that nothing in it is query syntax.  A NUL would end it. */
static str phrase(struct arena *a, str text)
{
    char *p = arena_array(a, text.len + 1, 2);
    size_t len = 0;

    p[len++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            p[len++] = '"';
        p[len++] = text.ptr[i] ? text.ptr[i] : ' ';
    }
    p[len++] = '"';
    return (str){p, len};
}

/* The ids that meet a condition, as `n`. */
static void add_source(struct listing *l, const struct condition *c)
{
    struct builder *b = &l->b;

    switch (c->by) {
    case BY_OWNER:
        with_i64(b, "SELECT id AS n FROM repo WHERE owner_id = ", c->low);
        break;
    case BY_TAG:
        with_str(b, "SELECT repo_id AS n FROM repo_tag WHERE tag = ", c->text);
        with_i64(b, " AND kind = ", l->q->kind);
        return;
    case BY_PARAMETERS:
        with_i64(b, "SELECT id AS n FROM repo WHERE num_parameters >= ", c->low);
        with_i64(b, " AND num_parameters <= ", c->high);
        break;
    case BY_PREFIX:
        with_str(b, "SELECT id AS n FROM repo WHERE name_key >= ", c->text);
        with_str(b, " AND name_key < ", c->above);
        break;
    case BY_TERM:
        with_str(b, SQL_SEARCH, phrase(l->a, c->text));
        return;
    }
    with_i64(b, " AND kind = ", l->q->kind);
    lit(b, " AND state = 'live'");
}

static bool is_ascii(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80 || !s.ptr[i])
            return false;
    return true;
}

/* The condition, asked of one repository. */
static void add_test(struct listing *l, const struct condition *c)
{
    struct builder *b = &l->b;

    switch (c->by) {
    case BY_OWNER:
        with_i64(b, " AND repo.owner_id = ", c->low);
        return;
    case BY_TAG:
        with_i64(b, " AND EXISTS (SELECT 1 FROM repo_tag WHERE repo_tag.kind = ", l->q->kind);
        with_str(b, " AND tag = ", c->text);
        lit(b, " AND repo_id = ids.n)");
        return;
    case BY_PARAMETERS:
        with_i64(b, " AND repo.num_parameters >= ", c->low);
        with_i64(b, " AND repo.num_parameters <= ", c->high);
        return;
    case BY_PREFIX:
        with_str(b, " AND repo.name_key >= ", c->text);
        with_str(b, " AND repo.name_key < ", c->above);
        return;
    case BY_TERM:
        if (!is_ascii(c->text)) { /* the search table folds such letters in its own way */
            lit(b, " AND " SQL_NO_INDEX "ids.n IN (");
            add_source(l, c);
            lit(b, ")");
            return;
        }
        with_str(b, " AND " SQL_HOLDS("repo.full_key"), c->text);
        lit(b, ") > 0");
        return;
    }
}

static err count_tag(struct listing *l, struct condition *c)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(l->db, &q, SQL("SELECT repos FROM tag_count WHERE kind = ?1 AND tag = ?2")));
    db_bind_i64(q, 1, l->q->kind);
    db_bind_str(q, 2, c->text);
    c->rows = db_next(q) ? db_i64(q, 0) : 0;
    return db_error(q);
}

static err count_source(struct listing *l, struct condition *c)
{
    int64_t max = c->by == BY_TERM ? COUNT_MAX_SEARCH : COUNT_MAX_INDEX;
    AUTO_STMT struct db_stmt *q = NULL;
    struct builder *b = begin(l);

    lit(b, "SELECT count(*) FROM (");
    add_source(l, c);
    with_i64(b, " LIMIT ", max);
    lit(b, ") AS counted");
    TRY(prepare(l, &q));
    c->rows = db_next(q) ? db_i64(q, 0) : 0;
    c->is_more = c->rows == max;
    return db_error(q);
}

static double share_of(const struct listing *l, const struct condition *c)
{
    double share = l->total > 0 ? (double)c->rows / l->total : 1;

    if (c->is_more && share < COMMON_SHARE)
        share = COMMON_SHARE;
    return share < 1 ? share : 1;
}

static err add_condition(struct listing *l, struct condition c)
{
    struct condition *to = &l->conditions[l->condition_count++];

    assert(l->condition_count <= CONDITIONS_MAX);
    TRY(c.by == BY_TAG ? count_tag(l, &c) : count_source(l, &c));
    *to = c;
    if (c.rows == 0 && c.by != BY_TAG)
        l->is_nothing = true;
    if (!l->rarest || share_of(l, to) < share_of(l, l->rarest))
        l->rarest = to;
    return OK;
}

/* "abc" is looked up by its trigrams; one or two letters match the beginning of the name. */
static err add_search(struct listing *l, str text)
{
    str key = account_key(l->a, text);
    char *above;

    if (key.len == 0)
        return OK;
    if (key.len > SEARCH_MAX_BYTES) { /* longer than any id */
        l->is_nothing = true;
        return OK;
    }
    if (key.len >= 3)
        return add_condition(l, (struct condition){.by = BY_TERM, .text = key});
    above = arena_alloc(l->a, key.len + 1);
    memcpy(above, key.ptr, key.len);
    above[key.len - 1]++;
    return add_condition(
        l, (struct condition){.by = BY_PREFIX, .text = key, .above = {above, key.len}});
}

static err add_author(struct listing *l)
{
    struct condition c = {.by = BY_OWNER};

    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(db_query(l->db, &q, SQL("SELECT id FROM account WHERE name_key = ?1")));
        db_bind_str(q, 1, account_key(l->a, l->q->author));
        l->is_nothing = !db_next(q);
        if (!l->is_nothing)
            c.low = db_i64(q, 0);
        TRY(db_error(q));
    }
    return l->is_nothing ? OK : add_condition(l, c);
}

static err count_total(struct listing *l)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(l->db, &q, SQL("SELECT coalesce(max(id), 0) FROM repo")));
    l->total = db_next(q) ? (double)db_i64(q, 0) : 0;
    return db_error(q);
}

static err add_conditions(struct listing *l)
{
    const struct repo_query *q = l->q;
    struct condition range = {.by = BY_PARAMETERS, .low = q->parameters_min, .high = INT64_MAX};

    TRY(count_total(l));
    if (q->author.ptr)
        TRY(add_author(l));
    for (size_t i = 0; i < q->filter_count && !l->is_nothing; i++)
        TRY(add_condition(l, (struct condition){.by = BY_TAG, .text = q->filter[i]}));
    if (q->parameters_max > 0) {
        range.low = range.low > 0 ? range.low : 1;
        range.high = q->parameters_max;
    }
    if (range.low > 0 && !l->is_nothing)
        TRY(add_condition(l, range));
    for (size_t i = 0; i < q->search_count && !l->is_nothing; i++)
        TRY(add_search(l, q->search[i]));
    return OK;
}

/* --- places in the order --- */

/* Cursor text: base64url of "value:id". */
static bool cursor_parse(struct arena *a, str cursor, struct place *ret)
{
    str text, value;

    if (!base64_decode(a, cursor, &text))
        return false;
    value = str_cut(&text, ':');
    return str_i64(value, &ret->value) && str_i64(text, &ret->id);
}

static int64_t sort_value(const struct repo *r, enum repo_sort sort)
{
    switch (sort) {
    case SORT_TRENDING:
        return r->trending;
    case SORT_UPDATED:
        return r->updated_at_ms;
    case SORT_CREATED:
        return r->created_at_ms;
    case SORT_DOWNLOADS:
        return r->downloads;
    case SORT_LIKES:
        return r->likes;
    case SORT_PARAMETERS:
        return r->num_parameters;
    case SORT_ID:
        break;
    }
    return r->id;
}

static void add_order(struct listing *l, const char *value, const char *id)
{
    const char *direction = l->q->ascending ? " ASC" : " DESC";

    lit(&l->b, " ORDER BY ");
    lit(&l->b, value);
    lit(&l->b, direction);
    lit(&l->b, ", ");
    lit(&l->b, id);
    lit(&l->b, direction);
}

/* A part of the order that is one range of the index; NULL: no such bound. */
struct stretch {
    const int64_t *equal;            /* rows of this sort value */
    const int64_t *after, *before;   /* rows between these sort values */
    const int64_t *id_after, *id_to; /* of one sort value: rows after one id, up to another */
};

/* WHERE and its conditions on the table `repo`. */
static void add_stretch(struct listing *l, const struct stretch *s)
{
    const struct {
        const int64_t *bound;
        bool is_id;
        const char *up, *down;
    } bounds[] = {
        {s->equal, false, " = ", " = "},  {s->after, false, " > ", " < "},
        {s->before, false, " < ", " > "}, {s->id_after, true, " > ", " < "},
        {s->id_to, true, " <= ", " >= "},
    };
    struct builder *b = &l->b;

    with_i64(b, " FROM repo WHERE kind = ", l->q->kind);
    lit(b, " AND state = 'live'");
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (!bounds[i].bound)
            continue;
        lit(b, " AND ");
        lit(b, bounds[i].is_id ? "id" : sort_columns[l->q->sort]);
        with_i64(b, l->q->ascending ? bounds[i].up : bounds[i].down, *bounds[i].bound);
    }
}

/* The place `rows` rows on in a stretch, when it is that long. */
static err find_place(struct listing *l, const struct stretch *s, int64_t rows, struct place *ret,
                      bool *ret_found)
{
    AUTO_STMT struct db_stmt *q = NULL;
    struct builder *b = begin(l);

    lit(b, "SELECT ");
    lit(b, sort_columns[l->q->sort]);
    lit(b, ", id");
    add_stretch(l, s);
    add_order(l, sort_columns[l->q->sort], "id");
    with_i64(b, " LIMIT 1 OFFSET ", rows);
    TRY(prepare(l, &q));
    *ret_found = db_next(q);
    if (*ret_found)
        *ret = (struct place){db_i64(q, 0), db_i64(q, 1)};
    return db_error(q);
}

/* The last place of a walk of about `rows` rows; *ret_found false: it ends by itself. */
static err find_end(struct listing *l, const struct place *from, int64_t rows, struct place *ret,
                    bool *ret_found)
{
    *ret_found = false;
    if (from)
        TRY(find_place(l, &(struct stretch){.equal = &from->value, .id_after = &from->id}, rows,
                       ret, ret_found));
    if (*ret_found)
        return OK;
    return find_place(l, &(struct stretch){.after = from ? &from->value : NULL}, rows, ret,
                      ret_found);
}

/* --- queries --- */

enum way { DRIVE, WALK, SET };

static void add_visible(struct builder *b, const struct repo_query *q)
{
    if (q->sees_all)
        return;
    if (!q->viewer) {
        lit(b, " AND repo.visibility = 'public'");
        return;
    }
    with_i64(b, " AND (repo.visibility = 'public' OR repo.owner_id = ", q->viewer->id);
    with_i64(b, " OR repo.owner_id IN (SELECT org_id FROM member WHERE user_id = ", q->viewer->id);
    lit(b, " AND role IN ('read', 'contributor', 'write', 'admin')))");
}

static void add_columns(struct builder *b, const struct repo_query *q)
{
    lit(b, "SELECT ");
    lit(b, q->without_card && q->without_meta ? REPO_COLS_WITH("NULL", "NULL")
           : q->without_card                  ? REPO_COLS_WITH("NULL", "meta")
           : q->without_meta                  ? REPO_COLS_WITH("card", "NULL")
                                              : REPO_COLS);
    lit(b, " FROM (");
}

/* What every way has behind its ids: the repository, and what it must be. */
static void add_repo(struct listing *l, enum way way)
{
    struct builder *b = &l->b;

    lit(b, ") AS ids CROSS JOIN repo WHERE repo.id = ids.n");
    add_visible(b, l->q);
    for (size_t i = 0; i < l->condition_count; i++)
        if (&l->conditions[i] != l->rarest || way != DRIVE)
            add_test(l, &l->conditions[i]);
}

/* Runs the query that was built and adds its rows to the page. */
static err read_rows(struct listing *l)
{
    struct repo_list *list = &l->list;
    AUTO_STMT struct db_stmt *q = NULL;

    with_i64(&l->b, " LIMIT ", (int64_t)(l->wanted - list->count));
    TRY(prepare(l, &q));
    while (list->count < l->wanted && db_next(q)) {
        if (list->count == l->room) {
            struct repo *wider =
                arena_many(l->a, struct repo, l->room = l->room ? l->room * 2 : 16);

            if (list->count)
                memcpy(wider, list->items, list->count * sizeof *wider);
            list->items = wider;
        }
        list->items[list->count++] = repo_read(q, l->a);
    }
    return db_error(q);
}

/* The ids in the index, as `n`, and their sort values. */
static void add_ids(struct listing *l)
{
    lit(&l->b, "SELECT id AS n, ");
    lit(&l->b, sort_columns[l->q->sort]);
    lit(&l->b, " AS v");
}

static err collect(struct listing *l)
{
    AUTO_STMT struct db_stmt *q = NULL;

    l->set = arena_many(l->a, uint64_t, SET_BITS / 64);
    memset(l->set, 0, SET_BITS / 8);
    (void)begin(l);
    add_source(l, l->rarest);
    TRY(prepare(l, &q));
    while (db_next(q)) {
        uint64_t n = (uint64_t)db_i64(q, 0) % SET_BITS;

        l->set[n / 64] |= UINT64_C(1) << n % 64;
    }
    return db_error(q);
}

static err look_up(struct listing *l, const int64_t *ids, size_t count)
{
    struct builder *b = begin(l);

    add_columns(b, l->q);
    add_ids(l);
    for (size_t i = 0; i < count; i++)
        with_i64(b, i ? ", " : " FROM repo WHERE id IN (", ids[i]);
    lit(b, ")");
    add_repo(l, SET);
    add_order(l, "ids.v", "ids.n");
    return read_rows(l);
}

/* Walks a stretch until enough ids of the set came by for one look-up, or the steps are used up:
 * then the stretch may go on after l->at. */
static err find_candidates(struct listing *l, const struct stretch *s, size_t *ret_count,
                           bool *ret_more)
{
    size_t max = l->wanted - l->list.count, count = 0;
    AUTO_STMT struct db_stmt *q = NULL;
    bool more = false;

    max = max < CANDIDATES_MIN ? CANDIDATES_MIN : max;
    (void)begin(l);
    add_ids(l);
    add_stretch(l, s);
    add_order(l, "v", "n");
    TRY(prepare(l, &q));
    while (!more && db_next(q)) {
        int64_t id = db_i64(q, 0);
        uint64_t n = (uint64_t)id % SET_BITS;

        if (l->set[n / 64] >> n % 64 & 1)
            l->candidates[count++] = id;
        more = --l->steps <= 0 || count == max;
        if (more)
            l->at = (struct place){db_i64(q, 1), id};
    }
    *ret_count = count;
    *ret_more = more;
    return db_error(q);
}

/* As read_stretch(); ends early when the steps are used up. */
static err read_set(struct listing *l, struct stretch s)
{
    struct place at;
    size_t count;
    bool more;

    while (l->steps > 0 && l->list.count < l->wanted) {
        TRY(find_candidates(l, &s, &count, &more));
        at = l->at;
        if (count)
            TRY(look_up(l, l->candidates, count));
        if (!more)
            break;
        if (s.equal) {
            s.id_after = &at.id;
            continue;
        }
        TRY(read_set(l, (struct stretch){.equal = &at.value, .id_after = &at.id}));
        s.after = &at.value;
    }
    return OK;
}

static err read_stretch(struct listing *l, enum way way, const struct stretch *s)
{
    if (l->list.count == l->wanted)
        return OK;
    if (way == SET)
        return read_set(l, *s);
    add_columns(begin(l), l->q);
    add_ids(l);
    add_stretch(l, s);
    add_repo(l, way);
    add_order(l, "ids.v", "ids.n");
    return read_rows(l);
}

/* Walks after `from` (NULL: from the start) up to `to` (NULL: to the end). */
static err walk(struct listing *l, enum way way, const struct place *from, const struct place *to)
{
    struct stretch s = {0};

    if (way == SET && !l->set)
        TRY(collect(l));
    if (from && to && from->value == to->value)
        return read_stretch(
            l, way,
            &(struct stretch){.equal = &from->value, .id_after = &from->id, .id_to = &to->id});
    if (from) {
        TRY(read_stretch(l, way, &(struct stretch){.equal = &from->value, .id_after = &from->id}));
        s.after = &from->value;
    }
    if (to)
        s.before = &to->value;
    TRY(read_stretch(l, way, &s));
    if (!to)
        return OK;
    return read_stretch(l, way, &(struct stretch){.equal = &to->value, .id_to = &to->id});
}

/* Sorts the ids alone: the other columns of a row cost as much again. */
static err drive(struct listing *l, const struct place *from)
{
    const char *column = arena_cat(l->a, STR("repo."), str_c(sort_columns[l->q->sort])).ptr;
    struct builder *b = begin(l);
    size_t count = 0;

    lit(b, "SELECT repo.id FROM (");
    add_source(l, l->rarest);
    add_repo(l, DRIVE);
    with_i64(b, " AND repo.kind = ", l->q->kind);
    lit(b, " AND repo.state = 'live'");
    if (from) {
        lit(b, " AND (");
        lit(b, column);
        with_i64(b, l->q->ascending ? ", repo.id) > (" : ", repo.id) < (", from->value);
        with_i64(b, ", ", from->id);
        lit(b, ")");
    }
    add_order(l, column, "repo.id");
    with_i64(b, " LIMIT ", (int64_t)(l->wanted - l->list.count));
    {
        AUTO_STMT struct db_stmt *q = NULL;

        TRY(prepare(l, &q));
        while (count < CANDIDATES_MAX && db_next(q))
            l->candidates[count++] = db_i64(q, 0);
        TRY(db_error(q));
    }
    return count ? look_up(l, l->candidates, count) : OK;
}

/* --- the page --- */

/* The cheapest way to `wanted` rows when this share of the walked rows is right. */
static enum way choose(const struct listing *l, double share, double *ret_walked)
{
    double rare = share_of(l, l->rarest) * l->total;
    double walked = (double)(l->wanted - l->list.count) / share;
    double by_drive, by_set, by_walk;

    if (walked > l->total)
        walked = l->total;
    by_drive = rare * NS_DRIVE;
    by_set = rare * NS_COLLECT + walked * NS_STEP;
    by_walk = walked * NS_TEST;
    *ret_walked = walked;
    if (by_drive <= by_set && by_drive <= by_walk)
        return DRIVE;
    return by_set < by_walk ? SET : WALK;
}

/* Walks about `rows` rows after `from`.  *ret_more: the rest is after l->at. */
static err walk_some(struct listing *l, enum way way, const struct place *from, int64_t rows,
                     bool *ret_more)
{
    struct place end;

    if (way == SET) {
        l->steps = rows;
        TRY(walk(l, SET, from, NULL));
        *ret_more = l->steps <= 0;
    } else {
        TRY(find_end(l, from, rows, &end, ret_more));
        TRY(walk(l, way, from, *ret_more ? &end : NULL));
        if (*ret_more)
            l->at = end;
    }
    return OK;
}

static err read_page(struct listing *l, const struct place *from)
{
    double share = 1, rows;
    struct place at;
    enum way way;
    bool more;

    if (!l->rarest)
        return walk(l, WALK, from, NULL);
    for (size_t i = 0; i < l->condition_count; i++)
        share *= share_of(l, &l->conditions[i]);
    way = choose(l, share, &rows);
    if (way == DRIVE)
        return drive(l, from);
    rows = rows * 1.5 + BUDGET_MIN;
    TRY(walk_some(l, way, from, (int64_t)rows, &more));
    if (!more || l->list.count == l->wanted)
        return OK;
    share = ((double)l->list.count + 0.5) / rows; /* now it is known better */
    if (l->rarest->is_more && l->condition_count == 1) {
        l->rarest->rows = (int64_t)(share * l->total);
        l->rarest->is_more = false;
    }
    way = choose(l, share, &rows);
    at = l->at;
    l->steps = INT64_MAX;
    return way == DRIVE ? drive(l, &at) : walk(l, way, &at, NULL);
}

static err list_in(struct db *tx, void *arg)
{
    struct listing *l = arg;
    struct place from;

    l->db = tx;
    if (l->q->cursor.ptr && !cursor_parse(l->a, l->q->cursor, &from))
        return OK;
    TRY(add_conditions(l));
    return l->is_nothing ? OK : read_page(l, l->q->cursor.ptr ? &from : NULL);
}

err repo_list(struct store *s, struct arena *a, const struct repo_query *q, struct repo_list *ret)
{
    int64_t limit = q->limit < 1 ? 1 : q->limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : q->limit;
    struct listing *l = arena_one(a, struct listing);
    const struct repo *last;
    str text;

    l->q = q;
    l->a = a;
    l->wanted = (size_t)limit + 1;
    l->b.text = BUF(32768);
    arena_defer(a, (void (*)(void *))buf_free, &l->b.text);
    TRY(db_read(s->hub, list_in, l));
    if (l->list.count == l->wanted) {
        last = &l->list.items[--l->list.count - 1];
        text =
            arena_printf(a, "%lld:%lld", (long long)sort_value(last, q->sort), (long long)last->id);
        l->list.cursor = base64url_encode(a, text.ptr, text.len);
    }
    *ret = l->list;
    return OK;
}

err repo_count_of(struct db *db, int64_t owner_id, const struct account *viewer, bool sees_all,
                  int64_t ret[REPO_KINDS])
{
    AUTO_STMT struct db_stmt *q = NULL;
    enum member_role role = MEMBER_NONE;
    bool all = sees_all || (viewer && viewer->id == owner_id);

    memset(ret, 0, sizeof *ret * REPO_KINDS);
    if (viewer && !all) {
        TRY(member_role_of(db, owner_id, viewer->id, &role));
        all = role != MEMBER_NONE;
    }
    TRY(db_query(db, &q,
                 SQL("SELECT kind, count(*) FROM repo WHERE owner_id = ?1 AND state = 'live' "
                     "AND (?2 = 1 OR visibility = 'public') GROUP BY kind")));
    db_bind_i64(q, 1, owner_id);
    db_bind_i64(q, 2, all);
    while (db_next(q))
        if (db_i64(q, 0) >= 0 && db_i64(q, 0) < REPO_KINDS)
            ret[db_i64(q, 0)] = db_i64(q, 1);
    return db_error(q);
}
