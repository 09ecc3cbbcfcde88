/* out.c — see out.h. */
#include "markdown/out.h"

#include <stdlib.h>

/* 1: has an entity, 2: a control character that HTML forbids */
static const unsigned char special[256] = {
    ['&'] = 1,     ['<'] = 1, ['>'] = 1, ['"'] = 1, [0] = 2,
    [1 ... 8] = 2, [11] = 2,  [12] = 2,  [127] = 2, [14 ... 31] = 2,
};

static str escape_of(char c)
{
    switch (c) {
    case '&':
        return STR("&amp;");
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '"':
        return STR("&quot;");
    default:
        return STR("\xef\xbf\xbd");
    }
}

/* Bytes of ordinary text at i, most of them found eight at a time. */
static size_t ordinary(str s, size_t i)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t from = i;

    while (i + 8 <= s.len &&
           !(special[p[i]] | special[p[i + 1]] | special[p[i + 2]] | special[p[i + 3]] |
             special[p[i + 4]] | special[p[i + 5]] | special[p[i + 6]] | special[p[i + 7]]))
        i += 8;
    while (i < s.len && !special[p[i]])
        i++;
    return i - from;
}

static void text(struct buf *b, str s, bool keep_entities)
{
    size_t from = 0;

    for (size_t i = ordinary(s, 0); i < s.len; i += 1 + ordinary(s, i + 1)) {
        size_t entity;

        if (keep_entities && s.ptr[i] == '&' && (entity = entity_len(str_from(s, i)))) {
            i += entity - 1;
            continue;
        }
        out_add(b, (str){s.ptr + from, i - from});
        out_add(b, escape_of(s.ptr[i]));
        from = i + 1;
    }
    out_add(b, str_from(s, from));
}

void out_text(struct buf *b, str s)
{
    text(b, s, false);
}

void out_html_text(struct buf *b, str s)
{
    text(b, s, true);
}

/* --- entities --- */

/* Names in ASCII order; what is missing here stays as it was written, which is safe everywhere. */
static const struct named {
    str name;
    uint32_t code;
} names[] = {
    {STR_INIT("AMP"), '&'},       {STR_INIT("Auml"), 0xc4},     {STR_INIT("Ccedil"), 0xc7},
    {STR_INIT("Eacute"), 0xc9},   {STR_INIT("GT"), '>'},        {STR_INIT("LT"), '<'},
    {STR_INIT("NewLine"), '\n'},  {STR_INIT("Ntilde"), 0xd1},   {STR_INIT("Omega"), 0x3a9},
    {STR_INIT("Ouml"), 0xd6},     {STR_INIT("QUOT"), '"'},      {STR_INIT("Sigma"), 0x3a3},
    {STR_INIT("Tab"), '\t'},      {STR_INIT("Uuml"), 0xdc},     {STR_INIT("aacute"), 0xe1},
    {STR_INIT("acirc"), 0xe2},    {STR_INIT("agrave"), 0xe0},   {STR_INIT("alpha"), 0x3b1},
    {STR_INIT("amp"), '&'},       {STR_INIT("apos"), '\''},     {STR_INIT("aring"), 0xe5},
    {STR_INIT("ast"), '*'},       {STR_INIT("asymp"), 0x2248},  {STR_INIT("atilde"), 0xe3},
    {STR_INIT("auml"), 0xe4},     {STR_INIT("beta"), 0x3b2},    {STR_INIT("bsol"), '\\'},
    {STR_INIT("bull"), 0x2022},   {STR_INIT("ccedil"), 0xe7},   {STR_INIT("cent"), 0xa2},
    {STR_INIT("check"), 0x2713},  {STR_INIT("colon"), ':'},     {STR_INIT("comma"), ','},
    {STR_INIT("commat"), '@'},    {STR_INIT("copy"), 0xa9},     {STR_INIT("dagger"), 0x2020},
    {STR_INIT("darr"), 0x2193},   {STR_INIT("deg"), 0xb0},      {STR_INIT("delta"), 0x3b4},
    {STR_INIT("divide"), 0xf7},   {STR_INIT("dollar"), '$'},    {STR_INIT("eacute"), 0xe9},
    {STR_INIT("ecirc"), 0xea},    {STR_INIT("egrave"), 0xe8},   {STR_INIT("emsp"), 0x2003},
    {STR_INIT("ensp"), 0x2002},   {STR_INIT("epsilon"), 0x3b5}, {STR_INIT("equals"), '='},
    {STR_INIT("euml"), 0xeb},     {STR_INIT("euro"), 0x20ac},   {STR_INIT("excl"), '!'},
    {STR_INIT("frac12"), 0xbd},   {STR_INIT("gamma"), 0x3b3},   {STR_INIT("ge"), 0x2265},
    {STR_INIT("grave"), '`'},     {STR_INIT("gt"), '>'},        {STR_INIT("harr"), 0x2194},
    {STR_INIT("hearts"), 0x2665}, {STR_INIT("hellip"), 0x2026}, {STR_INIT("iacute"), 0xed},
    {STR_INIT("iexcl"), 0xa1},    {STR_INIT("infin"), 0x221e},  {STR_INIT("iquest"), 0xbf},
    {STR_INIT("lambda"), 0x3bb},  {STR_INIT("laquo"), 0xab},    {STR_INIT("larr"), 0x2190},
    {STR_INIT("lbrace"), '{'},    {STR_INIT("lbrack"), '['},    {STR_INIT("ldquo"), 0x201c},
    {STR_INIT("le"), 0x2264},     {STR_INIT("lowbar"), '_'},    {STR_INIT("lpar"), '('},
    {STR_INIT("lsqb"), '['},      {STR_INIT("lsquo"), 0x2018},  {STR_INIT("lt"), '<'},
    {STR_INIT("mdash"), 0x2014},  {STR_INIT("micro"), 0xb5},    {STR_INIT("middot"), 0xb7},
    {STR_INIT("minus"), 0x2212},  {STR_INIT("mu"), 0x3bc},      {STR_INIT("nbsp"), 0xa0},
    {STR_INIT("ndash"), 0x2013},  {STR_INIT("ne"), 0x2260},     {STR_INIT("ntilde"), 0xf1},
    {STR_INIT("num"), '#'},       {STR_INIT("oacute"), 0xf3},   {STR_INIT("ocirc"), 0xf4},
    {STR_INIT("omega"), 0x3c9},   {STR_INIT("oslash"), 0xf8},   {STR_INIT("ouml"), 0xf6},
    {STR_INIT("para"), 0xb6},     {STR_INIT("percnt"), '%'},    {STR_INIT("period"), '.'},
    {STR_INIT("permil"), 0x2030}, {STR_INIT("phi"), 0x3c6},     {STR_INIT("pi"), 0x3c0},
    {STR_INIT("plus"), '+'},      {STR_INIT("plusmn"), 0xb1},   {STR_INIT("pound"), 0xa3},
    {STR_INIT("quest"), '?'},     {STR_INIT("quot"), '"'},      {STR_INIT("raquo"), 0xbb},
    {STR_INIT("rarr"), 0x2192},   {STR_INIT("rbrace"), '}'},    {STR_INIT("rbrack"), ']'},
    {STR_INIT("rdquo"), 0x201d},  {STR_INIT("reg"), 0xae},      {STR_INIT("rpar"), ')'},
    {STR_INIT("rsqb"), ']'},      {STR_INIT("rsquo"), 0x2019},  {STR_INIT("sect"), 0xa7},
    {STR_INIT("semi"), ';'},      {STR_INIT("shy"), 0xad},      {STR_INIT("sigma"), 0x3c3},
    {STR_INIT("sol"), '/'},       {STR_INIT("sum"), 0x2211},    {STR_INIT("sup2"), 0xb2},
    {STR_INIT("szlig"), 0xdf},    {STR_INIT("tau"), 0x3c4},     {STR_INIT("theta"), 0x3b8},
    {STR_INIT("thinsp"), 0x2009}, {STR_INIT("times"), 0xd7},    {STR_INIT("trade"), 0x2122},
    {STR_INIT("uacute"), 0xfa},   {STR_INIT("uarr"), 0x2191},   {STR_INIT("uuml"), 0xfc},
    {STR_INIT("verbar"), '|'},    {STR_INIT("vert"), '|'},      {STR_INIT("yen"), 0xa5},
};

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, ((const struct named *)b)->name);
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int digit(char c, bool hex)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
        return (c | 0x20) - 'a' + 10;
    return -1;
}

void utf8_add(struct buf *b, uint32_t c)
{
    char p[4];

    if (c == '\r')
        c = '\n';
    if ((c < ' ' && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0) ||
        (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
        c = 0xfffd;
    if (c < 0x80) {
        buf_addc(b, (char)c);
    } else if (c < 0x800) {
        p[0] = (char)(0xc0 | c >> 6), p[1] = (char)(0x80 | (c & 63));
        buf_add(b, (str){p, 2});
    } else if (c < 0x10000) {
        p[0] = (char)(0xe0 | c >> 12), p[1] = (char)(0x80 | (c >> 6 & 63));
        p[2] = (char)(0x80 | (c & 63));
        buf_add(b, (str){p, 3});
    } else {
        p[0] = (char)(0xf0 | c >> 18), p[1] = (char)(0x80 | (c >> 12 & 63));
        p[2] = (char)(0x80 | (c >> 6 & 63)), p[3] = (char)(0x80 | (c & 63));
        buf_add(b, (str){p, 4});
    }
}

/* Reads "&#…" off the front of s; browsers do not ask for the semicolon, so neither do we.
 * Returns its length, or 0. */
static size_t numeric(str s, uint32_t *ret_code, bool *ret_ended)
{
    bool hex = s.len > 2 && (s.ptr[2] | 0x20) == 'x';
    size_t i = hex ? 3 : 2, first = i;
    uint32_t code = 0;
    int d;

    for (; i < s.len && (d = digit(s.ptr[i], hex)) >= 0; i++)
        if (code <= 0x10ffff)
            code = code * (hex ? 16 : 10) + (uint32_t)d;
    if (i == first)
        return 0;
    *ret_code = code;
    *ret_ended = i < s.len && s.ptr[i] == ';';
    return i + *ret_ended;
}

#define NAME_MAX_LEN 48 /* as long as a name is for the parser */

size_t entity_len(str s)
{
    uint32_t code;
    bool ended;
    size_t i = 1;

    if (s.len > 1 && s.ptr[1] == '#') {
        size_t len = numeric(s, &code, &ended);

        return len && ended && len <= 10 && code <= 0x10ffff ? len : 0;
    }
    while (i < s.len && i <= NAME_MAX_LEN && (is_alpha(s.ptr[i]) || digit(s.ptr[i], false) >= 0))
        i++;
    return i > 2 && is_alpha(s.ptr[1]) && i < s.len && s.ptr[i] == ';' ? i + 1 : 0;
}

void entity_decode(struct buf *b, str s)
{
    for (ptrdiff_t at; (at = str_find(s, '&')) >= 0;) {
        const struct named *n;
        uint32_t code;
        size_t len;
        bool ended;
        str name;

        out_add(b, str_first(s, (size_t)at));
        s = str_from(s, (size_t)at);
        if (s.len > 1 && s.ptr[1] == '#' && (len = numeric(s, &code, &ended))) {
            utf8_add(b, code);
            s = str_from(s, len);
            continue;
        }
        len = entity_len(s);
        name = (str){s.ptr + 1, len ? len - 2 : 0};
        n = len ? bsearch(&name, names, sizeof names / sizeof *names, sizeof *names, by_name)
                : NULL;
        if (n)
            utf8_add(b, n->code);
        else
            out_add(b, str_first(s, len ? len : 1));
        s = str_from(s, len ? len : 1);
    }
    out_add(b, s);
}
