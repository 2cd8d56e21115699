/* A LoRA adapter on the device: all A and B in one buffer, so that one dispatch updates them and one copy
 * saves them. Gradients and moments lie in buffers of the same layout.
 *
 * Values stand in model order (methods 3.7), of each part A [r, in] then B, both row-major, each starting at
 * a multiple of LORA_ALIGN values; the gap is zero and stays zero. B lies turned, [r, out]: neighbours of an
 * output are then neighbours in memory, as those of an input are in A.
 */
#ifndef LETHE_MODEL_LORA_H
#define LETHE_MODEL_LORA_H

#include "gpu/device.h"
#include "model/adapter.h"

#include <stdint.h>

struct model;

enum { LORA_ALIGN = 64 };

struct lora_part {
    uint64_t a_at, b_at; /* first value, counted from the buffer's start */
    uint32_t r, in, out; /* r 0: this tensor has no adapter */
    uint32_t tensor;     /* model order */
    float scale;
};

struct lora {
    struct gpu *g;
    struct gpu_buffer values;
    uint64_t n; /* values with gaps */
    uint32_t r_max;
    uint32_t blocks;
    uint32_t first_block;    /* the lowest that has a part */
    struct lora_part *parts; /* [blocks][ROLES] */
};

/* Bytes on the device of one buffer in this layout. */
uint64_t lora_bytes(const struct adapter *x);
/* Uploads the values. RC_ARG: parts that the model has no tensor for. RC_UNSUPPORTED: DoRA. */
MUST_USE int lora_open(const struct model *m, const struct adapter *x, struct lora *out, struct status *st);
void lora_close(struct lora *l);
const struct lora_part *lora_part(const struct lora *l, enum tensor_role role,
                                  uint32_t block); /* NULL: none */
/* Values [n] of any buffer in this layout (a gradient), read by the caller, into the shape of x. */
MUST_USE int lora_copy_out(const struct lora *l, const float *values, struct adapter *x, struct status *st);
/* The device's values into x, which has the shape that l was opened with. */
MUST_USE int lora_read(const struct lora *l, struct adapter *x, struct status *st);

#endif
