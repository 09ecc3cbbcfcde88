/* io.h — descriptors, locks and randomness with cleanup attributes. */
#pragma once
#include "base/err.h"
#include <pthread.h>
#include <sys/types.h>

void fd_close(int *fd); /* closes when >= 0 and sets -1 */
#define AUTO_FD __attribute__((cleanup(fd_close)))
int fd_take(int *fd); /* moves the descriptor out of an AUTO_FD */

void mutex_leave(pthread_mutex_t **m);
pthread_mutex_t *mutex_enter(pthread_mutex_t *m);
/* AUTO_LOCK(&x->lock): held until the end of the scope. */
#define AUTO_LOCK_NAMED(m, line)                                                                   \
    __attribute__((cleanup(mutex_leave), unused)) pthread_mutex_t *lock_##line = mutex_enter(m)
#define AUTO_LOCK_AT(m, line) AUTO_LOCK_NAMED(m, line) /* expands __LINE__ before it is pasted */
#define AUTO_LOCK(m) AUTO_LOCK_AT(m, __LINE__)

/* Repeat on EINTR and short counts.  read_full returns the bytes read (short only at the end of
 * the file) or -1 with errno; write_full returns 0, or -1 with errno. */
ssize_t read_full(int fd, void *p, size_t len);
ssize_t pread_full(int fd, void *p, size_t len, uint64_t offset);
int write_full(int fd, const void *p, size_t len);
int pwrite_full(int fd, const void *p, size_t len, uint64_t offset);

MUST err dir_make(struct arena *a, const char *path); /* mkdir 0700; fine when it is there */
MUST err dir_sync(struct arena *a, const char *path); /* fsync of a directory */
/* The whole of a small file, into the arena; larger than `max` is an error. */
MUST err file_read(struct arena *a, const char *path, size_t max, str *ret);

void random_bytes(void *p, size_t len);        /* from the kernel, never fails */
str random_hex(struct arena *a, size_t bytes); /* 2 × bytes lower-case digits; bytes <= 64 */
