/* glob.h — one line of .gitattributes or .gitignore against one path.
 *
 * Time is at most the product of the lengths: no pattern makes it explode.
 */
#pragma once
#include "base/str.h"

/* `*` and `?` and [sets] within a component, a whole component `**` for any number of them
 * (at the end: for at least one).  Backslash takes the next character as it is. */
bool glob_path(str pattern, str path);
/* The same for one component: there are no slashes on either side. */
bool glob_name(str pattern, str name);

/* A pattern taken apart by git's rules for both files. */
struct glob_rule {
    str pattern;  /* without the slashes at its ends */
    str dir;      /* the folder of the file it stands in, "" for the root */
    bool by_name; /* no slash inside: it is about the last component only */
    bool is_negated, only_dirs;
};
/* False when the line is empty. */
bool glob_rule_parse(str pattern, str dir, struct glob_rule *ret);
/* Is the rule about this path (from the root)?  only_dirs is for the caller to look at. */
bool glob_rule_matches(const struct glob_rule *r, str path);
