/* backup_files.c — the manifest of a backup, and files that are copied and summed. */
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "store/backup_parts.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1
#define MANIFEST_MAX (1u << 20)
#define PIECE_BYTES (256u << 10)

const struct err_info backup_stopped = {
    499, "Stopped", STR_INIT("Stopped; what was there before is still valid."), NULL, {0}};

const char *path_in(struct arena *a, const char *dir, const char *name)
{
    return arena_printf(a, "%s/%s", dir, name).ptr;
}

bool watch_step(const struct backup_watch *w, const struct backup_progress *p)
{
    return !w || !w->step || w->step(w->arg, p);
}

void watch_damage(const struct backup_watch *w, str what, str why)
{
    if (w && w->damage)
        w->damage(w->arg, what, why);
}

/* --- files --- */

/* From one descriptor to another (-1: nowhere), summed. */
static err pour(struct arena *a, int from, int to, const char *name, uint64_t *ret_size,
                sha256 *ret)
{
    struct hasher *h = sha256_new();
    char *buffer = malloc(PIECE_BYTES);
    err e = OK;
    ssize_t n;

    if (!buffer)
        abort();
    *ret_size = 0;
    while (!e && (n = read_full(from, buffer, PIECE_BYTES)) != 0) {
        if (n < 0) {
            e = err_os(a, "read", name);
            break;
        }
        hasher_add(h, buffer, (size_t)n);
        *ret_size += (uint64_t)n;
        if (to >= 0 && write_full(to, buffer, (size_t)n) != 0)
            e = err_os(a, "write", name);
    }
    free(buffer);
    *ret = sha256_end(h);
    return e;
}

err file_sum(struct arena *a, const char *path, uint64_t *ret_size, sha256 *ret)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_os(a, "open", path);
    return pour(a, fd, -1, path, ret_size, ret);
}

err file_copy(struct arena *a, const char *from, const char *to, uint64_t *ret_size, sha256 *ret)
{
    AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC);
    AUTO_FD int out = -1;

    if (in < 0)
        return err_os(a, "open", from);
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        return err_os(a, "open", to);
    TRY(pour(a, in, out, to, ret_size, ret));
    return fsync(out) ? err_os(a, "fsync", to) : OK;
}

static err file_unlink(struct arena *a, const char *path)
{
    return unlink(path) && errno != ENOENT ? err_os(a, "unlink", path) : OK;
}

err database_unlink(struct arena *a, const char *path)
{
    TRY(file_unlink(a, path));
    TRY(file_unlink(a, arena_printf(a, "%s-wal", path).ptr));
    return file_unlink(a, arena_printf(a, "%s-shm", path).ptr);
}

err database_seal(struct arena *a, struct db *db, const char *path)
{
    const char *wal = arena_printf(a, "%s-wal", path).ptr;
    AUTO_FD int fd = -1;
    struct stat st;

    db_close(db); /* moves everything into the file */
    if (stat(wal, &st) == 0 && st.st_size > 0)
        return err_internal(a, "%s was not emptied", wal);
    TRY(file_unlink(a, wal));
    TRY(file_unlink(a, arena_printf(a, "%s-shm", path).ptr));
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_os(a, "open", path);
    return fsync(fd) ? err_os(a, "fsync", path) : OK;
}

err folder_lock(struct arena *a, const char *dir, bool shared, int *ret_fd)
{
    const char *path = path_in(a, dir, "lock");
    AUTO_FD int fd = open(path, shared ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return shared && errno == ENOENT ? OK : err_os(a, "open", path);
    if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) {
        *ret_fd = fd_take(&fd);
        return OK;
    }
    if (errno != EWOULDBLOCK)
        return err_os(a, "flock", path);
    return err_new(
        a, 409, "FolderLocked",
        "%s is in use by another hearth (a server, a backup or a restore); wait until it "
        "has ended.",
        dir);
}

static const char *parent_of(struct arena *a, str path)
{
    ptrdiff_t slash;

    while (path.len > 1 && str_drop(&path, STR("/")))
        ;
    slash = str_rfind(path, '/');
    return slash < 0 ? "." : slash == 0 ? "/" : str_z(a, str_first(path, (size_t)slash));
}

err folder_make(struct arena *a, const char *dir)
{
    if (mkdir(dir, 0700) != 0)
        return dir_make(a, dir); /* it is there, or says why not */
    if (dir_sync(a, parent_of(a, str_c(dir)))) {
        /* we may make folders above but not read it: no way to do better */
    }
    return OK;
}

err folder_each(struct arena *a, const char *dir, err (*fn)(void *arg, const char *name), void *arg)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    err bad = OK;

    if (!d)
        return err_os(a, "opendir", dir);
    while (!bad && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            bad = fn(arg, e->d_name);
    closedir(d);
    return bad;
}

/* --- writing the manifest --- */

static void put_counts(struct json_out *j, const struct snapshot *s)
{
    json_key(j, "counts");
    json_obj(j);
    json_kv_i64(j, "accounts", (int64_t)s->accounts);
    json_kv_i64(j, "repos", (int64_t)s->repos);
    json_kv_i64(j, "contents", (int64_t)s->contents);
    json_kv_i64(j, "xorbs", (int64_t)s->xorbs);
    json_kv_i64(j, "shards", (int64_t)s->shards);
    json_kv_i64(j, "blob_bytes", (int64_t)s->blob_bytes);
    json_kv_i64(j, "damaged", (int64_t)s->damaged);
    json_obj_end(j);
}

static void put_snapshot(struct json_out *j, struct arena *a, const struct snapshot *s)
{
    json_obj(j);
    json_kv_str(j, "name", s->name);
    json_kv_str(j, "store_id", s->store_id);
    json_kv_str(j, "program", s->program);
    json_kv_time(j, "started_at", s->started_at_ms);
    json_kv_time(j, "finished_at", s->finished_at_ms);
    json_key(j, "files");
    json_arr(j);
    for (size_t i = 0; i < s->file_count; i++) {
        json_obj(j);
        json_kv_str(j, "name", s->files[i].name);
        json_kv_i64(j, "size", (int64_t)s->files[i].size);
        json_kv_str(j, "sha256", sha256_hex(a, s->files[i].sum));
        json_obj_end(j);
    }
    json_arr_end(j);
    put_counts(j, s);
    json_obj_end(j);
}

static err write_synced(struct arena *a, const char *path, str bytes)
{
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_os(a, "open", path);
    if (write_full(fd, bytes.ptr, bytes.len) != 0)
        return err_os(a, "write", path);
    return fsync(fd) ? err_os(a, "fsync", path) : OK;
}

err manifest_write(struct arena *a, const char *dir, const struct manifest *m)
{
    const char *path = path_in(a, dir, MANIFEST), *tmp = path_in(a, dir, MANIFEST_TMP);
    struct json_out *j = json_out_new(a);

    json_obj(j);
    json_kv_str(j, "about", STR("A backup of a hearth; hearth restore reads it."));
    json_kv_i64(j, "format", FORMAT);
    json_key(j, "snapshots");
    json_arr(j);
    for (size_t i = 0; i < m->count; i++)
        put_snapshot(j, a, &m->items[i]);
    json_arr_end(j);
    json_obj_end(j);
    buf_addc(&j->buf, '\n');
    if (j->buf.full || j->buf.len > MANIFEST_MAX)
        return err_internal(a, "the manifest is too long");
    TRY(write_synced(a, tmp, json_out_str(j)));
    if (rename(tmp, path) != 0)
        return err_os(a, "rename", path);
    return dir_sync(a, dir);
}

/* --- reading it --- */

static uint64_t get_count(const struct json *j, const char *key)
{
    int64_t n = 0;

    return json_i64(json_get(j, key), &n) && n > 0 ? (uint64_t)n : 0;
}

static bool is_plain(str name)
{
    return name.len > 0 && name.len < 100 && str_find(name, '/') < 0 && name.ptr[0] != '.' &&
           !memchr(name.ptr, 0, name.len);
}

static bool read_file(const struct json *j, struct backup_file *ret)
{
    int64_t size = -1;

    ret->name = json_get_str(j, "name");
    if (!json_i64(json_get(j, "size"), &size) || size < 0)
        return false;
    ret->size = (uint64_t)size;
    return is_plain(ret->name) && sha256_from_hex(json_get_str(j, "sha256"), &ret->sum);
}

static bool read_snapshot(const struct json *j, struct snapshot *ret)
{
    const struct json *files = json_get(j, "files"), *counts = json_get(j, "counts");

    *ret = (struct snapshot){
        .name = json_get_str(j, "name"),
        .store_id = json_get_str(j, "store_id"),
        .program = json_get_str(j, "program"),
        .file_count = json_len(files),
        .accounts = get_count(counts, "accounts"),
        .repos = get_count(counts, "repos"),
        .contents = get_count(counts, "contents"),
        .xorbs = get_count(counts, "xorbs"),
        .shards = get_count(counts, "shards"),
        .blob_bytes = get_count(counts, "blob_bytes"),
        .damaged = get_count(counts, "damaged"),
    };
    if (!is_plain(ret->name) || !str_starts(ret->name, STR(SNAPSHOT_PREFIX)) ||
        ret->file_count > BACKUP_FILES_MAX ||
        !clock_parse_iso(json_get_str(j, "started_at"), &ret->started_at_ms) ||
        !clock_parse_iso(json_get_str(j, "finished_at"), &ret->finished_at_ms))
        return false;
    for (size_t i = 0; i < ret->file_count; i++)
        if (!read_file(json_at(files, i), &ret->files[i]))
            return false;
    for (int f = 0; f < STORE_FILES; f++)
        if (!snapshot_file(ret, str_c(store_file_name[f])))
            return false;
    return true;
}

const struct backup_file *snapshot_file(const struct snapshot *s, str name)
{
    for (size_t i = 0; i < s->file_count; i++)
        if (str_eq(s->files[i].name, name))
            return &s->files[i];
    return NULL;
}

static err bad_manifest(struct arena *a, const char *dir)
{
    return err_new(a, 500, "DataCorrupt",
                   "%s/" MANIFEST " is damaged; put the " MANIFEST " of its newest " SNAPSHOT_PREFIX
                   "… folder in its place.",
                   dir);
}

err manifest_read(struct arena *a, const char *dir, struct manifest *ret)
{
    const char *path = path_in(a, dir, MANIFEST);
    const struct json *root, *list;
    int64_t format = 0;
    str text;

    if (access(path, F_OK) != 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? err_new(a, 404, NULL, "%s holds no finished backup: it has no " MANIFEST ".",
                             dir)
                   : err_os(a, "access", path);
    TRY(file_read(a, path, MANIFEST_MAX, &text));
    if (json_parse(a, text, &root) || !json_i64(json_get(root, "format"), &format))
        return bad_manifest(a, dir);
    if (format > FORMAT)
        return err_new(a, 500, "DataNewer",
                       "%s was written by a newer hearth; use that program to read it.", dir);
    list = json_get(root, "snapshots");
    if (json_len(list) == 0 || json_len(list) > BACKUP_KEEP_MAX + 1)
        return bad_manifest(a, dir);
    ret->count = json_len(list);
    ret->items = arena_many(a, struct snapshot, ret->count + 1); /* room for one more in front */
    for (size_t i = 0; i < ret->count; i++)
        if (!read_snapshot(json_at(list, i), &ret->items[i]))
            return bad_manifest(a, dir);
    return OK;
}
