/* chunked.c — see chunked.h.  One byte at a time: the framing is a few bytes per chunk. */
#include "http/chunked.h"
#include "http/head.h"
#include <assert.h>

enum state {
    SIZE,       /* hex digits */
    EXT_BEGIN,  /* after ';' */
    EXT_NAME,   /* inside an extension's name */
    EXT_EQUALS, /* after '=' */
    EXT_VALUE,  /* inside a value */
    EXT_QUOTED, /* inside a value in quotes */
    EXT_END,    /* after the closing quote */
    SIZE_LF,    /* the LF of the size line */
    DATA,       /* the caller's */
    DATA_CR,    /* the CR LF after the data */
    DATA_LF,
    LINE,  /* start of a trailer line or of the last CR LF */
    NAME,  /* inside a trailer's name */
    VALUE, /* inside a trailer's value */
    VALUE_LF,
    LAST_LF,
    DONE,
    BROKEN, /* every later step fails too */
};

static const struct err_info bad_chunk = {400, "BadRequest", STR_INIT("Malformed chunked body."),
                                          NULL, STR_INIT("")};

static int digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool in_size(struct http_chunked *c, unsigned char b)
{
    int d = digit(b);

    if (d >= 0) {
        if (++c->digits > 16 || c->size > (uint64_t)INT64_MAX >> 4)
            return false;
        c->size = c->size << 4 | (uint64_t)d;
        return true;
    }
    if (c->digits == 0 || (b != ';' && b != '\r'))
        return false;
    c->extension = 0;
    c->state = b == ';' ? EXT_BEGIN : SIZE_LF;
    return true;
}

/* The end of an extension: of the line, or another one follows. */
static bool after_extension(struct http_chunked *c, unsigned char b)
{
    c->state = b == ';' ? EXT_BEGIN : SIZE_LF;
    return b == ';' || b == '\r';
}

/* ;name, ;name=token or ;name="text": no blanks between them and no escapes, because programs do
 * not agree on either. */
static bool in_extension(struct http_chunked *c, unsigned char b)
{
    bool token = http_token_bytes[b];

    if (b != '\r' &&
        (++c->extension > HTTP_CHUNK_EXT_MAX || ++c->extensions > HTTP_CHUNK_EXT_TOTAL))
        return false;
    switch (c->state) {
    case EXT_BEGIN:
        c->state = EXT_NAME;
        return token;
    case EXT_NAME:
        if (b == '=')
            c->state = EXT_EQUALS;
        return token || b == '=' || after_extension(c, b);
    case EXT_EQUALS:
        c->state = b == '"' ? EXT_QUOTED : EXT_VALUE;
        return token || b == '"';
    case EXT_VALUE:
        return token || after_extension(c, b);
    case EXT_QUOTED:
        if (b == '"')
            c->state = EXT_END;
        return http_is_value_byte(b) && b != '\\';
    default:
        assert(c->state == EXT_END);
        return after_extension(c, b);
    }
}

static void begin_data(struct http_chunked *c)
{
    c->data_left = c->size;
    c->state = c->size > 0 ? DATA : LINE;
    c->size = 0;
    c->digits = 0;
}

/* Trailer lines have the form of headers. */
static bool in_trailers(struct http_chunked *c, unsigned char b)
{
    if (++c->trailers > HTTP_TRAILERS_MAX)
        return false;
    switch (c->state) {
    case LINE:
        c->state = b == '\r' ? LAST_LF : NAME;
        return b == '\r' || http_token_bytes[b];
    case NAME:
        if (b == ':')
            c->state = VALUE;
        return b == ':' || http_token_bytes[b];
    case VALUE:
        if (b == '\r')
            c->state = VALUE_LF;
        return b == '\r' || http_is_value_byte(b);
    default:
        assert(c->state == VALUE_LF);
        c->state = LINE;
        return b == '\n';
    }
}

static bool eat(struct http_chunked *c, unsigned char b)
{
    switch (c->state) {
    case SIZE:
        return in_size(c, b);
    case EXT_BEGIN:
    case EXT_NAME:
    case EXT_EQUALS:
    case EXT_VALUE:
    case EXT_QUOTED:
    case EXT_END:
        return in_extension(c, b);
    case SIZE_LF:
        begin_data(c);
        return b == '\n';
    case DATA_CR:
        c->state = DATA_LF;
        return b == '\r';
    case DATA_LF:
        c->state = SIZE;
        return b == '\n';
    case LAST_LF:
        c->state = DONE;
        c->done = true;
        return b == '\n';
    case BROKEN:
        return false;
    default:
        return in_trailers(c, b);
    }
}

err http_chunked_step(struct http_chunked *c, str *in)
{
    while (in->len > 0 && c->state != DATA && c->state != DONE) {
        if (!eat(c, (unsigned char)in->ptr[0])) {
            c->data_left = 0;
            c->done = false;
            c->state = BROKEN;
            return &bad_chunk;
        }
        *in = str_from(*in, 1);
    }
    assert((c->state == DATA) == (c->data_left > 0));
    return OK;
}

void http_chunked_take(struct http_chunked *c, uint64_t count)
{
    assert(count <= c->data_left);
    c->data_left -= count;
    if (count > 0 && c->data_left == 0)
        c->state = DATA_CR;
}
