/* A model's files, one GGUF file or a Hugging Face directory, seen alike: metadata under GGUF's keys, tensors
 * under GGUF's names, rows in the order of a GGUF file. A directory's metadata are made from config.json,
 * tokenizer.json and tokenizer_config.json; its tensors lie in model.safetensors or in the shards that
 * model.safetensors.index.json names. Nothing is copied but metadata. */
#ifndef LETHE_MODEL_SOURCE_H
#define LETHE_MODEL_SOURCE_H

#include "base/event.h"
#include "model/gguf.h"
#include "model/hyper.h"
#include "model/safetensors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
    struct gguf gguf;
    bool folder; /* a Hugging Face directory: rows of q and k stand in its order (role_row_hf) */
    /* What a directory's `gguf` points into. */
    struct safetensors *shards; /* [shards_n] */
    size_t shards_n;
    struct str header;
    char *names;
};

/* Messages begin with the path of the file that is wrong. RC_UNSUPPORTED names what is not honoured: a key,
 * an architecture, a step of the tokenizer, a tensor. */
MUST_USE int source_open(const char *path, struct source *out, struct status *st);
void source_close(struct source *s); /* twice is harmless */

/* Rows first … first + n - 1 of a tensor, in the order of a GGUF file. source_f32: of any type.
 * source_halves: the 16 bits of F16 and BF16 as they lie. */
void source_f32(const struct source *s, const struct model_hyper *h, enum tensor_role role, uint32_t block,
                uint64_t first, uint64_t n, float *out);
void source_halves(const struct source *s, const struct model_hyper *h, enum tensor_role role, uint32_t block,
                   uint64_t first, uint64_t n, uint16_t *out);

#endif
