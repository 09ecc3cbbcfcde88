/* blob.h — immutable objects by key: xorb bodies, their index sidecars, shards.
 *
 * local.c keeps them as files under DATA/blob: written to DATA/tmp, fsynced, linked under their
 * name without overwriting, the directory fsynced.  blob_put returns only after that.  Nothing
 * outside this folder sees a path.  (An S3 store comes later, behind the same functions.)
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "http/source.h"

struct blobs;

enum blob_kind { BLOB_XORB, BLOB_XORB_INDEX, BLOB_SHARD };
struct blob_key {
    enum blob_kind kind;
    str hash;           /* 64 hex digits, the text form of the hash */
    int64_t generation; /* xorbs; 0 elsewhere */
};

MUST err blobs_open(struct arena *a, const char *data_dir, bool server, struct blobs **ret);
void blobs_close(struct blobs *b); /* accepts NULL */

/* Writing: bytes go to a temporary file; put publishes it durably; a blob that is already there
 * stays and *ret_new is false.  drop throws the bytes away. */
struct blob_writer;
MUST err blob_writer_new(struct blobs *b, struct arena *a, struct blob_writer **ret);
MUST err blob_write(struct blob_writer *w, struct arena *a, const void *p, size_t len);
MUST err blob_put(struct blob_writer *w, struct arena *a, struct blob_key key,
                  bool *ret_new);      /* frees w */
void blob_drop(struct blob_writer *w); /* accepts NULL */

/* What the file system knows of a blob; found false when it is not there. */
struct blob_stat {
    bool found;
    uint64_t size;
    uint64_t inode;
    int64_t mtime_ns;
};
MUST err blob_stat(struct blobs *b, struct arena *a, struct blob_key key, struct blob_stat *ret);
/* Opens for reading; the caller closes the descriptor.  404-like failure: code "BlobMissing". */
MUST err blob_open(struct blobs *b, struct arena *a, struct blob_key key, int *ret_fd,
                   uint64_t *ret_size);
MUST err blob_remove(struct blobs *b, struct arena *a, struct blob_key key);
/* Moves a damaged blob out of the way (DATA/blob/quarantine) so that an upload can replace it. */
MUST err blob_quarantine(struct blobs *b, struct arena *a, struct blob_key key);
/* Calls fn for every blob of a kind; for fsck and gc. */
MUST err blob_each(struct blobs *b, struct arena *a, enum blob_kind kind,
                   err (*fn)(struct blob_key key, void *arg), void *arg);
