/* LoRA adapters in memory, and as a PEFT folder (docs/formats 11, methods 2.8).
 *
 * In memory everything is in the order of the GGUF file: the rows of B of q_proj and k_proj are moved on
 * reading and moved back on writing (role_row_hf), since a PEFT adapter has Hugging Face's order. */
#ifndef LETHE_MODEL_ADAPTER_H
#define LETHE_MODEL_ADAPTER_H

#include "base/hash.h"
#include "model/hyper.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADAPTER_RANK_MAX = 1024, ADAPTER_CONFIG_BYTES_MAX = 1 << 20 };

struct adapter_part {
    enum tensor_role role;
    uint32_t block;
    uint32_t tensor; /* role_index */
    uint32_t in, out, r;
    double alpha;
    float scale; /* alpha / r, or alpha / sqrt(r) with rslora */
    float *a;    /* [r, in] */
    float *b;    /* [out, r], rows in GGUF order */
    float *m;    /* [out], likewise: DoRA's magnitudes of the rows of W + scale B A; NULL: none */
};

struct adapter {
    uint32_t r; /* as the config says; a part may differ (rank_pattern) */
    double alpha, dropout;
    bool rslora;
    bool dora;                  /* every part has m: model/merge.h honours it, lora_open refuses it */
    uint32_t targets;           /* ROLE_BIT of each role that has parts */
    struct adapter_part *parts; /* [n] in model order */
    size_t n;
};

struct adapter_config {
    uint32_t r;
    double alpha, dropout;
    bool rslora, dora;
    uint32_t targets; /* ROLE_BITS_LINEAR: all */
};

/* Parts for every block and target, all values 0. RC_ARG: r 0 or over min(in, out), no target. */
MUST_USE int adapter_init(const struct model_hyper *h, const struct adapter_config *config,
                          struct adapter *out, struct status *st);
/* A ~ U(-1/sqrt(in), 1/sqrt(in)) from the seed (docs/formats 0.7, methods 2.3), B = 0. */
void adapter_draw(struct adapter *x, uint64_t seed);
void adapter_release(struct adapter *x);
uint64_t adapter_parameters(const struct adapter *x);

/* Reads folder/adapter_config.json and folder/adapter_model.safetensors. RC_FORMAT: shapes that do not match
 * the model, a part with A and without B; RC_UNSUPPORTED names the key that changes the mathematics. */
MUST_USE int adapter_load(const char *folder, const struct model_hyper *h, struct adapter *out,
                          struct status *st);
/* The two files as bytes (each string is appended to): equal adapters give equal bytes. base_name goes to
 * base_model_name_or_path. RC_UNSUPPORTED: an adapter with magnitudes. */
MUST_USE int adapter_write(const struct adapter *x, const struct model_hyper *h, const char *base_name,
                           struct str *config, struct str *weights, struct status *st);
/* adapter_write into a folder, made when not there. */
MUST_USE int adapter_save(const struct adapter *x, const struct model_hyper *h, const char *base_name,
                          const char *folder, struct status *st);

#endif
