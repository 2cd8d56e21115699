/* A model of a known shape with random weights, for measurements without a model file: a GGUF in memory whose
 * tensors of one type all lie at the same bytes, so that it holds no more than its largest tensors. */
#ifndef LETHE_CLI_SYNTHETIC_H
#define LETHE_CLI_SYNTHETIC_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct synthetic_shape {
    const char *name;
    uint32_t blocks, width, mlp, heads, kv_heads, head_size, vocab, context;
    float rope_base;
    bool tied_head;
};
/* "llama-1.2b", "qwen-7b", "smollm2-135m". NULL: none of that name. */
const struct synthetic_shape *synthetic_find(const char *name);
void synthetic_names(struct str *out); /* ", " between them */

struct synthetic {
    int fd;
    char path[32]; /* for model_open and model_plan, while this is open */
};
/* The first `blocks` blocks. Linears are of the named type (quant.h, any case), embedding and head of the one
 * that usually goes with it. Without `fill` the weights are zero bytes that take no memory: for plans.
 * RC_ARG: a type that is not read, or whose blocks do not divide a row. */
MUST_USE int synthetic_open(const struct synthetic_shape *s, uint32_t blocks, const char *weights, bool fill,
                            struct synthetic *out, struct status *st);
void synthetic_close(struct synthetic *s);

#endif
