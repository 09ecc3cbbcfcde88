/* check_rows.c — rows of hearth.db against each other: words that decide access are known words,
 * references name rows that exist, sums and counts are what they count.
 *
 * Every rule is one statement, so it sees one moment and a living hub gives no false finding.  It
 * selects an id and a name for people of every row that breaks it.  Rules over large tables go
 * through them in windows of ids, so that no statement runs long.
 */
#include "store/check_private.h"

#define WINDOW 1000
#define FOUND_MAX 1000 /* rows told per rule and window */

enum window { WHOLE, BY_ACCOUNT, BY_REPO };

struct rule {
    const char *what;
    enum window window; /* ?1 < id <= ?2 */
    struct sql sql;     /* id, name */
    const char *why;
    struct sql fix; /* ?1: the id; none: nobody knows better */
    bool fix_named; /* and ?2: the name */
};

#define NO_FIX SQL_INIT("")
#define IN_WINDOW(column) " AND " column " > ?1 AND " column " <= ?2"
#define OF_REPO " JOIN repo ON repo.id = repo_id WHERE 1=1" IN_WINDOW("repo_id") " AND "
#define NO_REPO " WHERE NOT EXISTS(SELECT 1 FROM repo WHERE repo.id = repo_id)" IN_WINDOW("repo_id")
#define FILE_NAME "full_name || ': ' || coalesce(CAST(path AS TEXT), lower(hex(sha256)))"

static const struct rule account_rules[] = {
    {"account", BY_ACCOUNT,
     SQL_INIT("SELECT id, name FROM account WHERE (kind NOT IN ('user', 'org') OR role NOT IN ('', "
              "'site-admin') OR state NOT IN ('active', 'disabled') OR password_kind NOT IN "
              "('own', 'one-time'))" IN_WINDOW("id")),
     "its kind, role or state is no known word and counts as the least; set it again", NO_FIX,
     false},
    {"account", BY_ACCOUNT,
     SQL_INIT("SELECT id, name FROM account WHERE name_key <> lower(name)" IN_WINDOW("id")),
     "its name and the key it is found by differ; restore a backup", NO_FIX, false},
    {"account", BY_ACCOUNT,
     SQL_INIT("SELECT id, name FROM account WHERE (length(oid) <> 24 OR private_by_default NOT IN "
              "(0, 1) OR (password_hash IS NOT NULL AND password_hash NOT LIKE "
              "'$argon2id$%'))" IN_WINDOW("id")),
     "its id, password or default is not one that hearth writes; set the password again", NO_FIX,
     false},
    {"member", WHOLE,
     SQL_INIT("SELECT org_id, coalesce((SELECT name FROM account WHERE id = org_id), org_id) || ' "
              "/ ' || coalesce((SELECT name FROM account WHERE id = user_id), user_id) FROM member "
              "WHERE role NOT IN ('read', 'contributor', 'write', 'admin')"),
     "its role is no known word and counts as none; set it again", NO_FIX, false},
    {"member", WHOLE,
     SQL_INIT("SELECT org_id, org_id || ' / ' || user_id FROM member WHERE NOT EXISTS(SELECT 1 "
              "FROM account WHERE id = org_id AND kind = 'org') OR NOT EXISTS(SELECT 1 FROM "
              "account WHERE id = user_id AND kind = 'user')"),
     "it names an account that is not there", NO_FIX, false},
    {"token", WHOLE,
     SQL_INIT(
         "SELECT id, 'token ' || id FROM token WHERE role NOT IN ('read', 'write', "
         "'fineGrained') OR length(hash) <> 32 OR (scopes IS NOT NULL AND NOT "
         "json_valid(scopes)) OR NOT EXISTS(SELECT 1 FROM account WHERE account.id = user_id)"),
     "its role, hash, scopes or owner is damaged, so it is not accepted; make a new one", NO_FIX,
     false},
    {"session", WHOLE,
     SQL_INIT("SELECT id, 'session ' || id FROM session WHERE length(hash) <> 32 OR NOT "
              "EXISTS(SELECT 1 FROM account WHERE account.id = user_id)"),
     "its hash or its user is damaged, so it is over",
     SQL_INIT("DELETE FROM session WHERE id = ?1"), false},
    {"login by code", WHOLE,
     SQL_INIT(
         "SELECT coalesce(user_id, 0), user_code FROM device_login WHERE length(hash) <> 32 OR "
         "state NOT IN ('waiting', 'allowed', 'denied', 'used')"),
     "its state is no known word, so it is over",
     SQL_INIT("DELETE FROM device_login WHERE ?1 = ?1 AND user_code = ?2"), true},
    {"refresh token", WHOLE,
     SQL_INIT(
         "SELECT token_id, 'of token ' || token_id FROM refresh_token WHERE length(hash) <> 32"),
     "its hash has another length, so it is not accepted",
     SQL_INIT("DELETE FROM refresh_token WHERE token_id = ?1"), false},
    {"signing key", WHOLE,
     SQL_INIT(
         "SELECT 0, kid FROM signing_key WHERE length(kid) <> 8 OR length(secret) <> 32 OR kid "
         "GLOB '*[^0-9a-f]*'"),
     "its name or secret has another length; links signed with it are refused", NO_FIX, false},
    {"fact", WHOLE,
     SQL_INIT("SELECT 0, name FROM fact WHERE name = 'store_id' AND (length(value) <> 16 OR value "
              "GLOB '*[^0-9a-f]*')"),
     "the id of this store is damaged: clients with a cache may not find what it names", NO_FIX,
     false},
};

static const struct rule repo_rules[] = {
    {"repository", BY_REPO,
     SQL_INIT("SELECT id, full_name FROM repo WHERE (visibility NOT IN ('public', 'private') OR "
              "state NOT IN ('live', 'deleted') OR kind NOT IN (0, 1, 2, 3) OR pristine NOT IN (0, "
              "1))" IN_WINDOW("id")),
     "its visibility, state or kind is no known word and counts as the least; set it again", NO_FIX,
     false},
    {"repository", BY_REPO,
     SQL_INIT("SELECT id, full_name FROM repo WHERE (full_key <> lower(full_name) OR name_key <> "
              "substr(full_key, instr(full_key, '/') + 1) OR length(oid) <> 24)" IN_WINDOW("id")),
     "its name and the keys it is found by differ; restore a backup", NO_FIX, false},
    {"repository", BY_REPO,
     SQL_INIT("SELECT repo.id, repo.full_name FROM repo LEFT JOIN account ON account.id = owner_id "
              "WHERE "
              "repo.state = 'live' AND coalesce(account.name, '') <> substr(repo.full_name, 1, "
              "instr(repo.full_name, '/') - 1)" IN_WINDOW("repo.id")),
     "its owner's name is not the first part of its own", NO_FIX, false},
    {"repository", BY_REPO,
     SQL_INIT("SELECT id, full_name FROM repo WHERE creator_id <> 0 AND NOT EXISTS(SELECT 1 FROM "
              "account WHERE account.id = creator_id)" IN_WINDOW("id")),
     "who made it is not known any more", NO_FIX, false},
    {"repository", BY_REPO,
     SQL_INIT("SELECT id, full_name FROM repo WHERE (NOT json_valid(tags) OR NOT json_valid(meta) "
              "OR (card IS NOT NULL AND NOT json_valid(card)))" IN_WINDOW("id")),
     "its card, tags or facts are damaged; the next commit on main writes them anew", NO_FIX,
     false},
    {"repository", BY_REPO,
     SQL_INIT(
         "SELECT repo.id, full_name FROM repo JOIN ref ON ref.repo_id = repo.id AND ref.name = "
         "'refs/heads/main' WHERE head <> peeled AND ref.oid = peeled" IN_WINDOW("repo.id")),
     "its head is not where its main branch is",
     SQL_INIT("UPDATE repo SET head = (SELECT peeled FROM ref WHERE repo_id = ?1 AND name = "
              "'refs/heads/main') WHERE id = ?1"),
     false},
    {"repository", BY_REPO,
     SQL_INIT("SELECT id, full_name FROM repo WHERE kind <> 3 AND state = 'live' AND used_storage "
              "<> (SELECT coalesce(sum(size), 0) FROM repo_file WHERE repo_id = "
              "repo.id)" IN_WINDOW("id")),
     "the bytes that it is said to use are not the sum of its large files",
     SQL_INIT("UPDATE repo SET used_storage = (SELECT coalesce(sum(size), 0) FROM repo_file WHERE "
              "repo_id = ?1) WHERE id = ?1"),
     false},
    {"repository", BY_REPO,
     SQL_INIT("SELECT id, full_name FROM repo WHERE likes <> (SELECT count(*) FROM repo_like WHERE "
              "repo_id = repo.id)" IN_WINDOW("id")),
     "its number of likes is not how many like it",
     SQL_INIT(
         "UPDATE repo SET likes = (SELECT count(*) FROM repo_like WHERE repo_id = ?1) WHERE id "
         "= ?1"),
     false},
    {"discussion", BY_REPO,
     SQL_INIT(
         "SELECT discussion.id, full_name || '#' || number FROM discussion" OF_REPO
         "(status NOT IN ('draft', 'open', 'closed', 'merged') OR is_pull_request NOT IN (0, 1) "
         "OR number > last_number OR number < 1)"),
     "its status or number is not one that hearth writes", NO_FIX, false},
    {"large file", BY_REPO,
     SQL_INIT("SELECT repo_id, " FILE_NAME " FROM repo_file" OF_REPO
              "(length(sha256) <> 32 OR (file_id = 0 AND size <> 0))"),
     "its row is damaged; upload it again", NO_FIX, false},
    {"large file", BY_REPO,
     SQL_INIT("SELECT repo_id, " FILE_NAME " FROM repo_file" OF_REPO
              "file_id <> 0 AND NOT EXISTS(SELECT 1 FROM file WHERE file.id = file_id)"),
     "its content is gone; upload it again", NO_FIX, false},
    {"large file", BY_REPO,
     SQL_INIT("SELECT repo_id, " FILE_NAME " FROM repo_file JOIN file ON file.id = file_id" OF_REPO
              "file.size <> repo_file.size"),
     "its size is not that of its content; delete it and upload it again", NO_FIX, false},
    {"large file", BY_REPO,
     SQL_INIT("SELECT repo_id, lower(hex(sha256)) FROM repo_file" OF_REPO
              "repo_file.state NOT IN ('verified', 'claimed')"),
     "whether its SHA-256 was verified is not a known word; it is verified again",
     SQL_INIT("UPDATE repo_file SET state = 'claimed' WHERE repo_id = ?1 AND lower(hex(sha256)) = "
              "?2"),
     true},
    /* what belongs to no repository */
    {"reference", BY_REPO, SQL_INIT("SELECT id, name FROM ref" NO_REPO), "its repository is gone",
     SQL_INIT("DELETE FROM ref WHERE id = ?1"), false},
    {"large file", BY_REPO,
     SQL_INIT("SELECT DISTINCT repo_id, 'of repository ' || repo_id FROM repo_file" NO_REPO),
     "its repository is gone", SQL_INIT("DELETE FROM repo_file WHERE repo_id = ?1"), false},
    {"like", BY_REPO,
     SQL_INIT("SELECT DISTINCT repo_id, 'of repository ' || repo_id FROM repo_like" NO_REPO),
     "its repository is gone", SQL_INIT("DELETE FROM repo_like WHERE repo_id = ?1"), false},
    {"discussion", BY_REPO, SQL_INIT("SELECT id, title FROM discussion" NO_REPO),
     "its repository is gone", SQL_INIT("DELETE FROM discussion WHERE id = ?1"), false},
    {"lock", BY_REPO, SQL_INIT("SELECT repo_id, path FROM lfs_lock" NO_REPO),
     "its repository is gone", SQL_INIT("DELETE FROM lfs_lock WHERE repo_id = ?1"), false},
    {"remembered commit", BY_REPO,
     SQL_INIT("SELECT DISTINCT repo_id, ref FROM commit_seen" NO_REPO), "its repository is gone",
     SQL_INIT("DELETE FROM commit_seen WHERE repo_id = ?1"), false},
    {"tag", BY_REPO, SQL_INIT("SELECT DISTINCT repo_id, tag FROM repo_tag" NO_REPO),
     "its repository is gone", SQL_INIT("DELETE FROM repo_tag WHERE repo_id = ?1"), false},
    {"hold", BY_REPO,
     SQL_INIT("SELECT DISTINCT repo_id, 'of repository ' || repo_id FROM file_hold" NO_REPO),
     "its repository is gone", SQL_INIT("DELETE FROM file_hold WHERE repo_id = ?1"), false},
    {"mark", BY_REPO, SQL_INIT("SELECT repo_id, 'of repository ' || repo_id FROM gc_mark" NO_REPO),
     "its repository is gone", SQL_INIT("DELETE FROM gc_mark WHERE repo_id = ?1"), false},
};

static const struct rule other_rules[] = {
    {"tag", WHOLE,
     SQL_INIT("SELECT kind, tag FROM tag_count WHERE repos <> (SELECT count(*) FROM repo_tag WHERE "
              "repo_tag.kind = tag_count.kind AND repo_tag.tag = tag_count.tag)"),
     "the number of repositories with it is not how many have it",
     SQL_INIT("UPDATE tag_count SET repos = (SELECT count(*) FROM repo_tag WHERE kind = ?1 AND tag "
              "= ?2) WHERE kind = ?1 AND tag = ?2"),
     true},
    {"tag", WHOLE,
     SQL_INIT("SELECT DISTINCT kind, tag FROM repo_tag WHERE NOT EXISTS(SELECT 1 FROM tag_count "
              "WHERE tag_count.kind = repo_tag.kind AND tag_count.tag = repo_tag.tag)"),
     "it is counted nowhere",
     SQL_INIT("INSERT INTO tag_count(kind, tag, repos) VALUES (?1, ?2, (SELECT count(*) FROM "
              "repo_tag WHERE kind = ?1 AND tag = ?2))"),
     true},
    {"tag", WHOLE,
     SQL_INIT(
         "SELECT repo_id, tag FROM repo_tag JOIN repo ON repo.id = repo_id WHERE repo_tag.kind "
         "<> repo.kind"),
     "it stands under another kind than its repository; the next commit on main writes it anew",
     NO_FIX, false},
    {"old name", WHOLE,
     SQL_INIT("SELECT repo_id, full_key FROM repo_alias WHERE NOT EXISTS(SELECT 1 FROM repo WHERE "
              "repo.id = repo_id)"),
     "its repository is gone", SQL_INIT("DELETE FROM repo_alias WHERE repo_id = ?1"), false},
    {"upload", WHOLE,
     SQL_INIT("SELECT 0, id FROM upload WHERE length(id) <> 32 OR length(sha256) <> 32 OR size < 1 "
              "OR part_bytes < 1 OR part_bytes % 1048576 <> 0"),
     "its row is damaged; the client begins again", NO_FIX, false},
    {"upload part", WHOLE,
     SQL_INIT("SELECT number, upload_id FROM upload_part WHERE NOT EXISTS(SELECT 1 FROM upload "
              "WHERE id = upload_id)"),
     "its upload is gone", SQL_INIT("DELETE FROM upload_part WHERE number = ?1 AND upload_id = ?2"),
     true},
    {"hold", WHOLE,
     SQL_INIT("SELECT DISTINCT file_id, 'of content ' || file_id FROM file_hold WHERE file_id <> 0 "
              "AND NOT EXISTS(SELECT 1 FROM file WHERE id = file_id)"),
     "its content is gone", SQL_INIT("DELETE FROM file_hold WHERE file_id = ?1"), false},
    {"shard", WHOLE,
     SQL_INIT("SELECT DISTINCT file_id, 'of content ' || file_id FROM shard_file WHERE NOT "
              "EXISTS(SELECT 1 FROM file WHERE id = file_id)"),
     "it is said to describe a content that is gone",
     SQL_INIT("DELETE FROM shard_file WHERE file_id = ?1"), false},
    {"shard", WHOLE,
     SQL_INIT("SELECT DISTINCT shard_id, 'shard ' || shard_id FROM shard_file WHERE NOT "
              "EXISTS(SELECT 1 FROM shard WHERE id = shard_id)"),
     "it is named but not there", SQL_INIT("DELETE FROM shard_file WHERE shard_id = ?1"), false},
    {"task", WHOLE,
     SQL_INIT(
         "SELECT id, kind FROM task WHERE state NOT IN ('asked', 'running', 'done', 'failed')"),
     "its state is no known word", SQL_INIT("DELETE FROM task WHERE id = ?1"), false},
    {"branch", WHOLE,
     SQL_INIT("SELECT DISTINCT ref_id, 'reference ' || ref_id FROM branch_file WHERE NOT "
              "EXISTS(SELECT 1 FROM ref WHERE id = ref_id)"),
     "files are listed for a branch that is gone",
     SQL_INIT("DELETE FROM branch_file WHERE ref_id = ?1"), false},
};

/* --- running them --- */

struct hit {
    int64_t id;
    str name;
};

struct fixing {
    const struct rule *rule;
    const struct hit *hit;
};

static err fix_fn(struct db *tx, void *arg)
{
    const struct fixing *x = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, x->rule->fix));
    db_bind_i64(q, 1, x->hit->id);
    if (x->rule->fix_named)
        db_bind_str(q, 2, x->hit->name);
    return db_run(q);
}

static err find_hits(struct check *c, const struct rule *r, int64_t after, int64_t last,
                     struct hit *ret, size_t *ret_count)
{
    size_t count = 0;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(c->store->hub, &q, r->sql));
    if (r->window != WHOLE) {
        db_bind_i64(q, 1, after);
        db_bind_i64(q, 2, last);
    }
    while (count < FOUND_MAX && db_next(q))
        ret[count++] = (struct hit){db_i64(q, 0), db_str(q, 1, c->a)};
    *ret_count = count;
    return db_error(q);
}

/* What a damaged database says is no ground to write anything. */
static enum check_state state_of(struct check *c, const struct rule *r, const struct hit *hit)
{
    struct fixing x = {r, hit};

    if (!r->fix.text[0])
        return CHECK_DAMAGED;
    return c->rows_doubtful ? CHECK_REPAIRABLE : check_fix(c, fix_fn, &x);
}

static err run_rule(struct check *c, const struct rule *r, int64_t after, int64_t last)
{
    struct arena_mark m = arena_mark(c->a);
    struct hit *hits = arena_many(c->a, struct hit, FOUND_MAX);
    size_t count;

    TRY(find_hits(c, r, after, last, hits, &count));
    for (size_t i = 0; i < count; i++)
        check_found(c, state_of(c, r, &hits[i]), r->what, hits[i].name, "%s", r->why);
    arena_rewind(c->a, m);
    return OK;
}

/* One rule that cannot be asked must not keep the others from being asked. */
static void try_rule(struct check *c, const struct rule *r, int64_t after, int64_t last)
{
    err e = run_rule(c, r, after, last);

    if (e) {
        str words = e->detail.len ? e->detail : e->text;

        c->rows_doubtful = true;
        check_found(c, CHECK_DAMAGED, "database", STR("hearth.db"), "%.*s; restore a backup",
                    STR_FMT(words));
    }
}

static void run_rules(struct check *c, const struct rule *rules, size_t count, int64_t after,
                      int64_t last)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].window != WHOLE)
            try_rule(c, &rules[i], after, last);
}

/* The last id of the next window; 0: there are no more rows. */
static err window_end(struct check *c, struct sql sql, int64_t after, int64_t *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = 0;
    TRY(db_query(c->store->hub, &q, sql));
    db_bind_i64(q, 1, after);
    db_bind_i64(q, 2, WINDOW);
    if (db_next(q))
        *ret = db_i64(q, 0);
    return db_error(q);
}

/* The windows cover every id there can be: a damaged reference may name any. */
static err run_windows(struct check *c, const struct rule *rules, size_t count, struct sql end)
{
    int64_t at = INT64_MIN, last;

    for (uint64_t done = 0;; done += WINDOW) {
        TRY(window_end(c, end, at, &last));
        if (last <= at || last == 0)
            break;
        run_rules(c, rules, count, at, last);
        check_progress(c, "rows", done);
        at = last;
    }
    run_rules(c, rules, count, at, INT64_MAX);
    return OK;
}

static void run_whole(struct check *c, const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].window == WHOLE)
            try_rule(c, &rules[i], 0, 0);
}

#define RULES(list) list, sizeof list / sizeof *list

err check_rows(struct check *c)
{
    int64_t count;

    TRY(check_count(c->store->hub, SQL("SELECT count(*) FROM account"), &count));
    c->result.accounts = (uint64_t)count;
    TRY(check_count(c->store->hub, SQL("SELECT count(*) FROM repo WHERE state = 'live'"), &count));
    c->result.repos = (uint64_t)count;
    TRY(run_windows(c, RULES(account_rules),
                    SQL("SELECT coalesce(max(id), 0) FROM (SELECT id FROM account WHERE id > ?1 "
                        "ORDER BY id LIMIT ?2) AS page")));
    TRY(run_windows(c, RULES(repo_rules),
                    SQL("SELECT coalesce(max(id), 0) FROM (SELECT id FROM repo WHERE id > ?1 "
                        "ORDER BY id LIMIT ?2) AS page")));
    run_whole(c, RULES(account_rules));
    run_whole(c, RULES(other_rules));
    return OK;
}
