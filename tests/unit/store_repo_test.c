/* store_repo_test.c — names of repositories and what becomes of them, and who may what. */
#include "store_world.h"

/* What a name leads to: 0 nothing. */
static int64_t look(struct world *w, const char *name, bool *ret_moved)
{
    struct repo r;
    bool moved;

    check_ok(repo_find(w->s, w->a, REPO_MODEL, str_c(name), &r, &moved));
    for (int i = 0; i < 2; i++) { /* the same from memory */
        struct repo again;
        bool moved_again;

        check_ok(repo_find(w->s, w->a, REPO_MODEL, str_c(name), &again, &moved_again));
        assert_int_equal(again.id, r.id);
        assert_int_equal(moved_again, moved);
    }
    assert_true(r.id || !moved);
    if (ret_moved)
        *ret_moved = moved;
    return r.id;
}

static void check_leads(struct world *w, const char *name, const struct repo *r, bool expect_moved)
{
    bool moved;

    if (look(w, name, &moved) != (r ? r->id : 0))
        fail_msg("%s leads elsewhere", name);
    assert_int_equal(moved, expect_moved);
}

static struct repo insert(struct world *w, const struct account *owner, enum repo_kind kind,
                          const char *name, bool is_private)
{
    struct repo_new n = {.kind = kind,
                         .owner = owner,
                         .creator_id = owner->id,
                         .name = str_c(name),
                         .is_private = is_private};
    struct repo r;

    check_ok(commit_initial(w->s, w->a, &n, NULL, 0, AUTHOR, &r));
    return r;
}

static void a_new_repository(void **state)
{
    struct world *w = *state;
    struct account ada = add_user(w, "Ada");
    struct repo r = insert(w, &ada, REPO_DATASET, "My.Data_1", true), found;
    bool moved;

    assert_true(r.id > 0);
    assert_int_equal(r.oid.len, 24);
    check_str(r.full_name, "Ada/My.Data_1");
    check_str(repo_namespace(&r), "Ada");
    check_str(repo_name(&r), "My.Data_1");
    assert_true(r.is_private && r.is_pristine);
    assert_int_equal(r.kind, REPO_DATASET);
    assert_int_equal(r.owner_id, ada.id);
    check_str(r.tags, "[]");
    check_str(r.meta, "{}");
    assert_null(r.card.ptr);
    assert_int_equal(r.likes | r.downloads | r.num_parameters | r.used_storage, 0);
    check_ok(repo_find(w->s, w->a, REPO_DATASET, STR("Ada/My.Data_1"), &found, &moved));
    assert_int_equal(found.id, r.id);
    assert_false(moved);
    check_ok(repo_find(w->s, w->a, REPO_DATASET, STR("aDA/my.data_1"), &found, &moved));
    assert_int_equal(found.id, r.id);
    assert_true(moved); /* another spelling: clients are sent on */
    check_ok(repo_find(w->s, w->a, REPO_MODEL, STR("Ada/My.Data_1"), &found, &moved));
    assert_int_equal(found.id, 0);
    check_ok(repo_find(w->s, w->a, REPO_DATASET, STR("Ada/My.Data_"), &found, NULL));
    assert_int_equal(found.id, 0);
    check_ok(repo_find(w->s, w->a, REPO_DATASET, STR_NONE, &found, NULL));
    assert_int_equal(found.id, 0);
}

static void a_taken_name(void **state)
{
    struct world *w = *state;
    struct account bob = add_user(w, "bob");
    struct repo r = add_repo(w, &bob, "thing"), x;

    check_fails(try_repo(w, &bob, "thing", NULL, 0, &x), 409);
    check_fails(try_repo(w, &bob, "THING", NULL, 0, &x), 409);
    (void)insert(w, &bob, REPO_SPACE, "thing", false); /* another kind is another name */
    check_leads(w, "bob/thing", &r, false);
}

static void names_that_fit(void **state)
{
    static const struct {
        const char *name;
        bool fits;
    } rows[] = {
        {"a", 1},           {"bert-base_v1.0", 1},
        {"_x_", 1},         {"1", 1},
        {"A.B", 1},         {"", 0},
        {"-a", 0},          {"a-", 0},
        {".a", 0},          {"a.", 0},
        {"a--b", 0},        {"a..b", 0},
        {"a.git", 0},       {"a.gitx", 1},
        {"a b", 0},         {"a/b", 0},
        {"caf\xc3\xa9", 0}, {"a\n", 0},
        {"a.-b", 1},
    };
    struct world *w = *state;
    char longest[98];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((repo_name_check(w->a, str_c(rows[i].name)) == OK) != rows[i].fits)
            fail_msg("%s", rows[i].name);
    memset(longest, 'x', sizeof longest);
    check_ok(repo_name_check(w->a, (str){longest, 96}));
    check_fails(repo_name_check(w->a, (str){longest, 97}), 400);
}

static void kinds(void **state)
{
    enum repo_kind k;

    (void)state;
    for (int i = 0; i < REPO_KINDS; i++) {
        assert_true(repo_kind_parse(repo_kind_word((enum repo_kind)i), &k) && (int)k == i);
        assert_true(repo_kind_parse(repo_kind_plural((enum repo_kind)i), &k) && (int)k == i);
    }
    check_str(repo_kind_prefix(REPO_MODEL), "");
    check_str(repo_kind_prefix(REPO_SPACE), "spaces/");
    assert_false(repo_kind_parse(STR("Model"), &k));
    assert_false(repo_kind_parse(STR_NONE, &k));
}

static err move(struct world *w, const struct repo *r, const struct account *owner,
                const char *name)
{
    return repo_move(w->s, w->a, r, owner, str_c(name));
}

static void old_names_lead_to_the_new_one(void **state)
{
    struct world *w = *state;
    struct account ann = add_user(w, "ann"), org = add_org(w, "ann-org");
    struct repo r = add_repo(w, &ann, "first"), now, other;

    check_ok(move(w, &r, &ann, "Second"));
    check_leads(w, "ann/Second", &r, false);
    check_leads(w, "ann/first", &r, true);
    check_leads(w, "ANN/FIRST", &r, true);
    now = reread(w, &r);
    check_str(now.full_name, "ann/Second");
    check_ok(move(w, &now, &org, "third"));
    check_leads(w, "ann-org/third", &r, false);
    check_leads(w, "ann/first", &r, true);
    check_leads(w, "ann/second", &r, true);
    assert_int_equal(reread(w, &r).owner_id, org.id);
    /* a new repository takes an old name over, one of another kind does not */
    (void)insert(w, &ann, REPO_SPACE, "first", false);
    check_leads(w, "ann/first", &r, true);
    other = add_repo(w, &ann, "First");
    check_leads(w, "ann/First", &other, false);
    check_leads(w, "ann/second", &r, true);
    /* a taken name is refused and nothing changes */
    now = reread(w, &r);
    check_fails(move(w, &now, &ann, "FIRST"), 409);
    check_leads(w, "ann-org/third", &r, false);
    check_leads(w, "ann/first", &other, true);
    /* and back again */
    check_ok(move(w, &now, &ann, "second"));
    check_leads(w, "ann/second", &r, false);
    check_leads(w, "ann-org/third", &r, true);
    assert_int_equal(count_rows(w, SQL("SELECT count(*) FROM repo_alias WHERE repo_id = ?1"), r.id),
                     1);
    /* only the spelling */
    now = reread(w, &r);
    check_ok(move(w, &now, &ann, "SECOND"));
    check_leads(w, "ann/SECOND", &r, false);
    check_leads(w, "ann/second", &r, true);
    /* a move onto an old name of another takes it over */
    now = reread(w, &other);
    check_ok(move(w, &now, &org, "third"));
    check_leads(w, "ann-org/third", &other, false);
    check_leads(w, "ann/first", &other, true);
}

/* How many repositories the search index finds for a text. */
static size_t found_by(struct world *w, const char *text)
{
    struct repo_query q = {.kind = REPO_MODEL,
                           .sees_all = true,
                           .search = {str_c(text)},
                           .search_count = 1,
                           .limit = 100};
    struct repo_list l;

    check_ok(repo_list(w->s, w->a, &q, &l));
    return l.count;
}

static void search_follows_the_name(void **state)
{
    struct world *w = *state;
    struct account sam = add_user(w, "sam");
    struct repo r = add_repo(w, &sam, "aardvark"), other = add_repo(w, &sam, "zebra");

    assert_int_equal(found_by(w, "ardva"), 1);
    check_ok(move(w, &r, &sam, "crocodile"));
    assert_int_equal(found_by(w, "ardva"), 0);
    assert_int_equal(found_by(w, "ocodi"), 1);
    check_ok(repo_hide(w->s, r.id));
    assert_int_equal(found_by(w, "ocodi"), 0);
    /* deleting or moving it once more, as a second request would, harms nobody */
    check_ok(repo_hide(w->s, r.id));
    check_fails(move(w, &r, &sam, "quokka"), 404);
    check_ok(repo_hide(w->s, r.id));
    assert_int_equal(found_by(w, "ocodi"), 0);
    assert_int_equal(found_by(w, "quokka"), 0);
    assert_int_equal(found_by(w, "zebra"), 1);
    check_leads(w, "sam/quokka", NULL, false);
    check_leads(w, "sam/zebra", &other, false);
    r = add_repo(w, &sam, "crocodile");
    assert_int_equal(found_by(w, "ocodi"), 1);
    run_sql(w, SQL("INSERT INTO repo_search(repo_search) VALUES ('integrity-check')"));
}

static void a_deleted_name_is_free(void **state)
{
    struct world *w = *state;
    struct account eve = add_user(w, "eve");
    struct repo r = add_repo(w, &eve, "temp"), again;

    check_ok(move(w, &r, &eve, "moved"));
    check_ok(repo_hide(w->s, r.id));
    check_leads(w, "eve/moved", NULL, false);
    check_leads(w, "eve/temp", NULL, false); /* an old name leads nowhere any more */
    again = add_repo(w, &eve, "moved");
    check_leads(w, "eve/moved", &again, false);
    assert_int_not_equal(again.id, r.id);
    assert_int_equal(reread(w, &r).id, 0);
}

static void small_changes(void **state)
{
    struct world *w = *state;
    struct account kim = add_user(w, "kim");
    struct repo r = add_repo(w, &kim, "small");
    int64_t bytes;

    check_ok(repo_set_private(w->s, r.id, true));
    assert_true(reread(w, &r).is_private);
    check_ok(repo_set_private(w->s, r.id, false));
    assert_false(reread(w, &r).is_private);
    run_sql(w, SQL("UPDATE repo SET visibility = 'Public' WHERE full_key = 'kim/small'"));
    assert_true(reread(w, &r).is_private); /* an unknown word is the least */
    check_ok(repo_like(w->s, r.id, 1));
    check_ok(repo_like(w->s, r.id, 1));
    assert_int_equal(reread(w, &r).likes, 2);
    check_ok(repo_like(w->s, r.id, -1));
    assert_int_equal(reread(w, &r).likes, 1);
    check_ok(repo_like(w->s, r.id, -5));
    assert_int_equal(reread(w, &r).likes, 0);
    run_sql(w, SQL("UPDATE repo SET used_storage = 700 WHERE full_key = 'kim/small'"));
    check_ok(repo_owner_storage(w->s->hub, kim.id, &bytes));
    assert_int_equal(bytes, 700);
}

struct facts {
    struct world *w;
    const struct repo *r;
    struct repo_facts f;
};

static err set_facts(struct db *tx, void *arg)
{
    const struct facts *x = arg;

    return repo_set_facts(tx, x->w->a, x->r, &x->f);
}

static int64_t tag_repos(struct world *w, const char *tag)
{
    struct db_stmt *q = NULL;
    int64_t n;

    check_ok(db_query(w->s->hub, &q,
                      SQL("SELECT coalesce(sum(repos), 0) FROM tag_count WHERE tag = ?1")));
    db_bind_str(q, 1, str_c(tag));
    assert_true(db_next(q));
    n = db_i64(q, 0);
    db_stmt_close(&q);
    return n;
}

static void facts_and_tags(void **state)
{
    struct world *w = *state;
    struct account tim = add_user(w, "tim");
    struct repo r = add_repo(w, &tim, "tagged"), other = add_repo(w, &tim, "tagged-too");
    const str first[] = {STR("gguf"), STR("license:mit"), STR("gguf")},
              second[] = {STR("gguf"), STR("en")};
    struct facts x = {w,
                      &r,
                      {.card = STR("{\"a\":1}"),
                       .tags = STR("[\"gguf\"]"),
                       .meta = STR("{\"m\":2}"),
                       .pipeline_tag = STR("text-generation"),
                       .library_name = STR("transformers"),
                       .description = STR("d"),
                       .tag_list = first,
                       .tag_count = 3,
                       .num_parameters = 7000000000}};
    bool more = true;

    check_ok(db_write(w->s->hub, set_facts, &x));
    r = reread(w, &r);
    check_str(r.card, "{\"a\":1}");
    check_str(r.tags, "[\"gguf\"]");
    check_str(r.meta, "{\"m\":2}");
    check_str(r.pipeline_tag, "text-generation");
    check_str(r.library_name, "transformers");
    check_str(r.description, "d");
    assert_true(r.num_parameters == 7000000000);
    x.r = &other;
    check_ok(db_write(w->s->hub, set_facts, &x));
    assert_int_equal(tag_repos(w, "gguf"), 2);
    assert_int_equal(tag_repos(w, "license:mit"), 2);
    x.r = &r;
    x.f = (struct repo_facts){.tag_list = second, .tag_count = 2};
    check_ok(db_write(w->s->hub, set_facts, &x));
    check_ok(db_write(w->s->hub, set_facts, &x)); /* again changes nothing */
    assert_int_equal(tag_repos(w, "gguf"), 2);
    assert_int_equal(tag_repos(w, "license:mit"), 1);
    assert_int_equal(tag_repos(w, "en"), 1);
    assert_null(reread(w, &r).card.ptr);
    check_ok(repo_hide(w->s, r.id));
    while (more)
        check_ok(repo_clear_next(w->s, w->a, &more));
    assert_int_equal(tag_repos(w, "gguf"), 1);
    assert_int_equal(tag_repos(w, "en"), 0);
}

/* A damaged state hides a repository; the background job must not take that for a deletion. */
static void only_deleted_repositories_are_cleared(void **state)
{
    struct world *w = *state;
    struct account lee = add_user(w, "lee");
    struct repo r = add_repo(w, &lee, "flipped");
    bool more = true;

    run_sql(w, SQL("UPDATE repo SET state = 'lave' WHERE full_key = 'lee/flipped'"));
    check_leads(w, "lee/flipped", NULL, false);
    for (int i = 0; i < 5; i++)
        check_ok(repo_clear_next(w->s, w->a, &more));
    assert_false(more);
    run_sql(w, SQL("UPDATE repo SET state = 'live' WHERE full_key = 'lee/flipped'"));
    check_leads(w, "lee/flipped", &r, false);
    check_branch(w, &r, "main");
    check_str(text_at(w, &r, "main", "README.md"), "# hello\n");
}

/* --- access: the tables of docs/access.md --- */

enum person {
    NOBODY,
    STRANGER,
    READER,
    CONTRIBUTOR,
    CREATOR,
    WRITER,
    ADMIN,
    OWNER,
    SITE_ADMIN,
    PEOPLE
};

static const enum access private_table[PEOPLE] = {
    ACCESS_NONE,  ACCESS_NONE,  ACCESS_CONTRIBUTE, ACCESS_CONTRIBUTE, ACCESS_WRITE,
    ACCESS_WRITE, ACCESS_ADMIN, ACCESS_ADMIN,      ACCESS_READ};
static const enum access public_table[PEOPLE] = {
    ACCESS_READ,  ACCESS_CONTRIBUTE, ACCESS_CONTRIBUTE, ACCESS_CONTRIBUTE, ACCESS_WRITE,
    ACCESS_WRITE, ACCESS_ADMIN,      ACCESS_ADMIN,      ACCESS_CONTRIBUTE};

static struct repo owned(struct world *w, const struct account *owner, int64_t creator_id,
                         const char *name, bool is_private)
{
    struct repo_new n = {.kind = REPO_MODEL,
                         .owner = owner,
                         .creator_id = creator_id,
                         .name = str_c(name),
                         .is_private = is_private};
    struct repo r;

    check_ok(commit_initial(w->s, w->a, &n, NULL, 0, AUTHOR, &r));
    return r;
}

static enum access access_of(struct world *w, const struct repo *r, const struct account *u)
{
    enum access x = ACCESS_ADMIN;

    check_ok(repo_access(w->s->hub, r, u, &x));
    return x;
}

static void who_may_what(void **state)
{
    struct world *w = *state;
    struct account_new admin = {.name = STR("the-site-admin"), .is_site_admin = true};
    struct account org = add_org(w, "acme"), people[PEOPLE];

    for (int p = STRANGER; p < SITE_ADMIN; p++)
        people[p] = add_user(w, arena_printf(w->a, "person%d", p).ptr);
    check_ok(account_add(w->s, w->a, &admin, &people[SITE_ADMIN]));
    check_ok(member_set(w->s, org.id, people[READER].id, MEMBER_READ));
    check_ok(member_set(w->s, org.id, people[CONTRIBUTOR].id, MEMBER_CONTRIBUTOR));
    check_ok(member_set(w->s, org.id, people[CREATOR].id, MEMBER_CONTRIBUTOR));
    check_ok(member_set(w->s, org.id, people[WRITER].id, MEMBER_WRITE));
    check_ok(member_set(w->s, org.id, people[ADMIN].id, MEMBER_ADMIN));
    for (int is_private = 0; is_private < 2; is_private++) {
        const char *name = is_private ? "secret" : "open";
        struct repo of_org = owned(w, &org, people[CREATOR].id, name, is_private);
        struct repo of_user = owned(w, &people[OWNER], people[OWNER].id, name, is_private);
        const enum access *table = is_private ? private_table : public_table;

        for (int p = NOBODY; p < PEOPLE; p++) {
            struct account *u = p == NOBODY ? NULL : &people[p];
            enum access x = access_of(w, p == OWNER ? &of_user : &of_org, u);

            if (x != table[p])
                fail_msg("%s, person %d: %d, not %d", name, p, x, table[p]);
        }
        /* a creator who is no member any more is a stranger, a reader who created is a reader */
        of_org.creator_id = people[STRANGER].id;
        assert_int_equal(access_of(w, &of_org, &people[STRANGER]), table[STRANGER]);
        of_org.creator_id = people[READER].id;
        assert_int_equal(access_of(w, &of_org, &people[READER]), table[READER]);
        /* a disabled user is nobody */
        for (int p = STRANGER; p < PEOPLE; p++) {
            struct account off = people[p];

            off.is_active = false;
            assert_int_equal(access_of(w, p == OWNER ? &of_user : &of_org, &off), table[NOBODY]);
        }
    }
}

static void who_may_create(void **state)
{
    static const bool expected[] = {false, false, true, true, true};
    struct world *w = *state;
    struct account org = add_org(w, "makers"), u = add_user(w, "maker"),
                   other = add_user(w, "other-maker");
    bool may;

    check_ok(repo_may_create(w->s->hub, &u, &u, &may));
    assert_true(may);
    check_ok(repo_may_create(w->s->hub, &other, &u, &may));
    assert_false(may);
    other.is_site_admin = true;
    check_ok(repo_may_create(w->s->hub, &u, &other, &may));
    assert_false(may);
    for (enum member_role r = MEMBER_NONE; r <= MEMBER_ADMIN; r++) {
        check_ok(member_set(w->s, org.id, u.id, r));
        check_ok(repo_may_create(w->s->hub, &org, &u, &may));
        assert_int_equal(may, expected[r]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_repository),
        cmocka_unit_test(a_taken_name),
        cmocka_unit_test(names_that_fit),
        cmocka_unit_test(kinds),
        cmocka_unit_test(old_names_lead_to_the_new_one),
        cmocka_unit_test(search_follows_the_name),
        cmocka_unit_test(a_deleted_name_is_free),
        cmocka_unit_test(small_changes),
        cmocka_unit_test(facts_and_tags),
        cmocka_unit_test(only_deleted_repositories_are_cleared),
        cmocka_unit_test(who_may_what),
        cmocka_unit_test(who_may_create),
    };

    return cmocka_run_group_tests(tests, world_begin, world_end);
}
