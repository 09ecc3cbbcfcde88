/* repo_list.c — pages of repositories: filters, search, sorts, cursors.
 *
 * A page walks the index of its sort order and tests the other conditions row by row, or, when a
 * rare condition exists (a tag that few repositories have, a search text), starts from that one.
 * The cursor is the sort value and the id of the last row, so that a page costs the same anywhere.
 */
#include "base/buf.h"
#include "base/text.h"
#include "store/internal.h"
#include "store/repo_cols.h"
#include <assert.h>
#include <string.h>

#define LIST_LIMIT_MAX 1000
#define SEARCH_MAX_BYTES 256
#define RARE_TAG_MAX 2000 /* repositories; below, the tag drives the query */
#define PARAMS_MAX                                                                                 \
    64 /* kind, viewer, author, 4 searches, 16 filters, bounds, cursor, limit: 49                  \
        */

static const struct {
    const char *column;
} sorts[] = {
    [SORT_TRENDING] = {"repo.trending"},
    [SORT_UPDATED] = {"repo.updated_at"},
    [SORT_CREATED] = {"repo.created_at"},
    [SORT_DOWNLOADS] = {"repo.downloads"},
    [SORT_LIKES] = {"repo.likes"},
    [SORT_PARAMETERS] = {"repo.num_parameters"},
    [SORT_ID] = {"repo.id"},
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
    buf_printf(&b->text, "?%d", ++b->count);
}

static void bind_all(struct builder *b, struct db_stmt *q)
{
    for (int i = 0; i < b->count; i++)
        if (b->params[i].is_str)
            db_bind_str(q, i + 1, b->params[i].s);
        else
            db_bind_i64(q, i + 1, b->params[i].i);
}

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

static void add_visible(struct builder *b, const struct repo_query *q)
{
    if (q->sees_all)
        return;
    if (!q->viewer) {
        lit(b, " AND repo.visibility = 'public'");
        return;
    }
    lit(b, " AND (repo.visibility = 'public' OR repo.owner_id = ");
    param_i64(b, q->viewer->id);
    lit(b, " OR repo.owner_id IN (SELECT org_id FROM member WHERE user_id = ");
    param_i64(b, q->viewer->id);
    lit(b, " AND role IN ('read', 'contributor', 'write', 'admin')))");
}

/* "abc" is looked up by its trigrams; one or two letters match the beginning of the name. */
static void add_search(struct builder *b, struct arena *a, str text)
{
    str key = account_key(a, text);

    if (key.len > SEARCH_MAX_BYTES) {
        lit(b, " AND 1 = 0"); /* longer than any id */
    } else if (key.len >= 3) {
        lit(b, " AND repo.id IN (SELECT rowid FROM repo_search WHERE repo_search MATCH ");
        param_str(b, phrase(a, key));
        lit(b, ")");
    } else if (key.len > 0) {
        char *above = arena_alloc(a, key.len + 1);

        memcpy(above, key.ptr, key.len);
        above[key.len - 1]++;
        lit(b, " AND repo.name_key >= ");
        param_str(b, key);
        lit(b, " AND repo.name_key < ");
        param_str(b, (str){above, key.len});
    }
}

static err tag_repos(struct db *db, enum repo_kind kind, str tag, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(db, &q, SQL("SELECT repos FROM tag_count WHERE kind = ?1 AND tag = ?2")));
    db_bind_i64(q, 1, kind);
    db_bind_str(q, 2, tag);
    *ret = db_next(q) ? db_i64(q, 0) : 0;
    return db_error(q);
}

/* Tags: the rarest one drives when it is rare, the others are tested per row. */
static err add_tags(struct builder *b, struct db *db, const struct repo_query *q)
{
    int64_t rarest = INT64_MAX, n;
    size_t driver = 0;

    for (size_t i = 0; i < q->filter_count; i++) {
        TRY(tag_repos(db, q->kind, q->filter[i], &n));
        if (n < rarest) {
            rarest = n;
            driver = i;
        }
    }
    for (size_t i = 0; i < q->filter_count; i++) {
        if (i == driver && rarest <= RARE_TAG_MAX) {
            lit(b, " AND repo.id IN (SELECT repo_id FROM repo_tag WHERE kind = ");
            param_i64(b, q->kind);
            lit(b, " AND tag = ");
            param_str(b, q->filter[i]);
            lit(b, ")");
        } else {
            lit(b, " AND EXISTS (SELECT 1 FROM repo_tag WHERE repo_tag.kind = ");
            param_i64(b, q->kind);
            lit(b, " AND tag = ");
            param_str(b, q->filter[i]);
            lit(b, " AND repo_id = repo.id)");
        }
    }
    return OK;
}

/* Cursor text: base64url of "value:id". */
static bool cursor_parse(struct arena *a, str cursor, int64_t *ret_value, int64_t *ret_id)
{
    str text, value;

    if (!base64_decode(a, cursor, &text))
        return false;
    value = str_cut(&text, ':');
    return str_i64(value, ret_value) && str_i64(text, ret_id);
}

static void add_after(struct builder *b, const struct repo_query *q, int64_t value, int64_t id)
{
    const char *column = sorts[q->sort].column;

    lit(b, " AND (");
    lit(b, column);
    lit(b, ", repo.id) ");
    lit(b, q->ascending ? "> (" : "< (");
    param_i64(b, value);
    lit(b, ", ");
    param_i64(b, id);
    lit(b, ")");
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

static err build(struct builder *b, struct store *s, struct arena *a, const struct repo_query *q,
                 int64_t limit)
{
    int64_t value, id;

    lit(b, "SELECT ");
    lit(b, q->without_card && q->without_meta ? REPO_COLS_WITH("NULL", "NULL")
           : q->without_card                  ? REPO_COLS_WITH("NULL", "meta")
           : q->without_meta                  ? REPO_COLS_WITH("card", "NULL")
                                              : REPO_COLS);
    lit(b, " FROM repo WHERE repo.kind = ");
    param_i64(b, q->kind);
    lit(b, " AND repo.state = 'live'");
    add_visible(b, q);
    if (q->author.ptr) {
        lit(b, " AND repo.owner_id = (SELECT account.id FROM account WHERE name_key = ");
        param_str(b, account_key(a, q->author));
        lit(b, ")");
    }
    for (size_t i = 0; i < q->search_count; i++)
        add_search(b, a, q->search[i]);
    TRY(add_tags(b, s->hub, q));
    if (q->parameters_min > 0) {
        lit(b, " AND repo.num_parameters >= ");
        param_i64(b, q->parameters_min);
    }
    if (q->parameters_max > 0) {
        lit(b, " AND repo.num_parameters > 0 AND repo.num_parameters <= ");
        param_i64(b, q->parameters_max);
    }
    if (q->cursor.ptr && cursor_parse(a, q->cursor, &value, &id))
        add_after(b, q, value, id);
    lit(b, " ORDER BY ");
    lit(b, sorts[q->sort].column);
    lit(b, q->ascending ? " ASC, repo.id ASC LIMIT " : " DESC, repo.id DESC LIMIT ");
    param_i64(b, limit + 1);
    return OK;
}

err repo_list(struct store *s, struct arena *a, const struct repo_query *q, struct repo_list *ret)
{
    int64_t limit = q->limit < 1 ? 1 : q->limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : q->limit, v, id;
    struct builder *b = arena_one(a, struct builder);
    struct repo_list list = {0};
    AUTO_STMT struct db_stmt *stmt = NULL;
    const struct repo *last;
    size_t room = 0;

    if (q->cursor.ptr && !cursor_parse(a, q->cursor, &v, &id)) {
        *ret = list;
        return OK;
    }
    b->text = BUF(16384);
    arena_defer(a, (void (*)(void *))buf_free, &b->text);
    TRY(build(b, s, a, q, limit));
    TRY(db_query_built(s->hub, &stmt, buf_str(&b->text)));
    bind_all(b, stmt);
    while ((int64_t)list.count < limit && db_next(stmt)) {
        if (list.count == room) {
            struct repo *wider = arena_many(a, struct repo, room = room ? room * 2 : 16);

            if (list.count)
                memcpy(wider, list.items, list.count * sizeof *wider);
            list.items = wider;
        }
        list.items[list.count++] = repo_read(stmt, a);
    }
    if ((int64_t)list.count == limit && db_next(stmt)) {
        last = &list.items[list.count - 1];
        str text =
            arena_printf(a, "%lld:%lld", (long long)sort_value(last, q->sort), (long long)last->id);
        list.cursor = base64url_encode(a, text.ptr, text.len);
    }
    TRY(db_error(stmt));
    *ret = list;
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
