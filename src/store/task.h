/* task.h — work that belongs to the running server, asked for by a command.
 *
 * A command writes a row; the server's task job takes it, beats while it works and writes the
 * result; the command watches the row.  Without a server (DATA/lock is free) the command takes the
 * lock and runs the work itself.  One task runs at a time.
 *
 *   asked ──task_take──▶ running ──task_end──▶ done | failed
 *               ▲            │
 *               └─ no beat ──┘      its runner died
 */
#pragma once
#include "store/gc.h"

#define TASK_BEAT_MS 5000  /* a runner beats at least this often */
#define TASK_DEAD_MS 60000 /* then another may take it over */

struct task {
    int64_t id; /* 0: none */
    str kind, options, state, progress, result;
    int64_t asked_at_ms, beat_at_ms;
};
MUST err task_ask(struct store *s, struct arena *a, str kind, str options, int64_t *ret_id);
MUST err task_find(struct db *db, struct arena *a, int64_t id, struct task *ret);
/* Whoever has DATA/lock says so at its start: what is called running has lost its runner. */
MUST err task_reset(struct store *s);
/* The oldest one that waits, now running; also one whose runner died.  ret->id 0: none. */
MUST err task_take(struct store *s, struct arena *a, struct task *ret);
MUST err task_progress(struct store *s, int64_t id, str line); /* also the heartbeat */
MUST err task_end(struct store *s, int64_t id, bool ok, str result);

/* --- what kinds there are (task_run.c) --- */

/* Does the work of "gc" or "scrub": options and result are JSON objects.  400 for others. */
MUST err task_run(struct store *s, struct arena *a, str kind, str options, const struct gc_watch *w,
                  str *ret_result);
/* Takes the next task, if there is one, and brings it to its end.  `stop` is looked at now and
 * then; a task that was cut off by it is taken again later. */
MUST err task_run_next(struct store *s, struct arena *a, bool (*stop)(void *arg), void *arg,
                       bool *ret_any);

/* A line for people: "xorbs removed: 12". */
str task_line(struct arena *a, const char *what, uint64_t done);

str gc_options_json(struct arena *a, const struct gc_options *o);
str gc_result_json(struct arena *a, const struct gc_result *r);
