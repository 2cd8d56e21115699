/* The operators of gpu/ops.def, and the one way to run any of them.
 *
 * All operators take one block of arguments by push constant, so the host needs no struct, no descriptor and
 * no function for each. What each pointer and size means stands at the top of shaders/<op>.comp.
 */
#ifndef LETHE_GPU_OP_H
#define LETHE_GPU_OP_H

#include "base/hash.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gpu;

enum op {
#define OP(name, grid, workgroup, constants, passes) OP_##name,
#include "gpu/ops.def"
#undef OP
    OP_COUNT
};

enum pass { PASS_fwd, PASS_bwd0, PASS_bwd1, PASS_COUNT };
enum variant { VARIANT_plain, VARIANT_lane, VARIANT_uniform, VARIANT_coop, VARIANT_COUNT };

struct op_args {
    uint64_t p[8]; /* device addresses */
    uint32_t d[8]; /* sizes in elements */
    float f[4];    /* scalars */
};
_Static_assert(sizeof(struct op_args) == 112, "lib/op.glsl has the same block");

struct op_call {
    enum op op;
    enum pass pass;
    enum variant variant; /* VARIANT_plain serves everywhere */
    struct op_args args;
};

/* A row of OP_embed that is not the first of its token: shaders/embed.comp. */
#define EMBED_LATER 0x80000000u

enum { PEAK_CHAINS = 10 }; /* of OP_peak, which measures: 2 PEAK_CHAINS operations an element and round */

const char *op_name(enum op op);
const char *variant_name(enum variant v);
const char *pass_name(enum pass p);

/* Whether the variant has a file for this pass and the device can run it. */
bool op_serves(const struct gpu *g, enum op op, enum pass pass, enum variant variant);
/* Whether it serves these sizes: variants that count in tiles leave what does not fit to others, with equal
 * bits. */
bool op_fits(const struct op_call *call);
/* The variant to use on this device for a pass, by the table of gpu_variants_load: never depends on the
 * number of rows. */
enum variant op_choose(const struct gpu *g, enum op op, enum pass pass);

/* Of the SPIR-V of a file that op_serves knows. */
struct hash op_digest(enum op op, enum pass pass, enum variant variant);

/* Records one pass; it runs at gpu_submit. RC_UNSUPPORTED: op_serves or op_fits says no. */
MUST_USE int op_run(struct gpu *g, const struct op_call *call, struct status *st);

/* The same by op_choose, or by a variant with equal bits where that one does not fit. Makes the pipelines
 * that another number of rows would want, too: a later call takes no memory. */
MUST_USE int op_run_chosen(struct gpu *g, enum op op, enum pass pass, const struct op_args *args,
                           struct status *st);

/* Shaders whose pipelines were made since gpu_open, with the digest of their SPIR-V, sorted by name
 * ("matmul.lane.fwd"). Lent until the next op_run. */
struct op_used {
    char name[48];
    struct hash sha256;
};
size_t op_used(const struct gpu *g, const struct op_used **out);

#endif
