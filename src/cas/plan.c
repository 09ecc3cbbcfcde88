/* plan.c — see plan.h. */
#include "cas/plan.h"
#include "cas/bytes.h"

#include <assert.h>

static const struct err_info bad_terms = {
    .status = 500,
    .code = "DataCorrupt",
    .text = STR_INIT("Something went wrong on this hub; its log has the details."),
    .at = "cas/plan.c",
    .detail = STR_INIT("the list of terms of a file is damaged"),
};
static const struct err_info bad_fit = {
    .status = 500,
    .code = "DataCorrupt",
    .text = STR_INIT("Something went wrong on this hub; its log has the details."),
    .at = "cas/plan.c",
    .detail = STR_INIT("a term does not agree with the index of its xorb"),
};

static bool is_sane(const struct term *t)
{
    uint32_t chunks = t->end_chunk - t->first_chunk;

    return t->xorb_id > 0 && t->first_chunk < t->end_chunk && t->end_chunk <= XORB_CHUNKS_MAX &&
           t->raw_len >= chunks && t->raw_len <= (uint64_t)chunks * CHUNK_MAX;
}

void term_pack(unsigned char dst[TERM_BYTES], struct term t)
{
    assert(is_sane(&t));
    store_u64(dst, (uint64_t)t.xorb_id);
    store_u32(dst + 8, t.first_chunk | t.end_chunk << 16);
    store_u32(dst + 12, t.raw_len);
}

static struct term unpack(const unsigned char *p)
{
    uint32_t chunks = load_u32(p + 8);

    return (struct term){.xorb_id = (int64_t)load_u64(p),
                         .first_chunk = chunks & 0xffff,
                         .end_chunk = chunks >> 16,
                         .raw_len = load_u32(p + 12)};
}

str term_list_pack(struct arena *a, const struct term *terms, size_t count)
{
    unsigned char *p = arena_array(a, count, TERM_BYTES);

    for (size_t i = 0; i < count; i++)
        term_pack(p + i * TERM_BYTES, terms[i]);
    return (str){(char *)p, count * TERM_BYTES};
}

struct term term_at(const struct term_list *l, uint64_t index)
{
    assert(index < l->count);
    return unpack((const unsigned char *)l->packed.ptr + index * TERM_BYTES);
}

err term_list_open(str packed, struct term_list *ret)
{
    struct term_list l = {.packed = packed, .count = packed.len / TERM_BYTES};

    if (packed.len % TERM_BYTES != 0)
        return &bad_terms;
    for (uint64_t i = 0; i < l.count; i++) {
        struct term t = term_at(&l, i);

        if (!is_sane(&t))
            return &bad_terms;
        l.size += t.raw_len;
    }
    *ret = l;
    return OK;
}

void plan_begin(struct plan *p, const struct term_list *l, uint64_t first, uint64_t count)
{
    assert(first <= l->size && count <= l->size - first);
    *p = (struct plan){.list = l, .at = first, .end = first + count};
}

bool plan_next(struct plan *p, struct plan_piece *ret)
{
    while (p->at < p->end) {
        struct term t = term_at(p->list, p->next);
        uint64_t offset = p->offset, index = p->next;
        uint64_t end = offset + t.raw_len;

        p->next++;
        p->offset = end;
        if (end <= p->at)
            continue;
        if (end > p->end)
            end = p->end;
        *ret = (struct plan_piece){.index = index,
                                   .term = t,
                                   .offset = offset,
                                   .skip = (uint32_t)(p->at - offset),
                                   .take = (uint32_t)(end - p->at)};
        p->at = end;
        return true;
    }
    return false;
}

size_t plan_list(struct arena *a, const struct term_list *l, uint64_t first, uint64_t count,
                 size_t max, struct plan_piece **ret, uint64_t *ret_covered)
{
    struct plan count_only, p;
    struct plan_piece piece;
    size_t n = 0;

    plan_begin(&count_only, l, first, count);
    p = count_only;
    while (n < max && plan_next(&count_only, &piece))
        n++;
    *ret = arena_many(a, struct plan_piece, n);
    for (size_t i = 0; i < n && plan_next(&p, &piece); i++)
        (*ret)[i] = piece;
    *ret_covered = p.at - first;
    return n;
}

uint32_t plan_chunk_of(const struct xorb_index *x, uint32_t offset)
{
    uint32_t low = 0, high = x->count - 1;

    assert(offset < x->raw_end[high]);
    while (low < high) { /* the first chunk that ends behind `offset` */
        uint32_t mid = low + (high - low) / 2;

        if (x->raw_end[mid] > offset)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

err plan_chunks(const struct xorb_index *x, const struct plan_piece *p, struct plan_chunks *ret)
{
    const struct term *t = &p->term;
    uint32_t from, last;

    assert(p->take > 0 && p->skip < t->raw_len && p->take <= t->raw_len - p->skip);
    if (t->end_chunk > x->count ||
        x->raw_end[t->end_chunk - 1] - xorb_raw_start(x, t->first_chunk) != t->raw_len)
        return &bad_fit;
    from = xorb_raw_start(x, t->first_chunk) + p->skip;
    *ret = (struct plan_chunks){.first_chunk = plan_chunk_of(x, from), .take = p->take};
    last = plan_chunk_of(x, from + p->take - 1);
    ret->end_chunk = last + 1;
    ret->skip = from - xorb_raw_start(x, ret->first_chunk);
    ret->raw_len = x->raw_end[last] - xorb_raw_start(x, ret->first_chunk);
    ret->phys_start = xorb_phys_start(x, ret->first_chunk);
    ret->phys_end = x->phys_end[last];
    assert(ret->skip + (uint64_t)ret->take <= ret->raw_len);
    return OK;
}
