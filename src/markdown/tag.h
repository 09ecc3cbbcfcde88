/* tag.h — one tag, comment or declaration, read as a browser's tokenizer reads it. */
#pragma once
#include "base/str.h"

enum attr {
#define ATTR(id, name) ATTR_##id,
#include "markdown/attributes.def"
#undef ATTR
    ATTR_COUNT
};
enum attr_bit {
#define ATTR(id, name) id = 1 << ATTR_##id,
#include "markdown/attributes.def"
#undef ATTR
};
#define GLOBAL_ATTRS ((uint32_t)(TITLE | ALIGN | LANG | DIR | ID))

struct tag {
    enum { TAG_START, TAG_END, TAG_OTHER } kind; /* other: comments and the like */
    char name[12];                               /* lower case, cut to fit */
    size_t name_len;
    uint32_t present; /* bit 1 << attr; of one given twice the first counts */
    /* Entities are not decoded.  Only those present are set; href, src, alt and type always are. */
    str value[ATTR_COUNT];
};

/* Reads what begins with the '<' at the front of html.  Returns its length: all of html when its
 * end is missing, 0 when the '<' is text. */
size_t tag_read(str html, struct tag *t);

bool tag_name_ends(char c); /* white space, '/' or '>' */

str attr_name(enum attr which);
/* Whether an attribute that is neither an address nor free text may have this value. */
bool attr_allows(enum attr which, str value);
bool attr_is_bool(enum attr which);
