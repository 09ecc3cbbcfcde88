/* facts.h — what the files that derive a repository's facts share: facts.c, tags.c, weights.c.
 *
 * Everything comes from user files at one commit.  Nothing here fails: what is missing, damaged or
 * past a limit is left out, because a push must not fail over a card.
 */
#pragma once
#include "git/tree.h"
#include "hub/card.h"
#include "hub/meta.h"
#include "store/file.h"
#include "store/repo.h"

#define FACTS_TREES_MAX 20000     /* folders looked at */
#define FACTS_GGUF_MAX 64         /* GGUF files remembered */
#define FACTS_TEXT_MAX (1u << 20) /* README.md, config.json */
#define FACTS_TAGS_MAX 400
#define FACTS_TAG_BYTES 200
#define WEIGHTS_SHARDS_MAX 64
#define WEIGHTS_BUDGET (32u << 20) /* header bytes of all shards */
#define WEIGHTS_INDEX_MAX (16u << 20)

/* Formats and contents that file names give away (tags.c). */
enum file_format {
#define FORMAT(id, kind, tag) FORMAT_##id,
#include "hub/formats.def"
#undef FORMAT
    FORMAT_COUNT
};

struct found_file {
    str path;
    struct tree_entry entry;
};

struct facts {
    struct store *s;       /* NULL: contents of large files are out of reach */
    struct arena *a;       /* for what is returned */
    struct arena *scratch; /* for the work */
    const struct repo *repo;
    struct odb *odb;
    struct tree_entry *root;
    size_t root_count, trees;
    bool formats[FORMAT_COUNT];
    struct found_file gguf[FACTS_GGUF_MAX];
    size_t gguf_count;

    struct card card;
    const struct json *front; /* the card's JSON, parsed; NULL: none */
    struct model_config config;
    struct auto_model auto_model;
    bool has_auto_model;
    str library, pipeline_tag;
    bool has_sum;
    struct safetensors_sum sum;
    bool has_gguf;
    struct gguf_info gguf_info;
};

/* --- facts.c --- */
/* The root entry of that name, NULL when there is none (or it is no file). */
const struct tree_entry *facts_root_file(const struct facts *f, str name);

/* One file's content, in git or large. */
struct content_view {
    uint64_t size;
    bool is_large;
    struct content content;
    oid id;
};
bool facts_open(struct facts *f, const struct tree_entry *e, struct content_view *ret);
/* Up to `count` bytes from `first`, in f->scratch. */
bool facts_read(struct facts *f, const struct content_view *v, uint64_t first, size_t count,
                str *ret);

/* --- tags.c --- */
void facts_note_file(struct facts *f, str path, str name); /* fills formats */
void facts_tags(struct facts *f, struct repo_facts *ret);  /* tags, tag_list */
/* finetune, adapter, merge or quantized; ptr NULL without a base model. */
str facts_base_relation(const struct facts *f);

/* --- weights.c --- */
void facts_weights(struct facts *f); /* sum, gguf_info */
