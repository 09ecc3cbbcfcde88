/* shard.c — see shard.h.  All integers little-endian.
 *
 *   header     tag 32 | version 2, u64 | footer length, u64: 200 or 0
 *   file       file hash 32 | flags u32 | term count u32 | unused 8
 *     term…    xorb hash 32 | flags u32 | raw length u32 | first chunk u32 | end chunk u32
 *     range…   range hash 32 | unused 16              one per term when flag bit 31 is set
 *     sha256   digest, eight-byte groups reversed 32 | unused 16      when flag bit 30 is set
 *   bookend    32 x ff | unused 16
 *   xorb       xorb hash 32 | flags u32 | chunk count u32 | raw length u32 | stored length u32
 *     chunk…   chunk hash 32 | raw start u32 | raw length u32 | flags u32 | unused 4
 *   bookend
 *   footer     200 bytes at the very end; lookup tables may stand before it
 *
 * Each row is 48 bytes.  Footer offsets:
 *     0 version 1        8 files at      16 xorbs at       24 file lookup at   32 its count
 *    40 xorb lookup at  48 its count     56 chunk lookup at   64 its count     72 key 32
 *   104 created        112 expires     120 unused 48     168 stored bytes on disk
 *   176 materialized bytes             184 raw bytes     192 footer at
 */
#include "cas/shard.h"
#include "cas/bytes.h"

#include <assert.h>

#define VERSION 2u
#define FLAG_RANGES 0x80000000u
#define FLAG_SHA256 0x40000000u
#define FLAG_STARTS_FILE 0x80000000u

static const unsigned char tag[32] = {
    'H',  'F',  'R',  'e',  'p',  'o',  'M',  'e',  't',  'a',  'D',  'a',  't',  'a',  0,    0x55,
    0x69, 0x67, 0x45, 0x6a, 0x7b, 0x81, 0x57, 0x83, 0xa5, 0xbd, 0xd9, 0x5c, 0xcd, 0xd1, 0x4a, 0xa9,
};
static const unsigned char bookend[32] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};
static const unsigned char no_key[32];

#define BAD(name, words)                                                                           \
    static const struct err_info name = {400, "BadShard", STR_INIT(words), NULL, {0}}
BAD(not_a_shard, "The body is not a shard of version 2.");
BAD(cut_off, "The shard ends before its sections do.");
BAD(bad_flags, "The shard describes a file with flags that are not known.");
BAD(bad_term, "The shard describes a file with a term that is not valid.");
BAD(bad_empty, "The shard describes a file that has no terms but is not the empty file.");
BAD(bad_xorb, "The shard describes a xorb with a number of chunks that is not valid.");
BAD(bad_chunk, "The shard describes a chunk with a length that is not valid.");

/* --- reading --- */

static const unsigned char *row_at(const struct shard *s, size_t at)
{
    return (const unsigned char *)s->bytes.ptr + at;
}

/* Are `count` more rows there? */
static bool has_rows(const struct shard *s, size_t at, uint64_t count)
{
    return (s->bytes.len - at) / SHARD_ROW >= count;
}

static bool is_bookend(const unsigned char *row)
{
    return memcmp(row, bookend, sizeof bookend) == 0;
}

static struct shard_term read_term(const unsigned char *row)
{
    struct shard_term t = {.raw_len = load_u32(row + 36),
                           .first_chunk = load_u32(row + 40),
                           .end_chunk = load_u32(row + 44)};

    memcpy(t.xorb.b, row, sizeof t.xorb.b);
    return t;
}

static struct shard_chunk read_chunk(const unsigned char *row)
{
    struct shard_chunk c = {.raw_start = load_u32(row + 32),
                            .raw_len = load_u32(row + 36),
                            .starts_a_file = load_u32(row + 40) & FLAG_STARTS_FILE};

    memcpy(c.hash.b, row, sizeof c.hash.b);
    return c;
}

/* Rows of a file behind its first: up to 2^33 + 1, so 64 bits. */
static uint64_t file_rows(uint32_t flags, uint32_t terms)
{
    return (uint64_t)terms * (flags & FLAG_RANGES ? 2 : 1) + (flags & FLAG_SHA256 ? 1 : 0);
}

static bool term_is_sane(const struct shard_term *t)
{
    return t->raw_len > 0 && t->first_chunk < t->end_chunk && t->end_chunk <= XORB_CHUNKS_MAX;
}

/* Checks the file whose first row is at *at and steps behind it. */
static err check_file(struct shard *s, size_t *at)
{
    const unsigned char *row = row_at(s, *at);
    uint32_t flags = load_u32(row + 32), terms = load_u32(row + 36);

    if (flags & ~(FLAG_RANGES | FLAG_SHA256))
        return &bad_flags;
    *at += SHARD_ROW;
    if (!has_rows(s, *at, file_rows(flags, terms)))
        return &cut_off;
    if (terms == 0 && memcmp(row, no_key, 32) != 0)
        return &bad_empty;
    for (uint32_t i = 0; i < terms; i++) {
        struct shard_term t = read_term(row_at(s, *at + (size_t)i * SHARD_ROW));

        if (!term_is_sane(&t))
            return &bad_term;
    }
    *at += file_rows(flags, terms) * SHARD_ROW;
    s->file_count++;
    s->term_count += terms;
    return OK;
}

static err check_xorb(struct shard *s, size_t *at)
{
    uint32_t chunks = load_u32(row_at(s, *at) + 36);

    *at += SHARD_ROW;
    if (chunks == 0 || chunks > XORB_CHUNKS_MAX)
        return &bad_xorb;
    if (!has_rows(s, *at, chunks))
        return &cut_off;
    for (uint32_t i = 0; i < chunks; i++, *at += SHARD_ROW) {
        struct shard_chunk c = read_chunk(row_at(s, *at));

        if (c.raw_len == 0 || c.raw_len > CHUNK_MAX)
            return &bad_chunk;
    }
    s->xorb_count++;
    s->chunk_count += chunks;
    return OK;
}

/* Checks rows up to a bookend and steps behind it. */
static err check_section(struct shard *s, size_t *at, err (*check)(struct shard *, size_t *))
{
    for (;;) {
        if (!has_rows(s, *at, 1))
            return &cut_off;
        if (is_bookend(row_at(s, *at)))
            break;
        TRY(check(s, at));
    }
    *at += SHARD_ROW;
    return OK;
}

err shard_open(str bytes, struct shard *ret)
{
    struct shard s = {.bytes = bytes};
    size_t at = SHARD_ROW;

    if (bytes.len < SHARD_ROW || memcmp(bytes.ptr, tag, sizeof tag) != 0 ||
        load_u64(row_at(&s, 32)) != VERSION)
        return &not_a_shard;
    TRY(check_section(&s, &at, check_file));
    s.xorbs_at = at;
    TRY(check_section(&s, &at, check_xorb));
    s.end = at;
    *ret = s;
    return OK;
}

bool shard_next_file(const struct shard *s, size_t *at, struct shard_file *ret)
{
    struct shard_file f = {.size = 0};
    const unsigned char *row;
    uint32_t flags;

    if (*at == 0)
        *at = SHARD_ROW;
    row = row_at(s, *at);
    if (is_bookend(row))
        return false;
    memcpy(f.hash.b, row, sizeof f.hash.b);
    flags = load_u32(row + 32);
    f.term_count = load_u32(row + 36);
    f.has_ranges = flags & FLAG_RANGES;
    f.has_sha256 = flags & FLAG_SHA256;
    f.rows = row + SHARD_ROW;
    for (uint32_t i = 0; i < f.term_count; i++)
        f.size += shard_term_at(&f, i).raw_len;
    *at += SHARD_ROW + file_rows(flags, f.term_count) * SHARD_ROW;
    if (f.has_sha256) {
        sha256 swapped;

        memcpy(swapped.b, row_at(s, *at - SHARD_ROW), sizeof swapped.b);
        f.sha256 = sha256_swap(swapped);
    }
    *ret = f;
    return true;
}

struct shard_term shard_term_at(const struct shard_file *f, uint32_t index)
{
    assert(index < f->term_count);
    return read_term(f->rows + (size_t)index * SHARD_ROW);
}

range_hash shard_range_at(const struct shard_file *f, uint32_t index)
{
    range_hash h;

    assert(f->has_ranges && index < f->term_count);
    memcpy(h.b, f->rows + ((size_t)f->term_count + index) * SHARD_ROW, sizeof h.b);
    return h;
}

bool shard_next_xorb(const struct shard *s, size_t *at, struct shard_xorb *ret)
{
    const unsigned char *row;

    if (*at == 0)
        *at = s->xorbs_at;
    row = row_at(s, *at);
    if (is_bookend(row))
        return false;
    *ret = (struct shard_xorb){
        .chunk_count = load_u32(row + 36), .raw_len = load_u32(row + 40), .rows = row + SHARD_ROW};
    memcpy(ret->hash.b, row, sizeof ret->hash.b);
    *at += SHARD_ROW + (size_t)ret->chunk_count * SHARD_ROW;
    return true;
}

struct shard_chunk shard_chunk_at(const struct shard_xorb *x, uint32_t index)
{
    assert(index < x->chunk_count);
    return read_chunk(x->rows + (size_t)index * SHARD_ROW);
}

bool shard_footer_read(const struct shard *s, struct shard_footer *ret)
{
    const unsigned char *f;

    if (load_u64(row_at(s, 40)) != SHARD_FOOTER || s->bytes.len - s->end < SHARD_FOOTER)
        return false;
    f = row_at(s, s->bytes.len - SHARD_FOOTER);
    if (load_u64(f) != 1)
        return false;
    memcpy(ret->key, f + 72, sizeof ret->key);
    ret->created_s = (int64_t)load_u64(f + 104);
    ret->expires_s = (int64_t)load_u64(f + 112);
    return true;
}

/* --- writing --- */

static void add_row(struct shard_writer *w, const unsigned char row[SHARD_ROW])
{
    buf_add(w->out, (str){(const char *)row, SHARD_ROW});
}

/* A row of a hash and four integers. */
static void add_hash_row(struct shard_writer *w, const unsigned char hash[32],
                         const uint32_t words[4])
{
    unsigned char row[SHARD_ROW];

    memcpy(row, hash, 32);
    for (size_t i = 0; i < 4; i++)
        store_u32(row + 32 + 4 * i, words[i]);
    add_row(w, row);
}

#define WORDS(...) ((const uint32_t[4]){__VA_ARGS__})

void shard_begin(struct shard_writer *w, struct buf *out, const struct shard_footer *footer)
{
    unsigned char row[SHARD_ROW];

    *w = (struct shard_writer){.out = out, .start = out->len, .has_footer = footer != NULL};
    if (footer)
        w->footer = *footer;
    w->is_keyed = memcmp(w->footer.key, no_key, sizeof no_key) != 0;
    memcpy(row, tag, sizeof tag);
    store_u64(row + 32, VERSION);
    store_u64(row + 40, footer ? SHARD_FOOTER : 0);
    add_row(w, row);
    w->files_at = SHARD_ROW;
}

static bool between(const struct shard_writer *w)
{
    return w->terms_due == 0 && w->ranges_due == 0 && w->chunks_due == 0 && !w->sha256_due;
}

void shard_add_file(struct shard_writer *w, file_hash h, uint32_t term_count, bool with_ranges,
                    bool with_sha256)
{
    uint32_t flags = (with_ranges ? FLAG_RANGES : 0) | (with_sha256 ? FLAG_SHA256 : 0);

    assert(between(w) && w->xorbs_at == 0);
    w->terms_due = term_count;
    w->ranges_due = with_ranges ? term_count : 0;
    w->sha256_due = with_sha256;
    add_hash_row(w, h.b, WORDS(flags, term_count, 0, 0));
}

void shard_add_term(struct shard_writer *w, struct shard_term t)
{
    assert(w->terms_due > 0 && term_is_sane(&t));
    w->terms_due--;
    add_hash_row(w, t.xorb.b, WORDS(0, t.raw_len, t.first_chunk, t.end_chunk));
}

void shard_add_range(struct shard_writer *w, range_hash h)
{
    assert(w->terms_due == 0 && w->ranges_due > 0);
    w->ranges_due--;
    add_hash_row(w, h.b, WORDS(0));
}

void shard_add_sha256(struct shard_writer *w, sha256 h)
{
    assert(w->terms_due == 0 && w->ranges_due == 0 && w->sha256_due);
    w->sha256_due = false;
    add_hash_row(w, sha256_swap(h).b, WORDS(0));
}

void shard_files_end(struct shard_writer *w)
{
    assert(between(w) && w->xorbs_at == 0);
    add_hash_row(w, bookend, WORDS(0));
    w->xorbs_at = w->out->len - w->start;
}

void shard_add_xorb(struct shard_writer *w, xorb_hash h, uint32_t chunk_count, uint32_t raw_len)
{
    assert(between(w) && w->xorbs_at > 0);
    assert(chunk_count > 0 && chunk_count <= XORB_CHUNKS_MAX);
    w->chunks_due = chunk_count;
    w->raw_start = 0;
    w->raw_bytes += raw_len;
    add_hash_row(w, h.b, WORDS(0, chunk_count, raw_len, 0));
}

void shard_add_chunk(struct shard_writer *w, chunk_hash h, uint32_t raw_len, bool starts_a_file)
{
    assert(w->chunks_due > 0 && raw_len > 0 && raw_len <= CHUNK_MAX);
    if (w->is_keyed)
        h = chunk_hash_keyed(h, w->footer.key);
    w->chunks_due--;
    add_hash_row(w, h.b, WORDS(w->raw_start, raw_len, starts_a_file ? FLAG_STARTS_FILE : 0, 0));
    w->raw_start += raw_len;
}

void shard_xorbs_end(struct shard_writer *w)
{
    unsigned char f[SHARD_FOOTER] = {0};
    uint64_t end;

    assert(between(w) && w->xorbs_at > 0);
    add_hash_row(w, bookend, WORDS(0));
    if (!w->has_footer)
        return;
    end = w->out->len - w->start;
    store_u64(f, 1);
    store_u64(f + 8, w->files_at);
    store_u64(f + 16, w->xorbs_at);
    store_u64(f + 24, end); /* no lookup tables: each would start here */
    store_u64(f + 40, end);
    store_u64(f + 56, end);
    memcpy(f + 72, w->footer.key, sizeof w->footer.key);
    store_u64(f + 104, (uint64_t)w->footer.created_s);
    store_u64(f + 112, (uint64_t)w->footer.expires_s);
    store_u64(f + 184, w->raw_bytes);
    store_u64(f + 192, end);
    buf_add(w->out, (str){(const char *)f, sizeof f});
}
