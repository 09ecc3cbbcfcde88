/* footnote.c — see footnote.h. */
#include "markdown/footnote.h"

#include "base/buf.h"
#include "markdown/prepare.h"

#include <string.h>

/* Reads "[^label]" off the front of s; its length, or 0. */
static size_t take_label(str s, str *ret)
{
    size_t i = 2;

    if (!str_starts(s, STR("[^")))
        return 0;
    while (i < s.len && i < FOOTNOTE_MAX_LABEL + 2 && s.ptr[i] != ']' && s.ptr[i] != '[' &&
           (unsigned char)s.ptr[i] > ' ')
        i++;
    if (i == 2 || i >= s.len || s.ptr[i] != ']')
        return 0;
    *ret = (str){s.ptr + 2, i - 2};
    return i + 1;
}

static struct footnote *find(const struct footnotes *f, str label)
{
    for (size_t i = 0; i < f->count; i++)
        if (str_ieq(f->items[i].label, label))
            return &f->items[i];
    return NULL;
}

struct footnote *footnote_ref(const struct footnotes *f, str s, size_t *ret_len)
{
    str label;

    *ret_len = take_label(s, &label);
    return *ret_len ? find(f, label) : NULL;
}

/* --- the definitions --- */

static size_t spaces(str line)
{
    size_t n = 0;

    while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t'))
        n += n < 4 && line.ptr[n] == '\t' ? 4 : 1;
    return n < line.len ? n : line.len;
}

/* The label of a definition that begins with this line; *ret_rest is its text. */
static bool is_definition(str line, str *ret_label, str *ret_rest)
{
    size_t indent = 0, n;

    while (indent < line.len && line.ptr[indent] == ' ')
        indent++;
    line = str_from(line, indent);
    n = take_label(line, ret_label);
    if (indent > 3 || n == 0 || !str_starts(str_from(line, n), STR(":")))
        return false;
    *ret_rest = str_from(line, n + 1);
    return true;
}

/* Takes the lines that go on with a definition off the front of *text, their indentation removed.
 */
static void take_continuation(str *text, struct buf *b)
{
    bool blank = false;

    while (text->ptr) {
        str ahead = *text, line = str_cut(&ahead, '\n'), label, rest;
        size_t indent = spaces(line);

        if (str_trim(line).len == 0) {
            blank = true;
        } else if (is_definition(line, &label, &rest) || (blank && indent < 4)) {
            return;
        } else {
            if (blank)
                buf_addc(b, '\n');
            blank = false;
            for (size_t i = 0; i < 4 && line.len && line.ptr[0] == ' '; i++)
                line = str_from(line, 1);
            (void)(indent && str_skip(&line, STR("\t")));
            buf_add(b, line);
            buf_addc(b, '\n');
        }
        if (blank && !ahead.ptr)
            return;
        *text = ahead;
    }
}

static void take_definition(struct arena *a, str *text, str label, str rest, struct footnotes *f)
{
    struct buf b = BUF(text->len + rest.len + 64);

    buf_add(&b, str_trim(rest));
    buf_addc(&b, '\n');
    take_continuation(text, &b);
    if (!find(f, label))
        f->items[f->count++] = (struct footnote){.label = label, .text = arena_str(a, buf_str(&b))};
    buf_free(&b);
}

static bool mentions_note(str s)
{
    for (ptrdiff_t at; (at = str_find(s, '^')) >= 0; s = str_from(s, (size_t)at + 1))
        if (at > 0 && s.ptr[at - 1] == '[')
            return true;
    return false;
}

str footnotes_take(struct arena *a, str text, struct footnotes *ret)
{
    struct buf b = BUF(text.len + 64);
    struct fence fence = {0};
    str rest = text;

    memset(ret, 0, sizeof *ret);
    if (!mentions_note(text))
        return text;
    ret->items = arena_many(a, struct footnote, MARKDOWN_MAX_FOOTNOTES);
    while (rest.ptr) {
        str line = str_cut(&rest, '\n'), label, first;

        fence_follow(&fence, line);
        if (!fence.mark && ret->count < MARKDOWN_MAX_FOOTNOTES &&
            is_definition(line, &label, &first)) {
            take_definition(a, &rest, label, first, ret);
            line = STR_NONE;
        }
        buf_add(&b, line);
        if (rest.ptr)
            buf_addc(&b, '\n');
    }
    if (ret->count)
        text = arena_str(a, buf_str(&b));
    buf_free(&b);
    return text;
}
