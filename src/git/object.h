/* object.h — commits and annotated tags, parsed and written.
 *
 * Parsed structs point into the object's bytes.  Parsing demands the structure (which header
 * lines, in which order, with whole ids) and forgives the people lines, which old tools wrote in
 * many ways: an odd one gives an empty e-mail or time 0.
 */
#pragma once
#include "git/odb.h"

#define COMMIT_MAX_PARENTS 1024
#define TAG_MAX_CHAIN 32 /* tags of tags followed by object_peel */

/* Who and when: "Name <email> 1700000000 +0100". */
struct signature {
    str name, email;
    int64_t time_s; /* Unix seconds */
    int tz_minutes; /* east of UTC */
};

struct commit_obj {
    oid tree;
    oid *parents;
    size_t parent_count;
    struct signature author, committer;
    str message; /* all of it */
    str title;   /* its first line */
    str body;    /* what follows the title and the blank line, without trailing newlines */
};

struct tag_obj {
    oid target;
    enum obj_type type;
    str name;
    struct signature tagger; /* all empty in very old tags */
    str message;
};

/* False when `data` is no commit. */
bool commit_parse(struct arena *a, str data, struct commit_obj *ret);
/* Reads and parses; 500 ObjectMissing or ObjectDamaged. */
MUST err commit_read(struct odb *o, struct arena *a, oid id, struct commit_obj *ret);
/* The bytes of a commit; names and e-mails are sanitised, `message` gets a final newline;
 * title and body are not looked at. */
str commit_format(struct arena *a, const struct commit_obj *c);

bool tag_parse(str data, struct tag_obj *ret);
str tag_format(struct arena *a, const struct tag_obj *t);

/* A name or e-mail as git writes it: without <, >, newline, NUL and other control bytes, without
 * the punctuation that git trims at both ends.  Never empty: `fallback` then. */
str signature_clean(struct arena *a, str s, str fallback);

/* The title line and the rest, as commit_obj describes them. */
void message_split(str message, str *ret_title, str *ret_body);

/* Follows tags until something else: *ret_id and its type.  *ret_found false when an object on
 * the way is missing or the chain is too long. */
MUST err object_peel(struct odb *o, struct arena *a, oid id, oid *ret_id, enum obj_type *ret_type,
                     bool *ret_found);

/* May a pushed object of this type have this content?  Structure only, as git fsck's errors:
 * commits and tags parse, trees pass tree_check.  Any blob may. */
MUST err object_check(struct arena *a, enum obj_type type, str data);
