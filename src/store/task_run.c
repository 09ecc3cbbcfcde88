/* task_run.c — the work of a task, and options and results as JSON; see task.h.
 *
 * A task that is cut off because the server stops goes back to "asked", so that the next server
 * begins it anew: gc and scrub both go on where they were.
 */
#include "base/clock.h"
#include "base/json.h"
#include "store/gc_private.h"
#include "store/task.h"

/* --- options and results --- */

/* Lists of fields, which clang-format never comes to an end with. */
/* clang-format off */
#define GC_FLAGS(F) F(dry_run) F(git) F(files) F(xorbs) F(compact)
#define GC_TIMES(F) \
    F(git_grace_ms) F(file_grace_ms) F(xorb_wait_ms) F(compact_age_ms) F(orphan_age_ms) \
    F(lease_cut_ms)
#define GC_COUNTS(F) \
    F(repos_marked) F(repos_skipped) F(git_objects) F(git_bytes) F(repo_files) F(files) F(shards) \
    F(condemned) F(xorbs) F(xorb_bytes) F(orphan_blobs) F(compacted_xorbs) F(compacted_into) \
    F(compacted_bytes_saved)
/* clang-format on */

str gc_options_json(struct arena *a, const struct gc_options *o)
{
    struct json_out *j = json_out_new(a);

    json_obj(j);
#define PUT(name) json_kv_bool(j, #name, o->name);
    GC_FLAGS(PUT)
#undef PUT
#define PUT(name) json_kv_i64(j, #name, o->name);
    GC_TIMES(PUT)
#undef PUT
    json_obj_end(j);
    return json_out_str(j);
}

static err read_options(struct arena *a, str text, struct gc_options *ret)
{
    const struct json *j;

    gc_defaults(ret);
    TRY(json_parse(a, text, &j));
#define GET(name) ret->name = json_true(json_get(j, #name));
    GC_FLAGS(GET)
#undef GET
#define GET(name) (void)json_i64(json_get(j, #name), &ret->name);
    GC_TIMES(GET)
#undef GET
    return OK;
}

str gc_result_json(struct arena *a, const struct gc_result *r)
{
    struct json_out *j = json_out_new(a);

    json_obj(j);
#define PUT(name) json_kv_i64(j, #name, (int64_t)r->name);
    GC_COUNTS(PUT)
#undef PUT
    json_kv_bool(j, "held", r->held);
    json_kv_bool(j, "stopped", r->stopped);
    json_obj_end(j);
    return json_out_str(j);
}

static str scrub_result_json(struct arena *a, const struct scrub_result *r)
{
    struct json_out *j = json_out_new(a);

    json_obj(j);
    json_kv_i64(j, "xorbs", (int64_t)r->xorbs);
    json_kv_i64(j, "bytes", (int64_t)r->bytes);
    json_kv_i64(j, "damaged", (int64_t)r->damaged);
    if (r->oldest_check_ms)
        json_kv_time(j, "oldest_check", r->oldest_check_ms);
    else
        json_kv_null(j, "oldest_check");
    json_kv_bool(j, "stopped", r->stopped);
    json_obj_end(j);
    return json_out_str(j);
}

/* --- the work --- */

static err run_gc(struct store *s, struct arena *a, str options, const struct gc_watch *w,
                  str *ret_result)
{
    struct gc_options o;
    struct gc_result r;

    TRY(read_options(a, options, &o));
    TRY(gc_run(s, a, &o, w, &r));
    *ret_result = gc_result_json(a, &r);
    return OK;
}

static err run_scrub(struct store *s, struct arena *a, str options, const struct gc_watch *w,
                     str *ret_result)
{
    const struct json *j;
    struct scrub_result r;
    int64_t rate = 0;

    TRY(json_parse(a, options, &j));
    (void)json_i64(json_get(j, "rate"), &rate);
    TRY(scrub_all(s, a, rate > 0 ? (uint64_t)rate : 0, w, &r));
    *ret_result = scrub_result_json(a, &r);
    return OK;
}

err task_run(struct store *s, struct arena *a, str kind, str options, const struct gc_watch *w,
             str *ret_result)
{
    if (str_eq(kind, STR("gc")))
        return run_gc(s, a, options, w, ret_result);
    if (str_eq(kind, STR("scrub")))
        return run_scrub(s, a, options, w, ret_result);
    return err_new(a, 400, NULL, "This hub has no task \"%.*s\".", STR_FMT(kind));
}

str task_line(struct arena *a, const char *what, uint64_t done)
{
    return arena_printf(a, "%s: %llu", what, (unsigned long long)done);
}

struct running {
    struct store *store;
    int64_t id, said_ms;
    const char *what;
    bool (*stop)(void *arg);
    void *arg;
    bool was_stopped;
};

#define SAY_MS 500 /* how often progress is written at most */

static bool step(void *arg, const char *what, uint64_t done)
{
    struct running *x = arg;
    int64_t now = clock_mono_ms();

    if (x->stop && x->stop(x->arg)) {
        x->was_stopped = true;
        return false;
    }
    if (now - x->said_ms >= TASK_BEAT_MS || (x->what != what && now - x->said_ms >= SAY_MS)) {
        struct arena *a = arena_new(0);

        x->what = what;
        x->said_ms = now;
        if (task_progress(x->store, x->id, task_line(a, what, done))) {
            /* a line for people, no more */
        }
        arena_free(a);
    }
    return true;
}

static err again_fn(struct db *tx, void *arg)
{
    static const struct sql again =
        SQL_INIT("UPDATE task SET state = 'asked' WHERE id = ?1 AND ?2 = ?2");
    int64_t changes;

    return gc_exec(tx, again, *(int64_t *)arg, 0, &changes);
}

err task_run_next(struct store *s, struct arena *a, bool (*stop)(void *arg), void *arg,
                  bool *ret_any)
{
    struct running x = {.store = s, .stop = stop, .arg = arg, .said_ms = clock_mono_ms()};
    struct gc_watch w = {step, &x};
    struct task t;
    str result;
    err e;

    TRY(task_take(s, a, &t));
    *ret_any = t.id != 0;
    if (t.id == 0)
        return OK;
    x.id = t.id;
    e = task_run(s, a, t.kind, t.options, &w, &result);
    if (x.was_stopped)
        return db_write(s->hub, again_fn, &x.id);
    if (e) {
        struct json_out *j = json_out_new(a);

        json_obj(j);
        json_kv_str(j, "error", e->text);
        json_obj_end(j);
        result = json_out_str(j);
    }
    TRY(task_end(s, t.id, !e, result));
    return e;
}
