/* meta.h — what model files say about themselves: safetensors and GGUF headers, config.json.
 *
 * Pure functions over bytes of users; nothing here is trusted, and what cannot be read is left
 * out.  facts.c reads the bytes.
 */
#pragma once
#include "base/json.h"

/* --- safetensors: u64 length, then a JSON object of tensors --- */
#define SAFETENSORS_HEADER_MAX (8u << 20)
#define SAFETENSORS_DTYPES_MAX 32

struct safetensors_sum {
    struct {
        str dtype;
        int64_t count;
    } types[SAFETENSORS_DTYPES_MAX];
    size_t type_count;
    int64_t total; /* of all types */
};
/* The header's length from the first 8 bytes of a file of `file_size` bytes; false when it makes no
 * sense or is larger than SAFETENSORS_HEADER_MAX. */
bool safetensors_header_size(str first, uint64_t file_size, size_t *ret);
/* Adds the tensors of one header to the sum; the names of types are copied into `a`.  False (and
 * the sum of no more use) when it is malformed. */
bool safetensors_add(struct arena *a, str header, struct safetensors_sum *sum);
/* {"parameters":{"F32":123},"total":123} */
void safetensors_write(struct json_out *j, const struct safetensors_sum *sum);

/* --- GGUF --- */
#define GGUF_HEADER_MAX (32u << 20)
#define GGUF_TEXT_MAX (64u << 10) /* a longer chat template is left out */

struct gguf_info {
    int64_t total;                                         /* parameters */
    int64_t context_length;                                /* 0: unknown */
    int64_t split_count;                                   /* 0 or 1: the file is whole */
    str architecture, chat_template, bos_token, eos_token; /* ptr NULL when absent */
};
enum gguf_result { GGUF_OK, GGUF_SHORT, GGUF_BAD };
/* Reads the beginning of a file.  SHORT: its metadata goes on after `head`. */
enum gguf_result gguf_parse(struct arena *a, str head, struct gguf_info *ret);
/* {"total":…,"architecture":…,"context_length":…, …} */
void gguf_write(struct json_out *j, const struct gguf_info *g);

/* --- config.json, tokenizer_config.json and the like; each may be NULL --- */
struct model_config {
    const struct json *config;      /* config.json */
    const struct json *tokenizer;   /* tokenizer_config.json */
    const struct json *special;     /* special_tokens_map.json */
    const struct json *adapter;     /* adapter_config.json */
    const struct json *model_index; /* model_index.json of diffusers */
    str chat_template;              /* chat_template.jinja */
};
/* The subset that repository info shows as "config"; false and nothing written when it is empty. */
bool config_write(struct arena *a, struct json_out *j, const struct model_config *m);
/* The mask token, from the tokenizer's files; ptr NULL: none. */
str config_mask_token(const struct model_config *m);

/* What transformers would load this model with. */
struct auto_model {
    str auto_model, pipeline_tag, processor, custom_class; /* ptr NULL when unknown */
};
bool config_auto_model(const struct json *config, struct auto_model *ret);
void auto_model_write(struct json_out *j, const struct auto_model *m);

/* --- members of a JSON object that we wrote ourselves, without parsing their values --- */
/* for (struct raw_iter it = raw_iter(object); raw_next(&it, &key, &value);) — `key` is the text
 * between its quotes, still escaped. */
struct raw_iter {
    str rest;
};
struct raw_iter raw_iter(str object);
bool raw_next(struct raw_iter *it, str *key, str *value);
str raw_get(str object, str key); /* ptr NULL when absent */
