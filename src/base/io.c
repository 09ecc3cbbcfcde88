/* io.c — see io.h. */
#include "base/io.h"
#include "base/arena.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

int fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

pthread_mutex_t *mutex_enter(pthread_mutex_t *m)
{
    int rc = pthread_mutex_lock(m);

    assert(rc == 0);
    (void)rc;
    return m;
}

void mutex_leave(pthread_mutex_t **m)
{
    int rc = pthread_mutex_unlock(*m);

    assert(rc == 0);
    (void)rc;
}

ssize_t read_full(int fd, void *p, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, (char *)p + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t pread_full(int fd, void *p, size_t len, uint64_t offset)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (char *)p + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int write_full(int fd, const void *p, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(fd, (const char *)p + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

int pwrite_full(int fd, const void *p, size_t len, uint64_t offset)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pwrite(fd, (const char *)p + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

err dir_make(struct arena *a, const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) == 0)
        return OK;
    if (errno != EEXIST)
        return err_os(a, "mkdir", path);
    if (stat(path, &st) != 0)
        return err_os(a, "stat", path);
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return err_os(a, "mkdir", path);
    }
    return OK;
}

err dir_sync(struct arena *a, const char *path)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_os(a, "open", path);
    if (fsync(fd) != 0)
        return err_os(a, "fsync", path);
    return OK;
}

err file_read(struct arena *a, const char *path, size_t max, str *ret)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    char *p;
    ssize_t n;

    if (fd < 0)
        return err_os(a, "open", path);
    if (fstat(fd, &st) != 0)
        return err_os(a, "stat", path);
    if (st.st_size > 0 && (uint64_t)st.st_size > max)
        return err_internal(a, "%s: larger than %zu bytes", path, max);
    if (S_ISREG(st.st_mode) && st.st_size > 0)
        max = (size_t)st.st_size; /* a file that grows meanwhile is cut here, as if read earlier */
    p = arena_alloc(a, max + 1);
    n = read_full(fd, p, S_ISREG(st.st_mode) && st.st_size > 0 ? max : max + 1);
    if (n < 0)
        return err_os(a, "read", path);
    if ((size_t)n > max)
        return err_internal(a, "%s: larger than %zu bytes", path, max);
    p[n] = '\0';
    *ret = (str){p, (size_t)n};
    return OK;
}

void random_bytes(void *p, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = getrandom((char *)p + done, len - done, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            perror("hearth: getrandom");
            abort();
        }
        done += (size_t)n;
    }
}

str random_hex(struct arena *a, size_t bytes)
{
    unsigned char raw[64];

    assert(bytes <= sizeof raw);
    random_bytes(raw, bytes);
    return hex_encode(a, raw, bytes);
}
