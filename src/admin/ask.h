/* ask.h — work that belongs to the process which holds DATA/lock (store/task.h).
 *
 * Beside a running hub the command asks it and waits; otherwise it takes the lock and does the work
 * itself.  Lines of progress go to stderr.
 */
#pragma once
#include "store/task.h"

/* *ret_result is a JSON object.  Fails when the work did. */
MUST err admin_ask(struct arena *a, const char *data, str kind, str options, str *ret_result);
/* The usual end of a command: its exit code, and the error on stderr. */
int admin_ask_failed(err e);
