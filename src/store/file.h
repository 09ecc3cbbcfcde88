/* file.h — contents of large files: taken in as chunks and xorbs, given out as sources.
 *
 * A content is a row of `file` (Xet file hash, size, terms); a repository has it when repo_file
 * has a row (a hash is not a key: nobody gets a content by naming its hash).
 */
#pragma once
#include "cas/hash.h"
#include "http/source.h"
#include "store/repo.h"

struct content {
    int64_t file_id; /* 0 for the empty content */
    file_hash hash;  /* Xet file hash */
    sha256 sha256;
    uint64_t size;
    bool is_verified;  /* false: the SHA-256 is a claim of a shard … */
    int64_t pusher_id; /* … that this user sent; set by repo_file_find, 0: not known */
};

/* --- taking in: SHA-256, chunking, hashing, deduplication, xorbs; constant memory --- */
struct intake;
MUST err intake_new(struct store *s, struct arena *a, struct intake **ret);
MUST err intake_feed(struct intake *in, struct arena *a, const void *p, size_t len);
/* Ends: last xorb durable, file rows written and durable.  Fails with 400 when the bytes have not
 * this SHA-256 or size, and leaves nothing behind.  Always frees `in`. */
MUST err intake_end(struct intake *in, struct arena *a, sha256 expected, uint64_t expected_size,
                    struct content *ret);
void intake_drop(struct intake *in); /* accepts NULL */

/* --- which repository has what --- */
MUST err repo_file_find(struct db *db, int64_t repo_id, sha256 h, struct content *ret,
                        bool *ret_found);
/* The Xet hashes of many contents of one repository; zero where it has none, and for the empty
 * one. */
MUST err repo_file_hashes(struct db *db, int64_t repo_id, const sha256 *files, size_t count,
                          file_hash *ret);
/* Contents that somebody is going to refer to, because a commit names them or a client was told
 * that they need not be sent: gc leaves them alone for another GC_FILE_GRACE_MS, durable on return.
 * *ret_missing: how many of them the repository does not have (any more). */
MUST err repo_file_use(struct db *db, int64_t repo_id, const sha256 *files, size_t count,
                       size_t *ret_missing);
/* Registers a content for a repository; a second time changes nothing, but that a verified content
 * replaces a claimed one, and a repaired one what was damaged. */
MUST err repo_file_add(struct db *db, int64_t repo_id, const struct content *c, int64_t user_id);
MUST err repo_file_set_path(struct db *tx, int64_t repo_id, sha256 h, str path);
MUST err repo_file_remove(struct db *tx, int64_t repo_id, sha256 h);
/* The same for many, and counts the repository's storage again, in one transaction. */
MUST err repo_file_forget(struct db *db, int64_t repo_id, const sha256 *files, size_t count);
MUST err repo_file_copy_all(struct db *tx, int64_t from_repo_id, int64_t to_repo_id);
struct repo_file {
    sha256 sha256;
    uint64_t size;
    str path;
    int64_t pusher_id, pushed_at_ms;
};
struct repo_file_list {
    struct repo_file *items;
    size_t count;
};
MUST err repo_file_list(struct db *db, struct arena *a, int64_t repo_id, str after_sha256_hex,
                        int64_t limit, struct repo_file_list *ret);

/* On which branch a content stands now (main first) and where; ptr NULL: on none. */
MUST err repo_file_place(struct db *db, struct arena *a, int64_t repo_id, sha256 h, str *ret_ref,
                         str *ret_path);

/* Is some of its data known to be damaged?  Then an upload of the same bytes repairs it. */
MUST err content_is_damaged(struct db *db, const struct content *c, bool *ret);

/* --- giving out --- */
/* The bytes [first, first + count) of a content.  Uncompressed chunks leave as file ranges
 * (sendfile), compressed ones decoded and verified.  A xorb is verified whole before its first
 * zero-copy read since start, and again when its inode, size or mtime changed; a damaged one is
 * quarantined and answers 500 DataCorrupt. */
MUST err content_source(struct store *s, struct arena *a, const struct content *c, uint64_t first,
                        uint64_t count, struct source **ret);
/* Reads a small piece (safetensors header, GGUF metadata) into the arena; fewer bytes at the end.
 */
MUST err content_read(struct store *s, struct arena *a, const struct content *c, uint64_t first,
                      size_t count, str *ret);
