/* render_span.c — what stands within a line: emphasis, code, math, links and images. */
#include "markdown/link.h"
#include "markdown/out.h"
#include "markdown/render.h"

str attribute_text(struct buf *scratch, const MD_ATTRIBUTE *a)
{
    if (a->size == 0)
        return STR_NONE;
    if (a->substr_offsets[1] == a->size && a->substr_types[0] == MD_TEXT_NORMAL)
        return (str){a->text, a->size};
    buf_clear(scratch);
    for (size_t i = 0; a->substr_offsets[i] < a->size; i++) {
        str s = {a->text + a->substr_offsets[i], a->substr_offsets[i + 1] - a->substr_offsets[i]};

        if (a->substr_types[i] == MD_TEXT_ENTITY)
            entity_decode(scratch, s);
        else
            out_add(scratch, s);
    }
    return buf_str(scratch);
}

static void title_attr(struct render *r, const MD_ATTRIBUTE *a)
{
    if (a->size == 0)
        return;
    OUT(&r->out, " title=\"");
    out_text(&r->out, attribute_text(&r->scratch, a));
    OUT(&r->out, "\"");
}

/* A link whose target is refused leaves its text. */
static struct mark enter_link(struct render *r, const MD_SPAN_A_DETAIL *d)
{
    size_t at = r->out.len;

    if (r->s.links)
        return (struct mark){0, 0};
    OUT(&r->out, "<a");
    if (!sanitize_href(&r->s, attribute_text(&r->scratch, &d->href))) {
        r->out.len = at;
        return (struct mark){0, 0};
    }
    title_attr(r, &d->title);
    OUT(&r->out, ">");
    return sanitize_enter(&r->s, EL_a, STR("</a>"));
}

static struct mark enter_element(struct render *r, enum element element, str start, str closer)
{
    out_add(&r->out, start);
    return sanitize_enter(&r->s, element, closer);
}

/* A price is no formula: "$5 and $10".  What the parser took for one must not begin or end with
 * white space, nor stand before a digit. */
#define MATH_START "<code class=\"math\">"

static struct mark enter_math(struct render *r)
{
    r->math_end = NULL;
    return enter_element(r, EL_code, STR(MATH_START), STR("</code>"));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

/* `content` is what has been written of it. */
static bool is_formula(const struct render *r, str content)
{
    const char *behind = r->math_end ? r->math_end + 1 : NULL; /* the '$' ends it */

    if (content.len == 0 || is_space(content.ptr[0]) || is_space(content.ptr[content.len - 1]))
        return false;
    return !behind || behind < r->text.ptr || behind >= r->text.ptr + r->text.len ||
           *behind < '0' || *behind > '9';
}

static void leave_math(struct render *r, const struct level *l)
{
    size_t cut = sizeof MATH_START - 2; /* all of the tag but one byte */
    char *start = r->out.ptr + l->at;

    if (is_formula(r, str_from(buf_str(&r->out), l->at + cut + 1))) {
        r->ret->has_math = true;
    } else if (l->mark.serial) {
        *start = '$';
        memmove(start + 1, start + 1 + cut, r->out.len - l->at - 1 - cut);
        r->out.len -= cut;
        sanitize_set_closer(&r->s, l->mark, STR("$"));
    }
    sanitize_leave(&r->s, l->mark);
}

static struct mark enter_span(struct render *r, MD_SPANTYPE type, const void *detail)
{
    switch (type) {
    case MD_SPAN_EM:
        return enter_element(r, EL_em, STR("<em>"), STR("</em>"));
    case MD_SPAN_STRONG:
        return enter_element(r, EL_strong, STR("<strong>"), STR("</strong>"));
    case MD_SPAN_DEL:
        return enter_element(r, EL_del, STR("<del>"), STR("</del>"));
    case MD_SPAN_CODE:
        return enter_element(r, EL_code, STR("<code>"), STR("</code>"));
    case MD_SPAN_A:
        return enter_link(r, detail);
    case MD_SPAN_LATEXMATH:
        return enter_math(r);
    case MD_SPAN_LATEXMATH_DISPLAY:
        r->ret->has_math = true;
        return enter_element(r, EL_code, STR("<code class=\"math math-display\">"), STR("</code>"));
    default:
        return (struct mark){0, 0};
    }
}

static void enter_image(struct render *r, const MD_SPAN_IMG_DETAIL *d)
{
    if (r->images++)
        return;
    r->image_refused = !sanitize_img(&r->s, attribute_text(&r->scratch, &d->src));
    if (!r->image_refused)
        OUT(&r->out, " alt=\"");
    r->alt_at = r->out.len;
}

static void end_image(struct render *r)
{
    if (r->images && !r->image_refused)
        OUT(&r->out, "\">");
    r->images = 0;
}

/* An image without a text is called by the name of its file. */
static void leave_image(struct render *r, const MD_SPAN_IMG_DETAIL *d)
{
    if (r->images != 1 || r->image_refused) {
        r->images -= r->images > 0;
        return;
    }
    if (r->out.len == r->alt_at)
        out_text(&r->out, link_file_name(attribute_text(&r->scratch, &d->src)));
    if (d->title.size) {
        OUT(&r->out, "\"");
        title_attr(r, &d->title);
        OUT(&r->out, ">");
        r->images = 0;
    }
    end_image(r);
}

int render_enter_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    struct render *r = ctx;

    if (render_has_ended(r))
        return 1;
    render_flush_raw(r);
    if (!r->images)
        sanitize_make_place(&r->s);
    if (type == MD_SPAN_IMG) {
        enter_image(r, detail);
    } else if (!r->images && r->depth < MARKDOWN_MAX_DEPTH) {
        struct level *l = &r->levels[r->depth++];

        *l = (struct level){.span = type, .at = r->out.len};
        l->mark = enter_span(r, type, detail);
    }
    return render_is_cut(r);
}

/* Ends the innermost span of the type within the block, and those inside it. */
static void leave_span(struct render *r, MD_SPANTYPE type)
{
    unsigned i = r->depth;

    while (i > 0 && !r->levels[i - 1].is_block && r->levels[i - 1].span != type)
        i--;
    if (i == 0 || r->levels[i - 1].is_block)
        return;
    if (type == MD_SPAN_LATEXMATH && i == r->depth)
        leave_math(r, &r->levels[i - 1]);
    else
        sanitize_leave(&r->s, r->levels[i - 1].mark);
    r->depth = i - 1;
}

int render_leave_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    struct render *r = ctx;

    if (render_has_ended(r))
        return 1;
    render_flush_raw(r);
    if (type == MD_SPAN_IMG)
        leave_image(r, detail);
    else if (!r->images)
        leave_span(r, type);
    return render_is_cut(r);
}

void render_end_spans(struct render *r)
{
    end_image(r);
    while (r->depth > 0 && !r->levels[r->depth - 1].is_block)
        sanitize_leave(&r->s, r->levels[--r->depth].mark);
}
