/* autolink.h — addresses that stand in text without brackets: http://…, https://…, www.…, a@b.c.
 * The parser's own search for them is quadratic. */
#pragma once
#include "base/str.h"

struct autolink {
    size_t start, end; /* within the text */
    str prefix;        /* to be put in front: "", "http://" or "mailto:" */
};

/* At a ':', '@' or 'w' of the text at offset `at`: whether it belongs to an address.  Nothing
 * before `from` is looked at. */
bool autolink_at(str text, size_t from, size_t at, struct autolink *ret);
