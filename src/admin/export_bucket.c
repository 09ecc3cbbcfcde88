/* export_bucket.c — a bucket as a plain folder; see export.h.
 *
 * Every file gets its path below DEST and its modification time; nothing else is written.  Two
 * things that a bucket may have and a folder may not are renamed and told: a file with the name of
 * a folder beside it gets "~file" at its end, and a part "." of a path is written "%2E".  What
 * cannot be written (a name too long) or read (damage) is told and left out.
 */
#include "admin/export.h"
#include "base/io.h"
#include "store/bucket.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (4u << 20) /* of a file at a time */

struct export
{
    struct store *store;
    struct arena *a;
    const struct repo *repo;
    const char *dest;
    const char *temp; /* a file under this name is not whole */
    struct export_result result;
    uint64_t left_out;
};

/* --- names --- */

/* The path on disk.  *ret_changed: it is not the bucket's. */
static err disk_path(struct export *x, str path, const char **ret, bool *ret_changed)
{
    str rest = path, out = str_c(x->dest);
    struct bucket_dir dir;
    bool is_dir;

    *ret_changed = false;
    while (rest.ptr) {
        str part = str_cut(&rest, '/');

        if (str_eq(part, STR("."))) {
            part = STR("%2E");
            *ret_changed = true;
        }
        out = arena_cat(x->a, out, STR("/"), part);
    }
    TRY(bucket_dir_find(x->store->hub, x->repo->id, path, &dir, &is_dir));
    if (is_dir) {
        out = arena_cat(x->a, out, STR("~file"));
        *ret_changed = true;
    }
    *ret = str_z(x->a, out);
    return OK;
}

static void tell(const struct export *x, str path, const char *what, str why)
{
    fprintf(stderr, "hearth: buckets/%.*s: %.*s %s%.*s\n", STR_FMT(x->repo->full_name),
            STR_FMT(path), what, STR_FMT(why));
}

/* --- one file --- */

/* *ret_bad tells why the content cannot be read, if so. */
static err copy_content(struct export *x, const struct content *c, int fd, err *ret_bad)
{
    for (uint64_t at = 0; at < c->size;) {
        struct arena_mark m = arena_mark(x->a);
        str piece;

        *ret_bad = content_read(x->store, x->a, c, at, READ_BYTES, &piece);
        if (!*ret_bad && piece.len == 0)
            *ret_bad = err_internal(x->a, "the content ends early");
        if (*ret_bad)
            return OK; /* its words live behind the mark */
        if (write_full(fd, piece.ptr, piece.len))
            return err_os(x->a, "write", x->temp);
        at += piece.len;
        arena_rewind(x->a, m);
    }
    return OK;
}

static void set_mtime(int fd, const struct bucket_file *f)
{
    int64_t ms = f->mtime_ms % 1000 < 0 ? f->mtime_ms % 1000 + 1000 : f->mtime_ms % 1000;
    struct timespec t = {(time_t)((f->mtime_ms - ms) / 1000),
                         (long)ms * 1000000 + (f->mtime_ns > 0 ? f->mtime_ns : 0)};
    struct timespec times[2] = {t, t};

    if (futimens(fd, times)) {
        /* a file system that has no such year keeps its own time */
    }
}

static err write_temp(struct export *x, const struct bucket_file *f, err *ret_bad)
{
    struct content c = {.file_id = f->file_id, .hash = f->hash, .size = f->size};
    AUTO_FD int fd = open(x->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    *ret_bad = OK;
    if (fd < 0)
        return err_os(x->a, "open", x->temp);
    TRY(copy_content(x, &c, fd, ret_bad));
    set_mtime(fd, f);
    return OK;
}

/* Gives the file its name; 0 or errno. */
static int move_in(struct export *x, const char *path)
{
    if (export_parents(x->a, path))
        return errno;
    if (access(path, F_OK) == 0)
        return EEXIST;
    return rename(x->temp, path) ? errno : 0;
}

/* Fails only when nothing more can be written at all. */
static err place(struct export *x, const struct bucket_file *f, const char *path)
{
    static const int of_this_name[] = {ENAMETOOLONG, ENOTDIR, EISDIR,    EEXIST,
                                       EINVAL,       EILSEQ,  ENOTEMPTY, ELOOP};
    int why = move_in(x, path);

    if (why == 0) {
        x->result.large_count++;
        x->result.bytes += f->size;
        return OK;
    }
    for (size_t i = 0; i < sizeof of_this_name / sizeof *of_this_name; i++)
        if (why == of_this_name[i]) {
            x->left_out++;
            tell(x, f->path, "is left out: ", str_c(strerrordesc_np(why)));
            return OK;
        }
    errno = why;
    return err_os(x->a, "rename", path);
}

static err export_file(struct export *x, const struct bucket_file *f)
{
    const char *path;
    bool changed;
    err bad;

    TRY(write_temp(x, f, &bad));
    if (bad) {
        x->left_out++;
        tell(x, f->path, "is left out: ", bad->text);
        return OK;
    }
    TRY(disk_path(x, f->path, &path, &changed));
    if (changed)
        tell(x, f->path, "is written as ", str_c(path));
    return place(x, f, path);
}

/* --- all of them --- */

static err export_page(struct export *x, struct arena *page, struct bucket_query *q, bool *ret_more)
{
    struct bucket_page p;

    TRY(bucket_list(x->store->hub, page, q, &p));
    for (size_t i = 0; i < p.count; i++) {
        struct arena_mark m = arena_mark(x->a);

        TRY(export_file(x, &p.items[i].file));
        arena_rewind(x->a, m);
    }
    q->after = p.next;
    *ret_more = p.more;
    return OK;
}

static err export_files(struct export *x)
{
    struct bucket_query q = {.repo_id = x->repo->id, .recursive = true, .limit = 1000};
    struct arena *pages[2] = {arena_new(0), arena_new(0)}; /* the cursor lives in the last one */
    bool more = true;
    err e = OK;

    for (unsigned turn = 0; more && !e; turn++) {
        arena_reset(pages[turn % 2]);
        e = err_copy(x->a, export_page(x, pages[turn % 2], &q, &more));
    }
    arena_free(pages[0]);
    arena_free(pages[1]);
    return e;
}

static err make_durable(struct export *x)
{
    AUTO_FD int fd = open(x->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_os(x->a, "open", x->dest);
    return syncfs(fd) ? err_os(x->a, "syncfs", x->dest) : OK;
}

static err export_all(struct export *x)
{
    TRY(export_dest(x->a, x->dest));
    x->temp = arena_printf(x->a, "%s/.hearth-export-%lld", x->dest, (long long)getpid()).ptr;
    TRY(export_files(x));
    if (unlink(x->temp) && errno != ENOENT)
        return err_os(x->a, "unlink", x->temp);
    TRY(make_durable(x));
    if (x->left_out == 0)
        return OK;
    return err_new(x->a, 500, NULL, "%llu files were left out; all else is in %s.",
                   (unsigned long long)x->left_out, x->dest);
}

err export_bucket(struct store *s, struct arena *a, const struct repo *r, const char *dest,
                  struct export_result *ret)
{
    struct export x = {.store = s, .a = a, .repo = r, .dest = dest};
    err e = export_all(&x);

    *ret = x.result;
    return e;
}
