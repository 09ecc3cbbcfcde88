/* link.c — see link.h. */
#include "markdown/link.h"

#include "base/text.h"
#include "markdown/out.h"

/* Bytes that stand in a URL as they are. */
static const bool plain[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['!'] = true,         ['$'] = true, ['&'] = true,
    ['\''] = true,        ['('] = true,         [')'] = true,         ['*'] = true, ['+'] = true,
    [','] = true,         [';'] = true,         ['='] = true,         [':'] = true, ['@'] = true,
    ['/'] = true,         ['?'] = true,         ['#'] = true,         ['%'] = true, ['['] = true,
    [']'] = true,
};

/* Tabs and line ends inside a URL are skipped, as browsers do; the rest is percent-encoded. */
static void add_encoded(struct buf *b, str s)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (plain[c]) {
            buf_addc(b, (char)c);
        } else if (c != '\t' && c != '\n' && c != '\r') {
            char esc[3] = {'%', hex[c >> 4], hex[c & 15]};

            buf_add(b, (str){esc, 3});
        }
    }
}

/* Without the control characters and spaces at both ends. */
static str trim(str s)
{
    while (s.len && (unsigned char)s.ptr[0] <= ' ')
        s = str_from(s, 1);
    while (s.len && (unsigned char)s.ptr[s.len - 1] <= ' ')
        s.len--;
    return s;
}

static bool is_ignored(char c)
{
    return c == '\t' || c == '\n' || c == '\r';
}

/* Reads "scheme:" off the front of s the way a browser does, tabs and line ends skipped; `name`
 * gets it in lower case, cut to fit.  Without one *s stays and name is empty.  Control characters
 * count as part of a scheme, so that one of them makes it unknown and not relative. */
static void take_scheme(str *s, char name[16])
{
    size_t n = 0, i = 0;

    for (; i < s->len && s->ptr[i] != ':'; i++) {
        char c = s->ptr[i], low = (char)(c | 0x20);
        bool alpha = low >= 'a' && low <= 'z', odd = (unsigned char)c < ' ' || c == 127;

        if (is_ignored(c))
            continue;
        if (!alpha && !odd &&
            (n == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            break;
        if (n < 15)
            name[n++] = (char)(alpha ? low : c);
    }
    if (i < s->len && s->ptr[i] == ':' && i > 0) {
        *s = str_from(*s, i + 1);
        name[n] = '\0';
    } else {
        name[0] = '\0';
    }
}

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* Length of the part before the query and the fragment. */
static size_t path_len(str s)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] != '?' && s.ptr[n] != '#')
        n++;
    return n;
}

/* Host and path, in which browsers read \ as /, then query and fragment. */
static void add_tail(struct buf *b, str s)
{
    size_t n = path_len(s);

    for (size_t i = 0; i < n; i++) {
        if (s.ptr[i] == '\\')
            buf_addc(b, '/');
        else
            add_encoded(b, (str){s.ptr + i, 1});
    }
    add_encoded(b, str_from(s, n));
}

static bool is_at_origin(str url, str origin)
{
    return origin.len && str_iskip(&url, origin) &&
           (url.len == 0 || url.ptr[0] == '/' || url.ptr[0] == '?' || url.ptr[0] == '#');
}

/* --- relative URLs --- */

/* "." and its encoded form count; 1 and 2 for one and two of them, else 0. */
static int dots(str segment)
{
    int n = 0;

    while (segment.len && n < 3) {
        if (!str_skip(&segment, STR(".")) && !str_iskip(&segment, STR("%2e")))
            return 0;
        n++;
    }
    return n < 3 ? n : 0;
}

/* Appends the segments of `path`, resolving dots; never drops anything before `root`. */
static void add_segments(struct buf *b, size_t root, str path)
{
    while (path.ptr) {
        size_t at = b->len, n = 0;
        bool last;
        int up;

        while (n < path.len && !is_slash(path.ptr[n]))
            n++;
        last = n == path.len;
        add_encoded(b, str_first(path, n));
        up = dots((str){b->ptr + at, b->len - at});
        path = last ? STR_NONE : str_from(path, n + 1);
        if (!up) {
            if (!last)
                buf_addc(b, '/');
            continue;
        }
        b->len = at;
        if (up == 2 && b->len > root) {
            b->len--; /* the slash before it */
            while (b->len > root && b->ptr[b->len - 1] != '/')
                b->len--;
        }
    }
}

static void add_relative(struct buf *b, const struct markdown_options *o, str base, str url)
{
    size_t n = path_len(url), root;

    out_add(b, base.len ? base : STR("./")); /* else "./x:y" would become x:y */
    root = b->len;
    if (n && o->dir.len)
        add_segments(b, root, o->dir);
    if (n)
        add_segments(b, root, str_first(url, n));
    else if (o->dir.len)
        add_encoded(b, o->dir);
    add_encoded(b, str_from(url, n));
}

/* --- data: --- */

static bool is_image_data(str s)
{
    str rest = s;

    if (s.len > LINK_MAX_DATA ||
        !(str_iskip(&rest, STR("image/png")) || str_iskip(&rest, STR("image/jpeg")) ||
          str_iskip(&rest, STR("image/gif")) || str_iskip(&rest, STR("image/webp"))) ||
        !str_iskip(&rest, STR(";base64,")))
        return false;
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.ptr[i], low = (char)(c | 0x20);

        if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '+' && c != '/' &&
            c != '=')
            return false;
    }
    return true;
}

bool link_resolve(struct buf *b, const struct markdown_options *o, enum link_use use, str url,
                  bool *ret_foreign)
{
    size_t start = b->len;
    char scheme[16];
    str rest;

    *ret_foreign = false;
    rest = url = trim(url);
    take_scheme(&rest, scheme);
    if (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) {
        out_add(b, str_c(scheme));
        buf_addc(b, ':');
        add_tail(b, rest);
        *ret_foreign = !is_at_origin((str){b->ptr + start, b->len - start}, o->origin);
        return true;
    }
    if (strcmp(scheme, "mailto") == 0 && use == LINK_PAGE) {
        OUT(b, "mailto:");
        add_encoded(b, rest);
        return true;
    }
    if (strcmp(scheme, "data") == 0 && use == LINK_IMAGE && is_image_data(rest)) {
        OUT(b, "data:");
        out_add(b, rest);
        return true;
    }
    if (scheme[0] || url.len == 0)
        return false;
    while (url.len && is_ignored(url.ptr[0]))
        url = str_from(url, 1);
    if (url.ptr[0] == '#') {
        str id = str_from(url, 1);

        if (use != LINK_PAGE)
            return false;
        out_add(b, id.len ? STR("#" MARKDOWN_ID_PREFIX) : STR("#"));
        (void)str_skip(&id, STR(MARKDOWN_ID_PREFIX));
        add_encoded(b, id);
        return true;
    }
    if (is_slash(url.ptr[0])) {
        size_t i = 1;

        while (i < url.len && is_ignored(url.ptr[i]))
            i++;
        *ret_foreign = i < url.len && is_slash(url.ptr[i]);
        add_tail(b, url);
        return true;
    }
    add_relative(b, o, use == LINK_PAGE ? o->link_base : o->image_base, url);
    return true;
}

/* --- lists of images --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* "2x", "640w", "1.5x" or nothing. */
static bool is_descriptor(str s)
{
    size_t i = 0;

    if (s.len == 0)
        return true;
    while (i + 1 < s.len && ((s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '.'))
        i++;
    return i > 0 && i < 10 && i + 1 == s.len && (s.ptr[i] == 'x' || s.ptr[i] == 'w');
}

bool link_srcset(struct buf *b, const struct markdown_options *o, str list)
{
    size_t start = b->len;
    bool foreign;

    while (list.len) {
        size_t n = 0;
        str url, descriptor = STR_NONE;

        while (list.len && (is_space(list.ptr[0]) || list.ptr[0] == ','))
            list = str_from(list, 1);
        while (n < list.len && !is_space(list.ptr[n]))
            n++;
        if (n == 0)
            break;
        url = str_first(list, n);
        list = str_from(list, n);
        if (url.ptr[n - 1] == ',') {
            while (url.len && url.ptr[url.len - 1] == ',')
                url.len--;
        } else {
            descriptor = str_trim(str_cut(&list, ','));
        }
        if (b->len > start)
            OUT(b, ", ");
        if (str_find(url, ',') >= 0 || !is_descriptor(descriptor) ||
            !link_resolve(b, o, LINK_MEDIA, url, &foreign))
            return b->len = start, false;
        if (descriptor.len) {
            buf_addc(b, ' ');
            out_add(b, descriptor);
        }
    }
    return b->len > start;
}

str link_file_name(str url)
{
    ptrdiff_t slash;

    url = str_first(url, path_len(url));
    slash = str_rfind(url, '/');
    return str_from(url, (size_t)(slash + 1));
}
