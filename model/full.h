/* All weights of a model in training: their gradients, and the moments of AdamW, on the device beside a model
 * that was opened in f32.
 *
 * The weights that the model runs with are what AdamW updates, in all their copies: there is no other one.
 * Gradients lie row after row, as products make them; moments lie as the weights do (gpu/weight.h). A tied
 * head is the embedding: one tensor, and the sum of two gradients.
 */
#ifndef LETHE_MODEL_FULL_H
#define LETHE_MODEL_FULL_H

#include "gpu/device.h"
#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

#define FULL_WEIGHTS_NAME "model.safetensors"

/* Blocks from first_block on are trained, the final norm, a head of its own, and the embedding where it says
 * so. */
struct full_choice {
    uint32_t first_block;
    bool embedding;
};

enum full_buffer { FULL_GRADIENT, FULL_FIRST, FULL_SECOND, FULL_BUFFERS };

struct full_part {
    enum tensor_role role;
    uint32_t block;
    struct tensor_shape shape;
    const struct model_weight *weight;
    const struct gpu_buffer *buffers[FULL_BUFFERS];
    uint64_t at;     /* byte in each of them */
    uint64_t floats; /* of the weight and of a moment: with rows up to a whole panel, if it is packed */
    bool norm;
};

struct full {
    struct model *m;
    struct full_choice choice;
    uint32_t lowest;                          /* block through which the backward pass must go, at least */
    struct gpu_buffer *buffers[FULL_BUFFERS]; /* [groups]: a block each, the embedding, the rest */
    size_t groups;
    struct full_part *parts; /* [n] in model order */
    size_t n;
    size_t *places; /* [blocks][ROLES] part + 1 */
};

/* Values that are trained, and bytes on the device beside the weights. */
uint64_t full_parameters(const struct model_hyper *h, const struct full_choice *choice);
uint64_t full_bytes(const struct model_hyper *h, const struct full_choice *choice);
/* RC_ARG: the model was not opened in f32. */
MUST_USE int full_open(struct model *m, const struct full_choice *choice, struct full *out,
                       struct status *st);
void full_close(struct full *f);
/* NULL: it is not trained. A tied head is the embedding. */
const struct full_part *full_part(const struct full *f, enum tensor_role role, uint32_t block);
uint64_t full_address(const struct full_part *p, enum full_buffer which);

/* The model as it is on the device, a whole Hugging Face directory: model.safetensors in F32, the documents
 * from the model's own files. The folder is there. */
MUST_USE int full_save(const struct model *m, const char *folder, struct status *st);
/* Such a file's weights, F32, F16 or BF16, into a model of the same shapes that was opened in f32. RC_FORMAT:
 * a tensor that is missing, has another shape, is not finite or is no part of the model. */
MUST_USE int full_load(struct model *m, const char *folder, struct status *st);

#endif
