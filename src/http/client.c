/* client.c — see client.h.  One libcurl handle per thread, so that connections are kept. */
#include "http/client.h"
#include "base/buf.h"
#include "http/head.h"
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 10000
#define REDIRECTS_MAX 5

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* CURL * of this thread */

static void free_handle(void *p)
{
    curl_easy_cleanup(p);
}

static void start(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || pthread_key_create(&key, free_handle) != 0)
        abort();
}

/* This thread's handle with its options forgotten; live connections stay in it. */
static CURL *handle(void)
{
    CURL *h;

    pthread_once(&once, start);
    h = pthread_getspecific(key);
    if (h) {
        curl_easy_reset(h);
        return h;
    }
    h = curl_easy_init();
    if (!h || pthread_setspecific(key, h) != 0)
        abort();
    return h;
}

struct sink {
    struct buf buf;
    size_t max;
    bool too_large;
};

/* The type of CURLOPT_WRITEFUNCTION. NOLINTNEXTLINE(readability-non-const-parameter) */
static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct sink *s = arg;
    size_t len = size * count;

    if (len > s->max - s->buf.len) {
        s->too_large = true;
        return 0;
    }
    buf_add(&s->buf, (str){p, len});
    return len;
}

static void free_list(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}
static void free_sink(struct sink *s)
{
    buf_free(&s->buf);
}

static bool is_line(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!http_is_value_byte((unsigned char)s.ptr[i]))
            return false;
    return true;
}

static err add_headers(struct arena *a, const struct http_call *c, struct curl_slist **list)
{
    for (size_t i = 0; i < c->header_count; i++) {
        str name = c->headers[i].name, value = c->headers[i].value;
        struct curl_slist *more;

        if (!http_is_token(name) || !is_line(value))
            return err_internal(a, "header %.*s cannot be sent", STR_FMT(name));
        /* "Name;" is libcurl's spelling of a header without a value. */
        more =
            curl_slist_append(*list, str_z(a, value.len > 0 ? arena_cat(a, name, STR(": "), value)
                                                            : arena_cat(a, name, STR(";"))));
        if (!more)
            abort();
        *list = more;
    }
    /* Never wait for 100 Continue. */
    *list = curl_slist_append(*list, "Expect:");
    return OK;
}

static void set_options(CURL *h, struct arena *a, const struct http_call *c)
{
    long timeout = c->timeout_ms > 0 ? (long)c->timeout_ms : TIMEOUT_MS;

    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_URL, str_z(a, c->url));
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, c->follow_redirects ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout < CONNECT_TIMEOUT_MS ? timeout : (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "hearth");
    if (strcmp(c->method, "HEAD") == 0)
        curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    else if (strcmp(c->method, "GET") != 0 || c->body.len > 0) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.len);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, c->body.len > 0 ? c->body.ptr : "");
    }
    if (strcmp(c->method, "HEAD") != 0 && strcmp(c->method, "POST") != 0)
        curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, c->method);
}

static void read_answer(CURL *h, struct arena *a, const struct sink *sink, struct http_answer *ret)
{
    const char *type = NULL;
    long status = 0;

    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
    *ret = (struct http_answer){
        .status = (int)status,
        .body = arena_str(a, buf_str(&sink->buf)),
        .content_type = arena_str(a, str_c(type)),
    };
}

err http_call(struct arena *a, const struct http_call *c, struct http_answer *ret)
{
    __attribute__((cleanup(free_list))) struct curl_slist *list = NULL;
    __attribute__((cleanup(free_sink))) struct sink sink = {BUF(c->response_max + 1),
                                                            c->response_max, false};
    CURL *h = handle();
    CURLcode code;

    if (!is_line(c->url))
        return err_new(a, 502, "BadGateway", "The address to call is malformed.");
    TRY(add_headers(a, c, &list));
    set_options(h, a, c);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &sink);
    code = curl_easy_perform(h);
    if (sink.too_large)
        return err_new(a, 502, "BadGateway", "The answer of %.*s is larger than %zu bytes.",
                       STR_FMT(c->url), c->response_max);
    if (code != CURLE_OK)
        return err_new(a, 502, "BadGateway", "Cannot reach %.*s: %s.", STR_FMT(c->url),
                       curl_easy_strerror(code));
    read_answer(h, a, &sink, ret);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, NULL); /* the list ends here */
    return OK;
}
