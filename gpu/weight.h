/* Weights as kernels read them: shaders/lib/weight.glsl describes the layout and unpacks it in the load.
 *
 * A packed matrix [rows, columns] is its units, then its groups (none for f32, f16, bf16). The turned copy,
 * for the gradient of a product's input, holds the transposed matrix's units alone and shares the groups.
 * rows counts in panels of 16, columns in steps of 16 and of 32 where there are groups: others are not
 * served.
 */
#ifndef LETHE_GPU_WEIGHT_H
#define LETHE_GPU_WEIGHT_H

#include <stdbool.h>
#include <stdint.h>

enum weight { WEIGHT_f32, WEIGHT_f16, WEIGHT_bf16, WEIGHT_q4, WEIGHT_q8, WEIGHT_COUNT };
enum { WEIGHT_PANEL = 16, WEIGHT_GROUP = 32 };

const char *weight_name(enum weight w);
bool weight_grouped(enum weight w);
uint32_t weight_step(enum weight w); /* columns must be a multiple: 16 or 32 */
/* Bytes of units, and of groups behind them, with rows rounded up to a panel. */
uint64_t weight_units_bytes(enum weight w, uint64_t rows, uint64_t columns);
uint64_t weight_groups_bytes(enum weight w, uint64_t rows, uint64_t columns);

/* A panel's 16 rows as they come from a file: the member of the format alone is read. */
struct weight_rows {
    const float *values;    /* f32: [16, columns] */
    const uint16_t *halves; /* f16, bf16: [16, columns] */
    const int8_t *codes;    /* q4 (0 … 15), q8 (-128 … 127): [16, columns] */
    const float *groups;    /* [16, columns / 32, 2]: scale and minimum, or the scales of two halves */
};
/* Where panel `first / 16` begins in the units, and in the groups. */
uint64_t weight_units_at(enum weight w, uint64_t first, uint64_t columns);
uint64_t weight_groups_at(enum weight w, uint64_t first, uint64_t columns);
/* The panel's units and groups, at those places. */
void weight_pack(enum weight w, const struct weight_rows *in, uint32_t columns, uint8_t *units,
                 uint8_t *groups);
/* The panel's part of the turned copy of [rows, columns], whose first row is `first`; `units` is the whole
 * copy. */
void weight_turn(enum weight w, const struct weight_rows *in, uint32_t columns, uint32_t first, uint32_t rows,
                 uint8_t *units);

#endif
