/* slug.c — see slug.h. */
#include "markdown/slug.h"

#include "base/buf.h"
#include "base/text.h"

#include <string.h>

#define TABLE_FIRST ((size_t)64) /* a power of two */

struct slug {
    str name;
    unsigned next; /* what the next one of the same name tries to end in */
};

static struct slug **place_of(const struct slugs *s, str name)
{
    size_t i = str_hash(name) & (s->size - 1);

    while (s->table[i] && !str_eq(s->table[i]->name, name))
        i = (i + 1) & (s->size - 1);
    return &s->table[i];
}

/* The slot that has the name or is free for it. */
static struct slug **find(struct slugs *s, str name)
{
    struct slugs old = *s;

    if (s->count * 2 >= s->size) {
        s->size = s->size ? s->size * 2 : TABLE_FIRST;
        s->table = arena_many(s->a, struct slug *, s->size);
        for (size_t i = 0; i < old.size; i++)
            if (old.table[i])
                *place_of(s, old.table[i]->name) = old.table[i];
    }
    return place_of(s, name);
}

static str add(struct slugs *s, struct slug **slot, str name)
{
    str id = arena_cat(s->a, STR(MARKDOWN_ID_PREFIX), name);

    *slot = arena_one(s->a, struct slug);
    (*slot)->name = str_from(id, sizeof MARKDOWN_ID_PREFIX - 1);
    (*slot)->next = 1;
    s->count++;
    return id;
}

/* Code point of a whole character. */
static uint32_t code_of(str c)
{
    uint32_t code = (unsigned char)c.ptr[0];

    if (c.len > 1)
        code &= 0xffu >> (c.len + 1);
    for (size_t i = 1; i < c.len; i++)
        code = code << 6 | ((unsigned char)c.ptr[i] & 0x3f);
    return code;
}

/* Punctuation, arrows, symbols and emoji beyond ASCII. */
static bool is_symbol(uint32_t c)
{
    return (c >= 0x80 && c < 0xc0 && c != 0xaa && c != 0xb5 && c != 0xba) || c == 0xd7 ||
           c == 0xf7 || (c >= 0x2000 && c < 0x2c00) || (c >= 0x3000 && c < 0x3040) ||
           (c >= 0xfe00 && c < 0xfe10) || (c >= 0xff00 && c < 0xff10) || c >= 0x1f000;
}

/* Whether an ASCII character stays, upper case in lower case; a space becomes '-'. */
static bool keep_ascii(char *c)
{
    if (*c >= 'A' && *c <= 'Z')
        *c = (char)(*c | 0x20);
    else if (*c == ' ')
        *c = '-';
    return (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
}

static str slugify(struct arena *a, str text)
{
    char *p = arena_alloc(a, text.len < SLUG_MAX_BYTES ? text.len + 1 : SLUG_MAX_BYTES + 1);
    size_t n = 0;

    while (text.len) {
        int step = utf8_step(text);
        str c = str_first(text, step > 0 ? (size_t)step : 1);
        char one = c.ptr[0];

        text = str_from(text, c.len);
        if (n + c.len > SLUG_MAX_BYTES)
            break;
        if (step > 1 && !is_symbol(code_of(c))) {
            memcpy(p + n, c.ptr, c.len);
            n += c.len;
        } else if (step == 1 && keep_ascii(&one)) {
            p[n++] = one;
        }
    }
    return (str){p, n};
}

str slug_of(struct slugs *s, str text)
{
    struct slug **slot, *first;
    str name;

    if (s->count >= MARKDOWN_MAX_IDS)
        return STR_NONE;
    name = slugify(s->a, str_trim(text));
    if (name.len == 0)
        name = STR("section");
    slot = find(s, name);
    first = *slot;
    if (!first)
        return add(s, slot, name);
    while (*slot) {
        str other = arena_printf(s->a, "%.*s-%u", STR_FMT(name), first->next++);

        slot = find(s, other);
        if (!*slot)
            return add(s, slot, other);
    }
    return STR_NONE;
}

str slug_claim(struct slugs *s, str id)
{
    struct slug **slot;

    (void)str_skip(&id, STR(MARKDOWN_ID_PREFIX));
    if (id.len == 0 || id.len > SLUG_MAX_BYTES || s->count >= MARKDOWN_MAX_IDS)
        return STR_NONE;
    for (size_t i = 0; i < id.len; i++)
        if ((unsigned char)id.ptr[i] <= ' ' || id.ptr[i] == 127)
            return STR_NONE;
    slot = find(s, id);
    return *slot ? STR_NONE : add(s, slot, id);
}
