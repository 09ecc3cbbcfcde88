/* refname.h — which names may a branch or tag have?  (The rules of git check-ref-format.) */
#pragma once
#include "base/str.h"

#define REFNAME_MAX 1024 /* bytes of a full name */

/* A full name: "refs/" and at least one more component after "refs/heads" and the like. */
bool refname_valid(str full);
/* A short name that makes refs/heads/NAME or refs/tags/NAME valid; does not begin with '-', is
 * not "HEAD" or "@". */
bool refname_short_valid(str name);
