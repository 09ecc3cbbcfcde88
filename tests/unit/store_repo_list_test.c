/* store_repo_list_test.c — pages over two thousand repositories, compared with a plain reading of
 * the same figures: every sort, both directions, filters, searches, and who sees what. */
#include "store_world.h"

#define REPOS 2000
#define OWNERS 20 /* the last one is an organization */

static struct model { /* one repository as the test made it */
    int64_t id, values[SORT_ID + 1];
    char name[64]; /* ns/name, lower case */
    int owner;
    enum repo_kind kind;
    bool is_private, is_dead;
    const char *tags[4];
} models[REPOS];
static struct account owners[OWNERS];
#define ORG (OWNERS - 1)

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 9;
}

static const char *const words[] = {"bert", "llama", "gpt-x", "tiny", "a", "zz", "qwen", "stable"};

static void invent(struct model *m, int i, uint32_t *random)
{
    m->owner = (int)(next(random) % OWNERS);
    m->kind = i % 10 == 0 ? REPO_DATASET : REPO_MODEL;
    m->is_private = i % 9 == 4;
    m->is_dead = i % 50 == 7;
    snprintf(m->name, sizeof m->name, "%.*s/%s-%s-%d", STR_FMT(owners[m->owner].name),
             words[next(random) % 8], words[next(random) % 8], i);
    for (int s = 0; s < SORT_ID; s++) /* few distinct values: many ties */
        m->values[s] = next(random) % (s % 2 ? 5 : 300);
    m->tags[0] = i % 2 ? "gguf" : "safetensors";
    m->tags[1] = i % 7 == 0 ? "license:mit" : NULL;
    m->tags[2] = i % 100 == 3 ? "rare" : NULL;
    m->tags[3] = i % 5 == 0 ? "en" : NULL;
}

static err set_figures(struct db *tx, const struct model *m)
{
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(
        tx, &q,
        SQL("UPDATE repo SET trending = ?2, updated_at = ?3, created_at = ?4, downloads = ?5, "
            "likes = ?6, state = ?7 WHERE id = ?1")));
    db_bind_i64(q, 1, m->id);
    for (int s = 0; s < SORT_PARAMETERS; s++)
        db_bind_i64(q, s + 2, m->values[s]);
    db_bind_str(q, 7, m->is_dead ? STR("deleted") : STR("live"));
    return db_run(q);
}

static err make_all(struct db *tx, void *arg)
{
    struct world *w = arg;
    uint32_t random = 12345;

    for (int i = 0; i < REPOS; i++) {
        struct model *m = &models[i];
        struct repo_facts f = {0};
        struct repo_new n = {0};
        struct repo r;
        str tags[4];

        invent(m, i, &random);
        n = (struct repo_new){
            .kind = m->kind, .owner = &owners[m->owner], .is_private = m->is_private};
        n.name = str_from(str_c(m->name), owners[m->owner].name.len + 1);
        TRY(repo_insert(tx, w->a, &n, &r));
        m->id = m->values[SORT_ID] = r.id;
        for (int t = 0; t < 4; t++)
            if (m->tags[t])
                tags[f.tag_count++] = str_c(m->tags[t]);
        f.tag_list = tags;
        f.card = STR("{\"card\":1}");
        f.meta = STR("{\"meta\":1}");
        f.num_parameters = m->values[SORT_PARAMETERS];
        TRY(repo_set_facts(tx, w->a, &r, &f));
        TRY(set_figures(tx, m));
    }
    return OK;
}

static int begin(void **state)
{
    struct world *w;

    if (world_begin(state) != 0)
        return 1;
    w = *state;
    for (int i = 0; i < OWNERS; i++)
        owners[i] = add_account(w, arena_printf(w->a, "user%02d", i).ptr,
                                i == ORG ? ACCOUNT_ORG : ACCOUNT_USER);
    check_ok(member_set(w->s, owners[ORG].id, owners[1].id, MEMBER_READ));
    check_ok(db_write(w->s->hub, make_all, w));
    return 0;
}

/* --- the model's answer --- */

static bool has_tag(const struct model *m, str tag)
{
    for (int t = 0; t < 4; t++)
        if (m->tags[t] && str_eq(str_c(m->tags[t]), tag))
            return true;
    return false;
}

static bool matches(const struct model *m, const struct repo_query *q)
{
    str name = str_c(m->name);

    for (size_t i = 0; i < q->search_count; i++) {
        str text = q->search[i];
        bool hit = text.len >= 3
                       ? str_has(name, text)
                       : str_starts(str_from(name, (size_t)str_find(name, '/') + 1), text);

        if (!hit)
            return false;
    }
    for (size_t i = 0; i < q->filter_count; i++)
        if (!has_tag(m, q->filter[i]))
            return false;
    if (q->parameters_min > 0 && m->values[SORT_PARAMETERS] < q->parameters_min)
        return false;
    if (q->parameters_max > 0 &&
        (m->values[SORT_PARAMETERS] == 0 || m->values[SORT_PARAMETERS] > q->parameters_max))
        return false;
    return true;
}

static bool sees(const struct model *m, const struct repo_query *q)
{
    const struct account *owner = &owners[m->owner];

    return !m->is_private || q->sees_all ||
           (q->viewer &&
            (q->viewer->id == owner->id || (m->owner == ORG && q->viewer->id == owners[1].id)));
}

static const struct repo_query *sorting; /* for qsort */

static int order(const void *x, const void *y)
{
    const struct model *const *a = x, *const *b = y;
    int64_t va = (*a)->values[sorting->sort], vb = (*b)->values[sorting->sort];
    int by = va != vb ? (va < vb ? -1 : 1) : (*a)->id < (*b)->id ? -1 : 1;

    return sorting->ascending ? by : -by;
}

static size_t expected(const struct repo_query *q, const struct model **ret)
{
    size_t n = 0;

    for (int i = 0; i < REPOS; i++) {
        const struct model *m = &models[i];
        bool is_author = !q->author.ptr || str_ieq(q->author, owners[m->owner].name);

        if (m->kind == q->kind && !m->is_dead && is_author && sees(m, q) && matches(m, q))
            ret[n++] = m;
    }
    sorting = q;
    qsort(ret, n, sizeof *ret, order);
    return n;
}

/* All pages, one after the other, are the model's answer. */
static size_t check_list(struct world *w, struct repo_query q)
{
    static const struct model *rows[REPOS];
    struct arena_mark mark = arena_mark(w->a);
    size_t count = expected(&q, rows), seen = 0;
    struct repo_list page;

    for (;;) {
        check_ok(repo_list(w->s, w->a, &q, &page));
        assert_true((int64_t)page.count <= q.limit);
        for (size_t i = 0; i < page.count; i++, seen++) {
            if (seen == count)
                fail_msg("too many: %.*s", STR_FMT(page.items[i].full_name));
            if (page.items[i].id != rows[seen]->id)
                fail_msg("%zu: %.*s instead of %s", seen, STR_FMT(page.items[i].full_name),
                         rows[seen]->name);
        }
        if (!page.cursor.ptr)
            break;
        assert_int_equal(page.count, q.limit);
        q.cursor = page.cursor;
    }
    arena_rewind(w->a, mark);
    assert_int_equal(seen, count);
    return count;
}

static struct repo_query models_by(enum repo_sort sort, bool ascending, int64_t limit)
{
    return (struct repo_query){
        .kind = REPO_MODEL, .sort = sort, .ascending = ascending, .limit = limit};
}

/* --- tests --- */

static void every_sort_in_pages_of_seven(void **state)
{
    for (int s = SORT_TRENDING; s <= SORT_ID; s++)
        for (int ascending = 0; ascending < 2; ascending++) {
            size_t n = check_list(*state, models_by((enum repo_sort)s, ascending, 7));

            assert_true(n > 1400 && n < 1800);
        }
}

static void pages_of_other_sizes(void **state)
{
    static const int64_t limits[] = {1, 2, 999, 1000};
    struct world *w = *state;
    struct repo_query q = {.kind = REPO_DATASET, .sort = SORT_LIKES};
    struct repo_list page;

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        q.limit = limits[i];
        assert_true(check_list(w, q) > 150);
    }
    q.limit = 100000; /* is 1000 */
    q.kind = REPO_MODEL;
    check_ok(repo_list(w->s, w->a, &q, &page));
    assert_int_equal(page.count, 1000);
    q.limit = 0; /* is 1 */
    check_ok(repo_list(w->s, w->a, &q, &page));
    assert_int_equal(page.count, 1);
    q.kind = REPO_SPACE;
    check_ok(repo_list(w->s, w->a, &q, &page));
    assert_int_equal(page.count, 0);
    assert_null(page.cursor.ptr);
}

static void who_sees_what(void **state)
{
    struct repo_query q = models_by(SORT_UPDATED, false, 50);
    size_t nobody = check_list(*state, q), user, member, all;

    q.viewer = &owners[2];
    user = check_list(*state, q);
    q.viewer = &owners[1];
    member = check_list(*state, q);
    q.sees_all = true;
    all = check_list(*state, q);
    assert_true(nobody < user && user < all && nobody < member && member < all);
}

static void by_author(void **state)
{
    struct repo_query q = models_by(SORT_CREATED, true, 7);

    q.author = STR("USER03");
    assert_true(check_list(*state, q) > 30);
    q.author = owners[ORG].name;
    q.viewer = &owners[1];
    assert_true(check_list(*state, q) > 30);
    q.author = STR("nobody");
    assert_int_equal(check_list(*state, q), 0);
    q.author = STR("");
    assert_int_equal(check_list(*state, q), 0);
}

static void by_tags(void **state)
{
    static const char *const sets[][3] = {
        {"gguf"},         {"rare"},        {"gguf", "rare"},
        {"gguf", "en"},   {"license:mit"}, {"license:mit", "en", "safetensors"},
        {"gguf", "gguf"}, {"nothing"},     {"gguf", "nothing"}};

    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        for (int ascending = 0; ascending < 2; ascending++) {
            struct repo_query q = models_by(SORT_DOWNLOADS, ascending, 20);

            for (; q.filter_count < 3 && sets[i][q.filter_count]; q.filter_count++)
                q.filter[q.filter_count] = str_c(sets[i][q.filter_count]);
            (void)check_list(*state, q);
        }
}

static void by_parameters(void **state)
{
    struct repo_query q = models_by(SORT_PARAMETERS, true, 30);

    q.parameters_min = 2;
    assert_true(check_list(*state, q) > 100);
    q.parameters_max = 3;
    assert_true(check_list(*state, q) > 100);
    q.parameters_min = 0;
    assert_true(check_list(*state, q) > 100);
    q.parameters_min = 4;
    assert_int_equal(check_list(*state, q), 0);
}

static void search(void **state)
{
    static const struct {
        const char *text;
        bool finds;
    } rows[] = {
        {"bert", 1},
        {"ert", 1},
        {"user03/", 1},
        {"bert-llama", 1},
        {"er1", 1},
        {"gpt-x-tiny", 1},
        {"a", 1},
        {"z", 1},
        {"zz", 1},
        {"be", 1},
        {"b", 1},
        {"er", 0},
        {"q", 1},
        {"-1", 0},
        {"7", 0},
        {"nothing", 0},
        {"03/s", 1},
        {"r03/be", 1},
        {"\"", 0},
        {"\"\"", 0},
        {"\"\"\"", 0},
        {"be\"rt", 0},
        {"\"bert\"", 0},
        {"bert*", 0},
        {"be*", 0},
        {"*", 0},
        {"***", 0},
        {"bert OR llama", 0},
        {"NOT bert", 0},
        {"bert AND", 0},
        {"(bert", 0},
        {"full_key:bert", 0},
        {"^bert", 0},
        {"bert+", 0},
        {"NEAR(bert)", 0},
        {"'", 0},
        {"'''", 0},
        {"%%%", 0},
        {"___", 0},
        {"ber_", 0},
        {"\\\\\\", 0},
        {"\xc3\xa9", 0},
        {"\xc3\xa9\xc3\xa9\xc3\xa9", 0},
        {"\xff\xff\xff", 0},
        {"\xff", 0},
        {"   ", 0},
        {"--x", 0},
        {"; DROP TABLE repo; --", 0},
        {"\xe6\x97\xa5", 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct repo_query q = models_by(SORT_TRENDING, false, 100);
        size_t n;

        q.search[q.search_count++] = str_c(rows[i].text);
        n = check_list(*state, q);
        if ((n > 0) != rows[i].finds)
            fail_msg("\"%s\" found %zu", rows[i].text, n);
    }
}

static void search_is_without_case_and_all_must_match(void **state)
{
    struct world *w = *state;
    struct repo_query lower = models_by(SORT_LIKES, false, 1000), upper = lower;
    struct repo_list x, y;

    lower.search[lower.search_count++] = STR("bert-llama");
    upper.search[upper.search_count++] = STR("BERT-Llama");
    check_ok(repo_list(w->s, w->a, &lower, &x));
    check_ok(repo_list(w->s, w->a, &upper, &y));
    assert_true(x.count > 0);
    assert_int_equal(x.count, y.count);
    lower.search[lower.search_count++] = STR("user0");
    lower.search[lower.search_count++] = STR("be");
    lower.search[lower.search_count++] = STR("llama");
    assert_true(check_list(w, lower) > 0);
    lower.search[3] = STR("qwen");
    assert_int_equal(check_list(w, lower), 0);
    lower.search[3] = STR(""); /* says nothing */
    assert_true(check_list(w, lower) > 0);
}

static void an_odd_search_text_finds_nothing(void **state)
{
    struct world *w = *state;
    struct repo_query q = models_by(SORT_LIKES, false, 10);
    char *text = arena_alloc(w->a, 100000);
    struct repo_list l;

    memset(text, 'x', 100000);
    q.search_count = 1;
    for (size_t len = 100; len <= 100000; len *= 10) {
        q.search[0] = (str){text, len};
        check_ok(repo_list(w->s, w->a, &q, &l));
        assert_int_equal(l.count, 0);
    }
    q.search[0] = (str){"ber\0t", 5};
    check_ok(repo_list(w->s, w->a, &q, &l));
    assert_int_equal(l.count, 0);
    memset(text, '"', 2000);
    q.search[0] = (str){text, 2000};
    check_ok(repo_list(w->s, w->a, &q, &l));
    assert_int_equal(l.count, 0);
}

/* As many conditions as there can be. */
static void everything_at_once(void **state)
{
    struct repo_query q = models_by(SORT_UPDATED, true, 5);

    q.viewer = &owners[1];
    q.author = owners[ORG].name;
    q.parameters_min = 1;
    q.parameters_max = 4;
    while (q.search_count < 4)
        q.search[q.search_count++] = STR("b");
    while (q.filter_count < REPO_FILTERS_MAX)
        q.filter[q.filter_count++] = STR("gguf");
    assert_true(check_list(*state, q) > 0);
    q.limit = 1; /* with a cursor, too */
    assert_true(check_list(*state, q) > 1);
}

static void cursors_that_nobody_gave(void **state)
{
    static const char *const texts[] = {
        "x",    "!!!",    "MTIz",
        "OjE",  "MTIzOg", "MTp4",
        "AAAA", "",       "OTk5OTk5OTk5OTk5OTk5OTk5OTk6MQ" /* 99999999999999999999:1 */};
    struct world *w = *state;
    struct repo_query q = models_by(SORT_ID, false, 5);
    struct repo_list l;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        q.cursor = str_c(texts[i]);
        check_ok(repo_list(w->s, w->a, &q, &l));
        assert_int_equal(l.count, 0);
        assert_null(l.cursor.ptr);
    }
    q.cursor = STR("LTE6LTE"); /* -1:-1 */
    check_ok(repo_list(w->s, w->a, &q, &l));
    assert_int_equal(l.count, 0);
}

static void long_columns_may_stay_away(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 4; i++) {
        struct repo_query q = models_by(SORT_ID, false, 1);
        struct repo_list l;

        q.without_card = i & 1;
        q.without_meta = i & 2;
        check_ok(repo_list(w->s, w->a, &q, &l));
        assert_int_equal(l.items[0].card.ptr == NULL, i & 1);
        assert_int_equal(l.items[0].meta.ptr == NULL, (i & 2) != 0);
        assert_non_null(l.items[0].tags.ptr);
    }
}

static void counts_per_owner(void **state)
{
    struct world *w = *state;
    const struct account *viewers[] = {NULL, &owners[1], &owners[2], &owners[ORG]};

    for (int o = 0; o < OWNERS; o += ORG - 2)
        for (size_t v = 0; v < 8; v++) {
            int64_t counts[REPO_KINDS], n = 0;
            struct repo_query q = models_by(SORT_ID, true, 1000);

            q.viewer = viewers[v % 4];
            q.sees_all = v >= 4;
            for (int i = 0; i < REPOS; i++)
                n += models[i].owner == o && models[i].kind == REPO_MODEL && !models[i].is_dead &&
                     sees(&models[i], &q);
            check_ok(repo_count_of(w->s->hub, owners[o].id, q.viewer, q.sees_all, counts));
            assert_int_equal(counts[REPO_MODEL], n);
            assert_int_equal(counts[REPO_SPACE], 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sort_in_pages_of_seven),
        cmocka_unit_test(pages_of_other_sizes),
        cmocka_unit_test(who_sees_what),
        cmocka_unit_test(by_author),
        cmocka_unit_test(by_tags),
        cmocka_unit_test(by_parameters),
        cmocka_unit_test(search),
        cmocka_unit_test(search_is_without_case_and_all_must_match),
        cmocka_unit_test(an_odd_search_text_finds_nothing),
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(cursors_that_nobody_gave),
        cmocka_unit_test(long_columns_may_stay_away),
        cmocka_unit_test(counts_per_owner),
    };

    return cmocka_run_group_tests(tests, begin, world_end);
}
