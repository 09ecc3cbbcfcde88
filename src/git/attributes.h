/* attributes.h — which paths does .gitattributes send to LFS, which does .gitignore leave out?
 *
 * Read by preupload and commit.  Of the attributes only `filter` is looked at; macros are
 * ignored.  Lines and patterns too many or too long are ignored, as git does with lines over
 * 2048 bytes.
 */
#pragma once
#include "git/glob.h"
#include "git/tree.h"

#define ATTR_MAX_FILE (1u << 20) /* bytes read of one file */
#define ATTR_MAX_LINE 2048
#define ATTR_MAX_RULES 20000
#define ATTR_MAX_FILES 1000 /* nested .gitattributes looked for */

enum attr_filter { ATTR_UNSPECIFIED, ATTR_LFS, ATTR_OTHER };

struct attr_rules {
    struct attr_rule {
        struct glob_rule glob;
        enum attr_filter filter;
    } * rules;
    size_t count, cap;
};

/* Appends the lines of a .gitattributes that stands in the folder `dir` ("" for the root).  Call
 * it for the root first, then for deeper folders: later rules win. */
void attr_parse(struct arena *a, str text, str dir, struct attr_rules *rules);
/* Reads the .gitattributes of the root and of the folders on the way to `paths`. */
MUST err attr_load(struct odb *o, struct arena *a, oid root, const str *paths, size_t count,
                   struct attr_rules *ret);
/* LFS: filter=lfs.  OTHER: the filter is something else or switched off. */
enum attr_filter attr_filter(const struct attr_rules *rules, str path);

/* `text` with a line that sends exactly this path to LFS. */
str attr_add_lfs(struct arena *a, str text, str path);

struct ignore_rules {
    struct glob_rule *rules;
    size_t count, cap;
};
void ignore_parse(struct arena *a, str text, str dir, struct ignore_rules *rules);
/* Is this file, or a folder it is in, ignored? */
bool ignore_matches(const struct ignore_rules *rules, str path);
