/* jobs.h — one thread that runs the jobs of jobs.def, one after another. */
#pragma once
#include "store/store.h"

struct jobs;
MUST err jobs_start(struct store *s, struct arena *a, struct jobs **ret);
void jobs_stop(struct jobs *j); /* lets the running job end; accepts NULL */
