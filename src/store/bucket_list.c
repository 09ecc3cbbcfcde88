/* bucket_list.c — listings of buckets; see bucket.h.
 *
 * Everything is a range [lo, hi) of keys.  Paths hold no NUL and no byte 0xff, so "p\0" is the
 * first key after p, and "\xff" is behind all of them; '0' follows '/', so "d0" is the first key
 * behind the folder d.
 *
 * A folder's own list is a walk over its subfolders in bucket_dir; the direct files between two
 * of them are one range scan that cannot meet anything else:
 *
 *     lo ──files── a/ ⇥ a0 ──files── b/ ⇥ b0 ──files── hi        (⇥: skipped, however much it is)
 *
 * Should such a scan meet a deeper file all the same (its folder's row is missing), the folder is
 * shown and skipped like the others.
 */
#include "store/bucket.h"
#include "store/bucket_cols.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TIME_STEP 1000 /* children looked at together when a folder is sorted by time */

static const struct sql SCAN_UP =
    SQL_INIT("SELECT " BUCKET_FILE_COLS BUCKET_FILE_FROM
             "WHERE repo_id = ?1 AND path >= ?2 AND path < ?3 ORDER BY path LIMIT ?4");
static const struct sql SCAN_DOWN =
    SQL_INIT("SELECT " BUCKET_FILE_COLS BUCKET_FILE_FROM
             "WHERE repo_id = ?1 AND path >= ?2 AND path < ?3 ORDER BY path DESC LIMIT ?4");
static const struct sql TIME_UP = SQL_INIT("SELECT " BUCKET_FILE_COLS BUCKET_FILE_FROM
                                           "WHERE repo_id = ?1 AND (uploaded_at, path) > (?2, ?3) "
                                           "ORDER BY uploaded_at, path LIMIT ?4");
static const struct sql TIME_DOWN =
    SQL_INIT("SELECT " BUCKET_FILE_COLS BUCKET_FILE_FROM
             "WHERE repo_id = ?1 AND (uploaded_at, path) < (?2, ?3) "
             "ORDER BY uploaded_at DESC, path DESC LIMIT ?4");
static const struct sql DIRS_UP =
    SQL_INIT("SELECT name, size, uploaded_at FROM bucket_dir WHERE repo_id = ?1 AND parent = ?2 "
             "AND name >= ?3 ORDER BY name LIMIT ?4");
static const struct sql DIRS_DOWN =
    SQL_INIT("SELECT name, size, uploaded_at FROM bucket_dir WHERE repo_id = ?1 AND parent = ?2 "
             "AND name < ?3 ORDER BY name DESC LIMIT ?4");

static const struct err_info no_order = {
    400,
    NULL,
    STR_INIT("\"sort=uploadedAt\" lists a whole bucket with recursive=true, or one folder with "
             "recursive=false; leave it out to list below a prefix."),
    NULL,
    {0}};

struct listing {
    struct db *db;
    struct arena *a;
    const struct bucket_query *q;
    str folder; /* q->path without its last '/' */
    str prefix; /* folder and '/', "" for the root */
    struct bucket_entry *items;
    size_t count, wanted; /* one more than the page, to see whether there is more */
};

struct range {
    str lo, hi;
};

#define KEY_END STR("\xff")

static str key_after(struct arena *a, str key)
{
    return arena_cat(a, key, (str){"", 1}); /* with a NUL */
}

/* "d/" → "d0" */
static str key_behind(struct arena *a, str dir)
{
    assert(str_ends(dir, STR("/")));
    return arena_cat(a, str_first(dir, dir.len - 1), STR("0"));
}

static str key_max(str x, str y)
{
    return str_cmp(x, y) < 0 ? y : x;
}

static str key_min(str x, str y)
{
    return str_cmp(x, y) < 0 ? x : y;
}

/* The keys below the folder that the cursor leaves. */
static struct range range_below(struct listing *l, str prefix)
{
    const struct bucket_cursor *c = &l->q->after;
    struct range r = {prefix, prefix.len ? key_behind(l->a, prefix) : KEY_END};

    if (!c->is_set)
        return r;
    if (l->q->descending)
        r.hi = key_min(r.hi, c->key);
    else
        r.lo = key_max(r.lo, str_ends(c->key, STR("/")) ? key_behind(l->a, c->key)
                                                        : key_after(l->a, c->key));
    return r;
}

static bool is_full(const struct listing *l)
{
    return l->count >= l->wanted;
}

static void add_dir(struct listing *l, str path, uint64_t size, int64_t uploaded_at_ms)
{
    l->items[l->count++] = (struct bucket_entry){
        .is_dir = true,
        .file = {.path = path, .size = size, .uploaded_at_ms = uploaded_at_ms, .mtime_ns = -1}};
}

/* --- files --- */

static err begin_scan(struct listing *l, const struct range *r, struct db_stmt **ret)
{
    TRY(db_query(l->db, ret, l->q->descending ? SCAN_DOWN : SCAN_UP));
    db_bind_i64(*ret, 1, l->q->repo_id);
    db_bind_blob(*ret, 2, r->lo);
    db_bind_blob(*ret, 3, r->hi);
    db_bind_i64(*ret, 4, (int64_t)(l->wanted - l->count));
    return OK;
}

static err scan(struct listing *l, struct range r)
{
    AUTO_STMT struct db_stmt *q = NULL;

    if (is_full(l) || str_cmp(r.lo, r.hi) >= 0)
        return OK;
    TRY(begin_scan(l, &r, &q));
    while (!is_full(l) && db_next(q))
        l->items[l->count++].file = bucket_file_read(q, l->a);
    return db_error(q);
}

/* The file that is called like the folder. */
static err add_same(struct listing *l)
{
    const struct bucket_cursor *c = &l->q->after;
    struct bucket_file f;
    bool found;

    if (l->folder.len == 0 || is_full(l))
        return OK;
    if (c->is_set && (!l->q->descending || str_cmp(c->key, l->folder) <= 0))
        return OK; /* it was on an earlier page */
    TRY(bucket_file_find(l->db, l->a, l->q->repo_id, l->folder, &f, &found));
    if (found)
        l->items[l->count++].file = f;
    return OK;
}

static err list_lexical(struct listing *l)
{
    char *end = arena_alloc(l->a, l->folder.len);
    const struct bucket_cursor *c = &l->q->after;
    struct range r = {l->folder, {end, l->folder.len}};

    memcpy(end, l->folder.ptr, l->folder.len);
    end[l->folder.len - 1] = (char)(end[l->folder.len - 1] + 1); /* no byte is 0xff */
    if (c->is_set && l->q->descending)
        r.hi = key_min(r.hi, c->key);
    else if (c->is_set)
        r.lo = key_max(r.lo, key_after(l->a, c->key));
    return scan(l, r);
}

static err list_recursive(struct listing *l, bool *ret_lexical)
{
    bool has_slash = str_ends(l->q->path, STR("/"));

    *ret_lexical = l->q->after.is_set && l->q->after.is_lexical && l->folder.len > 0;
    if (*ret_lexical)
        return list_lexical(l);
    if (!l->q->descending)
        TRY(add_same(l));
    TRY(scan(l, range_below(l, l->prefix)));
    if (l->q->descending)
        TRY(add_same(l));
    if (l->count > 0 || l->q->after.is_set || l->folder.len == 0 || has_slash)
        return OK;
    *ret_lexical = true;
    return list_lexical(l);
}

static err list_recursive_by_time(struct listing *l)
{
    const struct bucket_cursor *c = &l->q->after;
    bool down = l->q->descending;
    AUTO_STMT struct db_stmt *q = NULL;

    if (l->folder.len > 0)
        return &no_order;
    TRY(db_query(l->db, &q, down ? TIME_DOWN : TIME_UP));
    db_bind_i64(q, 1, l->q->repo_id);
    db_bind_i64(q, 2, c->is_set ? c->uploaded_at_ms : down ? INT64_MAX : INT64_MIN);
    db_bind_blob(q, 3, c->is_set ? c->key : STR(""));
    db_bind_i64(q, 4, (int64_t)l->wanted);
    while (!is_full(l) && db_next(q))
        l->items[l->count++].file = bucket_file_read(q, l->a);
    return db_error(q);
}

/* --- one folder --- */

struct dirs {
    struct dir {
        str key; /* prefix, name, '/' */
        int64_t size, uploaded_at_ms;
    } * items;
    size_t count;
};

static err load_dirs(struct listing *l, const struct range *r, struct dirs *ret)
{
    bool down = l->q->descending;
    str bound = down ? r->hi : r->lo;
    AUTO_STMT struct db_stmt *q = NULL;

    if (!str_skip(&bound, l->prefix)) /* the end of the folder */
        bound = KEY_END;
    ret->count = 0;
    ret->items = arena_many(l->a, struct dir, l->wanted);
    TRY(db_query(l->db, &q, down ? DIRS_DOWN : DIRS_UP));
    db_bind_i64(q, 1, l->q->repo_id);
    db_bind_blob(q, 2, l->folder);
    db_bind_blob(q, 3, bound.ptr ? bound : STR(""));
    db_bind_i64(q, 4, (int64_t)(l->wanted - l->count));
    while (ret->count < l->wanted && db_next(q)) {
        struct dir *d = &ret->items[ret->count++];

        d->key = arena_cat(l->a, l->prefix, db_view(q, 0));
        d->size = db_i64(q, 1);
        d->uploaded_at_ms = db_i64(q, 2);
    }
    return db_error(q);
}

/* Shows the direct files of `r` and moves it behind them; *ret_again: up to a folder that has no
 * row, which was shown and is skipped now. */
static err scan_direct(struct listing *l, struct range *r, struct range gap, bool *ret_again)
{
    str *moving = l->q->descending ? &r->hi : &r->lo;
    AUTO_STMT struct db_stmt *q = NULL;

    *ret_again = false;
    if (str_cmp(gap.lo, gap.hi) >= 0)
        return OK;
    TRY(begin_scan(l, &gap, &q));
    while (!is_full(l) && db_next(q)) {
        struct bucket_file f = bucket_file_read(q, l->a);
        ptrdiff_t slash = str_find(str_from(f.path, l->prefix.len), '/');

        if (slash >= 0) {
            str key = str_first(f.path, l->prefix.len + (size_t)slash + 1);

            add_dir(l, str_first(key, key.len - 1), f.size, f.uploaded_at_ms);
            *moving = l->q->descending ? key : key_behind(l->a, key);
            *ret_again = true;
            return OK;
        }
        l->items[l->count++].file = f;
        *moving = l->q->descending ? f.path : key_after(l->a, f.path);
    }
    return db_error(q);
}

static err list_children(struct listing *l, struct range r)
{
    bool down = l->q->descending, again;
    struct dirs dirs;
    size_t i = 0;

    if (is_full(l) || str_cmp(r.lo, r.hi) >= 0)
        return OK;
    TRY(load_dirs(l, &r, &dirs));
    while (!is_full(l)) {
        const struct dir *d = i < dirs.count ? &dirs.items[i] : NULL;
        struct range gap = r;

        if (d && down)
            gap.lo = key_behind(l->a, d->key);
        else if (d)
            gap.hi = d->key;
        TRY(scan_direct(l, &r, gap, &again));
        if (again || is_full(l))
            continue;
        if (!d)
            break;
        add_dir(l, str_first(d->key, d->key.len - 1), (uint64_t)d->size, d->uploaded_at_ms);
        *(down ? &r.hi : &r.lo) = down ? d->key : key_behind(l->a, d->key);
        i++;
    }
    return OK;
}

static err list_folder(struct listing *l)
{
    if (!l->q->descending)
        TRY(add_same(l));
    TRY(list_children(l, range_below(l, l->prefix)));
    return l->q->descending ? add_same(l) : OK;
}

/* --- one folder by time: all its children are looked at, a page of them is kept --- */

static str entry_key(struct arena *a, const struct bucket_entry *e)
{
    return e->is_dir ? arena_cat(a, e->file.path, STR("/")) : e->file.path;
}

struct timed {
    struct bucket_entry entry;
    str key;
};

static int timed_cmp(const void *x, const void *y)
{
    const struct timed *p = x, *q = y;
    int64_t at = p->entry.file.uploaded_at_ms, other = q->entry.file.uploaded_at_ms;

    return at < other ? -1 : at > other ? 1 : str_cmp(p->key, q->key);
}

static int timed_cmp_down(const void *x, const void *y)
{
    return timed_cmp(y, x);
}

struct best {
    struct arena *a[2]; /* `kept` lives in a[turn] */
    int turn;
    struct timed *kept;
    size_t count;
};

static bool is_before_page(const struct listing *l, const struct timed *t)
{
    const struct bucket_cursor *c = &l->q->after;
    struct timed at = {.entry.file.uploaded_at_ms = c->uploaded_at_ms, .key = c->key};
    int order = c->is_set ? timed_cmp(t, &at) : 0;

    return c->is_set && (l->q->descending ? order >= 0 : order <= 0);
}

/* Merges some children into what is kept. */
static void merge(const struct listing *l, struct best *b, const struct bucket_entry *items,
                  size_t count)
{
    struct arena *a = b->a[!b->turn];
    struct timed *all = arena_many(a, struct timed, b->count + count);
    size_t n = b->count;

    if (n)
        memcpy(all, b->kept, n * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        all[n] = (struct timed){items[i], entry_key(a, &items[i])};
        n += !is_before_page(l, &all[n]);
    }
    qsort(all, n, sizeof *all, l->q->descending ? timed_cmp_down : timed_cmp);
    b->count = n < l->wanted ? n : l->wanted;
    for (size_t i = 0; i < b->count; i++) {
        struct bucket_file *f = &all[i].entry.file;

        f->path = arena_str(a, f->path);
        f->content_type = f->content_type.ptr ? arena_str(a, f->content_type) : STR_NONE;
        all[i].key = entry_key(a, &all[i].entry);
    }
    arena_reset(b->a[b->turn]);
    b->kept = all;
    b->turn = !b->turn;
}

static err collect(struct listing *l, struct best *b, struct arena *scratch)
{
    struct bucket_query q = {.repo_id = l->q->repo_id, .path = l->folder, .limit = TIME_STEP};
    struct bucket_page page = {.more = true};
    char key[BUCKET_PATH_MAX + 2];

    while (page.more) {
        arena_reset(scratch);
        q.after.key = (str){key, q.after.key.len};
        TRY(bucket_list(l->db, scratch, &q, &page));
        merge(l, b, page.items, page.count);
        q.after = page.next;
        assert(q.after.key.len <= sizeof key);
        if (q.after.key.len)
            memcpy(key, q.after.key.ptr, q.after.key.len);
    }
    return OK;
}

static err list_folder_by_time(struct listing *l)
{
    struct best b = {.a = {arena_new(0), arena_new(0)}};
    struct arena *scratch = arena_new(0);
    struct bucket_dir dir;
    bool found = true;
    err e = OK;

    if (l->folder.len > 0)
        e = bucket_dir_find(l->db, l->q->repo_id, l->folder, &dir, &found);
    if (!e)
        e = found ? collect(l, &b, scratch) : &no_order;
    for (size_t i = 0; !e && i < b.count; i++) {
        struct bucket_entry *x = &l->items[l->count++];

        *x = b.kept[i].entry;
        x->file.path = arena_str(l->a, x->file.path);
        if (x->file.content_type.ptr)
            x->file.content_type = arena_str(l->a, x->file.content_type);
    }
    e = err_copy(l->a, e);
    arena_free(scratch);
    arena_free(b.a[0]);
    arena_free(b.a[1]);
    return e;
}

/* --- the page --- */

static struct bucket_page page_of(struct listing *l, bool lexical)
{
    struct bucket_page p = {.items = l->items, .count = l->count, .more = l->count == l->wanted};
    const struct bucket_entry *last;

    if (p.more)
        p.count--;
    if (p.count == 0)
        return p;
    last = &p.items[p.count - 1];
    p.next = (struct bucket_cursor){.is_set = true,
                                    .is_lexical = lexical,
                                    .uploaded_at_ms = last->file.uploaded_at_ms,
                                    .key = entry_key(l->a, last)};
    return p;
}

struct reading {
    struct listing l;
    struct bucket_page page;
};

static err list_fn(struct db *tx, void *arg)
{
    struct reading *x = arg;
    const struct bucket_query *q = x->l.q;
    bool lexical = false;

    x->l.db = tx;
    if (q->recursive)
        TRY(q->by_time ? list_recursive_by_time(&x->l) : list_recursive(&x->l, &lexical));
    else
        TRY(q->by_time ? list_folder_by_time(&x->l) : list_folder(&x->l));
    x->page = page_of(&x->l, lexical);
    return OK;
}

err bucket_list(struct db *db, struct arena *a, const struct bucket_query *q,
                struct bucket_page *ret)
{
    struct reading x = {.l = {.a = a, .q = q, .folder = q->path.ptr ? q->path : STR("")}};

    assert(q->limit >= 1 && q->limit <= BUCKET_PAGE_MAX);
    str_drop(&x.l.folder, STR("/"));
    x.l.prefix = x.l.folder.len ? arena_cat(a, x.l.folder, STR("/")) : STR("");
    x.l.wanted = q->limit + 1;
    x.l.items = arena_many(a, struct bucket_entry, x.l.wanted);
    if (q->by_time && !q->recursive) /* long: no snapshot is held over all of it */
        TRY(list_fn(db, &x));
    else /* folders and files of a page agree */
        TRY(db_read(db, list_fn, &x));
    *ret = x.page;
    return OK;
}
