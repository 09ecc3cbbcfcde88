/* fuzz_shard.c — what opens can be walked, stays inside, and adds up. */
#include "cas/shard.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned char unused; /* so that the reads above it happen */

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void walk_files(const struct shard *s)
{
    struct shard_file f;
    uint64_t files = 0, terms = 0;
    unsigned char mix = 0;

    for (size_t at = 0; shard_next_file(s, &at, &f); files++) {
        require(at < s->xorbs_at);
        for (uint32_t i = 0; i < f.term_count; i++, terms++) {
            struct shard_term t = shard_term_at(&f, i);

            require(t.first_chunk < t.end_chunk && t.end_chunk <= XORB_CHUNKS_MAX);
            if (f.has_ranges)
                mix ^= shard_range_at(&f, i).b[31];
        }
        mix ^= f.sha256.b[0];
    }
    require(files == s->file_count && terms == s->term_count);
    unused = mix;
}

static void walk_xorbs(const struct shard *s)
{
    struct shard_xorb x;
    uint64_t xorbs = 0, chunks = 0;

    for (size_t at = 0; shard_next_xorb(s, &at, &x); xorbs++) {
        require(at < s->end);
        for (uint32_t i = 0; i < x.chunk_count; i++, chunks++)
            require(shard_chunk_at(&x, i).raw_len <= CHUNK_MAX);
    }
    require(xorbs == s->xorb_count && chunks == s->chunk_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shard_footer footer;
    struct shard s;

    if (shard_open((str){(const char *)data, size}, &s))
        return 0;
    require(s.end <= size && s.xorbs_at < s.end);
    walk_files(&s);
    walk_xorbs(&s);
    shard_footer_read(&s, &footer);
    return 0;
}
