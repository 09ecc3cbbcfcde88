/* static.c — see static.h. */
#include "web/static.h"
#include "web/static_files.h"
#include "web/web.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 8
#define VERSION_DIGITS 12

static struct {
    char address[64];
} files[FILES_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_addresses(void)
{
    for (size_t i = 0; i < static_files_count && i < FILES_MAX; i++) {
        sha256 h = sha256_of(static_files[i].bytes, static_files[i].len);
        char hex[VERSION_DIGITS + 1] = "";

        hex_write(hex, h.b, VERSION_DIGITS / 2);
        snprintf(files[i].address, sizeof files[i].address, "/-/static/%s?v=%s",
                 static_files[i].name, hex);
    }
}

const char *static_address(const char *name)
{
    pthread_once(&once, make_addresses);
    for (size_t i = 0; i < static_files_count && i < FILES_MAX; i++)
        if (strcmp(static_files[i].name, name) == 0)
            return files[i].address;
    abort(); /* a programmer's mistake: the templates name only what is there */
}

static const char *type_of(const char *name)
{
    str s = str_c(name);

    return str_ends(s, STR(".css"))  ? "text/css; charset=utf-8"
           : str_ends(s, STR(".js")) ? "text/javascript; charset=utf-8"
                                     : "image/svg+xml";
}

static err send(struct req *r, str name, bool forever)
{
    for (size_t i = 0; i < static_files_count; i++)
        if (str_eq(name, str_c(static_files[i].name))) {
            reply_header(r, "Cache-Control",
                         forever ? STR("public, max-age=31536000, immutable")
                                 : STR("public, max-age=86400"));
            reply_header(r, "X-Content-Type-Options", STR("nosniff"));
            reply_header(r, "Content-Security-Policy", STR("default-src 'none'; sandbox"));
            return reply_bytes(r, 200, type_of(static_files[i].name),
                               (str){static_files[i].bytes, static_files[i].len});
        }
    return err_new(r->a, 404, NULL, "There is no such file.");
}

err web_static(struct req *r)
{
    return send(r, req_param(r, "name"), req_query(r, "v").ptr);
}

err web_favicon(struct req *r)
{
    return send(r, STR("icon.svg"), false);
}
