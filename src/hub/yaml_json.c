/* yaml_json.c — see yaml_json.h.
 *
 * libyaml's events become a small tree in the arena, because the last of duplicate keys wins and an
 * alias repeats what stands behind its anchor; then the tree is written as JSON.  An anchor can be
 * used once its node is complete, so the tree has no cycles.
 */
#include "hub/yaml_json.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum kind { N_NULL, N_BOOL, N_INT, N_REAL, N_STR, N_SEQ, N_MAP };

struct node {
    enum kind kind;
    bool flag;
    int64_t number;
    double real;
    str text;
    struct item *items; /* of N_SEQ and N_MAP */
    size_t count, cap;
};
struct item {
    str key;
    struct node *value;
    size_t order;
};
struct anchor {
    struct anchor *next;
    str name;
    struct node *node;
};
struct frame {
    struct node *node;
    str anchor; /* ptr NULL: none */
    str key;    /* of N_MAP: waits for its value when has_key */
    bool has_key;
};
struct loader {
    struct arena *a;
    yaml_parser_t parser;
    unsigned first_line;
    struct frame stack[YAML_MAX_DEPTH];
    unsigned depth;
    struct anchor *anchors;
    size_t anchor_count, nodes;
    struct node *root;
};

/* --- where the front matter is --- */

/* Takes one line off *rest, without its end. */
static str take_line(str *rest)
{
    str line = str_cut(rest, '\n');

    if (!rest->ptr)
        *rest = (str){line.ptr + line.len, 0};
    return line;
}

static bool is_dashes(str line)
{
    return str_skip(&line, STR("---")) && str_trim(line).len == 0;
}

struct front_matter front_matter_split(str text)
{
    struct front_matter f = {.body = text, .first_line = 1};
    str rest = text, line;

    (void)str_skip(&rest, STR("\xef\xbb\xbf"));
    do {
        line = take_line(&rest);
        f.first_line++;
    } while (rest.len && str_trim(line).len == 0);
    if (!is_dashes(line))
        return (struct front_matter){.body = text, .first_line = 1};
    f.yaml = (str){rest.ptr, 0};
    while (rest.len) {
        line = take_line(&rest);
        if (is_dashes(line)) {
            f.yaml.len = (size_t)(line.ptr - f.yaml.ptr);
            f.body = rest;
            f.is_there = true;
            return f;
        }
    }
    return (struct front_matter){.body = text, .first_line = 1};
}

/* --- errors --- */

static err bad_at(const struct loader *l, yaml_mark_t at, const char *what)
{
    return err_new(l->a, 400, "InvalidYaml", "YAML at line %zu, column %zu: %s.",
                   at.line + l->first_line, at.column + 1, what);
}

static err bad_input(const struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    yaml_mark_t at = p->problem_mark;

    if (p->error == YAML_MEMORY_ERROR)
        return err_internal(l->a, "yaml: out of memory");
    if (p->error == YAML_READER_ERROR) /* it knows an offset only */
        return err_new(l->a, 400, "InvalidYaml", "YAML at line %zu, near byte %zu: %s.",
                       p->mark.line + l->first_line, p->problem_offset,
                       p->problem ? p->problem : "bad characters");
    return bad_at(l, at, p->problem ? p->problem : "it cannot be read");
}

/* --- scalars --- */

static bool one_of(str s, const char *x, const char *y, const char *z)
{
    return str_eq(s, str_c(x)) || str_eq(s, str_c(y)) || str_eq(s, str_c(z));
}

static size_t digits(str s)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    return n;
}

static bool in_base(str s, int base, int64_t *ret)
{
    int64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : 99;

        if (d >= base || __builtin_mul_overflow(v, (int64_t)base, &v) ||
            __builtin_add_overflow(v, (int64_t)d, &v))
            return false;
    }
    *ret = v;
    return s.len > 0;
}

/* [-+]? ( \. digits | digits ( \. digits? )? ) ( [eE] [-+]? digits )? */
static bool is_number(str s)
{
    size_t whole, part = 0;

    if (!str_skip(&s, STR("-")))
        (void)str_skip(&s, STR("+"));
    s = str_from(s, whole = digits(s));
    if (str_skip(&s, STR(".")))
        s = str_from(s, part = digits(s));
    if (whole + part == 0)
        return false;
    if (s.len == 0)
        return true;
    if (!str_iskip(&s, STR("e")))
        return false;
    if (!str_skip(&s, STR("-")))
        (void)str_skip(&s, STR("+"));
    return s.len > 0 && digits(s) == s.len;
}

static bool is_int(str s, int64_t *ret)
{
    str d = s;

    if (str_skip(&d, STR("0x")))
        return in_base(d, 16, ret);
    if (str_skip(&d, STR("0o")))
        return in_base(d, 8, ret);
    if (str_skip(&d, STR("+")))
        return d.len > 0 && d.ptr[0] != '-' && str_i64(d, ret);
    return str_i64(s, ret);
}

static void resolve(struct loader *l, struct node *n)
{
    str s = n->text;

    if (s.len == 0 || str_eq(s, STR("~")) || one_of(s, "null", "Null", "NULL")) {
        n->kind = N_NULL;
    } else if (one_of(s, "true", "True", "TRUE") || one_of(s, "false", "False", "FALSE")) {
        n->kind = N_BOOL;
        n->flag = s.ptr[0] == 't' || s.ptr[0] == 'T';
    } else if (is_int(s, &n->number)) {
        n->kind = N_INT;
    } else if (is_number(s)) {
        n->kind = N_REAL;
        n->real = strtod(str_z(l->a, s), NULL);
    } else {
        str rest = s;

        if (!str_skip(&rest, STR("-")))
            (void)str_skip(&rest, STR("+"));
        if (one_of(rest, ".inf", ".Inf", ".INF") || one_of(s, ".nan", ".NaN", ".NAN"))
            n->kind = N_NULL; /* JSON has no word for them */
    }
}

/* The scalar's bytes; NUL, which JSON readers refuse, becomes U+FFFD. */
static str scalar_text(struct loader *l, const yaml_event_t *e)
{
    str s = {(const char *)e->data.scalar.value, e->data.scalar.length};
    size_t len = 0;
    char *p;

    if (!memchr(s.ptr, 0, s.len))
        return arena_str(l->a, s);
    p = arena_alloc(l->a, s.len * 3);
    for (size_t i = 0; i < s.len; i++) {
        str c = s.ptr[i] ? (str){s.ptr + i, 1} : STR("\xef\xbf\xbd");

        memcpy(p + len, c.ptr, c.len);
        len += c.len;
    }
    return (str){p, len};
}

/* --- the tree --- */

static err node_new(struct loader *l, const yaml_event_t *e, enum kind kind, struct node **ret)
{
    if (++l->nodes > YAML_MAX_NODES)
        return bad_at(l, e->start_mark, "there are too many values");
    *ret = arena_one(l->a, struct node);
    (*ret)->kind = kind;
    return OK;
}

static err anchor_add(struct loader *l, yaml_mark_t at, str name, struct node *n)
{
    struct anchor *x;

    if (!name.ptr)
        return OK;
    if (++l->anchor_count > YAML_MAX_ANCHORS)
        return bad_at(l, at, "there are too many anchors");
    x = arena_one(l->a, struct anchor);
    *x = (struct anchor){l->anchors, name, n};
    l->anchors = x;
    return OK;
}

static struct node *anchor_find(const struct loader *l, const char *name)
{
    for (const struct anchor *x = l->anchors; x; x = x->next)
        if (str_eq(x->name, str_c(name)))
            return x->node;
    return NULL;
}

static void item_add(struct loader *l, struct node *n, str key, struct node *value)
{
    if (n->count == n->cap) {
        struct item *wider = arena_many(l->a, struct item, n->cap ? n->cap * 2 : 4);

        if (n->count)
            memcpy(wider, n->items, n->count * sizeof *wider);
        n->items = wider;
        n->cap = n->cap ? n->cap * 2 : 4;
    }
    n->items[n->count] = (struct item){key, value, n->count};
    n->count++;
}

/* A complete value: into the collection that is open, or the root. */
static err put(struct loader *l, const yaml_event_t *e, struct node *n)
{
    struct frame *f = l->depth ? &l->stack[l->depth - 1] : NULL;

    if (!f) {
        l->root = n;
    } else if (f->node->kind == N_SEQ) {
        item_add(l, f->node, STR_NONE, n);
    } else if (f->has_key) {
        item_add(l, f->node, f->key, n);
        f->has_key = false;
    } else if (n->kind == N_SEQ || n->kind == N_MAP) {
        return bad_at(l, e->start_mark, "a list or mapping cannot be a key");
    } else {
        f->key = n->text;
        f->has_key = true;
    }
    return OK;
}

static int by_key(const void *x, const void *y)
{
    const struct item *p = x, *q = y;
    int order = str_cmp(p->key, q->key);

    return order ? order : p->order < q->order ? -1 : 1;
}

static int by_order(const void *x, const void *y)
{
    const struct item *p = x, *q = y;

    return p->order < q->order ? -1 : p->order > q->order;
}

/* Keeps the last of each key, where the first one stood. */
static void drop_duplicates(struct node *n)
{
    size_t kept = 0;

    if (n->count < 2)
        return;
    qsort(n->items, n->count, sizeof *n->items, by_key);
    for (size_t i = 0; i < n->count; i++) {
        if (kept && str_eq(n->items[kept - 1].key, n->items[i].key))
            n->items[kept - 1].value = n->items[i].value;
        else
            n->items[kept++] = n->items[i];
    }
    n->count = kept;
    qsort(n->items, n->count, sizeof *n->items, by_order);
}

static str anchor_name(struct loader *l, const yaml_char_t *anchor)
{
    return anchor ? arena_str(l->a, str_c((const char *)anchor)) : STR_NONE;
}

static err open_node(struct loader *l, const yaml_event_t *e, enum kind kind,
                     const yaml_char_t *anchor)
{
    struct node *n = NULL;

    if (l->depth == YAML_MAX_DEPTH)
        return bad_at(l, e->start_mark, "it is nested too deep");
    if (l->depth && l->stack[l->depth - 1].node->kind == N_MAP && !l->stack[l->depth - 1].has_key)
        return bad_at(l, e->start_mark, "a list or mapping cannot be a key");
    TRY(node_new(l, e, kind, &n));
    l->stack[l->depth++] = (struct frame){.node = n, .anchor = anchor_name(l, anchor)};
    return OK;
}

static err close_node(struct loader *l, const yaml_event_t *e)
{
    struct frame f = l->stack[--l->depth];

    if (f.node->kind == N_MAP)
        drop_duplicates(f.node);
    TRY(anchor_add(l, e->start_mark, f.anchor, f.node));
    return put(l, e, f.node);
}

static err add_scalar(struct loader *l, const yaml_event_t *e)
{
    const char *tag = (const char *)e->data.scalar.tag;
    bool is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct node *n = NULL;

    TRY(node_new(l, e, N_STR, &n));
    n->text = scalar_text(l, e);
    if (tag ? !strcmp(tag, YAML_INT_TAG) || !strcmp(tag, YAML_FLOAT_TAG) ||
                  !strcmp(tag, YAML_BOOL_TAG) || !strcmp(tag, YAML_NULL_TAG)
            : is_plain)
        resolve(l, n);
    TRY(anchor_add(l, e->start_mark, anchor_name(l, e->data.scalar.anchor), n));
    return put(l, e, n);
}

static err add_alias(struct loader *l, const yaml_event_t *e)
{
    struct node *n = anchor_find(l, (const char *)e->data.alias.anchor);

    if (!n)
        return bad_at(l, e->start_mark, "the alias has no anchor before it");
    return put(l, e, n);
}

static err take_event(struct loader *l, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(l, e);
    case YAML_ALIAS_EVENT:
        return add_alias(l, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(l, e, N_SEQ, e->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_node(l, e, N_MAP, e->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_node(l, e);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return OK;
}

/* Reads the first document. */
static err load(struct loader *l, str yaml)
{
    bool ended = false;
    err e = OK;

    if (!yaml_parser_initialize(&l->parser))
        return err_internal(l->a, "yaml: out of memory");
    yaml_parser_set_encoding(&l->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l->parser, (const unsigned char *)yaml.ptr, yaml.len);
    while (!ended && !e) {
        yaml_event_t event;

        if (!yaml_parser_parse(&l->parser, &event)) {
            e = bad_input(l);
            break;
        }
        e = take_event(l, &event);
        ended = event.type == YAML_DOCUMENT_END_EVENT || event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&l->parser);
    return e;
}

/* --- writing --- */

struct writer {
    struct json_out *out;
    size_t nodes;
    unsigned depth;
    bool full;
};

static void write_node(struct writer *w, const struct node *n);

static void write_items(struct writer *w, const struct node *n)
{
    for (size_t i = 0; i < n->count && !w->full; i++) {
        if (n->kind == N_MAP)
            json_key_str(w->out, n->items[i].key);
        write_node(w, n->items[i].value);
    }
}

static void write_node(struct writer *w, const struct node *n)
{
    if (++w->nodes > YAML_MAX_NODES || w->out->buf.len > YAML_MAX_OUTPUT ||
        w->depth == YAML_MAX_DEPTH)
        w->full = true;
    if (w->full) {
        json_put_null(w->out); /* keeps the writer balanced; the caller drops it all */
        return;
    }
    w->depth++;
    switch (n->kind) {
    case N_NULL:
        json_put_null(w->out);
        break;
    case N_BOOL:
        json_put_bool(w->out, n->flag);
        break;
    case N_INT:
        json_put_i64(w->out, n->number);
        break;
    case N_REAL:
        json_put_real(w->out, n->real);
        break;
    case N_STR:
        json_put_str(w->out, n->text);
        break;
    case N_SEQ:
        json_arr(w->out);
        write_items(w, n);
        json_arr_end(w->out);
        break;
    case N_MAP:
        json_obj(w->out);
        write_items(w, n);
        json_obj_end(w->out);
        break;
    }
    w->depth--;
}

err yaml_to_json(struct arena *a, str yaml, unsigned first_line, str *ret)
{
    static const struct node nothing = {.kind = N_NULL};
    struct writer w = {.out = json_out_new(a)};
    struct loader *l = arena_one(a, struct loader);

    l->a = a;
    l->first_line = first_line;
    if (yaml.len > YAML_MAX_BYTES)
        return err_new(a, 400, "InvalidYaml", "The YAML is larger than %u bytes.", YAML_MAX_BYTES);
    TRY(load(l, yaml.ptr ? yaml : STR("")));
    write_node(&w, l->root ? l->root : &nothing);
    if (w.full || w.out->buf.len > YAML_MAX_OUTPUT)
        return err_new(a, 400, "InvalidYaml",
                       "The YAML repeats too much through aliases, or is nested too deep.");
    *ret = arena_str(a, json_out_str(w.out));
    return OK;
}
