/* task.h — work that belongs to the running server, asked for by a command.
 *
 * A command writes a row; the server's task job takes it, beats while it works and writes the
 * result; the command watches the row.  Without a server (DATA/lock is free) the command takes the
 * lock and runs the work itself.  One task runs at a time.
 */
#pragma once
#include "store/store.h"

struct task {
    int64_t id; /* 0: none */
    str kind, options, state, progress, result;
    int64_t asked_at_ms, beat_at_ms;
};
MUST err task_ask(struct store *s, struct arena *a, str kind, str options, int64_t *ret_id);
MUST err task_find(struct db *db, struct arena *a, int64_t id, struct task *ret);
/* The oldest one that waits, now running; also one whose runner died.  ret->id 0: none. */
MUST err task_take(struct store *s, struct arena *a, struct task *ret);
MUST err task_progress(struct store *s, int64_t id, str line); /* also the heartbeat */
MUST err task_end(struct store *s, int64_t id, bool ok, str result);
