/* lfs_pointer.c — see lfs_pointer.h. */
#include "git/lfs_pointer.h"

/* "ext-0-name value": one digit, then letters, digits or underscores. */
static bool is_extension(str line)
{
    str key = str_cut(&line, ' ');

    if (!line.ptr || !str_skip(&key, STR("ext-")) || key.len < 3 || key.ptr[0] < '0' ||
        key.ptr[0] > '9' || key.ptr[1] != '-')
        return false;
    for (size_t i = 2; i < key.len; i++) {
        char c = key.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return true;
}

static bool version_known(str v)
{
    return str_eq(v, STR("https://git-lfs.github.com/spec/v1")) ||
           str_eq(v, STR("https://hawser.github.com/spec/v1")) ||
           str_eq(v, STR("http://git-media.io/v/2"));
}

bool lfs_pointer_parse(str text, struct lfs_pointer *ret)
{
    struct lfs_pointer p;
    str line;

    if (text.len >= LFS_POINTER_MAX)
        return false;
    text = str_trim(text);
    line = str_cut(&text, '\n');
    if (!str_skip(&line, STR("version ")) || !version_known(line))
        return false;
    do
        line = str_cut(&text, '\n');
    while (is_extension(line));
    if (!str_skip(&line, STR("oid sha256:")) || !sha256_from_hex(line, &p.oid))
        return false;
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] >= 'A' && line.ptr[i] <= 'F')
            return false;
    line = str_cut(&text, '\n');
    if (text.ptr || !str_skip(&line, STR("size ")) || !str_u64(line, &p.size) || p.size > INT64_MAX)
        return false;
    *ret = p;
    return true;
}

str lfs_pointer_format(struct arena *a, struct lfs_pointer p)
{
    return arena_printf(a,
                        "version https://git-lfs.github.com/spec/v1\noid sha256:%.*s\nsize %llu\n",
                        STR_FMT(sha256_hex(a, p.oid)), (unsigned long long)p.size);
}
