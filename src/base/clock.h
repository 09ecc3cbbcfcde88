/* clock.h — time.  Wall time is int64_t Unix milliseconds; monotonic time is for deadlines. */
#pragma once
#include "base/arena.h"

int64_t clock_ms(void);      /* wall clock */
int64_t clock_mono_ms(void); /* monotonic */
int64_t clock_mono_us(void);

str clock_iso(struct arena *a, int64_t ms);    /* 2026-11-23T16:20:23.000Z */
str clock_http(struct arena *a, int64_t ms);   /* Mon, 23 Nov 2026 16:20:23 GMT */
str clock_iso_write(char dst[40], int64_t ms); /* the same as clock_iso, without an arena */
bool clock_parse_iso(str s, int64_t *ret_ms);  /* accepts any fraction, Z or +hh:mm */
int64_t clock_day(int64_t ms);                 /* days since 1970-01-01, UTC */
