/* diff.c — a unified diff as data: see commits.h. */
#include "web/commits.h"
#include "web/templates.h"

static bool is_header(str line)
{
    static const char *const words[] = {"index ",   "new file",    "deleted file",  "old mode",
                                        "new mode", "similarity ", "rename ",       "--- ",
                                        "+++ ",     "copy ",       "dissimilarity "};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_starts(line, str_c(words[i])))
            return true;
    return false;
}

/* "diff --git a/PATH b/PATH": PATH, which both sides share unless it was renamed. */
static str name_of(str line)
{
    ptrdiff_t b = str_rfind(line, ' ');
    str rest = str_from(line, sizeof "diff --git a/" - 1);

    for (size_t i = 0; i + 3 < rest.len; i++) /* names may hold blanks: halves of the line agree */
        if (rest.len == 2 * i + 3 && str_eq(str_first(rest, i), str_from(rest, i + 3)))
            return str_first(rest, i);
    return b < 0 ? line : str_from(line, (size_t)b + 3);
}

static size_t count_files(str text)
{
    size_t n = 0;

    while (text.ptr)
        n += str_starts(str_cut(&text, '\n'), STR("diff --git "));
    return n;
}

static void add_line(struct diff_view *v, struct diff_file *f, str line, size_t room, bool in_hunk)
{
    char sign = line.len ? line.ptr[0] : ' ';

    if (!in_hunk && (sign != '@' || is_header(line)))
        return;
    f->added += in_hunk && sign == '+';
    f->removed += in_hunk && sign == '-';
    v->added += in_hunk && sign == '+';
    v->removed += in_hunk && sign == '-';
    if (f->count == room || f->count == DIFF_FILE_LINES) {
        f->is_cut = true;
        return;
    }
    f->lines[f->count++] =
        (struct diff_line){sign == '+' || sign == '-' || sign == '@' ? sign : ' ',
                           sign == '@' || !line.len ? line : str_from(line, 1)};
}

static size_t lines_until_next(str text)
{
    size_t n = 0;

    while (text.ptr) {
        if (str_starts(str_cut(&text, '\n'), STR("diff --git ")))
            break;
        n++;
    }
    return n < DIFF_FILE_LINES ? n : DIFF_FILE_LINES;
}

void diff_parse(struct arena *a, str text, struct diff_view *ret)
{
    size_t files = count_files(text);
    struct diff_file *f = NULL;
    size_t room = 0;
    bool in_hunk = false;

    *ret = (struct diff_view){
        .files = arena_many(a, struct diff_file, files < DIFF_FILES ? files + 1 : DIFF_FILES)};
    while (text.ptr) {
        str line = str_cut(&text, '\n');

        if (str_starts(line, STR("diff --git "))) {
            if (ret->count == DIFF_FILES) {
                ret->is_cut = true;
                return;
            }
            f = &ret->files[ret->count++];
            room = lines_until_next(text);
            *f = (struct diff_file){.name = name_of(line),
                                    .lines = arena_many(a, struct diff_line, room + 1)};
            in_hunk = false;
        } else if (f && (line.len || text.ptr)) {
            add_line(ret, f, line, room, in_hunk);
            in_hunk |= str_starts(line, STR("@@"));
        }
    }
}

void diff_lines(struct buf *out, const struct diff_file *f)
{
    static const struct {
        const char *open, *close;
    } marks[] = {{"<ins>+", "</ins>\n"}, {"<del>-", "</del>\n"}, {"<b>", "</b>\n"}, {" ", "\n"}};

    for (size_t i = 0; i < f->count; i++) {
        char sign = f->lines[i].sign;
        int k = sign == '+' ? 0 : sign == '-' ? 1 : sign == '@' ? 2 : 3;

        buf_add(out, str_c(marks[k].open));
        html_put_text(out, f->lines[i].text);
        buf_add(out, str_c(marks[k].close));
    }
}

void diff_markdown(struct md *m, const struct diff_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct diff_file *f = &v->files[i];
        AUTO_BUF struct buf text = BUF(DIFF_PAGE_BYTES * 2);

        md_heading(m, 3, f->name);
        buf_printf(m->out, "+%zu -%zu\n\n", f->added, f->removed);
        for (size_t k = 0; k < f->count; k++) {
            if (f->lines[k].sign != '@')
                buf_addc(&text, f->lines[k].sign);
            buf_add(&text, f->lines[k].text);
            buf_addc(&text, '\n');
        }
        if (text.len)
            md_fenced(m, buf_str(&text));
        if (f->is_cut)
            md_line(m, "(more lines; see the .diff)");
    }
    if (v->is_cut)
        md_line(m, "\n(more files; see the .diff)");
}
