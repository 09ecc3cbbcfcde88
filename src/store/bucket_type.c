/* bucket_type.c — content types by extension, for files that come without one. */
#include "store/bucket.h"

static const struct {
    str end, type;
} types[] = {
#define TYPE(end, type) {STR_INIT(end), STR_INIT(type)},
#include "store/bucket_types.def"
#undef TYPE
};

str bucket_type_of(str path)
{
    ptrdiff_t slash = str_rfind(path, '/'), dot;
    str name = slash < 0 ? path : str_from(path, (size_t)slash + 1), end;

    dot = str_rfind(name, '.');
    if (dot < 0)
        return STR_NONE;
    end = str_from(name, (size_t)dot + 1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_ieq(end, types[i].end))
            return types[i].type;
    return STR_NONE;
}
