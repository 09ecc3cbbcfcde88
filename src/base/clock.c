/* clock.c — see clock.h. */
#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#define DAY_MS ((int64_t)86400 * 1000)

static int64_t now_us(clockid_t which)
{
    struct timespec ts;

    clock_gettime(which, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

static int64_t floor_div(int64_t v, int64_t by)
{
    return v / by - (v % by < 0);
}

int64_t clock_day(int64_t ms)
{
    return floor_div(ms, DAY_MS);
}

/* Splits a time into calendar fields and the milliseconds of its second. */
static struct tm split(int64_t ms, int *ret_ms)
{
    time_t seconds = (time_t)floor_div(ms, 1000);
    struct tm tm = {0};

    *ret_ms = (int)(ms - (int64_t)seconds * 1000);
    gmtime_r(&seconds, &tm);
    return tm;
}

str clock_iso_write(char dst[40], int64_t ms)
{
    int part;
    struct tm t = split(ms, &part);
    int n = snprintf(dst, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1,
                     t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, part);

    assert(n > 0 && n < 40);
    return (str){dst, (size_t)n};
}

str clock_iso(struct arena *a, int64_t ms)
{
    char text[40];

    return arena_str(a, clock_iso_write(text, ms));
}

str clock_http(struct arena *a, int64_t ms)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int part;
    struct tm t = split(ms, &part);

    return arena_printf(a, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
                        months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* Reads exactly `digits` digits off the front of *s, a value of at most `max`. */
static bool take_number(str *s, size_t digits, int max, int *ret)
{
    uint64_t v;

    if (s->len < digits || !str_u64(str_first(*s, digits), &v) || v > (uint64_t)max)
        return false;
    *s = str_from(*s, digits);
    *ret = (int)v;
    return true;
}

static bool take_date(str *s, struct tm *t)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap;

    if (!take_number(s, 4, 9999, &t->tm_year) || !str_skip(s, STR("-")) ||
        !take_number(s, 2, 12, &t->tm_mon) || !str_skip(s, STR("-")) ||
        !take_number(s, 2, 31, &t->tm_mday) || t->tm_mon == 0 || t->tm_mday == 0)
        return false;
    leap = t->tm_year % 4 == 0 && (t->tm_year % 100 != 0 || t->tm_year % 400 == 0);
    t->tm_mon -= 1;
    if (t->tm_mday > days[t->tm_mon] + (leap && t->tm_mon == 1))
        return false;
    t->tm_year -= 1900;
    return true;
}

static bool take_time(str *s, struct tm *t)
{
    return take_number(s, 2, 23, &t->tm_hour) && str_skip(s, STR(":")) &&
           take_number(s, 2, 59, &t->tm_min) && str_skip(s, STR(":")) &&
           take_number(s, 2, 60, &t->tm_sec);
}

/* ".123456" -> 123; no fraction is 0.  Digits after the third are dropped. */
static bool take_fraction(str *s, int64_t *ret_ms)
{
    int64_t ms = 0, weight = 100;
    size_t n = 0;

    *ret_ms = 0;
    if (!str_skip(s, STR(".")))
        return true;
    for (; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++, weight /= 10)
        ms += (s->ptr[n] - '0') * weight;
    *s = str_from(*s, n);
    *ret_ms = ms;
    return n > 0;
}

static bool take_zone(str *s, int64_t *ret_ms)
{
    int hours, minutes, sign;

    *ret_ms = 0;
    if (str_iskip(s, STR("Z")))
        return true;
    if (s->len == 0 || (s->ptr[0] != '+' && s->ptr[0] != '-'))
        return false;
    sign = s->ptr[0] == '-' ? -1 : 1;
    *s = str_from(*s, 1);
    if (!take_number(s, 2, 23, &hours))
        return false;
    str_skip(s, STR(":"));
    if (!take_number(s, 2, 59, &minutes))
        return false;
    *ret_ms = (int64_t)sign * (hours * 60 + minutes) * 60000;
    return true;
}

bool clock_parse_iso(str s, int64_t *ret_ms)
{
    struct tm t = {0};
    int64_t part, zone;

    if (!take_date(&s, &t) || !(str_iskip(&s, STR("T")) || str_skip(&s, STR(" "))) ||
        !take_time(&s, &t) || !take_fraction(&s, &part) || !take_zone(&s, &zone) || s.len > 0)
        return false;
    *ret_ms = (int64_t)timegm(&t) * 1000 + part - zone;
    return true;
}
