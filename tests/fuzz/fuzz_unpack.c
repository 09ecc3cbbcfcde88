/* fuzz_unpack.c — any bytes as a pack.  The checksum at the end is made right, so that the objects
 * behind it are reached; what unpacks is what it is called, and stays within the limits. */
#include "base/io.h"
#include "git/odb_mem.h"
#include "git/unpack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SUM_BYTES 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct unpack_limits limits = {10000, 32u << 20, 64u << 20};

struct target {
    uint64_t taken, total;
};

static err take(void *ctx, enum obj_type type, str data, oid *ret)
{
    struct target *t = ctx;

    t->taken++;
    t->total += data.len;
    if (data.len > limits.object_bytes || t->total > limits.total_bytes || type < OBJ_COMMIT ||
        type > OBJ_TAG)
        abort();
    *ret = obj_id(type, data);
    return OK;
}

static int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("pack", MFD_CLOEXEC);

    if (fd < 0 || pwrite_full(fd, data, size, 0) != 0)
        abort();
    if (size >= SUM_BYTES) {
        sha1 sum = sha1_of(data, size - SUM_BYTES);

        if (pwrite_full(fd, sum.b, sizeof sum.b, size - SUM_BYTES) != 0)
            abort();
    }
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct odb_mem *m = odb_mem_new(NULL);
    struct target t = {0};
    AUTO_FD int fd = file_of(data, size);
    struct unpack u = {fd, size, odb_mem_odb(m), limits, take, &t};
    uint64_t count = 0;
    oid base;
    err e;

    if (odb_write(odb_mem_odb(m), a, OBJ_BLOB, STR("outside"), &base))
        abort();
    e = unpack_run(a, &u, &count);
    if (count != t.taken || (e && e->status != 400 && e->status != 413))
        abort();
    odb_mem_free(m);
    arena_free(a);
    return 0;
}
