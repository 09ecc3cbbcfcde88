/* commit_line.h — one line of an NDJSON commit (hub-api.md 11.6), read without building a tree of
 * its content: the base64 text is decoded where it stands.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"

enum commit_key {
    COMMIT_HEADER,
    COMMIT_FILE,
    COMMIT_LFS_FILE,
    COMMIT_DELETE, /* deletedFile, deletedEntry, deletedFolder */
    COMMIT_UNKNOWN,
};

struct commit_line {
    enum commit_key key;
    str summary, description, parent; /* COMMIT_HEADER */
    str path, old_path;
    bool has_content;
    str content; /* decoded; points into the line or the arena */
    sha256 lfs;  /* COMMIT_LFS_FILE */
    bool has_size;
    uint64_t size;
};

/* Reads `line` (without its newline); its bytes are overwritten.  Strings live in the line or in
 * `a`.  Fails with 400 and a sentence. */
MUST err commit_line_parse(struct arena *a, char *line, size_t len, struct commit_line *ret);

/* Is this path fit for a repository?  422 with a sentence; drops a leading "./". */
MUST err commit_path_check(struct arena *a, str path, str *ret);
