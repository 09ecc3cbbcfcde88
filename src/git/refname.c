/* refname.c — see refname.h. */
#include "git/refname.h"
#include <string.h>

static bool part_valid(str part)
{
    if (part.len == 0 || part.ptr[0] == '.' || str_ends(part, STR(".lock")))
        return false;
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.ptr[i];

        if (c <= 0x20 || c == 0x7f || strchr("~^:?*[\\", c))
            return false;
        if (i > 0 && ((c == '.' && part.ptr[i - 1] == '.') || (c == '{' && part.ptr[i - 1] == '@')))
            return false;
    }
    return true;
}

bool refname_valid(str full)
{
    str rest = full;
    size_t parts = 0;

    if (full.len > REFNAME_MAX || !str_starts(full, STR("refs/")) || str_ends(full, STR(".")))
        return false;
    for (; rest.ptr; parts++)
        if (!part_valid(str_cut(&rest, '/')))
            return false;
    return parts >= 3;
}

bool refname_short_valid(str name)
{
    str rest = name;

    if (name.len == 0 || name.len > REFNAME_MAX - 16 || name.ptr[0] == '-' ||
        str_eq(name, STR("HEAD")) || str_eq(name, STR("@")) || str_ends(name, STR(".")))
        return false;
    while (rest.ptr)
        if (!part_valid(str_cut(&rest, '/')))
            return false;
    return true;
}
