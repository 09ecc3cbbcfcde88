/* task.c — the rows of task.h. */
#include "store/task.h"
#include "base/clock.h"
#include "store/gc_private.h"

#define COLS "id, kind, options, state, progress, result, asked_at, beat_at"
#define KEEP_MS (7 * GC_DAY_MS) /* tasks that ended */

static const struct sql ASK = SQL_INIT("INSERT INTO task(kind, options, state, asked_at, beat_at) "
                                       "VALUES (?1, ?2, 'asked', ?3, ?3) RETURNING id");
static const struct sql FORGET =
    SQL_INIT("DELETE FROM task WHERE state IN ('done', 'failed') AND beat_at < ?1 AND ?2 = ?2");
static const struct sql FIND = SQL_INIT("SELECT " COLS " FROM task WHERE id = ?1");
static const struct sql TAKE = SQL_INIT(
    "UPDATE task SET state = 'running', beat_at = ?1 WHERE id = (SELECT id FROM task WHERE "
    "state = 'asked' OR (state = 'running' AND beat_at < ?2) ORDER BY id LIMIT 1) "
    "RETURNING " COLS);
static const struct sql PROGRESS =
    SQL_INIT("UPDATE task SET progress = ?2, beat_at = ?3 WHERE id = ?1 AND state = 'running'");
static const struct sql END =
    SQL_INIT("UPDATE task SET state = ?4, result = ?2, beat_at = ?3 WHERE id = ?1");

static struct task read_task(struct db_stmt *q, struct arena *a)
{
    return (struct task){.id = db_i64(q, 0),
                         .kind = db_str(q, 1, a),
                         .options = db_str(q, 2, a),
                         .state = db_str(q, 3, a),
                         .progress = db_str(q, 4, a),
                         .result = db_str(q, 5, a),
                         .asked_at_ms = db_i64(q, 6),
                         .beat_at_ms = db_i64(q, 7)};
}

struct change {
    struct arena *a;
    int64_t id, now_ms;
    str kind, text, state;
    struct task task;
};

static err ask_fn(struct db *tx, void *arg)
{
    struct change *c = arg;
    int64_t changes;

    TRY(gc_exec(tx, FORGET, c->now_ms - KEEP_MS, 0, &changes));
    AUTO_STMT struct db_stmt *q = NULL;
    TRY(db_query(tx, &q, ASK));
    db_bind_str(q, 1, c->kind);
    db_bind_str(q, 2, c->text);
    db_bind_i64(q, 3, c->now_ms);
    c->id = db_next(q) ? db_i64(q, 0) : 0;
    return db_run(q);
}

err task_ask(struct store *s, struct arena *a, str kind, str options, int64_t *ret_id)
{
    struct change c = {.a = a, .now_ms = clock_ms(), .kind = kind, .text = options};

    TRY(db_write(s->hub, ask_fn, &c));
    *ret_id = c.id;
    return OK;
}

err task_find(struct db *db, struct arena *a, int64_t id, struct task *ret)
{
    AUTO_STMT struct db_stmt *q = NULL;

    *ret = (struct task){0};
    TRY(db_query(db, &q, FIND));
    db_bind_i64(q, 1, id);
    if (db_next(q))
        *ret = read_task(q, a);
    return db_error(q);
}

static err take_fn(struct db *tx, void *arg)
{
    struct change *c = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    c->task = (struct task){0};
    TRY(db_query(tx, &q, TAKE));
    db_bind_i64(q, 1, c->now_ms);
    db_bind_i64(q, 2, c->now_ms - TASK_DEAD_MS);
    if (!db_next(q))
        return db_error(q);
    c->task = read_task(q, c->a);
    return db_run(q);
}

/* Looks before it writes: this is asked every second. */
err task_take(struct store *s, struct arena *a, struct task *ret)
{
    static const struct sql any = SQL_INIT(
        "SELECT count(*) FROM task WHERE state = 'asked' OR (state = 'running' AND beat_at "
        "< ?1 AND ?2 = ?2)");
    struct change c = {.a = a, .now_ms = clock_ms()};
    uint64_t waiting;

    *ret = (struct task){0};
    TRY(gc_count(s->hub, any, c.now_ms - TASK_DEAD_MS, 0, &waiting));
    if (waiting == 0)
        return OK;
    TRY(db_write(s->hub, take_fn, &c));
    *ret = c.task;
    return OK;
}

static err reset_fn(struct db *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, SQL("UPDATE task SET state = 'asked' WHERE state = 'running'"));
}

err task_reset(struct store *s)
{
    return db_write(s->hub, reset_fn, NULL);
}

static err progress_fn(struct db *tx, void *arg)
{
    const struct change *c = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, PROGRESS));
    db_bind_i64(q, 1, c->id);
    db_bind_str(q, 2, c->text);
    db_bind_i64(q, 3, c->now_ms);
    return db_run(q);
}

err task_progress(struct store *s, int64_t id, str line)
{
    struct change c = {.id = id, .now_ms = clock_ms(), .text = line.ptr ? line : STR("")};

    return db_write(s->hub, progress_fn, &c);
}

static err end_fn(struct db *tx, void *arg)
{
    const struct change *c = arg;
    AUTO_STMT struct db_stmt *q = NULL;

    TRY(db_query(tx, &q, END));
    db_bind_i64(q, 1, c->id);
    db_bind_str(q, 2, c->text);
    db_bind_i64(q, 3, c->now_ms);
    db_bind_str(q, 4, c->state);
    return db_run(q);
}

err task_end(struct store *s, int64_t id, bool ok, str result)
{
    struct change c = {
        .id = id, .now_ms = clock_ms(), .text = result, .state = ok ? STR("done") : STR("failed")};

    return db_write(s->hub, end_fn, &c);
}
