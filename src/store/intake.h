/* intake.h — an upload in progress, between intake.c, which makes chunks, terms and xorbs of its
 * bytes, and intake_rows.c, which writes what came of it in one transaction.  Nobody else includes
 * it; the interface is in file.h. */
#pragma once
#include "cas/chunker.h"
#include "store/content_rows.h"
#include "store/file.h"
#include "store/gc.h"
#include "store/xorb.h"

#define INTAKE_MAGIC 0x696e746bu
#define KNOWN_MAX 4   /* xorbs whose chunk lists an upload keeps at hand */
#define KEYS_MAX 4096 /* keys written in the transaction; the rest comes after it */
/* Equal chunks in a row are stored this often before a term goes back to the first of them: terms
 * stay few on zeros, and such chunks compress to almost nothing. */
#define COPIES_MAX 32
#define TERMS_FREE 32768  /* below this fragments cost nothing … */
#define CHUNKS_PER_TERM 8 /* … above it a known chunk is stored again unless terms are long */

struct used {           /* a xorb that terms of this upload name */
    int64_t row_id;     /* 0: not known before the transaction */
    int64_t generation; /* of our file, when fresh */
    xorb_hash hash;
    uint32_t chunk_count, raw_bytes, disk_bytes;
    bool fresh;     /* we wrote its file */
    bool kept;      /* our file is the one that the row names; set by the transaction */
    bool keys_left; /* not all of its keys fitted into the transaction */
};

struct run {       /* a term before xorbs have ids */
    uint32_t slot; /* in used */
    uint16_t first, count;
    uint32_t raw_len;
};

struct key {
    chunk_hash hash;
    uint32_t slot, chunk;
};

struct known { /* a xorb to look for chunks in: opened, or one that we finished */
    uint32_t slot;
    struct xorb *xorb;
    struct xorb_index *index;
    struct chunk_map map;
};

struct intake {
    unsigned magic;
    struct gc_writer writer_entry; /* its xorbs have no rows yet */
    struct store *store;
    struct arena *a; /* of the call that is running */
    struct hasher *sha;
    uint64_t size, chunk_count;
    struct chunker chunker;
    unsigned char *pending; /* the bytes of the current chunk that came with earlier calls */
    struct merkle tree;

    struct chunk_encoder *encoder;
    struct xorb_builder *builder;
    struct blob_writer *writer; /* NULL while the builder is empty */
    struct chunk_map map;       /* of the builder's chunks */
    uint32_t slot;              /* of the xorb being built, while writer is set */
    uint32_t copies;            /* how many chunks at its end are equal */

    struct used *used;
    struct run *runs;
    struct key *keys;
    size_t used_count, used_room, run_count, run_room, key_count, key_room;

    struct known known[KNOWN_MAX]; /* a ring */
    unsigned known_next;
    bool was_known; /* the chunk before was not stored */
};

/* --- intake_rows.c --- */

struct ending {
    struct intake *in;
    file_hash hash;
    int64_t now_ms;
    bool complete;   /* all xorbs are on disk; else only an existing file will do */
    int64_t file_id; /* the result */
    bool existed;    /* somebody's rows are used: nothing of ours is needed */
};
/* The transaction.  Sets x->file_id, x->existed and, per xorb, whether our file is kept. */
MUST err intake_write_rows(struct ending *x);
/* Keys only make later uploads smaller, so a large upload writes most of them xorb by xorb after
 * its transaction, and a failure here is nobody's. */
void intake_add_late_keys(struct intake *in);
