/* jobs.h — runs the jobs of jobs.def: the quick ones on one thread, one after another; each slow
 * one, which may take minutes and asks now and then whether to go on, on a thread of its own. */
#pragma once
#include "store/store.h"

struct jobs;
MUST err jobs_start(struct store *s, struct arena *a, struct jobs **ret);
void jobs_stop(struct jobs *j); /* lets quick jobs end, tells slow ones to stop; accepts NULL */
