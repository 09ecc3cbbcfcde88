/* unpack.c — see unpack.h.
 *
 *   "PACK" | version 2 | count | entry… | SHA-1 of all before
 *   entry: type and size varint | OFS_DELTA: distance varint | REF_DELTA: 20-byte name | zlib
 * stream
 *
 * Pass 1 walks the entries in order, inflating each: plain objects are taken at once, deltas are
 * noted.  Pass 2 goes from each base to what is made from it, depth first, and lets go of a base
 * when its last delta is being made.
 */
#include "git/unpack.h"
#include "base/io.h"
#include "git/delta.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define OFS_DELTA 6
#define REF_DELTA 7
#define WINDOW_BYTES (64u << 10)
#define PACK_HEAD_BYTES 12
#define PACK_TAIL_BYTES 20
#define DELTA_HEAD_BYTES 24

#define NONE UINT32_MAX

struct entry {
    uint64_t at;     /* of its zlib stream */
    uint64_t offset; /* of the entry */
    uint64_t size;   /* inflated: of the content, or of the delta */
    uint32_t base;   /* index of the base, NONE when it is named or there is none */
    uint32_t next;   /* the next entry with the same base */
    uint32_t child;  /* first entry made from this one */
    uint8_t kind;    /* obj_type, OFS_DELTA, REF_DELTA */
    uint8_t type;    /* of the content, once known; 0: not taken yet */
};

struct state {
    const struct unpack *u;
    struct arena *a;
    struct entry *entries;
    oid *names; /* of REF_DELTA bases before, of the objects themselves after they are taken */
    uint32_t count;
    struct oid_map by_name; /* taken objects that named deltas may want: name → index + 1 */
    struct oid_map waiting; /* base name → first REF_DELTA entry + 1, chained by next */
    uint64_t total, taken;
    z_stream z;
    bool z_ready;
    uint64_t window_at;
    size_t window_len;
    unsigned char window[WINDOW_BYTES];
};

static err bad(struct state *s, const char *what)
{
    return err_new(s->a, 400, NULL, "The pack is damaged: %s.", what);
}

/* --- reading the file --- */

static err window_load(struct state *s, uint64_t at)
{
    uint64_t end = s->u->size - PACK_TAIL_BYTES;
    size_t want = end - at < WINDOW_BYTES ? (size_t)(end - at) : WINDOW_BYTES;
    ssize_t n;

    if (at >= end)
        return bad(s, "it ends too early");
    n = pread_full(s->u->fd, s->window, want, at);
    if (n < 0)
        return err_os(s->a, "pread", "pack");
    if ((size_t)n < want)
        return bad(s, "it ends too early");
    s->window_at = at;
    s->window_len = want;
    return OK;
}

static err byte_at(struct state *s, uint64_t at, unsigned char *ret)
{
    if (at < s->window_at || at >= s->window_at + s->window_len)
        TRY(window_load(s, at));
    *ret = s->window[at - s->window_at];
    return OK;
}

/* Inflates the stream at `at` into dst (room bytes; more is counted and dropped).  *ret_len is the
 * inflated length, *ret_end the offset behind the stream. */
static err inflate_at(struct state *s, uint64_t at, unsigned char *dst, uint64_t room,
                      uint64_t expected, uint64_t *ret_end)
{
    unsigned char spill[512];
    uint64_t got = 0;
    int rc = Z_OK;

    if ((s->z_ready ? inflateReset(&s->z) : inflateInit(&s->z)) != Z_OK)
        return err_internal(s->a, "inflateInit");
    s->z_ready = true;
    while (rc != Z_STREAM_END) {
        bool fits = got < room;
        uInt out = fits ? (uInt)(room - got < 1u << 30 ? room - got : 1u << 30) : sizeof spill;
        size_t skip;

        if (at < s->window_at || at >= s->window_at + s->window_len)
            TRY(window_load(s, at));
        skip = (size_t)(at - s->window_at);
        s->z.next_in = s->window + skip;
        s->z.avail_in = (uInt)(s->window_len - skip);
        s->z.next_out = fits ? dst + got : spill;
        s->z.avail_out = out;
        rc = inflate(&s->z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return bad(s, "a zlib stream does not inflate");
        at += s->window_len - skip - s->z.avail_in;
        got += out - s->z.avail_out;
        if (got > expected)
            return bad(s, "an object is longer than it says");
    }
    if (got != expected)
        return bad(s, "an object is shorter than it says");
    *ret_end = at;
    return OK;
}

/* --- pass 1 --- */

static err entry_head(struct state *s, uint64_t *at, struct entry *e)
{
    unsigned char c;
    unsigned shift = 4;

    e->offset = *at;
    TRY(byte_at(s, (*at)++, &c));
    e->kind = (c >> 4) & 7;
    e->size = c & 15;
    while (c & 0x80) {
        if (shift > 56)
            return bad(s, "an object's size has too many digits");
        TRY(byte_at(s, (*at)++, &c));
        e->size |= (uint64_t)(c & 0x7f) << shift;
        shift += 7;
    }
    if (e->kind == 0 || e->kind == 5)
        return bad(s, "an object has an unknown type");
    if (e->size > s->u->limits.object_bytes)
        return err_new(s->a, 413, NULL,
                       "An object of the pack has %llu bytes; at most %llu are taken. Track "
                       "large files with git lfs.",
                       (unsigned long long)e->size, (unsigned long long)s->u->limits.object_bytes);
    return OK;
}

/* The entry that begins at `offset`, by bisection over the entries read so far. */
static uint32_t entry_at(const struct state *s, uint32_t below, uint64_t offset)
{
    uint32_t low = 0, high = below;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (s->entries[mid].offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low < below && s->entries[low].offset == offset ? low : NONE;
}

static err ofs_base(struct state *s, uint64_t *at, uint32_t index)
{
    struct entry *e = &s->entries[index];
    uint64_t distance;
    unsigned char c;

    TRY(byte_at(s, (*at)++, &c));
    distance = c & 0x7f;
    while (c & 0x80) {
        if (distance > UINT64_MAX >> 8)
            return bad(s, "a delta's distance has too many digits");
        TRY(byte_at(s, (*at)++, &c));
        distance = ((distance + 1) << 7) | (c & 0x7f);
    }
    if (distance == 0 || distance > e->offset)
        return bad(s, "a delta's base is outside the pack");
    e->base = entry_at(s, index, e->offset - distance);
    if (e->base == NONE)
        return bad(s, "a delta's base is no object");
    e->next = s->entries[e->base].child;
    s->entries[e->base].child = index;
    return OK;
}

static err ref_base(struct state *s, uint64_t *at, uint32_t index)
{
    struct entry *e = &s->entries[index];
    uint32_t *first;
    bool is_new;

    for (size_t i = 0; i < sizeof s->names[index].b; i++)
        TRY(byte_at(s, (*at)++, &s->names[index].b[i]));
    first = oid_map_put(&s->waiting, s->names[index], &is_new);
    e->next = *first ? *first - 1 : NONE;
    *first = index + 1;
    return OK;
}

static err take(struct state *s, uint32_t index, enum obj_type type, str data)
{
    bool is_new;

    s->total += data.len;
    if (s->total > s->u->limits.total_bytes)
        return err_new(s->a, 413, NULL,
                       "The pack unfolds to more than %llu bytes; push in smaller steps.",
                       (unsigned long long)s->u->limits.total_bytes);
    TRY(s->u->take(s->u->ctx, type, data, &s->names[index]));
    s->entries[index].type = (uint8_t)type;
    s->taken++;
    *oid_map_put(&s->by_name, s->names[index], &is_new) = index + 1;
    return OK;
}

/* Plain objects are taken now; of deltas only the sizes are looked at. */
static err entry_body(struct state *s, uint64_t *at, uint32_t index)
{
    struct entry *e = &s->entries[index];
    unsigned char head[DELTA_HEAD_BYTES];
    uint64_t base_size, result;
    unsigned char *data;
    str text;
    err failed;

    e->at = *at;
    if (e->kind == OFS_DELTA || e->kind == REF_DELTA) {
        TRY(inflate_at(s, *at, head, sizeof head, e->size, at));
        text = (str){(const char *)head, e->size < sizeof head ? (size_t)e->size : sizeof head};
        if (!delta_sizes(&text, &base_size, &result))
            return bad(s, "a delta has no sizes");
        if (result > s->u->limits.object_bytes || base_size > s->u->limits.object_bytes)
            return err_new(s->a, 413, NULL,
                           "An object of the pack is too large; track large files with git lfs.");
        return OK;
    }
    data = malloc(e->size + 1);
    if (!data)
        abort();
    failed = inflate_at(s, *at, data, e->size, e->size, at);
    if (!failed)
        failed = take(s, index, (enum obj_type)e->kind, (str){(const char *)data, e->size});
    free(data);
    return failed;
}

static err read_entries(struct state *s)
{
    uint64_t at = PACK_HEAD_BYTES;

    for (uint32_t i = 0; i < s->count; i++) {
        s->entries[i] = (struct entry){.base = NONE, .next = NONE, .child = NONE};
        TRY(entry_head(s, &at, &s->entries[i]));
        if (s->entries[i].kind == OFS_DELTA)
            TRY(ofs_base(s, &at, i));
        if (s->entries[i].kind == REF_DELTA)
            TRY(ref_base(s, &at, i));
        TRY(entry_body(s, &at, i));
    }
    return at == s->u->size - PACK_TAIL_BYTES ? OK : bad(s, "there is more behind the last object");
}

/* --- pass 2 --- */

struct frame {
    char *data;
    uint64_t size;
    enum obj_type type;
    uint32_t child; /* the next delta to make from it */
};

struct stack {
    struct frame frames[UNPACK_MAX_CHAIN];
    size_t depth;
    uint64_t bytes;
};

static void stack_pop(struct stack *k)
{
    struct frame *f = &k->frames[--k->depth];

    k->bytes -= f->size;
    free(f->data);
}

/* What is made from object `index`: those that point at it, then those that name it. */
static uint32_t children(struct state *s, uint32_t index, oid name)
{
    uint32_t *first = oid_map_get(&s->waiting, name);
    uint32_t ofs = index == NONE ? NONE : s->entries[index].child, last;

    if (!first || *first == 0)
        return ofs;
    if (ofs == NONE) {
        ofs = *first - 1;
    } else {
        for (last = ofs; s->entries[last].next != NONE;)
            last = s->entries[last].next;
        s->entries[last].next = *first - 1;
    }
    *first = 0; /* they have a base now */
    return ofs;
}

static err stack_push(struct state *s, struct stack *k, struct frame f)
{
    if (k->depth == UNPACK_MAX_CHAIN || k->bytes + f.size > UNPACK_CHAIN_BYTES) {
        free(f.data);
        return err_new(s->a, 413, NULL,
                       "The pack's deltas need too much memory; push again after "
                       "`git repack -adf --depth=50`.");
    }
    k->frames[k->depth++] = f;
    k->bytes += f.size;
    return OK;
}

static err make_delta(struct state *s, uint32_t index, const struct frame *base, struct frame *ret)
{
    struct entry *e = &s->entries[index];
    uint64_t base_size, result, end;
    unsigned char *delta = malloc(e->size + 1);
    char *data = NULL;
    str head;
    err failed;

    if (!delta)
        abort();
    failed = inflate_at(s, e->at, delta, e->size, e->size, &end);
    head = (str){(const char *)delta, e->size};
    if (!failed && (!delta_sizes(&head, &base_size, &result) || result > s->u->limits.object_bytes))
        failed = bad(s, "a delta has no sizes");
    if (!failed && !(data = malloc(result + 1)))
        abort();
    if (!failed && !delta_apply((str){base->data, base->size}, (str){(const char *)delta, e->size},
                                data, result))
        failed = bad(s, "a delta does not fit its base");
    if (!failed)
        failed = take(s, index, base->type, (str){data, result});
    free(delta);
    if (failed) {
        free(data);
        return failed;
    }
    *ret = (struct frame){data, result, base->type, children(s, index, s->names[index])};
    return OK;
}

/* Everything made from the frame at the bottom of the stack, and from that, and so on. */
static err make_all(struct state *s, struct stack *k)
{
    while (k->depth > 0) {
        struct frame *f = &k->frames[k->depth - 1], made;
        uint32_t index = f->child;

        if (index == NONE) {
            stack_pop(k);
            continue;
        }
        f->child = s->entries[index].next;
        TRY(make_delta(s, index, f, &made));
        if (f->child == NONE)
            stack_pop(k); /* its last delta is made: a long line of deltas holds two contents */
        TRY(stack_push(s, k, made));
    }
    return OK;
}

static err start_from(struct state *s, struct stack *k, enum obj_type type, str data,
                      uint32_t first)
{
    struct frame f = {malloc(data.len + 1), data.len, type, first};

    if (!f.data)
        abort();
    if (data.len)
        memcpy(f.data, data.ptr, data.len);
    TRY(stack_push(s, k, f));
    return make_all(s, k);
}

/* From every plain object of the pack that deltas are made from. */
static err from_plain(struct state *s, struct stack *k)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct entry *e = &s->entries[i];
        uint32_t first;
        uint64_t end;
        char *data;

        if (e->kind >= OFS_DELTA || (first = children(s, i, s->names[i])) == NONE)
            continue;
        data = malloc(e->size + 1);
        if (!data)
            abort();
        err failed = inflate_at(s, e->at, (unsigned char *)data, e->size, e->size, &end);
        if (failed) {
            free(data);
            return failed;
        }
        TRY(stack_push(s, k, (struct frame){data, e->size, (enum obj_type)e->kind, first}));
        TRY(make_all(s, k));
    }
    return OK;
}

/* A thin pack names bases that only the repository has. */
static err from_repository(struct state *s, struct stack *k)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct arena_mark m = arena_mark(s->a);
        enum obj_type type;
        uint32_t first;
        bool found;
        oid name;
        str data;

        if (s->entries[i].kind != REF_DELTA || s->entries[i].type)
            continue;
        name = s->names[i];
        TRY(odb_find(s->u->bases, s->a, name, &type, &data, &found));
        if (!found)
            continue; /* made from another thin delta later on, or missing: run() counts */
        first = children(s, NONE, name);
        if (first == NONE)
            return bad(s, "deltas go in a circle");
        TRY(start_from(s, k, type, data, first));
        arena_rewind(s->a, m);
    }
    return OK;
}

static err read_head(struct state *s)
{
    unsigned char h[PACK_HEAD_BYTES];
    uint32_t version, count;

    if (s->u->size < PACK_HEAD_BYTES + PACK_TAIL_BYTES)
        return bad(s, "it ends too early");
    if (pread_full(s->u->fd, h, sizeof h, 0) != (ssize_t)sizeof h)
        return err_os(s->a, "pread", "pack");
    version = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    count = (uint32_t)h[8] << 24 | (uint32_t)h[9] << 16 | (uint32_t)h[10] << 8 | h[11];
    if (memcmp(h, "PACK", 4) != 0 || (version != 2 && version != 3))
        return bad(s, "it does not begin like a pack");
    if (count > s->u->limits.objects)
        return err_new(s->a, 413, NULL, "The pack has %u objects; at most %llu are taken at once.",
                       count, (unsigned long long)s->u->limits.objects);
    if (count > (s->u->size - PACK_HEAD_BYTES - PACK_TAIL_BYTES) / 3 + 1)
        return bad(s, "it is too short for its objects"); /* before memory is asked for them */
    s->count = count;
    return OK;
}

static err check_sum(struct state *s)
{
    struct hasher *h = sha1_new();
    unsigned char tail[PACK_TAIL_BYTES];
    uint64_t end = s->u->size - PACK_TAIL_BYTES;
    err failed = OK;
    sha1 sum;

    for (uint64_t at = 0; at < end && !failed; at += s->window_len) {
        failed = window_load(s, at);
        if (!failed)
            hasher_add(h, s->window, s->window_len);
    }
    sum = sha1_end(h);
    TRY(failed);
    if (pread_full(s->u->fd, tail, sizeof tail, end) != (ssize_t)sizeof tail)
        return err_os(s->a, "pread", "pack");
    return memcmp(sum.b, tail, sizeof tail) == 0 ? OK : bad(s, "its checksum is wrong");
}

static err run(struct state *s)
{
    struct stack *k;
    err failed;

    TRY(read_head(s));
    TRY(check_sum(s));
    s->entries = calloc(s->count + 1u, sizeof *s->entries);
    s->names = calloc(s->count + 1u, sizeof *s->names);
    k = calloc(1, sizeof *k);
    if (!s->entries || !s->names || !k)
        abort();
    failed = read_entries(s);
    if (!failed)
        failed = from_plain(s, k);
    if (!failed)
        failed = from_repository(s, k);
    if (!failed && s->taken != s->count)
        failed = bad(s, "a delta's base is missing");
    while (k->depth > 0)
        stack_pop(k);
    free(k);
    return failed;
}

err unpack_run(struct arena *a, const struct unpack *u, uint64_t *ret_objects)
{
    struct state *s = calloc(1, sizeof *s);
    err failed;

    if (!s)
        abort();
    s->u = u;
    s->a = a;
    failed = run(s);
    *ret_objects = s->taken;
    if (s->z_ready)
        inflateEnd(&s->z);
    oid_map_free(&s->by_name);
    oid_map_free(&s->waiting);
    free(s->entries);
    free(s->names);
    free(s);
    return failed;
}
