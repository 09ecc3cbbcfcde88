/* autolink.c — see autolink.h. */
#include "markdown/autolink.h"

#define MAX_HOST 255

static bool is_alnum(char c)
{
    char low = (char)(c | 0x20);

    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9');
}

/* A host may hold letters of any script. */
static bool is_host(char c)
{
    return is_alnum(c) || c == '-' || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

static bool ends_url(char c)
{
    return (unsigned char)c <= ' ' || c == '<' || c == '"' || c == '`' || c == 127;
}

/* An address begins a word. */
static bool begins(str text, size_t from, size_t start)
{
    return start == from ||
           !(is_alnum(text.ptr[start - 1]) || (unsigned char)text.ptr[start - 1] >= 0x80);
}

/* Where the address that starts at `start` ends: at white space, but without the punctuation of the
 * sentence around it, and without a ')' that it does not open itself. */
static size_t url_end(str text, size_t start)
{
    size_t end = start, open = 0, closed = 0;

    for (; end < text.len && !ends_url(text.ptr[end]); end++) {
        open += text.ptr[end] == '(';
        closed += text.ptr[end] == ')';
    }
    while (end > start) {
        char c = text.ptr[end - 1];

        if (c == ')' && closed > open)
            closed--;
        else if (c != '?' && c != '!' && c != '.' && c != ',' && c != ':' && c != '*' && c != '_' &&
                 c != '~' && c != '\'' && c != ';' && c != '|' && c != ']' && c != '[' && c != '>')
            break;
        end--;
    }
    return end;
}

static bool find_url(str text, size_t from, size_t colon, struct autolink *ret)
{
    size_t host = colon + 3, start;

    if (!str_starts(str_from(text, colon), STR("://")) || host >= text.len ||
        !is_host(text.ptr[host]))
        return false;
    if (colon - from >= 5 && str_ieq((str){text.ptr + colon - 5, 5}, STR("https")))
        start = colon - 5;
    else if (colon - from >= 4 && str_ieq((str){text.ptr + colon - 4, 4}, STR("http")))
        start = colon - 4;
    else
        return false;
    if (!begins(text, from, start))
        return false;
    *ret = (struct autolink){start, url_end(text, host), STR("")};
    return ret->end > host;
}

static bool find_www(str text, size_t from, size_t at, struct autolink *ret)
{
    size_t host = at + 4, dots = 0, end = host;

    if (!str_starts(str_from(text, at), STR("www.")) || !begins(text, from, at))
        return false;
    for (; end < text.len && end - host < MAX_HOST && is_host(text.ptr[end]); end++)
        dots += text.ptr[end] == '.' && end + 1 < text.len && is_alnum(text.ptr[end + 1]);
    if (!dots || text.ptr[host] == '.')
        return false;
    *ret = (struct autolink){at, url_end(text, host), STR("http://")};
    return ret->end > host;
}

/* A byte of what stands before the @. */
static bool is_local(char c)
{
    return is_alnum(c) || c == '.' || c == '+' || c == '-' || c == '_';
}

static bool find_mail(str text, size_t from, size_t at, struct autolink *ret)
{
    size_t start = at, end = at + 1, dots = 0;

    while (start > from && is_local(text.ptr[start - 1]))
        start--;
    for (; end < text.len &&
           (is_alnum(text.ptr[end]) || text.ptr[end] == '-' || text.ptr[end] == '.');
         end++)
        dots += text.ptr[end] == '.' && end + 1 < text.len && is_alnum(text.ptr[end + 1]);
    while (end > at && !is_alnum(text.ptr[end - 1]))
        end--;
    *ret = (struct autolink){start, end, STR("mailto:")};
    return start < at && end > at + 1 && dots > 0 && is_alnum(text.ptr[at + 1]);
}

bool autolink_at(str text, size_t from, size_t at, struct autolink *ret)
{
    switch (text.ptr[at]) {
    case ':':
        return find_url(text, from, at, ret);
    case 'w':
        return find_www(text, from, at, ret);
    case '@':
        return find_mail(text, from, at, ret);
    default:
        return false;
    }
}
