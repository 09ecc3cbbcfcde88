/* parts.c — what taking in a large file must cost: SHA-256, chunk scan, BLAKE3, write and fdatasync
 * of the same bytes, each alone, with the functions that the server uses.
 *
 * parts IN OUT: reads IN, writes OUT, prints CPU and wall seconds of each part as one line of JSON.
 */
#include "base/hash.h"
#include "cas/chunker.h"
#include "cas/hash.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE (64u << 20) /* as much as a xorb holds */
#define STEP (128u << 10) /* as much as the server takes at once */

struct watch {
    double cpu, wall;
};

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void watch_begin(struct watch *w)
{
    w->cpu -= seconds(CLOCK_PROCESS_CPUTIME_ID);
    w->wall -= seconds(CLOCK_MONOTONIC);
}

static void watch_end(struct watch *w)
{
    w->cpu += seconds(CLOCK_PROCESS_CPUTIME_ID);
    w->wall += seconds(CLOCK_MONOTONIC);
}

static void fail(const char *what)
{
    fprintf(stderr, "parts: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t read_piece(int fd, char *p)
{
    size_t done = 0;
    ssize_t n = 1;

    while (done < PIECE && (n = read(fd, p + done, PIECE - done)) > 0)
        done += (size_t)n;
    if (n < 0)
        fail("read");
    return done;
}

/* Ends of the chunks within the piece; every piece begins a new chunk. */
static size_t scan(const char *p, size_t len, uint32_t *ends)
{
    struct chunker c = {0};
    size_t at = 0, count = 0;
    bool cut;

    while (at < len) {
        size_t want = len - at < STEP ? len - at : STEP;

        at += chunker_next(&c, p + at, want, &cut);
        if (cut || at == len)
            ends[count++] = (uint32_t)at;
    }
    return count;
}

static unsigned hash_chunks(const char *p, const uint32_t *ends, size_t count)
{
    unsigned seen = 0;

    for (size_t i = 0, from = 0; i < count; from = ends[i++])
        seen ^= chunk_hash_of(p + from, ends[i] - from).b[0];
    return seen;
}

static void add_steps(struct hasher *h, const char *p, size_t len)
{
    for (size_t at = 0; at < len; at += STEP)
        hasher_add(h, p + at, len - at < STEP ? len - at : STEP);
}

static void write_steps(int fd, const char *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, p + at, len - at < STEP ? len - at : STEP);

        if (n < 0)
            fail("write");
        at += (size_t)n;
    }
}

static void print_part(const char *name, struct watch w, const char *end)
{
    printf("\"%s\": {\"cpu\": %.6f, \"wall\": %.6f}%s", name, w.cpu, w.wall, end);
}

int main(int argc, char **argv)
{
    struct watch sha = {0}, cut = {0}, blake = {0}, put = {0}, sync = {0};
    struct hasher *h = sha256_new();
    uint32_t *ends = calloc(PIECE / CHUNK_MIN + 1, sizeof *ends);
    char *p = malloc(PIECE);
    unsigned seen = 0;
    size_t n, count;
    int in, out;

    if (argc != 3 || !p || !ends)
        return 2;
    in = open(argv[1], O_RDONLY | O_CLOEXEC);
    out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0)
        fail("open");
    while ((n = read_piece(in, p)) > 0) {
        watch_begin(&sha), add_steps(h, p, n), watch_end(&sha);
        watch_begin(&cut), count = scan(p, n, ends), watch_end(&cut);
        watch_begin(&blake), seen ^= hash_chunks(p, ends, count), watch_end(&blake);
        watch_begin(&put), write_steps(out, p, n), watch_end(&put);
        watch_begin(&sync);
        if (fdatasync(out) < 0)
            fail("fdatasync");
        watch_end(&sync);
    }
    seen ^= sha256_end(h).b[0];
    printf("{");
    print_part("sha256", sha, ", ");
    print_part("scan", cut, ", ");
    print_part("blake3", blake, ", ");
    print_part("write", put, ", ");
    print_part("fdatasync", sync, ", ");
    printf("\"seen\": %u}\n", seen); /* so that no part is optimised away */
    close(in);
    close(out);
    free(ends);
    free(p);
    return 0;
}
