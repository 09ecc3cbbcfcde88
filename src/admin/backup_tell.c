/* backup_tell.c — see backup_tell.h. */
#include "admin/backup_tell.h"
#include "base/clock.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define SHOW_MS 200
#define JSON_DAMAGE_MAX 1000 /* entries; all are counted */
#define JSON_FILES_MAX 1000  /* per entry */

static atomic_bool stopped; /* set by a signal */

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopped, true);
}

str tell_bytes(struct arena *a, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    double n = (double)bytes;
    int unit = 0;

    while (n >= 1000 && unit < 5) {
        n /= 1000;
        unit++;
    }
    return arena_printf(a, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static void clear_line(struct tell *t)
{
    if (t->line_open)
        fprintf(stderr, "\r\033[K");
    t->line_open = false;
}

static void show(struct tell *t, const struct backup_progress *p)
{
    struct arena *a = arena_new(0);

    clear_line(t);
    fprintf(stderr, "%s", p->what);
    if (p->blobs_total)
        fprintf(stderr, ": %llu of %llu, %.*s of %.*s", (unsigned long long)p->blobs,
                (unsigned long long)p->blobs_total, STR_FMT(tell_bytes(a, p->bytes)),
                STR_FMT(tell_bytes(a, p->bytes_total)));
    fflush(stderr);
    t->line_open = true;
    arena_free(a);
}

static bool step(void *arg, const struct backup_progress *p)
{
    struct tell *t = arg;
    int64_t now = clock_mono_ms();

    if (t->terminal && now - t->shown_at_ms >= SHOW_MS) {
        t->shown_at_ms = now;
        show(t, p);
    }
    return !atomic_load(&stopped);
}

static void end_entry(struct tell *t)
{
    if (t->collected == 0 || t->collected > JSON_DAMAGE_MAX)
        return;
    json_arr_end(t->damage);
    json_obj_end(t->damage);
}

static void damage(void *arg, str what, str why)
{
    struct tell *t = arg;

    if (!t->json) {
        clear_line(t);
        fprintf(stderr, "damaged: %.*s: %.*s\n", STR_FMT(what), STR_FMT(why));
        return;
    }
    end_entry(t);
    t->files = 0;
    if (++t->collected > JSON_DAMAGE_MAX)
        return;
    json_obj(t->damage);
    json_kv_str(t->damage, "what", what);
    json_kv_str(t->damage, "why", why);
    json_key(t->damage, "files");
    json_arr(t->damage);
}

static void touches(void *arg, str file)
{
    struct tell *t = arg;

    if (!t->json)
        fprintf(stderr, "  touches %.*s\n", STR_FMT(file));
    else if (t->collected <= JSON_DAMAGE_MAX && t->files++ < JSON_FILES_MAX)
        json_put_str(t->damage, file);
}

void tell_begin(struct tell *t, struct arena *a, bool json)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    *t = (struct tell){
        .watch = {.step = step, .damage = damage, .touches = touches, .arg = t},
        .json = json,
        .terminal = !json && isatty(STDERR_FILENO),
        .damage = json_out_new(a),
    };
    json_arr(t->damage);
    sigaction(SIGINT, &sa, NULL); /* a second one ends the program at once */
    sigaction(SIGTERM, &sa, NULL);
}

void tell_end(struct tell *t)
{
    clear_line(t);
    end_entry(t);
    t->collected = 0;
    json_arr_end(t->damage);
}

int tell_error(err e)
{
    fprintf(stderr, "hearth: %.*s%s%.*s\n", STR_FMT(e->text), e->detail.len ? " — " : "",
            STR_FMT(e->detail));
    return 1;
}
