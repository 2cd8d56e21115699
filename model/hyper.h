/* One parametrised decoder: the table of flags that says which, filled from GGUF metadata, and what each
 * tensor of the file is for. What the graph does not honour is refused here, by name. */
#ifndef LETHE_MODEL_HYPER_H
#define LETHE_MODEL_HYPER_H

#include "base/str.h"
#include "model/gguf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HYPER_BLOCKS_MAX = 512,
    HYPER_WIDTH_MAX = 1 << 16,
    HYPER_VOCAB_MAX = 1 << 20,
    HYPER_CONTEXT_MAX = 1 << 20
};

enum rope_pairing {
    ROPE_NEIGHBOURS, /* dimensions 2i and 2i + 1 turn together: GGUF files of `llama` */
    ROPE_HALVES,     /* i and i + size/2: Hugging Face order */
};
enum rope_scaling { ROPE_UNSCALED };
enum activation { ACTIVATION_SILU };

struct model_hyper {
    char arch[32];
    uint32_t blocks, width, mlp, heads, kv_heads, head_size, context, vocab;
    float norm_eps;
    bool norm_plus_one; /* y = x (1 + w) */
    float rope_base;
    enum rope_scaling rope_scaling;
    enum rope_pairing rope_pairing;
    bool qk_norm;
    bool biases;
    bool tied_head;
    uint32_t window;         /* tokens that attention looks back; 0: all */
    uint32_t window_pattern; /* every n-th block looks at all; 0: each is alike */
    float attention_cap, logit_cap;
    float embedding_scale; /* 1: none */
    enum activation activation;
};

/* In model order (methods 3.7): the embedding, per block from ROLE_ATTENTION_NORM to ROLE_DOWN, the rest. */
enum tensor_role {
    ROLE_EMBEDDING,
    ROLE_ATTENTION_NORM,
    ROLE_Q,
    ROLE_K,
    ROLE_V,
    ROLE_O,
    ROLE_MLP_NORM,
    ROLE_GATE,
    ROLE_UP,
    ROLE_DOWN,
    ROLE_FINAL_NORM,
    ROLE_HEAD,
    ROLES,
};
/* The linears that an adapter may touch, as bits. */
#define ROLE_BIT(role) (1u << (role))
#define ROLE_BITS_LINEAR                                                                                     \
    (ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_K) | ROLE_BIT(ROLE_V) | ROLE_BIT(ROLE_O) | ROLE_BIT(ROLE_GATE) |       \
     ROLE_BIT(ROLE_UP) | ROLE_BIT(ROLE_DOWN))

/* Reads the flags and checks that every tensor of the model is there with its shape, and no other.
 * RC_UNSUPPORTED names what is not honoured: architecture, scaling, experts, biases, tensors. */
MUST_USE int hyper_parse(const struct gguf *g, struct model_hyper *out, struct status *st);

/* The flags as metadata that hyper_parse reads to the same flags. */
struct gguf_keys;
void hyper_keys(const struct model_hyper *h, struct gguf_keys *out);

/* A linear or embedding is [out, in]: `rows` and `columns`; a norm is one row. */
struct tensor_shape {
    uint32_t rows, columns;
};
enum { ROLE_PATH_MAX = 64 };
struct tensor_shape role_shape(const struct model_hyper *h, enum tensor_role role);
bool role_is_block(enum tensor_role role); /* one a block */
bool role_is_norm(enum tensor_role role);
/* The file's tensor; block is 0 for what stands once. NULL: the model has none (a tied head). */
const struct gguf_tensor *role_tensor(const struct gguf *g, enum tensor_role role, uint32_t block);
void role_tensor_name(enum tensor_role role, uint32_t block, char out[ROLE_PATH_MAX]); /* in the file */
/* Number of a tensor in model order: SmolLM2-135M has 0 … 271. Undefined for a tied head. */
uint32_t role_index(const struct model_hyper *h, enum tensor_role role, uint32_t block);
uint32_t hyper_tensors(const struct model_hyper *h);
/* The tensor of a number below hyper_tensors: the reverse of role_index. */
void role_at(const struct model_hyper *h, uint32_t index, enum tensor_role *role, uint32_t *block);
uint64_t hyper_parameters(const struct model_hyper *h); /* values in all tensors */

const char *role_name(enum tensor_role role); /* "embed_tokens", "q_proj", "input_layernorm", … */
bool role_find(const char *name, enum tensor_role *out); /* of a linear: "q_proj", … */
/* Hugging Face's path of a module, "model.layers.3.self_attn.q_proj"; buffer of ROLE_PATH_MAX. */
void role_path(enum tensor_role role, uint32_t block, char out[ROLE_PATH_MAX]);

/* Rows of q_proj and k_proj stand in another order in a GGUF file of `llama` than in Hugging Face's
 * checkpoints and PEFT's adapters: row 2i + j of a head in the one is row i + j size/2 in the other. Gives
 * the Hugging Face row of a GGUF row; other roles and ROPE_HALVES: the row itself. */
uint32_t role_row_hf(const struct model_hyper *h, enum tensor_role role, uint32_t row);

#endif
