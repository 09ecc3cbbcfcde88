/* ask.c — see ask.h. */
#include "admin/ask.h"
#include "base/clock.h"
#include "base/json.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 200
#define SILENT_MS 15000 /* without a beat for so long, the hub may have ended */
#define SAY_MS 1000

struct asking {
    struct arena *a;
    const char *data;
    str kind, options;
    struct store *store; /* NULL: closed */
    int64_t id;          /* of the task; 0: not asked */
    str said;
    int64_t said_ms;
    const char *what;
};

static void say(struct asking *x, str line)
{
    if (line.len == 0 || str_eq(line, x->said))
        return;
    x->said = arena_str(x->a, line);
    fprintf(stderr, "%.*s\n", STR_FMT(line));
}

/* --- by ourselves --- */

static bool step(void *arg, const char *what, uint64_t done)
{
    struct asking *x = arg;
    int64_t now = clock_mono_ms();

    if (x->what != what || now - x->said_ms >= SAY_MS) {
        bool beats = x->id && now - x->said_ms >= SAY_MS;
        str line = task_line(x->a, what, done);

        if (now - x->said_ms >= SAY_MS)
            say(x, line);
        if (beats && task_progress(x->store, x->id, line)) {
            /* only a line */
        }
        x->what = what;
        x->said_ms = now;
    }
    return true;
}

static err work(struct asking *x, str *ret_result)
{
    struct gc_watch w = {step, x};
    err e;

    x->said_ms = clock_mono_ms();
    e = task_run(x->store, x->a, x->kind, x->options, &w, ret_result);
    if (x->id && task_end(x->store, x->id, !e, e ? STR("{}") : *ret_result)) {
        /* the next server does it once more, which does no harm */
    }
    return e;
}

/* --- by the hub --- */

static err wait_a_moment(struct asking *x, struct task *ret)
{
    struct timespec t = {0, POLL_MS * 1000000};

    nanosleep(&t, NULL);
    TRY(task_find(x->store->hub, x->a, x->id, ret));
    if (ret->id == 0)
        return err_new(x->a, 500, NULL, "The task is gone; ask again.");
    say(x, ret->progress);
    return OK;
}

static err result_of(struct asking *x, const struct task *t, str *ret_result)
{
    const struct json *j;
    str text;

    *ret_result = t->result;
    if (str_eq(t->state, STR("done")))
        return OK;
    TRY(json_parse(x->a, t->result, &j));
    text = json_get_str(j, "error");
    return err_new(x->a, 500, NULL, "%.*s", STR_FMT(text));
}

/* Until it is done, or nothing was heard of the hub for a while. */
static err wait_for_it(struct asking *x, str *ret_result, bool *ret_silent)
{
    struct task t;

    for (;;) {
        TRY(wait_a_moment(x, &t));
        if (str_eq(t.state, STR("done")) || str_eq(t.state, STR("failed")))
            return result_of(x, &t, ret_result);
        if (clock_ms() - t.beat_at_ms > SILENT_MS && clock_mono_ms() - x->said_ms > SILENT_MS) {
            x->said_ms = clock_mono_ms();
            *ret_silent = true;
            return OK;
        }
    }
}

/* --- either --- */

static err open_store(struct asking *x, bool server)
{
    struct store_config c = {.data_dir = x->data, .server = server};

    store_close(x->store);
    x->store = NULL;
    return store_open(x->a, &c, &x->store);
}

static bool is_locked(err e)
{
    return e && e->code && strcmp(e->code, "DataLocked") == 0;
}

static err ask(struct asking *x, str *ret_result)
{
    for (;;) {
        bool silent = false;
        err e = open_store(x, true);

        if (!is_locked(e))
            return e ?: work(x, ret_result);
        TRY(open_store(x, false));
        if (x->id == 0)
            TRY(task_ask(x->store, x->a, x->kind, x->options, &x->id));
        x->said_ms = clock_mono_ms();
        TRY(wait_for_it(x, ret_result, &silent));
        if (!silent)
            return OK;
    }
}

err admin_ask(struct arena *a, const char *data, str kind, str options, str *ret_result)
{
    struct asking x = {.a = a, .data = data, .kind = kind, .options = options};
    err e;

    if (access(arena_printf(a, "%s/hearth.db", data).ptr, F_OK))
        return err_new(a, 404, NULL, "%s holds no hub; name its folder with --data DIR.", data);
    e = ask(&x, ret_result);
    store_close(x.store);
    return e;
}

int admin_ask_failed(err e)
{
    fprintf(stderr, "hearth: %.*s%s%.*s\n", STR_FMT(e->text), e->detail.len ? " — " : "",
            STR_FMT(e->detail));
    return e->status == 400 ? 2 : 1;
}
