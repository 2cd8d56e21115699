/* What an operator has to do, estimated from its sizes alone: the work that splits a long recording, and what
 * a measured time is compared with. */
#ifndef LETHE_GPU_COST_H
#define LETHE_GPU_COST_H

#include "gpu/op.h"

#include <stdint.h>

enum { FLOPS_A_BYTE = 4 }; /* what a small GPU calculates while it moves one */

struct op_cost {
    uint64_t flops; /* additions and multiplications of the formula, not of what a kernel computes again */
    uint64_t bytes; /* each operand read or written once */
    uint64_t work;  /* flops, or what a small GPU could do while it moves the bytes, where that is more */
    char shape[56]; /* what tells two calls of one pass apart: "512x576x1536 q4" */
};

/* Spans are not known here: attention counts as one causal sequence over all rows, which is the most. */
struct op_cost op_cost(const struct op_call *call);

#endif
