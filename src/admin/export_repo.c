/* export_repo.c — see export.h.
 *
 *     DEST/HEAD  config  description  packed-refs
 *     DEST/objects/pack/pack-SUM.pack  pack-SUM.idx     everything that the refs reach
 *     DEST/lfs/objects/ab/cd/SHA256                     every large file of the repository
 *     DEST/refs/heads/  refs/tags/  objects/info/       empty: git wants to see them
 *
 * That is where git-lfs looks in a repository that it clones from a folder, so a clone is whole
 * without any server.  Works beside a running one: the refs are read in one statement, and what
 * they reach was durable before they moved.
 */
#include "admin/export.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/text.h"
#include "git/lfs_pointer.h"
#include "git/pack.h"
#include "git/reach.h"
#include "store/file.h"
#include "store/object.h"
#include "store/ref.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (4u << 20)   /* of a large file at a time */
#define LARGE_PAGE 500          /* rows of repo_file at a time */
#define LINES_MAX (1024u << 20) /* of packed-refs */

static const struct err_info other_bytes = {
    500, "DataCorrupt", STR_INIT("The stored bytes have another SHA-256."), NULL, {0}};

struct export
{
    struct store *store;
    struct arena *a;
    const struct repo *repo;
    const char *dest;
    struct odb *odb;
    struct ref_list refs;
    struct export_result result;
    uint64_t damaged_count; /* large files that cannot be read */
};

/* --- folders and files --- */

err export_parents(struct arena *a, const char *path)
{
    str whole = str_c(path);

    for (size_t i = 1; i < whole.len; i++)
        if (path[i] == '/' && mkdir(str_z(a, str_first(whole, i)), 0777) && errno != EEXIST)
            return err_os(a, "mkdir", path);
    return OK;
}

err export_dest(struct arena *a, const char *dest)
{
    struct dirent *e;
    bool used = false;
    DIR *d;

    TRY(export_parents(a, dest));
    if (mkdir(dest, 0777) == 0)
        return OK;
    if (errno != EEXIST)
        return err_os(a, "mkdir", dest);
    d = opendir(dest);
    if (!d && errno == ENOTDIR)
        return err_new(a, 409, NULL, "%s is there already and is no folder; name another.", dest);
    if (!d)
        return err_os(a, "opendir", dest);
    while (!used && (e = readdir(d)))
        used = !str_eq(str_c(e->d_name), STR(".")) && !str_eq(str_c(e->d_name), STR(".."));
    closedir(d);
    if (used)
        return err_new(a, 409, NULL, "%s is not empty; name a new folder or empty it first.", dest);
    return OK;
}

static const char *below(struct export *x, const char *name)
{
    return arena_printf(x->a, "%s/%s", x->dest, name).ptr;
}

static err make_dirs(struct export *x)
{
    static const char *const names[] = {"objects", "objects/info", "objects/pack",
                                        "refs",    "refs/heads",   "refs/tags"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mkdir(below(x, names[i]), 0777))
            return err_os(x->a, "mkdir", below(x, names[i]));
    return OK;
}

static err write_file(struct export *x, const char *name, str text)
{
    const char *path = below(x, name);
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return err_os(x->a, "open", path);
    return write_full(fd, text.ptr, text.len) ? err_os(x->a, "write", path) : OK;
}

static err move(struct export *x, const char *from, const char *to)
{
    return rename(from, to) ? err_os(x->a, "rename", to) : OK;
}

/* --- the pack --- */

struct file {
    struct export *x;
    const char *path;
    int fd;
};

static err put(void *arg, str bytes)
{
    struct file *f = arg;

    return write_full(f->fd, bytes.ptr, bytes.len) ? err_os(f->x->a, "write", f->path) : OK;
}

static err reachable(struct export *x, struct oid_list *ret)
{
    oid *tips = arena_many(x->a, oid, x->refs.count);
    struct reach_query q = {
        .wants = tips, .want_count = x->refs.count, .filter = REACH_ALL, .check_blobs = true};
    struct arena *scratch = arena_new(0);
    err e;

    for (size_t i = 0; i < x->refs.count; i++)
        tips[i] = x->refs.items[i].oid;
    e = err_copy(x->a, reach_list(x->odb, scratch, &q, ret));
    arena_free(scratch);
    return e;
}

/* Writes the pack to f; `sum` gets its checksum, which is its name. */
static err write_pack(struct export *x, struct oid_list *ids, struct pack_index *index,
                      struct file *f, sha1 *ret_sum)
{
    AUTO_BUF struct buf piece = BUF(PACK_PIECE + ODB_PART + 64);
    __attribute__((cleanup(pack_writer_deinit))) struct pack_writer w;

    pack_writer_init(&w, ids);
    w.index = index;
    while (!w.is_done) {
        buf_clear(&piece);
        TRY(pack_writer_step(&w, x->odb, x->a, &piece));
        TRY(put(f, buf_str(&piece)));
    }
    assert(piece.len >= sizeof ret_sum->b);
    for (size_t i = 0; i < sizeof ret_sum->b; i++)
        ret_sum->b[i] = (unsigned char)piece.ptr[piece.len - sizeof ret_sum->b + i];
    x->result.bytes += index->at + sizeof ret_sum->b;
    return OK;
}

static err write_index(struct export *x, struct pack_index *index, sha1 sum)
{
    struct file f = {x, below(x, "objects/pack/tmp_idx"), -1};
    AUTO_FD int fd = open(f.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

    if (fd < 0)
        return err_os(x->a, "open", f.path);
    f.fd = fd;
    TRY(pack_index_write(index, sum, put, &f));
    return move(
        x, f.path,
        arena_printf(x->a, "%s/objects/pack/pack-%.*s.idx", x->dest, STR_FMT(sha1_hex(x->a, sum)))
            .ptr);
}

/* Takes over `ids`. */
static err export_pack(struct export *x, struct oid_list *ids)
{
    struct file f = {x, below(x, "objects/pack/tmp_pack"), -1};
    AUTO_PACK_INDEX struct pack_index index = {0};
    AUTO_FD int fd = open(f.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    sha1 sum;

    if (fd < 0)
        return err_os(x->a, "open", f.path);
    f.fd = fd;
    x->result.object_count = ids->count;
    TRY(write_pack(x, ids, &index, &f, &sum));
    TRY(move(
        x, f.path,
        arena_printf(x->a, "%s/objects/pack/pack-%.*s.pack", x->dest, STR_FMT(sha1_hex(x->a, sum)))
            .ptr));
    return write_index(x, &index, sum);
}

/* --- large files --- */

/* DEST/lfs/objects/ab/cd/SHA256, its folders made. */
static err large_path(struct export *x, sha256 h, const char **ret)
{
    str hex = sha256_hex(x->a, h);

    *ret = arena_printf(x->a, "%s/lfs/objects/%.*s/%.*s/%.*s", x->dest, 2, hex.ptr, 2, hex.ptr + 2,
                        STR_FMT(hex))
               .ptr;
    return export_parents(x->a, *ret);
}

/* Streams a content to f.  *ret_bad tells why it cannot be read, if so. */
static err copy_content(struct export *x, const struct content *c, struct file *f, err *ret_bad)
{
    struct hasher *sum = sha256_new();
    err e = OK;

    *ret_bad = OK;
    for (uint64_t at = 0; !e && !*ret_bad && at < c->size;) {
        struct arena_mark m = arena_mark(x->a);
        str piece;

        *ret_bad = content_read(x->store, x->a, c, at, READ_BYTES, &piece);
        if (*ret_bad)
            break; /* its words live behind the mark */
        hasher_add(sum, piece.ptr, piece.len);
        at += piece.len;
        e = put(f, piece);
        if (!e)
            arena_rewind(x->a, m);
    }
    if (!sha256_eq(sha256_end(sum), c->sha256) && !e && !*ret_bad)
        *ret_bad = &other_bytes;
    return e;
}

/* Under a temporary name first: what has its name is whole. */
static err export_content(struct export *x, const struct content *c, err *ret_bad)
{
    struct file f = {x, below(x, "lfs/tmp"), -1};
    AUTO_FD int fd = -1;
    const char *path;

    TRY(large_path(x, c->sha256, &path));
    fd = open(f.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return err_os(x->a, "open", f.path);
    f.fd = fd;
    TRY(copy_content(x, c, &f, ret_bad));
    if (*ret_bad)
        return unlink(f.path) ? err_os(x->a, "unlink", f.path) : OK;
    x->result.large_count++;
    x->result.bytes += c->size;
    return move(x, f.path, path);
}

/* A damaged file must not keep the others from being saved: it is told and the rest goes on. */
static err export_large(struct export *x, const struct repo_file *file)
{
    struct content c;
    err bad = OK;
    bool found;

    TRY(repo_file_find(x->store->hub, x->repo->id, file->sha256, &c, &found));
    if (!found)
        return OK; /* removed meanwhile; check_pointers counts it if something names it */
    TRY(export_content(x, &c, &bad));
    if (!bad)
        return OK;
    x->damaged_count++;
    fprintf(stderr, "hearth: large file %.*s (%.*s) is left out: %.*s%s%.*s\n",
            STR_FMT(sha256_hex(x->a, c.sha256)), STR_FMT(file->path), STR_FMT(bad->text),
            bad->detail.len ? " — " : "", STR_FMT(bad->detail));
    return OK;
}

static err export_larges(struct export *x)
{
    struct repo_file_list page;
    sha256 last = {{0}};
    bool first = true;

    do {
        struct arena_mark m = arena_mark(x->a);

        TRY(repo_file_list(x->store->hub, x->a, x->repo->id,
                           first ? STR_NONE : sha256_hex(x->a, last), LARGE_PAGE, &page));
        for (size_t i = 0; i < page.count; i++) {
            TRY(export_large(x, &page.items[i]));
            last = page.items[i].sha256;
        }
        first = false;
        arena_rewind(x->a, m);
    } while (page.count == LARGE_PAGE);
    return OK;
}

/* Counts a pointer whose content is not among the exported files. */
static err check_pointer(struct export *x, struct arena *scratch, oid id)
{
    struct lfs_pointer p;
    struct odb_part part;
    str text, hex;

    TRY(odb_stored(x->odb, scratch, id, 0, &part));
    if (part.type != OBJ_BLOB || part.size > LFS_POINTER_MAX)
        return OK;
    if (!obj_inflate(scratch, part.bytes, part.size, &text))
        return obj_damaged(x->a, id, "zlib stream");
    if (!lfs_pointer_parse(text, &p) || p.size == 0)
        return OK;
    hex = sha256_hex(scratch, p.oid);
    text = arena_printf(scratch, "%s/lfs/objects/%.*s/%.*s/%.*s", x->dest, 2, hex.ptr, 2,
                        hex.ptr + 2, STR_FMT(hex));
    x->result.absent_count += access(text.ptr, F_OK) != 0;
    return OK;
}

static err check_pointers(struct export *x, const struct oid_list *ids)
{
    struct arena *scratch = arena_new(0);
    err e = OK;

    for (size_t i = 0; !e && i < ids->count; i++) {
        e = err_copy(x->a, check_pointer(x, scratch, ids->ids[i]));
        arena_reset(scratch);
    }
    arena_free(scratch);
    return e;
}

/* --- refs and the rest --- */

static err write_refs(struct export *x)
{
    AUTO_BUF struct buf b = BUF(LINES_MAX);

    buf_add(&b, STR("# pack-refs with: peeled fully-peeled sorted \n"));
    for (size_t i = 0; i < x->refs.count; i++) {
        const struct ref *r = &x->refs.items[i];
        struct arena_mark m = arena_mark(x->a);

        buf_printf(&b, "%.*s %.*s\n", STR_FMT(sha1_hex(x->a, r->oid)), STR_FMT(r->name));
        if (!sha1_eq(r->oid, r->peeled))
            buf_printf(&b, "^%.*s\n", STR_FMT(sha1_hex(x->a, r->peeled)));
        arena_rewind(x->a, m);
    }
    if (b.full)
        return err_internal(x->a, "more refs than an export has room for");
    return write_file(x, "packed-refs", buf_str(&b));
}

/* main, or the first branch where there is no main. */
static str head_of(const struct export *x)
{
    str head = STR_NONE;

    for (size_t i = 0; i < x->refs.count; i++) {
        str name = x->refs.items[i].name;

        if (str_eq(name, STR("refs/heads/main")))
            return name;
        if (!head.ptr && str_starts(name, STR("refs/heads/")))
            head = name;
    }
    return head.ptr ? head : STR("refs/heads/main");
}

static err write_frame(struct export *x)
{
    str id =
        arena_cat(x->a, repo_kind_plural(x->repo->kind), STR("/"), x->repo->full_name, STR("\n"));

    TRY(write_file(x, "description", id));
    TRY(write_file(
        x, "config",
        STR("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n")));
    TRY(write_refs(x));
    return write_file(x, "HEAD", arena_cat(x->a, STR("ref: "), head_of(x), STR("\n")));
}

/* One call for all the files: everything of this file system that is not on disk yet. */
static err make_durable(struct export *x)
{
    AUTO_FD int fd = open(x->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_os(x->a, "open", x->dest);
    return syncfs(fd) ? err_os(x->a, "syncfs", x->dest) : OK;
}

static err export_all(struct export *x)
{
    AUTO_OIDS struct oid_list ids = {0};
    AUTO_OIDS struct oid_list packed = {0};

    TRY(ref_list(x->store->hub, x->a, x->repo->id, &x->refs));
    TRY(reachable(x, &ids));
    TRY(export_dest(x->a, x->dest));
    TRY(make_dirs(x));
    oid_list_append(&packed, &ids);
    if (packed.count)
        TRY(export_pack(x, &packed));
    TRY(export_larges(x));
    TRY(check_pointers(x, &ids));
    TRY(write_frame(x));
    TRY(make_durable(x));
    if (x->damaged_count == 0)
        return OK;
    return err_new(x->a, 500, "DataCorrupt", "%llu large files cannot be read; all else is in %s.",
                   (unsigned long long)x->damaged_count, x->dest);
}

err export_repo(struct store *s, struct arena *a, const struct repo *r, const char *dest,
                struct export_result *ret)
{
    struct export x = {.store = s, .a = a, .repo = r, .dest = dest, .odb = object_odb(s, a, r->id)};
    err e = export_all(&x);

    *ret = x.result;
    return e;
}
