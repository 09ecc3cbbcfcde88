/* shim.c — a preloaded library that writes down what a program does to one directory, and can make
 * a chosen call fail.  The replayer (replay.py) turns the log into the disks that a power cut may
 * leave behind.
 *
 *     HEARTH_FAULT_DIR      the directory, absolute and without symbolic links
 *     HEARTH_FAULT_LOG      the log; LOG.ctl beside it is shared by all processes (struct control)
 *     HEARTH_FAULT_FAIL     CALL:N[:ERRNO] makes the N-th such call fail, e.g. write:3:ENOSPC
 *     HEARTH_FAULT_NOSYNC   1: syncs are answered with success and never happen
 *     HEARTH_FAULT_SYNC_US  what a sync takes at least, so that others run meanwhile
 *
 * A record: struct record, first path, second path, data.  Every change is made and written down
 * under one lock that all processes share, so the order of the log is the order of the effects.  A
 * sync is two records, because only what stood in the log before its begin is certain after its
 * end.  An answer is written down before it leaves.
 *
 * The -shm files of SQLite are left out: they are rebuilt at every start.  Changes this library
 * cannot express are written down as UNKNOWN, and the replayer refuses such a log.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 65536
#define ID_MAX 128
#define LARGE_ALLOC (64u << 10)

enum record_type {
    CREATE = 1, /* path, ino: a new empty file with this name */
    TRUNCATE,   /* ino, a: new size */
    WRITE,      /* ino, a: offset, data */
    RENAME,     /* path → path2 */
    LINK,       /* path → path2 */
    UNLINK,     /* path */
    MKDIR,      /* path, ino */
    RMDIR,      /* path */
    SYNC_BEGIN, /* ino, a: number of the sync */
    SYNC_END,   /* ino, a: number of the sync */
    SYNC_FAIL,  /* ino: what was not yet synced is lost, as Linux does it */
    ANSWER,     /* path: X-Request-Id, a: status */
    UNKNOWN,    /* path: what happened */
    ANONYMOUS,  /* ino: a new empty file without a name */
};

struct record {
    uint32_t type, path_len, path2_len, data_len;
    uint64_t ino, a;
    uint32_t pid, kind; /* kind: enum synced */
};

enum call {
    NO_CALL,
    FAIL_WRITE,
    FAIL_SYNC,
    FAIL_LINK,
    FAIL_RENAME,
    FAIL_OPEN,
    FAIL_MKDIR,
    FAIL_UNLINK,
    FAIL_TRUNCATE,
    FAIL_RECV,
    FAIL_STEP,
    FAIL_ALLOC,
    FAIL_CHECKPOINT,
    CALLS
};
static const char *const call_name[CALLS] = {"",     "write", "fsync",     "link",     "rename",
                                             "open", "mkdir", "unlink",    "truncate", "recv",
                                             "step", "alloc", "checkpoint"};

/* world.py writes `left` and then `call` of a running server; the offsets are its interface. */
struct control {
    uint32_t call;    /* 0: enum call that shall fail */
    int32_t error;    /* 4: its errno */
    int64_t left;     /* 8: it fails when this reaches 0 */
    uint64_t hits;    /* 16: how many calls were made to fail */
    uint32_t sticky;  /* 24: all further ones fail too */
    uint32_t no_sync; /* 28: bits of enum synced whose syncs do not happen */
    uint64_t log_end; /* 32: bytes of whole records */
    uint64_t syncs;
    uint32_t ready; /* the lock is usable */
    pthread_mutex_t lock;
};

enum synced { SYNCED_WAL = 1, SYNCED_FOLDER = 2, SYNCED_FILE = 4, SYNCED_DB = 8, SYNCED_ANY = 15 };

static struct control *ctl;
static int log_fd = -1;
static char dir[PATH_MAX];
static size_t dir_len;
static useconds_t sync_us;

struct tracked {
    uint64_t ino; /* 0: not below the directory */
    enum synced kind;
};
static struct tracked fds[FDS_MAX];

#define REAL(name, type, args)                                                                     \
    static type(*real_##name) args;                                                                \
    static void find_##name(void)                                                                  \
    {                                                                                              \
        if (!real_##name)                                                                          \
            *(void **)&real_##name = dlsym(RTLD_NEXT, #name);                                      \
    }
REAL(openat64, int, (int, const char *, int, ...))
REAL(close, int, (int))
REAL(write, ssize_t, (int, const void *, size_t))
REAL(writev, ssize_t, (int, const struct iovec *, int))
REAL(pwrite64, ssize_t, (int, const void *, size_t, off64_t))
REAL(pwritev64, ssize_t, (int, const struct iovec *, int, off64_t))
REAL(ftruncate64, int, (int, off64_t))
REAL(truncate64, int, (const char *, off64_t))
REAL(renameat, int, (int, const char *, int, const char *))
REAL(linkat, int, (int, const char *, int, const char *, int))
REAL(unlinkat, int, (int, const char *, int))
REAL(mkdirat, int, (int, const char *, mode_t))
REAL(fsync, int, (int))
REAL(fdatasync, int, (int))
REAL(mmap64, void *, (void *, size_t, int, int, int, off64_t))
REAL(sendmsg, ssize_t, (int, const struct msghdr *, int))
REAL(send, ssize_t, (int, const void *, size_t, int))
REAL(recv, ssize_t, (int, void *, size_t, int))
REAL(read, ssize_t, (int, void *, size_t))
REAL(fallocate64, int, (int, int, off64_t, off64_t))
REAL(symlinkat, int, (const char *, int, const char *))
REAL(sqlite3_step, int, (void *))
REAL(sqlite3_exec, int,
     (void *, const char *, int (*)(void *, int, char **, char **), void *, char **))
REAL(sqlite3_extended_errcode, int, (void *))

/* --- the log --- */

static void die(const char *what)
{
    fprintf(stderr, "fault shim: %s: %s\n", what, strerror(errno));
    _exit(70);
}

static void lock(void)
{
    if (pthread_mutex_lock(&ctl->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&ctl->lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&ctl->lock);
}

static uint64_t put(uint64_t at, const void *p, size_t len)
{
    while (len > 0) {
        ssize_t n = syscall(SYS_pwrite64, log_fd, p, len, at);

        if (n <= 0)
            die("log");
        at += (uint64_t)n;
        p = (const char *)p + n;
        len -= (size_t)n;
    }
    return at;
}

/* Under the lock.  Keeps errno, which belongs to the call that is written down. */
static void note(struct record r, const char *path, const char *path2, const struct iovec *data,
                 int parts)
{
    int saved = errno;
    uint32_t left = r.data_len;
    uint64_t at = ctl->log_end;

    r.path_len = path ? (uint32_t)strlen(path) : 0;
    r.path2_len = path2 ? (uint32_t)strlen(path2) : 0;
    r.pid = (uint32_t)getpid();
    at = put(at, &r, sizeof r);
    at = put(at, path, r.path_len);
    at = put(at, path2, r.path2_len);
    for (int i = 0; i < parts && left > 0; i++) {
        uint32_t n = data[i].iov_len < left ? (uint32_t)data[i].iov_len : left;

        at = put(at, data[i].iov_base, n);
        left -= n;
    }
    ctl->log_end = at; /* a process that dies before leaves no half record */
    errno = saved;
}

static void note_unknown(const char *what)
{
    lock();
    note((struct record){.type = UNKNOWN}, what, NULL, NULL, 0);
    unlock();
}

/* --- failing on purpose --- */

static bool fails(enum call call)
{
    if (!ctl || __atomic_load_n(&ctl->call, __ATOMIC_ACQUIRE) != (uint32_t)call)
        return false;
    if (__atomic_sub_fetch(&ctl->left, 1, __ATOMIC_SEQ_CST) > 0)
        return false;
    if (!ctl->sticky)
        __atomic_store_n(&ctl->call, NO_CALL, __ATOMIC_RELEASE);
    __atomic_add_fetch(&ctl->hits, 1, __ATOMIC_SEQ_CST);
    errno = ctl->error;
    return true;
}

static void read_fault(const char *s)
{
    char name[16];
    long long n;
    int used = 0;

    if (sscanf(s, "%15[a-z]:%lld%n", name, &n, &used) != 2)
        die("HEARTH_FAULT_FAIL");
    ctl->error = strstr(s, "ENOSPC") ? ENOSPC : EIO;
    ctl->left = n;
    for (uint32_t i = 1; i < CALLS; i++)
        if (strcmp(call_name[i], name) == 0)
            ctl->call = i;
}

/* --- paths and descriptors --- */

/* Writes the absolute path of `path` relative to the directory; false when it is not below it. */
static bool inside(int at, const char *path, char out[PATH_MAX])
{
    char full[PATH_MAX * 2], link[64];
    size_t len;

    if (!ctl)
        return false;
    if (path[0] == '/' || at == AT_FDCWD) {
        snprintf(full, sizeof full, "%s", path);
    } else {
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        n = readlink(link, full, PATH_MAX);
        if (n < 0)
            return false;
        snprintf(full + n, sizeof full - (size_t)n, "/%s", path);
    }
    if (strncmp(full, dir, dir_len) != 0 || (full[dir_len] != '/' && full[dir_len] != '\0'))
        return false;
    len = strlen(full);
    if (len > 4 && strcmp(full + len - 4, "-shm") == 0)
        return false;
    snprintf(out, PATH_MAX, "%s", full + dir_len + (full[dir_len] == '/'));
    return true;
}

static void track(int fd, const char *path)
{
    struct stat st;
    size_t len = strlen(path);
    enum synced kind = SYNCED_FILE;

    if (fd < 0 || fd >= FDS_MAX || fstat(fd, &st) != 0)
        return;
    if (S_ISDIR(st.st_mode))
        kind = SYNCED_FOLDER;
    else if (len > 4 && strcmp(path + len - 4, "-wal") == 0)
        kind = SYNCED_WAL;
    else if (len > 3 && strcmp(path + len - 3, ".db") == 0)
        kind = SYNCED_DB;
    fds[fd] = (struct tracked){st.st_ino, kind};
}

static const struct tracked *tracked(int fd)
{
    return ctl && fd >= 0 && fd < FDS_MAX && fds[fd].ino ? &fds[fd] : NULL;
}

__attribute__((constructor)) static void start(void)
{
    const char *d = getenv("HEARTH_FAULT_DIR"), *log = getenv("HEARTH_FAULT_LOG");
    const char *us = getenv("HEARTH_FAULT_SYNC_US"), *fail = getenv("HEARTH_FAULT_FAIL");
    char path[PATH_MAX];
    pthread_mutexattr_t shared;
    struct control *c;
    int fd;

    if (!d || !log)
        return;
    snprintf(dir, sizeof dir, "%s", d);
    dir_len = strlen(dir);
    snprintf(path, sizeof path, "%s.ctl", log);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (log_fd < 0 || fd < 0 || syscall(SYS_ftruncate, fd, 4096) != 0)
        die(path);
    c = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (c == MAP_FAILED)
        die("mmap");
    syscall(SYS_close, fd);
    if (!c->ready) { /* the first process starts alone */
        pthread_mutexattr_init(&shared);
        pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&c->lock, &shared);
        c->ready = 1;
    }
    sync_us = us ? (useconds_t)strtoul(us, NULL, 10) : 0;
    ctl = c;
    if (getenv("HEARTH_FAULT_NOSYNC"))
        c->no_sync = SYNCED_ANY;
    if (fail)
        read_fault(fail);
}

/* --- names --- */

static int open_noted(int at, const char *path, int flags, mode_t mode)
{
    char rel[PATH_MAX];
    struct stat st;
    bool existed;
    int fd;

    find_openat64();
    if (!inside(at, path, rel))
        return real_openat64(at, path, flags, mode);
    if (fails(FAIL_OPEN))
        return -1;
    lock();
    existed = fstatat(at, path, &st, 0) == 0;
    fd = real_openat64(at, path, flags, mode);
    if (fd >= 0) {
        track(fd, rel);
        if ((flags & O_TMPFILE) == O_TMPFILE)
            note((struct record){.type = ANONYMOUS, .ino = fds[fd].ino}, NULL, NULL, NULL, 0);
        else if (!existed && (flags & O_CREAT))
            note((struct record){.type = CREATE, .ino = fds[fd].ino}, rel, NULL, NULL, 0);
        else if (existed && (flags & O_TRUNC))
            note((struct record){.type = TRUNCATE, .ino = fds[fd].ino}, NULL, NULL, NULL, 0);
    }
    unlock();
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN_LIKE(name)                                                                            \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
        va_start(args, flags);                                                                     \
        mode = mode_of(flags, args);                                                               \
        va_end(args);                                                                              \
        return open_noted(AT_FDCWD, path, flags, mode);                                            \
    }
#define OPENAT_LIKE(name)                                                                          \
    int name(int at, const char *path, int flags, ...)                                             \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
        va_start(args, flags);                                                                     \
        mode = mode_of(flags, args);                                                               \
        va_end(args);                                                                              \
        return open_noted(at, path, flags, mode);                                                  \
    }
OPEN_LIKE(open)
OPEN_LIKE(open64)
OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_noted(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags)
{
    return open_noted(AT_FDCWD, path, flags, 0);
}
int creat(const char *path, mode_t mode)
{
    return open_noted(AT_FDCWD, path, O_CREAT | O_TRUNC | O_WRONLY, mode);
}

int close(int fd)
{
    find_close();
    if (fd >= 0 && fd < FDS_MAX)
        fds[fd].ino = 0;
    return real_close(fd);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    bool in_a = inside(from_at, from, a), in_b = inside(to_at, to, b);
    int rc;

    find_renameat();
    if (!in_a && !in_b)
        return real_renameat(from_at, from, to_at, to);
    if (fails(FAIL_RENAME))
        return -1;
    lock();
    rc = real_renameat(from_at, from, to_at, to);
    if (rc == 0)
        note((struct record){.type = in_a && in_b ? RENAME : UNKNOWN}, a, b, NULL, 0);
    unlock();
    return rc;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    char a[PATH_MAX], b[PATH_MAX];
    bool in_a = inside(from_at, from, a), in_b = inside(to_at, to, b);
    int rc;

    find_linkat();
    if (!in_b)
        return real_linkat(from_at, from, to_at, to, flags);
    if (fails(FAIL_LINK))
        return -1;
    lock();
    rc = real_linkat(from_at, from, to_at, to, flags);
    if (rc == 0)
        note((struct record){.type = in_a ? LINK : UNKNOWN}, a, b, NULL, 0);
    unlock();
    return rc;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int at, const char *path, int flags)
{
    char rel[PATH_MAX];
    int rc;

    find_unlinkat();
    if (!inside(at, path, rel))
        return real_unlinkat(at, path, flags);
    if (fails(FAIL_UNLINK))
        return -1;
    lock();
    rc = real_unlinkat(at, path, flags);
    if (rc == 0)
        note((struct record){.type = flags & AT_REMOVEDIR ? RMDIR : UNLINK}, rel, NULL, NULL, 0);
    unlock();
    return rc;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}
int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
int remove(const char *path)
{
    int rc = unlinkat(AT_FDCWD, path, 0);

    return rc != 0 && errno == EISDIR ? rmdir(path) : rc;
}

int mkdirat(int at, const char *path, mode_t mode)
{
    char rel[PATH_MAX];
    struct stat st;
    int rc;

    find_mkdirat();
    if (!inside(at, path, rel))
        return real_mkdirat(at, path, mode);
    if (fails(FAIL_MKDIR))
        return -1;
    lock();
    rc = real_mkdirat(at, path, mode);
    if (rc == 0 && fstatat(at, path, &st, 0) == 0)
        note((struct record){.type = MKDIR, .ino = st.st_ino}, rel, NULL, NULL, 0);
    unlock();
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int symlinkat(const char *target, int at, const char *path)
{
    char rel[PATH_MAX];

    find_symlinkat();
    if (inside(at, path, rel))
        note_unknown("symlink");
    return real_symlinkat(target, at, path);
}

int symlink(const char *target, const char *path)
{
    return symlinkat(target, AT_FDCWD, path);
}

/* --- bytes --- */

/* Under the lock, after `n` bytes were written at `offset`. */
static void note_write(const struct tracked *t, off64_t offset, const struct iovec *v, int parts,
                       ssize_t n)
{
    if (n > 0)
        note(
            (struct record){
                .type = WRITE, .ino = t->ino, .a = (uint64_t)offset, .data_len = (uint32_t)n},
            NULL, NULL, v, parts);
}

/* A write that fails for want of space may have written a part before. */
static ssize_t fail_write(int fd, const struct iovec *v, off64_t offset)
{
    const struct tracked *t = tracked(fd);
    size_t part = v[0].iov_len / 2;
    ssize_t n;

    if (errno == ENOSPC && part > 0) {
        lock();
        n = real_pwrite64(fd, v[0].iov_base, part, offset);
        note_write(t, offset, v, 1, n);
        unlock();
        errno = ENOSPC;
    }
    return -1;
}

ssize_t pwritev64(int fd, const struct iovec *v, int parts, off64_t offset)
{
    const struct tracked *t = tracked(fd);
    ssize_t n;

    find_pwritev64();
    find_pwrite64();
    if (!t)
        return real_pwritev64(fd, v, parts, offset);
    if (fails(FAIL_WRITE) || (t->kind == SYNCED_DB && fails(FAIL_CHECKPOINT)))
        return fail_write(fd, v, offset);
    lock();
    n = real_pwritev64(fd, v, parts, offset);
    note_write(t, offset, v, parts, n);
    unlock();
    return n;
}

ssize_t pwritev(int fd, const struct iovec *v, int parts, off_t offset)
{
    return pwritev64(fd, v, parts, offset);
}

ssize_t pwrite64(int fd, const void *p, size_t len, off64_t offset)
{
    struct iovec v = {(void *)(uintptr_t)p, len};

    find_pwrite64();
    return tracked(fd) ? pwritev64(fd, &v, 1, offset) : real_pwrite64(fd, p, len, offset);
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t offset)
{
    return pwrite64(fd, p, len, offset);
}

ssize_t writev(int fd, const struct iovec *v, int parts)
{
    const struct tracked *t = tracked(fd);
    off64_t offset;
    ssize_t n;

    find_writev();
    find_pwrite64();
    if (!t)
        return real_writev(fd, v, parts);
    if (fails(FAIL_WRITE))
        return fail_write(fd, v, lseek64(fd, 0, SEEK_CUR));
    lock();
    offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek64(fd, 0, SEEK_END) : lseek64(fd, 0, SEEK_CUR);
    n = real_writev(fd, v, parts);
    note_write(t, offset, v, parts, n);
    unlock();
    return n;
}

static void watch_answer(int fd, const char *p, size_t len);

ssize_t write(int fd, const void *p, size_t len)
{
    struct iovec v = {(void *)(uintptr_t)p, len};

    find_write();
    if (tracked(fd))
        return writev(fd, &v, 1);
    watch_answer(fd, p, len);
    return real_write(fd, p, len);
}

int ftruncate64(int fd, off64_t size)
{
    const struct tracked *t = tracked(fd);
    int rc;

    find_ftruncate64();
    if (!t)
        return real_ftruncate64(fd, size);
    if (fails(FAIL_TRUNCATE))
        return -1;
    lock();
    rc = real_ftruncate64(fd, size);
    if (rc == 0)
        note((struct record){.type = TRUNCATE, .ino = t->ino, .a = (uint64_t)size}, NULL, NULL,
             NULL, 0);
    unlock();
    return rc;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int truncate64(const char *path, off64_t size)
{
    char rel[PATH_MAX];

    find_truncate64();
    if (inside(AT_FDCWD, path, rel))
        note_unknown("truncate");
    return real_truncate64(path, size);
}

int truncate(const char *path, off_t size)
{
    return truncate64(path, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    find_fallocate64();
    if (tracked(fd))
        note_unknown("fallocate");
    return real_fallocate64(fd, mode, offset, len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return fallocate64(fd, mode, offset, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return fallocate64(fd, 0, offset, len) == 0 ? 0 : errno;
}

/* What is written through a shared mapping cannot be seen: such a file may not last. */
static void note_mapping(const struct tracked *t)
{
    lock();
    note((struct record){.type = UNKNOWN, .ino = t->ino}, "a writable shared mapping", NULL, NULL,
         0);
    unlock();
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset)
{
    find_mmap64();
    if (tracked(fd) && (flags & MAP_SHARED) && (prot & PROT_WRITE))
        note_mapping(&fds[fd]);
    return real_mmap64(at, len, prot, flags, fd, offset);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    return mmap64(at, len, prot, flags, fd, offset);
}

/* --- syncs --- */

static int sync_noted(int fd, int (*real)(int))
{
    const struct tracked *t = tracked(fd);
    struct record r;
    int rc;

    if (!t)
        return real(fd);
    r = (struct record){.ino = t->ino, .kind = t->kind};
    if (fails(FAIL_SYNC)) {
        lock();
        r.type = SYNC_FAIL;
        note(r, NULL, NULL, NULL, 0);
        unlock();
        return -1;
    }
    if (ctl->no_sync & t->kind)
        return 0;
    lock();
    r.type = SYNC_BEGIN;
    r.a = ++ctl->syncs;
    note(r, NULL, NULL, NULL, 0);
    unlock();
    if (sync_us)
        usleep(sync_us);
    rc = real(fd);
    lock();
    r.type = rc == 0 ? SYNC_END : SYNC_FAIL;
    note(r, NULL, NULL, NULL, 0);
    unlock();
    return rc;
}

int fsync(int fd)
{
    find_fsync();
    return sync_noted(fd, real_fsync);
}

int fdatasync(int fd)
{
    find_fdatasync();
    return sync_noted(fd, real_fdatasync);
}

/* --- answers --- */

/* "HTTP/1.1 200 …" with an X-Request-Id: from now on somebody may know. */
static void watch_answer(int fd, const char *p, size_t len)
{
    static const char name[] = "\r\nX-Request-Id: ";
    const char *at, *end;
    char id[ID_MAX];

    if (!ctl || len < 13 || memcmp(p, "HTTP/1.", 7) != 0)
        return;
    (void)fd;
    at = memmem(p, len, name, sizeof name - 1);
    if (!at)
        return;
    at += sizeof name - 1;
    end = memchr(at, '\r', len - (size_t)(at - p));
    if (!end || (size_t)(end - at) >= sizeof id)
        return;
    memcpy(id, at, (size_t)(end - at));
    id[end - at] = '\0';
    lock();
    note((struct record){.type = ANSWER, .a = (uint64_t)strtoul(p + 9, NULL, 10)}, id, NULL, NULL,
         0);
    unlock();
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    find_sendmsg();
    if (m->msg_iovlen > 0)
        watch_answer(fd, m->msg_iov[0].iov_base, m->msg_iov[0].iov_len);
    return real_sendmsg(fd, m, flags);
}

ssize_t send(int fd, const void *p, size_t len, int flags)
{
    find_send();
    watch_answer(fd, p, len);
    return real_send(fd, p, len, flags);
}

/* --- calls that only fail on purpose --- */

ssize_t recv(int fd, void *p, size_t len, int flags)
{
    find_recv();
    return fails(FAIL_RECV) ? -1 : real_recv(fd, p, len, flags);
}

ssize_t read(int fd, void *p, size_t len)
{
    find_read();
    if (tracked(fd) && fails(FAIL_RECV))
        return -1;
    return real_read(fd, p, len);
}

#define SQLITE_IOERR_WRITE 778
static __thread int step_error;
static __thread bool in_exec; /* sqlite3_exec() looks at the end of a statement, not at its steps */

const char *sqlite3_sql(void *stmt) __attribute__((weak));
int sqlite3_step(void *stmt);
int sqlite3_exec(void *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
                 char **text);
int sqlite3_extended_errcode(void *db);

/* The full-text index steps statements of its own, and asks elsewhere whether that went well. */
static bool is_inside_sqlite(void *caller)
{
    Dl_info info;

    return !dladdr(caller, &info) || strstr(info.dli_fname, "libsqlite3");
}

/* A ROLLBACK never fails for want of a disk, so it does not here. */
static bool step_fails(const char *sql)
{
    step_error =
        sql && strncmp(sql, "ROLLBACK", 8) != 0 && fails(FAIL_STEP) ? SQLITE_IOERR_WRITE : 0;
    if (step_error)
        fprintf(stderr, "fault shim: this step fails: %s\n", sql);
    return step_error != 0;
}

int sqlite3_step(void *stmt)
{
    find_sqlite3_step();
    if (!in_exec && ctl && ctl->call == FAIL_STEP &&
        !is_inside_sqlite(__builtin_return_address(0)) &&
        step_fails(stmt ? sqlite3_sql(stmt) : NULL))
        return step_error;
    return real_sqlite3_step(stmt);
}

int sqlite3_exec(void *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
                 char **text)
{
    int rc;

    find_sqlite3_exec();
    if (ctl && !is_inside_sqlite(__builtin_return_address(0)) && step_fails(sql))
        return step_error;
    in_exec = true;
    rc = real_sqlite3_exec(db, sql, row, arg, text);
    in_exec = false;
    return rc;
}

int sqlite3_extended_errcode(void *db)
{
    find_sqlite3_extended_errcode();
    return step_error ? step_error : real_sqlite3_extended_errcode(db);
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

static bool alloc_fails(size_t size)
{
    return size >= LARGE_ALLOC && fails(FAIL_ALLOC);
}

void *malloc(size_t size)
{
    return alloc_fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;

    if (!__builtin_mul_overflow(count, size, &bytes) && alloc_fails(bytes))
        return NULL;
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    return alloc_fails(size) ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}
