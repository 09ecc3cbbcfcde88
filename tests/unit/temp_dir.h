/* temp_dir.h — a directory of its own for a test, gone afterwards. */
#pragma once
#include "check.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp_dir {
    char path[512];
};

static inline void temp_dir_make(struct temp_dir *d)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(d->path, sizeof d->path, "%s/hearth-test-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(d->path));
}

static inline int temp_dir_entry(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static inline void temp_dir_remove(struct temp_dir *d)
{
    nftw(d->path, temp_dir_entry, 16, FTW_DEPTH | FTW_PHYS);
}
