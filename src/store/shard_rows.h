/* shard_rows.h — a shard on its way in, between shard_register.c, which checks it, and
 * shard_rows.c, which writes what came of it.  Nobody else includes it; the interface is in xet.h.
 */
#pragma once
#include "cas/shard.h"
#include "store/content_rows.h"
#include "store/xet.h"
#include "store/xorb.h"

/* A file of 16 TiB in usual chunks; more in one shard is no upload but an attempt to keep us busy:
 * a term of 48 bytes may name 8192 chunks. */
#define SHARD_CHUNKS_MAX (1ull << 28)
#define FLAGGED_MAX 16384 /* chunks of the xorb section that become keys */
/* A shard of many files is written in several transactions, so that others get their turn. */
#define BATCH_FILES 1000
#define BATCH_TERMS (1u << 18)

/* Hash first, so that one table finds either. */
struct ref { /* a xorb that the shard names */
    xorb_hash hash;
    int64_t id;
    uint32_t last_file; /* index + 1 of the file that was last noted to need it */
    bool revived;       /* it was condemned, and its keys are gone */
};
struct filing { /* a distinct file of the shard */
    file_hash hash;
    chunk_hash first_chunk;
    size_t at;           /* of its rows in the shard, for shard_next_file() */
    uint32_t ref, chunk; /* where its first chunk is */
    bool has_claim;      /* `sha256` is worth a row */
    sha256 sha256;
};
struct flagged { /* a chunk that clients may ask for */
    chunk_hash hash;
    uint32_t ref, chunk;
};

struct hash_table { /* of items that begin with 32 bytes of hash: index + 1, 0 empty */
    uint32_t *slots;
    uint32_t mask, count;
};

struct shard_work {
    struct store *store;
    struct arena *a;
    const struct shard *shard;
    const struct repo *repo;
    int64_t user_id, now_ms;
    const struct shard_progress *progress;
    uint64_t terms_done, chunks_done;

    struct ref *refs;
    struct filing *files;
    struct flagged *flagged;
    size_t ref_count, ref_room, file_count, file_room, flagged_count, flagged_room;
    struct hash_table ref_table, file_table;

    chunk_hash blob; /* names the bytes */
    size_t blob_len;
    bool has_blob; /* they are kept */
    /* of the transactions */
    size_t from, to; /* files of this one */
    int64_t shard_id;
    bool is_new, any_revived;
};

#define TABLE_NONE UINT32_MAX
uint32_t hash_table_find(const struct hash_table *t, const void *items, size_t item_size,
                         const unsigned char hash[32]);
/* Adds the item `index`, the next one, whose hash is not there yet. */
void hash_table_add(struct hash_table *t, const void *items, size_t item_size, uint32_t index);

/* The ref of a xorb that the shard names. */
uint32_t shard_ref_find(const struct shard_work *w, xorb_hash h);

/* --- shard_rows.c --- */
/* All transactions; sets w->is_new. */
MUST err shard_write_rows(struct shard_work *w);
/* The bytes the repository would hold more than now. */
MUST err shard_new_bytes(struct shard_work *w, uint64_t *ret);
/* Claims of other contents under the same SHA-256 in this repository are proved: they are facts or
 * gone then. */
MUST err shard_settle_claims(struct shard_work *w);
/* Is this shard worth keeping: does it describe a file that no kept shard describes? */
MUST err shard_is_needed(struct shard_work *w, bool *ret);
