/* card.c — see card.h; what the card and the files say together is in facts.c. */
#include "hub/card.h"
#include "hub/hub.h"
#include "hub/meta.h"
#include "hub/yaml_json.h"

/* Identifiers that the Hub knows; others are refused in cards. */
static const char *const licenses[] = {
    "apache-2.0",
    "mit",
    "openrail",
    "bigscience-openrail-m",
    "creativeml-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m",
    "afl-3.0",
    "artistic-2.0",
    "bsl-1.0",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "c-uda",
    "cc",
    "cc0-1.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "wtfpl",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "eupl-1.2",
    "agpl-3.0",
    "gfdl",
    "gpl",
    "gpl-2.0",
    "gpl-3.0",
    "lgpl",
    "lgpl-2.1",
    "lgpl-3.0",
    "isc",
    "h-research",
    "intel-research",
    "lppl-1.3c",
    "ms-pl",
    "apple-ascl",
    "apple-amlr",
    "mpl-2.0",
    "odc-by",
    "odbl",
    "openmdw-1.0",
    "openmdw-1.1",
    "openrail++",
    "osl-3.0",
    "postgresql",
    "ofl-1.1",
    "ncsa",
    "unlicense",
    "zlib",
    "pddl",
    "lgpl-lr",
    "deepfloyd-if-license",
    "fair-noncommercial-research-license",
    "llama2",
    "llama3",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "llama4",
    "grok2-community",
    "gemma",
    "unknown",
    "other",
};
#define LICENSE_COUNT (sizeof licenses / sizeof *licenses)

/* --- reading --- */

/* Takes model-index out of the object. */
static void split_index(struct arena *a, str object, struct card *ret)
{
    struct buf rest = BUF(YAML_MAX_OUTPUT + 2);
    str key, value;

    buf_addc(&rest, '{');
    for (struct raw_iter it = raw_iter(object); raw_next(&it, &key, &value);) {
        if (str_eq(key, STR("model-index"))) {
            ret->model_index = value.len <= CARD_INDEX_MAX ? value : STR_NONE;
            continue;
        }
        if (rest.len > 1)
            buf_addc(&rest, ',');
        buf_addc(&rest, '"');
        buf_add(&rest, key);
        buf_add(&rest, STR("\":"));
        buf_add(&rest, value);
    }
    buf_addc(&rest, '}');
    ret->json = arena_str(a, buf_str(&rest));
    buf_free(&rest);
}

void card_read(struct arena *a, str readme, struct card *ret)
{
    struct front_matter f = front_matter_split(readme);
    str json;

    *ret = (struct card){.body = f.body};
    if (f.is_there && !yaml_to_json(a, f.yaml, f.first_line, &json) && str_starts(json, STR("{")))
        split_index(a, json, ret);
}

/* --- papers --- */

static size_t digits(str s)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    return n;
}

/* "1810.04805" at the front of s. */
static str arxiv_id(str s)
{
    size_t year = digits(s), number;

    if (year != 4 || s.len < 6 || s.ptr[4] != '.')
        return STR_NONE;
    number = digits(str_from(s, 5));
    return number == 4 || number == 5 ? str_first(s, 5 + number) : STR_NONE;
}

static bool arxiv_lead(str *s)
{
    static const str leads[] = {
        STR_INIT("arxiv.org/abs/"),         STR_INIT("arxiv.org/pdf/"), STR_INIT("arxiv.org/html/"),
        STR_INIT("huggingface.co/papers/"), STR_INIT("hf.co/papers/"),  STR_INIT("arxiv:"),
    };

    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
        if (str_iskip(s, leads[i]))
            return true;
    return false;
}

size_t card_arxiv(str text, str ret[CARD_ARXIV_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < text.len && count < CARD_ARXIV_MAX; i++) {
        char c = text.ptr[i];
        str at = str_from(text, i), id;
        bool is_new = true;

        if ((c != 'a' && c != 'A' && c != 'h' && c != 'H') || !arxiv_lead(&at))
            continue;
        id = arxiv_id(str_trim(str_first(at, 16)));
        for (size_t k = 0; k < count; k++)
            is_new = is_new && !str_eq(ret[k], id);
        if (id.len && is_new)
            ret[count++] = id;
    }
    return count;
}

/* --- the excerpt --- */

struct plain {
    struct buf *out;
    bool gap; /* white space waits to be written */
};

static void add_plain(struct plain *p, str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == ' ' || c == '\t' || c == '\r' || c == '|') {
            p->gap = true;
            continue;
        }
        if (c == '*' || c == '`' || c == '\\' || (unsigned char)c < ' ')
            continue;
        if (p->gap && p->out->len)
            buf_addc(p->out, ' ');
        p->gap = false;
        buf_addc(p->out, c);
    }
    p->gap = true;
}

/* Length of "[text](url)" at the front of s and its text; 0: it is none. */
static size_t link_at(str s, str *ret_text)
{
    ptrdiff_t close = s.len && s.ptr[0] == '[' ? str_find(s, ']') : -1, end;

    if (close < 0 || (size_t)close + 1 >= s.len || s.ptr[close + 1] != '(')
        return 0;
    end = str_find(str_from(s, (size_t)close), ')');
    if (end < 0)
        return 0;
    *ret_text = str_from(str_first(s, (size_t)close), 1);
    return (size_t)close + (size_t)end + 1;
}

/* One line without pictures, tags, and the addresses of its links. */
static void plain_line(struct plain *p, str line)
{
    size_t start = 0, i = 0;
    str text;

    while (i < line.len) {
        bool is_image = line.ptr[i] == '!';
        size_t n = link_at(str_from(line, i + is_image), &text);
        ptrdiff_t tag = line.ptr[i] == '<' ? str_find(str_from(line, i), '>') : -1;

        if (n == 0 && tag < 0) {
            i++;
            continue;
        }
        add_plain(p, str_first(str_from(line, start), i - start));
        if (n && !is_image)
            add_plain(p, text);
        i += n ? n + is_image : (size_t)tag + 1;
        start = i;
    }
    add_plain(p, str_from(line, start));
}

/* Not more than `max` bytes, cut behind a word. */
static str shorten(struct arena *a, str s, size_t max)
{
    size_t cut = max - 3;

    if (s.len <= max)
        return arena_str(a, s);
    while (cut > max / 2 && s.ptr[cut] != ' ')
        cut--;
    while (cut > 0 && ((unsigned char)s.ptr[cut] & 0xc0) == 0x80)
        cut--;
    return arena_cat(a, str_first(s, cut), STR("\xe2\x80\xa6"));
}

str card_excerpt(struct arena *a, str markdown, size_t max)
{
    struct buf b = BUF(1u << 20);
    struct plain p = {&b, false};
    bool fenced = false;
    str line, out;

    while (markdown.ptr && b.len < max * 2) {
        line = str_trim(str_cut(&markdown, '\n'));
        if (str_starts(line, STR("```")) || str_starts(line, STR("~~~"))) {
            fenced = !fenced;
            continue;
        }
        if (fenced || line.len > 10000)
            continue;
        while (str_skip(&line, STR("#")) || str_skip(&line, STR(">")) ||
               str_skip(&line, STR(" "))) {
        }
        plain_line(&p, line);
    }
    out = shorten(a, buf_str(&b), max);
    buf_free(&b);
    return out;
}

/* --- checking --- */

static bool license_known(str id)
{
    for (size_t i = 0; i < LICENSE_COUNT; i++)
        if (str_eq(id, str_c(licenses[i])))
            return true;
    return false;
}

static void add_error(struct card_findings *f, str text)
{
    if (f->error_count < sizeof f->errors / sizeof *f->errors)
        f->errors[f->error_count++] = text;
}

static void add_warning(struct card_findings *f, str text)
{
    if (f->warning_count < sizeof f->warnings / sizeof *f->warnings)
        f->warnings[f->warning_count++] = text;
}

static str license_list(struct arena *a)
{
    struct buf b = BUF(8192);
    str text;

    for (size_t i = 0; i < LICENSE_COUNT; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", licenses[i]);
    text = arena_cat(a, STR("\"license\" must be one of ["), buf_str(&b), STR("]"));
    buf_free(&b);
    return text;
}

static void check_license(struct arena *a, const struct json *license, struct card_findings *ret)
{
    bool good = true;

    if (json_type(license) == JSON_ARR)
        for (size_t i = 0; i < json_len(license); i++)
            good = good && license_known(json_str(json_at(license, i)));
    else if (json_type(license) != JSON_ABSENT && json_type(license) != JSON_NULL)
        good = license_known(json_str(license));
    if (!good)
        add_error(ret, license_list(a));
}

static void check_space(const struct json *card, struct card_findings *ret)
{
    static const char *const sdks[] = {"gradio", "streamlit", "docker", "static"};
    str sdk = json_get_str(card, "sdk");
    bool known = false;

    for (size_t i = 0; i < sizeof sdks / sizeof *sdks; i++)
        known = known || str_eq(sdk, str_c(sdks[i]));
    if (!known)
        add_warning(ret, STR("\"sdk\" must be one of [gradio, streamlit, docker, static]"));
}

static void check_fields(struct arena *a, const struct json *card, bool is_space,
                         struct card_findings *ret)
{
    const struct json *index = json_get(card, "model-index");
    const struct json *tags = json_get(card, "tags");

    if (index && json_type(index) != JSON_ARR && json_type(index) != JSON_NULL)
        add_error(ret, STR("\"model-index\" must be an array"));
    check_license(a, json_get(card, "license"), ret);
    if (tags && json_type(tags) != JSON_ARR && json_type(tags) != JSON_STR &&
        json_type(tags) != JSON_NULL)
        add_warning(ret, STR("\"tags\" must be an array"));
    if (is_space)
        check_space(card, ret);
}

void card_check(struct arena *a, str readme, bool is_space, struct card_findings *ret)
{
    struct front_matter f = front_matter_split(readme);
    const struct json *card;
    str json;
    err e;

    *ret = (struct card_findings){0};
    e = f.is_there ? yaml_to_json(a, f.yaml, f.first_line, &json) : OK;
    if (!e && f.is_there)
        e = json_parse(a, json, &card);
    if (e)
        add_error(ret, arena_cat(a, STR("YAML Metadata Error: "), e->text));
    else if (!f.is_there || json_type(card) == JSON_NULL ||
             (json_type(card) == JSON_OBJ && json_len(card) == 0))
        add_warning(ret, STR("YAML Metadata Warning: empty or missing yaml metadata in repo card"));
    else if (json_type(card) != JSON_OBJ)
        add_error(ret, STR("YAML Metadata Error: the metadata must be a list of \"name: value\" "
                           "lines between two lines of dashes"));
    else
        check_fields(a, card, is_space, ret);
}

static void put_findings(struct json_out *j, const char *key, const str *texts, size_t count)
{
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < count; i++) {
        json_obj(j);
        json_kv_str(j, "message", texts[i]);
        json_obj_end(j);
    }
    json_arr_end(j);
}

err hub_validate_yaml(struct req *r)
{
    str content = json_get_str(r->json, "content");
    str kind = json_get_str(r->json, "repoType");
    struct json_out *j = json_out_new(r->a);
    struct card_findings f = {0};

    if (content.ptr)
        card_check(r->a, content, str_eq(kind, STR("space")), &f);
    else
        add_error(&f, STR("\"content\" must be the text of the README"));
    json_obj(j);
    put_findings(j, "errors", f.errors, f.error_count);
    put_findings(j, "warnings", f.warnings, f.warning_count);
    json_obj_end(j);
    return reply_json(r, f.error_count ? 400 : 200, j);
}
