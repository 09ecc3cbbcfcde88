/* local.c — blob.h over a directory.
 *
 *     DATA/blob/xorb/ab/HASH.GEN        body of a xorb, GEN in decimal
 *     DATA/blob/xorb/ab/HASH.GEN.idx    its index sidecar
 *     DATA/blob/shard/ab/HASH           an accepted shard
 *     DATA/blob/quarantine/NAME.MS      what was found damaged, and when
 *     DATA/tmp/blob-RANDOM              a blob that is being written
 *
 * "ab" is the first two digits of HASH.  A name appears only by link(2) from a synced temporary
 * file, so it never names half a blob; the folder is synced before blob_put() returns.  A new
 * folder "ab" counts as durable after its parent was synced; `made` remembers that per process.
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "blob/blob.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOBS_MAGIC 0x626c6f62u
#define WRITER_MAGIC 0x626c7772u
/* Bytes are gathered into pieces that begin at a multiple of a page: a write that ends inside a
 * page makes the kernel go over that page twice. */
#define WRITER_BUFFER (256u << 10)
#define PAGE_BYTES 4096u
/* After so much the kernel starts writing, so that the final sync finds little to do. */
#define WRITEBACK_BYTES (8u << 20)
#define TMP_PREFIX "blob-"
#define INDEX_SUFFIX ".idx"

enum place { PLACE_XORB, PLACE_SHARD, PLACES };
static const char *const place_name[PLACES] = {"xorb", "shard"};

struct blobs {
    unsigned magic;
    char *root, *tmp, *quarantine;
    char *place[PLACES];
    atomic_bool made[PLACES][256]; /* the folder exists and its parent is synced */
};

struct blob_writer {
    unsigned magic;
    struct blobs *blobs;
    int fd;
    char *path;
    char *buffer; /* WRITER_BUFFER bytes */
    size_t buffered;
    uint64_t written, started; /* bytes in the file; bytes whose writing was started */
};

static const struct err_info missing = {
    404, "BlobMissing", STR_INIT("A part of this file is missing on this hub's disk."), NULL, {0}};

/* --- names --- */

static char *join(const char *dir, const char *name)
{
    char *p = NULL;

    if (asprintf(&p, "%s/%s", dir, name) < 0)
        abort();
    return p;
}

static enum place place_of(enum blob_kind kind)
{
    return kind == BLOB_SHARD ? PLACE_SHARD : PLACE_XORB;
}

static str file_name(struct arena *a, struct blob_key key)
{
    assert(hex_is(key.hash, 64));
    if (key.kind == BLOB_SHARD)
        return key.hash;
    return arena_printf(a, "%.*s.%lld%s", STR_FMT(key.hash), (long long)key.generation,
                        key.kind == BLOB_XORB_INDEX ? INDEX_SUFFIX : "");
}

static const char *folder_path(struct blobs *b, struct arena *a, struct blob_key key)
{
    return arena_printf(a, "%s/%.2s", b->place[place_of(key.kind)], key.hash.ptr).ptr;
}

static const char *blob_path(struct blobs *b, struct arena *a, struct blob_key key)
{
    return arena_printf(a, "%s/%.*s", folder_path(b, a, key), STR_FMT(file_name(a, key))).ptr;
}

/* --- open --- */

/* Temporary files of a process that died. */
static err empty_tmp(struct arena *a, const char *tmp)
{
    DIR *d = opendir(tmp);
    struct dirent *e;
    err bad = OK;

    if (!d)
        return err_os(a, "opendir", tmp);
    while (!bad && (e = readdir(d)))
        if (strncmp(e->d_name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0 &&
            unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != ENOENT)
            bad = err_os(a, "unlink", e->d_name);
    closedir(d);
    return bad;
}

static err make_folders(struct arena *a, struct blobs *b, const char *data_dir)
{
    TRY(dir_make(a, b->tmp));
    TRY(dir_make(a, b->root));
    TRY(dir_make(a, b->quarantine));
    for (int i = 0; i < PLACES; i++)
        TRY(dir_make(a, b->place[i]));
    TRY(dir_sync(a, b->root));
    return dir_sync(a, data_dir);
}

err blobs_open(struct arena *a, const char *data_dir, bool server, struct blobs **ret)
{
    struct blobs *b = calloc(1, sizeof *b);
    err e;

    if (!b)
        abort();
    b->magic = BLOBS_MAGIC;
    b->root = join(data_dir, "blob");
    b->tmp = join(data_dir, "tmp");
    b->quarantine = join(b->root, "quarantine");
    for (int i = 0; i < PLACES; i++)
        b->place[i] = join(b->root, place_name[i]);

    e = make_folders(a, b, data_dir);
    if (!e && server)
        e = empty_tmp(a, b->tmp);
    if (e) {
        blobs_close(b);
        return e;
    }
    *ret = b;
    return OK;
}

void blobs_close(struct blobs *b)
{
    if (!b)
        return;
    assert(b->magic == BLOBS_MAGIC);
    for (int i = 0; i < PLACES; i++)
        free(b->place[i]);
    free(b->quarantine);
    free(b->tmp);
    free(b->root);
    free(b);
}

/* --- writing --- */

static void writer_free(struct blob_writer *w)
{
    free(w->buffer);
    free(w->path);
    free(w);
}

err blob_writer_new(struct blobs *b, struct arena *a, struct blob_writer **ret)
{
    struct blob_writer *w = calloc(1, sizeof *w);
    char name[sizeof TMP_PREFIX + 32];
    unsigned char random[16];
    err e;

    assert(b->magic == BLOBS_MAGIC);
    if (!w)
        abort();
    random_bytes(random, sizeof random);
    memcpy(name, TMP_PREFIX, strlen(TMP_PREFIX));
    hex_write(name + strlen(TMP_PREFIX), random, sizeof random);
    name[sizeof name - 1] = '\0';
    *w = (struct blob_writer){.magic = WRITER_MAGIC, .blobs = b, .path = join(b->tmp, name)};
    w->buffer = aligned_alloc(PAGE_BYTES, WRITER_BUFFER);
    if (!w->buffer)
        abort();
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->fd < 0) {
        e = err_os(a, "open", w->path);
        writer_free(w);
        return e;
    }
    *ret = w;
    return OK;
}

/* Writes what is gathered. */
static err flush(struct blob_writer *w, struct arena *a)
{
    size_t done = 0;

    while (done < w->buffered) {
        ssize_t n = write(w->fd, w->buffer + done, w->buffered - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(a, "write", w->path);
        done += (size_t)n;
    }
    w->buffered = 0;
    w->written += done;
    return OK;
}

/* Has the kernel start on what was written since the last time, once that is enough. */
static void start_writeback(struct blob_writer *w)
{
    if (w->written - w->started < WRITEBACK_BYTES)
        return;
    (void)sync_file_range(w->fd, (off_t)w->started, (off_t)(w->written - w->started),
                          SYNC_FILE_RANGE_WRITE); /* only a hint */
    w->started = w->written;
}

err blob_write(struct blob_writer *w, struct arena *a, const void *p, size_t len)
{
    const char *at = p;

    assert(w->magic == WRITER_MAGIC);
    while (len > 0) {
        size_t room = WRITER_BUFFER - w->buffered;
        size_t n = len < room ? len : room;

        memcpy(w->buffer + w->buffered, at, n);
        w->buffered += n;
        at += n;
        len -= n;
        if (w->buffered == WRITER_BUFFER) {
            TRY(flush(w, a));
            start_writeback(w);
        }
    }
    return OK;
}

/* The folder of `key` exists and will exist after a power cut. */
static err folder_make(struct blobs *b, struct arena *a, struct blob_key key)
{
    enum place place = place_of(key.kind);
    unsigned char first;

    if (!hex_decode(str_first(key.hash, 2), &first, 1))
        abort();
    if (atomic_load(&b->made[place][first]))
        return OK;
    TRY(dir_make(a, folder_path(b, a, key)));
    TRY(dir_sync(a, b->place[place]));
    atomic_store(&b->made[place][first], true);
    return OK;
}

static err publish(struct blob_writer *w, struct arena *a, struct blob_key key, bool *ret_new)
{
    struct blobs *b = w->blobs;
    const char *path = blob_path(b, a, key);

    TRY(flush(w, a));
    if (fdatasync(w->fd) != 0)
        return err_os(a, "fdatasync", w->path);
    TRY(folder_make(b, a, key));
    if (link(w->path, path) == 0)
        *ret_new = true;
    else if (errno == EEXIST)
        *ret_new = false; /* its writer may not have synced the folder yet, so we do */
    else
        return err_os(a, "link", path);
    return dir_sync(a, folder_path(b, a, key));
}

err blob_put(struct blob_writer *w, struct arena *a, struct blob_key key, bool *ret_new)
{
    err e;

    assert(w->magic == WRITER_MAGIC);
    e = publish(w, a, key, ret_new);
    blob_drop(w);
    return e;
}

void blob_drop(struct blob_writer *w)
{
    if (!w)
        return;
    assert(w->magic == WRITER_MAGIC);
    w->magic = 0;
    fd_close(&w->fd);
    unlink(w->path);
    writer_free(w);
}

/* --- reading --- */

static struct blob_stat describe(const struct stat *st)
{
    return (struct blob_stat){
        .found = true,
        .size = (uint64_t)st->st_size,
        .inode = (uint64_t)st->st_ino,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
    };
}

err blob_stat(struct blobs *b, struct arena *a, struct blob_key key, struct blob_stat *ret)
{
    const char *path = blob_path(b, a, key);
    struct stat st;

    if (stat(path, &st) == 0)
        *ret = describe(&st);
    else if (errno == ENOENT || errno == ENOTDIR)
        *ret = (struct blob_stat){0};
    else
        return err_os(a, "stat", path);
    return OK;
}

err blob_open(struct blobs *b, struct arena *a, struct blob_key key, int *ret_fd,
              uint64_t *ret_size)
{
    const char *path = blob_path(b, a, key);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? &missing : err_os(a, "open", path);
    if (fstat(fd, &st) != 0)
        return err_os(a, "fstat", path);
    *ret_size = (uint64_t)st.st_size;
    *ret_fd = fd_take(&fd);
    return OK;
}

err blob_remove(struct blobs *b, struct arena *a, struct blob_key key)
{
    const char *path = blob_path(b, a, key);

    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
        return err_os(a, "unlink", path);
    return OK;
}

err blob_quarantine(struct blobs *b, struct arena *a, struct blob_key key)
{
    const char *path = blob_path(b, a, key);
    const char *aside = arena_printf(a, "%s/%.*s.%lld", b->quarantine, STR_FMT(file_name(a, key)),
                                     (long long)clock_ms())
                            .ptr;

    if (rename(path, aside) != 0)
        return errno == ENOENT || errno == ENOTDIR ? OK : err_os(a, "rename", path);
    TRY(dir_sync(a, b->quarantine));
    return dir_sync(a, folder_path(b, a, key));
}

/* --- all of them --- */

/* Reads a file name of `kind`; false when it is none. */
static bool parse_name(str name, enum blob_kind kind, struct blob_key *ret)
{
    str hash = str_first(name, 64), rest = str_from(name, 64);
    int64_t generation = 0;

    if (!hex_is(hash, 64))
        return false;
    if (kind == BLOB_XORB_INDEX && !str_drop(&rest, STR(INDEX_SUFFIX)))
        return false;
    if (kind == BLOB_SHARD ? rest.len > 0
                           : !str_skip(&rest, STR(".")) || !str_i64(rest, &generation))
        return false;
    *ret = (struct blob_key){kind, hash, generation};
    return true;
}

static err each_in(struct arena *a, const char *folder, enum blob_kind kind,
                   err (*fn)(struct blob_key key, void *arg), void *arg)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    struct blob_key key;
    err bad = OK;

    if (!d)
        return errno == ENOENT ? OK : err_os(a, "opendir", folder);
    while (!bad && (e = readdir(d)))
        if (parse_name(str_c(e->d_name), kind, &key))
            bad = fn(key, arg);
    closedir(d);
    return bad;
}

err blob_each(struct blobs *b, struct arena *a, enum blob_kind kind,
              err (*fn)(struct blob_key key, void *arg), void *arg)
{
    for (unsigned i = 0; i < 256; i++) {
        const char *folder = arena_printf(a, "%s/%02x", b->place[place_of(kind)], i).ptr;

        TRY(each_in(a, folder, kind, fn, arg));
    }
    return OK;
}
