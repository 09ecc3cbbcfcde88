/* cgi.c — stands before a CGI program and adds up what it and its children cost.
 *
 * fcgiwrap ignores its children, so their CPU time would be lost.  HEARTH_BENCH_CGI names the
 * program, HEARTH_BENCH_CPU a file of 8 bytes: microseconds, added to by every request.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t micros(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

int main(void)
{
    const char *program = getenv("HEARTH_BENCH_CGI"), *path = getenv("HEARTH_BENCH_CPU");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1, status = 1;
    _Atomic uint64_t *sum =
        fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct rusage used;
    pid_t child;

    if (!program || sum == MAP_FAILED)
        return 1;
    signal(SIGCHLD, SIG_DFL);
    child = fork();
    if (child == 0) {
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) < 0)
        return 1;
    atomic_fetch_add(sum, micros(used.ru_utime) + micros(used.ru_stime));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
