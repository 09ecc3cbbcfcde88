/* route.c — see route.h.
 *
 * The table is compiled into a trie of segments.  A pattern with {prefix} goes in twice, with and
 * without the segment; one with {repo1} goes into `main` with two segments and into `short_ids`
 * with one, which is only asked when `main` has no better answer: a repository may be called
 * "refs", and ids of one segment are old links.
 *
 *     node ── literals, sorted ──▶ node          tried in this order at every node, with
 *          ── {kind}, {rev}, {x}, {x*} ──▶ node   backtracking; the first full match wins
 *          ── leaves: routes that end here, in the order of the table
 *
 * A node is reached in one way only, so a walk looks at each node at most once.
 */
#include "http/route.h"
#include "base/text.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 24  /* that a pattern can ask for */
#define PATH_SEGMENTS 32 /* that are split; what follows only {x*} can take */

enum edge { E_LITERAL, E_KIND, E_REV, E_ANY, E_REST };
enum how { HOW_PLAIN, HOW_PAIR, HOW_PAIR_GIT, HOW_MODELS };

/* One parameter of a leaf: captures[first] (and the next for pairs) or the constant "models". */
struct binding {
    str name;
    enum how how;
    size_t first;
};

struct leaf {
    const struct route *route;
    struct leaf *next;
    struct binding bindings[ROUTE_PARAMS_MAX];
    size_t binding_count;
    unsigned literals;
    bool not_kind; /* {prefix} was left out: captures[first_free] is none of its words */
    size_t first_free;
    bool open_end;
};

struct node;
struct literal {
    str text;
    struct node *node;
};
struct node {
    struct literal *literals; /* sorted by length, then bytes */
    size_t literal_count, literal_cap;
    struct node *edges[E_REST + 1]; /* E_LITERAL unused */
    struct leaf *leaves, **leaves_end;
};

struct router {
    struct arena *a;
    struct node *main, *short_ids;
};

static const str kinds[] = {STR_INIT("models"), STR_INIT("datasets"), STR_INIT("spaces")};

static bool is_kind(str s)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_eq(s, kinds[i]))
            return true;
    return false;
}

/* --- compiling --- */

static void malformed(str pattern, const char *why)
{
    fprintf(stderr, "route %.*s: %s\n", STR_FMT(pattern), why);
    abort();
}

static int literal_cmp(str a, str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len > 0 ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

/* Where `text` is or would be among the literals of `n`. */
static size_t literal_place(const struct node *n, str text, bool *ret_there)
{
    size_t lo = 0, hi = n->literal_count;

    *ret_there = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = literal_cmp(n->literals[mid].text, text);

        if (c == 0) {
            *ret_there = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct node *node_new(struct arena *a)
{
    struct node *n = arena_one(a, struct node);

    n->leaves_end = &n->leaves;
    return n;
}

static struct node *child_literal(struct router *t, struct node *n, str text)
{
    bool there;
    size_t at = literal_place(n, text, &there);

    if (there)
        return n->literals[at].node;
    if (n->literal_count == n->literal_cap) {
        struct literal *old = n->literals;

        n->literal_cap = n->literal_cap ? 2 * n->literal_cap : 4;
        n->literals = arena_many(t->a, struct literal, n->literal_cap);
        if (old)
            memcpy(n->literals, old, n->literal_count * sizeof *old);
    }
    memmove(&n->literals[at + 1], &n->literals[at], (n->literal_count - at) * sizeof *n->literals);
    n->literal_count++;
    n->literals[at] = (struct literal){text, node_new(t->a)};
    return n->literals[at].node;
}

static struct node *child(struct router *t, struct node *n, enum edge e)
{
    if (!n->edges[e])
        n->edges[e] = node_new(t->a);
    return n->edges[e];
}

/* One pattern on its way into the trie. */
struct build {
    struct router *t;
    struct node *at;
    struct leaf *leaf;
    str pattern;
    size_t captures, depth;
    bool with_prefix, one_segment; /* the variant */
    bool saw_prefix, saw_repo1;
};

static void bind(struct build *b, str name, enum how how)
{
    struct leaf *l = b->leaf;

    if (l->binding_count == ROUTE_PARAMS_MAX)
        malformed(b->pattern, "too many parameters");
    l->bindings[l->binding_count++] = (struct binding){name, how, b->captures};
}

static void step(struct build *b, enum edge e, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        b->at = child(b->t, b->at, e);
        b->captures++;
    }
    b->depth += e == E_REV ? 3 : count;
}

static void add_prefix(struct build *b)
{
    b->saw_prefix = true;
    if (b->with_prefix) {
        bind(b, STR("kind"), HOW_PLAIN);
        step(b, E_KIND, 1);
        return;
    }
    bind(b, STR("kind"), HOW_MODELS);
    b->leaf->not_kind = true;
    b->leaf->first_free = b->captures;
}

static void add_named(struct build *b, str name)
{
    if (str_eq(name, STR("prefix")))
        add_prefix(b);
    else if (str_eq(name, STR("kind"))) {
        bind(b, name, HOW_PLAIN);
        step(b, E_KIND, 1);
    } else if (str_eq(name, STR("repo"))) {
        bind(b, name, HOW_PAIR);
        step(b, E_ANY, 2);
    } else if (str_eq(name, STR("repo1"))) {
        b->saw_repo1 = true;
        bind(b, STR("repo"), b->one_segment ? HOW_PLAIN : HOW_PAIR);
        step(b, E_ANY, b->one_segment ? 1 : 2);
    } else if (str_eq(name, STR("rev"))) {
        bind(b, name, HOW_PLAIN);
        step(b, E_REV, 1);
    } else if (str_drop(&name, STR("*"))) {
        bind(b, name, HOW_PLAIN);
        step(b, E_REST, 1);
        b->leaf->open_end = true;
    } else {
        bind(b, name, HOW_PLAIN);
        step(b, E_ANY, 1);
    }
}

static void add_segment(struct build *b, str segment)
{
    if (b->leaf->open_end)
        malformed(b->pattern, "{x*} must be last");
    if (str_eq(segment, STR("{repo}.git"))) {
        bind(b, STR("repo"), HOW_PAIR_GIT);
        step(b, E_ANY, 2);
    } else if (str_skip(&segment, STR("{"))) {
        if (!str_drop(&segment, STR("}")) || segment.len == 0 || str_find(segment, '{') >= 0)
            malformed(b->pattern, "a parameter is a whole segment");
        add_named(b, segment);
    } else {
        if (segment.len == 0 || str_find(segment, '{') >= 0 || str_find(segment, '}') >= 0)
            malformed(b->pattern, "empty or half a parameter");
        b->at = child_literal(b->t, b->at, segment);
        b->leaf->literals++;
        b->depth++;
    }
    if (b->depth > SEGMENTS_MAX)
        malformed(b->pattern, "too many segments");
}

/* Enters one variant of a route; *ret_more: which other variants the pattern has. */
static void add_variant(struct router *t, const struct route *r, bool with_prefix, bool one_segment,
                        struct build *ret)
{
    str rest = r->pattern;

    *ret = (struct build){.t = t,
                          .at = one_segment ? t->short_ids : t->main,
                          .leaf = arena_one(t->a, struct leaf),
                          .pattern = r->pattern,
                          .with_prefix = with_prefix,
                          .one_segment = one_segment};
    ret->leaf->route = r;
    if (!str_skip(&rest, STR("/")))
        malformed(r->pattern, "must begin with '/'");
    while (rest.ptr && rest.len > 0)
        add_segment(ret, str_cut(&rest, '/'));
    if (rest.ptr && r->pattern.len > 1)
        malformed(r->pattern, "ends with '/'");
    *ret->at->leaves_end = ret->leaf;
    ret->at->leaves_end = &ret->leaf->next;
}

static void add_route(struct router *t, const struct route *r)
{
    struct build b, other;

    add_variant(t, r, true, false, &b);
    if (b.saw_prefix)
        add_variant(t, r, false, false, &other);
    if (b.saw_repo1)
        add_variant(t, r, true, true, &other);
    if (b.saw_prefix && b.saw_repo1)
        add_variant(t, r, false, true, &other);
}

struct router *router_new(const struct route *routes, size_t count)
{
    struct arena *a = arena_new(0);
    struct router *t = arena_one(a, struct router);

    *t = (struct router){a, node_new(a), node_new(a)};
    for (size_t i = 0; i < count; i++)
        add_route(t, &routes[i]);
    return t;
}

void router_free(struct router *t)
{
    if (t)
        arena_free(t->a);
}

/* --- walking --- */

struct walk {
    struct arena *a;
    str path;
    str raw[PATH_SEGMENTS], decoded[PATH_SEGMENTS];
    size_t count;
    str captures[SEGMENTS_MAX];
    size_t capture_count;
    enum http_method method;
    const struct leaf *found;
    unsigned allowed;
};

/* The recursion is as deep as a pattern is long: SEGMENTS_MAX.
 * NOLINTBEGIN(misc-no-recursion) */
static bool walk(struct walk *w, const struct node *n, size_t i);

/* Splits the path and decodes its segments; most hold no escape and are not copied. */
static bool split(struct walk *w)
{
    str rest = w->path;

    if (!str_skip(&rest, STR("/")))
        return false;
    if (rest.len == 0)
        return true;
    while (rest.ptr && w->count < PATH_SEGMENTS) {
        str s = str_cut(&rest, '/');

        w->raw[w->count] = s;
        w->decoded[w->count] = s;
        if (str_find(s, '%') >= 0 && !url_decode(w->a, s, false, &w->decoded[w->count]))
            return false;
        w->count++;
    }
    return true;
}

/* Does one of the routes that end at `n` fit the method?  Notes the methods that would. */
static bool try_leaves(struct walk *w, const struct node *n)
{
    const struct leaf *get = NULL;

    for (const struct leaf *l = n->leaves; l; l = l->next) {
        if (l->not_kind && w->capture_count > l->first_free && is_kind(w->captures[l->first_free]))
            continue;
        w->allowed |= 1u << l->route->method;
        if (l->route->method == M_GET) {
            w->allowed |= 1u << M_HEAD;
            get = get ? get : l;
        }
        if (l->route->method == w->method) {
            w->found = l;
            return true;
        }
    }
    if (w->method == M_HEAD && get)
        w->found = get;
    return w->found != NULL;
}

/* Follows an edge that takes `count` segments from `i` on as the value `value`. */
static bool follow(struct walk *w, const struct node *n, size_t i, size_t count, str value)
{
    if (!n)
        return false;
    assert(w->capture_count < SEGMENTS_MAX);
    w->captures[w->capture_count++] = value;
    if (walk(w, n, i + count))
        return true;
    w->capture_count--;
    return false;
}

static bool follow_rev(struct walk *w, const struct node *n, size_t i)
{
    const str *s = &w->decoded[i];

    if (!n || s[0].len == 0)
        return false;
    if (w->count - i >= 3 && str_eq(s[0], STR("refs")) && s[2].len > 0 &&
        (str_eq(s[1], STR("pr")) || str_eq(s[1], STR("convert"))))
        return follow(w, n, i, 3, arena_cat(w->a, s[0], STR("/"), s[1], STR("/"), s[2]));
    return follow(w, n, i, 1, s[0]);
}

static bool follow_rest(struct walk *w, const struct node *n, size_t i)
{
    str value = STR("");

    if (!n)
        return false;
    if (i < w->count) {
        value = str_from(w->path, (size_t)(w->raw[i].ptr - w->path.ptr));
        if (str_find(value, '%') >= 0 && !url_decode(w->a, value, false, &value))
            return false;
    }
    assert(w->capture_count < SEGMENTS_MAX);
    w->captures[w->capture_count++] = value;
    if (try_leaves(w, n))
        return true;
    w->capture_count--;
    return false;
}

static bool walk(struct walk *w, const struct node *n, size_t i)
{
    str s;
    bool there;
    size_t at;

    if (i == w->count)
        return try_leaves(w, n) || follow_rest(w, n->edges[E_REST], i);
    s = w->decoded[i];
    at = literal_place(n, s, &there);
    if (there && walk(w, n->literals[at].node, i + 1))
        return true;
    if (n->edges[E_KIND] && is_kind(s) && follow(w, n->edges[E_KIND], i, 1, s))
        return true;
    if (follow_rev(w, n->edges[E_REV], i))
        return true;
    if (s.len > 0 && follow(w, n->edges[E_ANY], i, 1, s))
        return true;
    return follow_rest(w, n->edges[E_REST], i);
}

/* NOLINTEND(misc-no-recursion) */

/* "ns/name" from two captures; without a copy when they stand side by side in the path. */
static str join_pair(const struct walk *w, str ns, str name)
{
    if (ns.ptr >= w->path.ptr && ns.ptr < w->path.ptr + w->path.len &&
        ns.ptr + ns.len + 1 == name.ptr)
        return (str){ns.ptr, ns.len + 1 + name.len};
    return arena_cat(w->a, ns, STR("/"), name);
}

static void bind_params(const struct walk *w, struct route_match *ret)
{
    const struct leaf *l = w->found;

    *ret = (struct route_match){.route = l->route, .param_count = l->binding_count};
    for (size_t i = 0; i < l->binding_count; i++) {
        const struct binding *b = &l->bindings[i];
        const str *v = &w->captures[b->first];
        str name;

        ret->params[i].name = b->name;
        switch (b->how) {
        case HOW_MODELS:
            ret->params[i].value = STR("models");
            break;
        case HOW_PLAIN:
            ret->params[i].value = v[0];
            break;
        case HOW_PAIR:
        case HOW_PAIR_GIT:
            name = v[1];
            if (b->how == HOW_PAIR_GIT && name.len > 4)
                str_drop(&name, STR(".git"));
            ret->params[i].value = join_pair(w, v[0], name);
            break;
        }
    }
}

/* A short id wins when the main trie has nothing, or only an open end that is no more literal. */
static bool prefer_short(const struct leaf *main, const struct leaf *other)
{
    return !main || (main->open_end && main->literals <= other->literals);
}

bool router_find(const struct router *t, struct arena *a, enum http_method m, str raw_path,
                 struct route_match *ret)
{
    struct walk w = {.a = a, .path = raw_path, .method = m}, brief;

    *ret = (struct route_match){0};
    if (!split(&w))
        return false;
    brief = w;
    walk(&w, t->main, 0);
    if ((!w.found || w.found->open_end) && walk(&brief, t->short_ids, 0) &&
        prefer_short(w.found, brief.found))
        w = brief;
    if (!w.found) {
        ret->allowed = w.allowed ? w.allowed : brief.allowed;
        return false;
    }
    bind_params(&w, ret);
    return true;
}
