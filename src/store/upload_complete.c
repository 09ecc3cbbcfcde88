/* upload_complete.c — joining the parts of an upload: one run at a time per upload, later callers
 * take its result (see upload.h). */
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "store/upload_rows.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define COMPLETE_READ (256u << 10) /* bytes read from a part at a time */

static const struct sql PARTS =
    SQL_INIT("SELECT number, size FROM upload_part WHERE upload_id = ?1 ORDER BY number");

/* --- runs --- */

struct run {
    struct run *next;
    char id[UPLOAD_ID_LEN];
    unsigned users;
    bool finished;
    struct content content;
    struct err_info failed; /* status 0: it succeeded; text is heap memory */
    char *text, *detail;
};

struct upload_runs {
    pthread_mutex_t lock; /* guards the list and everything in it; a leaf */
    pthread_cond_t finished;
    struct run *first;
};

struct upload_runs *upload_runs_new(void)
{
    struct upload_runs *u = calloc(1, sizeof *u);

    if (!u)
        abort();
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->finished, NULL);
    return u;
}

void upload_runs_free(struct upload_runs *u)
{
    if (!u)
        return;
    assert(!u->first);
    pthread_cond_destroy(&u->finished);
    pthread_mutex_destroy(&u->lock);
    free(u);
}

/* The run of this upload; *ret_mine tells that the caller has to do the work. */
static struct run *join_run(struct upload_runs *u, str id, bool *ret_mine)
{
    AUTO_LOCK(&u->lock);
    struct run *r = u->first;

    while (r && !str_eq(id, (str){r->id, UPLOAD_ID_LEN}))
        r = r->next;
    *ret_mine = !r;
    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r)
            abort();
        memcpy(r->id, id.ptr, UPLOAD_ID_LEN);
        r->next = u->first;
        u->first = r;
    }
    r->users++;
    return r;
}

static char *copy_text(str s)
{
    char *p = strndup(s.ptr ? s.ptr : "", s.len);

    if (!p)
        abort();
    return p;
}

/* From here on nobody joins this run. */
static void finish_run(struct upload_runs *u, struct run *r, err e, const struct content *c)
{
    AUTO_LOCK(&u->lock);

    for (struct run **at = &u->first; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    if (e) {
        r->failed = *e;
        r->text = copy_text(e->text);
        r->detail = copy_text(e->detail);
    } else {
        r->content = *c;
    }
    r->finished = true;
    pthread_cond_broadcast(&u->finished);
}

static err copy_error(const struct run *r, struct arena *a)
{
    struct err_info *e = arena_one(a, struct err_info);

    *e = r->failed;
    e->text = arena_str(a, str_c(r->text));
    e->detail = arena_str(a, str_c(r->detail));
    return e;
}

/* Waits for the result of a run and leaves it. */
static err leave_run(struct upload_runs *u, struct run *r, struct arena *a, struct content *ret)
{
    err e = OK;
    bool last;

    {
        AUTO_LOCK(&u->lock);
        while (!r->finished)
            pthread_cond_wait(&u->finished, &u->lock);
        if (r->failed.status)
            e = copy_error(r, a);
        else
            *ret = r->content;
        last = --r->users == 0;
    }
    if (last) {
        free(r->text);
        free(r->detail);
        free(r);
    }
    return e;
}

/* --- joining --- */

static err missing_part(struct arena *a, const struct upload *u, unsigned number)
{
    return err_new(a, 400, "MissingPart",
                   "Part %u of %u has not arrived; upload it, then complete again.", number,
                   u->part_count);
}

/* Every part has a row of the right size; 400 names the first that has not. */
static err check_parts(struct store *s, struct arena *a, const struct upload *u)
{
    AUTO_STMT struct db_stmt *q = NULL;
    unsigned next = 1;

    TRY(db_query(s->hub, &q, PARTS));
    db_bind_str(q, 1, u->id);
    while (next <= u->part_count && db_next(q) && db_i64(q, 0) == next &&
           (uint64_t)db_i64(q, 1) == upload_part_size(u, next))
        next++;
    TRY(db_error(q));
    return next <= u->part_count ? missing_part(a, u, next) : OK;
}

static err feed_part(struct store *s, struct arena *a, const struct upload *u, unsigned number,
                     struct intake *in, char *buffer)
{
    const char *path = upload_part_path(s, a, u->id, number);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? missing_part(a, u, number) : err_os(a, "open", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while ((n = read_full(fd, buffer, COMPLETE_READ)) > 0)
        TRY(intake_feed(in, a, buffer, (size_t)n));
    return n < 0 ? err_os(a, "read", path) : OK;
}

static err feed_all(struct store *s, struct arena *a, const struct upload *u, struct intake *in)
{
    char *buffer = malloc(COMPLETE_READ);
    err e = OK;

    if (!buffer)
        abort();
    for (unsigned i = 1; !e && i <= u->part_count; i++) {
        struct arena_mark m = arena_mark(a);

        e = feed_part(s, a, u, i, in, buffer);
        if (!e)
            arena_rewind(a, m);
    }
    free(buffer);
    return e;
}

struct ending {
    const struct upload *upload;
    const struct content *content;
    int64_t now_ms;
};

static err end_fn(struct db *tx, void *arg)
{
    struct ending *x = arg;

    TRY(repo_file_add(tx, x->upload->repo_id, x->content, x->upload->user_id));
    return upload_row_done(tx, x->upload->id, x->now_ms);
}

static err find_done(struct store *s, const struct upload *u, struct content *ret)
{
    bool found;

    TRY(repo_file_find(s->hub, u->repo_id, u->sha256, ret, &found));
    return found ? OK : &upload_missing;
}

static err complete(struct store *s, struct arena *a, str id, struct content *ret)
{
    struct upload_row r;
    struct intake *in;
    err e;

    TRY(upload_row_find(s->hub, a, id, &r));
    if (!r.upload.id.ptr)
        return &upload_missing;
    if (r.done_at_ms)
        return find_done(s, &r.upload, ret);
    TRY(check_parts(s, a, &r.upload));
    TRY(intake_new(s, a, &in));
    e = feed_all(s, a, &r.upload, in);
    if (e) {
        intake_drop(in);
        return e;
    }
    e = intake_end(in, a, r.upload.sha256, r.upload.size, ret);
    /* A wrong sum: nobody knows which part is to blame, so all stay and each may be sent again. */
    TRY(e);

    struct ending x = {&r.upload, ret, clock_ms()};
    TRY(db_write(s->hub, end_fn, &x));
    upload_folder_remove(upload_folder(s, a, id));
    return OK;
}

err upload_complete(struct store *s, struct arena *a, str id, struct content *ret)
{
    bool mine;
    struct run *r;

    if (!hex_is(id, UPLOAD_ID_LEN))
        return &upload_missing;
    r = join_run(s->uploads, id, &mine);
    if (mine) {
        struct content c = {0};
        err e = complete(s, a, id, &c);

        finish_run(s->uploads, r, e, &c);
    }
    return leave_run(s->uploads, r, a, ret);
}
