/* load.c — the client of every measurement: one thread, many keep-alive connections.
 *
 * Each connection sends its request (a file with the raw bytes of one), takes the whole answer and
 * begins again.  Bodies are thrown away inside the kernel, so that both servers are measured with
 * a client that costs next to nothing.  In a request these marks are replaced, at their length:
 *   @@COUNT@         eight hex digits that no other request of this run has
 *   @@CONN@@         the number of the connection, eight decimal digits
 *   @@@@FIRST@@@@@@  @@@@LAST@@@@@@@    a random range of -R SIZE:FILESIZE, 15 digits each
 *
 * The result is one line of JSON on standard output.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define TICK_US 250000
#define HOLD_BURST 32
#define SLOTS 50 /* of a tick: slow readers are spread over them */

enum phase {
    SEND,
    HEAD,
    BODY,
    CHUNK_SIZE,
    CHUNK_DATA,
    TRAILER,
    PAUSE, /* due_us says until when */
    DONE,
};

struct text {
    char *p;
    size_t len;
};

struct conn {
    int fd;
    enum phase phase;
    unsigned number;
    char *request;
    size_t len, sent;
    off_t body_sent;
    char head[HEAD_MAX];
    size_t head_len;
    uint64_t left; /* of the body or the chunk */
    unsigned line; /* characters of the trailer line */
    int64_t started_us, due_us;
};

static struct {
    unsigned port, conns, pause_ms;
    uint64_t answers_max, rate, range_size, file_size, body_len;
    double seconds;
    bool hold, until_eof, no_body; /* no_body: HEAD */
    int body_fd;
    struct text *requests;
    unsigned request_count;
} opt = {.conns = 1, .body_fd = -1};

static struct {
    uint64_t answers, errors, bytes, reconnects, latency_count, latency_room;
    uint32_t *latency_us;
    int first_bad;
    int64_t end_us;
} sum;

static struct conn *conns;
static int epoll_fd;
static uint32_t counter;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- one request --- */

static void replace(struct conn *c, const char *mark, const char *value)
{
    size_t len = strlen(mark);
    char *at = c->request;

    while ((at = memmem(at, c->len - (size_t)(at - c->request), mark, len)))
        memcpy(at, value, len);
}

static void begin(struct conn *c)
{
    const struct text *t = &opt.requests[c->number % opt.request_count];
    char text[32];

    c->len = t->len;
    memcpy(c->request, t->p, t->len);
    snprintf(text, sizeof text, "%08" PRIx32, ++counter);
    replace(c, "@@COUNT@", text);
    snprintf(text, sizeof text, "%08u", c->number);
    replace(c, "@@CONN@@", text);
    if (opt.range_size) {
        uint64_t first =
            ((uint64_t)random() << 20 ^ (uint64_t)random()) % (opt.file_size - opt.range_size + 1);

        snprintf(text, sizeof text, "%015" PRIu64, first);
        replace(c, "@@@@FIRST@@@@@@", text);
        snprintf(text, sizeof text, "%015" PRIu64, first + opt.range_size - 1);
        replace(c, "@@@@LAST@@@@@@@", text);
    }
    c->sent = c->head_len = 0;
    c->body_sent = 0;
    c->phase = SEND;
    c->started_us = now_us();
}

static void dial(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = c->number};
    int small = 4096;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    if (opt.rate)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
}

static void redial(struct conn *c)
{
    close(c->fd);
    sum.reconnects++;
    if (sum.reconnects > opt.conns * 100ull + 1000) {
        errno = ECONNRESET;
        die("the server keeps closing");
    }
    dial(c);
    begin(c);
}

static void watch(struct conn *c, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u32 = c->number};

    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

/* False: the connection broke. */
static bool send_more(struct conn *c)
{
    bool waited = c->sent > 0;

    while (c->sent < c->len) {
        ssize_t n = send(c->fd, c->request + c->sent, c->len - c->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (n < 0)
            return false;
        c->sent += (size_t)n;
    }
    while ((uint64_t)c->body_sent < opt.body_len) {
        ssize_t n =
            sendfile(c->fd, opt.body_fd, &c->body_sent, opt.body_len - (uint64_t)c->body_sent);

        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (n <= 0)
            return false;
    }
    if (waited)
        watch(c, EPOLLIN);
    c->phase = opt.hold && opt.body_len ? DONE : HEAD;
    return true;
}

/* --- one answer --- */

static void finish(struct conn *c)
{
    int64_t us = now_us() - c->started_us;

    if (sum.latency_count == sum.latency_room) {
        sum.latency_room = sum.latency_room ? sum.latency_room * 2 : 65536;
        sum.latency_us = realloc(sum.latency_us, sum.latency_room * sizeof *sum.latency_us);
        if (!sum.latency_us)
            die("memory");
    }
    sum.latency_us[sum.latency_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    sum.answers++;
    c->due_us = now_us() + (int64_t)opt.pause_ms * 1000;
    c->phase = opt.hold ? DONE : PAUSE;
}

static void check_status(int status)
{
    if (status >= 200 && status < 300)
        return;
    sum.errors++;
    if (!sum.first_bad)
        sum.first_bad = status;
}

/* The head is whole and ends at `end`. */
static void read_head(struct conn *c, const char *end)
{
    const char *length;

    c->head[end - c->head] = 0;
    check_status((int)strtol(c->head + 9, NULL, 10));
    c->head_len = (size_t)(end - c->head);
    length = strcasestr(c->head, "\r\ncontent-length:");
    c->left = length ? strtoull(length + 17, NULL, 10) : 0;
    if (opt.no_body) {
        finish(c);
    } else if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) {
        c->phase = CHUNK_SIZE;
        c->left = 0;
    } else if (c->left == 0) {
        finish(c);
    } else {
        c->phase = BODY;
    }
}

/* Chunked coding, without any check: the servers are not on trial for that here. */
static void feed_chunked(struct conn *c, const char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        if (c->phase == CHUNK_DATA) {
            size_t n = c->left < len - i ? (size_t)c->left : len - i;

            i += n;
            c->left -= n;
            if (c->left == 0) {
                c->phase = CHUNK_SIZE;
                c->line = 0;
            }
            continue;
        }
        char ch = p[i++];

        if (c->phase == CHUNK_SIZE && ch == '\n' && c->line > 0) {
            c->phase = c->left ? CHUNK_DATA : TRAILER;
            c->line = 0;
        } else if (c->phase == CHUNK_SIZE && ch > ' ') {
            c->left = c->left * 16 + (uint64_t)(ch <= '9' ? ch - '0' : (ch | 32) - 'a' + 10);
            c->line++;
        } else if (c->phase == TRAILER && ch == '\n') {
            if (c->line == 0) {
                finish(c);
                return;
            }
            c->line = 0;
        } else if (c->phase == TRAILER && ch != '\r') {
            c->line++;
        }
    }
}

/* Bytes that came behind the head, in c->head. */
static void feed_rest(struct conn *c, const char *p, size_t len)
{
    if (c->phase == BODY) {
        c->left -= len < c->left ? len : c->left;
        if (c->left == 0)
            finish(c);
    } else if (c->phase == CHUNK_SIZE) {
        c->line = 0;
        feed_chunked(c, p, len);
    }
}

static ssize_t receive(struct conn *c, char *buffer, size_t room)
{
    if (c->phase == HEAD)
        return recv(c->fd, c->head + c->head_len, HEAD_MAX - 1 - c->head_len, 0);
    if (c->phase == BODY) /* TCP throws away what MSG_TRUNC takes */
        return recv(c->fd, NULL, c->left < 1u << 20 ? (size_t)c->left : 1u << 20, MSG_TRUNC);
    return recv(c->fd, buffer, room, 0);
}

/* False: the connection broke. */
static bool take_more(struct conn *c)
{
    static char buffer[65536];

    while (c->phase != PAUSE && c->phase != DONE && c->phase != SEND) {
        ssize_t n = receive(c, buffer, sizeof buffer);

        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        sum.bytes += (uint64_t)n;
        if (c->phase == HEAD) {
            c->head_len += (size_t)n;
            char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
            size_t all = c->head_len;

            if (!end && c->head_len == HEAD_MAX - 1)
                return false;
            if (end) {
                read_head(c, end);
                feed_rest(c, end + 4, all - (size_t)(end + 4 - c->head));
            }
        } else if (c->phase == BODY) {
            feed_rest(c, NULL, (size_t)n);
        } else {
            feed_chunked(c, buffer, (size_t)n);
        }
    }
    return true;
}

/* --- the loops --- */

static bool stdin_ended(void)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    char byte;

    return poll(&p, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

static bool enough(void)
{
    return (opt.answers_max && sum.answers >= opt.answers_max) ||
           (sum.end_us && now_us() >= sum.end_us) || (opt.until_eof && stdin_ended());
}

/* Sends the next request of every connection whose pause is over; returns the next due time. */
static int64_t begin_due(void)
{
    int64_t now = now_us(), next = now + TICK_US;

    for (unsigned i = 0; i < opt.conns; i++) {
        struct conn *c = &conns[i];

        if (c->phase != PAUSE)
            continue;
        if (c->due_us <= now) {
            begin(c);
            if (!send_more(c))
                redial(c);
        } else if (c->due_us < next) {
            next = c->due_us;
        }
    }
    return next;
}

static void step(struct conn *c, uint32_t events)
{
    bool good = true;

    if (c->phase == PAUSE || c->phase == DONE) { /* nothing is due: the server hung up */
        if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLIN) && c->phase == DONE)
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        else if (c->phase == PAUSE)
            redial(c);
        return;
    }
    if (c->phase == SEND)
        good = send_more(c);
    if (good && c->phase != SEND)
        good = take_more(c);
    if (!good) {
        sum.errors += c->head_len > 0 || c->phase > HEAD;
        redial(c);
        return;
    }
    if (c->phase == PAUSE && opt.pause_ms == 0 && !enough()) {
        begin(c);
        if (!send_more(c))
            redial(c);
    }
}

static unsigned unfinished(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < opt.conns; i++)
        n += conns[i].phase != DONE;
    return n;
}

/* Begins connections from *begun on; those that will be held come a few at a time, so that the
 * server is not left with what a burst of requests cost it. */
static void begin_more(unsigned *begun)
{
    while (*begun < opt.conns && (!opt.hold || unfinished() < opt.conns - *begun + HOLD_BURST)) {
        struct conn *c = &conns[(*begun)++];

        begin(c);
        if (!send_more(c))
            redial(c);
    }
}

static void run_loop(void)
{
    struct epoll_event events[256];
    unsigned begun = 0;

    begin_more(&begun);
    while (!enough() && !(opt.hold && unfinished() == 0)) {
        int64_t wait = opt.pause_ms ? begin_due() - now_us() : TICK_US;
        int n = epoll_wait(epoll_fd, events, 256, wait < 0 ? 0 : (int)((wait + 999) / 1000));

        for (int i = 0; i < n; i++)
            step(&conns[events[i].data.u32], events[i].events);
        begin_more(&begun);
    }
}

/* Everybody has what is due; stay until standard input ends. */
static void hold(void)
{
    char byte;

    printf("ready\n");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
}

/* Takes what a slow reader may have now. */
static void sip(struct conn *c, char *buffer, size_t piece)
{
    ssize_t n = c->phase == DONE ? 0 : recv(c->fd, buffer, piece, 0);

    if (n == 0 && c->phase != DONE) { /* the server is through, or gave up */
        c->phase = DONE;
        sum.answers++;
    }
    if (n > 0 && c->phase == HEAD && n > 12) {
        check_status((int)strtol(buffer + 9, NULL, 10));
        c->phase = BODY;
    }
    sum.bytes += n > 0 ? (uint64_t)n : 0;
}

/* Slow readers: each takes a quarter of the rate, four times a second; they are spread over time.
 */
static void run_slow(void)
{
    static char buffer[1 << 20];
    size_t piece = (size_t)(opt.rate / 4 > sizeof buffer ? sizeof buffer : opt.rate / 4);
    int64_t due = now_us();

    for (unsigned i = 0; i < opt.conns; i++) {
        begin(&conns[i]);
        while (conns[i].phase == SEND && send_more(&conns[i]))
            ;
    }
    for (unsigned slot = 0; !enough(); slot++) {
        for (unsigned i = slot % SLOTS; i < opt.conns; i += SLOTS)
            sip(&conns[i], buffer, piece);
        if (slot == SLOTS) {
            printf("ready\n");
            fflush(stdout);
        }
        due += TICK_US / SLOTS;
        if (due > now_us())
            usleep((useconds_t)(due - now_us()));
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t quantile(double q)
{
    return sum.latency_count ? sum.latency_us[(uint64_t)((double)(sum.latency_count - 1) * q)] : 0;
}

static void print_sum(int64_t wall_us)
{
    qsort(sum.latency_us, sum.latency_count, sizeof *sum.latency_us, by_value);
    printf("{\"answers\": %" PRIu64 ", \"errors\": %" PRIu64
           ", \"first_bad\": %d, \"bytes\": %" PRIu64 ", \"reconnects\": %" PRIu64
           ", \"wall\": %.6f, \"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
           sum.answers, sum.errors, sum.first_bad, sum.bytes, sum.reconnects, (double)wall_us / 1e6,
           quantile(0.5), quantile(0.9), quantile(0.99), quantile(1));
}

static struct text read_request(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct text t;

    if (fd < 0 || fstat(fd, &st) < 0)
        die(path);
    t.len = (size_t)st.st_size;
    t.p = malloc(t.len + 1);
    if (!t.p || read(fd, t.p, t.len) != (ssize_t)t.len)
        die(path);
    close(fd);
    return t;
}

static void usage(void)
{
    fprintf(stderr,
            "load [OPTION...] PORT REQUEST-FILE...\n"
            "  -c N           connections; connection I sends file I modulo the number of files\n"
            "  -n N, -t SEC   stop after so many answers, seconds; -e: when standard input ends\n"
            "  -p MS          pause of a connection between two requests\n"
            "  -H             answers have no body (HEAD)\n"
            "  -R SIZE:FILE   random ranges of SIZE in a file of FILE bytes\n"
            "  -b FILE[:N]    send (N bytes of) FILE behind each request\n"
            "  -h             one request each, then say \"ready\" and hold the connections\n"
            "  -s RATE        slow readers: bytes per second of each connection\n");
    exit(2);
}

static void open_body(char *arg)
{
    char *colon = strrchr(arg, ':');
    struct stat st;

    if (colon)
        *colon++ = 0;
    opt.body_fd = open(arg, O_RDONLY | O_CLOEXEC);
    if (opt.body_fd < 0 || fstat(opt.body_fd, &st) < 0)
        die(arg);
    opt.body_len = colon ? strtoull(colon, NULL, 10) : (uint64_t)st.st_size;
}

static void read_options(int argc, char **argv)
{
    int o;

    while ((o = getopt(argc, argv, "c:n:t:ep:HR:b:hs:")) != -1)
        switch (o) {
        case 'c':
            opt.conns = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            opt.answers_max = strtoull(optarg, NULL, 10);
            break;
        case 't':
            opt.seconds = strtod(optarg, NULL);
            break;
        case 'e':
            opt.until_eof = true;
            break;
        case 'p':
            opt.pause_ms = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'H':
            opt.no_body = true;
            break;
        case 'R':
            if (sscanf(optarg, "%" SCNu64 ":%" SCNu64, &opt.range_size, &opt.file_size) != 2 ||
                opt.range_size > opt.file_size)
                usage();
            break;
        case 'b':
            open_body(optarg);
            break;
        case 'h':
            opt.hold = true;
            break;
        case 's':
            opt.rate = strtoull(optarg, NULL, 10);
            break;
        default:
            usage();
        }
    if (argc - optind < 2 || opt.conns == 0)
        usage();
    opt.port = (unsigned)strtoul(argv[optind], NULL, 10);
    opt.request_count = (unsigned)(argc - optind - 1);
    opt.requests = calloc(opt.request_count, sizeof *opt.requests);
    for (unsigned i = 0; opt.requests && i < opt.request_count; i++)
        opt.requests[i] = read_request(argv[optind + 1 + (int)i]);
}

int main(int argc, char **argv)
{
    int64_t from;

    read_options(argc, argv);
    srandom(1);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc(opt.conns, sizeof *conns);
    if (!conns || !opt.requests)
        die("memory");
    for (unsigned i = 0; i < opt.conns; i++) {
        conns[i].number = i;
        conns[i].request = malloc(opt.requests[i % opt.request_count].len + 1);
        if (!conns[i].request)
            die("memory");
        dial(&conns[i]);
    }
    from = now_us();
    if (opt.seconds > 0)
        sum.end_us = from + (int64_t)(opt.seconds * 1e6);
    if (opt.rate) {
        run_slow();
    } else {
        run_loop();
        if (opt.hold)
            hold();
    }
    print_sum(now_us() - from);
    return 0;
}
