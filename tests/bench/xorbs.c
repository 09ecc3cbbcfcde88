/* xorbs.c — makes what a Xet client would upload: xorbs and one shard.
 *
 *   bench_xorbs SOURCE DIR       cuts a file, packs its chunks as the server's own encoder does
 *   bench_xorbs -j SOURCE DIR    as the JavaScript client does: LZ4 frames with blocks of 4 MiB
 *   bench_xorbs -s COUNT DIR     a file of COUNT xorbs of 64 MiB that shrink to almost nothing
 *
 * Writes DIR/HASH.xorb and DIR/shard, prints
 * {"file":…,"sha256":…,"size":…,"xorbs":[[HASH,BYTES],…]}.
 */
#include "base/hash.h"
#include "cas/shard.h"
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XORBS_MAX 4096
#define READ_BYTES (1u << 20)
#define SHARD_MAX (256u << 20)

static struct {
    const char *dir;
    bool like_js;
    struct chunk_encoder *encoder;
    struct xorb_builder *builder;
    FILE *out;
    struct merkle tree;
    uint64_t size;
    struct xorb_index *done[XORBS_MAX];
    uint32_t count;
} w;

static void die(const char *why)
{
    fprintf(stderr, "bench_xorbs: %s\n", why);
    exit(1);
}

static err sink(void *arg, const void *p, size_t len)
{
    (void)arg;
    if (!w.out) {
        char path[4096];

        snprintf(path, sizeof path, "%s/part", w.dir);
        w.out = fopen(path, "wb");
    }
    if (!w.out || fwrite(p, 1, len, w.out) != len)
        die("cannot write");
    return OK;
}

static void finish_xorb(void)
{
    char from[4096], to[4096], name[HASH_TEXT];
    struct xorb_index *x;

    if (!xorb_builder_count(w.builder))
        return;
    if (w.count == XORBS_MAX)
        die("too many xorbs");
    x = w.done[w.count++] = xorb_builder_end(w.builder);
    if (fclose(w.out) != 0)
        die("cannot write");
    w.out = NULL;
    xorb_hash_write(name, x->hash);
    snprintf(from, sizeof from, "%s/part", w.dir);
    snprintf(to, sizeof to, "%s/%.64s.xorb", w.dir, name);
    if (rename(from, to) != 0)
        die("cannot rename");
}

/* One frame of linked 4 MiB blocks, however small the chunk. */
static struct chunk_packed pack_like_js(const void *p, size_t len)
{
    static char packed[2 * CHUNK_MAX];
    LZ4F_preferences_t prefs = {.frameInfo = {.blockSizeID = LZ4F_max4MB}};
    size_t n = LZ4F_compressFrame(packed, sizeof packed, p, len, &prefs);
    struct chunk_packed c = {.payload = {packed, n}};

    if (LZ4F_isError(n))
        die("cannot compress");
    chunk_head_write(c.head, (struct chunk_head){CHUNK_LZ4, (uint32_t)n, (uint32_t)len});
    return c;
}

static void add(chunk_hash h, const void *p, size_t len)
{
    struct chunk_packed c;
    uint32_t number;

    if (!xorb_builder_fits(w.builder, len))
        finish_xorb();
    c = w.like_js ? pack_like_js(p, len) : chunk_encode(w.encoder, p, len);
    if (xorb_builder_add(w.builder, h, &c, &number))
        die("cannot add");
    merkle_add(&w.tree, h, len);
    w.size += len;
}

static void cut(const char *path, struct hasher *sha)
{
    static unsigned char piece[READ_BYTES], chunk[CHUNK_MAX];
    struct chunker c = {0};
    FILE *in = fopen(path, "rb");
    size_t n;

    if (!in)
        die("cannot open the source");
    while ((n = fread(piece, 1, sizeof piece, in)) > 0) {
        hasher_add(sha, piece, n);
        for (size_t at = 0; at < n;) {
            size_t had = c.len;
            bool ends;
            size_t took = chunker_next(&c, piece + at, n - at, &ends);

            memcpy(chunk + had, piece + at, took);
            at += took;
            if (ends)
                add(chunk_hash_of(chunk, had + took), chunk, had + took);
        }
    }
    if (c.len)
        add(chunk_hash_of(chunk, c.len), chunk, c.len);
    fclose(in);
}

/* Each xorb begins with a chunk of its own; the others are all the same. */
static void synthesize(uint32_t count)
{
    static unsigned char zero[CHUNK_MAX], own[CHUNK_MAX];
    chunk_hash h = chunk_hash_of(zero, sizeof zero);

    for (uint32_t i = 0; i < count; i++) {
        memcpy(own, &i, sizeof i);
        own[sizeof i] = 1;
        add(chunk_hash_of(own, sizeof own), own, sizeof own);
        for (uint32_t k = 1; k < XORB_CUT_RAW / CHUNK_MAX; k++)
            add(h, zero, sizeof zero);
        finish_xorb();
    }
}

static void write_shard(const sha256 *sha)
{
    struct buf b = BUF(SHARD_MAX);
    struct shard_writer s;
    char path[4096];
    FILE *out;

    shard_begin(&s, &b, NULL);
    shard_add_file(&s, merkle_file_hash(&w.tree), w.count, true, sha != NULL);
    for (uint32_t i = 0; i < w.count; i++)
        shard_add_term(&s, (struct shard_term){w.done[i]->hash,
                                               w.done[i]->raw_end[w.done[i]->count - 1], 0,
                                               w.done[i]->count});
    for (uint32_t i = 0; i < w.count; i++)
        shard_add_range(&s, range_hash_of(w.done[i]->chunks, w.done[i]->count));
    if (sha)
        shard_add_sha256(&s, *sha);
    shard_files_end(&s);
    for (uint32_t i = 0; i < w.count; i++) {
        const struct xorb_index *x = w.done[i];

        shard_add_xorb(&s, x->hash, x->count, x->raw_end[x->count - 1]);
        for (uint32_t k = 0; k < x->count; k++)
            shard_add_chunk(&s, x->chunks[k], xorb_raw_len(x, k), i == 0 && k == 0);
    }
    shard_xorbs_end(&s);
    snprintf(path, sizeof path, "%s/shard", w.dir);
    out = fopen(path, "wb");
    if (b.full || !out || fwrite(b.ptr, 1, b.len, out) != b.len || fclose(out) != 0)
        die("cannot write the shard");
    buf_free(&b);
}

static void report(struct arena *a, const sha256 *sha)
{
    printf("{\"file\":\"%.64s\",\"sha256\":\"%.*s\",\"size\":%llu,\"xorbs\":[",
           file_hash_text(a, merkle_file_hash(&w.tree)).ptr, sha ? 64 : 0,
           sha ? sha256_hex(a, *sha).ptr : "", (unsigned long long)w.size);
    for (uint32_t i = 0; i < w.count; i++)
        printf("%s[\"%.64s\",%u]", i ? "," : "", xorb_hash_text(a, w.done[i]->hash).ptr,
               xorb_body_len(w.done[i]));
    printf("]}\n");
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new(0);
    bool synthetic = argc == 4 && strcmp(argv[1], "-s") == 0;
    sha256 sum;

    w.like_js = argc == 4 && strcmp(argv[1], "-j") == 0;
    if (argc != 3 && !synthetic && !w.like_js)
        die("usage: bench_xorbs [-j] SOURCE DIR | bench_xorbs -s COUNT DIR");
    w.dir = argv[argc - 1];
    w.encoder = chunk_encoder_new();
    w.builder = xorb_builder_new(sink, NULL);
    if (synthetic) {
        synthesize((uint32_t)strtoul(argv[2], NULL, 10));
    } else {
        struct hasher *sha = sha256_new();

        cut(argv[argc - 2], sha);
        finish_xorb();
        sum = sha256_end(sha);
    }
    write_shard(synthetic ? NULL : &sum);
    report(a, synthetic ? NULL : &sum);
    return 0;
}
