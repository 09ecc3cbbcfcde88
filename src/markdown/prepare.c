/* prepare.c — see prepare.h. */
#include "markdown/prepare.h"

#include "base/buf.h"
#include "base/text.h"
#include "markdown/out.h"

/* --- front matter --- */

static bool is_dashes(str line)
{
    (void)str_drop(&line, STR("\r"));
    while (str_drop(&line, STR(" ")) || str_drop(&line, STR("\t")))
        continue;
    return str_eq(line, STR("---"));
}

str front_matter_of(str source, size_t *ret_body_at)
{
    str rest = source, line;
    const char *yaml;

    *ret_body_at = 0;
    (void)str_skip(&rest, STR("\xef\xbb\xbf"));
    do
        line = str_cut(&rest, '\n');
    while (rest.len && str_trim(line).len == 0);
    yaml = rest.ptr;
    if (!is_dashes(line) || !yaml)
        return STR_NONE;
    while (rest.ptr) {
        line = str_cut(&rest, '\n');
        if (is_dashes(line)) {
            *ret_body_at = rest.ptr ? (size_t)(rest.ptr - source.ptr) : source.len;
            return (str){yaml, (size_t)(line.ptr - yaml)};
        }
    }
    return STR_NONE;
}

/* --- clean text --- */

static bool is_clean(str s)
{
    return utf8_valid(s) && str_find(s, '\0') < 0 && str_find(s, '\r') < 0;
}

/* Copies s to p, repaired; at most three bytes per byte. */
static size_t repair(char *p, str s)
{
    size_t n = 0;

    while (s.len) {
        int step = utf8_step(s);

        if (s.ptr[0] == '\r') {
            step = s.len > 1 && s.ptr[1] == '\n' ? 2 : 1;
            p[n++] = '\n';
        } else if (step <= 0 || s.ptr[0] == '\0') {
            step = 1;
            p[n] = '\xef', p[n + 1] = '\xbf', p[n + 2] = '\xbd';
            n += 3;
        } else {
            memcpy(p + n, s.ptr, (size_t)step);
            n += (size_t)step;
        }
        s = str_from(s, (size_t)step);
    }
    return n;
}

str text_clean(struct arena *a, str s)
{
    bool clean = is_clean(s);
    size_t n = 0;
    char *p;

    (void)str_skip(&s, STR("\xef\xbb\xbf"));
    if (s.len == 0)
        return STR("");
    p = arena_array(a, s.len + 2, clean ? 1 : 3);
    if (clean)
        memcpy(p, s.ptr, n = s.len);
    else
        n = repair(p, s);
    if (p[n - 1] != '\n')
        p[n++] = '\n';
    return (str){p, n};
}

str text_drop_added(str source, str made)
{
    if (source.len && source.ptr[source.len - 1] != '\n' && source.ptr[source.len - 1] != '\r')
        (void)str_drop(&made, STR("\n"));
    return made;
}

/* --- tables --- */

void fence_follow(struct fence *f, str line)
{
    size_t indent = 0, n = 0;
    char c = '\0';

    while (indent < line.len && line.ptr[indent] == ' ')
        indent++;
    line = str_from(line, indent);
    if (line.len)
        c = line.ptr[0];
    if (indent > 3 || (c != '`' && c != '~'))
        return;
    while (n < line.len && line.ptr[n] == c)
        n++;
    if (n < 3)
        return;
    if (!f->mark)
        *f = (struct fence){c, n};
    else if (f->mark == c && n >= f->len && str_trim(str_from(line, n)).len == 0)
        f->mark = '\0';
}

/* A line of columns: dashes, colons and bars, in a quote perhaps. */
static bool is_columns(str line, bool *ret_short)
{
    size_t i = 0, dashes = 0, bars = 0;

    *ret_short = false;
    while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '>'))
        i++;
    for (; i < line.len; i++) {
        size_t run = 0;

        while (i + run < line.len && line.ptr[i + run] == '-')
            run++;
        *ret_short |= run == 1 || run == 2;
        dashes += run;
        i += run;
        if (i == line.len)
            break;
        bars += line.ptr[i] == '|';
        if (line.ptr[i] != '|' && line.ptr[i] != ':' && line.ptr[i] != ' ' && line.ptr[i] != '\t')
            return false;
    }
    return dashes && bars;
}

static void write_columns(struct buf *b, str line)
{
    for (size_t i = 0; i < line.len; i++) {
        bool begins = line.ptr[i] == '-' && (i == 0 || line.ptr[i - 1] != '-');

        if (begins && !str_starts(str_from(line, i), STR("---")))
            buf_add(b, str_starts(str_from(line, i), STR("--")) ? STR("-") : STR("--"));
        buf_addc(b, line.ptr[i]);
    }
}

str text_tables(struct arena *a, str text)
{
    struct buf b = BUF(text.len * 3 + 64);
    const char *done = text.ptr;
    struct fence fence = {0};
    str rest = text;
    bool is_short;

    while (rest.ptr) {
        str line = str_cut(&rest, '\n');

        fence_follow(&fence, line);
        if (fence.mark || !is_columns(line, &is_short) || !is_short)
            continue;
        buf_add(&b, (str){done, (size_t)(line.ptr - done)});
        write_columns(&b, line);
        done = line.ptr + line.len;
    }
    if (b.len) {
        buf_add(&b, (str){done, (size_t)(text.ptr + text.len - done)});
        text = arena_str(a, buf_str(&b));
    }
    buf_free(&b);
    return text;
}

/* --- the guard --- */

/* What stands in front of a line may only be these: indentation and markers of quotes and lists. */
static const bool is_front[256] = {
    [' '] = true, ['\t'] = true, ['>'] = true,         ['-'] = true, ['+'] = true,
    ['*'] = true, ['.'] = true,  ['0' ... '9'] = true, [')'] = true,
};

static bool is_blank_byte(char c)
{
    return c == ' ' || c == '\t';
}

/* Whether the byte at i opens a quote or a list item, if anything does. */
static bool is_marker(str line, size_t i)
{
    char c = line.ptr[i];

    if (c == '>')
        return true;
    if (c != '-' && c != '+' && c != '*' && c != '.' && c != ')')
        return false;
    return i + 1 == line.len || is_blank_byte(line.ptr[i + 1]);
}

struct front {
    size_t len;     /* bytes before the first one that is neither indentation nor marker */
    size_t deep_at; /* the first marker that nests too deep, or SIZE_MAX */
};

static struct front front_of(str line)
{
    struct front f = {0, SIZE_MAX};
    size_t markers = 0, columns = 0;

    for (; f.len < line.len && is_front[(unsigned char)line.ptr[f.len]]; f.len++) {
        columns += line.ptr[f.len] == '\t' ? 4 : 1;
        if (line.ptr[f.len] == ' ' || line.ptr[f.len] == '\t' || !is_marker(line, f.len))
            continue;
        markers++;
        if (f.deep_at == SIZE_MAX && (markers > GUARD_MAX_MARKERS || columns > GUARD_MAX_INDENT))
            f.deep_at = f.len;
    }
    return f;
}

static size_t count_closers(str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == ']';
    return n;
}

/* Lines up to a blank one; no paragraph of the parser is longer. */
struct run {
    size_t lines, closers, bytes;
    bool has_definition; /* a line begins with a bracket, and there is "]:" */
};

struct survey {
    uint64_t walk;  /* sum of lines times closers */
    size_t closers; /* in all of the text */
    size_t longest; /* run with a definition, in bytes */
    bool is_deep;
};

static bool has_colon_after_bracket(str line)
{
    for (ptrdiff_t at; (at = str_find(line, ']')) >= 0; line = str_from(line, (size_t)at + 1))
        if (str_starts(str_from(line, (size_t)at + 1), STR(":")))
            return true;
    return false;
}

/* Reads the run at the front of *text, and the blank line after it. */
static struct run take_run(str *text, bool *ret_deep)
{
    bool bracket = false, colon = false;
    struct run r = {0};

    while (text->ptr) {
        str line = str_cut(text, '\n');
        struct front f = front_of(line);
        size_t closers;

        r.bytes += line.len + 1;
        if (f.len == line.len && str_trim(line).len == 0)
            break;
        closers = count_closers(line);
        r.lines++;
        r.closers += closers;
        bracket |= f.len < line.len && line.ptr[f.len] == '[';
        colon |= closers && !colon && has_colon_after_bracket(line);
        *ret_deep |= f.deep_at != SIZE_MAX;
    }
    r.has_definition = bracket && colon;
    return r;
}

static struct survey look_at(str text)
{
    struct survey v = {0};

    while (text.ptr) {
        struct run r = take_run(&text, &v.is_deep);

        v.walk += (uint64_t)r.lines * r.closers;
        v.closers += r.closers;
        if (r.has_definition && r.bytes > v.longest)
            v.longest = r.bytes;
    }
    return v;
}

struct limits {
    bool chunks;       /* paragraphs are cut */
    size_t definition; /* bytes of a run in which definitions are left alone */
};

static void write_line(struct buf *b, str line, bool no_definition)
{
    struct front f = front_of(line);

    if (f.deep_at != SIZE_MAX) {
        buf_add(b, str_first(line, f.deep_at));
        buf_addc(b, '\\');
        buf_add(b, str_from(line, f.deep_at));
        return;
    }
    buf_add(b, str_first(line, f.len));
    line = str_from(line, f.len);
    if (no_definition && line.len && line.ptr[0] == '[')
        buf_addc(b, '\\');
    buf_add(b, line);
}

static void write_run(struct buf *b, str run, struct run r, struct limits limits)
{
    bool no_definition = r.has_definition && r.bytes > limits.definition;
    size_t lines = 0, closers = 0;

    while (run.ptr) {
        str line = str_cut(&run, '\n');

        lines++;
        closers += count_closers(line);
        if (limits.chunks && lines > 1 && lines * closers > GUARD_MAX_CHUNK) {
            buf_addc(b, '\n');
            lines = 1;
            closers = count_closers(line);
        }
        write_line(b, line, no_definition);
        if (run.ptr)
            buf_addc(b, '\n');
    }
}

str guard_text(struct arena *a, str text, struct guard *g)
{
    struct survey v = look_at(text);
    struct limits limits;
    struct buf b = BUF(text.len * 3 + 64);
    uint64_t left;

    g->walk += v.walk;
    limits.chunks = g->walk > GUARD_MAX_WALK;
    left = GUARD_MAX_EXPAND - (g->expand < GUARD_MAX_EXPAND ? g->expand : GUARD_MAX_EXPAND);
    limits.definition = v.closers ? left / v.closers : SIZE_MAX;
    if (!v.is_deep && !limits.chunks && v.longest <= limits.definition) {
        g->expand += (uint64_t)v.closers * v.longest;
        return text;
    }
    g->expand +=
        (uint64_t)v.closers * (v.longest < limits.definition ? v.longest : limits.definition);
    while (text.ptr) {
        str from = text;
        struct run r = take_run(&text, &v.is_deep);

        write_run(&b, str_first(from, text.ptr ? (size_t)(text.ptr - from.ptr) : from.len), r,
                  limits);
    }
    text = arena_str(a, buf_str(&b));
    buf_free(&b);
    return text;
}
